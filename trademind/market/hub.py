"""The quote hub: market data for any number of clients, at the pace that each of them has chosen.

What the market does is kept once for each instrument, in the broker's topics (`brokers.topics`); a client is
no more than how far it has read in each, so one that reads slowly costs no memory and sees the latest, and
nobody waits for it. What is sent is written once, however many are sent it.

Three things keep a thousand clients from getting into each other's way. Those with an interval are flushed at
times of their own, spread evenly, not all at the tick that wakes them. One flush at a time has its turn, and
between two of them the loop looks at its sockets: an order that comes meanwhile waits for one flush and not
for all that are due. And where there is more to send than the machine can do, turns come round later: all see
fewer values, in the same measure.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from weakref import WeakSet

from trademind.brokers.base import Broker
from trademind.brokers.topics import Batch, MarketStream, Topic
from trademind.domain import Subject

MAX_INTERVAL: Final = 1.0
"""Seconds between two flushes of a client at most; beyond that one would rather ask now and then."""
GOLDEN: Final = 0.6180339887498949
"""Multiples of it, as far as they go beyond whole numbers, lie as evenly as any, however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStatistics:
    """What the hub has done since it began."""

    clients: int
    """Following something at the moment."""
    topics: int
    """Kinds of data of an instrument that they follow."""
    flushes: int
    encoded: int
    """Values that were written."""
    delivered: int
    """Values that were given to clients, each as often as there were clients to give it to."""


class Hub:
    """The market data of one broker.

    Args:
        encode: How a value is written for whoever is sent it.
    """

    def __init__(self, broker: Broker, encode: Callable[[object], str]) -> None:
        self._broker = broker
        self._encode = encode
        self._clients: WeakSet[HubClient] = WeakSet()
        self._opened = 0
        self._turns = _Turns()
        self._flushes = self._encoded = self._delivered = 0

    def open(self) -> "HubClient":
        """A client that follows nothing yet. Close it after use."""
        self._opened += 1
        client = HubClient(self, self._broker.market(), phase=self._opened * GOLDEN % 1)
        self._clients.add(client)
        return client

    def write(self, value: object) -> str:
        """What `Item.text` is to call: a value as it is sent."""
        self._encoded += 1
        return self._encode(value)

    async def turn(self) -> None:
        """Wait for one's turn to do some work, up to the next await."""
        await self._turns.take()

    def count(self, batch: Batch) -> None:
        """A batch is on its way to its client."""
        self._flushes += 1
        self._delivered += sum(map(len, batch.values()))

    def discard(self, client: "HubClient") -> None:
        self._clients.discard(client)

    @property
    def statistics(self) -> HubStatistics:
        topics = [client.topics for client in self._clients]
        return HubStatistics(
            clients=sum(bool(each) for each in topics),
            topics=len({topic for each in topics for topic in each}),
            flushes=self._flushes,
            encoded=self._encoded,
            delivered=self._delivered,
        )

    async def first(self, subject: Subject, is_enough: Callable[[Any], bool], *, within: float) -> Any:
        """The first value of a subject that is enough, or what there is after `within` seconds.

        It is followed meanwhile, by a line of its own where nobody else follows it. Raises as
        `MarketSource.hold`, and what IB refuses it with.
        """
        async with self._broker.market(subject) as stream:
            value: Any = None
            try:
                async with asyncio.timeout(within):
                    while not stream.is_over:
                        for item in stream.take().get(subject.channel, ()):
                            value = item.value
                            if is_enough(value):
                                return value
                        for topic in stream.topics:
                            if topic.error is not None:
                                raise topic.error
                        await stream.changed()
            except TimeoutError:
                pass
            return value


class HubClient:
    """One who follows market data:

    async with hub.open() as client:
        await client.follow(Subject(channel=Channel.QUOTES, query=ContractQuery(symbol="AAPL")))
        client.interval = 0.25
        while batch := await client.flush():
            ...
    """

    def __init__(self, hub: Hub, stream: MarketStream[Any], phase: float) -> None:
        self._hub = hub
        self._stream = stream
        self._phase = phase
        """When in an interval it is flushed, from 0 to 1."""
        self.interval = 0.0
        """Seconds from one flush to the next at least, up to `MAX_INTERVAL`. It may be changed."""

    async def follow(self, subject: Subject) -> Topic:
        """Follow a subject, too. Raises as `MarketSource.hold`."""
        return await self._stream.follow(subject)

    def unfollow(self, topic: Topic) -> None:
        self._stream.unfollow(topic)

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What is followed."""
        return self._stream.topics

    def write(self, value: object) -> str:
        """As `Hub.write`."""
        return self._hub.write(value)

    async def turn(self) -> None:
        """Let all others have theirs before one goes on."""
        await self._hub.turn()

    async def flush(self) -> Batch:
        """What has come since the last time, when it is time again and there is something; nothing when the
        broker has ended its streams."""
        while not self._stream.is_over:
            if self.interval:
                await asyncio.sleep(self._until_due())
            await self._hub.turn()
            if batch := self._stream.take():
                self._hub.count(batch)
                return batch
            await self._stream.changed()
        return {}

    def _until_due(self) -> float:
        now = asyncio.get_running_loop().time()
        return self.interval - (now - self._phase * self.interval) % self.interval

    def close(self) -> None:
        """What it follows is let go."""
        self._stream.close()
        self._hub.discard(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Turns:
    """One at a time, in the order in which they came, and the event loop goes round between two."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_going_round = False

    async def take(self) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._is_going_round:
            self._is_going_round = True
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # it is, where whoever waited has been cancelled
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._next)
                return
        self._is_going_round = False
