"""Cash and holdings, exact to the cent.

Money moves in whole cents: the amount of a fill (price times quantity) is rounded once, when it happens,
and commissions are in cents already. So at any moment, with no tolerance,

    cash = opening cash - sum of (signed amount + commission) over all executions
    cash + sum of market values = net liquidation
    cash + sum of cost bases = opening cash + sum of realised profits

The cost basis of a holding is signed like its quantity and includes commissions, as IB's average cost
does: a purchase adds what was paid, a short sale what was received less its commission. Reducing takes a
proportional share of the basis. A fill that goes through zero closes first and opens with the rest; its
commission is split by quantity.

An FX pair is kept as a holding like any other, valued in USD, and not as a balance in the base currency.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from trademind.gateway.engine.model import Instrument, PaperPosition

ZERO = Decimal(0)
CENT = Decimal("0.01")
_COST_DIGITS = Decimal("0.00000001")


def cents(amount: Decimal) -> Decimal:
    """`amount` as money is booked: to the cent, halves to the even cent."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)


@dataclass(slots=True, kw_only=True)
class Holding:
    """One instrument's holding and what happened to it today."""

    instrument: Instrument
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    """Cost basis, signed like the quantity, commissions included."""
    mark: Decimal = ZERO
    """The price it is valued at: the last trade."""
    realized: Decimal = ZERO
    """Realised today."""
    day_quantity: Decimal = ZERO
    """Quantity at the start of the day."""
    day_flow: Decimal = ZERO
    """Cash that today's fills brought in (or, below zero, took)."""
    prior_close: Decimal | None = None
    """Yesterday's close; None until the first quote of the day."""
    market_value: Decimal = ZERO

    @property
    def unrealized(self) -> Decimal:
        return self.market_value - self.cost

    @property
    def daily_pnl(self) -> Decimal:
        """Change since yesterday's close, fills and commissions of today included."""
        start = self.mark if self.prior_close is None else self.prior_close
        return self.market_value - cents(self.day_quantity * start) + self.day_flow

    def position(self) -> PaperPosition:
        average = ZERO if not self.quantity else (self.cost / self.quantity).quantize(_COST_DIGITS)
        return PaperPosition(
            instrument=self.instrument,
            quantity=self.quantity,
            avg_cost=average,
            market_price=self.mark,
            market_value=self.market_value,
            unrealized_pnl=self.unrealized,
            realized_pnl=self.realized,
            daily_pnl=self.daily_pnl,
        )


class Ledger:
    """The books of one account in USD."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cents(cash)
        self.market_value = ZERO
        """Sum over all holdings, kept up to date with every mark and fill."""
        self._holdings: dict[int, Holding] = {}

    @property
    def net_liquidation(self) -> Decimal:
        return self.cash + self.market_value

    def holding(self, con_id: int) -> Holding | None:
        """What is held of an instrument; also when it was closed earlier today."""
        return self._holdings.get(con_id)

    def holdings(self) -> Iterable[Holding]:
        return self._holdings.values()

    def load(self, holding: Holding) -> None:
        """Put back a holding that was stored."""
        holding.market_value = cents(holding.quantity * holding.mark)
        self._holdings[holding.instrument.con_id] = holding
        self.market_value += holding.market_value

    def mark(self, holding: Holding, last: Decimal, prior_close: Decimal) -> None:
        """Value a holding at the last trade."""
        holding.prior_close = prior_close
        if last != holding.mark:
            holding.mark = last
            self._revalue(holding)

    def book(
        self, instrument: Instrument, sign: int, quantity: Decimal, price: Decimal, commission: Decimal
    ) -> Decimal | None:
        """Book a fill: `sign` is +1 for a purchase, -1 for a sale; `quantity` is above zero.

        Returns:
            The profit it realised, after its commission; None when it only opened or added.
        """
        holding = self._holdings.get(instrument.con_id)
        if holding is None:
            holding = self._holdings[instrument.con_id] = Holding(instrument=instrument, mark=price)
        amount = cents(quantity * price)
        flow = -(sign * amount) - commission
        self.cash += flow
        holding.day_flow += flow
        held = holding.quantity
        realized: Decimal | None = None
        if held * sign >= 0:
            holding.cost -= flow
        else:
            realized = self._reduce(holding, sign, quantity, price, amount, commission)
            holding.realized += realized
        holding.quantity = held + sign * quantity
        self._revalue(holding)
        return realized

    @staticmethod
    def _reduce(
        holding: Holding,
        sign: int,
        quantity: Decimal,
        price: Decimal,
        amount: Decimal,
        commission: Decimal,
    ) -> Decimal:
        held = abs(holding.quantity)
        closed, closed_amount, closed_commission = quantity, amount, commission
        if quantity > held:
            closed = held
            closed_amount = cents(held * price)
            closed_commission = cents(commission * held / quantity)
        basis = holding.cost if closed == held else cents(holding.cost * closed / held)
        opened = sign * (amount - closed_amount) + (commission - closed_commission)
        holding.cost += opened - basis
        return -(sign * closed_amount) - closed_commission - basis

    def start_day(self) -> None:
        """Begin a new day: forget what was closed, and let daily figures start from what is held."""
        self._holdings = {con_id: each for con_id, each in self._holdings.items() if each.quantity}
        for each in self._holdings.values():
            each.day_quantity = each.quantity
            each.day_flow = each.realized = ZERO
            each.prior_close = None

    def _revalue(self, holding: Holding) -> None:
        value = cents(holding.quantity * holding.mark)
        self.market_value += value - holding.market_value
        holding.market_value = value
