"""Orders that belong together: brackets, and groups of which one fill cancels the rest.

A group is placed as a whole or not at all, under one key: the key is the first order's, and the others' are
made of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from trademind.domain.orders import OrderRequest, OrderType, Side, TimeInForce, is_key
from trademind.errors import Invalid

MAX_LEGS = 10
"""Orders of one group. More at once would hold up other people's cancels within IB's 50 messages a second:
a group takes two messages for each order."""
MAX_GROUP_KEY = 36
"""Letters of a group's key: what is added for the others fits into the 40 of an order's."""


class OrderClass(StrEnum):
    SIMPLE = "simple"
    BRACKET = "bracket"
    """An entry, and exits that work once it has filled: of them, one cancels the other."""
    OCA = "oca"
    """One cancels all: orders of which a fill of one cancels, or reduces, the others."""


class OCAType(StrEnum):
    """What a fill does to the rest of a one-cancels-all group."""

    CANCEL_WITH_BLOCK = "cancel_with_block"
    """It cancels them; only one is at an exchange at a time, so that no two can fill."""
    REDUCE_WITH_BLOCK = "reduce_with_block"
    """It reduces them by what has filled; only one is at an exchange at a time."""
    REDUCE_WITHOUT_BLOCK = "reduce_without_block"
    """It reduces them by what has filled, and all are at an exchange: more than was wanted may fill."""

    @property
    def ib_number(self) -> int:
        """IB's ocaType."""
        return list(OCAType).index(self) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGroup:
    """Orders to be placed together.

    Raises:
        Invalid: they contradict each other.
    """

    order_class: OrderClass
    legs: tuple[OrderRequest, ...]
    """In the order in which they are placed; a bracket's entry is the first. They carry no keys of their
    own."""
    client_order_id: str | None = None
    """The group's key, and the first order's."""
    oca_type: OCAType = OCAType.CANCEL_WITH_BLOCK

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        if not 2 <= len(self.legs) <= MAX_LEGS:
            errors.append(("legs", f"a group has 2 to {MAX_LEGS} orders"))
        key = self.client_order_id
        if key is not None and not (is_key(key) and len(key) <= MAX_GROUP_KEY):
            message = f"of a group must be 1 to {MAX_GROUP_KEY} letters, digits or any of . _ : -"
            errors.append(("client_order_id", message))
        if len({leg.account_id for leg in self.legs}) > 1:
            errors.append(("account_id", "is one for the whole group"))
        if errors:
            raise Invalid(errors)

    def with_key(self, key: str) -> "OrderGroup":
        """The same group under `key`, each of its orders with its own: the entry's or first order's is the
        group's."""
        names = [key, *(f"{key}:{self._suffix(number)}" for number in range(1, len(self.legs)))]
        legs = [replace(leg, client_order_id=name) for leg, name in zip(self.legs, names, strict=True)]
        return replace(self, client_order_id=key, legs=tuple(legs))

    @property
    def account_id(self) -> str | None:
        return self.legs[0].account_id

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its orders, once it has one."""
        return tuple(leg.client_order_id for leg in self.legs if leg.client_order_id)

    @property
    def requests(self) -> tuple[OrderRequest, ...]:
        """The orders it asks for."""
        return self.legs

    @property
    def relations(self) -> tuple[dict[str, str | None], ...]:
        """How each order belongs to the others, by the names of `Order`'s fields."""
        key, is_oca = self.keys[0], self.order_class is OrderClass.OCA
        return tuple(
            {
                "group_id": key,
                "parent_id": None if is_oca or not number else key,
                "oca_group": key if is_oca else None,
            }
            for number in range(len(self.legs))
        )

    def _suffix(self, number: int) -> str:
        """What is added to the key for the order of that number: 2, 3 …, and by its purpose for an exit."""
        if self.order_class is OrderClass.OCA:
            return str(number + 1)
        return "tp" if self.legs[number].order_type is OrderType.LIMIT else "sl"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLoss:
    """Where a bracket gives up. One of `stop_price` (with or without a limit), `trailing_amount` and
    `trailing_percent`."""

    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    trailing_amount: Decimal | None = None
    trailing_percent: Decimal | None = None

    @property
    def order_type(self) -> OrderType:
        if self.trailing_amount is not None or self.trailing_percent is not None:
            return OrderType.TRAIL
        return OrderType.STOP if self.limit_price is None else OrderType.STOP_LIMIT


def bracket(
    entry: OrderRequest,
    *,
    take_profit: Decimal | None = None,
    stop_loss: StopLoss | None = None,
    exit_tif: TimeInForce | None = None,
) -> OrderGroup:
    """An entry with its exits.

    Args:
        entry: Any order; its key is the group's.
        take_profit: The limit price at which the profit is taken.
        stop_loss: Where the loss is ended.
        exit_tif: How long the exits work; by default as long as the entry does, but for one that only works
            at once, whose exits work until cancelled.

    Raises:
        Invalid: no exit, or one on the wrong side of the entry or of the other.
    """
    side = Side.SELL if entry.side is Side.BUY else Side.BUY
    if entry.tif is TimeInForce.GTD and exit_tif is None:
        raise Invalid([("exit_tif", "say how long the exits of a GTD entry work: DAY or GTC")])
    tif = exit_tif or (TimeInForce.GTC if entry.tif is TimeInForce.IOC else entry.tif)
    exits: list[OrderRequest] = []
    errors: list[tuple[str, str]] = []
    terms: dict[str, dict[str, object]] = {}
    if take_profit is not None:
        terms["take_profit"] = {"order_type": OrderType.LIMIT, "limit_price": take_profit}
    if stop_loss is not None:
        terms["stop_loss"] = {
            "order_type": stop_loss.order_type,
            "stop_price": stop_loss.stop_price,
            "limit_price": stop_loss.limit_price,
            "trailing_amount": stop_loss.trailing_amount,
            "trailing_percent": stop_loss.trailing_percent,
        }
    cleared = {"limit_price": None, "stop_price": None, "trailing_amount": None, "trailing_percent": None}
    for name, each in terms.items():
        try:
            changed = {**cleared, **each, "side": side, "tif": tif, "good_till": None}
            exits.append(replace(entry, client_order_id=None, **changed))  # type: ignore[arg-type]
        except Invalid as error:
            errors += [(f"{name}.{field}", message) for field, message in error.errors]
    if not terms:
        errors.append(("take_profit", "a bracket has a take_profit, a stop_loss or both"))
    if errors:
        raise Invalid(errors)
    _check_sides(entry, exits)
    return OrderGroup(
        order_class=OrderClass.BRACKET,
        legs=(replace(entry, client_order_id=None), *exits),
        client_order_id=entry.client_order_id,
    )


def _check_sides(entry: OrderRequest, exits: Sequence[OrderRequest]) -> None:
    """A profit is taken beyond the entry's price, and a loss ended before it: else the exit would trade at
    once. Raises `Invalid`."""
    sign = entry.side.sign
    profit = next((leg.limit_price for leg in exits if leg.order_type is OrderType.LIMIT), None)
    loss = next((leg.stop_price for leg in exits if leg.order_type is not OrderType.LIMIT), None)
    begin = entry.limit_price or entry.stop_price
    above, below = ("above", "below") if sign > 0 else ("below", "above")
    errors = []
    if profit is not None and begin is not None and (profit - begin) * sign <= 0:
        errors.append(("take_profit.limit_price", f"must be {above} the entry's price of {begin}"))
    if loss is not None and begin is not None and (begin - loss) * sign <= 0:
        errors.append(("stop_loss.stop_price", f"must be {below} the entry's price of {begin}"))
    if profit is not None and loss is not None and (profit - loss) * sign <= 0:
        errors.append(("stop_loss.stop_price", f"must be {below} the profit's price of {profit}"))
    if errors:
        raise Invalid(errors)
