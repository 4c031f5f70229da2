"""A journal that cannot be written to, under a real server process: no order passes, and all else goes on.

The trouble is real: a disk without room, a file that may not be changed, another program's lock, a file that
was cut short. Whether an order went out is asked of the gateway, by a client of its own.
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import ib_async
import pytest

from tests.cli.running import run
from tests.processes import free_port, running

ORDER = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "order_type": "LMT", "limit_price": "1.00"}
AGAIN = 15.0
"""Seconds within which orders pass again, once the cause is gone."""


@dataclass
class Server:
    """A server process whose journal is in `place`, and the gateway it trades at."""

    http: httpx.Client
    place: Path
    gateway_port: int

    def post(self, key: str) -> httpx.Response:
        return self.http.post("/api/orders", json=ORDER | {"client_order_id": key})

    def at_the_gateway(self) -> set[str]:
        """The references of all orders that are working there."""

        async def ask() -> set[str]:
            ib = ib_async.IB()
            await ib.connectAsync("127.0.0.1", self.gateway_port, clientId=77)
            try:
                found = [trade.order.orderRef for trade in await ib.reqAllOpenOrdersAsync()]
                assert len(found) == len(set(found)), "an order was placed twice"
                return set(found)
            finally:
                ib.disconnect()

        return asyncio.run(ask())

    def verify(self) -> "subprocess.CompletedProcess[str]":
        return verify(self.place)

    def check_refusal(self, why: str, before: set[str]) -> None:
        """Orders are refused before the wire, it says why, and everything that needs no journal goes on."""
        answer = self.post("refused")
        assert answer.status_code == 503, answer.text
        refusal = answer.json()
        assert refusal["code"] == "journal_unavailable"
        assert why in refusal["detail"]
        assert "trademind journal verify" in refusal["advice"]
        assert refusal["retry_safe"] is True
        assert int(answer.headers["retry-after"]) > 0
        assert self.at_the_gateway() == before
        for path in ("/api/portfolio/account", "/api/portfolio/positions", "/api/orders", "/api/executions"):
            assert self.http.get(path).status_code == 200, path
        working = self.http.get("/api/orders?status=working").json()["orders"]
        assert {order["id"] for order in working} == before
        readiness = self.http.get("/readyz")
        assert readiness.status_code == 503
        assert (readiness.json()["code"], readiness.json()["missing"]) == ("journal_unavailable", ["journal"])
        assert "trademind_journal_available 0.0" in self.http.get("/metrics").text
        # A cancel needs no journal: whoever wants to get out, gets out.
        if "first" in before:
            assert self.http.delete("/api/orders/first").status_code == 202

    def check_recovery(self) -> None:
        """The order that was refused passes, without a restart, and is there once."""
        self._until(lambda: self.post("refused").status_code in (200, 201))
        self._until(lambda: self.http.get("/readyz").status_code == 200)
        again = self.post("refused")
        assert (again.status_code, again.json()["id"]) == (200, "refused")
        assert "refused" in self.at_the_gateway()
        names = [each["name"] for each in self.http.get("/api/orders/first/events").json()["events"]]
        assert names[0] == "new"
        assert "canceled" in names, "what happened meanwhile was not written down"

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + AGAIN
        while not condition():
            assert time.monotonic() < deadline, f"not within {AGAIN:g} s"
            time.sleep(0.1)  # it is asked over HTTP until it is so, or the deadline has passed


def verify(place: Path) -> "subprocess.CompletedProcess[str]":
    return run("journal", "verify", cwd=place.parent, TRADEMIND_JOURNAL__URL=str(place))


@pytest.fixture
def gateway() -> Iterator[int]:
    """The port of a gateway that outlives every server."""
    port = free_port()
    command = ["trademind", "gateway", "start", "--port", str(port), "--no-pacing"]
    with running(command, port, TRADEMIND_SERVER__LOG_LEVEL="error"):
        yield port


@contextmanager
def serving(gateway_port: int, place: Path, first: str = "first") -> Iterator[Server]:
    """A server that has placed one order."""
    port = free_port()
    command = ["trademind", "server", "start", "--port", str(port)]
    with (
        running(
            command,
            port,
            "/readyz",
            TRADEMIND_BROKER="ibkr",
            TRADEMIND_IBKR__PORT=str(gateway_port),
            TRADEMIND_JOURNAL__URL=str(place),
            TRADEMIND_SERVER__LOG_LEVEL="error",
        ),
        httpx.Client(
            # A connection that is kept is closed by the server after five seconds, perhaps as it is used.
            base_url=f"http://127.0.0.1:{port}",
            timeout=20,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as http,
    ):
        server = Server(http, place, gateway_port)
        assert server.post(first).status_code == 201
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "journal-test", str(place)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can make a small disk")
    if (made := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no small disk can be made: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(gateway: int, tmp_path: Path, disk: Path) -> None:
    with serving(gateway, disk / "journal.db") as server:
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        assert shutil.disk_usage(disk).free == 0
        # The log may have room left in its last pages.
        before = {"first"} | fill_up(server)
        server.check_refusal("the disk is full", before)
        assert server.verify().returncode == 0, "it is sound, only that nothing more goes into it"
        (disk / "filler").unlink()
        server.check_recovery()
        assert server.verify().returncode == 0


def fill_up(server: Server) -> set[str]:
    """Orders that found room all the same."""
    placed: set[str] = set()
    while server.post(key := f"filling-{len(placed)}").status_code == 201:
        placed.add(key)
        assert len(placed) < 1000
    return placed


def test_another_program_holds_the_journal(gateway: int, tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    with serving(gateway, place) as server:
        with closing(sqlite3.connect(place, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            server.check_refusal("is locked by another program", {"first"})
            assert server.verify().returncode == 0
        server.check_recovery()
        assert server.verify().returncode == 0


@contextmanager
def unchangeable(*paths: Path) -> Iterator[None]:
    """Not even root may write to them, nor who has them open."""
    if os.geteuid() != 0 or shutil.which("chattr") is None:
        pytest.skip("only root can take a file's rights from everybody")
    command = ["chattr", "+i", *map(str, paths)]
    if (made := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"the file system keeps no such attribute: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *map(str, paths)], check=True)


@pytest.mark.parametrize("what", ["files", "directory"])
def test_a_journal_that_becomes_read_only(gateway: int, tmp_path: Path, what: str) -> None:
    directory = tmp_path / "journal"
    place = directory / "journal.db"
    with serving(gateway, place) as server:
        files = [each for each in directory.iterdir() if not each.name.endswith(".lock")]
        assert {each.name for each in files} == {"journal.db", "journal.db-wal", "journal.db-shm"}
        if what == "files":
            # Not the index that SQLite shares with readers: it is mapped into memory, and Linux ends whoever
            # writes to a mapped page of a file that has become read-only (SIGBUS).
            with unchangeable(*(each for each in files if not each.name.endswith("-shm"))):
                server.check_refusal("journal.db", {"first"})
                assert server.verify().returncode == 0
            server.check_recovery()
        else:
            # Files that are there can be written to all the same.
            with unchangeable(directory):
                assert server.post("second").status_code == 201
        assert server.verify().returncode == 0


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_journal_that_is_read_only_at_the_start(gateway: int, tmp_path: Path, what: str) -> None:
    directory = tmp_path / "journal"
    place = directory / "journal.db"
    with serving(gateway, place):
        pass
    (directory / "journal.db.lock").unlink(missing_ok=True)
    with unchangeable(place if what == "file" else directory):
        said = start_in_vain(tmp_path, place)
        assert "may be written to" in said or "may write to" in said
        assert verify(place).returncode == 0


def start_in_vain(folder: Path, place: Path) -> str:
    """What a server says that does not start."""
    ended = run("server", "start", "--port", str(free_port()), cwd=folder, TRADEMIND_JOURNAL__URL=str(place))
    assert ended.returncode != 0
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_a_journal_that_is_cut_short_under_the_server_and_at_its_start(gateway: int, tmp_path: Path) -> None:
    """Taken out: the look at the file's size in `Database.writing`; the order passes."""
    place = tmp_path / "journal.db"
    with serving(gateway, place):
        pass  # stopped, so that everything is in the file
    shutil.copy(place, tmp_path / "backup.db")
    with serving(gateway, place, "second") as server:
        os.truncate(place, place.stat().st_size // 2)
        server.check_refusal("was cut short while it was open", {"first", "second"})
        damaged = server.verify()
        assert damaged.returncode == 1
        assert "cut short" in damaged.stdout or "damaged" in damaged.stdout
    os.truncate(place, place.stat().st_size // 2)
    said = start_in_vain(tmp_path, place)
    assert "trademind journal verify" in said
    assert "trademind journal restore" in said
    damaged = verify(place)
    assert damaged.returncode == 1
    assert "not sound" in damaged.stdout
    restored = run(
        "journal",
        "restore",
        str(tmp_path / "backup.db"),
        "--overwrite",
        cwd=tmp_path,
        TRADEMIND_JOURNAL__URL=str(place),
    )
    assert restored.returncode == 0, restored.stderr
    with serving(gateway, place, "third") as server:
        # What the backup knows nothing of, IB's lists tell: nothing is placed a second time.
        assert server.post("first").status_code == 200
        assert server.post("second").json()["status"] == "submitted"
        assert server.at_the_gateway() == {"second", "third"}
