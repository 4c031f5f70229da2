"""A position that is to be reached, and what it takes to get there."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from trademind.domain.account import Position
from trademind.domain.instruments import Contract
from trademind.domain.orders import MAX_QUANTITY, Order, OrderRequest, OrderStatus, OrderType, Side, exact
from trademind.errors import Conflict, Invalid


@dataclass(frozen=True, slots=True)
class Target:
    """How much of an instrument is to be held, and by what kind of order that is to be reached.

    Args:
        quantity: Negative for a short position, 0 to close it.
        terms: The order's terms but for side and quantity, by the names of `OrderRequest`.

    Raises:
        Invalid: field by field.
    """

    quantity: Decimal
    terms: OrderRequest
    """Its side and quantity mean nothing."""

    @classmethod
    def of(cls, quantity: Any, **terms: Any) -> "Target":
        errors: list[tuple[str, str]] = []
        exactly = Decimal(0)
        try:
            exactly = exact(quantity, "target_quantity")
            if abs(exactly) > MAX_QUANTITY:
                errors.append(("target_quantity", f"must be between -{MAX_QUANTITY} and {MAX_QUANTITY}"))
        except Invalid as error:
            errors.extend(error.errors)
        try:
            request = OrderRequest(side=Side.BUY, quantity=Decimal(1), **terms)
        except Invalid as error:
            errors.extend(error.errors)
        if errors:
            raise Invalid(errors)
        return cls(exactly, request)

    def could_have_asked(self, request: OrderRequest) -> bool:
        """Are the terms of an order those that this target's order has, whatever was missing then?"""
        return replace(self.terms, side=request.side, quantity=request.quantity) == request

    def order_from(self, standing: "Standing") -> OrderRequest | None:
        """The order that is missing; None where the target is reached, or will be by what works already.

        Raises:
            Conflict: what becomes of an order is unknown, or orders are working that lead beyond the target.
        """
        if standing.unknown:
            raise Conflict(
                f"it is not known what has become of {_named(standing.unknown)}, so neither what is missing; "
                "ask again when it is",
                extra={"orders": [order.id for order in standing.unknown]},
            )
        missing = self.quantity - standing.expected
        against = [order for order in standing.moving if order.side.sign * missing < 0]
        if against:
            raise Conflict(
                f"{_named(against)} would lead beyond the target; cancel what is working first, or have it "
                "cancelled with cancel_working",
                extra={"orders": [order.id for order in against]},
            )
        if not missing:
            return None
        side = Side.BUY if missing > 0 else Side.SELL
        return replace(self.terms, side=side, quantity=abs(missing))


@dataclass(frozen=True, slots=True)
class Standing:
    """How an instrument stands: what is held, and what is on its way."""

    contract: Contract
    held: Decimal
    moving: tuple[Order, ...]
    """Orders that will change the position if all goes as they ask."""
    waiting: tuple[Order, ...]
    """Orders that change it only if something happens: stops, and orders of a group that wait or of which
    one cancels the other."""
    unknown: tuple[Order, ...]

    @classmethod
    def of(cls, contract: Contract, positions: Iterable[Position], orders: Iterable[Order]) -> "Standing":
        """From the positions and working orders of an account, of which only those of `contract` count."""
        con_id = contract.con_id
        held = sum((p.quantity for p in positions if p.contract.con_id == con_id), Decimal(0))
        ours = [order for order in orders if order.contract.con_id == con_id and not order.status.is_done]
        known = [order for order in ours if order.status is not OrderStatus.UNKNOWN]
        # One that IB has acknowledged once and lists no longer has ended, however that was.
        unknown = tuple(order for order in ours if order not in known and order.perm_id is None)
        moving = tuple(order for order in known if _moves(order))
        return cls(contract, held, moving, tuple(o for o in known if o not in moving), unknown)

    @property
    def on_its_way(self) -> Decimal:
        """What the moving orders will add, negative where they sell."""
        return sum((order.side.sign * order.remaining_quantity for order in self.moving), Decimal(0))

    @property
    def expected(self) -> Decimal:
        """What will be held when they have filled."""
        return self.held + self.on_its_way


def _moves(order: Order) -> bool:
    is_plain = order.order_type in (OrderType.MARKET, OrderType.LIMIT)
    # Of a group only a bracket's entry moves by itself, and it is the one that others name as their parent;
    # a member of a one-cancels-all group may be cancelled by another.
    return is_plain and order.parent_id is None and order.oca_group is None


def _named(orders: Iterable[Order]) -> str:
    return "order " + ", ".join(order.id for order in orders)
