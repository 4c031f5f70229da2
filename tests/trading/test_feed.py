"""The feed: what has happened, told once it is on disk, with the journal's numbers.

A real journal on SQLite; the broker is in memory, so that a test says what happens when, or the real one on
the paper gateway, where the whole way matters. What is told is compared with what the journal has.
How a test was seen to fail is said at the end of its docstring.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.api.memory import NOW, READY, MemoryBroker, make_execution, make_order
from tests.brokers.test_client import order, resting
from tests.brokers.test_faults import until
from tests.journal.test_trouble import locked
from tests.trading.test_entry import open_desk
from trademind.brokers import streams
from trademind.brokers.streams import EventStream
from trademind.domain import (
    Channel,
    Event,
    Gap,
    Order,
    OrderStatus,
    Resumed,
    SessionState,
    State,
)
from trademind.domain.events import StreamItem
from trademind.errors import NotConnected, StateNotKept, StreamOverrun, UnknownSequence
from trademind.gateway.server import PaperGatewayServer
from trademind.journal import Journal, OrderChanged, StoredEvent, open_journal
from trademind.trading import feed as feed_module
from trademind.trading import recorder as recorder_module
from trademind.trading.feed import KEPT, Feed
from trademind.trading.recorder import Recorder


class TalkingBroker(MemoryBroker):
    """The broker in memory, which tells of what it is given. While it has a `failure`, nothing is certain."""

    def __post_init__(self) -> None:
        super().__post_init__()
        states = dict(self.streams._states)

        def certain(channel: Channel) -> Any:
            self._answer()
            return states[channel]()

        self.streams._states = {
            channel: read if channel is Channel.SESSION else partial(certain, channel)
            for channel, read in states.items()
        }

    def say(self, order: Order) -> None:
        self.orders = [order, *(kept for kept in self.orders if kept.id != order.id)]
        self.streams.publish(Channel.ORDERS, order)

    def fill(self, number: int, **changes: Any) -> None:
        execution = make_execution(number, **changes)
        self.executions = (execution, *(e for e in self.executions if e.exec_id != execution.exec_id))
        self.streams.publish(Channel.EXECUTIONS, execution)

    def enter(self, state: SessionState, number: int = 1) -> None:
        """As the supervisor does: a gap, the state, and what ends the gap."""
        if self.session.state is SessionState.READY:
            self.streams.interrupt(NOW, f"the session is {state}", self.session.connection_number)
        self.session = replace(
            READY, state=state, since=self.session.since.replace(microsecond=number), connection_number=number
        )
        self.streams.publish(Channel.SESSION, self.session)
        if state is SessionState.READY:
            self.failure = None
            self.streams.resume(number)

    def has_cash(self, cash: int) -> None:
        self.account = replace(self.account, total_cash_value=Decimal(cash))
        self.streams.touch(Channel.ACCOUNT, lambda: self.account)


@dataclass
class Scene:
    broker: TalkingBroker
    journal: Journal
    feed: Feed

    async def told(self) -> None:
        """Everything that was said has been told."""
        await settle()
        await self.journal.flushed()
        await settle()

    async def events(self) -> list[StoredEvent]:
        return [*await self.journal.reading.events_since(0)]


@asynccontextmanager
async def opened(path: Path, *, is_ready: bool = True) -> AsyncIterator[Scene]:
    broker = TalkingBroker()
    if is_ready:
        broker.streams.resume(1)
    else:
        broker.failure = NotConnected("there is no session")
        broker.session = replace(READY, state=SessionState.SYNCHRONISING)
    async with open_journal(path / "journal.db") as journal, Recorder(broker, journal, ()) as recorder:
        scene = Scene(broker, journal, recorder.feed)
        await scene.told()
        yield scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def reads(stream: EventStream) -> list[StreamItem]:
    """What there is to be read now, the journal's pages included."""
    found: list[StreamItem] = []
    try:
        while True:
            async with asyncio.timeout(0.1):
                found.append(await anext(stream))
    except (TimeoutError, StopAsyncIteration):
        return found


def sequence(items: list[StreamItem]) -> list[int | None]:
    return [item.seq for item in items if isinstance(item, Event)]


def shown(items: list[StreamItem]) -> list[str]:
    """The items in short: what they are, and of which channel or by which name."""
    return [
        f"{item.channel} {item.name}" if isinstance(item, Event)
        else f"state {item.channel}" if isinstance(item, State)
        else type(item).__name__.lower()
        for item in items
    ]  # fmt: skip


# What is told ----------------------------------------------------------------------------------------


async def test_every_event_of_the_journal_is_told_as_it_was_written(tmp_path: Path) -> None:
    """Of the real broker; the numbers have no gaps."""
    async with (
        PaperGatewayServer(cash=Decimal(100_000), seed=42) as gateway,
        open_desk(gateway.port, tmp_path) as desk,
    ):
        await until(lambda: desk.feed.streams.gap is None)
        stream = desk.feed.stream(*KEPT)
        await desk.place(order(client_order_id="filled"))
        await desk.place(resting(client_order_id="resting"))
        await desk.broker.cancel_order("resting")
        await until(lambda: desk.known("resting").status is OrderStatus.CANCELED)
        await asyncio.sleep(1.1)  # the figures' pace
        await desk.journal.flushed()
        items = [item for item in await reads(stream) if isinstance(item, Event)]
        stored = await desk.journal.reading.events_since((items[0].seq or 0) - 1)
        assert [(e.seq, e.channel, e.name, e.time, e.data) for e in items] == [
            (e.seq, e.channel, e.name, e.time, e.data) for e in stored
        ]
        assert sequence([*items]) == list(range(items[0].seq or 0, desk.journal.last_seq + 1))
        names = [f"{item.channel} {item.name}" for item in items]
        for name in (
            "orders new",
            "orders fill",
            "orders canceled",
            "executions fill",
            "account changed",
        ):
            assert name in names
        assert "executions commission" in names


async def test_a_snapshot_and_what_follows_are_the_journal_whenever_one_comes(scene: Scene) -> None:
    """Each who comes knows in the end how everything stands, and was told each number above the snapshot's
    once. Seen to fail with states taken from the broker, which is ahead of the journal."""
    rng = random.Random(7)
    streams_ = [scene.feed.stream(Channel.ORDERS)]
    for turn in range(200):
        number = rng.randrange(10)
        scene.broker.say(make_order(number, quantity=Decimal(turn + 1)))
        if turn % 20 == 0:
            streams_.append(scene.feed.stream(Channel.ORDERS))
        await asyncio.sleep(rng.choice((0, 0, 0.002)))
    await scene.told()
    for stream in streams_:
        state, *events = await reads(stream)
        assert isinstance(state, State)
        assert sequence(events) == list(range((state.seq or 0) + 1, scene.journal.last_seq + 1))
        standing = {order.id: order for order in state.values if isinstance(order, Order)}
        for event in events:
            assert isinstance(event, Event)
            assert isinstance(event.data, Order)
            before = standing.get(event.data.id)
            assert before is None or before.quantity < event.data.quantity, "older than the snapshot"
            standing[event.data.id] = event.data
        assert standing == {order.id: order for order in scene.broker.orders}


async def test_what_somebody_else_has_noted_is_told_as_well(scene: Scene) -> None:
    """Order entry notes an order that it begins anew. Seen to fail with events told by the recorder alone:
    a number is missing."""
    stream = scene.feed.stream(Channel.ORDERS)
    scene.broker.say(make_order(1))
    await scene.told()
    scene.journal.note(OrderChanged("new", make_order(2)))
    scene.broker.say(make_order(2))
    scene.broker.say(make_order(3))
    await scene.told()
    _, *events = await reads(stream)
    assert shown(events) == ["orders accepted", "orders new", "orders accepted"]
    last = scene.journal.last_seq
    assert sequence(events) == [last - 2, last - 1, last]


async def test_what_the_journal_knew_is_no_event_but_stands_in_the_snapshot(tmp_path: Path) -> None:
    """IB lists everything again. Seen to fail without `Feed.keep`: the orders are missing."""
    for _ in range(2):
        async with opened(tmp_path) as scene:
            scene.broker.say(make_order(1))
            scene.broker.say(make_order(2, status=OrderStatus.FILLED))
            scene.broker.fill(1)
            scene.broker.fill(1, commission=Decimal(1), commission_currency="USD")
            await scene.told()
            states = await reads(scene.feed.stream(Channel.ORDERS, Channel.EXECUTIONS))
            assert [len(state.values) for state in states if isinstance(state, State)] == [1, 2]
            names = [
                f"{e.channel} {e.name}" for e in await scene.events() if e.channel is not Channel.SESSION
            ]
    assert names == [
        "account changed", "orders accepted", "orders fill", "executions fill", "executions commission",
        "account changed",
    ]  # fmt: skip


async def test_lists_are_as_the_brokers(scene: Scene) -> None:
    for number in (3, 1, 2):
        scene.broker.say(make_order(number, perm_id=None if number == 2 else number))
        scene.broker.fill(number)
    scene.broker.fill(4, exec_id="0001.0001.02")
    scene.broker.fill(5, exec_id="0001.0001.03")
    await scene.told()
    executions, orders = await reads(scene.feed.stream(Channel.ORDERS, Channel.EXECUTIONS))
    assert isinstance(executions, State)
    assert isinstance(orders, State)
    assert [order.ib_order_id for order in orders.values if isinstance(order, Order)] == [2, 3, 1]
    assert len(executions.values) == 2, "a correction stands in the place of what it corrects"


# Gaps ------------------------------------------------------------------------------------------------


async def test_the_brokers_gap_has_its_place_among_the_events(scene: Scene) -> None:
    """Who comes within it is told how things stand before its end, and not what is older. Seen to fail with
    gaps that do not go through the journal's queue."""
    stream = scene.feed.stream(Channel.ORDERS, Channel.SESSION)
    scene.broker.say(make_order(1))
    scene.broker.enter(SessionState.DISCONNECTED, 1)
    await scene.told()
    late = scene.feed.stream(Channel.ORDERS)
    scene.broker.say(make_order(1, status=OrderStatus.FILLED))
    scene.broker.enter(SessionState.READY, 2)
    scene.broker.say(make_order(2))
    await scene.told()
    assert shown(await reads(stream))[2:] == [
        "orders accepted", "gap", "session disconnected", "orders fill", "session ready", "resumed",
        "orders accepted",
    ]  # fmt: skip
    gap, state, resumed, event = await reads(late)
    assert isinstance(gap, Gap)
    assert isinstance(state, State)
    assert isinstance(resumed, Resumed)
    assert isinstance(event, Event)
    assert gap.reason == "the session is disconnected"
    assert resumed.connection_number == 2
    assert [order.status for order in state.values if isinstance(order, Order)] == [OrderStatus.FILLED]
    assert (state.seq, event.seq) == (scene.journal.last_seq - 1, scene.journal.last_seq)


async def test_nothing_is_certain_before_everything_was_listed(tmp_path: Path) -> None:
    """And then it is told before the gap ends."""
    async with opened(tmp_path, is_ready=False) as scene:
        stream = scene.feed.stream(*KEPT)
        assert shown(await reads(stream)) == ["gap", "state session"]
        scene.broker.orders = [make_order(1)]
        scene.broker.enter(SessionState.READY, 1)
        await scene.told()
        told = shown(await reads(stream))
        assert told[0] == "session ready"
        assert sorted(told[1:4]) == ["state account", "state executions", "state orders"]
        assert told[4:] == ["resumed"]


async def test_nothing_is_told_before_it_is_on_disk(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal is locked there is a gap that says so; then everything that happened meanwhile comes,
    and the gap's end after it. Seen to fail without `on_trouble`, and with an end that does not wait."""
    monkeypatch.setattr(
        "trademind.journal.database._SQLITE_ARGUMENTS", {"timeout": 0.1, "isolation_level": None}
    )
    stream = scene.feed.stream(Channel.ORDERS)
    await reads(stream)
    await scene.journal._writer._database.drop()  # the next one does not wait for locks so long
    async with locked(str(tmp_path / "journal.db")):
        for number in range(1000):
            scene.broker.say(make_order(number))
        await until(lambda: not scene.journal.is_available)
        (gap,) = await reads(stream)
        assert isinstance(gap, Gap)
        assert "is locked by another program" in gap.reason
        late = scene.feed.stream(Channel.ORDERS)
        assert shown(await reads(late)) == ["gap", "state orders"]
    await until(lambda: scene.journal.is_available)
    await scene.told()
    for each in (stream, late):
        *events, resumed = await reads(each)
        assert isinstance(resumed, Resumed)
        last = scene.journal.last_seq
        assert sequence(events) == list(range(last - 999, last + 1))


async def test_two_reasons_for_a_gap_are_one_gap(scene: Scene) -> None:
    """It is over when both are. Seen to fail with a gap that ends with the first."""
    stream = scene.feed.stream(Channel.ORDERS)
    await reads(stream)
    scene.broker.enter(SessionState.DISCONNECTED)
    await scene.told()
    scene.feed.on_trouble(StateNotKept("the disk is full"))
    scene.broker.enter(SessionState.READY, 2)
    await scene.told()
    assert shown(await reads(stream)) == ["gap"]
    scene.feed.on_trouble(None)
    await scene.told()
    assert shown(await reads(stream)) == ["resumed"]


async def test_a_recorder_that_has_fallen_behind_says_so_and_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How everything stands in the end is told in any case. Seen to fail without `Feed.begin`: no gap; and
    without figures with every state: the gap does not end."""
    stream = scene.feed.stream(Channel.ORDERS, Channel.SESSION)
    await reads(stream)
    monkeypatch.setattr(streams, "MAX_PENDING", 20)
    for number in range(30):
        scene.broker.say(make_order(number))
    monkeypatch.undo()
    await scene.told()
    await scene.told()
    gap, *events, resumed = await reads(stream)
    assert isinstance(gap, Gap)
    assert isinstance(resumed, Resumed)
    numbers = [e.data.ib_order_id for e in events if isinstance(e, Event) and isinstance(e.data, Order)]
    assert numbers == list(range(30))


# Coming back -----------------------------------------------------------------------------------------


async def test_who_comes_back_is_told_what_came_meanwhile_and_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the journal, in pages, while more happens: each number once. Seen to fail with a past that is read
    up to the journal's end instead of the feed's."""
    monkeypatch.setattr(feed_module, "PAGE", 7)
    begin = scene.journal.last_seq
    for number in range(50):
        scene.broker.say(make_order(number))
    await scene.told()
    for number in range(50, 100):
        scene.broker.say(make_order(number))
        if number % 10 == 0:
            await asyncio.sleep(0.002)
    stream = scene.feed.stream()
    stream.resume(begin, Channel.ORDERS)
    stream.resume(0, Channel.ORDERS)  # followed already: nothing is repeated
    scene.broker.say(make_order(100))
    items = [await anext(stream) for _ in range(101)]
    assert sequence(items) == list(range(begin + 1, begin + 102))
    assert await reads(stream) == []
    assert [e.data.ib_order_id for e in items if isinstance(e, Event) and isinstance(e.data, Order)] == [
        *range(101)
    ]


async def test_only_the_channels_that_were_asked_for_are_told(scene: Scene) -> None:
    begin = scene.journal.last_seq
    scene.broker.say(make_order(1))
    scene.broker.fill(1)
    await scene.told()
    stream = scene.feed.stream()
    stream.resume(begin, Channel.EXECUTIONS)
    scene.broker.say(make_order(2))
    scene.broker.fill(2)
    await scene.told()
    assert sequence(await reads(stream)) == [begin + 2, begin + 4]


async def test_coming_back_within_a_gap(scene: Scene) -> None:
    """The gap, what came, and its end when it comes."""
    begin = scene.journal.last_seq
    scene.broker.say(make_order(1))
    scene.broker.enter(SessionState.DISCONNECTED)
    await scene.told()
    stream = scene.feed.stream()
    stream.resume(begin, Channel.ORDERS)
    scene.broker.say(make_order(2))
    scene.broker.enter(SessionState.READY, 2)
    await scene.told()
    assert shown(await reads(stream)) == ["gap", "orders accepted", "orders accepted", "resumed"]


async def test_a_number_that_no_event_has_is_unknown(scene: Scene) -> None:
    """Nothing is followed then. The last one is known, and there is nothing to tell."""
    stream = scene.feed.stream()
    last = scene.journal.last_seq
    with pytest.raises(UnknownSequence, match="subscribe anew"):
        stream.resume(last + 1, Channel.ORDERS)
    assert stream.follows == frozenset()
    stream.resume(last, Channel.ORDERS)
    scene.broker.say(make_order(1))
    await scene.told()
    assert sequence(await reads(stream)) == [last + 1]
    with pytest.raises(UnknownSequence):
        scene.broker.stream().resume(0, Channel.ORDERS)


async def test_who_is_cut_off_while_the_past_is_read_comes_back_and_misses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens while the past is read waits, up to the bound."""
    begin = scene.journal.last_seq
    for number in range(30):
        scene.broker.say(make_order(number))
    await scene.told()
    stream = scene.feed.stream()
    stream.resume(begin, Channel.ORDERS)
    seen = sequence([await anext(stream) for _ in range(5)])
    monkeypatch.setattr(streams, "MAX_PENDING", 10)
    for number in range(30, 45):
        scene.broker.say(make_order(number))
        await asyncio.sleep(0)
    await scene.told()
    with pytest.raises(StreamOverrun):
        await anext(stream)
    monkeypatch.undo()
    again = scene.feed.stream()
    again.resume(seen[-1] or 0, Channel.ORDERS)
    seen += sequence(await reads(again))
    assert seen == list(range(begin + 1, begin + 46))


async def test_a_heartbeats_deadline_loses_nothing_of_the_past(scene: Scene) -> None:
    """Whoever waits for an event may give up at any moment. Seen to fail with a past that is taken out of the
    queue before it was read."""
    begin = scene.journal.last_seq
    for number in range(40):
        scene.broker.say(make_order(number))
    await scene.told()
    stream = scene.feed.stream()
    stream.resume(begin, Channel.ORDERS)
    seen: list[StreamItem] = []
    for patience in [*[0.0, 0.0001, 0.0005] * 20, *[1.0] * 41]:
        if len(seen) < 40:
            try:
                async with asyncio.timeout(patience):
                    seen.append(await anext(stream))
            except TimeoutError:
                pass
    assert sequence(seen) == list(range(begin + 1, begin + 41))


# The account -----------------------------------------------------------------------------------------


async def test_figures_that_a_trade_has_changed_are_told_within_their_pace(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of a burst is told in any case. Seen to fail with one event for each value, and with a last
    one that waits for ever."""
    monkeypatch.setattr("trademind.trading.figures.TRADED_EVERY", 0.2)
    stream = scene.feed.stream(Channel.ACCOUNT)
    await reads(stream)
    for cash in range(50):
        scene.broker.has_cash(cash)
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.3)
    await scene.told()
    events = await reads(stream)
    assert 2 <= len(events) <= 4
    assert isinstance(events[-1], Event)
    assert events[-1].data == scene.broker.account
    assert sequence(events) == list(
        range(scene.journal.last_seq - len(events) + 1, scene.journal.last_seq + 1)
    )


async def test_figures_that_say_the_same_are_no_event(scene: Scene) -> None:
    stream = scene.feed.stream(Channel.ACCOUNT)
    await reads(stream)
    for _ in range(5):
        scene.broker.account = replace(scene.broker.account, as_of=scene.broker.account.as_of.replace(hour=1))
        scene.broker.streams.touch(Channel.ACCOUNT, lambda: scene.broker.account)
        await settle()
    assert await reads(stream) == []


async def test_figures_are_new_before_a_gap_ends(scene: Scene) -> None:
    """Seen to fail with figures that come in their own time."""
    stream = scene.feed.stream(Channel.ACCOUNT)
    await reads(stream)
    scene.broker.enter(SessionState.DISCONNECTED)
    scene.broker.account = replace(scene.broker.account, total_cash_value=Decimal(7))
    scene.broker.enter(SessionState.READY, 2)
    await scene.told()
    assert shown(await reads(stream)) == ["gap", "account changed", "resumed"]


# The end ---------------------------------------------------------------------------------------------


async def test_the_end_is_told_and_what_still_happens_is_noted(scene: Scene) -> None:
    """Streams end when the server begins to stop; orders under way go on. Seen to fail with a recorder that
    ends with its stream."""
    stream = scene.feed.stream(Channel.ORDERS)
    await reads(stream)
    scene.broker.say(make_order(1))
    scene.broker.drain()
    await asyncio.wait_for(stream.is_over.wait(), 2)
    items = await reads(stream)
    assert shown(items) == ["orders accepted", "gap"]
    assert isinstance(items[-1], Gap)
    assert items[-1].reason == "the server is stopping"
    await settle()
    scene.broker.say(make_order(1, status=OrderStatus.FILLED))
    await scene.told()
    assert (await scene.events())[-1].name == "fill"


async def test_streams_end_though_the_journal_hangs(scene: Scene, tmp_path: Path) -> None:
    """Seen to fail with an end that waits for the journal."""
    stream = scene.feed.stream(Channel.ORDERS)
    await reads(stream)
    async with locked(str(tmp_path / "journal.db")):
        scene.broker.say(make_order(1))
        scene.broker.drain()
        await asyncio.wait_for(stream.is_over.wait(), recorder_module.LAST_WORDS + 1)
        assert shown(await reads(stream)) == ["gap"], "what is not on disk was told"
