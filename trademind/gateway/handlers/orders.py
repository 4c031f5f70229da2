"""Orders: placing, changing, cancelling, listing, and binding those that were entered by hand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from trademind.gateway import codes
from trademind.gateway.engine.model import Event, OrderError, OrderReported, PaperOrder, Preview, Ticket
from trademind.gateway.handlers import order_reports as reports
from trademind.gateway.handlers.contracts import find, find_all
from trademind.gateway.handlers.tickets import OrderRefused, check_request, implies_zone, rejected, ticket_of
from trademind.gateway.session import MASTER_CLIENT_ID, Session
from trademind.gateway.wire import orders as wire
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.order_terms import OrderTerms
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.requests.orders import (
    AllOpenOrdersRequest,
    AutoOpenOrdersRequest,
    CancelOrder,
    CompletedOrdersRequest,
    GlobalCancel,
    OpenOrdersRequest,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

LISTED_PER_STEP: Final = 25
"""Orders or fills of a list that are written in one step: a few milliseconds of work."""
CANCELLED_PER_STEP: Final = 25
MAX_ORDER_ID: Final = 2**31 - 2
"""Ids are 32-bit integers, and the largest of those stands for one that is not set."""


def place(gateway: "PaperGateway", session: Session, request: PlaceOrder) -> None:
    """Place a new order, change a working one, or preview one. What cannot be traded as asked is refused."""
    assert session.client_id is not None
    try:
        _check_id(gateway, session, request.order_id)
        check_request(gateway, request)
        instrument = find(gateway, session, request.order_id, request.contract, request.terms.legs)
        if instrument is None:
            return
        ticket = ticket_of(gateway, session.client_id, request, instrument)
    except OrderRefused as refused:
        session.error(request.order_id, refused.code, refused.text)
        return
    if implies_zone(request.terms):
        session.error(request.order_id, codes.IMPLIED_TIME_ZONE, codes.IMPLIED_TIME_ZONE_TEXT)
    gateway.refresh(instrument)
    if request.terms.what_if:
        gateway.when_settled(session, request.order_id, lambda: _preview(gateway, session, ticket))
    else:
        gateway.when_settled(
            session, request.order_id, lambda: gateway.commit(gateway.exchange.place(ticket))
        )


def _preview(gateway: "PaperGateway", session: Session, ticket: Ticket) -> None:
    outcome = gateway.exchange.preview(ticket)
    if isinstance(outcome, Preview):
        session.send(reports.preview_message(ticket, outcome))
    else:
        session.error(ticket.order_id, outcome.code, outcome.message)


def _check_id(gateway: "PaperGateway", session: Session, order_id: int) -> None:
    """Whether an order may be placed at all, under this id.

    Raises:
        OrderRefused: no.
    """
    if gateway.cannot_write:
        raise OrderRefused(codes.ORDER_REJECTED, f"Order rejected - reason: {gateway.cannot_write}")
    if session.client_id == MASTER_CLIENT_ID and gateway.by_hand.is_bound(order_id):
        return
    if not 1 <= order_id <= MAX_ORDER_ID:
        raise rejected(f"Order id is not in 1 to {MAX_ORDER_ID}")
    if session.client_id == MASTER_CLIENT_ID and _foreign_owners(gateway, session, order_id):
        # What client 0 is shown of the others' orders it may cancel. Sent back changed it is no new order.
        raise OrderRefused(codes.MISMATCH, codes.MISMATCH_TEXT)


def _foreign_owners(gateway: "PaperGateway", session: Session, order_id: int) -> set[int]:
    """Other clients that have a working order of that id, as long as the client itself has none."""
    owners = gateway.working.get(order_id, set[int]())
    return set() if session.client_id in owners else set(owners)


def cancel(gateway: "PaperGateway", session: Session, request: CancelOrder) -> None:
    """Cancel an own order, or else the one working order of that id, whoever has placed it.

    A client's own order of that id is meant also when it has ended, except by client 0, which is shown
    the orders of all others under their ids. An order that was entered by hand can be cancelled once it is
    bound; its id until then, 0, is that of no order.
    """
    assert session.client_id is not None
    order_id = request.order_id
    if gateway.cannot_write:
        session.error(
            order_id,
            codes.NOT_CANCELLABLE,
            f"OrderId {order_id} that needs to be cancelled cannot be cancelled: {gateway.cannot_write}",
        )
        return
    if order_id < 0 and not gateway.by_hand.is_bound(order_id):
        session.error(order_id, codes.NO_SUCH_ORDER, codes.NO_SUCH_ORDER_TEXT.format(order_id=order_id))
        return
    owner = session.client_id
    foreign = _foreign_owners(gateway, session, order_id)
    was_never_own = order_id >= gateway.exchange.next_order_id(owner)
    if len(foreign) == 1 and (owner == MASTER_CLIENT_ID or was_never_own):
        (owner,) = foreign
    events = gateway.exchange.cancel(owner, order_id, by_client_id=owner)
    gateway.commit(events)
    if owner != session.client_id:
        session.outbox.append(_tell_canceller(session, owner, order_id, events))


def _tell_canceller(session: Session, owner: int, order_id: int, events: Sequence[Event]) -> Iterator[None]:
    """Tell a client of its cancelling another's order: the status, under its own client id, and the error.

    Client 0 is told of the order in any case.
    """
    assert session.client_id is not None
    for event in events:
        match event:
            case OrderReported(order=order) if not session.sees_orders_of(owner):
                if (order.ticket.client_id, order.ticket.order_id) == (owner, order_id):
                    session.send(reports.status_message(order, order_id, session.client_id))
            case OrderError() if (event.client_id, event.order_id) == (owner, order_id):
                session.error(order_id, event.code, event.message)
    yield


def cancel_all(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The global cancel: every client's orders, also those that wait to be transmitted. It is finished
    before any further request is served, and before the market moves on."""
    gateway.chores.append(_cancel_all(gateway, session))


def _cancel_all(gateway: "PaperGateway", session: Session) -> Iterator[None]:
    names = [(client_id, order_id) for order_id, owners in gateway.working.items() for client_id in owners]
    names += gateway.exchange.staged()
    for first in range(0, len(names), CANCELLED_PER_STEP):
        if gateway.cannot_write:
            session.error(-1, codes.PROCESSING, f"Error processing request. {gateway.cannot_write}")
            return
        events: list[Event] = []
        for client_id, order_id in names[first : first + CANCELLED_PER_STEP]:
            is_working = client_id in gateway.working.get(order_id, ())
            if is_working or gateway.exchange.is_staged(client_id, order_id):
                events += gateway.exchange.cancel(client_id, order_id, by_client_id=client_id)
        gateway.commit(events)
        yield


def open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The client's own working orders; client 0 sees all, and binds those that were entered by hand."""
    orders = [order for order in gateway.exchange.orders() if session.sees_orders_of(order.ticket.client_id)]
    if session.client_id == MASTER_CLIENT_ID:
        for order in orders:
            bind(gateway, order, session)
    session.outbox.append(_list_open(gateway, session, orders))


def all_open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.outbox.append(_list_open(gateway, session, gateway.exchange.orders()))


def _list_open(gateway: "PaperGateway", session: Session, orders: Sequence[PaperOrder]) -> Iterator[None]:
    for number, order in enumerate(orders, 1):
        for message in reports.order_messages(order, gateway.by_hand.shown_id(order.ticket.order_id)):
            session.send(message)
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(wire.open_order_end())


def completed_orders(gateway: "PaperGateway", session: Session, request: CompletedOrdersRequest) -> None:
    """Orders of all clients that have ended today; with `api_only` without those entered by hand."""
    orders = [
        order
        for order in gateway.exchange.completed_orders()
        if order.ticket.order_id > 0 or not request.api_only
    ]
    session.outbox.append(_list_completed(gateway, session, orders))


def _list_completed(
    gateway: "PaperGateway", session: Session, orders: Sequence[PaperOrder]
) -> Iterator[None]:
    for number, order in enumerate(orders, 1):
        ticket = order.ticket
        parent = gateway.exchange.order(ticket.client_id, ticket.parent_id) if ticket.parent_id else None
        session.send(reports.completed_message(order, 0 if parent is None else parent.perm_id))
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(wire.completed_orders_end())


def auto_open_orders(gateway: "PaperGateway", session: Session, request: AutoOpenOrdersRequest) -> None:
    """Whether orders entered by hand from now on are bound to client 0, which alone may ask for it."""
    if session.client_id != MASTER_CLIENT_ID:
        session.error(-1, codes.AUTO_BIND_REFUSED, codes.AUTO_BIND_REFUSED_TEXT)
        return
    session.binds = request.bind


def bind(gateway: "PaperGateway", order: PaperOrder, session: Session) -> None:
    """Bind an order to client 0, if it was entered by hand and has not been bound."""
    order_id = order.ticket.order_id
    if gateway.by_hand.bind(order_id):
        session.send(wire.order_bound(order.perm_id, MASTER_CLIENT_ID, order_id))


def enter_by_hand(gateway: "PaperGateway", contract: WireContract, terms: OrderTerms) -> PaperOrder:
    """Enter an order that no client of the API has placed. If client 0 has asked for it, it is bound at once.

    Returns:
        The order, as it stands after it has met the market.

    Raises:
        OrderRefused: it is not taken.
    """
    order_id = gateway.by_hand.next_id()
    request = PlaceOrder(order_id=order_id, contract=contract, terms=terms, attributes=())
    check_request(gateway, request)
    found = list(islice(find_all(gateway, contract), 2))
    if len(found) != 1:
        raise OrderRefused(codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
    ticket = ticket_of(gateway, MASTER_CLIENT_ID, request, found[0])
    gateway.refresh(ticket.instrument)
    events = gateway.exchange.place(ticket)
    order = gateway.exchange.order(MASTER_CLIENT_ID, order_id)
    if order is not None:
        for session in gateway.sessions:
            if session.client_id == MASTER_CLIENT_ID and session.binds:
                bind(gateway, order, session)
    gateway.commit(events)
    if order is None:
        for event in events:
            if isinstance(event, OrderError) and event.order_id == order_id:
                raise OrderRefused(event.code, event.message)
        raise rejected("The order was not taken")
    return order


HANDLERS: Mapping[type, Callable[..., None]] = {
    AutoOpenOrdersRequest: auto_open_orders,
    PlaceOrder: place,
    CancelOrder: cancel,
    GlobalCancel: cancel_all,
    OpenOrdersRequest: open_orders,
    AllOpenOrdersRequest: all_open_orders,
    CompletedOrdersRequest: completed_orders,
}
