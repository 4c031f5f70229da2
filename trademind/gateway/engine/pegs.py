"""Prices that follow the market: trailing stops and pegged limits.

By IB's definitions of the order types:

- TRAIL, TRAIL LIMIT: a sale's stop rises with the market and stays when it falls, a fixed amount or a
  percentage below it; a purchase's mirrors that. The market is the price that would trigger the order.
- REL: a purchase at the bid plus the offset, a sale at the ask less it, capped by the order's limit.
- PEG MID: at the mid-point, more aggressive by the offset, capped by the order's limit.
- MKT PRT: what does not fill at once becomes a limit order at a protection price. IB leaves the distance to
  the exchange; here it is 1 % from the best price.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.model import IBOrderType, MarketQuote, Ticket
from trademind.gateway.engine.working import WorkingOrder

PROTECTION = Decimal("0.01")
_PERCENT = Decimal(100)


def to_tick(price: Decimal, tick: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
    """A price as the instrument quotes it."""
    return (price / tick).to_integral_value(rounding) * tick


def trailing_stop(ticket: Ticket, market: Decimal) -> Decimal:
    """Where a trailing stop belongs while the market is at `market`."""
    amount = ticket.trailing_amount
    if amount is None:
        assert ticket.trailing_percent is not None
        amount = market * ticket.trailing_percent / _PERCENT
    return to_tick(market + ticket.side.sign * amount, ticket.instrument.min_tick)


def follow(order: WorkingOrder, market: Decimal) -> bool:
    """Let a trailing stop follow the market; returns whether it has moved."""
    wanted, stop = trailing_stop(order.ticket, market), order.trail_stop
    if stop is not None and (wanted >= stop if order.buys else wanted <= stop):
        return False
    order.trail_stop = wanted
    return True


def limit_of_trail(ticket: Ticket, stop: Decimal) -> Decimal:
    """The limit of a TRAIL LIMIT order that is triggered at `stop`."""
    offset = ticket.limit_offset
    if offset is None:
        assert ticket.limit_price is not None
        assert ticket.stop_price is not None
        offset = abs(ticket.limit_price - ticket.stop_price)
    return to_tick(stop + ticket.side.sign * offset, ticket.instrument.min_tick)


def pegged_limit(ticket: Ticket, quote: MarketQuote) -> Decimal:
    """The limit of a pegged order in this market."""
    sign, tick = ticket.side.sign, ticket.instrument.min_tick
    offset = ticket.offset or ZERO
    if ticket.order_type is IBOrderType.RELATIVE:
        limit = (quote.bid if sign > 0 else quote.ask) + sign * offset
    else:
        # Half a tick is a valid price at the mid-point, and only there.
        limit, tick = (quote.bid + quote.ask) / 2 + sign * offset, tick / 2
    limit = to_tick(limit, tick, ROUND_FLOOR if sign > 0 else ROUND_CEILING)
    if ticket.limit_price is not None:
        limit = min(limit, ticket.limit_price) if sign > 0 else max(limit, ticket.limit_price)
    return limit


def protection_price(ticket: Ticket, quote: MarketQuote) -> Decimal:
    """The worst price of a market order with protection."""
    if ticket.side.sign > 0:
        return to_tick(quote.ask * (1 + PROTECTION), ticket.instrument.min_tick, ROUND_FLOOR)
    return to_tick(quote.bid * (1 - PROTECTION), ticket.instrument.min_tick, ROUND_CEILING)
