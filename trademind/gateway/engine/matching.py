"""Orders of one instrument, in the order in which they may fill.

Prices decide, then time. Each kind of order waits in a queue whose next order is at the end of a sorted
list, so that looking at what a quote touches costs nothing for the orders it does not touch. Orders whose
price moves with the market are looked at with every quote.
"""

from bisect import bisect_left, insort
from decimal import Decimal
from typing import TYPE_CHECKING

from trademind.gateway.engine.working import WorkingOrder

if TYPE_CHECKING:
    from trademind.gateway.engine.triggers import WaitingStops


class PriceQueue:
    """Orders sorted by price, then time; the next one to be served is last."""

    __slots__ = ("_entries", "_sign")

    def __init__(self, *, highest_first: bool) -> None:
        self._sign = 1 if highest_first else -1
        self._entries: list[tuple[Decimal, int, WorkingOrder]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, price: Decimal, order: WorkingOrder) -> None:
        insort(self._entries, (self._sign * price, -order.rank, order))
        order.place = (self, price)

    def remove(self, price: Decimal, order: WorkingOrder) -> None:
        """Take out an order that was added at this price and has kept its rank."""
        index = bisect_left(self._entries, (self._sign * price, -order.rank))
        if index == len(self._entries) or self._entries[index][2] is not order:
            raise LookupError(f"order {order.perm_id} is not in the queue")
        del self._entries[index]
        order.place = None

    def reached(self, price: Decimal) -> list[WorkingOrder]:
        """The orders whose own price is reached by `price`, in the order in which they are served."""
        entries = self._entries
        bound = self._sign * price
        if not entries or entries[-1][0] < bound:
            return []
        return [each[2] for each in reversed(entries[bisect_left(entries, (bound,)) :])]


class RestingOrders:
    """All working orders of one instrument: those at the market, those that wait for a price, and those
    that are held until something else happens."""

    __slots__ = ("_buys", "_market", "_moving", "_sales", "_stops", "count", "opening")

    def __init__(self, stops: "WaitingStops") -> None:
        self._market: dict[int, WorkingOrder] = {}
        self._buys = PriceQueue(highest_first=True)
        self._sales = PriceQueue(highest_first=False)
        self._stops = stops
        self._moving: dict[int, WorkingOrder] = {}
        self.opening: dict[int, WorkingOrder] = {}
        """Orders for the opening, once their session has begun: the next quote is theirs."""
        self.count = 0
        """Of all orders, wherever they wait."""

    def add_limit(self, order: WorkingOrder, limit: Decimal) -> None:
        (self._buys if order.buys else self._sales).add(limit, order)

    def add_at_market(self, order: WorkingOrder) -> None:
        self._market[order.perm_id] = order

    def add_stop(self, order: WorkingOrder, method: int, stop: Decimal) -> None:
        rising = order.triggers_rising
        self._stops.queue(method, rising=rising).add(stop, order)

    def add_moving(self, order: WorkingOrder) -> None:
        """Have an order looked at with every quote, besides its queue."""
        self._moving[order.perm_id] = order

    def remove(self, order: WorkingOrder) -> None:
        """Take an order out of wherever it waits."""
        if not order.waits:
            return
        order.waits = False
        perm_id = order.perm_id
        if order.place is not None:
            queue, price = order.place
            queue.remove(price, order)
        else:
            self._market.pop(perm_id, None)
        self._moving.pop(perm_id, None)
        self.opening.pop(perm_id, None)

    def moving(self) -> list[WorkingOrder]:
        return list(self._moving.values())

    def at_market(self) -> list[WorkingOrder]:
        """Market orders that wait for liquidity, in the order in which they are served."""
        if not self._market:
            return []
        return sorted(self._market.values(), key=lambda order: order.sequence)

    def crossed_by(self, bid: Decimal, ask: Decimal) -> list[WorkingOrder]:
        """Resting limits that the market has reached, best price first."""
        return self._buys.reached(ask) + self._sales.reached(bid)
