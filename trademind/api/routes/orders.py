"""Orders: place, look at, change, cancel."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import Field

from trademind.api.deps import BrokerDep, CallerDep, OrderEntryDep, TargetsDep, as_of
from trademind.api.paging import Limit, PageToken, Position, newest_first
from trademind.api.schemas.base import In, time
from trademind.api.schemas.order_requests import OrderChangeIn, OrderIn, TargetIn
from trademind.api.schemas.orders import (
    OrderEventsOut,
    OrderOut,
    OrderPreviewOut,
    OrdersOut,
    OrdersPage,
    ReachedOut,
)
from trademind.api.schemas.problem import problems
from trademind.api.strict import StrictRoute
from trademind.domain import Order, OrderGroup, SessionState
from trademind.errors import Invalid
from trademind.trading.entry import Placed

router = APIRouter(prefix="/api/orders", tags=["orders"], route_class=StrictRoute)

OrderId = Annotated[
    str, Path(max_length=100, description="TradeMind's id of the order, or its client order id.")
]


_NOT_NUMBERED_YET = 2**63


class OrderFilter(In):
    status: Literal["working", "done"] | None = None
    symbol: str | None = None
    limit: Limit = 100
    page_token: PageToken = None


IdempotencyKey = Annotated[str | None, Header(description="Another way to give `client_order_id`.")]


class CancelAll(In):
    everywhere: bool = Field(
        default=False, description="IB's global cancel: every order of the login, whoever has placed it."
    )


@router.post(
    "",
    status_code=201,
    response_description="Placed, and acknowledged by IB",
    responses={
        200: {"model": OrderOut, "description": "The key has already made this order; nothing was placed"},
        **problems(400, 404, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
)
async def place(
    order: OrderIn,
    entry: OrderEntryDep,
    caller: CallerDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> OrderOut:
    """Place an order, or a group (`order_class`), whose other orders are the answer's `legs`. With a key,
    asking again is safe: it never makes a second one.

    The key belongs to what it was first used for, for ever, also over restarts. The answer to a repeated key
    is the order as it stands, whatever became of it; only one that IB never got (`never_sent`) is placed when
    it is asked for again.
    """
    asked = order.request(_key(order.client_order_id, idempotency_key))
    if isinstance(asked, OrderGroup):
        placed = await entry.place_group(asked, by=caller)
    else:
        placed = await entry.place(asked, by=caller)
    _say_where(response, placed)
    return OrderOut.of_all(placed.orders)


def _say_where(response: Response, placed: Placed) -> None:
    response.status_code = 201 if placed.is_new else 200
    response.headers["location"] = f"/api/orders/{placed.order.id}"


def _key(in_body: str | None, in_header: str | None) -> str | None:
    if in_header is not None:
        # The header's draft standard writes the key as a quoted string; most clients do not.
        in_header = in_header.removeprefix('"').removesuffix('"')
    if in_body is not None and in_header is not None and in_body != in_header:
        raise Invalid([("client_order_id", "differs from the Idempotency-Key header; give one of them")])
    return in_body if in_body is not None else in_header


@router.post("/preview", responses=problems(400, 404, 409, 413, 415, 422, 429, 502, 503, 504))
async def preview(order: OrderIn, entry: OrderEntryDep) -> OrderPreviewOut:
    """What an order would do to margin, and cost in commission, by IB's reckoning. Nothing is placed, so no
    limit and no halt keeps it back. Of a group the first order can be previewed."""
    asked = order.request(order.client_order_id)
    if isinstance(asked, OrderGroup):
        raise Invalid([("order_class", "IB previews one order at a time; leave out the rest of the group")])
    return OrderPreviewOut.of(await entry.preview(asked))


@router.post(
    "/target",
    status_code=201,
    response_description="What was missing has been placed",
    responses={
        200: {"model": ReachedOut, "description": "Nothing is missing, or the key has placed it before"},
        **problems(400, 404, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
)
async def reach_target(
    wanted: TargetIn,
    targets: TargetsDep,
    caller: CallerDep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> ReachedOut:
    """Bring a position to a quantity. It is safe to ask again: what is held and what is on its way counts.

    Working market and limit orders count as if they had filled; stops, and orders of which one cancels
    another, do not. Orders that lead beyond the target, and those of unknown outcome, are a conflict (409).
    With a key, what it has placed once is the answer for ever, whatever target is given with it later.
    """
    target = wanted.target(_key(wanted.client_order_id, idempotency_key))
    reached = await targets.reach(target, cancel_working=wanted.cancel_working, by=caller)
    if reached.placed is None:
        response.status_code = 200
    else:
        _say_where(response, reached.placed)
    return ReachedOut.of(reached)


@router.get("", responses=problems(422, 503))
async def list_orders(broker: BrokerDep, wanted: Annotated[OrderFilter, Query()]) -> OrdersPage:
    """The account's working orders and those that were done today, newest first.

    Those of other clients, and those entered by hand, are `external`; what becomes of them is read from IB
    every half minute.
    """
    working = None if wanted.status is None else wanted.status == "working"
    orders = await broker.get_orders(working=working)
    if wanted.symbol is not None:
        symbol = wanted.symbol.strip().upper()
        orders = tuple(order for order in orders if order.contract.symbol == symbol)
    page, following = newest_first(
        orders, key=_position, limit=wanted.limit, token=wanted.page_token, of="orders"
    )
    session = broker.session
    return OrdersPage(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        stale=session.state is not SessionState.READY,
        orders=[OrderOut.of(order) for order in page],
        next_page_token=following,
    )


def _position(order: Order) -> Position:
    # IB numbers orders as they come, also those of before a restart, whose times it does not tell.
    return order.perm_id or _NOT_NUMBERED_YET, order.id


@router.get("/{order_id}", responses=problems(404, 422, 503))
async def get_order(order_id: OrderId, entry: OrderEntryDep) -> OrderOut:
    """One order, of today or of any day before."""
    return OrderOut.of(await entry.find(order_id))


@router.get("/{order_id}/events", responses=problems(404, 422, 503))
async def order_events(order_id: OrderId, entry: OrderEntryDep) -> OrderEventsOut:
    """What has happened to an order, oldest first: its changes and its fills."""
    return OrderEventsOut.of(order_id, await entry.events(order_id))


@router.patch("/{order_id}", responses=problems(400, 404, 409, 413, 415, 422, 423, 429, 502, 503, 504))
async def modify(
    order_id: OrderId, change: OrderChangeIn, entry: OrderEntryDep, caller: CallerDep
) -> OrderOut:
    """Change a working order. Fields that are left out, or null, stay as they are."""
    return OrderOut.of(await entry.modify(order_id, change.change(), by=caller))


@router.delete("/{order_id}", status_code=202, responses=problems(404, 409, 422, 429, 502, 503, 504))
async def cancel(order_id: OrderId, entry: OrderEntryDep, caller: CallerDep) -> OrderOut:
    """Ask for a cancel. A fill may still cross it: see what becomes of the order."""
    return OrderOut.of(await entry.cancel(order_id, by=caller))


@router.delete("", status_code=202, responses=problems(422, 429, 502, 503, 504))
async def cancel_all(
    broker: BrokerDep, entry: OrderEntryDep, caller: CallerDep, wanted: Annotated[CancelAll, Query()]
) -> OrdersOut:
    """Ask to cancel every working order placed through this server; returns those.

    With `everywhere`, IB's global cancel: every working order of the login, of other clients and by hand
    included.
    """
    cancel = entry.cancel_everything if wanted.everywhere else entry.cancel_all
    orders = await cancel(by=caller)
    session = broker.session
    return OrdersOut(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        stale=session.state is not SessionState.READY,
        orders=[OrderOut.of(order) for order in orders],
    )
