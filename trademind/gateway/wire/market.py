"""Messages of market data: ticks."""

from decimal import Decimal
from enum import IntEnum

from trademind.gateway.wire.messages import Message, Plain


class Tick(IntEnum):
    """IB's tick types, as far as they are sent."""

    BID_SIZE = 0
    BID = 1
    ASK = 2
    ASK_SIZE = 3
    LAST = 4
    LAST_SIZE = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    CLOSE = 9
    OPEN = 14
    LAST_TIMESTAMP = 45


def tick_price(req_id: int, tick: Tick, price: Decimal, size: Decimal = Decimal(0)) -> Message:
    """A price with the size that belongs to it; clients report the size as a tick of its own.

    The last field is a mask: 1 says the price can be executed against automatically.
    """
    return Plain(values=(1, 6, req_id, tick, price, size, 1 if tick in (Tick.BID, Tick.ASK) else 0))


def tick_size(req_id: int, tick: Tick, size: Decimal) -> Message:
    return Plain(values=(2, 6, req_id, tick, size))


def tick_string(req_id: int, tick: Tick, value: str) -> Message:
    return Plain(values=(46, 6, req_id, tick, value))


def tick_request_parameters(
    req_id: int, min_tick: Decimal, bbo_exchange: str, snapshot_permissions: int
) -> Message:
    return Plain(values=(81, req_id, min_tick, bbo_exchange, snapshot_permissions))


def snapshot_end(req_id: int) -> Message:
    return Plain(values=(57, 1, req_id))


def market_data_type(req_id: int, data_type: int) -> Message:
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""
    return Plain(values=(58, 1, req_id, data_type))
