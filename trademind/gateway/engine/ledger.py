"""Cash and holdings, exact to the cent, in every currency.

Money moves in whole cents: the amount of a fill (price times quantity times multiplier) is rounded once,
when it happens, and commissions are in cents already. What is in another currency than the account's is
valued at the rate of its pair, per currency, and rounded once. So at any moment, with no tolerance,

    per currency: cash = opening cash - sum of (signed amount + commission) of what is paid in full
                         + bought minus sold currency + results of what is margined - its commissions
                         + interest, fees and dividends paid
    total cash + worth of the holdings + accrued interest + dividends to come = net liquidation
    per currency, without currency trades and accruals: cash + sum of (worth - unrealised profits)
                         = opening cash + sum of realised profits + dividends paid

The worth of a holding is what it adds to the account: its market value where it was paid in full; for
futures and CFDs, which are margined, what the price has moved since that was last settled in cash; and
nothing for a currency pair, whose two sides are balances. IB keeps a pair as a virtual position beside
them, and so does this ledger.

The cost basis of a holding is signed like its quantity and includes commissions, as IB's average cost
does: a purchase adds what was paid, a short sale what was received less its commission. Reducing takes a
proportional share of the basis. A fill that goes through zero closes first and opens with the rest; its
commission is split by quantity.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from trademind.domain import SecType
from trademind.gateway.engine.currencies import BASE, Rates
from trademind.gateway.engine.model import Instrument, PaperPosition

ZERO = Decimal(0)
CENT = Decimal("0.01")
_COST_DIGITS = Decimal("0.00000001")

SETTLED_DAILY = frozenset({SecType.FUTURE, SecType.CONTINUOUS_FUTURE})
"""What is marked to market: the day's move is paid in cash at its end."""
MARGINED = SETTLED_DAILY | {SecType.CFD}
"""What is not paid for when bought: only its result ever becomes cash."""
OPTIONS = frozenset({SecType.OPTION, SecType.FUTURE_OPTION})


def cents(amount: Decimal) -> Decimal:
    """`amount` as money is booked: to the cent, halves to the even cent."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)


@dataclass(slots=True, kw_only=True)
class Holding:
    """One instrument's holding and what happened to it today, in the instrument's currency."""

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
    """What today's fills and dividends brought in (or, below zero, took)."""
    prior_close: Decimal | None = None
    """Yesterday's close; None until the first quote of the day."""
    carried: Decimal = ZERO
    """The part of the market value whose moves are in cash already; of what is margined."""
    market_value: Decimal = ZERO

    @property
    def worth(self) -> Decimal:
        """What it adds to the account's net liquidation."""
        sec_type = self.instrument.sec_type
        if sec_type is SecType.CASH:
            return ZERO
        return self.market_value - self.carried if sec_type in MARGINED else self.market_value

    @property
    def unrealized(self) -> Decimal:
        return self.market_value - self.cost

    @property
    def daily_pnl(self) -> Decimal:
        """Change since yesterday's close, fills and commissions of today included."""
        start = self.mark if self.prior_close is None else self.prior_close
        return (
            self.market_value - cents(self.day_quantity * start * self.instrument.multiplier) + self.day_flow
        )

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


@dataclass(slots=True)
class Balance:
    """One currency's part of the books."""

    cash: Decimal = ZERO
    worth: Decimal = ZERO
    """Of the holdings in it, options included."""
    options: Decimal = ZERO
    """Of the options in it."""
    accrued: Decimal = ZERO
    """Interest and fees that have not been paid yet; below zero when they are owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payable:
    """A dividend between its ex-date and the day it is paid; below zero when it is owed."""

    due: date
    con_id: int
    currency: str
    amount: Decimal


class Ledger:
    """The books of one account.

    Args:
        cash: Of the base currency, or by currency.
        rates: What other currencies are worth.
    """

    def __init__(self, cash: Decimal | Mapping[str, Decimal], rates: Rates | None = None) -> None:
        self.rates = rates or Rates(())
        given = cash if isinstance(cash, Mapping) else {BASE: cash}
        self._base = Balance()
        self.balances: dict[str, Balance] = {BASE: self._base}
        for currency, amount in given.items():
            self.balance(currency).cash = cents(amount)
        self.payables: list[Payable] = []
        self._holdings: dict[int, Holding] = {}

    def copy(self) -> "Ledger":
        """The same books, to try something out on."""
        other = Ledger(ZERO, self.rates)
        other.balances = {currency: replace(each) for currency, each in self.balances.items()}
        other._base = other.balances[BASE]
        other.payables = list(self.payables)
        other._holdings = {con_id: replace(each) for con_id, each in self._holdings.items()}
        return other

    def balance(self, currency: str) -> Balance:
        balance = self.balances.get(currency)
        if balance is None:
            balance = self.balances[currency] = Balance()
        return balance

    # Values in the base currency

    def in_base(self, amount: Decimal, currency: str) -> Decimal:
        """An amount of a currency in the account's own."""
        return amount if currency == BASE else cents(amount * self.rates.rate(currency))

    @property
    def cash(self) -> Decimal:
        """All cash."""
        return sum((self.in_base(each.cash, currency) for currency, each in self.balances.items()), ZERO)

    @property
    def market_value(self) -> Decimal:
        """Worth of all holdings."""
        return sum((self.in_base(each.worth, currency) for currency, each in self.balances.items()), ZERO)

    @property
    def option_value(self) -> Decimal:
        return sum((self.in_base(each.options, currency) for currency, each in self.balances.items()), ZERO)

    @property
    def accrued(self) -> Decimal:
        """Interest and fees that are due and not yet paid."""
        return sum((self.in_base(each.accrued, currency) for currency, each in self.balances.items()), ZERO)

    @property
    def dividends_to_come(self) -> Decimal:
        return sum((self.in_base(each.amount, each.currency) for each in self.payables), ZERO)

    @property
    def net_liquidation(self) -> Decimal:
        return self.cash + self.market_value + self.accrued + self.dividends_to_come

    @property
    def equity_with_loan(self) -> Decimal:
        """What margin is measured against: cash and what is held, without options (which have no loan
        value) and without what is not paid yet."""
        if len(self.balances) == 1:
            return self._base.cash + self._base.worth - self._base.options
        return self.cash + self.market_value - self.option_value

    # Holdings

    def holding(self, con_id: int) -> Holding | None:
        """What is held of an instrument; also when it was closed earlier today."""
        return self._holdings.get(con_id)

    def holdings(self) -> Iterable[Holding]:
        return self._holdings.values()

    def currencies(self) -> Iterator[str]:
        """Those in which there is, or was today, something."""
        used = {each.instrument.currency for each in self._holdings.values()}
        used.update(each.currency for each in self.payables)
        for currency, each in self.balances.items():
            if each.cash or each.accrued or currency in used or currency == BASE:
                yield currency

    def load(self, holding: Holding) -> None:
        """Put back a holding that was stored."""
        self._holdings[holding.instrument.con_id] = holding
        self._revalue(holding, ZERO)

    def mark(self, holding: Holding, last: Decimal, prior_close: Decimal) -> None:
        """Value a holding at the last trade."""
        holding.prior_close = prior_close
        if last != holding.mark:
            before = holding.worth
            holding.mark = last
            self._revalue(holding, before)

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
        amount = cents(quantity * price * instrument.multiplier)
        flow = -(sign * amount) - commission
        before, carried = holding.worth, holding.carried
        holding.day_flow += flow
        held = holding.quantity
        realized: Decimal | None = None
        if held * sign >= 0:
            holding.cost -= flow
            if instrument.sec_type in MARGINED:
                holding.carried += sign * amount
        else:
            realized = self._reduce(holding, sign, quantity, price, amount, commission)
            holding.realized += realized
        holding.quantity = held + sign * quantity
        balance = self.balance(instrument.currency)
        balance.cash += flow + holding.carried - carried
        if instrument.sec_type is SecType.CASH:
            self.balance(instrument.symbol).cash += cents(sign * quantity)
        self._revalue(holding, before)
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
            closed_amount = cents(held * price * holding.instrument.multiplier)
            closed_commission = cents(commission * held / quantity)
        basis = _share(holding.cost, closed, held)
        opened = sign * (amount - closed_amount) + (commission - closed_commission)
        holding.cost += opened - basis
        if holding.instrument.sec_type in MARGINED:
            holding.carried += sign * (amount - closed_amount) - _share(holding.carried, closed, held)
        return -(sign * closed_amount) - closed_commission - basis

    # The passing of days

    def start_day(self, day: date | None = None, *, pays_interest: bool = False) -> None:
        """Begin a new day: pay the dividends that are due and perhaps what has accrued, forget what was
        closed, and let daily figures start from what is held."""
        if day is not None:
            for each in self.payables:
                if each.due <= day:
                    self.balance(each.currency).cash += each.amount
            self.payables = [each for each in self.payables if each.due > day]
        if pays_interest:
            for balance in self.balances.values():
                balance.cash += balance.accrued
                balance.accrued = ZERO
        self._holdings = {con_id: each for con_id, each in self._holdings.items() if each.quantity}
        for holding in self._holdings.values():
            holding.day_quantity = holding.quantity
            holding.day_flow = holding.realized = ZERO
            holding.prior_close = None

    def accrue(self, currency: str, amount: Decimal) -> None:
        """Interest earned, or below zero interest and fees owed, to be paid later."""
        self.balance(currency).accrued += amount

    def pay_dividend(self, instrument: Instrument, amount: Decimal, due: date, today: date) -> None:
        """A dividend on a holding, in all; below zero when a short position owes it."""
        holding = self._holdings[instrument.con_id]
        holding.day_flow += amount
        if due <= today:
            self.balance(instrument.currency).cash += amount
        else:
            currency = instrument.currency
            self.payables.append(Payable(due=due, con_id=instrument.con_id, currency=currency, amount=amount))

    def split(self, instrument: Instrument, ratio: Decimal, price: Decimal) -> None:
        """Turn each share into `ratio`; a fraction of one is paid out at the old `price` over the ratio."""
        holding = self._holdings[instrument.con_id]
        new_price = price / ratio
        before = holding.worth
        quantity = holding.quantity * ratio
        holding.mark = new_price
        if holding.prior_close is not None:
            holding.prior_close /= ratio
        holding.day_quantity *= ratio
        holding.quantity = quantity
        self._revalue(holding, before)
        fraction = abs(quantity) % instrument.size_increment
        if fraction:
            self.book(instrument, -1 if quantity > 0 else 1, fraction, new_price, ZERO)

    def settle(self, instrument: Instrument, price: Decimal, *, is_final: bool) -> None:
        """Turn what a margined holding has moved since it was last settled into cash; where it is final,
        close the position at `price`."""
        holding = self._holdings[instrument.con_id]
        before = holding.worth
        holding.mark = price
        self._revalue(holding, before)
        if is_final:
            sign = -1 if holding.quantity > 0 else 1
            self.book(instrument, sign, abs(holding.quantity), price, ZERO)
        elif instrument.sec_type in SETTLED_DAILY:
            moved = holding.worth
            holding.carried = holding.market_value
            balance = self.balance(instrument.currency)
            balance.cash += moved
            balance.worth -= moved

    def _revalue(self, holding: Holding, before: Decimal) -> None:
        """Value a holding anew, whose worth was `before` that."""
        instrument = holding.instrument
        holding.market_value = cents(holding.quantity * holding.mark * instrument.multiplier)
        change = holding.worth - before
        balance = self.balance(instrument.currency)
        balance.worth += change
        if instrument.sec_type in OPTIONS:
            balance.options += change


def _share(whole: Decimal, part: Decimal, of: Decimal) -> Decimal:
    return whole if part == of else cents(whole * part / of)
