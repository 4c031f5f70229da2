"""How much to buy or sell on a signal."""

from decimal import ROUND_DOWN, Decimal
from typing import Final

from trademind.domain.signals import Action, Signal
from trademind.errors import Invalid

MAX_RISK: Final = Decimal("0.2")
"""Of the equity. Five losses in a row from here are the account."""


def size_of(
    signal: Signal,
    *,
    equity: Decimal,
    risk_per_trade: Decimal,
    size_increment: Decimal = Decimal(1),
    multiplier: Decimal = Decimal(1),
) -> Decimal | None:
    """The quantity with which the stop, if it fills at its price, loses `risk_per_trade` of the equity.

    Fixed fractional position sizing: equity x risk / (distance to the stop x multiplier), rounded down to the
    increment, and not more than the equity pays for at the entry. 0 where that is less than an increment,
    None where the signal opens no position or has no stop.
    Vince, Portfolio Management Formulas (1990); Tharp, Trade Your Way to Financial Freedom (1998).

    Args:
        equity: In the instrument's currency.
        risk_per_trade: A fraction: 0.01 is 1 %.
        multiplier: What one unit of the quantity is of the price: 100 for an option on shares.

    Raises:
        Invalid: field by field.
    """
    errors: list[tuple[str, str]] = []
    if not (risk_per_trade.is_finite() and 0 < risk_per_trade <= MAX_RISK):
        errors.append(("risk_per_trade", f"must be above 0 and at most {MAX_RISK}; 0.01 is 1 %"))
    if not equity.is_finite():
        errors.append(("equity", "must be a finite number"))
    for name, value in (("size_increment", size_increment), ("multiplier", multiplier)):
        if not (value.is_finite() and value > 0):
            errors.append((name, "must be above 0"))
    if errors:
        raise Invalid(errors)
    if signal.action not in (Action.BUY, Action.SELL) or signal.entry is None or signal.stop is None:
        return None
    # Prices of signals are measured; their shortest notation is what was meant.
    entry, stop = Decimal(repr(signal.entry)), Decimal(repr(signal.stop))
    distance = abs(entry - stop)
    if distance == 0:
        return None
    if equity <= 0:
        return Decimal(0)
    quantity = equity * risk_per_trade / (distance * multiplier)
    if entry > 0:
        quantity = min(quantity, equity / (entry * multiplier))
    return (quantity / size_increment).to_integral_value(ROUND_DOWN) * size_increment
