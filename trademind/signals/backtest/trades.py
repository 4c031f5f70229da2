"""Round trips: which purchase a sale has closed, and what came of it.

First in, first out, as IB matches lots unless it is told otherwise. A fill that closes several lots, or a
part of one, makes a trade of each part; its commission is shared out by quantity.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trademind.domain import Side
from trademind.signals.backtest.venue import Fill

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One lot from its opening to its close. Times are the beginnings of the bars in which it happened."""

    symbol: str
    side: Side
    """BUY for a long one."""
    quantity: Decimal
    entry_time: datetime
    entry_bar: int
    entry_price: Decimal
    exit_time: datetime | None
    """None while it is open, here and below."""
    exit_bar: int | None
    exit_price: Decimal | None
    exit_why: str | None
    """`signal`, `stop` or `target`."""
    commission: Decimal
    """Of what has been done of it."""
    profit: Decimal
    """After commissions; of an open one at the last close."""

    @property
    def is_open(self) -> bool:
        return self.exit_time is None

    @property
    def bars(self) -> int | None:
        """From the bar of the entry to that of the exit; 0 when both are in the same one."""
        return None if self.exit_bar is None else self.exit_bar - self.entry_bar


@dataclass(slots=True)
class _Lot:
    fill: Fill
    left: Decimal


def round_trips(
    fills: Iterable[Fill], *, multipliers: Mapping[str, Decimal], last: Mapping[str, Decimal]
) -> list[Trade]:
    """The trades of some fills, oldest first, in the order in which they were closed; open ones at the end.

    Args:
        multipliers: What one unit of a price is worth, by symbol.
        last: Prices at which open ones are valued.
    """
    closed: list[Trade] = []
    books: dict[str, deque[_Lot]] = {}
    for fill in fills:
        lots = books.setdefault(fill.symbol, deque())
        left = fill.quantity
        while left and lots and lots[0].fill.side is not fill.side:
            lot = lots[0]
            part = min(left, lot.left)
            closed.append(_trade(lot.fill, part, multipliers[fill.symbol], fill, fill.price))
            left -= part
            lot.left -= part
            if not lot.left:
                lots.popleft()
        if left:
            lots.append(_Lot(fill, left))
    still_open = [
        _trade(lot.fill, lot.left, multipliers[symbol], None, last[symbol])
        for symbol, lots in books.items()
        for lot in lots
    ]
    return [*closed, *still_open]


def _trade(entry: Fill, quantity: Decimal, multiplier: Decimal, exit_: Fill | None, price: Decimal) -> Trade:
    commission = _part(entry, quantity) + (_ZERO if exit_ is None else _part(exit_, quantity))
    gain = price - entry.price if entry.side is Side.BUY else entry.price - price
    return Trade(
        symbol=entry.symbol,
        side=entry.side,
        quantity=quantity,
        entry_time=entry.time,
        entry_bar=entry.bar,
        entry_price=entry.price,
        exit_time=None if exit_ is None else exit_.time,
        exit_bar=None if exit_ is None else exit_.bar,
        exit_price=None if exit_ is None else exit_.price,
        exit_why=None if exit_ is None else exit_.why,
        commission=commission,
        profit=gain * quantity * multiplier - commission,
    )


def _part(fill: Fill, quantity: Decimal) -> Decimal:
    """The share of a fill's commission that belongs to a part of it."""
    return fill.commission if quantity == fill.quantity else fill.commission * quantity / fill.quantity
