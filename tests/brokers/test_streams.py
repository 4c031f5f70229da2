"""Streams of events: what each consumer reads, whatever happens meanwhile and whoever else reads how slowly.

Strategy: the contract of `domain/events.py` is written down once more as `Model`, as plainly as can be: a
list of what must not be left out, one of what has changed, and what is owed. Then hypothesis makes up what
happens, and what each consumer reads has to be what its model says, item by item.

How the tests were seen to fail: latest values kept as they were when they changed, or taken before what is
pending, or kept over a gap; events for those who do not follow, or before they were told how things stand; a
gap told twice or not to new streams, `Resumed` told where there was no gap, a bound that is off by one, an
overrun that frees nothing or goes on listening, and `close` that forgets nothing or wakes nobody.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.memory import READY, make_execution, make_order
from tests.brokers.test_pacing import in_virtual_time
from trademind.aio import Tasks
from trademind.brokers import streams as module
from trademind.brokers.streams import MAX_PENDING, EventStream, Streams
from trademind.clock import ManualClock
from trademind.domain import (
    Channel,
    Event,
    Execution,
    Gap,
    Order,
    Resumed,
    State,
)
from trademind.domain.events import StreamItem
from trademind.errors import NotConnected, StreamOverrun

START = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
ORDERS, EXECUTIONS, SESSION, ACCOUNT = (
    Channel.ORDERS, Channel.EXECUTIONS, Channel.SESSION, Channel.ACCOUNT,
)  # fmt: skip


class Hub:
    """The streams of a broker whose session is ready, and tasks that read."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.orders: list[Order] = []
        self.executions: list[Execution] = []
        self.figures: Any = "figures"
        self.session = READY
        self.is_readable = True
        self.streams = Streams(
            self.clock,
            {
                ORDERS: lambda: self.certain(self.orders),
                EXECUTIONS: lambda: self.certain(self.executions),
                ACCOUNT: lambda: self.certain([self.figures]),
                SESSION: lambda: [self.session],
            },
        )
        self.streams.resume(1)
        self.tasks = Tasks()

    def certain(self, values: list[Any]) -> list[Any]:
        if not self.is_readable:
            raise NotConnected("there is nothing certain to say")
        return values

    def open(self, *channels: Channel) -> EventStream:
        return self.streams.open(channels)

    async def opened(self, *channels: Channel) -> EventStream:
        """A stream of which has been read how things stand."""
        stream = self.open(*channels)
        assert [type(item) for item in await reads(stream)] == [State] * len(channels)
        return stream

    def interrupt(self, since: datetime = START) -> None:
        self.streams.interrupt(since, "the gateway went away", 1)


@pytest.fixture
async def hub() -> Hub:
    return Hub()


async def reads(stream: EventStream) -> list[StreamItem]:
    """Everything that can be read now."""
    found: list[StreamItem] = []
    try:
        while True:
            async with asyncio.timeout(0):
                found.append(await anext(stream))
    except (TimeoutError, StopAsyncIteration):
        return found


def data(items: list[StreamItem]) -> list[Any]:
    return [item.data if isinstance(item, Event) else type(item) for item in items]


def numbers(items: list[StreamItem]) -> list[int | None]:
    return [
        item.data.ib_order_id for item in items if isinstance(item, Event) and isinstance(item.data, Order)
    ]


# What is lossless, and what is latest ------------------------------------------------------------


async def test_every_change_of_an_order_is_told_in_order(hub: Hub) -> None:
    stream = await hub.opened(ORDERS, EXECUTIONS)
    changes = [make_order(1), make_order(2), make_order(1), make_order(1)]
    for order in changes:
        hub.streams.publish(ORDERS, order)
    hub.streams.publish(EXECUTIONS, make_execution(1))
    hub.streams.publish(SESSION, READY)
    hub.streams.publish(ORDERS, make_order(3))
    items = await reads(stream)
    assert data(items) == [*changes, make_execution(1), make_order(3)]
    assert all(isinstance(item, Event) and item.time == START for item in items)


async def test_figures_are_told_as_they_are_when_they_are_read(hub: Hub) -> None:
    stream, figures = await hub.opened(ACCOUNT), [1]
    for value in (2, 3, 4):
        figures[0] = value
        hub.streams.touch(ACCOUNT, lambda: figures[0])
    figures[0] = 5
    hub.clock.advance(timedelta(seconds=7))
    (item,) = await reads(stream)
    expected: Any = 5
    assert item == Event(channel=ACCOUNT, time=START + timedelta(seconds=7), data=expected)
    assert await reads(stream) == []


async def test_events_come_before_figures(hub: Hub) -> None:
    stream = await hub.opened(ORDERS, ACCOUNT)
    for _ in range(5):
        hub.streams.touch(ACCOUNT, lambda: "figures")
    hub.streams.publish(ORDERS, make_order(1))
    assert data(await reads(stream)) == [make_order(1), "figures"]


async def test_a_channel_begins_with_how_it_stands(hub: Hub) -> None:
    hub.orders = [make_order(1), make_order(2)]
    stream = hub.open(ORDERS, SESSION)
    hub.streams.publish(ORDERS, make_order(3))
    hub.orders.append(make_order(3))
    stream.follow(ORDERS, EXECUTIONS)
    orders, session, event, executions = await reads(stream)
    assert orders == State(channel=ORDERS, time=START, values=(make_order(1), make_order(2)))
    assert session == State(channel=SESSION, time=START, values=(READY,))
    assert data([event]) == [make_order(3)], "it is told once, and what came meanwhile after it"
    assert executions == State(channel=EXECUTIONS, time=START, values=())
    assert await reads(hub.open(Channel.QUOTES)) == [], "the market is followed otherwise"


async def test_figures_that_changed_before_they_were_told_are_not_told_again(hub: Hub) -> None:
    stream = await hub.opened(ACCOUNT)
    hub.streams.touch(ACCOUNT, lambda: "changed")
    stream.unfollow(ACCOUNT)
    hub.figures = "newest"
    stream.follow(ACCOUNT)
    newest: Any = "newest"
    assert await reads(stream) == [State(channel=ACCOUNT, time=START, values=(newest,))]


async def test_channels_are_followed_and_left_at_any_time(hub: Hub) -> None:
    stream = hub.open()
    assert stream.follows == frozenset()
    hub.streams.publish(ORDERS, make_order(1))
    stream.follow(ORDERS, ACCOUNT)
    await reads(stream)
    hub.streams.publish(ORDERS, make_order(2))
    hub.streams.touch(ACCOUNT, lambda: "changed")
    stream.unfollow(ORDERS, ACCOUNT, SESSION)
    hub.streams.publish(ORDERS, make_order(3))
    assert data(await reads(stream)) == [make_order(2), "changed"], "what was waiting is still read"
    assert stream.follows == frozenset()


# Gaps ----------------------------------------------------------------------------------------------


async def test_a_stream_of_before_the_first_session_begins_with_a_gap(hub: Hub) -> None:
    """Nothing certain is known but of the session; the rest is told before the gap's end."""
    is_ready = False

    def orders() -> list[Order]:
        if not is_ready:
            raise NotConnected("the session is not ready yet")
        return [make_order(2)]

    streams = Streams(hub.clock, {ORDERS: orders, SESSION: lambda: [READY]})
    stream = streams.open([ORDERS, SESSION])
    unread = streams.open([ORDERS])
    gap = Gap(time=START, since=START, reason="the session is not ready yet", connection_number=0)
    session = State(channel=SESSION, time=START, values=(READY,))
    assert await reads(stream) == [gap, session]
    streams.publish(ORDERS, make_order(1))
    assert await reads(stream) == [], "one order is not how the orders stand"
    is_ready = True
    streams.resume(1)
    resumed = Resumed(time=START, gap_since=START, connection_number=1, recovered=(ORDERS, SESSION))
    state = State(channel=ORDERS, time=START, values=(make_order(2),))
    assert await reads(stream) == [state, resumed]
    assert await reads(unread) == [gap, state, replace(resumed, recovered=(ORDERS,))]


async def test_figures_that_are_not_complete_yet_are_not_told(hub: Hub) -> None:
    """They come in one by one while the session synchronises."""
    hub.is_readable = False
    hub.interrupt()
    stream = hub.open(ACCOUNT)
    hub.streams.touch(ACCOUNT, lambda: "half of them")
    assert data(await reads(stream)) == [Gap]
    hub.is_readable = True
    hub.streams.resume(2)
    assert data(await reads(stream)) == [State, Resumed]


async def test_what_is_left_before_it_could_be_told_is_not_owed(hub: Hub) -> None:
    hub.is_readable = False
    hub.interrupt()
    stream = hub.open(ORDERS, ACCOUNT)
    stream.unfollow(ORDERS)
    hub.is_readable = True
    hub.streams.resume(2)
    assert data(await reads(stream)) == [Gap, State, Resumed]
    hub.streams.publish(ORDERS, make_order(1))
    assert await reads(stream) == []


async def test_a_gap_is_told_once_and_ended_once(hub: Hub) -> None:
    stream = await hub.opened(ORDERS, ACCOUNT, SESSION)
    since = START - timedelta(seconds=20)
    hub.streams.resume(1)
    hub.interrupt(since)
    hub.clock.advance(timedelta(minutes=1))
    hub.interrupt()
    late = hub.open()
    hub.streams.publish(ORDERS, make_order(1))
    hub.streams.resume(2)
    hub.streams.resume(2)
    hub.streams.publish(ORDERS, make_order(2))
    gap = Gap(time=START, since=since, reason="the gateway went away", connection_number=1)
    resumed = Resumed(
        time=START + timedelta(minutes=1),
        gap_since=since,
        connection_number=2,
        recovered=(ACCOUNT, ORDERS, SESSION),
    )
    first, told, *rest = await reads(stream)
    assert (first, rest[0]) == (gap, resumed)
    assert data([told, *rest[1:]]) == [make_order(1), make_order(2)]
    assert await reads(late) == [gap, replace(resumed, recovered=())]
    assert await reads(hub.open()) == []


async def test_values_of_before_a_gap_are_not_told_in_it(hub: Hub) -> None:
    stream = await hub.opened(ACCOUNT)
    hub.streams.touch(ACCOUNT, lambda: "old")
    hub.interrupt()
    assert data(await reads(stream)) == [Gap]
    hub.streams.touch(ACCOUNT, lambda: "new")
    hub.streams.resume(1)
    assert data(await reads(stream)) == [Resumed, "new"]


async def test_events_of_before_a_gap_are_told_before_it(hub: Hub) -> None:
    stream = await hub.opened(ORDERS)
    hub.streams.publish(ORDERS, make_order(1))
    hub.interrupt()
    assert data(await reads(stream)) == [make_order(1), Gap]


# Too slow ------------------------------------------------------------------------------------------


async def test_the_last_event_that_fits_and_the_first_that_does_not(hub: Hub) -> None:
    fits, overrun = await hub.opened(ORDERS), await hub.opened(ORDERS)
    order = make_order(1)
    for _ in range(MAX_PENDING):
        hub.streams.publish(ORDERS, order)
    await anext(fits)
    hub.streams.publish(ORDERS, order)
    assert len(await reads(fits)) == MAX_PENDING
    for _ in range(2):
        with pytest.raises(StreamOverrun, match="10,000"):
            await anext(overrun)


async def test_an_overrun_frees_what_was_waiting_and_nothing_is_kept_any_more(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    stream = await hub.opened(ORDERS, ACCOUNT)
    for number in range(5):
        hub.streams.publish(ORDERS, make_order(number))
        hub.streams.touch(ACCOUNT, lambda: "figures")
    hub.interrupt()
    hub.streams.resume(1)
    assert (len(stream._pending), len(stream._latest)) == (0, 0)
    with pytest.raises(StreamOverrun):
        await anext(stream)
    stream.close()
    with pytest.raises(StreamOverrun):
        await anext(stream)
    assert len(hub.streams) == 0


async def test_an_overrun_is_told_to_whoever_comes_to_read(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the event that was too many is a gap, and while somebody is waiting already."""
    stream = await hub.opened(ORDERS)
    monkeypatch.setattr(module, "MAX_PENDING", 0)
    waiting = hub.tasks.spawn(_next(stream), name="reader", expected=StreamOverrun)
    await asyncio.sleep(0)
    hub.interrupt()
    await asyncio.wait({waiting}, timeout=1)
    assert isinstance(waiting.exception(), StreamOverrun)


async def test_one_that_does_not_read_holds_up_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 50)
    slow, quick = await hub.opened(ORDERS), await hub.opened(ORDERS)
    seen: list[int | None] = []
    for number in range(200):
        hub.streams.publish(ORDERS, make_order(number))
        seen += numbers([await anext(quick)])
    assert seen == list(range(200))
    with pytest.raises(StreamOverrun):
        await anext(slow)
    assert await reads(quick) == []


# Waiting, leaving and ending -----------------------------------------------------------------------


async def _next(stream: EventStream) -> StreamItem:
    return await anext(stream)


async def test_whoever_waits_is_woken(hub: Hub) -> None:
    stream = await hub.opened(ORDERS, ACCOUNT)
    wakers: list[Callable[[], None]] = [
        lambda: hub.streams.publish(ORDERS, make_order(1)),
        lambda: hub.streams.touch(ACCOUNT, lambda: "figures"),
        hub.interrupt,
        lambda: hub.streams.resume(2),
        lambda: stream.follow(SESSION),
    ]
    for wake in wakers:
        waiting = hub.tasks.spawn(_next(stream), name="reader")
        await asyncio.sleep(0)
        assert not waiting.done()
        wake()
        async with asyncio.timeout(1):
            await waiting


async def test_what_nobody_follows_wakes_nobody_for_long(hub: Hub) -> None:
    stream = await hub.opened(ORDERS)
    waiting = hub.tasks.spawn(_next(stream), name="reader")
    await asyncio.sleep(0)
    hub.streams.publish(SESSION, READY)
    hub.streams.touch(ACCOUNT, lambda: "figures")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("pauses", [0, 1, 2])
async def test_a_reader_who_is_cancelled_loses_nothing(hub: Hub, pauses: int) -> None:
    """Before the event, in the same step of the loop, and when the reader has been woken already."""
    stream = await hub.opened(ORDERS)
    seen: list[int | None] = []
    for number in range(20):
        reader = hub.tasks.spawn(_next(stream), name="reader")
        await asyncio.sleep(0)
        hub.streams.publish(ORDERS, make_order(number))
        for _ in range(pauses):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
        if not reader.cancelled():
            seen += numbers([reader.result()])
    assert seen + numbers(await reads(stream)) == list(range(20))


async def test_a_deadline_while_waiting_loses_nothing(hub: Hub) -> None:
    """As the heartbeat of a WebSocket has it."""
    stream = await hub.opened(ORDERS)
    loop = asyncio.get_running_loop()
    seen: list[int | None] = []
    for number in range(20):
        loop.call_later(0.001, hub.streams.publish, ORDERS, make_order(number))
        while True:
            try:
                async with asyncio.timeout(0.001):
                    seen += numbers([await anext(stream)])
                break
            except TimeoutError:
                continue
    assert seen == list(range(20))


async def test_closing_ends_the_wait_of_whoever_reads(hub: Hub) -> None:
    stream = await hub.opened(ORDERS)
    waiting = hub.tasks.spawn(reads_to_the_end(stream), name="reader")
    await asyncio.sleep(0)
    stream.close()
    assert await waiting == []
    assert len(hub.streams) == 0
    stream.close()


async def reads_to_the_end(stream: EventStream) -> list[StreamItem]:
    async with asyncio.timeout(1):
        return [item async for item in stream]


async def test_the_end_of_the_broker_is_told_after_everything_else(hub: Hub) -> None:
    quick, slow, idle = await hub.opened(ORDERS), await hub.opened(ORDERS), hub.open()
    waiting = hub.tasks.spawn(reads_to_the_end(quick), name="reader")
    await asyncio.sleep(0)
    hub.streams.publish(ORDERS, make_order(1))
    hub.streams.close(START, "the server is stopping", 1)
    hub.streams.publish(ORDERS, make_order(2))
    gap = Gap(time=START, since=START, reason="the server is stopping", connection_number=1)
    for items in (await waiting, await reads_to_the_end(slow)):
        assert (numbers(items), items[-1], len(items)) == ([1], gap, 2)
    assert await reads_to_the_end(idle) == [gap]
    assert len(hub.streams) == 0
    hub.streams.close(START, "again", 1)


async def test_the_end_within_a_gap_is_told_as_an_end_only(hub: Hub) -> None:
    stream = hub.open()
    hub.interrupt()
    hub.streams.close(START, "the server is stopping", 1)
    assert data(await reads_to_the_end(stream)) == [Gap]


async def test_leaving_the_block_closes_it_whatever_happened(hub: Hub) -> None:
    stream = await hub.opened(ORDERS)

    async def fail() -> None:
        async with stream as same:
            assert same is stream
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert len(hub.streams) == 0
    assert await reads_to_the_end(stream) == []


# Whatever happens ----------------------------------------------------------------------------------


@dataclass
class Model:
    """What one consumer is promised."""

    channels: set[Channel] = field(default_factory=set)
    owed: set[Channel] = field(default_factory=set)
    """Of what it has still to be told how it stands."""
    must: list[StreamItem] = field(default_factory=list)
    """What must not be left out and has not been read."""
    changed: list[Channel] = field(default_factory=list)
    """Of what a newer value is there than was read, in the order of the first change."""
    is_over: bool = False
    has_overrun: bool = False
    seen: list[StreamItem] = field(default_factory=list)

    def tell(self, item: StreamItem) -> None:
        if self.is_over or self.has_overrun:
            return
        if isinstance(item, Event) and item.channel not in self.channels - self.owed:
            return
        if isinstance(item, Gap):
            self.changed.clear()
        if isinstance(item, State):
            self.changed = [channel for channel in self.changed if channel is not item.channel]
        self.must.append(item)
        if len(self.must) > BOUND:
            self.has_overrun = True
            self.must.clear()
            self.changed.clear()

    def touch(self, channel: Channel) -> None:
        follows = channel in self.channels - self.owed
        if follows and not self.is_over and not self.has_overrun and channel not in self.changed:
            self.changed.append(channel)


BOUND = 6
followed = st.tuples(st.integers(0, 3), st.sampled_from([ORDERS, ACCOUNT, SESSION]))
steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from([ORDERS, EXECUTIONS, SESSION])),
    st.tuples(st.just("touch"), st.none()),
    st.tuples(st.just("interrupt"), st.booleans()),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("open"), st.sets(st.sampled_from([ORDERS, EXECUTIONS, SESSION, ACCOUNT]))),
    st.tuples(st.just("close"), st.integers(0, 3)),
    st.tuples(st.just("follow"), followed),
    st.tuples(st.just("unfollow"), followed),
    st.tuples(st.just("read"), st.tuples(st.integers(0, 3), st.integers(1, 4))),
)


class World:
    """The hub and its model, side by side."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.pairs: list[tuple[EventStream, Model]] = []
        self.gap: Gap | None = None
        self.count = 0
        self.connections = 1

    def act(self, name: str, argument: Any) -> None:
        """What happens to all of them."""
        hub, streams = self.hub, self.hub.streams
        hub.clock.advance(timedelta(seconds=1))
        now = hub.clock.now()
        self.count += 1
        match name:
            case "publish":
                value: Any
                if argument is ORDERS:
                    hub.orders.append(value := make_order(self.count))
                elif argument is EXECUTIONS:
                    hub.executions.append(value := make_execution(self.count))
                else:
                    hub.session = value = replace(READY, connection_number=self.count)
                streams.publish(argument, value)
                self._tell(Event(channel=argument, time=now, data=value))
            case "touch":
                hub.figures = self.count
                streams.touch(ACCOUNT, lambda: hub.figures)
                for _, model in self.pairs:
                    model.touch(ACCOUNT)
            case "interrupt":
                # Not heard of, the gateway's book stays readable; gone, it does not.
                hub.is_readable = hub.is_readable and argument
                streams.interrupt(now, f"gap {self.count}", self.connections)
                if self.gap is None:
                    self.gap = Gap(
                        time=now, since=now, reason=f"gap {self.count}", connection_number=self.connections
                    )
                    self._tell(self.gap)
            case "resume":
                self.connections += 1
                hub.is_readable = True
                streams.resume(self.connections)
                if self.gap is not None:
                    for _, model in self.pairs:
                        self.pay(model)
                        model.tell(
                            Resumed(
                                time=now,
                                gap_since=self.gap.since,
                                connection_number=self.connections,
                                recovered=tuple(sorted(model.channels)),
                            )
                        )
                self.gap = None
            case "open" if len(self.pairs) < 4:
                model = Model()
                self.pairs.append((hub.open(*argument), model))
                if self.gap is not None:
                    model.tell(self.gap)
                self.follow(model, argument)

    def follow(self, model: Model, channels: set[Channel]) -> None:
        model.owed |= channels - model.channels
        model.channels |= channels
        self.pay(model)

    def pay(self, model: Model) -> None:
        hub = self.hub
        values: dict[Channel, list[Any]] = {
            ORDERS: hub.orders, EXECUTIONS: hub.executions, ACCOUNT: [hub.figures], SESSION: [hub.session],
        }  # fmt: skip
        for channel in sorted(model.owed):
            if hub.is_readable or channel is SESSION:
                model.tell(State(channel=channel, time=hub.clock.now(), values=tuple(values[channel])))
                model.owed.discard(channel)

    def act_on(self, name: str, stream: EventStream, model: Model, argument: Any) -> None:
        match name:
            case "close":
                stream.close()
                model.is_over = True
            case "follow":
                stream.follow(argument)
                self.follow(model, {argument})
            case "unfollow":
                stream.unfollow(argument)
                model.channels.discard(argument)
                model.owed.discard(argument)

    async def read(self, stream: EventStream, model: Model) -> None:
        """One item, or the end, or nothing: as the model says."""
        reader = self.hub.tasks.spawn(
            _next(stream), name="reader", expected=(StreamOverrun, StopAsyncIteration)
        )
        await asyncio.sleep(0)
        if model.has_overrun:
            assert isinstance(reader.exception(), StreamOverrun)
        elif model.must:
            item = model.must.pop(0)
            assert reader.result() == item
            model.seen.append(item)
        elif model.changed:
            channel = model.changed.pop(0)
            # The latest value there is, whatever it was when it changed.
            event = Event(channel=channel, time=self.hub.clock.now(), data=self.hub.figures)
            assert reader.result() == event
        elif model.is_over:
            assert isinstance(reader.exception(), StopAsyncIteration)
        else:
            assert not reader.done(), "there was nothing to read"
            reader.cancel()
            await asyncio.wait({reader})

    def _tell(self, item: StreamItem) -> None:
        for _, model in self.pairs:
            model.tell(item)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, min_size=30, max_size=80))
def test_whatever_happens_each_consumer_reads_what_it_was_promised(script: list[tuple[str, Any]]) -> None:
    async def play() -> None:
        world = World()
        for name, argument in [("open", {ORDERS, ACCOUNT}), *script]:
            if name in ("publish", "touch", "interrupt", "resume", "open"):
                world.act(name, argument)
                continue
            index, detail = argument if isinstance(argument, tuple) else (argument, None)
            if index >= len(world.pairs):
                continue
            stream, model = world.pairs[index]
            if name == "read":
                for _ in range(detail):
                    await world.read(stream, model)
            elif not (name == "follow" and model.is_over):  # after its end nobody follows anything
                world.act_on(name, stream, model, detail)
            open_streams = [model for _, model in world.pairs if not model.is_over]
            assert len(world.hub.streams) == len(open_streams)
        for stream, model in world.pairs:
            for _ in range(BOUND + 5):
                await world.read(stream, model)
            check_grammar(model.seen)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_PENDING", BOUND)
        in_virtual_time(play())


def check_grammar(seen: list[StreamItem]) -> None:
    """Gaps and their ends alternate, a gap being first, and nothing comes of a channel before its state."""
    told: set[Channel] = set()
    for item in seen:
        if isinstance(item, State):
            told.add(item.channel)
        elif isinstance(item, Event):
            assert item.channel in told
    marks = [item for item in seen if isinstance(item, Gap | Resumed)]
    for index, mark in enumerate(marks):
        if index % 2 == 0:
            assert isinstance(mark, Gap)
        else:
            gap = marks[index - 1]
            assert isinstance(mark, Resumed)
            assert isinstance(gap, Gap)
            assert mark.gap_since == gap.since
            assert mark.connection_number > gap.connection_number
