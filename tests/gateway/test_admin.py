"""The admin socket: what it does, and for whom it does nothing."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.bench import Bench, open_bench, until
from tests.gateway.test_faults import AAPL
from trademind.gateway.admin import ADDRESS, MAX_LINE, SOCKET, AdminError, ask
from trademind.gateway.faults import LoseLink, Step
from trademind.gateway.scripts import write_step

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")]


@pytest.fixture(params=["socket", "port"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    if request.param == "port":
        monkeypatch.setattr("trademind.gateway.admin.LONGEST_PATH", 0)
    async with open_bench(data_dir=tmp_path) as opened:
        yield opened


async def give(directory: Path, command: str, **parameters: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ask, directory, command, **parameters)


async def test_commands(bench: Bench, tmp_path: Path) -> None:
    async with bench.client() as ib:
        ticker = ib.reqMktData(AAPL)
        await until(lambda: ticker.last == ticker.last)
        put = await give(tmp_path, "price", symbol="AAPL", price="150.5")
        assert put == {"symbol": "AAPL", "price": "150.5"}
        await until(lambda: ticker.last == 150.5)
        assert await give(tmp_path, "halt", symbol="aapl") == {"symbol": "aapl", "halted": True}
        await until(lambda: ticker.halted == 1)
        status = await give(tmp_path, "status")
        assert (status["clients"], status["halted"], status["prices"]) == ([1], ["AAPL"], ["AAPL 150.5"])
        assert await give(tmp_path, "resume", symbol="AAPL") == {"symbol": "AAPL", "halted": False}
        await give(tmp_path, "price", symbol="AAPL", price=None)
        await until(lambda: ticker.halted == 0 and ticker.last != 150.5)
        before = bench.clock.now()
        await give(tmp_path, "advance", seconds=90)
        assert bench.clock.now() - before == timedelta(seconds=90)


async def test_faults(bench: Bench, tmp_path: Path) -> None:
    step = Step(do=LoseLink(), at=timedelta(seconds=5))
    assert await give(tmp_path, "faults.add", steps=[write_step(step)]) == {"numbers": [1]}
    assert await give(tmp_path, "faults.list") == {
        "faults": [{"number": 1, "left": 1, "do": "lose_link", "at": "5s"}]
    }
    with pytest.raises(AdminError, match="no step 7"):
        await give(tmp_path, "faults.clear", number=7)
    assert await give(tmp_path, "faults.clear", number=1) == {"cleared": 1}


@pytest.mark.parametrize(
    ("command", "parameters", "problem"),
    [
        ("explode", {}, "the commands are status"),
        ("faults.add", {"steps": [{"do": "explode"}]}, r"\[0\].do"),
        ("faults.add", {"steps": [{"do": "halt", "with": {"symbol": "NOPE"}}]}, r"^\[0\]: nothing is traded"),
        ("faults.add", {}, "a list of steps"),
        ("faults.clear", {"number": "x"}, "whole number"),
        ("price", {"symbol": "AAPL", "price": "cheap"}, "'cheap' is not a number"),
        ("price", {"symbol": "AAPL", "price": "-1"}, "no price of AAPL"),
        ("price", {"symbol": "AAPL", "price": "5", "bid": "6"}, "above the ask"),
        ("price", {"price": "5"}, "needs `symbol`"),
        ("halt", {"symbol": "NOPE"}, "NOPE"),
        ("price", {"symbol": "AAPL", "price": "1e-9999999"}, "no price of AAPL"),
        ("price", {"symbol": "AAPL", "price": "NaN"}, "'NaN' is not a number"),
        ("advance", {"seconds": -1}, "billion"),
        ("advance", {"seconds": "NaN"}, "'NaN' is not a number"),
        ("faults.add", {"steps": [{"do": "lose_link", "at": "99999999h"}]}, "3650 days"),
        (
            "faults.add",
            {"steps": [{"do": "replace", "with": {"pattern": ".", "by": "\\9"}, "message": "*"}]},
            "cannot replace",
        ),
    ],
)
async def test_a_command_that_cannot_be_meant(
    bench: Bench, tmp_path: Path, command: str, parameters: dict[str, Any], problem: str
) -> None:
    with pytest.raises(AdminError, match=problem):
        await give(tmp_path, command, **parameters)
    assert (await give(tmp_path, "status"))["faults"] == 0


async def test_only_the_owner_may_open_it(bench: Bench, tmp_path: Path) -> None:
    (path,) = (tmp_path / name for name in (SOCKET, ADDRESS) if (tmp_path / name).exists())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _open(directory: Path) -> tuple[socket.socket, str]:
    if (directory / SOCKET).exists():
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(directory / SOCKET))
        return connection, ""
    address = json.loads((directory / ADDRESS).read_text())
    return socket.create_connection(("127.0.0.1", address["port"])), address["secret"]


WEB_PAGE = b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n{"command": "halt", "symbol": "AAPL"}\n'


@pytest.mark.parametrize("junk", [WEB_PAGE, b"[]\n", b"\xff\n", b"x" * (MAX_LINE + 10), b"5\n"])
async def test_what_is_no_command_ends_the_connection(bench: Bench, tmp_path: Path, junk: bytes) -> None:
    def send() -> bytes:
        connection, _ = _open(tmp_path)
        with connection:
            connection.settimeout(10)
            try:
                connection.sendall(junk)
                return connection.recv(1000)
            except ConnectionError:
                return b""

    assert await asyncio.to_thread(send) == b""
    assert (await give(tmp_path, "status"))["halted"] == []


async def test_nothing_is_done_without_the_secret(bench: Bench, tmp_path: Path) -> None:
    if not (tmp_path / ADDRESS).exists():
        return
    for secret in (None, "", 5, "wrong"):

        def send(said: object = secret) -> bytes:
            connection, _ = _open(tmp_path)
            with connection:
                connection.settimeout(10)
                connection.sendall(json.dumps({"command": "status", "secret": said}).encode() + b"\n")
                return connection.recv(1000)

        assert await asyncio.to_thread(send) == b""


def left_behind(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} & {SOCKET, ADDRESS}


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match=r"no paper gateway is running .*gateway start`, or give --data-dir"):
        await give(tmp_path, "status")
    async with open_bench(data_dir=tmp_path):
        await give(tmp_path, "status")
    assert left_behind(tmp_path) == set()
    # A gateway that was killed leaves its socket behind: the next one takes the place.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / SOCKET))
    with pytest.raises(AdminError, match="no paper gateway is running"):
        await give(tmp_path, "status")
    async with open_bench(data_dir=tmp_path):
        await give(tmp_path, "status")


async def test_what_is_nested_too_deeply_is_answered(bench: Bench, tmp_path: Path) -> None:
    def send() -> list[bytes]:
        connection, secret = _open(tmp_path)
        with connection:
            connection.settimeout(10)
            connection.sendall(json.dumps({"command": "status", "secret": secret}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                first = answers.readline()
                connection.sendall(b"[" * 100_000 + b"\n")
                return [first, answers.readline(), answers.readline()]

    first, second, end = await asyncio.to_thread(send)
    assert json.loads(first)["ok"]
    assert json.loads(second) == {"ok": False, "error": "a command is not nested that deeply"}
    assert end == b""
