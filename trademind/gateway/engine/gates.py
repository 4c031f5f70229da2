"""The gates that an order passes on its way to the market: which one is closed, and when the clock opens it.

Strategy: functions of an order, its desk and the moment. They change nothing; the floor moves orders.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from trademind.gateway.engine.conditions import next_moment
from trademind.gateway.engine.desk import Desk
from trademind.gateway.engine.model import IBOrderType, IBStatus, IBTif, Stage, Ticket
from trademind.gateway.engine.working import WorkingOrder

RANK: Final = {stage: rank for rank, stage in enumerate(Stage)}
"""How many gates lie before a stage."""
START: Final = -1
"""The rank of an order that has passed none."""
_PAST_CONDITION, _PAST_AUCTION, _PAST_TRANSIT = (
    RANK[each] for each in (Stage.CONDITION, Stage.AUCTION, Stage.TRANSIT)
)
_AT_CLOSE: Final = (IBOrderType.MARKET_ON_CLOSE, IBOrderType.LIMIT_ON_CLOSE)
_NOT_DAY: Final = (IBTif.GTC, IBTif.IOC, IBTif.FOK)


def first_closed(
    desk: Desk,
    order: WorkingOrder,
    passed: int,
    now: datetime,
    holds: Callable[[Ticket], bool],
    latency: timedelta,
) -> Stage:
    """The first gate after the rank `passed` that is closed for an order. `holds` looks at its conditions."""
    ticket = order.ticket
    if passed < _PAST_CONDITION:
        if ticket.good_after is not None and now < ticket.good_after:
            return Stage.AFTER
        if ticket.conditions and not ticket.conditions_cancel and not holds(ticket):
            return Stage.CONDITION
    if passed < _PAST_AUCTION and is_for_auction(ticket):
        return Stage.AUCTION
    if order.is_held:
        return Stage.TRIGGER
    if ticket.tif is IBTif.OPG:
        return Stage.MARKET
    if not desk.trades(ticket, now):
        return Stage.CLOSED
    if latency and passed < _PAST_TRANSIT and order.status is not IBStatus.SUBMITTED:
        return Stage.TRANSIT
    return Stage.MARKET


def wakes_at(desk: Desk, order: WorkingOrder, now: datetime, latency: timedelta) -> datetime | None:
    """When the clock may open the gate at which an order waits; None if it never does."""
    ticket = order.ticket
    match order.stage:
        case Stage.AFTER:
            return ticket.good_after
        case Stage.CONDITION:
            return next_moment(ticket.conditions, now)
        case Stage.AUCTION if ticket.tif is IBTif.OPG:
            return desk.next_open(now, outside_rth=False)
        case Stage.AUCTION:
            return desk.next_close(now)
        case Stage.CLOSED:
            return desk.next_open(now, outside_rth=ticket.outside_rth)
        case Stage.TRANSIT:
            return now + latency
    return next_moment(ticket.conditions, now) if ticket.conditions_cancel else None


def end_of_life(desk: Desk, order: WorkingOrder, now: datetime) -> datetime | None:
    """When an order expires; None for one that is good till cancelled, or that the next close ends."""
    ticket = order.ticket
    if ticket.tif in _NOT_DAY:
        return None
    if ticket.tif is IBTif.GTD:
        return ticket.good_till
    if is_for_auction(ticket) and order.stage is not Stage.MARKET:
        return None
    if ticket.good_after is not None and ticket.good_after > now:
        return desk.day_end_of(ticket.good_after, outside_rth=ticket.outside_rth)
    return desk.day_end(now, outside_rth=ticket.outside_rth)


def is_for_auction(ticket: Ticket) -> bool:
    """Whether an order is for the opening or the close only."""
    return ticket.tif in (IBTif.OPG, IBTif.CLS) or ticket.order_type in _AT_CLOSE


def is_past_conditions(order: WorkingOrder, old: Ticket) -> bool:
    """Whether an order that was changed need not wait for its conditions again."""
    same = order.ticket.conditions == old.conditions and order.ticket.good_after == old.good_after
    return same and RANK[order.stage] > RANK[Stage.CONDITION]


def why_held(order: WorkingOrder) -> str:
    """IB's words for what an order waits for."""
    if order.stage is Stage.CHILD:
        return "child,trigger" if order.is_held else "child"
    return "trigger" if order.stage is Stage.TRIGGER else ""
