"""Interest and borrow fees, as they accrue from day to day.

By Interactive Brokers' published schedules (IBKR Pro): a benchmark per currency, plus a spread on what is
owed and minus one on what is on deposit, both by tiers of the balance; each tier's part of the balance
bears its own rate. A day is 1/360 of a year (1/365 for sterling, Australian and Hong Kong dollars and the
like, as their money markets count).

- Debit balances: benchmark + 1.5 % up to 100,000, + 1 % up to a million, + 0.75 % up to 50 million,
  + 0.5 % beyond.
- Credit balances: nothing on the first 10,000, benchmark - 0.5 % beyond; never below nothing.
  The proceeds of short sales are collateral and bear none.
- Shares that are sold short: a yearly fee of 0.25 %, that of easily borrowed shares, on the collateral:
  102 % of the price rounded up to the next whole unit of currency.
- A CFD is financed in full: benchmark + 1.5 % on a long one's value; a short one is credited
  benchmark - 1.5 %, where that is above nothing.

The benchmarks are those of the middle of 2025, rounded, and stay as they are: a paper account's interest
shall be the same whenever a test runs. Tiers are in each balance's own currency; IB's are in US dollars'
worth. What has accrued in a month is paid when the next one begins; IB takes until the third business day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.ledger import ZERO, Holding, Ledger, cents

Tiers = tuple[tuple[Decimal | None, Decimal], ...]
"""Upper bounds, None for no bound, each with the spread that is added to the benchmark below it."""

BENCHMARKS: Final[Mapping[str, Decimal]] = {
    "USD": Decimal("0.0433"),
    "EUR": Decimal("0.0193"),
    "GBP": Decimal("0.0422"),
    "AUD": Decimal("0.0384"),
    "NZD": Decimal("0.0325"),
    "CAD": Decimal("0.0275"),
    "CHF": Decimal("0.0004"),
    "JPY": Decimal("0.0048"),
    "HKD": Decimal("0.0070"),
    "SEK": Decimal("0.0200"),
    "NOK": Decimal("0.0450"),
    "DKK": Decimal("0.0160"),
}
_YEAR: Final = 360
_LONG_YEAR: Final = 365
_LONG_YEAR_CURRENCIES: Final = frozenset({"GBP", "AUD", "HKD", "NZD", "SGD", "ZAR"})
_COLLATERAL: Final = Decimal("1.02")


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestSchedule:
    """Yearly rates. A currency without a benchmark bears the spreads alone."""

    benchmarks: Mapping[str, Decimal] = field(default_factory=lambda: BENCHMARKS)
    debit: Tiers = (
        (Decimal(100_000), Decimal("0.015")),
        (Decimal(1_000_000), Decimal("0.010")),
        (Decimal(50_000_000), Decimal("0.0075")),
        (None, Decimal("0.005")),
    )
    credit_free: Decimal = Decimal(10_000)
    """What bears no interest of a credit balance."""
    credit_spread: Decimal = Decimal("0.005")
    borrow_fee: Decimal = Decimal("0.0025")
    cfd_spread: Decimal = Decimal("0.015")

    def on_cash(self, currency: str, balance: Decimal) -> Decimal:
        """A year's interest: above zero what is earned on a balance, below zero what it costs."""
        benchmark = self.benchmarks.get(currency, ZERO)
        if balance >= 0:
            rate = max(benchmark - self.credit_spread, ZERO)
            return max(balance - self.credit_free, ZERO) * rate
        owed, below, cost = -balance, ZERO, ZERO
        for bound, spread in self.debit:
            part = (owed if bound is None else min(owed, bound)) - below
            if part <= 0:
                break
            cost += part * (benchmark + spread)
            below += part
        return -cost

    def on_holding(self, holding: Holding) -> Decimal:
        """A year's interest or fee of a position; below zero what it costs."""
        sec_type = holding.instrument.sec_type
        if sec_type is SecType.CFD:
            benchmark = self.benchmarks.get(holding.instrument.currency, ZERO)
            if holding.quantity > 0:
                return -holding.market_value * (benchmark + self.cfd_spread)
            return -holding.market_value * max(benchmark - self.cfd_spread, ZERO)
        if sec_type is SecType.STOCK and holding.quantity < 0:
            price = (holding.mark * _COLLATERAL).quantize(Decimal(1), ROUND_CEILING)
            return holding.quantity * price * self.borrow_fee
        return ZERO


PUBLISHED: Final = InterestSchedule()
"""As above."""
NO_INTEREST: Final = InterestSchedule(
    benchmarks={}, debit=((None, ZERO),), credit_spread=ZERO, borrow_fee=ZERO, cfd_spread=ZERO
)
"""Balances bear nothing."""


def accruals(ledger: Ledger, days: int, schedule: InterestSchedule) -> dict[str, Decimal]:
    """What accrues by currency over `days` calendar days, each to the cent; without what is nothing."""
    found: dict[str, Decimal] = {}
    for currency in ledger.currencies():
        held = [each for each in ledger.holdings() if each.instrument.currency == currency]
        year = schedule.on_cash(currency, ledger.balances[currency].cash - _short_proceeds(held))
        year += sum((schedule.on_holding(each) for each in held), ZERO)
        day = cents(year / (_LONG_YEAR if currency in _LONG_YEAR_CURRENCIES else _YEAR))
        if day:
            found[currency] = day * days
    return found


def _short_proceeds(holdings: Iterable[Holding]) -> Decimal:
    return sum(
        (
            -each.market_value
            for each in holdings
            if each.instrument.sec_type is SecType.STOCK and each.quantity < 0
        ),
        ZERO,
    )
