"""Orders: placing, changing, cancelling; reports of orders, executions and commissions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from trademind.domain import Side
from trademind.gateway import codes
from trademind.gateway.engine.model import (
    Event,
    IBOrderType,
    IBStatus,
    IBTif,
    Instrument,
    OrderError,
    OrderReported,
    PaperExecution,
    PaperOrder,
    Ticket,
)
from trademind.gateway.handlers.contracts import find, wire_contract
from trademind.gateway.session import MASTER_CLIENT_ID, Session
from trademind.gateway.wire import orders as wire
from trademind.gateway.wire.messages import Message
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

ORDER_TYPES = {
    "MKT": IBOrderType.MARKET,
    "LMT": IBOrderType.LIMIT,
    "STP": IBOrderType.STOP,
    "STP LMT": IBOrderType.STOP_LIMIT,
    "STPLMT": IBOrderType.STOP_LIMIT,
}
"""Order types that are taken, in both spellings of IB."""
_TIFS = {tif.value: tif for tif in (IBTif.DAY, IBTif.GTC, IBTif.IOC)}
_SIDES = {side.value: side for side in Side}


def place(gateway: "PaperGateway", session: Session, request: PlaceOrder) -> None:
    """Place a new order or change a working one. Whatever cannot be traded as asked is refused."""
    refusal = _refusal(gateway, session, request)
    if refusal is not None:
        session.error(request.order_id, *refusal)
        return
    instrument = find(gateway, session, request.order_id, request.contract)
    if instrument is None:
        return
    ticket = _ticket(gateway, session, request, instrument)
    gateway.refresh(instrument)
    gateway.commit(gateway.exchange.place(ticket))


def _refusal(gateway: "PaperGateway", session: Session, request: PlaceOrder) -> tuple[int, str] | None:
    """IB's code and text for an order that never gets to the exchange."""
    if gateway.cannot_write:
        return codes.ORDER_REJECTED, f"Order rejected - reason: {gateway.cannot_write}"
    if not 1 <= request.order_id <= MAX_ORDER_ID:
        return codes.ORDER_REJECTED, f"Order rejected - reason:Order id is not in 1 to {MAX_ORDER_ID}"
    if session.client_id == MASTER_CLIENT_ID and _foreign_owners(gateway, session, request.order_id):
        # What client 0 is shown of the others' orders it may cancel. Sent back changed it is no new order.
        return codes.MISMATCH, codes.MISMATCH_TEXT
    terms = request.terms
    if terms.order_type not in ORDER_TYPES:
        return codes.UNSUPPORTED_ORDER_TYPE, codes.UNSUPPORTED_ORDER_TYPE_TEXT
    if terms.tif and terms.tif not in _TIFS:
        return codes.INVALID_TIF, codes.INVALID_TIF_TEXT.format(tif=terms.tif)
    if terms.action not in _SIDES:
        return codes.ORDER_REJECTED, f"Order rejected - reason:Invalid order action {terms.action}"
    if not terms.account and len(gateway.exchange.accounts) > 1:
        return codes.NO_ACCOUNT, codes.NO_ACCOUNT_TEXT
    if terms.account and terms.account not in gateway.exchange.accounts:
        return codes.ORDER_REJECTED, f"Order rejected - reason:Invalid account code '{terms.account}'"
    unserved = [*request.attributes, *_unserved(terms)]
    if unserved:
        return codes.UNSUPPORTED_ATTRIBUTE, codes.UNSUPPORTED_ATTRIBUTE_TEXT.format(names=", ".join(unserved))
    return None


def _unserved(terms: OrderTerms) -> list[str]:
    """Terms that the exchange does not trade by."""
    asked = {
        "transmit": not terms.transmit,
        "whatIf": terms.what_if,
        "parentId": terms.parent_id,
        "ocaGroup": terms.oca_group,
        "hidden": terms.hidden,
        "displaySize": terms.display_size,
        "triggerMethod": terms.trigger_method,
        "goodAfterTime": terms.good_after,
        "goodTillDate": terms.good_till,
        "allOrNone": terms.all_or_none,
        "minQty": terms.min_quantity,
        "percentOffset": terms.percent_offset,
        "trailingPercent": terms.trailing_percent,
        "cashQty": terms.cash_quantity,
        "conditions": terms.conditions,
        "adjustedOrderType": terms.adjustment,
        "comboLegs": terms.legs,
    }
    return [name for name, value in asked.items() if value]


def _ticket(gateway: "PaperGateway", session: Session, request: PlaceOrder, instrument: Instrument) -> Ticket:
    assert session.client_id is not None
    terms = request.terms
    order_type = ORDER_TYPES[terms.order_type]
    return Ticket(
        client_id=session.client_id,
        order_id=request.order_id,
        account=terms.account or gateway.exchange.account_id,
        instrument=instrument,
        side=_SIDES[terms.action],
        quantity=terms.quantity or Decimal(0),
        order_type=order_type,
        tif=_TIFS[terms.tif or "DAY"],
        # Clients send prices that the type has no use for (0, or what an open order said): not orders.
        limit_price=terms.limit_price if order_type.needs_limit else None,
        stop_price=terms.aux_price if order_type.needs_stop else None,
        order_ref=terms.order_ref,
        outside_rth=terms.outside_rth,
        notes=tuple(terms.notes.items()),
    )


def _foreign_owners(gateway: "PaperGateway", session: Session, order_id: int) -> set[int]:
    """Other clients that have a working order of that id, as long as the client itself has none."""
    owners = gateway.working.get(order_id, set[int]())
    return set() if session.client_id in owners else set(owners)


def cancel(gateway: "PaperGateway", session: Session, request: CancelOrder) -> None:
    """Cancel an own order, or else the one working order of that id, whoever has placed it.

    A client's own order of that id is meant also when it has ended, except by client 0, which is shown
    the orders of all others under their ids.
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
                    session.send(_status_message(order, session.client_id))
            case OrderError() if (event.client_id, event.order_id) == (owner, order_id):
                session.error(order_id, event.code, event.message)
    yield


def cancel_all(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The global cancel: every client's orders. It is finished before any further request is served."""
    gateway.chores.append(_cancel_all(gateway, session))


def _cancel_all(gateway: "PaperGateway", session: Session) -> Iterator[None]:
    working = [(client_id, order_id) for order_id, owners in gateway.working.items() for client_id in owners]
    for first in range(0, len(working), CANCELLED_PER_STEP):
        if gateway.cannot_write:
            session.error(-1, codes.PROCESSING, f"Error processing request. {gateway.cannot_write}")
            return
        events: list[Event] = []
        for client_id, order_id in working[first : first + CANCELLED_PER_STEP]:
            if client_id in gateway.working.get(order_id, ()):
                events += gateway.exchange.cancel(client_id, order_id, by_client_id=client_id)
        gateway.commit(events)
        yield


def open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The client's own working orders; client 0 sees all."""
    orders = [order for order in gateway.exchange.orders() if session.sees_orders_of(order.ticket.client_id)]
    session.outbox.append(_list_open(session, orders))


def all_open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.outbox.append(_list_open(session, gateway.exchange.orders()))


def _list_open(session: Session, orders: Sequence[PaperOrder]) -> Iterator[None]:
    for number, order in enumerate(orders, 1):
        for message in order_messages(order):
            session.send(message)
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(wire.open_order_end())


def completed_orders(gateway: "PaperGateway", session: Session, request: CompletedOrdersRequest) -> None:
    """Orders of all clients that have ended today. All come from the API, whether only those are wanted."""
    session.outbox.append(_list_completed(session, gateway.exchange.completed_orders()))


def _list_completed(session: Session, orders: Sequence[PaperOrder]) -> Iterator[None]:
    for number, order in enumerate(orders, 1):
        session.send(
            wire.CompletedOrder(
                order=_wire_order(order),
                filled=order.filled,
                completed_time=order.completed_at or datetime.fromtimestamp(0, UTC),
                completed_status=order.completed_status,
            )
        )
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(wire.completed_orders_end())


def order_messages(order: PaperOrder) -> tuple[Message, ...]:
    """How an order stands: the order, then its status; of a cancelled one the status alone, as at IB."""
    status = _status_message(order, order.ticket.client_id)
    if order.status is IBStatus.CANCELLED:
        return (status,)
    return (wire.OpenOrder(order=_wire_order(order)), status)


def _status_message(order: PaperOrder, client_id: int) -> Message:
    return wire.OrderStatus(
        order_id=order.ticket.order_id,
        client_id=client_id,
        perm_id=order.perm_id,
        status=order.status,
        filled=order.filled,
        remaining=order.remaining,
        avg_fill_price=order.avg_fill_price,
        last_fill_price=order.last_fill_price,
        why_held=order.why_held,
    )


def _wire_order(order: PaperOrder) -> wire.WireOrder:
    ticket = order.ticket
    return wire.WireOrder(
        contract=wire_contract(ticket.instrument),
        order_id=ticket.order_id,
        client_id=ticket.client_id,
        perm_id=order.perm_id,
        terms=OrderTerms(
            action=ticket.side,
            quantity=ticket.quantity,
            order_type=ticket.order_type,
            limit_price=ticket.limit_price,
            aux_price=ticket.stop_price,
            tif=ticket.tif,
            account=ticket.account,
            order_ref=ticket.order_ref,
            outside_rth=ticket.outside_rth,
            notes=dict(ticket.notes),
        ),
        status=order.status,
    )


def execution_message(execution: PaperExecution, req_id: int = -1) -> Message:
    """A fill, live or in answer to the request `req_id`."""
    return wire.Execution(
        req_id=req_id,
        order_id=execution.order_id,
        client_id=execution.client_id,
        perm_id=execution.perm_id,
        contract=wire_contract(execution.instrument),
        exec_id=execution.exec_id,
        time=execution.time,
        account=execution.account,
        exchange=execution.exchange,
        side="BOT" if execution.side is Side.BUY else "SLD",
        quantity=execution.quantity,
        price=execution.price,
        cumulative_quantity=execution.cumulative_quantity,
        avg_price=execution.avg_price,
        order_ref=execution.order_ref,
    )


def commission_message(execution: PaperExecution) -> Message:
    return wire.commission_report(
        execution.exec_id, execution.commission, execution.instrument.currency, execution.realized_pnl
    )


def auto_open_orders(gateway: "PaperGateway", session: Session, request: AutoOpenOrdersRequest) -> None:
    """Binding orders entered by hand is for client 0, and there is nobody to enter any."""
    if session.client_id != MASTER_CLIENT_ID:
        session.error(-1, codes.AUTO_BIND_REFUSED, codes.AUTO_BIND_REFUSED_TEXT)


HANDLERS: Mapping[type, Callable[..., None]] = {
    AutoOpenOrdersRequest: auto_open_orders,
    PlaceOrder: place,
    CancelOrder: cancel,
    GlobalCancel: cancel_all,
    OpenOrdersRequest: open_orders,
    AllOpenOrdersRequest: all_open_orders,
    CompletedOrdersRequest: completed_orders,
}
