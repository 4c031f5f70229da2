"""Streams of events: any number of consumers, each at its own pace, none of whom can hold up the rest.

What happens is offered to every stream at once, inside the socket's callback, and each consumer takes it when
it comes round to it. Lossless channels queue up to a bound, beyond which the consumer is cut off rather than
lied to; channels of latest values keep one value for each thing, made when it is taken. How a channel stands
is put into the same queue in the same step in which it is followed, so that nothing falls between the two and
nothing older comes after. Gaps are told to all, and a stream that is opened within one begins with it.

Where events are numbered and kept, a stream can also begin with those after a number. That they are to be
read is put into the queue in the same step, too: what comes later waits behind it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self

from trademind.clock import Clock
from trademind.domain import (
    Account,
    Channel,
    Event,
    Execution,
    Gap,
    Order,
    Resumed,
    SessionInfo,
    State,
)
from trademind.domain.events import StreamItem
from trademind.errors import StreamOverrun, Unavailable, UnknownSequence

MAX_PENDING: Final = 10_000
"""Events that may wait for one consumer: a busy day's orders, some 10 MB. Whoever is further behind has
stopped reading."""


class History(Protocol):
    """Who keeps events."""

    async def page(self, channels: Collection[Channel], since: int, until: int) -> Sequence[Event]:
        """The next events of these channels after number `since` and up to `until`; none where none are left.

        Raises:
            StateNotKept: they cannot be read at the moment.
        """
        ...


@dataclass(slots=True)
class _Past:
    """Events that are to be read: those after `since`, up to `until`."""

    channels: frozenset[Channel]
    since: int
    until: int


class EventStream:
    """One consumer's stream, made by `IBKRBroker.stream`:

        async with broker.stream(Channel.ORDERS) as stream:
            async for item in stream:
                ...

    It ends when the broker is disconnected for good. Iterating raises `StreamOverrun` when the consumer has
    fallen too far behind: then it has to read the present state and open a new stream.
    """

    def __init__(self, hub: "Streams", channels: Collection[Channel]) -> None:
        self._hub = hub
        self._channels: set[Channel] = set()
        self._owed: set[Channel] = set()
        """Channels of which there is nothing certain to say yet; it is said when the gap ends."""
        self._pending: deque[StreamItem | _Past] = deque()
        self._page: deque[Event] = deque()
        """What was read of the past that is next in the queue."""
        self._latest: dict[Channel, Callable[[], Any]] = {}
        """What has changed since it was last taken, and how to read it."""
        self._wake = asyncio.Event()
        self.is_over = asyncio.Event()
        """Set when nothing more will come than what waits to be read."""
        self._has_overrun = False
        if hub.gap is not None:
            self.offer(hub.gap)
        self.follow(*channels)

    def follow(self, *channels: Channel) -> None:
        """Follow these channels, too: first how they stand, then what changes."""
        for channel in channels:
            if channel not in self._channels:
                self._channels.add(channel)
                self._owed.add(channel)
        self.pay()

    def resume(self, since: int, *channels: Channel) -> None:
        """Follow these channels, too: first every event after number `since`, then what happens. Of those
        that are followed already nothing is repeated.

        Raises:
            UnknownSequence: no event has that number yet.
        """
        until = self.check_known(since)
        if new := frozenset(channels) - self._channels:
            self._channels |= new
            if since < until:
                self._queue(_Past(new, since, until))

    def check_known(self, seq: int) -> int:
        """The number of the last event, if `seq` is not above it. Raises `UnknownSequence`."""
        last = self._hub.seq
        if last is None:
            raise UnknownSequence("events have no numbers here; subscribe anew")
        if seq > last:
            raise UnknownSequence(
                f"the last event here is {last}, and {seq} is none yet: this is not the journal that you "
                "were told of before, or it was put back; subscribe anew"
            )
        return last

    def pay(self) -> None:
        """Say how the channels stand of which that is owed, if there is anything certain to say."""
        for channel in sorted(self._owed):
            if (state := self._hub.state(channel)) is not None:
                self._owed.discard(channel)
                self._latest.pop(channel, None)
                self.offer(state)

    def unfollow(self, *channels: Channel) -> None:
        """Follow these channels no longer. What of them is waiting to be read is still read."""
        self._channels.difference_update(channels)
        self._owed.difference_update(channels)

    def close(self) -> None:
        """End the stream: nothing more comes."""
        self.is_over.set()
        self._hub.forget(self)
        self._wake.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def following(self) -> StreamItem | None:
        """What has happened already after what was taken last; None where nothing more is known to have."""
        item = self._pending[0] if self._pending else None
        return item if isinstance(item, (State, Event, Gap, Resumed)) else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamItem:
        """Raises `StreamOverrun`, and `StateNotKept` where the past cannot be read at the moment."""
        while True:
            if self._has_overrun:
                raise StreamOverrun(
                    f"{MAX_PENDING:,} events waited to be read; read the present state and open a new stream"
                )
            if self._page:
                return self._page.popleft()
            if self._pending:
                if not isinstance(item := self._pending[0], _Past):
                    self._pending.popleft()
                    return item
                await self._read(item)
                continue
            if self._latest:
                channel = next(iter(self._latest))
                return self._hub.event(channel, self._latest.pop(channel)())
            if self.is_over.is_set():
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    async def _read(self, past: _Past) -> None:
        """Read the next page of the past, which stays in the queue until all of it is read."""
        page = await self._hub.page(past.channels, past.since, past.until)
        self._page.extend(page)
        if page:
            past.since = page[-1].seq or past.until
        elif self._pending:  # it has not overrun meanwhile
            self._pending.popleft()

    # What the hub tells it ---------------------------------------------------------------------

    def offer(self, item: StreamItem) -> None:
        """Something that must not be left out."""
        if self._has_overrun or self.is_over.is_set():
            return
        if isinstance(item, Event) and (item.channel not in self._channels or item.channel in self._owed):
            return
        if isinstance(item, Gap):
            # Values of before the gap would look like new ones after it.
            self._latest.clear()
        self._queue(item)

    def _queue(self, item: StreamItem | _Past) -> None:
        if len(self._pending) >= MAX_PENDING:
            self._has_overrun = True
            self._pending.clear()
            self._page.clear()
            self._latest.clear()
        else:
            self._pending.append(item)
        self._wake.set()

    def touch(self, channel: Channel, read: Callable[[], Any]) -> None:
        """A value has changed; `read` tells it when the consumer comes round to it."""
        is_followed = channel in self._channels and channel not in self._owed
        if is_followed and not (self._has_overrun or self.is_over.is_set()):
            self._latest[channel] = read
            self._wake.set()

    @property
    def follows(self) -> frozenset[Channel]:
        """The channels it follows."""
        return frozenset(self._channels)


class Streams:
    """All streams of one broker.

    Args:
        states: How each channel stands; a channel whose function raises has nothing certain to say.
        history: Where events are numbered, who keeps them.
        seq: The number of the last one until now.
    """

    def __init__(
        self,
        clock: Clock,
        states: Mapping[Channel, Callable[[], Collection[Any]]],
        *,
        history: History | None = None,
        seq: int | None = None,
    ) -> None:
        self._clock = clock
        self._states = states
        self._history = history
        self.seq = seq
        """The number of the last event that was told, where they are numbered."""
        self._streams: set[EventStream] = set()
        now = clock.now()
        self.gap: Gap | None = Gap(
            time=now, since=now, reason="the session is not ready yet", connection_number=0
        )
        """The gap that everybody is in."""

    def open(self, channels: Collection[Channel]) -> EventStream:
        """A new stream of these channels; it begins with the gap, if there is one."""
        stream = EventStream(self, channels)
        self._streams.add(stream)
        return stream

    def state(self, channel: Channel) -> State | None:
        """How a channel stands; None while there is nothing certain to say."""
        read = self._states.get(channel)
        if read is None:
            return None
        try:
            return State(channel=channel, time=self._clock.now(), values=tuple(read()), seq=self.seq)
        except Unavailable:
            return None

    async def page(self, channels: Collection[Channel], since: int, until: int) -> Sequence[Event]:
        """As `History.page`."""
        return await self._history.page(channels, since, until) if self._history is not None else ()

    def forget(self, stream: EventStream) -> None:
        self._streams.discard(stream)

    def __len__(self) -> int:
        return len(self._streams)

    def event(self, channel: Channel, data: Order | Execution | SessionInfo | Account) -> Event:
        return Event(channel=channel, time=self._clock.now(), data=data)

    def publish(self, channel: Channel, data: Order | Execution | SessionInfo) -> None:
        """An event of a lossless channel."""
        if self._streams:
            self.tell(self.event(channel, data))

    def tell(self, event: Event) -> None:
        """An event, which may have a number."""
        self.seq = event.seq if event.seq is not None else self.seq
        for stream in self._streams:
            stream.offer(event)

    def touch(self, channel: Channel, read: Callable[[], Any]) -> None:
        """A latest value has changed."""
        for stream in self._streams:
            stream.touch(channel, read)

    def interrupt(self, since: datetime, reason: str, connection_number: int) -> None:
        """From `since` on nothing is vouched for. Within a gap this says nothing new."""
        if self.gap is None:
            self.gap = Gap(
                time=self._clock.now(), since=since, reason=reason, connection_number=connection_number
            )
            for stream in self._streams:
                stream.offer(self.gap)

    def resume(self, connection_number: int) -> None:
        """The gap is over: what can be known of it has been published."""
        gap, self.gap = self.gap, None
        if gap is None:
            return
        for stream in self._streams:
            stream.pay()
            stream.offer(
                Resumed(
                    time=self._clock.now(),
                    gap_since=gap.since,
                    connection_number=connection_number,
                    recovered=tuple(sorted(stream.follows)),
                )
            )

    def close(self, since: datetime, reason: str, connection_number: int) -> None:
        """The broker has been disconnected: every stream is told, and ends when it has been read."""
        self.interrupt(since, reason, connection_number)
        for stream in list(self._streams):
            stream.close()
