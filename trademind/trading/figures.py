"""When the account's figures are written down.

IB sends them in bursts of single values, after every trade and every three minutes besides; the paper gateway
every three seconds while a price moves. Written down each time they would be most of the journal. So what
changes of its own accord, as prices move, is written less often than what a trade has changed.
"""

from dataclasses import replace
from typing import Final

from trademind.domain import Account

TRADED_EVERY: Final = 1.0
"""Seconds between two changes that are written down: a burst of values comes within a fraction of one, and in
a minute of sixty trades each is seen."""
MOVED_EVERY: Final = 15.0
"""Seconds where only prices have moved. An event takes some 700 bytes: 4 MB of a day that never closes."""
SNAPSHOTS_EVERY: Final = 60.0
"""Seconds between two points of the equity curve."""


class Figures:
    """What was written down last, and when it is time for the next."""

    def __init__(self) -> None:
        self._last: Account | None = None
        self._noted_at = self._snapshot_at = float("-inf")

    def due_at(self, account: Account) -> float | None:
        """From when on, by the loop's clock, these figures are to be written down; None where they are those
        that were written down last."""
        if self._last is None or _without_prices(self._last) != _without_prices(account):
            return self._noted_at + TRADED_EVERY
        if replace(self._last, as_of=account.as_of) != account:
            return self._noted_at + MOVED_EVERY
        return None

    def noted(self, account: Account, now: float) -> None:
        """They have been written down."""
        self._last, self._noted_at = account, now

    def is_point_due(self, account: Account, now: float) -> bool:
        """Whether these are the equity curve's next point."""
        is_due = not account.stale and now - self._snapshot_at >= SNAPSHOTS_EVERY
        if is_due:
            self._snapshot_at = now
        return is_due


def _without_prices(account: Account) -> tuple[object, ...]:
    """What does not follow from prices: it changes with trades, transfers and the session only."""
    return (
        account.account_id,
        account.currency,
        account.source,
        account.stale,
        account.total_cash_value,
        account.realized_pnl,
    )
