"""Risk limits, the mode, and how much of the limits is used."""

from decimal import Decimal
from typing import Self

from pydantic import ConfigDict, Field, StrictBool
from pydantic.config import JsonDict

from trademind.api.schemas.base import In, Money, Out, Price, Quantity, Time, money, price, quantity, time
from trademind.api.schemas.order_requests import Number
from trademind.domain import RiskLimits, TradingHours, TradingMode, TradingState
from trademind.trading.risk import Halt, Usage

_LIMITS: JsonDict = {
    "max_order_quantity": "500",
    "max_order_notional": "50000.00",
    "max_position_quantity": None,
    "max_position_notional": "100000.00",
    "max_gross_exposure": "250000.00",
    "max_open_orders": 20,
    "max_orders_per_minute": 30,
    "max_daily_loss": "2500.00",
    "price_collar": "0.05",
    "allowed_symbols": None,
    "denied_symbols": ["GME"],
    "trading_hours": "regular",
}


class LimitsIn(In):
    """All limits at once: what is left out, or null, is no limit."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LIMITS]})

    max_order_quantity: Number | None = None
    max_order_notional: Number | None = None
    max_position_quantity: Number | None = None
    max_position_notional: Number | None = None
    max_gross_exposure: Number | None = None
    max_open_orders: Number | None = None
    max_orders_per_minute: Number | None = None
    max_daily_loss: Number | None = None
    price_collar: Number | None = None
    allowed_symbols: list[str] | None = None
    denied_symbols: list[str] | None = None
    trading_hours: TradingHours | None = None

    def limits(self) -> RiskLimits:
        """The limits in the domain's terms. Raises `Invalid`."""
        return RiskLimits(**self.model_dump())


class LimitsOut(Out):
    """Null, or no symbol, is no limit. Amounts are in the account's currency."""

    max_order_quantity: Quantity | None
    max_order_notional: Money | None
    max_position_quantity: Quantity | None = Field(description="Of one contract, long or short.")
    max_position_notional: Money | None
    max_gross_exposure: Money | None
    max_open_orders: int | None
    max_orders_per_minute: int | None
    max_daily_loss: Money | None
    price_collar: Price | None = Field(description="A fraction of the last quote: 0.05 is 5 %.")
    allowed_symbols: list[str] | None = Field(description="Nothing else is traded.")
    denied_symbols: list[str]
    trading_hours: TradingHours | None

    @classmethod
    def of(cls, limits: RiskLimits) -> Self:
        return cls(
            max_order_quantity=_size(limits.max_order_quantity),
            max_order_notional=price(limits.max_order_notional),
            max_position_quantity=_size(limits.max_position_quantity),
            max_position_notional=price(limits.max_position_notional),
            max_gross_exposure=price(limits.max_gross_exposure),
            max_open_orders=limits.max_open_orders,
            max_orders_per_minute=limits.max_orders_per_minute,
            max_daily_loss=price(limits.max_daily_loss),
            price_collar=price(limits.price_collar),
            allowed_symbols=None if limits.allowed_symbols is None else list(limits.allowed_symbols),
            denied_symbols=list(limits.denied_symbols),
            trading_hours=limits.trading_hours,
        )


class ModeOut(Out):
    mode: TradingMode
    since: Time
    reason: str
    by: str = Field(description="Where the command came from, or the limit that was reached.")
    kept: bool = Field(
        description="Whether a restart would find mode and limits as they are. They hold in any case."
    )

    @classmethod
    def of(cls, state: TradingState, *, kept: bool) -> Self:
        return cls(mode=state.mode, since=time(state.since), reason=state.reason, by=state.by, kept=kept)


class SetLimitsOut(Out):
    """The limits that hold."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"limits": _LIMITS, "from_settings": False, "kept": True}]}
    )

    limits: LimitsOut
    from_settings: bool = Field(description="Whether they are the settings' ones; others were set otherwise.")
    kept: bool = Field(description="Whether a restart would find them. They hold in any case.")


class UsageOut(Out):
    """How things stand, with every working order of a side filled; null where it is not known."""

    open_orders: int
    orders_last_minute: int
    gross_exposure: Money | None
    largest_position_quantity: Quantity
    largest_position_notional: Money | None
    daily_pnl: Money | None

    @classmethod
    def of(cls, usage: Usage) -> Self:
        return cls(
            open_orders=usage.open_orders,
            orders_last_minute=usage.orders_last_minute,
            gross_exposure=money(usage.gross_exposure),
            largest_position_quantity=quantity(usage.largest_position_quantity),
            largest_position_notional=money(usage.largest_position_notional),
            daily_pnl=money(usage.daily_pnl),
        )


class RiskOut(ModeOut):
    limits: LimitsOut
    limits_from_settings: bool
    usage: UsageOut | None = Field(description="Null while the session is not ready.")


class HaltIn(In):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "something is odd", "cancel_open": True}]}
    )

    reason: str = Field(default="", max_length=500)
    cancel_open: StrictBool = Field(default=False, description="Also cancel what is working.")


class HaltOut(ModeOut):
    canceled: list[str] = Field(description="Orders that a cancel was asked for, or that were not sent yet.")
    not_canceled: list[str] = Field(description="Orders that still work although they should not.")
    cancel_error: str | None = Field(description="Why not.")

    @classmethod
    def halted(cls, state: TradingState, done: Halt, *, kept: bool) -> Self:
        return cls(
            **ModeOut.of(state, kept=kept).model_dump(),
            canceled=[order.id for order in done.canceled],
            not_canceled=[order.id for order in done.not_canceled],
            cancel_error=done.error,
        )


def _size(value: Decimal | None) -> str | None:
    return None if value is None else quantity(value)
