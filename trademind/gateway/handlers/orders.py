"""Orders: placing, changing, cancelling; reports of orders, executions and commissions."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trademind.domain import OrderType, Side, TimeInForce
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument, PaperExecution, PaperOrder, Ticket
from trademind.gateway.handlers.contracts import find, wire_contract
from trademind.gateway.session import MASTER_CLIENT_ID, Session
from trademind.gateway.wire import orders as wire
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.requests import CancelOrder, CompletedOrdersRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

ORDER_TYPES = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
    "STPLMT": OrderType.STOP_LIMIT,
}
"""Order types that are taken, in both spellings of IB."""
_TIFS = {tif.value: tif for tif in TimeInForce}
_SIDES = {side.value: side for side in Side}


def place(gateway: "PaperGateway", session: Session, request: PlaceOrder) -> None:
    """Place a new order or change a working one. Whatever cannot be traded as asked is refused."""
    refusal = _refusal(gateway, request)
    if refusal is not None:
        session.error(request.order_id, *refusal)
        return
    instrument = find(gateway, session, request.order_id, request.contract)
    if instrument is None:
        return
    ticket = _ticket(gateway, session, request, instrument)
    gateway.refresh(instrument)
    gateway.commit(gateway.exchange.place(ticket))


def _refusal(gateway: "PaperGateway", request: PlaceOrder) -> tuple[int, str] | None:
    """IB's code and text for an order that is not taken, judged by the request alone."""
    if request.order_type not in ORDER_TYPES:
        return codes.UNSUPPORTED_ORDER_TYPE, codes.UNSUPPORTED_ORDER_TYPE_TEXT
    if request.tif and request.tif not in _TIFS:
        return codes.INVALID_TIF, codes.INVALID_TIF_TEXT.format(tif=request.tif)
    if request.action not in _SIDES:
        return codes.ORDER_REJECTED, f"Order rejected - reason:Invalid order action {request.action}"
    if request.account not in ("", gateway.exchange.account_id):
        return codes.ORDER_REJECTED, f"Order rejected - reason:Invalid account code '{request.account}'"
    unserved = list(request.attributes)
    if not request.transmit:
        unserved.append("transmit off")
    if request.what_if:
        unserved.append("what-if")
    if unserved:
        features = ", ".join(unserved)
        return codes.ORDER_REJECTED, f"Order rejected - reason:Not served by the paper gateway: {features}"
    return None


def _ticket(gateway: "PaperGateway", session: Session, request: PlaceOrder, instrument: Instrument) -> Ticket:
    assert session.client_id is not None
    order_type = ORDER_TYPES[request.order_type]
    return Ticket(
        client_id=session.client_id,
        order_id=request.order_id,
        account=gateway.exchange.account_id,
        instrument=instrument,
        side=_SIDES[request.action],
        quantity=request.quantity or Decimal(0),
        order_type=order_type,
        tif=_TIFS[request.tif or "DAY"],
        # Clients send prices that the type has no use for (0, or what an open order said): not orders.
        limit_price=request.limit_price if order_type.needs_limit else None,
        stop_price=request.aux_price if order_type.needs_stop else None,
        order_ref=request.order_ref,
        outside_rth=request.outside_rth,
    )


def cancel(gateway: "PaperGateway", session: Session, request: CancelOrder) -> None:
    """Cancel an own order; client 0 may cancel those of others, which it sees under their ids."""
    assert session.client_id is not None
    exchange = gateway.exchange
    owner = session.client_id
    if owner == MASTER_CLIENT_ID and exchange.order(owner, request.order_id) is None:
        others = (order for order in exchange.orders() if order.ticket.order_id == request.order_id)
        owner = next((order.ticket.client_id for order in others), owner)
    gateway.commit(exchange.cancel(owner, request.order_id, by_client_id=session.client_id))


def cancel_all(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The global cancel: every client's orders."""
    gateway.commit(gateway.exchange.cancel_all())


def open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """The client's own working orders; client 0 sees all."""
    for order in gateway.exchange.orders():
        if session.sees_orders_of(order.ticket.client_id):
            report(session, order)
    session.send(wire.open_order_end())


def all_open_orders(gateway: "PaperGateway", session: Session, request: Any) -> None:
    for order in gateway.exchange.orders():
        report(session, order)
    session.send(wire.open_order_end())


def completed_orders(gateway: "PaperGateway", session: Session, request: CompletedOrdersRequest) -> None:
    """Orders of all clients that have ended today. All come from the API, whether only those are wanted."""
    for order in gateway.exchange.completed_orders():
        session.send(
            wire.CompletedOrder(
                order=_wire_order(order),
                filled=order.filled,
                completed_time=order.completed_at or datetime.fromtimestamp(0, UTC),
                completed_status=order.completed_status,
            )
        )
    session.send(wire.completed_orders_end())


def report(session: Session, order: PaperOrder) -> None:
    """Tell a client how an order stands: the order, then its status."""
    session.send(wire.OpenOrder(order=_wire_order(order)))
    session.send(
        wire.OrderStatus(
            order_id=order.ticket.order_id,
            client_id=order.ticket.client_id,
            perm_id=order.perm_id,
            status=order.status,
            filled=order.filled,
            remaining=order.remaining,
            avg_fill_price=order.avg_fill_price,
            last_fill_price=order.last_fill_price,
            why_held=order.why_held,
        )
    )


def _wire_order(order: PaperOrder) -> wire.WireOrder:
    ticket = order.ticket
    return wire.WireOrder(
        contract=wire_contract(ticket.instrument),
        order_id=ticket.order_id,
        client_id=ticket.client_id,
        perm_id=order.perm_id,
        action=ticket.side,
        quantity=ticket.quantity,
        order_type=ticket.order_type,
        limit_price=ticket.limit_price or Decimal(0),
        aux_price=ticket.stop_price or Decimal(0),
        tif=ticket.tif,
        account=ticket.account,
        order_ref=ticket.order_ref,
        outside_rth=ticket.outside_rth,
        status=order.status,
    )


def report_execution(session: Session, execution: PaperExecution, req_id: int = -1) -> None:
    """Tell a client of a fill, live or in answer to the request `req_id`."""
    session.send(
        wire.Execution(
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
    )


def report_commission(session: Session, execution: PaperExecution) -> None:
    session.send(
        wire.commission_report(
            execution.exec_id,
            execution.commission,
            execution.instrument.currency,
            execution.realized_pnl,
        )
    )
