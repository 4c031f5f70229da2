"""The doctor's questions, put to the paper gateway and to things that are no gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from trademind.brokers.ibkr.client import IBKRBroker
from trademind.brokers.ibkr.diagnose import Check, Target, _account_checks, diagnose
from trademind.clock import ManualClock
from trademind.gateway.server import PaperGatewayServer


def target(port: int, **changes: object) -> Target:
    fields: dict[str, object] = {"host": "127.0.0.1", "port": port, "client_id": 1, **changes}
    return Target(**fields)  # type: ignore[arg-type]


def failed(checks: list[Check]) -> list[str]:
    assert all(check.ok or check.remedy for check in checks), "a failed check says how to mend it"
    return [check.name for check in checks if not check.ok]


@asynccontextmanager
async def listening(answer: bytes, *, close: bool) -> AsyncIterator[int]:
    """A server that reads a little, answers with these bytes and then hangs up, or says nothing more."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        if not close:
            await done.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


async def test_a_gateway_that_is_well() -> None:
    async with PaperGatewayServer() as gateway:
        checks = await diagnose(target(gateway.port))
    assert failed(checks) == []
    names = ["port", "TWS API", "client id", "accounts", "paper or live", "clock", "market data"]
    assert [check.name for check in checks] == names
    assert "server version 200" in checks[1].found


async def test_the_client_id_is_free_again_afterwards() -> None:
    async with PaperGatewayServer() as gateway:
        for _ in range(2):
            assert failed(await diagnose(target(gateway.port))) == []


async def test_nothing_listens() -> None:
    async with listening(b"", close=True) as port:
        pass
    checks = await diagnose(target(port))
    assert failed(checks) == ["port"]
    assert len(checks) == 1


@pytest.mark.parametrize(
    ("answer", "close"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH_9.6\r\n", False),
        (b"\xff" * 100, False),
        (b"\x00\x00\x00\x06hello\x00", False),
        (b"", True),
        (b"\x00\x00", True),
        (b"", False),
    ],
)
async def test_something_else_listens(answer: bytes, close: bool) -> None:
    async with listening(answer, close=close) as port:
        checks = await diagnose(target(port, patience=0.2))
    assert failed(checks) == ["TWS API"]


async def test_a_gateway_that_lets_nobody_on() -> None:
    hello = b"178\x0020260130 10:30:00 EST\x00"
    async with listening(len(hello).to_bytes(4, "big") + hello, close=False) as port:
        checks = await diagnose(target(port, patience=0.2))
    assert failed(checks) == ["client id"]
    assert "no answer" in checks[-1].found


async def test_a_client_id_in_use_and_the_rest_all_the_same() -> None:
    async with PaperGatewayServer() as gateway, IBKRBroker(port=gateway.port, client_id=1):
        checks = await diagnose(target(gateway.port))
    assert failed(checks) == ["client id"]
    assert "in use" in next(check for check in checks if check.name == "client id").found
    assert [check.name for check in checks][-1] == "market data"


async def test_a_client_id_held_by_the_server_is_as_it_should_be() -> None:
    async with PaperGatewayServer() as gateway, IBKRBroker(port=gateway.port, client_id=1):
        checks = await diagnose(target(gateway.port, holder="the running server"))
    assert failed(checks) == []


async def test_a_clock_that_is_wrong() -> None:
    clock = ManualClock(datetime(2020, 1, 2, 15, 0, tzinfo=UTC))
    async with PaperGatewayServer(clock=clock) as gateway:
        checks = await diagnose(target(gateway.port))
    assert failed(checks) == ["clock"]
    assert "behind" in next(check for check in checks if check.name == "clock").found


@pytest.mark.parametrize(
    ("accounts", "changes", "ok", "found"),
    [
        (("DU1",), {}, True, "DU1 is a paper account"),
        (("U1",), {}, True, "U1 is a live account: read-only"),
        (("U1",), {"allow_live": True}, True, "LIVE"),
        (("DU1", "DU2"), {}, False, "DU1, DU2"),
        (("DU1", "DU2"), {"account": "DU2"}, True, "DU2 is a paper account"),
        (("DU1",), {"account": "DU9"}, False, "DU9 is not among them"),
        ((), {}, False, "none"),
    ],
)
def test_accounts(accounts: tuple[str, ...], changes: dict[str, object], ok: bool, found: str) -> None:
    checks = _account_checks(target(1, **changes), accounts)
    assert (failed(checks) == []) is ok
    assert found in checks[-1].found
