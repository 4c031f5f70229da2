"""How orders and fills are put to clients: from the engine's reports to messages.

A time of an order is told with its zone at every version, as IB does.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from trademind.domain import Side
from trademind.gateway.engine.model import (
    Adjustment,
    Condition,
    IBOrderType,
    IBStatus,
    Instrument,
    PaperExecution,
    PaperOrder,
    Preview,
    PriceCondition,
    Ticket,
)
from trademind.gateway.handlers.contracts import wire_contract
from trademind.gateway.wire import orders as wire
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.messages import Message
from trademind.gateway.wire.order_terms import (
    PERCENT_UNIT,
    OrderTerms,
    WireAdjustment,
    WireCondition,
    WireLeg,
    WirePriceCondition,
    WireTimeCondition,
)
from trademind.gateway.wire.times import format_moment
from trademind.gateway.wire.versions import INSTRUMENT_TIME_ZONE

NOT_SHOWN: Final = 0
"""The order id that clients see of an order that was entered by hand and has not been bound."""


def order_messages(order: PaperOrder, order_id: int) -> tuple[Message, ...]:
    """How an order stands: the order, then its status; of a cancelled one the status alone, as at IB.

    Args:
        order_id: Under which id it is shown.
    """
    status = status_message(order, order_id, order.ticket.client_id)
    if order.status is IBStatus.CANCELLED:
        return (status,)
    return (wire.OpenOrder(order=wire_order(order, order_id)), status)


def status_message(order: PaperOrder, order_id: int, client_id: int) -> Message:
    """An order's status, as told to (or shown as of) a client."""
    return wire.OrderStatus(
        order_id=order_id,
        client_id=client_id,
        perm_id=order.perm_id,
        status=order.status,
        filled=order.filled,
        remaining=order.remaining,
        avg_fill_price=order.avg_fill_price,
        last_fill_price=order.last_fill_price,
        why_held=order.why_held,
        parent_id=order.ticket.parent_id,
    )


def completed_message(order: PaperOrder, parent_perm_id: int) -> Message:
    return wire.CompletedOrder(
        order=wire_order(order, NOT_SHOWN, parent_perm_id),
        filled=order.filled,
        completed_time=order.completed_at or datetime.fromtimestamp(0, UTC),
        completed_status=order.completed_status,
    )


def preview_message(ticket: Ticket, preview: Preview) -> Message:
    """The answer to a what-if order: an open order without a perm id, with the preview as its state."""
    order = wire.WireOrder(
        contract=_contract(ticket),
        order_id=ticket.order_id,
        client_id=ticket.client_id,
        perm_id=0,
        terms=_terms(ticket),
        status=IBStatus.PRE_SUBMITTED,
    )
    return wire.OpenOrder(
        order=order,
        preview=wire.OrderPreview(
            init_margin=preview.init_margin,
            maint_margin=preview.maint_margin,
            equity_with_loan=preview.equity_with_loan,
            commission=preview.commission,
            min_commission=preview.min_commission,
            max_commission=preview.max_commission,
            currency=preview.currency,
            warning=preview.warning,
        ),
    )


def wire_order(order: PaperOrder, order_id: int, parent_perm_id: int = 0) -> wire.WireOrder:
    ticket = order.ticket
    return wire.WireOrder(
        contract=_contract(ticket),
        order_id=order_id,
        client_id=ticket.client_id,
        perm_id=order.perm_id,
        terms=_terms(order.ticket, order),
        status=order.status,
        parent_perm_id=parent_perm_id,
    )


def _contract(ticket: Ticket) -> WireContract:
    return wire_contract(ticket.instrument, exchange=ticket.exchange or None)


def _terms(ticket: Ticket, order: PaperOrder | None = None) -> OrderTerms:
    """A ticket as clients know it; of a working order with what the market has made of its prices."""
    kind = ticket.order_type
    limit_price, trail_stop = ticket.limit_price, ticket.stop_price if kind.trails else None
    if order is not None:
        limit_price = limit_price if order.working_limit is None else order.working_limit
        if kind is IBOrderType.STOP:
            limit_price = None  # of what the order was before it was adjusted
        trail_stop = trail_stop if order.trail_stop is None else order.trail_stop
    return OrderTerms(
        action=ticket.side,
        quantity=ticket.quantity,
        order_type=kind,
        limit_price=limit_price,
        aux_price=_aux_price(ticket),
        tif=ticket.tif,
        account=ticket.account,
        order_ref=ticket.order_ref,
        transmit=ticket.transmit,
        outside_rth=ticket.outside_rth,
        hidden=ticket.hidden,
        all_or_none=ticket.all_or_none,
        min_quantity=ticket.min_quantity,
        display_size=ticket.display_size,
        good_after=_moment(ticket.good_after),
        good_till=_moment(ticket.good_till),
        parent_id=ticket.parent_id,
        oca_group=ticket.oca_group,
        oca_type=ticket.oca_type,
        trigger_method=ticket.trigger_method,
        trail_stop_price=trail_stop,
        trailing_percent=ticket.trailing_percent,
        limit_offset=ticket.limit_offset,
        conditions=tuple(_condition(each) for each in ticket.conditions),
        conditions_outside_rth=ticket.conditions_outside_rth,
        conditions_cancel=ticket.conditions_cancel,
        adjustment=None if ticket.adjustment is None else _adjustment(ticket.adjustment),
        legs=legs_of(ticket.instrument),
        what_if=order is None,
        notes=dict(ticket.notes),
    )


def _aux_price(ticket: Ticket) -> Decimal | None:
    """The one price that means something else for each kind of order."""
    if ticket.order_type.trails:
        return ticket.trailing_amount
    return ticket.offset if ticket.offset is not None else ticket.stop_price


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else format_moment(moment, INSTRUMENT_TIME_ZONE)


def _condition(condition: Condition) -> WireCondition:
    if isinstance(condition, PriceCondition):
        return WirePriceCondition(
            is_and=condition.is_and,
            is_more=condition.is_more,
            price=condition.price,
            con_id=condition.instrument.con_id,
            exchange=condition.instrument.exchange,
            trigger_method=condition.trigger_method,
        )
    return WireTimeCondition(
        is_and=condition.is_and, is_more=condition.is_more, time=_moment(condition.moment)
    )


def _adjustment(adjustment: Adjustment) -> WireAdjustment:
    return WireAdjustment(
        order_type=adjustment.order_type,
        trigger_price=adjustment.trigger_price,
        stop_price=adjustment.stop_price,
        limit_price=adjustment.limit_price,
        trailing=adjustment.trailing,
        unit=PERCENT_UNIT if adjustment.is_percent else 0,
    )


def legs_of(instrument: Instrument) -> tuple[WireLeg, ...]:
    """The legs of a combination; none of anything else."""
    return tuple(
        WireLeg(con_id=leg.instrument.con_id, ratio=leg.ratio, action=leg.side, exchange=leg.exchange)
        for leg in instrument.legs
    )


def execution_message(execution: PaperExecution, order_id: int, req_id: int = -1) -> Message:
    """A fill, live or in answer to the request `req_id`."""
    return wire.Execution(
        req_id=req_id,
        order_id=order_id,
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
        last_liquidity=1 if execution.adds_liquidity else 2,
    )


def commission_message(execution: PaperExecution) -> Message:
    """What a fill cost, in the currency of what was traded."""
    return wire.commission_report(
        execution.exec_id, execution.commission, execution.instrument.currency, execution.realized_pnl
    )
