"""Whatever is traded, accrued, paid, split and settled, in whatever currency: the books' identities hold."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.engine.derivatives import CFD, CRYPTO, EURGBP, GERMAN, USDJPY, future, option
from tests.gateway.engine.trading import AAPL, EURUSD
from trademind.domain import SecType
from trademind.gateway.engine.currencies import Rates
from trademind.gateway.engine.ledger import ZERO, Ledger, cents
from trademind.gateway.engine.model import Instrument

GBPUSD = replace(EURUSD, con_id=900_000_306, symbol="GBP", reference_price=1.27)
PAIRS = (EURUSD, GBPUSD, USDJPY)
INSTRUMENTS: tuple[Instrument, ...] = (
    AAPL, GERMAN, CFD, CRYPTO, option(), future(), replace(future(), con_id=900_000_102, currency="EUR"),
    *PAIRS, EURGBP,
)  # fmt: skip
OPENING = {"USD": Decimal(100_000), "EUR": Decimal(5_000)}

PRICES = st.decimals(Decimal("0.5"), Decimal(500), places=2)
Step = tuple[str, int, int, Decimal, Decimal]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["trade", "trade", "trade", "mark", "accrue", "dividend", "split", "settle", "expire", "day"]
        ),
        st.integers(0, len(INSTRUMENTS) - 1),
        st.integers(-200, 200).filter(bool),
        PRICES,
        st.decimals(0, 5, places=2),
    ),
    max_size=60,
)


@dataclass
class Books:
    """A ledger, and the same money counted in the simplest way."""

    ledger: Ledger = field(default_factory=lambda: Ledger(OPENING, Rates(PAIRS)))
    day: date = date(2026, 4, 15)
    paid: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal, OPENING))
    """What has come in and gone out by currency, margined instruments at their full amounts."""
    traded: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    """The same of currency trades alone, and of interest and dividends: what is no result of a position."""
    accrued: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    held: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    realized: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def take(self, step: Step) -> None:
        what, which, quantity, price, commission = step
        instrument = INSTRUMENTS[which]
        holding = self.ledger.holding(instrument.con_id)
        if what == "trade":
            self.trade(instrument, Decimal(quantity), price, commission)
        elif what == "mark" and holding is not None:
            self.ledger.mark(holding, price, price + commission)
            self.ledger.rates.on_quote(instrument.con_id, price)
        elif what == "accrue":
            amount = Decimal(quantity) / 100
            self.ledger.accrue(instrument.currency, amount)
            self.accrued[instrument.currency] += amount
        elif what == "dividend" and holding is not None and instrument.sec_type is SecType.STOCK:
            amount = cents(holding.quantity * commission)
            self.ledger.pay_dividend(instrument, amount, self.day + timedelta(days=quantity % 3), self.day)
            self.paid[instrument.currency] += amount
            self.traded[instrument.currency] += amount
        elif what == "split" and holding is not None and instrument.sec_type is SecType.STOCK:
            self.split(instrument, (Decimal(2), Decimal("0.1"), Decimal("1.5"))[quantity % 3])
        elif what == "settle" and holding is not None and instrument.sec_type is SecType.FUTURE:
            self.ledger.settle(instrument, price, is_final=False)
        elif what == "expire" and holding is not None and holding.quantity and instrument.last_trade_date:
            self.realized[instrument.currency] -= holding.realized
            self.paid[instrument.currency] += cents(holding.quantity * price * instrument.multiplier)
            self.held[instrument.con_id] = ZERO
            self.ledger.settle(instrument, price, is_final=True)
            self.realized[instrument.currency] += holding.realized
        elif what == "day":
            self.start_day(pays_interest=quantity % 2 == 0)
        self.check()

    def trade(self, instrument: Instrument, quantity: Decimal, price: Decimal, commission: Decimal) -> None:
        sign = 1 if quantity > 0 else -1
        flow = -sign * cents(abs(quantity) * price * instrument.multiplier) - commission
        realized = self.ledger.book(instrument, sign, abs(quantity), price, commission)
        self.held[instrument.con_id] += quantity
        self.paid[instrument.currency] += flow
        if instrument.sec_type is SecType.CASH:
            self.traded[instrument.currency] += flow
            self.paid[instrument.symbol] += quantity
            self.traded[instrument.symbol] += quantity
        else:
            self.realized[instrument.currency] += realized or ZERO

    def split(self, instrument: Instrument, ratio: Decimal) -> None:
        holding = self.ledger.holding(instrument.con_id)
        assert holding is not None
        price, before = holding.mark, holding.quantity
        self.realized[instrument.currency] -= holding.realized
        self.ledger.split(instrument, ratio, price)
        self.realized[instrument.currency] += holding.realized
        fraction = before * ratio - holding.quantity
        assert holding.quantity == holding.quantity.to_integral_value()
        assert abs(fraction) < 1
        sign = 1 if fraction > 0 else -1
        self.paid[instrument.currency] += sign * cents(abs(fraction) * (price / ratio))
        self.held[instrument.con_id] = holding.quantity

    def start_day(self, *, pays_interest: bool) -> None:
        self.day += timedelta(days=1)
        self.ledger.start_day(self.day, pays_interest=pays_interest)
        if pays_interest:
            for currency, amount in self.accrued.items():
                self.paid[currency] += amount
                self.traded[currency] += amount
            self.accrued.clear()

    def check(self) -> None:
        ledger = self.ledger
        assert {each.instrument.con_id: each.quantity for each in ledger.holdings() if each.quantity} == {
            con_id: quantity for con_id, quantity in self.held.items() if quantity
        }
        total = ZERO
        for currency in {*self.paid, *ledger.balances}:
            balance = ledger.balance(currency)
            mine = [each for each in ledger.holdings() if each.instrument.currency == currency]
            to_come = sum((each.amount for each in ledger.payables if each.currency == currency), ZERO)
            assert balance.accrued == self.accrued.get(currency, ZERO)
            assert balance.worth == sum((each.worth for each in mine), ZERO)
            # Margined or paid in full, what there is is what was paid and what is held.
            assert balance.cash + to_come + balance.worth == self.paid[currency] + sum(
                (each.market_value for each in mine if each.instrument.sec_type is not SecType.CASH), ZERO
            )
            # And that is the opening cash, what was earned by positions, and what came in otherwise.
            unrealized = sum(
                (each.unrealized for each in mine if each.instrument.sec_type is not SecType.CASH), ZERO
            )
            assert balance.cash + to_come + balance.worth - unrealized == (
                OPENING.get(currency, ZERO) + self.realized[currency] + self.traded[currency]
            )
            total += ledger.in_base(balance.cash, currency) + ledger.in_base(balance.worth, currency)
            total += ledger.in_base(balance.accrued, currency)
        assert ledger.net_liquidation == total + ledger.dividends_to_come
        assert ledger.cash + ledger.market_value + ledger.accrued + ledger.dividends_to_come == (
            ledger.net_liquidation
        )


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_books_balance(steps: list[Step]) -> None:
    books = Books()
    for step in steps:
        books.take(step)


def test_the_books_balance_over_thousands_of_steps() -> None:
    rng = Random(20260415)
    kinds = ("trade", "trade", "trade", "mark", "accrue", "dividend", "split", "settle", "expire", "day")
    for _ in range(10):
        books = Books()
        for _ in range(300):
            quantity = rng.randint(1, 200) * rng.choice((1, -1))
            price, commission = Decimal(rng.randint(50, 50_000)) / 100, Decimal(rng.randint(0, 500)) / 100
            which = rng.randrange(len(INSTRUMENTS))
            books.take((rng.choice(kinds), which, quantity, price, commission))


@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_a_copy_is_the_same_and_a_copy_only(steps: list[Step]) -> None:
    books = Books()
    for step in steps:
        books.take(step)
    ledger = books.ledger
    before = (
        ledger.net_liquidation,
        ledger.cash,
        ledger.equity_with_loan,
        list(map(repr, ledger.holdings())),
    )
    trial = ledger.copy()
    assert (
        trial.net_liquidation,
        trial.cash,
        trial.equity_with_loan,
        list(map(repr, trial.holdings())),
    ) == before
    for each in INSTRUMENTS:
        trial.book(each, 1, Decimal(7), Decimal(11), Decimal(1))
    trial.accrue("USD", Decimal(5))
    trial.start_day(books.day + timedelta(days=9), pays_interest=True)
    assert (
        ledger.net_liquidation,
        ledger.cash,
        ledger.equity_with_loan,
        list(map(repr, ledger.holdings())),
    ) == before
