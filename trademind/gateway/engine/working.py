"""An order's changing state inside the engine; what the outside gets to see is a `PaperOrder`."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from trademind.domain import Side
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.model import IBOrderType, IBStatus, IBTif, PaperOrder, Stage, Ticket

if TYPE_CHECKING:
    from trademind.gateway.engine.groups import GroupKey
    from trademind.gateway.engine.matching import PriceQueue

_PRICE_DIGITS = Decimal("0.00000001")
_HIDDEN_LAST = 1 << 62
"""Added to the place in time of hidden orders: at one price, what is displayed is served first."""
_IMMEDIATE = (IBTif.IOC, IBTif.FOK)


def goes_to_the_back(old: Ticket, new: Ticket) -> bool:
    """Whether this change of an order costs it its place in time: a new limit or a larger size does."""
    return new.limit_price != old.limit_price or new.quantity > old.quantity


class WorkingOrder:
    """One order. `reported` is how it was last written down, and what everyone is shown."""

    __slots__ = (
        "ahead",
        "avg_fill_price",
        "buys",
        "commission",
        "completed_at",
        "completed_status",
        "created_at",
        "expires_at",
        "filled",
        "filled_value",
        "group",
        "last_fill_price",
        "limit",
        "perm_id",
        "place",
        "remaining",
        "reported",
        "reserved_at",
        "sequence",
        "stage",
        "status",
        "ticket",
        "trail_stop",
        "triggered",
        "waits",
        "wakes_at",
        "why_held",
    )

    def __init__(self, ticket: Ticket, perm_id: int, created_at: datetime) -> None:
        self.perm_id = perm_id
        self.created_at = created_at
        self.sequence = 0
        """Its place in time; see `goes_to_the_back`."""
        self.status = IBStatus.PRE_SUBMITTED
        self.stage = Stage.MARKET
        self.filled = self.filled_value = self.commission = ZERO
        self.avg_fill_price = self.last_fill_price = ZERO
        self.why_held = ""
        self.triggered = False
        self.completed_at: datetime | None = None
        self.completed_status = ""
        self.reserved_at: Decimal | None = None
        """The price at which it counts towards margin; None while it does not."""
        self.trail_stop: Decimal | None = None
        self.ahead: Decimal | None = None
        """Size in the queue before a resting limit; None where no queue is modelled."""
        self.group: GroupKey | None = None
        self.waits = False
        """Whether it is in a queue, or somewhere else where orders wait."""
        self.place: tuple[PriceQueue, Decimal] | None = None
        """The queue it is in, and at which price."""
        self.expires_at: datetime | None = None
        self.wakes_at: datetime | None = None
        """When it goes on from a stage that ends by the clock."""
        self.take_ticket(ticket)
        self.reported: PaperOrder | None = None

    def take_ticket(self, ticket: Ticket) -> None:
        """Be what a ticket says, from here on."""
        self.ticket = ticket
        self.buys = ticket.side is Side.BUY
        self.remaining = ticket.quantity - self.filled
        self.limit: Decimal | None = ticket.limit_price if ticket.order_type.needs_limit else None
        """The worst price it accepts; None for an order at the market, and for one that has no price yet."""

    @classmethod
    def restored(cls, order: PaperOrder) -> "WorkingOrder":
        """The state behind a report, as after a restart."""
        self = cls(order.ticket, order.perm_id, order.created_at)
        self.status = order.status
        self.stage = order.stage
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
        self.sequence = order.sequence
        self.trail_stop = order.trail_stop
        if order.working_limit is not None:
            self.limit = order.working_limit
        self.reported = order
        return self

    @property
    def is_held(self) -> bool:
        """A stop that has not been triggered."""
        return not self.triggered and self.ticket.order_type.has_trigger

    @property
    def stop(self) -> Decimal | None:
        """Where it is triggered."""
        return self.trail_stop if self.ticket.order_type.trails else self.ticket.stop_price

    @property
    def triggers_rising(self) -> bool:
        """Whether a rising market triggers it: buy stops and sales if touched."""
        touched = self.ticket.order_type in (IBOrderType.MARKET_IF_TOUCHED, IBOrderType.LIMIT_IF_TOUCHED)
        return self.buys is not touched

    @property
    def is_immediate(self) -> bool:
        """What does not fill at once is cancelled."""
        return self.ticket.tif in _IMMEDIATE

    @property
    def rank(self) -> int:
        """Its place in time at one price."""
        return self.sequence + _HIDDEN_LAST if self.ticket.hidden else self.sequence

    def least(self) -> Decimal:
        """The least quantity that may fill at a time."""
        ticket = self.ticket
        if ticket.all_or_none or ticket.tif is IBTif.FOK:
            return self.remaining
        if ticket.min_quantity is None:
            return ZERO
        return min(ticket.min_quantity, self.remaining)

    def fill(self, price: Decimal, quantity: Decimal) -> None:
        """Add a fill and what follows from it for the average price."""
        value = price * quantity
        if not self.filled or price == self.avg_fill_price:
            self.avg_fill_price = price
        else:
            average = (self.filled_value + value) / (self.filled + quantity)
            exponent = average.as_tuple().exponent
            # Digits are cut only where the division did not come out even.
            even = isinstance(exponent, int) and exponent >= -8
            self.avg_fill_price = average if even else average.quantize(_PRICE_DIGITS)
        self.filled += quantity
        self.remaining -= quantity
        self.filled_value += value
        self.last_fill_price = price

    def report(self) -> PaperOrder:
        """How it stands now; from here on this is how it is shown."""
        ticket = self.ticket
        shown = (
            self.limit if self.limit is not ticket.limit_price and not ticket.order_type.is_pegged else None
        )
        self.reported = report = PaperOrder(
            ticket,
            self.perm_id,
            self.status,
            self.filled,
            self.avg_fill_price,
            self.last_fill_price,
            self.why_held,
            self.triggered,
            self.created_at,
            self.completed_at,
            self.completed_status,
            self.filled_value,
            self.commission,
            self.stage,
            self.sequence,
            self.trail_stop,
            shown,
        )
        return report
