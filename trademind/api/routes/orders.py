"""Orders: place, look at, change, cancel."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from trademind.api.deps import BrokerDep, OrderEntryDep, PlacingDep, as_of
from trademind.api.paging import Limit, PageToken, Position, newest_first
from trademind.api.schemas.base import In, time
from trademind.api.schemas.orders import (
    OrderChangeIn,
    OrderEventsOut,
    OrderIn,
    OrderOut,
    OrdersOut,
    OrdersPage,
)
from trademind.api.schemas.problem import problems
from trademind.api.strict import StrictRoute
from trademind.domain import Order, SessionState
from trademind.errors import Invalid

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


@router.post(
    "",
    status_code=201,
    response_description="Placed, and acknowledged by IB",
    responses={
        200: {"model": OrderOut, "description": "The key has already made this order; nothing was placed"},
        **problems(400, 404, 409, 413, 415, 422, 423, 502, 503, 504),
    },
)
async def place(
    order: OrderIn,
    entry: OrderEntryDep,
    placing: PlacingDep,
    request: Request,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(description="Another way to give `client_order_id`.")
    ] = None,
) -> OrderOut:
    """Place an order. With a key, asking again is safe: it never makes a second order.

    The key belongs to what it was first used for, for ever, also over restarts. The answer to a repeated key
    is the order as it stands, whatever became of it; only one that IB never got (`never_sent`) is placed when
    it is asked for again.
    """
    wanted = order.request(_key(order.client_order_id, idempotency_key))
    async with placing.holding(wanted.client_order_id):
        placed = await entry.place(wanted, origin=_origin(request))
    response.status_code = 201 if placed.is_new else 200
    response.headers["location"] = f"/api/orders/{placed.order.id}"
    return OrderOut.of(placed.order)


def _origin(request: Request) -> str:
    return f"http {request.client.host}" if request.client else "http"


def _key(in_body: str | None, in_header: str | None) -> str | None:
    if in_header is not None:
        # The header's draft standard writes the key as a quoted string; most clients do not.
        in_header = in_header.removeprefix('"').removesuffix('"')
    if in_body is not None and in_header is not None and in_body != in_header:
        raise Invalid([("client_order_id", "differs from the Idempotency-Key header; give one of them")])
    return in_body if in_body is not None else in_header


@router.get("", responses=problems(422, 503))
async def list_orders(broker: BrokerDep, wanted: Annotated[OrderFilter, Query()]) -> OrdersPage:
    """This server's orders, newest first, and this day's completed orders of the whole account.

    What other clients have completed is read from IB when the session connects.
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


@router.patch("/{order_id}", responses=problems(400, 404, 409, 413, 415, 422, 423, 502, 503, 504))
async def modify(order_id: OrderId, change: OrderChangeIn, entry: OrderEntryDep) -> OrderOut:
    """Change a working order. Fields that are left out, or null, stay as they are."""
    return OrderOut.of(await entry.change(order_id, change.change()))


@router.delete("/{order_id}", status_code=202, responses=problems(404, 409, 422, 502, 503, 504))
async def cancel(order_id: OrderId, broker: BrokerDep) -> OrderOut:
    """Ask for a cancel. A fill may still cross it: see what becomes of the order."""
    return OrderOut.of(await broker.cancel_order(order_id))


@router.delete("", status_code=202, responses=problems(502, 503, 504))
async def cancel_all(broker: BrokerDep) -> OrdersOut:
    """Ask to cancel every working order placed through this server; returns those."""
    orders = await broker.cancel_all_orders()
    session = broker.session
    return OrdersOut(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        stale=session.state is not SessionState.READY,
        orders=[OrderOut.of(order) for order in orders],
    )
