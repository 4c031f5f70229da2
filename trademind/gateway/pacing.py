"""How much a client may ask, and how fast: IB's limits, and who counts against them.

Strategy: `Pacing` is the settings, of which each limit is a number or None for "no limit"; `MessageRate`
counts one client's messages, `HistoricalPacing` the requests for history of the whole log-in. Time is
passed in, so a test decides when a second is over.

The limits are those IB documents ("Pacing Limitations" and "Historical Data Limitations" of the TWS API's
reference). Those on the frequency of historical requests hold for bars of 30 seconds and less: for longer
ones IB has lifted them.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

PACE_API: Final = "+PACEAPI"
"""What a client writes behind its range of versions to be slowed down rather than dropped."""
VIOLATION_TEXT: Final = (
    "Historical Market Data Service error message:Historical data request pacing violation: {rule}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """What one log-in may ask. None is no limit."""

    messages_per_second: int | None = 50
    """Of one client; above it follows error 100."""
    warnings: int = 3
    """The client is disconnected with its error 100 of this number."""
    forgiven_after: timedelta = timedelta(seconds=60)
    """Earlier warnings no longer count after so long without another."""
    historical: int | None = 60
    """Requests for history within `historical_within`; BID_ASK counts twice."""
    historical_within: timedelta = timedelta(minutes=10)
    same_contract: int | None = 6
    """So many requests for one contract, exchange and type of data within `same_contract_within` are too
    many."""
    same_contract_within: timedelta = timedelta(seconds=2)
    identical_within: timedelta | None = timedelta(seconds=15)
    """How long the same request may not be made again."""
    longest_bar: timedelta | None = timedelta(seconds=30)
    """Requests for longer bars do not count for any of the above. None: all count."""
    in_flight: int | None = 50
    """Requests for history of one client that may wait for their answer."""
    max_lines: int | None = 100
    """Subscriptions to market data of one client; above it follows error 101."""
    max_depth: int | None = 3
    """Subscriptions to market depth of one client; above it follows error 309."""
    max_tick_by_tick: int | None = 5
    """Tick-by-tick subscriptions of one client, a twentieth of its lines; above it follows error 10190."""


UNPACED: Final = Pacing(
    messages_per_second=None,
    historical=None,
    same_contract=None,
    identical_within=None,
    in_flight=None,
    max_lines=None,
    max_depth=None,
    max_tick_by_tick=None,
)
"""Nothing is limited but what the gateway itself can bear."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A client was faster than it may be."""

    limit: int
    received: int
    warning: int
    """The number of this warning, from 1."""
    is_last: bool
    """Whether the client has been warned often enough."""

    @property
    def text(self) -> str:
        """The text of error 100."""
        return (
            "Max rate of messages per second has been exceeded:"
            f"max={self.limit} rec={self.received} ({self.warning})"
        )


class MessageRate:
    """Counts the messages of one client.

    A leaky bucket: it holds what may come in one second and drains at that rate. A window of a second would
    count two honest batches as one whenever this side was late to read the first; the bucket does not.
    """

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._level = 0.0
        self._drained_at: datetime | None = None
        self._warnings = 0
        self._warned_at: datetime | None = None

    def has_room(self, now: datetime) -> bool:
        """Whether one more message is within the limit."""
        limit = self._pacing.messages_per_second
        if limit is None:
            return True
        self._drain(now, limit)
        return self._level + 1 <= limit

    def count(self, now: datetime) -> Excess | None:
        """Count a message. Returns what there is to say if it is one too many; then counting starts anew."""
        limit = self._pacing.messages_per_second
        if limit is None:
            return None
        self._drain(now, limit)
        self._level += 1
        if self._level <= limit:
            return None
        received, self._level = ceil(self._level), 0.0
        if self._warned_at is not None and now - self._warned_at > self._pacing.forgiven_after:
            self._warnings = 0
        self._warnings += 1
        self._warned_at = now
        return Excess(limit, received, self._warnings, self._warnings >= self._pacing.warnings)

    def _drain(self, now: datetime, limit: int) -> None:
        if self._drained_at is not None:
            # A clock that was put back drains nothing.
            elapsed = max(0.0, (now - self._drained_at).total_seconds())
            self._level = max(0.0, self._level - elapsed * limit)
        self._drained_at = now


class HistoricalPacing:
    """Counts the requests for history of all clients together, as far as they were let through."""

    def __init__(self, pacing: Pacing) -> None:
        self._pacing = pacing
        self._kept = max(
            pacing.historical_within, pacing.same_contract_within, pacing.identical_within or timedelta(0)
        )
        self._admitted: deque[tuple[datetime, Hashable, Hashable, int]] = deque()
        """When, the whole request, its contract and type of data, its weight. Bounded by the limits: what is
        one too many is not admitted."""

    def violation(
        self,
        now: datetime,
        *,
        request: Hashable,
        subject: Hashable,
        bar: timedelta | None,
        weight: int = 1,
    ) -> str | None:
        """The rule that a request breaks, in words; None if it breaks none, and then it counts.

        Args:
            request: All that makes it the same request as another.
            subject: Its contract, exchange and type of data.
            bar: The length of a bar; None for ticks, which are always counted.
            weight: As how many requests it counts.
        """
        rules = self._pacing
        if bar is not None and rules.longest_bar is not None and bar > rules.longest_bar:
            return None
        while self._admitted and not timedelta(0) <= now - self._admitted[0][0] < self._kept:
            self._admitted.popleft()
        broken = self._broken(now, request, subject, weight)
        if broken is None and (rules.historical, rules.same_contract, rules.identical_within) != (None,) * 3:
            self._admitted.append((now, request, subject, weight))
        return broken

    def _broken(self, now: datetime, request: Hashable, subject: Hashable, weight: int) -> str | None:
        rules = self._pacing
        same, total = 0, 0
        for when, other, about, count in self._admitted:
            age = now - when
            if rules.identical_within is not None and other == request and age < rules.identical_within:
                return f"identical requests within {_words(rules.identical_within)}"
            if about == subject and age < rules.same_contract_within:
                same += count
            if age < rules.historical_within:
                total += count
        if rules.same_contract is not None and same + weight >= rules.same_contract:
            return (
                f"{rules.same_contract} or more requests for the same contract, exchange and tick type "
                f"within {_words(rules.same_contract_within)}"
            )
        if rules.historical is not None and total + weight > rules.historical:
            return f"more than {rules.historical} requests within {_words(rules.historical_within)}"
        return None


def _words(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
