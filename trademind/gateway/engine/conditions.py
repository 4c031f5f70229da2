"""Conditions of orders: prices of other instruments, and times, joined by and/or.

Each condition says how it combines with the one after it; "and" binds tighter than "or". A condition that
cannot be judged, since there is no quote yet, does not hold.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from trademind.gateway.engine.model import Condition, Instrument, PriceCondition, Ticket, TimeCondition
from trademind.gateway.engine.triggers import method_for, reaches
from trademind.gateway.engine.working import WorkingOrder

PriceOf = Callable[[PriceCondition], Decimal | None]
"""The price that a price condition looks at; None when there is none, or none that counts."""


def hold(conditions: Sequence[Condition], now: datetime, price_of: PriceOf) -> bool:
    """Whether the conditions hold together."""
    all_of_term = True
    for condition in conditions:
        all_of_term = all_of_term and _holds(condition, now, price_of)
        if not condition.is_and:
            if all_of_term:
                return True
            all_of_term = True
    return all_of_term if not conditions or conditions[-1].is_and else False


def _holds(condition: Condition, now: datetime, price_of: PriceOf) -> bool:
    if isinstance(condition, TimeCondition):
        return now >= condition.moment if condition.is_more else now <= condition.moment
    return reaches(condition.price, price_of(condition), rising=condition.is_more)


def next_moment(conditions: Sequence[Condition], now: datetime) -> datetime | None:
    """When the next time condition may begin to hold."""
    return min(
        (each.moment for each in conditions if isinstance(each, TimeCondition) and each.moment > now),
        default=None,
    )


def watched_by(ticket: Ticket) -> set[int]:
    """Con ids whose prices decide about a ticket."""
    return {each.instrument.con_id for each in ticket.conditions if isinstance(each, PriceCondition)}


def method_of(condition: PriceCondition, instrument: Instrument) -> int:
    return method_for(instrument, condition.trigger_method)


class Watchlist:
    """The orders that wait for conditions, by the instruments whose prices they watch."""

    def __init__(self) -> None:
        self._orders: dict[int, dict[int, WorkingOrder]] = {}

    def add(self, order: WorkingOrder) -> None:
        for con_id in watched_by(order.ticket):
            self._orders.setdefault(con_id, {})[order.perm_id] = order

    def remove(self, order: WorkingOrder) -> None:
        for con_id in watched_by(order.ticket):
            orders = self._orders.get(con_id, {})
            orders.pop(order.perm_id, None)
            if not orders:
                self._orders.pop(con_id, None)

    def con_ids(self) -> set[int]:
        return set(self._orders)

    def watching(self, con_id: int) -> list[WorkingOrder]:
        return list(self._orders.get(con_id, {}).values())
