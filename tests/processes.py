"""Real processes for tests and benchmarks: on free loopback ports, in a folder of their own, ended by id."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str], port: int, ready: str | None = None, *, folder: Path | None = None, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python -m command` until the block ends.

    The block is entered when something listens on `port` and, where `ready` is given, that path answers
    200. `folder` is the working and data directory, a temporary one by default.
    """
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(__file__).resolve().parent.parent
        directory = folder or Path(temporary)
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=directory,
            env={
                **os.environ,
                "PYTHONPATH": str(root),
                "TRADEMIND_DATA_DIR": str(directory / "data"),
                **environment,
            },
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait(process, port, ready)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(timeout=15)


def _wait(process: "subprocess.Popen[bytes]", port: int, ready: str | None) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the process ended with {process.returncode} before it was ready")
        if _answers(port, ready):
            return
        time.sleep(0.05)
    raise RuntimeError(f"port {port} was not ready in 30 s")


def _answers(port: int, ready: str | None) -> bool:
    try:
        if ready is not None:
            return httpx.get(f"http://127.0.0.1:{port}{ready}", timeout=2).status_code == 200
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except (httpx.HTTPError, OSError):
        return False
