"""What an order must look like to be taken, and IB's codes and words where it does not.

Codes and texts are those of IB's published message codes; where IB's text carries details of its own
systems (321), the cause is named after the same pattern.
"""

from decimal import Decimal

from trademind.gateway.engine.matching import WorkingOrder
from trademind.gateway.engine.model import Ticket

MAX_QUANTITY, MAX_PRICE = Decimal(1_000_000_000), Decimal(10_000_000)
"""Beyond anything that is traded here; below them no amount outgrows the digits that are reckoned with."""

Problem = tuple[int, str]
"""IB's error code and message."""

DUPLICATE_ID: Problem = (103, "Duplicate order id")
FILLED: Problem = (104, "Cannot modify a filled order.")
MISMATCH: Problem = (105, "Order being modified does not match original order.")
OFF_TICK: Problem = (110, "The price does not conform to the minimum price variation for this contract.")
CANCELLED: Problem = (202, "Order Canceled - reason:")
NO_SIZE: Problem = (434, "The order size cannot be zero.")
FRACTION: Problem = (
    10243,
    "Fractional-sized order cannot be placed via API. Please use desktop version to place this order.",
)
FRACTION_MODIFIED: Problem = (
    10242,
    "Fractional-sized order cannot be modified via API. Please use desktop version to revise this order.",
)


def rejected(reason: str) -> Problem:
    """An order that is read but not taken."""
    return 201, f"Order rejected - reason:{reason}"


LATE_STOP = rejected("Stop price revision is disallowed after order has triggered")
BELOW_FILLED = rejected("The order size cannot be reduced below the quantity that has filled")


def invalid(cause: str) -> Problem:
    """A request that fails validation."""
    return 321, f"Error validating request.-'bF' : cause - {cause}"


def unaffordable(equity: Decimal, margin: Decimal) -> Problem:
    """Beyond the account's means. The spelling "in sufficient" is IB's own, and clients match on it."""
    return 201, (
        "Order rejected - reason:We are unable to accept your order. Your Available Funds are in sufficient "
        "to cover the change in the account's margin requirements if this order executes. In order to "
        f"obtain the desired position your Equity with Loan Value [{equity:.2f} USD] must exceed the new "
        f"total Initial Margin of [{margin:.2f} USD]."
    )


def not_found(order_id: int) -> Problem:
    return 10147, f"OrderId {order_id} that needs to be cancelled is not found."


def not_cancellable(order_id: int, state: str) -> Problem:
    return 10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."


def check_ticket(ticket: Ticket, *, modifying: bool = False) -> Problem | None:
    """What is wrong with a ticket taken by itself; None when nothing is."""
    if not ticket.quantity.is_finite() or ticket.quantity > MAX_QUANTITY:
        return rejected(f"The order size exceeds the maximum of {MAX_QUANTITY:,f}")
    if ticket.quantity <= 0:
        return NO_SIZE
    if ticket.quantity % ticket.instrument.size_increment:
        return FRACTION_MODIFIED if modifying else FRACTION
    kind = ticket.order_type
    for needed, price, name in (
        (kind.needs_limit, ticket.limit_price, "limit"),
        (kind.needs_stop, ticket.stop_price, "stop"),
    ):
        if not needed:
            continue
        if price is None or price.is_nan() or price <= 0:
            return invalid(f"A {kind} order needs a {name} price")
        if price > MAX_PRICE:
            return rejected(f"The {name} price exceeds the maximum of {MAX_PRICE:,f}")
        if price % ticket.instrument.min_tick:
            return OFF_TICK
    return None


def check_change(order: WorkingOrder, ticket: Ticket) -> Problem | None:
    """What forbids turning a working order into `ticket`; None when nothing does.

    IB lets a client change price, size, time in force and order type, but not what the order is about.
    """
    old = order.ticket
    if (old.side, old.instrument.con_id, old.account) != (
        ticket.side,
        ticket.instrument.con_id,
        ticket.account,
    ):
        return MISMATCH
    if (problem := check_ticket(ticket, modifying=True)) is not None:
        return problem
    if ticket.quantity < order.filled:
        return BELOW_FILLED
    if order.triggered and ticket.order_type.needs_stop and ticket.stop_price != old.stop_price:
        return LATE_STOP
    return None
