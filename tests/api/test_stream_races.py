"""One client of `/api/stream` whose commands, frames and end fall together with everything else.

Strategy: the connection itself, with a socket in the test's hands: commands are there all at once, as those
of a client that sends them in a row are, and frames are taken one by one, as by one that reads slowly. What
depends on a session has the real broker and the real gateway behind it.
Each docstring says in its last half sentence what was taken out to see the test fail.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket, WebSocketState

from tests.api.memory import AAPL, MSFT, NOW, MemoryBroker, make_order
from tests.brokers.test_client import resting
from tests.brokers.test_faults import until
from tests.brokers.test_races import OPEN_ORDER, ORDER_STATUS, begin, hold_up
from tests.proxy import Proxy, withhold
from trademind import IBKRBroker
from trademind.api.market_frames import market_text
from trademind.api.streaming import LAST_WORDS, PAGE, SEND_WITHIN, Connection
from trademind.brokers.base import Broker
from trademind.domain import Channel, Depth, SessionState
from trademind.errors import OrderOutcomeUnknown
from trademind.gateway.server import PaperGatewayServer
from trademind.market.hub import Hub

Frame = dict[str, Any]


class Socket:
    """The server's end of a connection to a client that reads at once, or only when it is told to."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self.application_state = WebSocketState.CONNECTED
        self.frames: list[Frame] = []
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self.is_broken = False
        self._is_slow = is_slow
        self._may_take = asyncio.Semaphore(0)
        self._commands: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    # The client's side

    def say(self, text: str) -> None:
        self._commands.put_nowait({"type": "websocket.receive", "text": text})

    def ask(self, identity: object = None, *, action: str = "subscribe", **channels: object) -> None:
        self.say(json.dumps({"action": action, "id": identity, "channels": channels}))

    def hang_up(self) -> None:
        self._commands.put_nowait({"type": "websocket.disconnect"})

    async def take(self) -> Frame:
        """The next frame of a client that reads slowly."""
        count = len(self.frames)
        self._may_take.release()
        await until(lambda: len(self.frames) > count, 2)
        return self.frames[-1]

    def read_on(self) -> None:
        """Read at once from now on."""
        self._is_slow = False
        self._may_take.release()

    # The server's side

    async def accept(self) -> None: ...

    async def receive(self) -> dict[str, str]:
        return await self._commands.get()

    async def send_text(self, text: str) -> None:
        if self.is_broken:
            raise RuntimeError("Unexpected ASGI message 'websocket.send', after sending 'websocket.close'.")
        if self._is_slow:
            await self._may_take.acquire()
        frame = json.loads(text)
        self.frames.append(frame)
        self.on_frame(frame)

    async def close(self, code: int, reason: str) -> None:
        if self._is_slow:
            await self._may_take.acquire()
        self.application_state = WebSocketState.DISCONNECTED


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.streams.resume(1)
    return broker


@asynccontextmanager
async def served(socket: Socket, broker: Broker) -> AsyncIterator["asyncio.Task[None]"]:
    serving = begin(Connection(cast(WebSocket, socket), broker, Hub(broker, market_text)).serve())
    try:
        yield serving
    finally:
        socket.hang_up()
        await serving


async def turns(count: int) -> None:
    """Let everybody else have so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)


def kinds(frames: list[Frame]) -> list[tuple[str, str | None]]:
    return [(frame["type"], frame.get("channel")) for frame in frames]


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# How things stand, and what changes ------------------------------------------------------------


async def test_what_is_subscribed_to_in_a_gap_is_told_before_its_end() -> None:
    """And nothing of it before that. Seen to fail with a gap that ends without what is owed, and with events
    of what is owed."""
    async with (
        PaperGatewayServer(seed=42) as gateway,
        Proxy(gateway.port) as proxy,
        IBKRBroker(port=proxy.port) as broker,
    ):
        for acknowledgement in (OPEN_ORDER, ORDER_STATUS):
            proxy.from_gateway[acknowledgement] = withhold
        placing = begin(broker.place_order(resting(client_order_id="k")))
        await until(gateway.core.exchange.orders)
        proxy.from_gateway.clear()
        proxy.is_up = False
        proxy.cut()
        with pytest.raises(OrderOutcomeUnknown):
            await placing
        await until(lambda: broker.session.state is SessionState.DISCONNECTED)
        socket = Socket()
        async with served(socket, broker):
            socket.ask(1, orders=True)
            await until(lambda: len(socket.frames) == 2)
            assert set(kinds(socket.frames)) == {("gap", None), ("ack", None)}
            proxy.is_up = True
            await broker.connect()
            await until(lambda: socket.frames[-1]["type"] == "resumed")
            snapshot, resumed = socket.frames[2:]
            assert kinds([snapshot, resumed]) == [("snapshot", "orders"), ("resumed", None)]
            assert [(order["id"], order["status"]) for order in snapshot["data"]] == [("k", "submitted")]
            assert resumed["data"]["recovered"] == ["orders"]


async def test_nothing_older_than_its_snapshot_comes_after_it(broker: MemoryBroker) -> None:
    """However slowly the client reads, and nothing is left out. Seen to fail with snapshots that are read
    when their turn to be sent comes, while events wait."""
    broker.orders = [make_order(1, quantity=Decimal(1))]

    def change() -> None:
        (order,) = broker.orders
        broker.orders = [replace(order, quantity=order.quantity + 1)]
        broker.streams.publish(Channel.ORDERS, broker.orders[0])

    socket = Socket(is_slow=True)
    async with served(socket, broker):
        socket.ask(session=True, account=True, executions=True, orders=True)
        for _ in range(10):
            change()
            await turns(5)
            change()
            await socket.take()
        change()
        socket.read_on()
        await until(lambda: kinds(socket.frames).count(("event", "orders")) and told(socket)[-1] == 22)
        assert told(socket) == list(range(told(socket)[0], 23))
        assert kinds(socket.frames).count(("snapshot", "orders")) == 1


def told(socket: Socket) -> list[int]:
    """The quantities of the order, as the client was told them."""
    data = [frame["data"] for frame in socket.frames if frame.get("channel") == "orders"]
    return [int(order["quantity"]) for each in data for order in (each if isinstance(each, list) else [each])]


async def test_subscribing_again_in_the_middle_of_a_snapshot_repeats_nothing(broker: MemoryBroker) -> None:
    """What changes meanwhile waits for its last page. Seen to fail with a state for every subscription."""
    broker.orders = [make_order(number) for number in range(2 * PAGE + 100)]
    socket = Socket(is_slow=True)
    async with served(socket, broker):
        socket.ask(1, orders=True)
        assert (await socket.take())["type"] == "ack"
        assert (await socket.take())["more"] is True
        socket.ask(2, orders=True)
        broker.streams.publish(Channel.ORDERS, make_order(0, quantity=Decimal(7)))
        socket.read_on()
        await until(lambda: socket.frames[-1]["type"] == "event", 2)
        socket.ask(3)
        await until(lambda: socket.frames[-1].get("id") == 3, 2)
    assert [frame["id"] for frame in socket.frames if frame["type"] == "ack"] == [1, 2, 3]
    pages = [frame for frame in socket.frames if frame["type"] == "snapshot"]
    assert [(len(page["data"]), page["more"]) for page in pages] == [(PAGE, True), (PAGE, True), (100, False)]
    assert [frame["type"] for frame in socket.frames if frame["type"] != "ack"] == ["snapshot"] * 3 + [
        "event"
    ]


@pytest.mark.parametrize("interval_ms", [None, 0])
async def test_what_is_let_go_while_it_is_sent_does_not_come_after_that(
    broker: MemoryBroker, interval_ms: int | None
) -> None:
    """What is on its way comes before the acknowledgement. Seen to fail with one that does not wait."""
    broker.books[AAPL.con_id] = Depth(contract=AAPL, as_of=NOW, bids=(), asks=(), is_smart=True)
    socket = Socket(is_slow=True)
    command = {"action": "subscribe", "channels": {"quotes": ["AAPL", "MSFT"], "depth": ["AAPL"]}}
    socket.say(json.dumps(command | ({} if interval_ms is None else {"interval_ms": interval_ms})))
    async with served(socket, broker):
        assert (await socket.take())["type"] == "ack"
        await turns(10)  # the first frame of what was subscribed to waits to be read
        socket.ask("out", action="unsubscribe", depth=["AAPL"], quotes=["MSFT"])
        await turns(10)
        socket.read_on()
        await until(lambda: socket.frames[-1].get("id") == "out", 2)
        broker.tick(AAPL, last=2.0)
        broker.tick(MSFT)
        broker.show(broker.books[AAPL.con_id])
        await until(lambda: socket.frames[-1].get("id") != "out", 2)
        await turns(10)
    (out,) = [number for number, frame in enumerate(socket.frames) if frame.get("id") == "out"]
    assert socket.frames[out]["data"]["channels"] == ["quotes"]
    told = [
        (frame["channel"], value["symbol"])
        for frame in socket.frames[out + 1 :]
        for value in (frame["data"] if isinstance(frame["data"], list) else [frame["data"]])
    ]
    assert told == [("quotes", "AAPL")]


# Turns -----------------------------------------------------------------------------------------


async def test_pages_and_commands_in_a_row_leave_others_their_turn(broker: MemoryBroker) -> None:
    """Between two turns of somebody else there is at most one page and one answer. Seen to fail with a
    reader, and with a sender of pages, that never gives way."""
    broker.orders = [make_order(number) for number in range(500)]
    others = 0
    work: Counter[tuple[int, str]] = Counter()

    async def count() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    socket = Socket()
    socket.on_frame = lambda frame: work.update([(others, frame["type"])])
    for number in range(200):
        socket.ask(number, orders=True)
    counting = begin(count())
    async with served(socket, broker):
        await until(lambda: len(socket.frames) == 203)
    counting.cancel()
    assert max(work.values()) == 1
    assert [frame["id"] for frame in socket.frames if frame["type"] == "ack"] == list(range(200))
    pages = [frame for frame in socket.frames if frame["type"] == "snapshot"]
    assert [(len(page["data"]), page["more"]) for page in pages] == [(200, True), (200, True), (100, False)]
    assert [order["ib_order_id"] for page in pages for order in page["data"]] == list(range(500))


async def test_bad_commands_among_good_ones_are_answered_in_their_turn(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail with an id that cannot be sent back, and with con ids and symbols that are not checked."""
    bad = [
        r'{"action": "subscribe", "id": "\ud800", "channels": {"orders": true}}',
        r'{"action": "\udfff", "id": 1, "channels": {}}',
        r'{"action": "subscribe", "id": 1, "channels": {"quotes": ["\ud800"]}}',
        '{"action": "subscribe", "id": 1, "channels": {"quotes": [0]}}',
        '{"action": "subscribe", "id": 1, "channels": {"quotes": [-5]}}',
        '{"action": "subscribe", "id": 1, "channels": {"quotes": ["%s"]}}' % ("A" * 101),
    ]
    socket = Socket()
    for text in bad:
        socket.say(text)
        socket.ask("good", session=True)
    async with served(socket, broker):
        await until(lambda: len(socket.frames) == 2 * len(bad) + 1, 2)
    answers = [frame["type"] for frame in socket.frames if frame["type"] != "snapshot"]
    assert answers == ["error", "ack"] * len(bad)
    codes = [frame["data"]["code"] for frame in socket.frames if frame["type"] == "error"]
    assert codes == ["malformed"] * 3 + ["invalid"] * 3
    assert errors_in(caplog) == []


# The end of one that does not read -------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
async def test_a_client_that_never_reads_is_no_error_when_the_server_drains(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture, taken: int
) -> None:
    """It is waited for no longer than that. Seen to fail with an end that is told only to whoever reads."""
    broker.orders = [make_order(number) for number in range(500)]
    socket = Socket(is_slow=True)
    for number in range(40):
        socket.ask(number, orders=True, account=True)
    async with served(socket, broker) as serving:
        for _ in range(taken):
            await socket.take()
        await turns(5)
        broker.drain()
        await turns(5)
        assert not serving.done()
        hold_up(LAST_WORDS)
        await asyncio.wait_for(asyncio.shield(serving), 2)
    assert len(socket.frames) == taken
    assert len(broker.streams) == 0
    assert errors_in(caplog) == []


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
async def test_a_client_that_takes_nothing_for_too_long_is_no_error(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture, taken: int
) -> None:
    """Seen to fail with a reader to whom a deadline comes as a surprise."""
    broker.orders = [make_order(number) for number in range(500)]
    socket = Socket(is_slow=True)
    for number in range(40):
        socket.ask(number, orders=True, account=True)
    async with served(socket, broker) as serving:
        for _ in range(taken):
            await socket.take()
        await turns(5)
        hold_up(SEND_WITHIN)
        await turns(5)
        hold_up(LAST_WORDS)
        await asyncio.wait_for(asyncio.shield(serving), 2)
    assert len(broker.streams) == 0
    assert errors_in(caplog) == []


async def test_a_connection_that_the_server_has_closed_meanwhile_is_no_error(
    broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """For a ping that was not answered, say. Seen to fail with a sender to whom that comes as a surprise."""
    socket = Socket()
    socket.ask(1, orders=True)
    async with served(socket, broker) as serving:
        await until(lambda: len(socket.frames) == 2, 2)
        socket.is_broken = True
        broker.streams.publish(Channel.ORDERS, make_order(1))
        await asyncio.wait_for(asyncio.shield(serving), 2)
    assert len(broker.streams) == 0
    assert errors_in(caplog) == []
