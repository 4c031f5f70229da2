"""What derivatives are worth, given what they are about: pure functions of instrument, price and moment.

- A future is worth its underlying carried to expiry, spot * exp((rate - yield) * years) (Hull, "Options,
  Futures, and Other Derivatives", chapter 5), so that the two meet when it expires.
- An option is worth what Black, Scholes and Merton say (see `pricing`), at a volatility that depends on
  moneyness and term, and on nothing else: the same for a call and a put, which keeps them in parity.
- Rates and yields are constants of a plausible size, and claim nothing.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from math import exp, log, sqrt, tanh
from zoneinfo import ZoneInfo

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument
from trademind.gateway.pricing import DAYS_A_YEAR, Greeks, greeks, option_price

RATE = 0.04
"""Of money, per year."""
_EQUITY_YIELD = 0.013
"""Dividends of broad indices and the funds that follow them."""
_FOREIGN_RATE = 0.025
"""What a currency other than the dollar earns."""
_CONVENIENCE_YIELD = {"CL": 0.03, "GC": 0.0, "SI": 0.0}
"""What holding a commodity is worth, over its costs."""

_SKEW, _CURVATURE = 0.08, 0.025
"""How the volatility falls with the strike, and rises on both sides, per standard deviation of moneyness."""
_WINGS = 3.0
"""Standard deviations beyond which the smile flattens."""
_TERM = 0.04
"""By how much a volatility of a year is above one of a moment."""
_SHORTEST_TERM = 3 / DAYS_A_YEAR
"""Moneyness is measured against at least these years, so that the smile of a last day is not a wall."""
_USUAL_CLOSE = time(16)


@dataclass(frozen=True, slots=True)
class OptionValue:
    """One option at one moment, and the assumptions it is valued by."""

    price: float
    volatility: float
    """Implied, per year."""
    greeks: Greeks
    spot: float
    """The underlying's price."""
    years: float
    rate: float
    dividend_yield: float

    @property
    def present_dividend(self) -> float:
        """What the underlying pays until expiry, as of today."""
        return self.spot * (1 - exp(-self.dividend_yield * self.years))


def expiry(instrument: Instrument) -> datetime | None:
    """When a derivative stops trading, in UTC; None for what does not expire."""
    if not instrument.last_trade_date:
        return None
    return _moment(instrument.last_trade_date, instrument.last_trade_time, instrument.time_zone)


@lru_cache(maxsize=1024)
def _moment(day: str, clock: str, zone: str) -> datetime:
    at = time.fromisoformat(clock) if clock else _USUAL_CLOSE
    return datetime.combine(date.fromisoformat(day), at, ZoneInfo(zone)).astimezone(UTC)


def years_left(instrument: Instrument, at: datetime) -> float:
    """Years of 365 days until expiry; none once it has passed."""
    end = expiry(instrument)
    return 0.0 if end is None else max(0.0, (end - at).total_seconds() / 86_400 / DAYS_A_YEAR)


def yield_of(underlying: Instrument) -> float:
    """What an underlying pays its holder per year, continuously compounded."""
    if underlying.sec_type is SecType.CASH:
        return _FOREIGN_RATE
    if underlying.symbol in _CONVENIENCE_YIELD and underlying.sec_type is SecType.INDEX:
        return _CONVENIENCE_YIELD[underlying.symbol]
    return _EQUITY_YIELD if underlying.sec_type is SecType.INDEX or underlying.stock_type == "ETF" else 0.0


def future_price(future: Instrument, spot: float, at: datetime) -> float:
    assert future.underlying is not None
    return spot * exp((RATE - yield_of(future.underlying)) * years_left(future, at))


def smile(option: Instrument, spot: float, years: float) -> float:
    """The implied volatility of an option: that of the underlying, by moneyness and term."""
    assert option.underlying is not None
    assert option.strike is not None
    usual = option.underlying.annual_volatility * (1 + _TERM * sqrt(min(years, 1.0)))
    forward = spot * exp((RATE - yield_of(option.underlying)) * years)
    deviation = usual * sqrt(max(years, _SHORTEST_TERM))
    # Bent, not cut off: a kink in the smile would be an arbitrage.
    moneyness = _WINGS * tanh(log(float(option.strike) / forward) / deviation / _WINGS)
    return usual * (1 - _SKEW * moneyness + _CURVATURE * moneyness * moneyness)


def option_worth(option: Instrument, spot: float, at: datetime) -> float:
    """The price of an option, in its currency, while its underlying stands at `spot`."""
    assert option.underlying is not None
    assert option.strike is not None
    years = years_left(option, at)
    return option_price(
        call=option.right == "C",
        spot=spot,
        strike=float(option.strike),
        years=years,
        volatility=smile(option, spot, years),
        rate=RATE,
        dividend_yield=yield_of(option.underlying),
    )


def value(option: Instrument, spot: float, at: datetime) -> OptionValue:
    """An option's price with all that IB's option computations show."""
    assert option.underlying is not None
    assert option.strike is not None
    years, payout = years_left(option, at), yield_of(option.underlying)
    volatility = smile(option, spot, years)
    return OptionValue(
        price=option_worth(option, spot, at),
        volatility=volatility,
        greeks=greeks(
            call=option.right == "C",
            spot=spot,
            strike=float(option.strike),
            years=years,
            volatility=volatility,
            rate=RATE,
            dividend_yield=payout,
        ),
        spot=spot,
        years=years,
        rate=RATE,
        dividend_yield=payout,
    )
