"""One account of the exchange: its books, and the margin that its positions and working orders require.

The exchange matches orders and knows nothing of money; whatever an order means for an account is decided
and booked here.
"""

from collections.abc import Iterable
from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.engine import rules
from trademind.gateway.engine.ledger import ZERO, Holding, Ledger
from trademind.gateway.engine.margin import Exposure, figures
from trademind.gateway.engine.model import AccountFigures, Instrument, MarketQuote, PaperPosition

Change = tuple[Side, Decimal, Decimal]
"""Side, quantity and price by which working orders grow; a negative quantity makes them less."""


class _Corner:
    """What one instrument means for the account's margin."""

    __slots__ = ("exposure", "requirement")

    def __init__(self, instrument: Instrument) -> None:
        self.exposure = Exposure(instrument.sec_type)
        self.requirement = ZERO
        """Initial margin in the worst case, as last computed."""


class PaperAccount:
    """Cash, holdings and reserved margin of one account."""

    def __init__(self, account_id: str, opening_cash: Decimal, cash: Decimal) -> None:
        self.account_id = account_id
        self.opening_cash = opening_cash
        self.ledger = Ledger(cash)
        self._corners: dict[int, _Corner] = {}
        self._required = ZERO
        """Sum of the corners' worst-case requirements."""

    def figures(self) -> AccountFigures:
        return figures(self.ledger)

    def positions(self) -> list[PaperPosition]:
        """Open positions."""
        return [each.position() for each in self.ledger.holdings() if each.quantity]

    def position(self, con_id: int) -> PaperPosition | None:
        """A position; with quantity 0 when it was closed today, None when there was none."""
        holding = self.ledger.holding(con_id)
        return None if holding is None else holding.position()

    def needs_quotes(self) -> set[int]:
        """Con ids of positions that are open, or were last night and have been closed today."""
        # What was held when the day began counts towards the day's profit, by yesterday's close.
        return {
            each.instrument.con_id for each in self.ledger.holdings() if each.quantity or each.day_quantity
        }

    def load(self, holding: Holding) -> None:
        """Put back a holding that was stored."""
        self.ledger.load(holding)
        self.refresh(holding.instrument)

    def reserve(self, instrument: Instrument, changes: Iterable[Change]) -> rules.Problem | None:
        """Reserve margin for a change of the working orders, or say why the account cannot bear it.

        What does not make the worst case worse, such as closing a position, is always accepted. Nothing is
        changed before all of it is known to be possible.
        """
        corner = self._corner(instrument)
        exposure = corner.exposure.after(changes)
        before = corner.requirement
        after = exposure.requirement(self.ledger.holding(instrument.con_id))
        total = self._required - before + after
        equity = self.ledger.net_liquidation
        if after > before and total > equity:
            return rules.unaffordable(equity, total)
        corner.exposure = exposure
        corner.requirement = after
        self._required = total
        return None

    def put_back(self, instrument: Instrument, change: Change) -> None:
        """Reserve for an order that was accepted in a former run, whatever the account can bear now."""
        self._corner(instrument).exposure.add(*change)
        self.refresh(instrument)

    def release(self, instrument: Instrument, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Give back what was reserved for an order that has ended, for `quantity` of it at `price`."""
        self._corner(instrument).exposure.add(side, -quantity, price)
        self.refresh(instrument)

    def book(
        self,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        commission: Decimal,
        *,
        reserved_at: Decimal | None = None,
    ) -> Decimal | None:
        """Book a fill, and give back what was reserved for it.

        Args:
            reserved_at: The price at which the order counted towards margin; None where nothing was reserved.

        Returns:
            The profit it realised, after its commission; None when it only opened or added.
        """
        realized = self.ledger.book(instrument, side.sign, quantity, price, commission)
        if reserved_at is None:
            self.refresh(instrument)
        else:
            self.release(instrument, side, quantity, reserved_at)
        return realized

    def mark(self, instrument: Instrument, quote: MarketQuote) -> None:
        """Value what is held of an instrument by its quote."""
        holding = self.ledger.holding(instrument.con_id)
        if holding is not None:
            self.ledger.mark(holding, quote.last, quote.close)
            self.refresh(instrument)

    def start_day(self) -> None:
        self.ledger.start_day()

    def refresh(self, instrument: Instrument) -> None:
        """Recompute what an instrument requires, after a fill, a cancel or a new price."""
        corner = self._corner(instrument)
        requirement = corner.exposure.requirement(self.ledger.holding(instrument.con_id))
        self._required += requirement - corner.requirement
        corner.requirement = requirement

    def _corner(self, instrument: Instrument) -> _Corner:
        corner = self._corners.get(instrument.con_id)
        if corner is None:
            corner = self._corners[instrument.con_id] = _Corner(instrument)
        return corner
