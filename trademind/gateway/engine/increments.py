"""Market rules: by how much a price can change, which may depend on the price.

The numbers are IB's as far as we know them; those from `FIRST_OWN` on are ours. The increments are those in
the exchanges' contract specifications; those of options are the penny interval programme's (Cboe rule 5.4).
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

Increments = tuple[tuple[Decimal, Decimal], ...]
"""Pairs of (from this price on, increment), lowest first."""

FIRST_OWN = 9001
PENNIES, HALF_CENTS, HALF_PIPS = 26, 59, 239
PENNY_OPTIONS, NICKEL_OPTIONS, FINE_OPTIONS = 110, 109, 32


def _flat(increment: str) -> Increments:
    return ((Decimal(0), Decimal(increment)),)


MARKET_RULES: Mapping[int, Increments] = {
    PENNIES: _flat("0.01"),
    FINE_OPTIONS: _flat("0.01"),
    HALF_CENTS: _flat("0.005"),
    67: _flat("0.25"),
    HALF_PIPS: _flat("0.00005"),
    PENNY_OPTIONS: ((Decimal(0), Decimal("0.01")), (Decimal(3), Decimal("0.05"))),
    NICKEL_OPTIONS: ((Decimal(0), Decimal("0.05")), (Decimal(3), Decimal("0.1"))),
    FIRST_OWN: _flat("0.1"),
    9002: _flat("0.05"),
    9003: _flat("0.02"),
    9004: _flat("0.002"),
}


def flat_rule(tick: Decimal) -> int:
    """The rule by which all prices change by one tick.

    Raises:
        LookupError: there is none.
    """
    for number, increments in MARKET_RULES.items():
        if increments == ((Decimal(0), tick),):
            return number
    raise LookupError(f"no market rule for a tick of {tick}")


def increment_at(rule: int, price: Decimal) -> Decimal:
    """By how much prices around this one change; of a negative price as of its amount.

    Raises:
        KeyError: no such rule.
    """
    found = Decimal(0)
    for low_edge, increment in MARKET_RULES[rule]:
        if abs(price) < low_edge:
            break
        found = increment
    return found


def round_to(price: Decimal, increment: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """The multiple of an increment nearest to a price, or the next one down or up."""
    return (price / increment).to_integral_value(rounding) * increment


DOWN, UP = ROUND_FLOOR, ROUND_CEILING
