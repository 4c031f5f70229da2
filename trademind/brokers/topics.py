"""What is followed of the market: one topic for each kind of data of an instrument, however many follow it.

A topic counts its changes and knows nothing of the pace of those who follow it: each remembers how far it has
read and takes what has come since, when it gets round to it. So a tick costs the same whether one follows or
a thousand do, and nobody can hold up anybody. Quotes and order books are the latest there is; bars and ticks
come one after the other, of which the last are kept for whoever reads a little later.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, cast
from weakref import WeakSet

from trademind.domain import Channel, Contract, LiveBars, Missed, Subject
from trademind.errors import TradeMindError

MAX_KEPT: Final = 1_000
"""Bars or ticks of a topic that are kept for those who read later: of a busy instrument some ten seconds."""

T = TypeVar("T")


class Item:
    """One value of a topic. Whatever it is sent as is made once for all who are sent it."""

    __slots__ = ("_text", "value")

    def __init__(self, value: object) -> None:
        self.value = value
        self._text: str | None = None

    def text(self, encode: Callable[[object], str]) -> str:
        """The value as `encode` writes it; there is one way to write it in a process."""
        if self._text is None:
            self._text = encode(self.value)
        return self._text


Batch = dict[Channel, list[Item]]
"""What has come of several topics, by channel; of each topic oldest first."""


class Topic(ABC):
    """One kind of data of one instrument, as it comes in.

    `version` grows by one with every change. Those who have read up to one are told what has come since by
    `since`.
    """

    def __init__(
        self, channel: Channel, contract: Contract, variant: str = "", bars: LiveBars | None = None
    ) -> None:
        self.channel = channel
        self.contract = contract
        self.variant = variant
        self.bars = bars
        """These tell it from others of the channel, see `Subject`."""
        self.version = 0
        self.error: TradeMindError | None = None
        """What it was refused with, where nothing comes of it."""
        self._waiting: set[asyncio.Event] = set()

    @property
    def beginning(self) -> int:
        """The version that whoever begins to follow has read up to."""
        return self.version

    @abstractmethod
    def since(self, version: int) -> Iterable[Item]:
        """What has come after `version`, oldest first."""

    def wake_at_change(self, wake: asyncio.Event) -> None:
        """Set `wake` at the next change, once."""
        self._waiting.add(wake)

    def let_sleep(self, wake: asyncio.Event) -> None:
        """Do not set `wake` any more: nobody waits for it."""
        self._waiting.discard(wake)

    def _changed(self) -> None:
        self.version += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for wake in waiting:
                wake.set()


class LatestTopic(Topic):
    """Of which only the latest value counts: `read` tells it."""

    def __init__(
        self, channel: Channel, contract: Contract, read: Callable[[], object], variant: str = ""
    ) -> None:
        super().__init__(channel, contract, variant)
        self._read = read
        self._item: Item | None = None

    @property
    def beginning(self) -> int:
        """The latest value is news to whoever begins to follow."""
        return -1

    def touch(self) -> None:
        """The value has changed."""
        self._item = None
        self._changed()

    def since(self, version: int) -> Iterable[Item]:
        if version == self.version:
            return ()
        if self._item is None:
            self._item = Item(self._read())
        return (self._item,)


class SequenceTopic(Topic):
    """Of which every value counts, as far as they are kept."""

    def __init__(
        self, channel: Channel, contract: Contract, variant: str = "", bars: LiveBars | None = None
    ) -> None:
        super().__init__(channel, contract, variant, bars)
        self._items: deque[Item] = deque(maxlen=MAX_KEPT)

    def add(self, value: object) -> None:
        self._items.append(Item(value))
        self._changed()

    def since(self, version: int) -> Iterator[Item]:
        behind = self.version - version
        if behind > len(self._items):
            count = behind - len(self._items)
            yield Item(
                Missed(
                    channel=self.channel,
                    contract=self.contract,
                    count=count,
                    reason=f"{count:,} more came than were read",
                    bar_size=self.bars.bar_size if self.bars else None,
                )
            )
            behind = len(self._items)
        for index in range(len(self._items) - behind, len(self._items)):
            yield self._items[index]


class MarketSource(Protocol):
    """Who has market data lines at the broker."""

    async def hold(self, subject: Subject, holder: object) -> Topic:
        """The topic of a subject, which is kept up for `holder` until it is released. Held twice by one it
        is held once.

        Raises:
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer.
            TooManySubscriptions: everything that IB grants is held by somebody.
            PacingViolation: it could be asked for only later than a request may take.
        """
        ...

    def release(self, topic: Topic, holder: object) -> None:
        """`holder` no longer follows the topic. Nothing happens where it does not hold it."""
        ...


class MarketStreams:
    """All market streams of one broker: they end with it."""

    def __init__(self, source: MarketSource) -> None:
        self.source = source
        self._streams: WeakSet[MarketStream[Any]] = WeakSet()

    def open(self, *subjects: Subject) -> "MarketStream[Any]":
        """A new stream, of these subjects to begin with."""
        stream: MarketStream[Any] = MarketStream(self, subjects)
        self._streams.add(stream)
        return stream

    def discard(self, stream: "MarketStream[Any]") -> None:
        self._streams.discard(stream)

    def __len__(self) -> int:
        return len(self._streams)

    def close(self) -> None:
        """Every stream ends."""
        for stream in list(self._streams):
            stream.close()


class MarketStream(Generic[T]):
    """One consumer of market data, as `IBKRBroker.quotes` and its like make it:

        async with broker.quotes("AAPL", "MSFT") as quotes:
            async for quote in quotes:
                ...

    A consumer that is slow sees fewer quotes, never older ones. Of bars and ticks it sees every one; where it
    is too far behind it is told how many it has `Missed`. Without `async with` it lets go of its lines when
    nobody refers to it any more. It ends when the broker is disconnected for good.
    """

    def __init__(self, streams: MarketStreams, subjects: Iterable[Subject] = ()) -> None:
        self._streams = streams
        self._wanted = list(subjects)
        self._holder = object()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._read_up_to: dict[Topic, int] = {}
        self._changed: deque[Topic] = deque()
        """Topics that had changed when one looked last, and have not been read since: each has its turn."""
        self._topic: Topic | None = None
        """Whose turn it is."""
        self._items: deque[Item] = deque()
        """What is left of it to read."""
        self._wake = asyncio.Event()
        self.is_over = False

    async def follow(self, subject: Subject) -> Topic:
        """Follow one more, or one again, which changes nothing. Raises as `MarketSource.hold`."""
        self._loop = asyncio.get_running_loop()
        topic = await self._streams.source.hold(subject, self._holder)
        if self.is_over:  # closed while IB was being asked
            self._streams.source.release(topic, self._holder)
        elif topic not in self._read_up_to:
            self._read_up_to[topic] = topic.beginning
            self._wake.set()
        return topic

    def unfollow(self, topic: Topic) -> None:
        """Follow it no longer. What was not read of it is not read any more."""
        if self._read_up_to.pop(topic, None) is not None:
            with suppress(ValueError):
                self._changed.remove(topic)
            if topic is self._topic:
                self._items.clear()
            topic.let_sleep(self._wake)
            self._streams.source.release(topic, self._holder)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What is followed."""
        return tuple(self._read_up_to)

    def take(self) -> Batch:
        """Everything that has come since it was last taken, without waiting."""
        taken: Batch = {}
        for topic, version in self._read_up_to.items():
            if topic.version != version:
                self._read_up_to[topic] = topic.version
                if (items := taken.get(topic.channel)) is None:
                    items = taken[topic.channel] = []
                items += topic.since(version)
        return taken

    async def changed(self) -> None:
        """Return when there is something to take, or the stream is over."""
        while not self.is_over:
            self._wake.clear()
            for topic, version in self._read_up_to.items():
                if topic.version != version:
                    return
                topic.wake_at_change(self._wake)
            await self._wake.wait()

    def close(self) -> None:
        """End the stream: what it followed is let go, and nothing more is read."""
        self.is_over = True
        for topic in list(self._read_up_to):
            self.unfollow(topic)
        self._streams.discard(self)
        self._wake.set()

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:  # also where it is cancelled: nobody would let go of what is held already
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._loop is not None and self._read_up_to:
            source, holder, wake = self._streams.source, self._holder, self._wake
            topics = self.topics

            def let_go() -> None:
                for topic in topics:
                    topic.let_sleep(wake)
                    source.release(topic, holder)

            with suppress(RuntimeError):  # the loop has been closed, and the connection with it
                self._loop.call_soon_threadsafe(let_go)

    async def _begin(self) -> None:
        """Follow what is wanted from the beginning, all at the same time."""
        if not self._wanted or self.is_over:
            return
        wanted = self._wanted
        failures = await asyncio.gather(*map(self.follow, wanted), return_exceptions=True)
        self._wanted = [
            subject
            for subject, failure in zip(wanted, failures, strict=True)
            if isinstance(failure, BaseException)
        ]
        for failure in failures:
            if isinstance(failure, BaseException):
                raise failure

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        await self._begin()
        while not self._items:
            while not self._changed:
                await self.changed()
                if self.is_over:
                    raise StopAsyncIteration
                self._changed.extend(
                    topic for topic, version in self._read_up_to.items() if topic.version != version
                )
            topic = self._topic = self._changed.popleft()
            version, self._read_up_to[topic] = self._read_up_to[topic], topic.version
            self._items.extend(topic.since(version))
        return cast(T, self._items.popleft().value)
