"""Risk: how much may be traded, and whether anything may be traded at all."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from trademind.domain.orders import exact
from trademind.errors import Invalid

MAX_LIMIT: Final = Decimal(10) ** 15
"""No limit is larger: what is meant to be no limit is None."""
MAX_SYMBOLS: Final = 1000
"""Symbols of one list: more than an index has."""

_AMOUNTS: Final = (
    "max_order_quantity",
    "max_order_notional",
    "max_position_quantity",
    "max_position_notional",
    "max_gross_exposure",
    "max_daily_loss",
)
_COUNTS: Final = ("max_open_orders", "max_orders_per_minute")
_LISTS: Final = ("allowed_symbols", "denied_symbols")


class TradingHours(StrEnum):
    """When orders are taken, by the contract's own hours as IB states them."""

    REGULAR = "regular"
    """While its liquid hours last."""
    EXTENDED = "extended"
    """Also before and after those: while it trades at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What an order is checked against. None, or no symbol, is no limit. docs/risk.md says what counts.

    Amounts are in the account's currency. Numbers may be given as `Decimal`, `int`, `str` or `float`.

    Raises:
        Invalid: with one (field, message) pair for everything that is wrong.
    """

    max_order_quantity: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_position_quantity: Decimal | None = None
    """Of one contract, long or short."""
    max_position_notional: Decimal | None = None
    max_gross_exposure: Decimal | None = None
    """Long and short positions together, none set off against another."""
    max_open_orders: int | None = None
    max_orders_per_minute: int | None = None
    max_daily_loss: Decimal | None = None
    price_collar: Decimal | None = None
    """How far from the last quote a price may be, as a fraction of it: 0.05 is 5 %."""
    allowed_symbols: tuple[str, ...] | None = None
    """Nothing else is traded."""
    denied_symbols: tuple[str, ...] = ()
    trading_hours: TradingHours | None = None

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        if not self.denied_symbols:
            object.__setattr__(self, "denied_symbols", ())
        for name in _READ:
            if (value := getattr(self, name)) is None:
                continue
            try:
                object.__setattr__(self, name, _READ[name](value, name))
            except Invalid as error:
                errors.extend(error.errors)
        if errors:
            raise Invalid(errors)

    @property
    def any_set(self) -> bool:
        """Is there any limit at all?"""
        return any(getattr(self, field.name) != field.default for field in fields(self))


def _amount(value: Any, name: str) -> Decimal:
    number = exact(value, name)
    if not 0 < number <= MAX_LIMIT:
        raise Invalid([(name, f"must be above 0 and at most {MAX_LIMIT:f}; leave it out for no limit")])
    return number


def _count(value: Any, name: str) -> int:
    number = _amount(value, name)
    if number % 1:
        raise Invalid([(name, "must be a whole number")])
    return int(number)


def _fraction(value: Any, name: str) -> Decimal:
    number = exact(value, name)
    if not 0 < number <= 1:
        raise Invalid([(name, "must be above 0 and at most 1; 0.05 is 5 %")])
    return number


def _symbols(value: Any, name: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise Invalid([(name, "must be a list of symbols")])
    given = list(value)
    for symbol in given:
        if not (isinstance(symbol, str) and symbol.isascii() and symbol.isprintable() and symbol.strip()):
            raise Invalid([(name, "has something in it that is no symbol")])
    symbols = tuple(sorted({symbol.strip().upper() for symbol in given}))
    if len(symbols) > MAX_SYMBOLS:
        raise Invalid([(name, f"at most {MAX_SYMBOLS} symbols")])
    if not symbols and name == "allowed_symbols":
        # Two programs would read two things in it: that nothing is allowed, or that everything is.
        raise Invalid([(name, "name a symbol, or leave it out for all of them; to trade nothing, halt")])
    return symbols


def _hours(value: Any, name: str) -> TradingHours:
    try:
        return TradingHours(str(value).lower())
    except ValueError:
        raise Invalid([(name, f"must be one of {', '.join(TradingHours)}")]) from None


_READ: Final[dict[str, Any]] = {
    **dict.fromkeys(_AMOUNTS, _amount),
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_LISTS, _symbols),
    "price_collar": _fraction,
    "trading_hours": _hours,
}


class TradingMode(StrEnum):
    NORMAL = "normal"
    """Whatever the limits let pass."""
    REDUCING = "reducing"
    """Only orders that shrink a position."""
    HALTED = "halted"
    """No order at all. Cancels pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    """The mode, and how it came about."""

    mode: TradingMode
    since: datetime
    reason: str = ""
    by: str = ""
    """Who has set it: where the command came from, or the limit that was reached."""
