"""What jobs take of IB's limit on history, so that whoever asks directly finds something left. Pure.

The limit is 60 requests in ten minutes, for small bars (see `brokers.ibkr.history_pacing`, which keeps it for
all that this server asks). It goes on counting over a restart, which that count does not survive: so jobs
write down when they ask, and what they have asked before a restart counts here after it.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from trademind.brokers.ibkr.history_pacing import IDENTICAL_WITHIN, MARGIN, MOST_WITHIN

SHARE: Final = 40
"""Of the 60 requests in ten minutes. The rest is for those who wait for an answer."""
_WITHIN: Final = timedelta(seconds=MOST_WITHIN + MARGIN)
_AGAIN: Final = timedelta(seconds=IDENTICAL_WITHIN + MARGIN)


class Share:
    """Counts what jobs have asked."""

    def __init__(self) -> None:
        self._asked: deque[datetime] = deque()
        self._not_before: datetime | None = None

    def restore(self, asked: Iterable[datetime]) -> None:
        """What was asked before a restart. The last of it may be asked again, though not at once."""
        self._asked = deque(sorted([*self._asked, *asked]))
        if self._asked:
            self._not_before = self._asked[-1] + _AGAIN

    def may_ask_at(self, now: datetime, weight: int) -> datetime:
        """When the next request may be made; `now` for at once."""
        while self._asked and now - self._asked[0] >= _WITHIN:
            self._asked.popleft()
        moments = [now] if self._not_before is None else [now, self._not_before]
        if (excess := len(self._asked) + weight - SHARE) > 0:
            moments.append(self._asked[excess - 1] + _WITHIN)
        return max(moments)

    def count(self, now: datetime, weight: int) -> None:
        """A request of this weight is about to be made."""
        self._asked.extend([now] * weight)

    @property
    def asked(self) -> tuple[datetime, ...]:
        """What still counts, or did a moment ago."""
        return tuple(self._asked)
