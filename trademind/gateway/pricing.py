"""Prices of options by Black, Scholes and Merton: the value, its sensitivities, and the way back.

European options on something that pays a continuous yield. Formulas: Hull, "Options, Futures, and Other
Derivatives", chapters 15, 17 and 19; the same as in Merton, "Theory of Rational Option Pricing" (1973).

Units everywhere: `spot` and `strike` in the currency, `years` of 365 days, `volatility`, `rate` and
`dividend_yield` per year as fractions (0.2 is 20 %), both rates continuously compounded. Sensitivities are
in the units of IB's option computations: vega per point of volatility (0.01), theta per calendar day.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import erfc, exp, log, pi, sqrt

DAYS_A_YEAR = 365
HIGHEST_VOLATILITY = 10.0
"""1000 % a year; what costs more than at this volatility has none that means anything."""
_VOLATILITY_POINT = 0.01
_ROOT_TWO = sqrt(2.0)
_MOST_STEPS = 100
"""Bisection alone halves 10.0 to less than 1e-28 in as many steps."""
_CLOSE_ENOUGH = 1e-12


@dataclass(frozen=True, slots=True)
class Greeks:
    """The sensitivities of one option's price, each per unit of the underlying (no multiplier)."""

    delta: float
    """Change of the price per 1.00 of the underlying."""
    gamma: float
    """Change of delta per 1.00 of the underlying."""
    vega: float
    """Change of the price per point (0.01) of volatility."""
    theta: float
    """Change of the price as one calendar day passes; negative for most options."""


def option_price(
    *,
    call: bool,
    spot: float,
    strike: float,
    years: float,
    volatility: float,
    rate: float = 0.0,
    dividend_yield: float = 0.0,
) -> float:
    """What the option is worth, in the currency of spot and strike.

    At expiry (`years` of 0 or less) that is its exercise value; without volatility it is the exercise
    value on the forward price, discounted.

    Raises:
        ValueError: spot or strike is not above zero.
    """
    _check(spot, strike)
    years = max(0.0, years)
    carried, discounted = spot * exp(-dividend_yield * years), strike * exp(-rate * years)
    spread = volatility * sqrt(years)
    if spread <= 0.0:
        return max(0.0, carried - discounted if call else discounted - carried)
    d1 = log(carried / discounted) / spread + spread / 2
    d2 = d1 - spread
    if call:
        return max(0.0, carried * _cumulative(d1) - discounted * _cumulative(d2))
    return max(0.0, discounted * _cumulative(-d2) - carried * _cumulative(-d1))


def greeks(
    *,
    call: bool,
    spot: float,
    strike: float,
    years: float,
    volatility: float,
    rate: float = 0.0,
    dividend_yield: float = 0.0,
) -> Greeks:
    """The sensitivities of the price that `option_price` gives for the same arguments.

    At expiry, or without volatility, delta is 0 or ±1 and the others are zero, as IB shows them then.

    Raises:
        ValueError: spot or strike is not above zero.
    """
    _check(spot, strike)
    years = max(0.0, years)
    carry, discount = exp(-dividend_yield * years), exp(-rate * years)
    carried, discounted = spot * carry, strike * discount
    spread = volatility * sqrt(years)
    sign = 1.0 if call else -1.0
    if spread <= 0.0:
        return Greeks(sign * carry if sign * (carried - discounted) > 0 else 0.0, 0.0, 0.0, 0.0)
    d1 = log(carried / discounted) / spread + spread / 2
    d2 = d1 - spread
    density = _density(d1)
    decay = -carried * density * volatility / (2 * sqrt(years))
    decay += sign * dividend_yield * carried * _cumulative(sign * d1)
    decay -= sign * rate * discounted * _cumulative(sign * d2)
    return Greeks(
        delta=sign * carry * _cumulative(sign * d1),
        gamma=carry * density / (spot * spread),
        vega=carried * density * sqrt(years) * _VOLATILITY_POINT,
        theta=decay / DAYS_A_YEAR,
    )


def implied_volatility(
    price: float,
    *,
    call: bool,
    spot: float,
    strike: float,
    years: float,
    rate: float = 0.0,
    dividend_yield: float = 0.0,
) -> float | None:
    """The volatility at which `option_price` gives `price`.

    Returns:
        None where there is none: the price is at or below what the option is worth without volatility, at
        or above what it is worth at `HIGHEST_VOLATILITY`, or the option has expired.

    Raises:
        ValueError: spot or strike is not above zero.
    """
    _check(spot, strike)
    if years <= 0.0:
        return None

    def excess(volatility: float) -> float:
        worth = option_price(
            call=call,
            spot=spot,
            strike=strike,
            years=years,
            volatility=volatility,
            rate=rate,
            dividend_yield=dividend_yield,
        )
        return worth - price

    if excess(0.0) >= 0.0 or excess(HIGHEST_VOLATILITY) <= 0.0:
        return None
    return _root(excess, 0.0, HIGHEST_VOLATILITY)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function, below zero at `low` and above at `high`, crosses zero.

    The Illinois variant of regula falsi, with a bisection wherever that gains less: the price is nearly flat
    at both ends of the range, where Newton's method would leave it.
    """
    below, above = function(low), function(high)
    for step in range(_MOST_STEPS):
        guess = (low * above - high * below) / (above - below)
        if step % 3 == 2 or not low < guess < high:
            guess = (low + high) / 2
        value = function(guess)
        if value == 0.0 or high - low < _CLOSE_ENOUGH:
            return guess
        if value < 0.0:
            low, below, above = guess, value, above / 2
        else:
            high, above, below = guess, value, below / 2
    return (low + high) / 2


def _check(spot: float, strike: float) -> None:
    if not (spot > 0.0 and strike > 0.0):
        raise ValueError(f"spot {spot} and strike {strike} must both be above zero")


def _cumulative(x: float) -> float:
    """The standard normal distribution function."""
    return erfc(-x / _ROOT_TWO) / 2


def _density(x: float) -> float:
    return exp(-x * x / 2) / sqrt(2 * pi)
