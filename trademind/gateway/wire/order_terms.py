"""The terms of an order, as a request brings them and as an open order shows them again.

Strategy: one class for both directions, so that nothing a client may set is lost between them. Numbers that
are not set are None. Attributes that change nothing on paper (who cleared it, on whose behalf) are kept as
they were sent, under the names that IB's clients give them, to be shown again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from trademind.gateway.wire.fields import Value

PRICE_CONDITION: Final = 1
TIME_CONDITION: Final = 3
PERCENT_UNIT: Final = 100
"""The trailing unit that says per cent; 0 is an amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLeg:
    """One leg of a combination."""

    con_id: int
    ratio: int
    action: str
    exchange: str
    open_close: int = 0
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1

    def fields(self) -> tuple[Value, ...]:
        return (
            self.con_id, self.ratio, self.action, self.exchange, self.open_close, self.short_sale_slot,
            self.designated_location, self.exempt_code,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WirePriceCondition:
    """Holds while a contract's price is at or beyond `price`."""

    is_and: bool
    is_more: bool
    price: Decimal
    con_id: int
    exchange: str
    trigger_method: int

    def fields(self) -> tuple[Value, ...]:
        return (
            PRICE_CONDITION, _conjunction(self.is_and), self.is_more, self.price, self.con_id, self.exchange,
            self.trigger_method,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTimeCondition:
    """Holds after a time, or before it."""

    is_and: bool
    is_more: bool
    time: str

    def fields(self) -> tuple[Value, ...]:
        return (TIME_CONDITION, _conjunction(self.is_and), self.is_more, self.time)


WireCondition = WirePriceCondition | WireTimeCondition


def _conjunction(is_and: bool) -> str:
    """How a condition is combined with the next one."""
    return "a" if is_and else "o"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireAdjustment:
    """What a stop turns into when the market reaches the trigger price."""

    order_type: str
    trigger_price: Decimal | None
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    trailing: Decimal | None = None
    unit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """Everything a client may say about an order, apart from its id and its contract."""

    action: str
    quantity: Decimal | None
    order_type: str
    limit_price: Decimal | None = None
    aux_price: Decimal | None = None
    """The stop price, the trailing amount or the offset, by the order's type."""
    tif: str = ""
    account: str = ""
    order_ref: str = ""
    transmit: bool = True
    outside_rth: bool = False
    hidden: bool = False
    all_or_none: bool = False
    min_quantity: Decimal | None = None
    display_size: Decimal | None = None
    good_after: str = ""
    good_till: str = ""
    parent_id: int = 0
    oca_group: str = ""
    oca_type: int = 0
    trigger_method: int = 0
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    percent_offset: Decimal | None = None
    cash_quantity: Decimal | None = None
    conditions: tuple[WireCondition, ...] = ()
    conditions_outside_rth: bool = False
    conditions_cancel: bool = False
    adjustment: WireAdjustment | None = None
    legs: tuple[WireLeg, ...] = ()
    leg_prices: tuple[Decimal | None, ...] = ()
    routing: tuple[tuple[str, str], ...] = ()
    """Tags and values of a combination's smart routing."""
    what_if: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    """What changes nothing here and is shown again: `NOTED` attributes that are set, as they were sent."""

    def note(self, name: str, default: Value = "") -> Value:
        return self.notes.get(name, default)

    def condition_fields(self) -> Iterator[Value]:
        """Their number, the conditions, and if there are any what holds for all of them."""
        yield len(self.conditions)
        for condition in self.conditions:
            yield from condition.fields()
        if self.conditions:
            yield from (self.conditions_outside_rth, self.conditions_cancel)

    def leg_fields(self) -> Iterator[Value]:
        """A combination in words, its legs, their prices, and how it is routed."""
        yield ",".join(f"{leg.con_id}|{'-' if leg.action == 'SELL' else ''}{leg.ratio}" for leg in self.legs)
        yield len(self.legs)
        for leg in self.legs:
            yield from leg.fields()
        yield len(self.leg_prices)
        yield from self.leg_prices
        yield len(self.routing)
        for tag, value in self.routing:
            yield from (tag, value)


NOTED: Final = frozenset(
    {
        "autoCancelParent", "clearingAccount", "clearingIntent", "customerAccount", "extOperator",
        "includeOvernight", "manualOrderIndicator", "notHeld", "openClose", "optOutSmartRouting", "origin",
        "professionalCustomer", "rule80A", "settlingFirm", "softDollarTierName", "softDollarTierValue",
        "solicited", "sweepToFill", "usePriceMgmtAlgo",
    }
)  # fmt: skip
"""Attributes that are kept to be shown again, by their names in IB's clients."""
