"""What happened to an order, by name: from how it stood and how it stands."""

from trademind.domain import Order, OrderStatus

_NAMES = {
    OrderStatus.PENDING_SUBMIT: "new",
    OrderStatus.SUBMITTED: "accepted",
    OrderStatus.PARTIALLY_FILLED: "partial_fill",
    OrderStatus.FILLED: "fill",
    OrderStatus.PENDING_CANCEL: "pending_cancel",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.EXPIRED: "expired",
    OrderStatus.REJECTED: "rejected",
    OrderStatus.UNKNOWN: "unknown",
    OrderStatus.NEVER_SENT: "never_sent",
}


def name_of(before: Order | None, after: Order) -> str:
    """The event's name, as the stream and the journal call it.

    `reconciled` is what an order of unknown outcome has turned out to be; `replaced` that its terms are
    others; `updated` that something else of it is.
    """
    if before is None:
        return _NAMES[after.status]
    if before.status is OrderStatus.UNKNOWN is not after.status:
        return "reconciled"
    if after.status is not before.status:
        return _NAMES[after.status]
    if after.filled_quantity > before.filled_quantity:
        return "partial_fill"
    if _terms(before) != _terms(after):
        return "replaced"
    return "updated"


def _terms(order: Order) -> tuple[object, ...]:
    return (
        order.quantity, order.limit_price, order.stop_price, order.trailing_amount, order.trailing_percent,
        order.tif, order.order_type,
    )  # fmt: skip
