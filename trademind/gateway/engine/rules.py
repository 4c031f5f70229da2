"""What an order must look like to be taken, and IB's codes and words where it does not.

Codes and texts are those of IB's published message codes; where IB's text carries details of its own
systems (321), the cause is named after the same pattern.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from trademind.gateway.engine.model import Adjustment, IBOrderType, IBTif, Ticket
from trademind.gateway.engine.triggers import METHODS
from trademind.gateway.engine.working import WorkingOrder

MAX_QUANTITY, MAX_PRICE = Decimal(1_000_000_000), Decimal(10_000_000)
"""Beyond anything that is traded here; below them no amount outgrows the digits that are reckoned with."""

MAX_CONDITIONS: Final = 20
_NEW_YORK = ZoneInfo("America/New_York")
_HUNDRED = Decimal(100)
_PLAIN = (IBOrderType.MARKET, IBOrderType.LIMIT)
_AT_CLOSE = (IBOrderType.MARKET_ON_CLOSE, IBOrderType.LIMIT_ON_CLOSE)
_STOPS = (IBOrderType.STOP, IBOrderType.STOP_LIMIT)
_ADJUSTED = (IBOrderType.STOP, IBOrderType.STOP_LIMIT, IBOrderType.TRAIL, IBOrderType.TRAIL_LIMIT)

Problem = tuple[int, str]
"""IB's error code and message."""

DUPLICATE_ID: Problem = (103, "Duplicate order id")
FILLED: Problem = (104, "Cannot modify a filled order.")
MISMATCH: Problem = (105, "Order being modified does not match original order.")
OFF_TICK: Problem = (110, "The price does not conform to the minimum price variation for this contract.")
CANCELLED: Problem = (202, "Order Canceled - reason:")
GROUP_FILLED: Problem = (202, "Order Canceled - reason:OCA group is already filled")
TIF_MISMATCH: Problem = (111, "The TIF (Tif type) and the order type are incompatible.")
CLOSE_IS_DAY: Problem = (113, "The Tif option should be set to DAY for MOC and LOC orders.")
BAD_TRIGGER_METHOD: Problem = (146, "Invalid trigger method.")
NOT_HIDDEN: Problem = (152, 'The "hidden" order attribute may not be specified for this order.')
NO_OFFSET: Problem = (158, "You must specify an offset amount or a percent offset value.")
PERCENT_RANGE: Problem = (159, "The percent offset value must be between 0% and 100%.")
BAD_GOOD_TILL: Problem = (334, "Invalid Good Till Date order.")
BAD_ADJUSTED_TRIGGER: Problem = (361, "Invalid trigger price.")
BAD_ADJUSTED_STOP: Problem = (362, "Invalid adjusted stop price.")
BAD_ADJUSTED_LIMIT: Problem = (363, "Invalid adjusted stop limit price.")
BAD_ADJUSTED_TRAIL: Problem = (364, "Invalid adjusted trailing amount.")
NO_SIZE: Problem = (434, "The order size cannot be zero.")
FRACTION: Problem = (
    10243,
    "Fractional-sized order cannot be placed via API. Please use desktop version to place this order.",
)
NO_FRACTIONS: Problem = (10318, "This order doesn't support fractional quantity trading")
BIG_DISPLAY: Problem = (10020, "The display size should be smaller than the order size.")
FRACTION_MODIFIED: Problem = (
    10242,
    "Fractional-sized order cannot be modified via API. Please use desktop version to revise this order.",
)

NOT_TRADED: Problem = (387, "Unsupported order type for this exchange and security type.")


def rejected(reason: str) -> Problem:
    """An order that is read but not taken."""
    return 201, f"Order rejected - reason:{reason}"


TOO_MANY_STAGED = rejected("Too many orders wait to be transmitted")
CROWDED = rejected("The OCA group, or the parent order, has too many orders")
TOO_DEEP = rejected("Too many generations of attached orders")
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


def no_such_order(order_id: int) -> Problem:
    """An order refers to another one that does not exist, or not any more."""
    return 135, f"Can't find order with ID ={order_id}"


def not_before(ticket: Ticket, opens: datetime) -> Problem:
    """The warning with which an order is taken while its market is closed."""
    instrument = ticket.instrument
    venue = ".".join(filter(None, (instrument.primary_exchange, instrument.trading_class)))
    return 399, (
        f"Order Message:\n{ticket.side} {ticket.quantity.normalize():f} {instrument.symbol} {venue}\n"
        "Warning: your order will not be placed at the exchange until "
        f"{opens.astimezone(_NEW_YORK):%Y-%m-%d %H:%M:%S} US/Eastern"
    )


def not_found(order_id: int) -> Problem:
    return 10147, f"OrderId {order_id} that needs to be cancelled is not found."


def not_cancellable(order_id: int, state: str) -> Problem:
    return 10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."


def check_ticket(ticket: Ticket, *, now: datetime, modifying: bool = False) -> Problem | None:
    """What is wrong with a ticket taken by itself; None when nothing is."""
    instrument = ticket.instrument
    if not ticket.quantity.is_finite() or ticket.quantity > MAX_QUANTITY:
        return rejected(f"The order size exceeds the maximum of {MAX_QUANTITY:,f}")
    if ticket.quantity <= 0:
        return NO_SIZE
    if ticket.quantity % instrument.size_increment:
        return FRACTION_MODIFIED if modifying else FRACTION
    kind = ticket.order_type
    if kind.needs_limit and (problem := _check_price(ticket, ticket.limit_price, "limit")) is not None:
        return problem
    if kind.needs_stop and (problem := _check_price(ticket, ticket.stop_price, "stop")) is not None:
        return problem
    if kind not in _PLAIN and (problem := _check_kind(ticket)) is not None:
        return problem
    if (problem := _check_time(ticket, now)) is not None:
        return problem
    return _check_attributes(ticket)


def _check_price(ticket: Ticket, price: Decimal | None, name: str) -> Problem | None:
    instrument = ticket.instrument
    if price is None or price.is_nan() or (price <= 0 and not instrument.legs):
        return invalid(f"A {ticket.order_type} order needs a {name} price")
    if abs(price) > MAX_PRICE:
        return rejected(f"The {name} price exceeds the maximum of {MAX_PRICE:,f}")
    return OFF_TICK if price % instrument.min_tick else None


def _check_kind(ticket: Ticket) -> Problem | None:
    """What the order's type asks for beyond its limit and stop."""
    kind = ticket.order_type
    if kind.trails:
        return _check_trail(ticket)
    if kind.is_pegged:
        if ticket.offset is not None and not _is_within(ticket.offset, MAX_PRICE):
            return invalid(f"The offset of a {kind} order is not a price difference")
        if ticket.limit_price is not None:
            return _check_price(ticket, ticket.limit_price, "limit")
    if kind in _AT_CLOSE and ticket.tif not in (IBTif.DAY, IBTif.CLS):
        return CLOSE_IS_DAY
    return None


def _is_within(value: Decimal, limit: Decimal, *, above_zero: bool = False) -> bool:
    return value.is_finite() and 0 <= value <= limit and (value > 0 or not above_zero)


def _check_trail(ticket: Ticket) -> Problem | None:
    amount, percent = ticket.trailing_amount, ticket.trailing_percent
    if (amount is None) is (percent is None):
        return NO_OFFSET
    if percent is not None and not _is_within(percent, _HUNDRED, above_zero=True):
        return PERCENT_RANGE
    if amount is not None and not _is_within(amount, MAX_PRICE, above_zero=True):
        return NO_OFFSET
    if ticket.stop_price is not None:
        problem = _check_price(ticket, ticket.stop_price, "stop")
        if problem is not None:
            return problem
    if ticket.order_type is IBOrderType.TRAIL_LIMIT:
        if ticket.limit_offset is not None:
            if not _is_within(ticket.limit_offset, MAX_PRICE):
                return invalid("The limit offset of a TRAIL LIMIT order is not a price difference")
        elif ticket.limit_price is None or ticket.stop_price is None:
            return invalid("A TRAIL LIMIT order needs a limit offset, or a limit price and a stop price")
        else:
            return _check_price(ticket, ticket.limit_price, "limit")
    return None


def _check_time(ticket: Ticket, now: datetime) -> Problem | None:
    match ticket.tif:
        case IBTif.OPG if ticket.order_type not in _PLAIN:
            return TIF_MISMATCH
        case IBTif.CLS if ticket.order_type not in (*_PLAIN, *_AT_CLOSE):
            return TIF_MISMATCH
        case IBTif.IOC | IBTif.FOK if ticket.order_type.is_pegged:
            return TIF_MISMATCH
        case IBTif.GTD if ticket.good_till is None or ticket.good_till <= now:
            return BAD_GOOD_TILL
    return None


def _check_attributes(ticket: Ticket) -> Problem | None:
    if ticket.trigger_method not in METHODS:
        return BAD_TRIGGER_METHOD
    if ticket.hidden and ticket.order_type is IBOrderType.MARKET:
        return NOT_HIDDEN
    if ticket.oca_group and ticket.oca_type not in (0, 1, 2, 3):
        return invalid("The OCA type is not 1, 2 or 3")
    if ticket.parent_id == ticket.order_id:
        return no_such_order(ticket.parent_id)
    if len(ticket.conditions) > MAX_CONDITIONS:
        return rejected(f"An order has at most {MAX_CONDITIONS} conditions")
    if ticket.adjustment is not None:
        problem = _check_adjustment(ticket, ticket.adjustment)
        if problem is not None:
            return problem
    return _check_sizes(ticket)


def _check_sizes(ticket: Ticket) -> Problem | None:
    shown, least = ticket.display_size, ticket.min_quantity
    if shown is None and least is None and not ticket.all_or_none:
        return None
    step = ticket.instrument.size_increment
    if ticket.quantity % 1:
        return NO_FRACTIONS
    if least is not None and not (least.is_finite() and 0 < least <= ticket.quantity and not least % step):
        return rejected("The minimum quantity is not a size up to that of the order")
    if shown is not None:
        if not (shown.is_finite() and 0 < shown <= ticket.quantity and not shown % step):
            return BIG_DISPLAY
        if ticket.all_or_none or (least is not None and least > shown):
            return rejected("An iceberg order cannot ask for more at a time than it shows")
    return None


def _check_adjustment(ticket: Ticket, change: Adjustment) -> Problem | None:
    if ticket.order_type not in (*_STOPS, IBOrderType.TRAIL, IBOrderType.TRAIL_LIMIT):
        return rejected("Only stop orders can be adjusted")
    if change.order_type not in _ADJUSTED:
        return rejected(f"A stop cannot be adjusted to {change.order_type}")
    if _check_price(ticket, change.trigger_price, "trigger") is not None:
        return BAD_ADJUSTED_TRIGGER
    if change.order_type in _STOPS and change.stop_price is None:
        return BAD_ADJUSTED_STOP
    if change.stop_price is not None and _check_price(ticket, change.stop_price, "stop") is not None:
        return BAD_ADJUSTED_STOP
    if change.order_type in (IBOrderType.STOP_LIMIT, IBOrderType.TRAIL_LIMIT):
        limit = change.limit_price if change.limit_price is not None else ticket.limit_price
        if _check_price(ticket, limit, "limit") is not None:
            return BAD_ADJUSTED_LIMIT
    if change.order_type.trails:
        ceiling = _HUNDRED if change.is_percent else MAX_PRICE
        if change.trailing is None or not _is_within(change.trailing, ceiling, above_zero=True):
            return BAD_ADJUSTED_TRAIL
    return None


def check_change(order: WorkingOrder, ticket: Ticket, *, now: datetime) -> Problem | None:
    """What forbids turning a working order into `ticket`; None when nothing does.

    IB lets a client change price, size, time in force and order type, but not what the order is about, nor
    its family and group.
    """
    old = order.ticket
    if (old.side, old.instrument.con_id, old.account, old.parent_id, old.oca_group) != (
        ticket.side,
        ticket.instrument.con_id,
        ticket.account,
        ticket.parent_id,
        ticket.oca_group,
    ):
        return MISMATCH
    if (problem := check_ticket(ticket, now=now, modifying=True)) is not None:
        return problem
    if ticket.quantity < order.filled:
        return BELOW_FILLED
    if order.triggered and ticket.order_type.has_trigger and ticket.stop_price != old.stop_price:
        return LATE_STOP
    return None
