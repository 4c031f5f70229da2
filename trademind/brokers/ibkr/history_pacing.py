"""IB's limits on requests for history, kept on this side. Pure: time is passed in.

IB answers a request too many with error 162 and counts it all the same, so asking until it works makes it
worse. Source: "Historical Data Limitations" in the TWS API's documentation: not more than 60 requests in ten
minutes (BID_ASK counts twice), not six or more for one contract, exchange and type of data within two
seconds, not the same request twice within fifteen. They hold for bars of 30 seconds and less; for longer ones
IB has lifted them.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

MOST: Final = 60
MOST_WITHIN: Final = 600.0
SAME_SUBJECT: Final = 5
SAME_SUBJECT_WITHIN: Final = 2.0
IDENTICAL_WITHIN: Final = 15.0
MARGIN: Final = 0.25
"""Seconds added to each span: two requests can arrive closer together than they were sent."""
PENALTY: Final = 15.0
"""Seconds without requests after IB has complained all the same: another program of this login asks, too."""

_SMALL_BARS: Final = frozenset({"1 secs", "5 secs", "10 secs", "15 secs", "30 secs"})


def is_limited(bar_size: str) -> bool:
    """Do the limits hold for bars of this size?"""
    return bar_size in _SMALL_BARS


def weight_of(what_to_show: str | None) -> int:
    """As how many requests one for this kind of data counts."""
    return 2 if what_to_show == "BID_ASK" else 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request, as far as the limits go."""

    identity: Hashable
    """All that makes it the same request as another."""
    subject: Hashable
    """Its contract, exchange and type of data."""
    weight: int = 1


class HistoryPacing:
    """Counts what was asked, and says how long the next has to wait."""

    def __init__(self) -> None:
        self._asked: deque[tuple[float, Wanted]] = deque()
        self._reserved: list[Wanted] = []
        """What may be asked and has not been sent yet: it will be, at a time that is not known."""
        self._blocked_until = float("-inf")

    def wait(self, now: float, wanted: Wanted, ahead: int = 0) -> float:
        """Seconds until `wanted` may be asked; 0 for now.

        Args:
            ahead: The weight of what waits before it.
        """
        while self._asked and now - self._asked[0][0] >= MOST_WITHIN + MARGIN:
            self._asked.popleft()
        moments = [now, self._blocked_until]
        asked = [*self._asked, *((now, other) for other in self._reserved)]
        room = SAME_SUBJECT - wanted.weight
        for when, other in reversed(asked):
            if other.subject == wanted.subject:
                room -= other.weight
                if room < 0:
                    moments.append(when + SAME_SUBJECT_WITHIN + MARGIN)
                    break
        moments += [
            when + IDENTICAL_WITHIN + MARGIN for when, other in asked if other.identity == wanted.identity
        ]
        excess = sum(other.weight for _, other in asked) + ahead + wanted.weight - MOST
        for when, other in asked:
            if excess <= 0:
                break
            excess -= other.weight
            moments.append(when + MOST_WITHIN + MARGIN)
        if excess > 0:  # even an empty window has no room for all that waits before it
            moments.append(now + MOST_WITHIN)
        return max(moments) - now

    def reserve(self, wanted: Wanted) -> None:
        """`wanted` may be asked, and waits to be sent."""
        self._reserved.append(wanted)

    def release(self, wanted: Wanted) -> None:
        """`wanted` will not be sent after all; nothing changes where it has been."""
        if wanted in self._reserved:
            self._reserved.remove(wanted)

    def count(self, now: float, wanted: Wanted) -> None:
        """`wanted` is being sent."""
        self.release(wanted)
        self._asked.append((now, wanted))

    def penalise(self, now: float) -> None:
        """IB has complained of too many requests."""
        self._blocked_until = now + PENALTY
