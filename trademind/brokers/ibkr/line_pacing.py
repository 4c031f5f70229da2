"""How often IB lets a market data line be asked for, where it has a limit of its own for that."""

from typing import Final, Protocol

from trademind.brokers.ibkr.history_pacing import HistoryPacing, Wanted

SAME_WITHIN: Final = 15.0
"""Seconds in which IB takes one request for an instrument's ticks, of whatever type."""
MARGIN: Final = 0.25
"""Seconds added to it: two requests can arrive closer together than they were sent."""


class Pace(Protocol):
    """When one line may be asked for. Times are the loop's."""

    def wait(self, now: float) -> float:
        """Seconds until it may be; 0 for now."""
        ...

    def reserve(self, now: float) -> None:
        """It waits for its turn to be sent."""

    def count(self, now: float) -> None:
        """It is being sent."""

    def withdraw(self) -> None:
        """It will not be sent after all."""


class Unlimited:
    """At any time."""

    def wait(self, now: float) -> float:
        return 0.0

    def reserve(self, now: float) -> None: ...
    def count(self, now: float) -> None: ...
    def withdraw(self) -> None: ...


class AsHistory:
    """Bars: each request counts as one for history."""

    def __init__(self, pacing: HistoryPacing) -> None:
        self._pacing = pacing
        self._wanted = self._another()

    def _another(self) -> Wanted:
        # Of IB's limits on history only the one of ten minutes holds: no two requests are the same.
        return Wanted(identity=object(), subject=object())

    def wait(self, now: float) -> float:
        return self._pacing.wait(now, self._wanted)

    def reserve(self, now: float) -> None:
        self._wanted = self._another()
        self._pacing.reserve(self._wanted)

    def count(self, now: float) -> None:
        self._pacing.count(now, self._wanted)

    def withdraw(self) -> None:
        self._pacing.release(self._wanted)


class Spacing:
    """When the ticks of each instrument were asked for, as far as that matters still."""

    def __init__(self) -> None:
        self._asked: dict[int, float] = {}

    def wait(self, now: float, con_id: int) -> float:
        return max(0.0, self._asked.get(con_id, float("-inf")) + SAME_WITHIN + MARGIN - now)

    def count(self, now: float, con_id: int) -> None:
        self._asked = {
            other: when for other, when in self._asked.items() if now - when < SAME_WITHIN + MARGIN
        }
        self._asked[con_id] = now


class Spaced:
    """Ticks: once in fifteen seconds for each instrument, of whatever type."""

    def __init__(self, spacing: Spacing, con_id: int) -> None:
        self._spacing = spacing
        self._con_id = con_id

    def wait(self, now: float) -> float:
        return self._spacing.wait(now, self._con_id)

    def reserve(self, now: float) -> None:
        self._spacing.count(now, self._con_id)

    def count(self, now: float) -> None:
        self._spacing.count(now, self._con_id)

    def withdraw(self) -> None:
        """It counts all the same: nobody is in such a hurry."""
