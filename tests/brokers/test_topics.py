"""Topics and those who follow them: what each reads, at whatever pace, and that nothing is held for nobody.

Strategy: a source that counts as strictly as IB's lines are scarce, whose topics change when the script says
so. Values are numbered, so that what a reader is promised can be told of any of them: a latest value is the
newest there is, and never older than the one before; of a sequence each value comes once and in its turn, or
is among those that the reader is told it has missed.

How the tests were seen to fail: a latest value that is kept when it changes, a count of what was missed that
is off by one or left out, a version that is entered after reading, one topic read again and again while
others wait, what was unfollowed read on, a stream that is closed or collected without letting go, a `follow`
that keeps what comes too late, a wait that is not woken, wakers that stay behind.
"""

import asyncio
import gc
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.memory import AAPL, MSFT
from tests.brokers.test_pacing import in_virtual_time
from trademind.aio import Tasks
from trademind.brokers import topics as module
from trademind.brokers.topics import LatestTopic, MarketStream, MarketStreams, SequenceTopic, Topic
from trademind.domain import Channel, ContractQuery, Missed, Subject
from trademind.errors import ContractNotFound

CONTRACTS = {"AAPL": AAPL, "MSFT": MSFT}
QUOTES, BARS = Channel.QUOTES, Channel.BARS


def subject(channel: Channel, symbol: str) -> Subject:
    return Subject(channel=channel, query=ContractQuery(symbol=symbol))


APPLE, MICROSOFT = subject(QUOTES, "AAPL"), subject(QUOTES, "MSFT")
BARS_OF_APPLE, BARS_OF_MICROSOFT = subject(BARS, "AAPL"), subject(BARS, "MSFT")
SUBJECTS = (APPLE, MICROSOFT, BARS_OF_APPLE, BARS_OF_MICROSOFT)


@dataclass
class Source:
    """Whose topics change when it is told, and who keeps count of who holds them."""

    topics: dict[Subject, Topic] = field(default_factory=dict)
    counts: dict[Topic, int] = field(default_factory=dict)
    """Of each topic, how often it has changed: its values are the numbers from 0 on."""
    held: set[tuple[Topic, object]] = field(default_factory=set)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()

    def topic(self, of: Subject) -> Topic:
        if of not in self.topics:
            contract = CONTRACTS.get(of.query.symbol)
            if contract is None:
                raise ContractNotFound(f"no contract for {of.query.symbol!r}")
            made: Topic = (
                LatestTopic(of.channel, contract, lambda: self.counts[made])
                if of.channel is QUOTES
                else SequenceTopic(of.channel, contract, of.variant)
            )
            self.topics[of], self.counts[made] = made, 0
        return self.topics[of]

    async def hold(self, subject: Subject, holder: object) -> Topic:
        await self.go.wait()
        topic = self.topic(subject)
        self.held.add((topic, holder))
        return topic

    def release(self, topic: Topic, holder: object) -> None:
        self.held.remove((topic, holder))

    def change(self, of: Subject) -> None:
        topic = self.topic(of)
        if isinstance(topic, SequenceTopic):
            topic.add(self.counts[topic])
            self.counts[topic] += 1
        else:
            assert isinstance(topic, LatestTopic)
            self.counts[topic] += 1
            topic.touch()

    def wakers(self) -> int:
        return sum(len(topic._waiting) for topic in self.topics.values())


@pytest.fixture
async def source() -> Source:
    return Source()


@pytest.fixture
async def streams(source: Source) -> MarketStreams:
    return MarketStreams(source)


def values(stream: MarketStream[Any]) -> list[Any]:
    return [item.value for items in stream.take().values() for item in items]


async def reads(stream: MarketStream[Any]) -> list[Any]:
    """Everything that iterating brings now."""
    found: list[Any] = []
    try:
        while True:
            async with asyncio.timeout(0):
                found.append(await anext(stream))
    except (TimeoutError, StopAsyncIteration):
        return found


# Reading -----------------------------------------------------------------------------------------


async def test_the_present_value_comes_first_and_then_the_newest(
    source: Source, streams: MarketStreams
) -> None:
    source.change(APPLE)
    async with streams.open(APPLE) as stream:
        assert await reads(stream) == [1]
        for _ in range(3):
            source.change(APPLE)
        assert await reads(stream) == [4]
        assert values(stream) == []
        source.change(APPLE)
        assert values(stream) == [5]


async def test_of_a_sequence_nothing_comes_of_before_one_followed_it(
    source: Source, streams: MarketStreams
) -> None:
    source.change(BARS_OF_APPLE)
    async with streams.open(BARS_OF_APPLE) as stream:
        assert await reads(stream) == []
        for _ in range(3):
            source.change(BARS_OF_APPLE)
        assert await reads(stream) == [1, 2, 3]


async def test_a_value_is_made_and_written_once_for_all(source: Source, streams: MarketStreams) -> None:
    readings: list[int] = []
    topic = LatestTopic(QUOTES, AAPL, lambda: readings.append(1))
    source.topics[APPLE], source.counts[topic] = topic, 0
    async with streams.open(APPLE) as one, streams.open(APPLE) as other:
        source.change(APPLE)
        (((of_one,),), ((of_other,),)) = one.take().values(), other.take().values()
        assert (of_one, len(readings)) == (of_other, 1)
        written = [item.text(lambda value: f"{value}") for item in (of_one, of_other)]
        assert written[0] is written[1]


async def test_whoever_is_too_far_behind_is_told_how_many_it_has_missed(
    source: Source, streams: MarketStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    async with streams.open(BARS_OF_APPLE) as stream, streams.open(BARS_OF_APPLE) as other:
        for _ in range(3):
            source.change(BARS_OF_APPLE)
        assert values(other) == [0, 1, 2]
        source.change(BARS_OF_APPLE)
        missed, *rest = values(stream)
        assert isinstance(missed, Missed)
        assert (missed.channel, missed.contract, missed.count) == (BARS, AAPL, 1)
        assert rest == [1, 2, 3]
        assert values(other) == [3]


async def test_a_busy_one_does_not_keep_others_from_being_read(
    source: Source, streams: MarketStreams
) -> None:
    async with streams.open(BARS_OF_APPLE, BARS_OF_MICROSOFT) as stream:
        for symbol in (BARS_OF_APPLE, BARS_OF_MICROSOFT):
            source.change(symbol)
        seen = []
        for _ in range(10):
            seen.append(await anext(stream))
            source.change(BARS_OF_APPLE)
        assert seen[:2] == [0, 0]


# Following and leaving ---------------------------------------------------------------------------


async def test_what_is_followed_is_held_until_it_is_left(source: Source, streams: MarketStreams) -> None:
    stream, other = streams.open(), streams.open()
    for each in (stream, stream, other):
        topic = await each.follow(APPLE)
    await stream.follow(BARS_OF_APPLE)
    assert set(stream.topics) == {topic, source.topic(BARS_OF_APPLE)}
    assert len(source.held) == 3
    for _ in range(2):
        stream.unfollow(topic)
    source.change(APPLE)
    assert values(stream) == []
    other.close()
    stream.close()
    assert source.held == set()
    assert len(streams) == 0


async def test_what_is_left_is_not_read_any_more(source: Source, streams: MarketStreams) -> None:
    """Not even where some of it was on its way already."""
    async with streams.open(BARS_OF_APPLE) as stream:
        for _ in range(3):
            source.change(BARS_OF_APPLE)
        assert await anext(stream) == 0
        stream.unfollow(source.topic(BARS_OF_APPLE))
        assert await reads(stream) == []
        for each in (APPLE, MICROSOFT, BARS_OF_APPLE):
            await stream.follow(each)
        source.change(BARS_OF_APPLE)
        assert await anext(stream) == 0, "of Apple; Microsoft is next"
        stream.unfollow(source.topic(MICROSOFT))
        assert await reads(stream) == [3]


async def test_what_does_not_exist_changes_nothing(source: Source, streams: MarketStreams) -> None:
    stream = streams.open(APPLE, subject(QUOTES, "NOSUCH"))
    with pytest.raises(ContractNotFound):
        async with stream:
            pass
    assert source.held == set()
    assert len(streams) == 0


async def test_a_stream_that_is_closed_while_ib_is_asked_holds_nothing(
    source: Source, streams: MarketStreams
) -> None:
    tasks, stream = Tasks(), streams.open()
    source.go.clear()
    following = [tasks.spawn(stream.follow(each), name="follow") for each in SUBJECTS]
    await asyncio.sleep(0)
    stream.close()
    source.go.set()
    await asyncio.gather(*following)
    assert (source.held, stream.topics) == (set(), ())
    assert await reads(stream) == []


@pytest.mark.parametrize("begins", ["async with", "async for"])
async def test_whoever_stops_waiting_for_ib_holds_nothing(
    source: Source, streams: MarketStreams, begins: str
) -> None:
    tasks, stream = Tasks(), streams.open(APPLE, BARS_OF_APPLE)
    call = stream.__aenter__() if begins == "async with" else _next(stream)
    source.go.clear()
    waiting = tasks.spawn(call, name="begin")
    await asyncio.sleep(0)
    waiting.cancel()
    source.go.set()
    await asyncio.wait({waiting})
    assert source.held == set()


async def test_a_stream_that_nobody_refers_to_lets_go(source: Source, streams: MarketStreams) -> None:
    source.change(APPLE)
    async for value in streams.open(APPLE, BARS_OF_APPLE):
        if value == 2:
            break
        asyncio.get_running_loop().call_soon(source.change, APPLE)
    gc.collect()
    await asyncio.sleep(0)
    assert (source.held, source.wakers(), len(streams)) == (set(), 0, 0)


# Waiting and ending ------------------------------------------------------------------------------


async def _next(stream: MarketStream[Any]) -> Any:
    return await anext(stream)


async def test_whoever_waits_is_woken_by_any_of_them(source: Source, streams: MarketStreams) -> None:
    tasks = Tasks()
    async with streams.open(*SUBJECTS) as stream:
        await reads(stream)
        for each in SUBJECTS:
            waiting = tasks.spawn(_next(stream), name="reader")
            await asyncio.sleep(0)
            assert not waiting.done()
            source.change(each)
            async with asyncio.timeout(1):
                await waiting
        waiting = tasks.spawn(_next(stream), name="reader")
        await asyncio.sleep(0)
        source.change(subject(QUOTES, "AAPL"))
        await waiting
    assert source.wakers() == 0


async def test_one_that_is_followed_meanwhile_wakes_as_well(source: Source, streams: MarketStreams) -> None:
    async with streams.open(BARS_OF_APPLE) as stream:
        waiting = Tasks().spawn(_next(stream), name="reader")
        await asyncio.sleep(0)
        await stream.follow(APPLE)
        async with asyncio.timeout(1):
            assert await waiting == 0


@pytest.mark.parametrize("pauses", [0, 1, 2])
async def test_a_reader_who_is_cancelled_loses_nothing(
    source: Source, streams: MarketStreams, pauses: int
) -> None:
    """Before the change, in the same step of the loop, and when the reader has been woken already."""
    seen: list[int] = []
    async with streams.open(BARS_OF_APPLE) as stream:
        for _ in range(20):
            reader = Tasks().spawn(_next(stream), name="reader")
            await asyncio.sleep(0)
            source.change(BARS_OF_APPLE)
            for _ in range(pauses):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait({reader})
            if not reader.cancelled():
                seen.append(reader.result())
        assert seen + await reads(stream) == list(range(20))


@pytest.mark.parametrize("by", ["the stream", "the broker"])
async def test_closing_ends_the_wait_of_whoever_reads(
    source: Source, streams: MarketStreams, by: str
) -> None:
    stream = await streams.open(BARS_OF_APPLE).__aenter__()

    async def read() -> list[Any]:
        return [value async for value in stream]

    waiting = Tasks().spawn(read(), name="reader")
    await asyncio.sleep(0)
    if by == "the stream":
        stream.close()
    else:
        streams.close()
    async with asyncio.timeout(1):
        assert await waiting == []
        await stream.changed()
    stream.close()
    assert (source.held, source.wakers(), len(streams)) == (set(), 0, 0)


async def test_what_is_over_asks_ib_for_nothing(source: Source, streams: MarketStreams) -> None:
    stream = streams.open(APPLE)
    streams.close()
    source.go.clear()
    with pytest.raises(StopAsyncIteration):
        async with asyncio.timeout(1):
            await _next(stream)
    source.go.set()
    async with streams.open(APPLE) as later:
        assert await reads(later) == [0], "the broker may have been connected again"


# Whatever happens ----------------------------------------------------------------------------------

BOUND = 3
which = st.tuples(st.integers(0, 2), st.sampled_from(SUBJECTS))
steps = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(SUBJECTS)),
    st.tuples(st.just("open"), st.none()),
    st.tuples(st.just("follow"), which),
    st.tuples(st.just("unfollow"), which),
    st.tuples(st.just("close"), st.integers(0, 2)),
    st.tuples(st.just("forget"), st.integers(0, 2)),
    st.tuples(st.just("next"), st.tuples(st.integers(0, 2), st.integers(1, 5))),
    st.tuples(st.just("take"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.none()),
)


class Reader:
    """A stream, and what it has been told so far."""

    def __init__(self, source: Source, stream: MarketStream[Any]) -> None:
        self.source = source
        self.stream = stream
        self.told: dict[Subject, int] = {}
        """Of what it follows: the newest value, or the number of the next in a sequence."""

    def follow(self, of: Subject) -> None:
        if of not in self.told and not self.stream.is_over:
            self.told[of] = self.source.counts[self.source.topic(of)] if of.channel is BARS else -1

    def newest(self, of: Subject) -> int:
        return self.source.counts[self.source.topic(of)]

    def is_told(self, value: Any, among: Iterable[Subject]) -> Subject:
        """Enter a value; it has to be the one that is due. Returns what it is about."""
        for of in among:
            if isinstance(value, Missed):
                if of.channel is BARS and value.contract is CONTRACTS[of.query.symbol]:
                    assert value.count is not None
                    self.told[of] += value.count
                    assert self.newest(of) - self.told[of] == BOUND, "what is kept is not missed"
                    return of
            elif of.channel is BARS and value == self.told[of] < self.newest(of):
                self.told[of] += 1
                return of
            elif of.channel is QUOTES and value == self.newest(of) > self.told[of]:
                self.told[of] = value
                return of
        raise AssertionError(f"{value} was not due: {self.told}")

    def has_read_all(self) -> bool:
        return all(self.newest(of) == told for of, told in self.told.items())

    async def next(self, tasks: Tasks) -> None:
        reader = tasks.spawn(_next(self.stream), name="reader", expected=StopAsyncIteration)
        await asyncio.sleep(0)
        if self.stream.is_over:
            assert isinstance(reader.exception(), StopAsyncIteration)
        elif reader.done():
            self.is_told(reader.result(), list(self.told))
        else:
            assert self.has_read_all(), "there was something to read"
            reader.cancel()
            await asyncio.wait({reader})

    def take(self) -> None:
        for channel, items in self.stream.take().items():
            of_channel = [each for each in self.told if self.source.topic(each).channel is channel]
            for item in items:
                self.is_told(item.value, of_channel)
        assert self.has_read_all() or self.stream._items


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, min_size=30, max_size=80))
def test_whatever_happens_each_reader_reads_what_it_was_promised(script: list[tuple[str, Any]]) -> None:
    async def play() -> None:
        source, tasks = Source(), Tasks()
        streams = MarketStreams(source)
        readers: list[Reader] = []
        for name, argument in [("open", None), ("open", None), *script]:
            if name == "change":
                source.change(argument)
            elif name == "open" and len(readers) < 3:
                readers.append(Reader(source, streams.open()))
            elif name == "end":
                streams.close()
                for reader in readers:
                    reader.told.clear()
            elif name not in ("open", "end"):
                index, detail = argument if isinstance(argument, tuple) else (argument, None)
                if index < len(readers):
                    await act(name, readers, index, detail, tasks)
            held = [(source.topic(of), each.stream._holder) for each in readers for of in each.told]
            assert source.held == set(held)
        for reader in readers:
            for _ in range((BOUND + 2) * len(SUBJECTS)):
                await reader.next(tasks)
            assert reader.has_read_all()
            reader.stream.close()
        assert (source.held, source.wakers(), len(streams)) == (set(), 0, 0)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_KEPT", BOUND)
        in_virtual_time(play())


async def act(name: str, readers: list[Reader], index: int, detail: Any, tasks: Tasks) -> None:
    reader = readers[index]
    match name:
        case "follow":
            await reader.stream.follow(detail)
            reader.follow(detail)
        case "unfollow":
            reader.stream.unfollow(reader.source.topic(detail))
            reader.told.pop(detail, None)
        case "close":
            reader.stream.close()
            reader.told.clear()
        case "forget":
            del readers[index]
            del reader
            gc.collect(0)
            await asyncio.sleep(0)
        case "next":
            for _ in range(detail):
                await reader.next(tasks)
        case "take":
            reader.take()
