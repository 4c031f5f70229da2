"""What has happened, told once it is on disk: the stream behind `/api/stream`.

The feed follows the journal. Every event that is committed, whoever noted it, is told with its number, in the
order of the numbers and with none left out; so nobody is told what a restart could take back, and whoever was
away is told from the journal what came after the last number they know. What the broker says besides events
(how things stand, gaps and their ends) goes through the journal's queue, too, and comes here in its place.

The feed keeps how everything stands as it was told, so that a snapshot is true as of the last event's number
and nothing older ever comes after it.
"""

import logging
import math
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Final

from trademind.brokers.streams import EventStream, Streams
from trademind.clock import Clock
from trademind.domain import Account, Channel, Event, Execution, Gap, Order, SessionInfo, TrackedSignal
from trademind.domain.session import READABLE
from trademind.errors import StateNotKept, Unavailable
from trademind.journal import Journal, Marker, StoredEvent
from trademind.journal.entries import fill_key
from trademind.journal.records import Unreadable

log = logging.getLogger(__name__)

KEPT: Final = (Channel.SESSION, Channel.ORDERS, Channel.EXECUTIONS, Channel.ACCOUNT)
"""The channels whose events the journal has of the broker's."""
PAGE: Final = 200
"""Events read from the journal at once: some 5 ms of work, between which others have their turn."""


class _Doubt(Enum):
    """Why nothing is vouched for at the moment."""

    BEGINNING = auto()
    """How things stand has not been told yet, or something was missed."""
    SESSION = auto()
    """The broker's own gap."""
    JOURNAL = auto()
    """What happens cannot be written down."""


class Feed:
    """The journal's events as streams. Made by the recorder, which also tells it what is no event.

    Args:
        journal: An open one. The feed follows it from now on.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._orders: dict[str, Order] = {}
        self._executions: dict[str, Execution] = {}
        """By what a fill and its corrections have in common."""
        self._session: SessionInfo | None = None
        self._account: Account | None = None
        self._signals: dict[str, TrackedSignal] = {}
        """Those that are open. They come from here, so there is never a doubt about them."""
        self._known: set[Channel] = set()
        """Channels of which it has been told how everything stands."""
        self._doubts = {_Doubt.BEGINNING}
        self.streams = Streams(
            clock,
            {
                Channel.ORDERS: self._orders_newest_first,
                Channel.EXECUTIONS: self._executions_newest_first,
                Channel.SESSION: self._session_as_told,
                Channel.ACCOUNT: self._account_as_told,
                Channel.SIGNALS: lambda: tuple(reversed(self._signals.values())),
            },
            history=self,
            seq=journal.last_seq,
        )
        journal.follow(self)

    def stream(self, *channels: Channel) -> EventStream:
        """As `Broker.stream`, with numbers on events and states, from which `EventStream.resume` goes on."""
        return self.streams.open(channels)

    async def page(self, channels: Collection[Channel], since: int, until: int) -> Sequence[Event]:
        """As `brokers.streams.History`."""
        try:
            found = await self._journal.reading.events_since(since, limit=PAGE, channels=channels)
        except Unreadable as error:
            log.exception("the journal's events after %d cannot be read", since)
            raise StateNotKept(f"an event after {since} cannot be read: {error}; subscribe anew") from error
        return [_event_of(stored) for stored in found if stored.seq <= until]

    # What the journal tells --------------------------------------------------------------------

    def on_event(self, event: StoredEvent) -> None:
        """It is on disk: everybody may know."""
        self.keep(event.data)
        self.streams.tell(_event_of(event))

    def on_trouble(self, error: StateNotKept | None) -> None:
        """The gap begins when nothing can be written, and is over when all that waited has been told."""
        if error is not None:
            self._doubt(_Doubt.JOURNAL, self._clock.now(), error.detail)
        else:
            self._journal.note(Marker(), then=lambda _: self._settle(_Doubt.JOURNAL))

    # What the recorder tells, in its place among the events ---------------------------------------

    def keep(self, value: Order | Execution | SessionInfo | Account | TrackedSignal) -> None:
        """How something stands, which is no event: the journal knew it."""
        match value:
            case Order():
                self._orders[value.id] = value
            case Execution():
                self._executions[fill_key(value.exec_id)[0]] = value
            case SessionInfo():
                self._session = value
            case Account():
                self._account = value
            case TrackedSignal() if value.outcome.is_over:
                self._signals.pop(value.id, None)
            case TrackedSignal():
                self._signals[value.id] = value

    def begin(self, reason: str) -> None:
        """Something was missed: nothing is certain until it is told how everything stands."""
        self._known.clear()
        self._doubt(_Doubt.BEGINNING, self._clock.now(), reason)

    def stands(self, channel: Channel) -> None:
        """Everything in the channel has been told."""
        self._known.add(channel)
        if self._known.issuperset(KEPT):
            self._settle(_Doubt.BEGINNING)

    def interrupt(self, gap: Gap) -> None:
        """The broker vouches for nothing any more."""
        self._doubt(_Doubt.SESSION, gap.since, gap.reason)

    def resume(self) -> None:
        """The broker's gap is over, and what it was made up for has been told."""
        self._settle(_Doubt.SESSION)

    def end(self, reason: str) -> None:
        """Tell every stream that there is a gap, and end it."""
        self.streams.close(self._clock.now(), reason, self._connection_number)

    def _doubt(self, doubt: _Doubt, since: datetime, reason: str) -> None:
        self._doubts.add(doubt)
        self.streams.interrupt(since, reason, self._connection_number)

    def _settle(self, doubt: _Doubt) -> None:
        self._doubts.discard(doubt)
        if not self._doubts:
            self.streams.resume(self._connection_number)

    @property
    def _connection_number(self) -> int:
        return self._session.connection_number if self._session is not None else 0

    # How things stand, as it was told -----------------------------------------------------------

    def _orders_newest_first(self) -> list[Order]:
        self._check(Channel.ORDERS)
        return sorted(self._orders.values(), key=lambda order: order.perm_id or math.inf, reverse=True)

    def _executions_newest_first(self) -> list[Execution]:
        self._check(Channel.EXECUTIONS)
        return sorted(self._executions.values(), key=lambda fill: (fill.time, fill.exec_id), reverse=True)

    def _account_as_told(self) -> tuple[Account, ...]:
        self._check(Channel.ACCOUNT)
        return () if self._account is None else (self._account,)

    def _session_as_told(self) -> tuple[SessionInfo, ...]:
        if self._session is None:
            raise Unavailable("nothing has been told of the session yet")
        return (self._session,)

    def _check(self, channel: Channel) -> None:
        """Raises `Unavailable` where nothing certain is known of the channel."""
        if channel not in self._known or self._session is None or self._session.state not in READABLE:
            raise Unavailable(f"how the {channel} stand is not known yet")


def _event_of(stored: StoredEvent) -> Event:
    return Event(channel=stored.channel, time=stored.time, data=stored.data, seq=stored.seq, name=stored.name)
