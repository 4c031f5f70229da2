"""Working orders of one instrument, in the order in which they may fill.

Prices decide, then time. Each kind of order waits in a queue whose next order is at the end of a sorted
list, so that looking at what a quote touches costs nothing for the orders it does not touch.
"""

from bisect import bisect_left, insort
from datetime import datetime
from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.model import IBStatus, IBTif, PaperOrder, Ticket

_PRICE_DIGITS = Decimal("0.00000001")


def goes_to_the_back(old: Ticket, new: Ticket) -> bool:
    """Whether this change of an order costs it its place in time: a new limit or a larger size does."""
    return new.limit_price != old.limit_price or new.quantity > old.quantity


class WorkingOrder:
    """An order's changing state inside the engine; `report()` is what the outside gets to see."""

    __slots__ = (
        "avg_fill_price",
        "commission",
        "completed_at",
        "completed_status",
        "created_at",
        "filled",
        "filled_value",
        "last_fill_price",
        "perm_id",
        "remaining",
        "reserved_at",
        "sequence",
        "status",
        "ticket",
        "triggered",
        "why_held",
    )

    def __init__(self, ticket: Ticket, perm_id: int, created_at: datetime) -> None:
        self.ticket = ticket
        self.perm_id = perm_id
        self.created_at = created_at
        self.sequence = 0
        """Its place in time; see `goes_to_the_back`."""
        self.status = IBStatus.PRE_SUBMITTED
        self.filled = self.filled_value = self.commission = ZERO
        self.avg_fill_price = self.last_fill_price = ZERO
        self.remaining = ticket.quantity
        self.why_held = ""
        self.triggered = False
        self.completed_at: datetime | None = None
        self.completed_status = ""
        self.reserved_at = ZERO
        """The price at which it counts towards margin."""

    @classmethod
    def restored(cls, order: PaperOrder) -> "WorkingOrder":
        """The state behind a report, as after a restart."""
        self = cls(order.ticket, order.perm_id, order.created_at)
        self.status = order.status
        self.filled = order.filled
        self.filled_value = order.filled_value
        self.avg_fill_price = order.avg_fill_price
        self.last_fill_price = order.last_fill_price
        self.commission = order.commission
        self.remaining = order.remaining
        self.why_held = order.why_held
        self.triggered = order.triggered
        self.completed_at = order.completed_at
        self.completed_status = order.completed_status
        return self

    @property
    def is_held(self) -> bool:
        """A stop that has not been triggered."""
        return self.ticket.order_type.needs_stop and not self.triggered

    @property
    def limit(self) -> Decimal | None:
        """The worst price it accepts; None for an order at the market."""
        return self.ticket.limit_price if self.ticket.order_type.needs_limit else None

    @property
    def is_immediate(self) -> bool:
        """What does not fill at once is cancelled."""
        return self.ticket.tif is IBTif.IOC

    def fill(self, price: Decimal, quantity: Decimal) -> None:
        """Add a fill and what follows from it for the average price."""
        if not self.filled or price == self.avg_fill_price:
            self.avg_fill_price = price
        else:
            average = (self.filled_value + price * quantity) / (self.filled + quantity)
            exponent = average.as_tuple().exponent
            # Digits are cut only where the division did not come out even.
            even = isinstance(exponent, int) and exponent >= -8
            self.avg_fill_price = average if even else average.quantize(_PRICE_DIGITS)
        self.filled += quantity
        self.remaining -= quantity
        self.filled_value += price * quantity
        self.last_fill_price = price

    def report(self) -> PaperOrder:
        return PaperOrder(
            ticket=self.ticket,
            perm_id=self.perm_id,
            status=self.status,
            filled=self.filled,
            avg_fill_price=self.avg_fill_price,
            last_fill_price=self.last_fill_price,
            why_held=self.why_held,
            triggered=self.triggered,
            created_at=self.created_at,
            completed_at=self.completed_at,
            completed_status=self.completed_status,
            filled_value=self.filled_value,
            commission=self.commission,
        )


class PriceQueue:
    """Orders sorted by price, then time; the next one to be served is last."""

    __slots__ = ("_entries", "_sign")

    def __init__(self, *, highest_first: bool) -> None:
        self._sign = 1 if highest_first else -1
        self._entries: list[tuple[Decimal, int, WorkingOrder]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, price: Decimal, order: WorkingOrder) -> None:
        insort(self._entries, (self._sign * price, -order.sequence, order))

    def remove(self, price: Decimal, order: WorkingOrder) -> None:
        """Take out an order that was added at this price and has kept its sequence."""
        index = bisect_left(self._entries, (self._sign * price, -order.sequence))
        if index == len(self._entries) or self._entries[index][2] is not order:
            raise LookupError(f"order {order.perm_id} is not in the queue")
        del self._entries[index]

    def reached(self, price: Decimal) -> list[WorkingOrder]:
        """The orders whose own price is reached by `price`, in the order in which they are served."""
        bound = self._sign * price
        found: list[WorkingOrder] = []
        for rank, _, order in reversed(self._entries):
            if rank < bound:
                break
            found.append(order)
        return found


class RestingOrders:
    """All working orders of one instrument."""

    __slots__ = ("_buy_limits", "_buy_stops", "_market", "_sell_limits", "_sell_stops", "count")

    def __init__(self) -> None:
        self._market: dict[int, WorkingOrder] = {}
        self._buy_limits = PriceQueue(highest_first=True)
        self._sell_limits = PriceQueue(highest_first=False)
        self._buy_stops = PriceQueue(highest_first=False)
        self._sell_stops = PriceQueue(highest_first=True)
        self.count = 0

    def add(self, order: WorkingOrder) -> None:
        self.count += 1
        place = self._place(order)
        if place is None:
            self._market[order.perm_id] = order
        else:
            place[0].add(place[1], order)

    def remove(self, order: WorkingOrder) -> None:
        """Take out an order in the state in which it was added."""
        place = self._place(order)
        if place is None:
            del self._market[order.perm_id]
        else:
            place[0].remove(place[1], order)
        self.count -= 1

    def triggered_by(self, last: Decimal) -> list[WorkingOrder]:
        """Held stops that a trade at `last` triggers: buys at or below it, sells at or above it."""
        if not self._buy_stops and not self._sell_stops:
            return []
        found = self._buy_stops.reached(last) + self._sell_stops.reached(last)
        found.sort(key=lambda order: order.sequence)
        return found

    def at_market(self) -> list[WorkingOrder]:
        """Market orders that wait for liquidity, in the order in which they are served."""
        return sorted(self._market.values(), key=lambda order: order.sequence)

    def crossed_by(self, bid: Decimal, ask: Decimal) -> list[WorkingOrder]:
        """Resting limits that the market has reached, best price first."""
        return self._buy_limits.reached(ask) + self._sell_limits.reached(bid)

    def _place(self, order: WorkingOrder) -> tuple[PriceQueue, Decimal] | None:
        ticket = order.ticket
        buying = ticket.side is Side.BUY
        if order.is_held:
            assert ticket.stop_price is not None
            return (self._buy_stops if buying else self._sell_stops), ticket.stop_price
        limit = order.limit
        if limit is None:
            return None
        return (self._buy_limits if buying else self._sell_limits), limit
