"""What a backtest is run with: the account, how much a signal buys, what trading costs, and which part of
the bars is traded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from trademind.domain import SecType
from trademind.domain.orders import MAX_QUANTITY
from trademind.domain.signals import Signal
from trademind.errors import Invalid
from trademind.gateway.engine.commissions import FIXED, CommissionSchedule
from trademind.gateway.engine.model import Instrument
from trademind.signals.sizing import MAX_RISK, size_of

_ZERO = Decimal(0)
_ONE = Decimal(1)
MAX_CASH: Final = Decimal(10) ** 12
"""Below it no amount outgrows the digits that the engine reckons with."""
MAX_SHARE: Final = 100
"""Of the equity; the engine's margin has the last word."""
MAX_TICKS: Final = 10_000
"""Of a spread, or of slippage: what is more is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class FixedQuantity:
    """So many shares or contracts, whatever the account has."""

    quantity: Decimal

    def __post_init__(self) -> None:
        if not (self.quantity.is_finite() and 0 < self.quantity <= MAX_QUANTITY):
            raise Invalid([("sizing.quantity", f"must be above zero, and at most {MAX_QUANTITY:,f}")])


@dataclass(frozen=True, slots=True)
class ShareOfEquity:
    """As much as `share` of a symbol's part of the equity pays for; above 1 on margin.

    Fixed fractional sizing (Vince, Portfolio Management Formulas, 1990). A symbol's part is the equity
    divided by the number of symbols.
    """

    share: Decimal = _ONE

    def __post_init__(self) -> None:
        if not 0 < self.share <= MAX_SHARE:
            raise Invalid([("sizing.share", f"must be above 0, and at most {MAX_SHARE}")])


@dataclass(frozen=True, slots=True)
class RiskOfEquity:
    """As much as loses `risk` of a symbol's part of the equity when the signal's stop fills at its price, and
    no more than that part pays for: `size_of`. A signal without a stop buys nothing."""

    risk: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        if not 0 < self.risk <= MAX_RISK:
            raise Invalid([("sizing.risk", f"must be above 0, and at most {MAX_RISK}")])


Sizing = FixedQuantity | ShareOfEquity | RiskOfEquity


def quantity_of(
    sizing: Sizing, signal: Signal, instrument: Instrument, *, equity: Decimal, price: Decimal
) -> Decimal:
    """How much an order is about: whole size increments, rounded down; 0 where there is nothing to buy with.

    Args:
        equity: The symbol's part of it.
        price: The close of the signal's bar.
    """
    step, unit = instrument.size_increment, instrument.multiplier
    match sizing:
        case FixedQuantity(quantity):
            wanted = quantity
        case ShareOfEquity(share):
            wanted = max(equity, _ZERO) * share / (price * unit)
        case RiskOfEquity(risk):
            found = size_of(signal, equity=equity, risk_per_trade=risk, size_increment=step, multiplier=unit)
            wanted = found or _ZERO
    size = wanted // step * step
    return size if size >= instrument.min_size or instrument.sec_type is SecType.CASH else _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSettings:
    """How a strategy is tried.

    Raises:
        Invalid: a value that cannot be meant.
    """

    cash: Decimal = Decimal(100_000)
    """Opening balance, in US dollars."""
    sizing: Sizing = field(default_factory=ShareOfEquity)
    allow_short: bool = True
    """False: a signal to sell closes what is held, and sells nothing short."""
    commissions: CommissionSchedule = FIXED
    slippage_ticks: int = 0
    """By how many minimum ticks worse than the quote an order fills that takes from the market."""
    spread_ticks: int | None = None
    """How far the ask is above the bid, which is the bar's price; None for the instrument's usual spread,
    which is what a replay in the paper gateway has."""
    interest: bool = False
    """Whether balances and short positions bear the published rates of today, over the whole time."""
    risk_free: float = 0.0
    """A year's return of what is without risk, as a fraction; what Sharpe and Sortino ratios are above."""
    bars_per_year: float | None = None
    """For annualising; None for what the bar size and the kind of instrument have, see `annual_bars`."""
    start: datetime | None = None
    """Trading begins with the first bar from here on. Those before it are seen by the strategy."""
    end: datetime | None = None
    """Bars that begin later are not seen at all."""
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    """What symbols mean that are not listed, or not meant as listed."""

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        if not (self.cash.is_finite() and 0 < self.cash <= MAX_CASH):
            errors.append(("cash", f"must be above 0, and at most {MAX_CASH:,f}"))
        for name in ("slippage_ticks", "spread_ticks"):
            ticks = getattr(self, name)
            if ticks is not None and not 0 <= ticks <= MAX_TICKS:
                errors.append((name, f"must be 0 to {MAX_TICKS}"))
        if self.bars_per_year is not None and not 0 < self.bars_per_year < 1e9:
            errors.append(("bars_per_year", "must be above 0"))
        if not -1 < self.risk_free < 10:
            errors.append(("risk_free", "must be a fraction, such as 0.04"))
        for name in ("start", "end"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                errors.append((name, "needs a time zone, such as 2026-01-31T00:00:00Z"))
        if errors:
            raise Invalid(errors)
        if self.start is not None and self.end is not None and self.start > self.end:
            raise Invalid([("end", "must not be before start")])


_DAYS: Final = 252
"""Trading days in a year of the New York Stock Exchange, rounded."""
_SESSION: Final = 390
"""Minutes of its regular session."""
_CURRENCY_DAYS: Final = 260
"""Weekdays of a year, on which currencies trade around the clock."""
_CRYPTO_DAYS: Final = 365
_LONG: Final = {"1 week": 52.0, "1 month": 12.0}
_UNITS: Final = {
    "sec": 1 / 60, "secs": 1 / 60, "min": 1.0, "mins": 1.0, "hour": 60.0, "hours": 60.0,
}  # fmt: skip


def annual_bars(bar_size: str, sec_type: SecType) -> float | None:
    """How many bars a year has; None for a bar size that does not say it.

    Stocks and what follows them: 252 days of 390 minutes. Currencies: 260 days of 24 hours;
    cryptocurrencies: 365.
    """
    if bar_size in _LONG:
        return _LONG[bar_size]
    days = {SecType.CASH: _CURRENCY_DAYS, SecType.CRYPTO: _CRYPTO_DAYS}.get(sec_type, _DAYS)
    if bar_size == "1 day":
        return float(days)
    count, _, unit = bar_size.partition(" ")
    if not count.isdecimal() or int(count) < 1 or unit not in _UNITS:
        return None
    minutes = _SESSION if days == _DAYS else 24 * 60
    return days * minutes / (int(count) * _UNITS[unit])
