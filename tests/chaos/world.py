"""The processes of a run: a gateway that can be killed and started again, a server, and what they use up.

Each has a session of its own, so that Ctrl-C reaches this program alone, and is ended by its id whatever
happens. What they write is kept in files.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).resolve().parents[2]
CLIENT_ID: Final = 1
HEARTBEAT: Final = 1.0
SILENT_AFTER: Final = 3.0
REQUEST_TIMEOUT: Final = 3.0
ORDER_TIMEOUT: Final = 3.0
CONNECT_TIMEOUT: Final = 5.0
START_WITHIN: Final = 60.0
"""Seconds in which a process has to be there, on a machine that others use as well."""
STOP_WITHIN: Final = 5.0
"""Seconds in which a server that is told to stop has ended (docs/session-contract.md)."""


class Process:
    """`python -m trademind …`, any number of times one after the other, with one log."""

    def __init__(self, name: str, arguments: list[str], folder: Path, **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("TRADEMIND_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trademind", *self._arguments],
                cwd=self._folder,
                env={**environment, "PYTHONPATH": str(ROOT), "TZ": "UTC", **self._environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, number: int) -> None:
        if self.is_running:
            assert self._process is not None
            self._process.send_signal(number)

    async def wait(self, timeout: float) -> int | None:
        """The exit status, or None where it has not ended in time."""
        assert self._process is not None
        deadline = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        return self._process.returncode

    def end(self) -> None:
        """End it for good, and wait until it has."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
                self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=10)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def gateway_process(folder: Path, port: int) -> Process:
    """A paper gateway with IB's limits, whose account survives it."""
    return Process(
        "gateway",
        [
            "gateway",
            "start",
            "--port",
            str(port),
            "--cash",
            "50000000",
            "--data-dir",
            str(folder / "gateway"),
        ],
        folder,
        TRADEMIND_SERVER__LOG_LEVEL="info",
    )


def server_process(folder: Path, port: int, gateway_port: int) -> Process:
    """A TradeMind server with short deadlines."""
    return Process(
        "server",
        ["server", "start", "--port", str(port)],
        folder,
        TRADEMIND_BROKER="ibkr",
        TRADEMIND_DATA_DIR=str(folder / "server"),
        TRADEMIND_IBKR__PORT=str(gateway_port),
        TRADEMIND_IBKR__CLIENT_ID=str(CLIENT_ID),
        TRADEMIND_IBKR__HEARTBEAT=str(HEARTBEAT),
        TRADEMIND_IBKR__SILENT_AFTER=str(SILENT_AFTER),
        TRADEMIND_IBKR__REQUEST_TIMEOUT=str(REQUEST_TIMEOUT),
        TRADEMIND_IBKR__ORDER_TIMEOUT=str(ORDER_TIMEOUT),
        TRADEMIND_IBKR__CONNECT_TIMEOUT=str(CONNECT_TIMEOUT),
    )


async def until_listening(process: Process, port: int) -> None:
    """Wait until something listens on `port`. Raises `RuntimeError` when it does not come to that."""
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        if not process.is_running:
            raise RuntimeError(f"the {process.name} ended before it listened; see {process.log}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the {process.name} did not listen on port {port} in {START_WITHIN:g} s")


async def until_ready(process: Process, url: str, within: float) -> float | None:
    """Wait for `/readyz`; the seconds that it took, or None where it did not come in time."""
    begun = time.monotonic()
    async with httpx.AsyncClient(timeout=5) as client:
        while time.monotonic() - begun < within and process.is_running:
            with suppress(httpx.HTTPError):
                if (await client.get(f"{url}/readyz")).status_code == 200:
                    return time.monotonic() - begun
            await asyncio.sleep(0.1)
    return None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds at one moment."""

    at: float
    """Seconds since the beginning of the run."""
    rss: int
    """Bytes of memory."""
    sockets: int
    files: int
    """Open files, sockets among them."""
    threads: int


def usage_of(pid: int, at: float) -> Usage:
    """As the system tells it (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    links = []
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            links.append(os.readlink(each))
    return Usage(
        at=at,
        rss=int(_number(status, "VmRSS")) * 1024,
        sockets=sum(link.startswith("socket:") for link in links),
        files=len(links),
        threads=int(_number(status, "Threads")),
    )


def _number(status: str, name: str) -> str:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    assert found is not None
    return found[1]


def holds_connection(port: int, peer_port: int) -> bool:
    """Whether a process of this machine holds the end at `port` of a loopback connection (Linux)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = tuple(int(address.rpartition(":")[2], 16) for address in fields[1:3])
        if ports == (port, peer_port):
            return fields[9] != "0"  # without an inode it is the system's alone
    return False
