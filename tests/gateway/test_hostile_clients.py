"""Clients that do not play by the rules are dropped; the others do not notice."""

import asyncio
import contextlib
import logging
import struct
from collections.abc import AsyncIterator
from typing import Any

import ib_async
import pytest
from ib_async import LimitOrder, MarketOrder

from tests.gateway.bench import Bench, open_bench, until
from trademind.gateway import server as server_module
from trademind.gateway.wire.fields import encode_fields
from trademind.gateway.wire.frames import MAX_FRAME, encode_frame

pytestmark = pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")

HELLO = b"API\0" + encode_frame(b"v100..178")


def message(*values: Any) -> bytes:
    return encode_frame(encode_fields(values))


START = message(71, 2, 9, "")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened


class Raw:
    """A client that can send anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def frame(self) -> list[bytes]:
        (length,) = struct.unpack(">I", await self.reader.readexactly(4))
        return (await self.reader.readexactly(length)).split(b"\0")[:-1]

    async def hear(self, kind: bytes) -> list[bytes]:
        """The next message of a kind."""
        async with asyncio.timeout(5):
            while (fields := await self.frame())[0] != kind:
                pass
        return fields

    async def is_dropped(self) -> bool:
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass
        return True


@contextlib.asynccontextmanager
async def raw(bench: Bench) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.server.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def is_well(ib: ib_async.IB, bench: Bench) -> bool:
    return await ib.reqCurrentTimeAsync() == bench.clock.now()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"API\0" + b"\xff\xff\xff\xff",
        b"API\0" + struct.pack(">I", 2 << 30),
        b"API\0" + encode_frame(b"hello"),
        b"API\0" + encode_frame(b"v900..901"),
        HELLO + struct.pack(">I", MAX_FRAME + 1),
        HELLO + message(61, 1),
        HELLO + message(71, 2, "me", ""),
        HELLO + START + struct.pack(">I", 2 << 30) + b"x" * 10_000,
        HELLO + START + encode_frame(b""),
        HELLO + START + encode_frame(b"\xff\xfe\0garbage\0"),
    ],
)
async def test_what_is_not_the_protocol_ends_the_connection(bench: Bench, data: bytes) -> None:
    async with bench.client() as ib, raw(bench) as client:
        client.send(data)

        assert await client.is_dropped()
        assert await is_well(ib, bench)
        assert len(bench.server.clients) == 1


async def test_a_client_of_another_age_is_told(bench: Bench) -> None:
    async with raw(bench) as client:
        client.send(b"API\0", encode_frame(b"v100..150"))

        fields = await client.frame()
        assert fields[:4] == [b"4", b"2", b"-1", b"506"]
        assert await client.is_dropped()


@pytest.mark.parametrize("cut", [2, 6, len(HELLO), len(HELLO) + 3, len(HELLO + START) - 1])
async def test_half_a_frame_and_gone(bench: Bench, cut: int) -> None:
    async with bench.client() as ib:
        async with raw(bench) as client:
            client.send((HELLO + START)[:cut])
            await client.writer.drain()
        await until(lambda: len(bench.server.clients) == 1)
        assert await is_well(ib, bench)


async def test_bytes_that_come_one_by_one(bench: Bench) -> None:
    async with raw(bench) as client:
        for byte in HELLO + START + message(49, 1):
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)

        assert (await client.hear(b"49"))[2] == b"%d" % int(bench.clock.now().timestamp())


async def test_a_client_that_never_starts_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "START_WITHIN", 0.05)
    async with raw(bench) as client:
        client.send(HELLO)

        assert await client.is_dropped()
    await until(lambda: not bench.server.clients)


async def test_a_client_that_never_reads_is_dropped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel's own buffers take some megabytes on top: with a smaller bound there is less to send.
    monkeypatch.setattr(server_module, "MAX_UNSENT", 1 << 20)
    monkeypatch.setattr(server_module, "STALLED_AFTER", 0.05)
    async with bench.client() as ib, raw(bench) as client:
        client.send(HELLO, START)
        await client.hear(b"9")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        # Contract details: some eight hundred bytes for sixty.
        details = message(9, 8, 1, 265598, *[""] * 11, 0, "", "", "")
        client.send(*[details] * 25_000)

        await until(lambda: len(bench.server.clients) == 1)
        assert await is_well(ib, bench)


async def test_a_client_that_leaves_in_the_middle_of_an_answer(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.client() as ib:
        async with raw(bench) as client:
            client.send(HELLO, START)
            await client.hear(b"9")
            client.send(message(20, 5, 265598, *[""] * 11, 0, "", "1 min", "1 W", 0, "TRADES", 1, 1, ""))
            client.writer.transport.abort()
        await until(lambda: len(bench.server.clients) == 1)
        assert await is_well(ib, bench)
        assert len(bench.server.core.sessions) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_more_clients_than_there_is_room_for(bench: Bench) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for number in range(server_module.MAX_CLIENTS):
            clients.append(await stack.enter_async_context(raw(bench)))
            clients[-1].send(HELLO, message(71, 2, number, ""))
            assert await clients[-1].hear(b"15")
        async with raw(bench) as refused:
            assert await refused.is_dropped()
        clients[0].send(message(49, 1))
        assert await clients[0].hear(b"49")


async def test_connections_that_do_nothing_keep_nobody_out(bench: Bench) -> None:
    async with contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(raw(bench)) for _ in range(2 * server_module.MAX_CLIENTS)]
        async with bench.client() as ib:
            assert await is_well(ib, bench)
            assert len(bench.server.clients) <= server_module.MAX_UNSTARTED + 1
        assert await idle[0].is_dropped()


@pytest.mark.parametrize("client_id", [-1, 2**31, 2**63 - 1])
async def test_client_ids_that_are_none(bench: Bench, client_id: int) -> None:
    async with raw(bench) as client:
        client.send(HELLO, message(71, 2, client_id, ""))

        assert (await client.hear(b"4"))[3] == b"321"
        assert await client.is_dropped()
    await until(lambda: not bench.server.clients)


async def test_a_client_that_reads_slowly_gets_everything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_UNSENT", 1 << 16)
    async with raw(bench) as client:
        client.send(HELLO, START)
        await client.hear(b"9")
        details = message(9, 8, 1, 265598, *[""] * 11, 0, "", "", "")
        client.send(*[details] * 15_000, message(49, 1))

        # More than the kernel holds is under way before the first byte is read.
        await until(lambda: bench.server.clients[0]._is_paused)
        assert await client.hear(b"49")


@pytest.mark.parametrize(
    ("fields", "req_id", "code"),
    [
        ((62, 1, "x", "All", "T"), -1, 320),
        ((62, 1, 44, "All"), 44, 320),
        ((1, 11, 44, "nonsense"), 44, 320),
        ((3, 44, 265598, "AAPL"), 44, 320),
        ((20, 44, 265598, *[""] * 11, 0, "", "1 day", "1 D", "maybe", "TRADES", 1, 0, ""), 44, 320),
        ((999, 1, 44), -1, 505),
        ((71, 2, 10, ""), -1, 501),
        ((59, 1, 9), -1, 321),
        ((91, 4711), -1, 321),
        ((6, 2, 1, "U999"), -1, 321),
        ((92, 44, "U999", ""), 44, 321),
        ((7, 3, 44, 0, "", "lately", "", "", "", ""), 44, 321),
        ((15, 1, 1), -1, 327),
    ],
)
async def test_requests_that_cannot_be_read_get_an_error(
    bench: Bench, fields: tuple[Any, ...], req_id: int, code: int
) -> None:
    async with raw(bench) as client:
        client.send(HELLO, START)
        await client.hear(b"4")
        await client.hear(b"4")
        await client.hear(b"4")
        client.send(message(*fields), message(49, 1))

        error = await client.hear(b"4")
        assert (int(error[2]), int(error[3])) == (req_id, code)
        # The connection goes on.
        assert await client.hear(b"49")


ORDER_NUMBERS = ["nan", "inf", "-inf", "1e999999", "1e-999999", "ten", "0x10", "1_000", "9" * 5000]


@pytest.mark.parametrize("quantity", ORDER_NUMBERS)
async def test_numbers_that_are_none_never_become_orders(bench: Bench, quantity: str) -> None:
    async with bench.client() as ib:
        order = LimitOrder("BUY", 1, 50.0)
        order.totalQuantity = quantity  # type: ignore[assignment]
        ib.client.placeOrder(50, ib_async.Stock("AAPL", "SMART", "USD"), order)
        await until(lambda: bench.errors)

        assert bench.errors[0][0] == 50
        assert await ib.reqAllOpenOrdersAsync() == []
        assert ib.positions() == []


@pytest.mark.parametrize("quantity", [0, -5, 0.5, 1e12])
async def test_quantities_that_cannot_be_bought(bench: Bench, quantity: float) -> None:
    async with bench.client() as ib:
        (aapl,) = await ib.qualifyContractsAsync(ib_async.Stock("AAPL", "SMART", "USD"))
        assert isinstance(aapl, ib_async.Contract)
        ib.placeOrder(aapl, MarketOrder("BUY", quantity))
        await until(lambda: bench.errors)

        assert await ib.reqAllOpenOrdersAsync() == []
        assert ib.positions() == []


async def test_a_handler_that_fails_costs_one_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("boom")

    async with bench.client() as ib:
        monkeypatch.setattr(bench.server.core.universe, "search", broken)
        monkeypatch.setattr(bench.server.core.feed, "bars", broken)
        aapl = ib_async.Stock("AAPL", "SMART", "USD")
        assert await ib.reqMatchingSymbolsAsync("AAPL") == []
        assert list(await ib.reqHistoricalDataAsync(aapl, "", "1 D", "1 hour", "TRADES", True)) == []

        assert [code for _, code, _ in bench.errors] == [322, 322]
        assert await is_well(ib, bench)
    assert caplog.text.count("ZeroDivisionError: boom") == 2


async def test_a_market_that_fails_once_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.client() as ib:
        ticker = ib.reqMktData(ib_async.Stock("AAPL", "SMART", "USD", conId=265598))
        await until(lambda: ticker.volume > 0)
        feed = bench.server.core.feed
        quote, failures = feed.quote, iter([True])

        def flaky(*args: Any) -> Any:
            if next(failures, False):
                raise ZeroDivisionError("boom")
            return quote(*args)

        monkeypatch.setattr(feed, "quote", flaky)
        volume = ticker.volume
        bench.move()

        await until(lambda: ticker.volume > volume)
    assert "a move of the market failed" in caplog.text
