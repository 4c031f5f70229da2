"""One account of the exchange: its books, and the margin that its positions and working orders require.

The exchange matches orders and knows nothing of money; whatever an order means for an account is decided
and booked here.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal

from trademind.domain import SecType, Side
from trademind.gateway.engine import rules
from trademind.gateway.engine.accruals import InterestSchedule, accruals
from trademind.gateway.engine.commissions import FIXED, CommissionSchedule
from trademind.gateway.engine.corporate_actions import CorporateAction, Dividend
from trademind.gateway.engine.currencies import Rates
from trademind.gateway.engine.figures import account_figures
from trademind.gateway.engine.journal import (
    AccountRecord,
    AccountState,
    DividendEntitled,
    InterestAccrued,
    Settled,
    SharesSplit,
)
from trademind.gateway.engine.ledger import OPTIONS, ZERO, Ledger, cents
from trademind.gateway.engine.margin import Exposure, LastPrice
from trademind.gateway.engine.model import (
    AccountFigures,
    Instrument,
    MarketQuote,
    PaperPosition,
    Preview,
)
from trademind.gateway.engine.settlement import settlements

Change = tuple[Side, Decimal, Decimal]
"""Side, quantity and price by which working orders grow; a negative quantity makes them less."""


_NOT_TRADED = frozenset({SecType.INDEX, SecType.CONTINUOUS_FUTURE})
"""What is quoted, and cannot be bought."""

Trade = tuple[Instrument, Side, Decimal, Decimal]
"""Instrument, side, quantity and price."""


class _Corner:
    """What one instrument means for the account's margin."""

    __slots__ = ("exposure", "requirement")

    def __init__(self, instrument: Instrument) -> None:
        self.exposure = Exposure(instrument)
        self.requirement = ZERO
        """Initial margin in the worst case, as last computed, in the base currency."""


def reference_price(instrument: Instrument) -> Decimal:
    """What an instrument is worth as long as it has not been quoted."""
    return Decimal(str(instrument.reference_price))


class PaperAccount:
    """Cash, holdings and reserved margin of one account.

    Args:
        opening_cash: What it was opened with, in the base currency.
        cash: What it has, by currency.
        rates: What currencies are worth.
        last_price: Where the prices of underlyings and legs come from.
        commissions: What its trades cost.
    """

    def __init__(
        self,
        account_id: str,
        opening_cash: Decimal,
        cash: Decimal | Mapping[str, Decimal],
        *,
        rates: Rates | None = None,
        last_price: LastPrice = reference_price,
        commissions: CommissionSchedule = FIXED,
    ) -> None:
        self.account_id = account_id
        self.opening_cash = opening_cash
        self.ledger = Ledger(cash, rates)
        self._last_price = last_price
        self._commissions = commissions
        self._corners: dict[int, _Corner] = {}
        self._required = ZERO
        """Sum of the corners' worst-case requirements."""

    def figures(self) -> AccountFigures:
        return account_figures(self.ledger, self._last_price)

    def positions(self) -> list[PaperPosition]:
        """Open positions."""
        return [each.position() for each in self.ledger.holdings() if each.quantity]

    def position(self, con_id: int) -> PaperPosition | None:
        """A position; with quantity 0 when it was closed today, None when there was none."""
        holding = self.ledger.holding(con_id)
        return None if holding is None else holding.position()

    def needs_quotes(self) -> set[int]:
        """Con ids of positions that are open, or were last night and have been closed today, of the
        underlyings of options, and of the pairs of the currencies that there are."""
        wanted = set[int]()
        for each in self.ledger.holdings():
            # What was held when the day began counts towards the day's profit, by yesterday's close.
            if each.quantity or each.day_quantity:
                wanted.add(each.instrument.con_id)
                if each.instrument.sec_type in OPTIONS and each.instrument.underlying is not None:
                    wanted.add(each.instrument.underlying.con_id)
        for currency in self.ledger.currencies():
            source = self.ledger.rates.source(currency)
            if source is not None:
                wanted.add(source)
        return wanted

    @classmethod
    def restored(
        cls,
        state: AccountState,
        *,
        rates: Rates,
        last_price: LastPrice,
        commissions: CommissionSchedule = FIXED,
    ) -> "PaperAccount":
        """An account as it was stored; of a new one, the state has its cash and nothing else."""
        self = cls(
            state.account_id,
            state.opening_cash,
            state.cash,
            rates=rates,
            last_price=last_price,
            commissions=commissions,
        )
        for currency, amount in state.accrued.items():
            self.ledger.balance(currency).accrued = amount
        self.ledger.payables += state.payables
        for holding in state.holdings:
            self.ledger.load(holding)
            self.refresh(holding.instrument)
        return self

    def state(self) -> AccountState:
        """Everything about it that is to be stored."""
        balances = self.ledger.balances
        return AccountState(
            account_id=self.account_id,
            opening_cash=self.opening_cash,
            cash={currency: each.cash for currency, each in balances.items()},
            accrued={currency: each.accrued for currency, each in balances.items() if each.accrued},
            payables=list(self.ledger.payables),
            holdings=list(self.ledger.holdings()),
        )

    def reserve(self, instrument: Instrument, changes: Iterable[Change]) -> rules.Problem | None:
        """Reserve margin for a change of the working orders, or say why the account cannot bear it.

        What does not make the worst case worse, such as closing a position, is always accepted. Nothing is
        changed before all of it is known to be possible.
        """
        if instrument.sec_type in _NOT_TRADED:
            return rules.NOT_TRADED
        if not self.ledger.rates.knows(instrument.currency):
            return rules.rejected(f"There is no exchange rate for {instrument.currency}")
        corner = self._corner(instrument)
        exposure = corner.exposure.after(changes)
        before = corner.requirement
        after = self._requirement(instrument, exposure)
        total = self._required - before + after
        if after > before:
            equity = self.ledger.equity_with_loan
            if total > equity:
                return rules.unaffordable(equity, total)
        corner.exposure = exposure
        corner.requirement = after
        self._required = total
        return None

    def preview(
        self,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        *,
        legs: Iterable[Trade] = (),
    ) -> Preview:
        """What a fill of all of `quantity` at `price` would do to margin and equity. Changes nothing.

        Args:
            legs: Of a combination what is really bought and sold: instrument, side, quantity and price.
        """
        before = self.figures()
        trial = self.ledger.copy()
        parts = tuple(legs) or ((instrument, side, quantity, price),)
        commission, least, most = self._costs(parts)
        fee = commission
        for part, part_side, part_quantity, part_price in parts:
            trial.book(part, part_side.sign, part_quantity, part_price, fee)
            holding = trial.holding(part.con_id)
            assert holding is not None
            trial.mark(holding, part_price, holding.prior_close or part_price)
            fee = ZERO
        after = account_figures(trial, self._last_price)
        return Preview(
            init_margin=_change(before.init_margin_req, after.init_margin_req),
            maint_margin=_change(before.maint_margin_req, after.maint_margin_req),
            equity_with_loan=_change(before.equity_with_loan_value, after.equity_with_loan_value),
            commission=commission,
            min_commission=least,
            max_commission=most,
            currency=instrument.currency,
        )

    def commission(self, instrument: Instrument, quantity: Decimal, value: Decimal) -> Decimal:
        """What an order owes of which `quantity` filled; `value` is the sum of quantity times price."""
        rate = self.ledger.rates.rate(instrument.currency)
        return self._commissions.commission(
            instrument, quantity, value * instrument.multiplier, base_rate=rate
        )

    def _costs(self, parts: Iterable[Trade]) -> tuple[Decimal, Decimal, Decimal]:
        """Commission of trades, and the least and the most it could be."""
        commission = least = most = ZERO
        for instrument, _, quantity, price in parts:
            value = quantity * price
            rate = self.ledger.rates.rate(instrument.currency)
            commission += self.commission(instrument, quantity, value)
            low, high = self._commissions.bounds(
                instrument, quantity, value * instrument.multiplier, base_rate=rate
            )
            least, most = least + low, most + high
        return commission, least, most

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
            # What an option needs follows from its underlying, too.
            moved = holding.mark != quote.last or instrument.sec_type in OPTIONS
            self.ledger.mark(holding, quote.last, quote.close)
            if moved:
                self.refresh(instrument)

    # The passing of days

    def day_ends(self, following: date, days: int, schedule: InterestSchedule) -> list[AccountRecord]:
        """What is to be booked before `following` begins, `days` after the day that ends."""
        account = self.account_id
        settled = [
            Settled(account=account, instrument=instrument, price=price, is_final=is_final)
            for instrument, price, is_final in settlements(self.ledger, following, self._last_price)
        ]
        accrued = [
            InterestAccrued(account=account, currency=currency, amount=amount)
            for currency, amount in accruals(self.ledger, days, schedule).items()
        ]
        return [*accrued, *settled]

    def action(self, action: CorporateAction) -> list[AccountRecord]:
        """What a corporate action does to the account; nothing when it held none when the day began."""
        records: list[AccountRecord] = []
        for holding in self.ledger.holdings():
            instrument = holding.instrument
            if not _concerns(action, instrument):
                continue
            if isinstance(action, Dividend):
                if holding.day_quantity:
                    amount = cents(holding.day_quantity * action.amount)
                    due = action.pay_date or action.ex_date
                    records.append(
                        DividendEntitled(
                            account=self.account_id, instrument=instrument, amount=amount, due=due
                        )
                    )
            elif holding.quantity:
                records.append(
                    SharesSplit(
                        account=self.account_id,
                        instrument=instrument,
                        ratio=action.ratio,
                        price=holding.mark,
                    )
                )
        return records

    def record(self, record: AccountRecord, today: date) -> None:
        """Book what happened without an order, be it now or when the journal is replayed."""
        match record:
            case InterestAccrued(currency=currency, amount=amount):
                self.ledger.accrue(currency, amount)
                return
            case DividendEntitled(instrument=instrument, amount=amount, due=due):
                self.ledger.pay_dividend(instrument, amount, due, today)
            case SharesSplit(instrument=instrument, ratio=ratio, price=price):
                self.ledger.split(instrument, ratio, price)
            case Settled(instrument=instrument, price=price, is_final=is_final):
                self.ledger.settle(instrument, price, is_final=is_final)
        self.refresh(instrument)

    def start_day(self, day: date, former: date) -> None:
        """Begin a day; with a month, what has accrued in the last one is paid."""
        self.ledger.start_day(day, pays_interest=(day.year, day.month) != (former.year, former.month))

    def refresh(self, instrument: Instrument) -> None:
        """Recompute what an instrument requires, after a fill, a cancel or a new price."""
        corner = self._corner(instrument)
        requirement = self._requirement(instrument, corner.exposure)
        self._required += requirement - corner.requirement
        corner.requirement = requirement

    def _requirement(self, instrument: Instrument, exposure: Exposure) -> Decimal:
        required = exposure.requirement(self.ledger.holding(instrument.con_id), self._last_price)
        return self.ledger.in_base(cents(required), instrument.currency)

    def _corner(self, instrument: Instrument) -> _Corner:
        corner = self._corners.get(instrument.con_id)
        if corner is None:
            corner = self._corners[instrument.con_id] = _Corner(instrument)
        return corner


def _concerns(action: CorporateAction, instrument: Instrument) -> bool:
    """Shares, and CFDs on them."""
    underlying = instrument.underlying if instrument.sec_type is SecType.CFD else None
    return action.con_id in (instrument.con_id, None if underlying is None else underlying.con_id)


def _change(before: Decimal, after: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    return before, after - before, after
