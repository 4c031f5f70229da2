"""Messages of live market data other than ticks: around a subscription, depth, single trades, bars."""

from decimal import Decimal
from enum import IntEnum

from trademind.gateway.wire.messages import Message, Plain


def tick_request_parameters(
    req_id: int, min_tick: Decimal, bbo_exchange: str, snapshot_permissions: int
) -> Message:
    return Plain(values=(81, req_id, min_tick, bbo_exchange, snapshot_permissions))


def snapshot_end(req_id: int) -> Message:
    return Plain(values=(57, 1, req_id))


def market_data_type(req_id: int, data_type: int) -> Message:
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""
    return Plain(values=(58, 1, req_id, data_type))


class TradeKind(IntEnum):
    """What a tick-by-tick subscription is about, as its ticks say it."""

    LAST = 1
    ALL_LAST = 2
    BID_ASK = 3
    MIDPOINT = 4


class DepthOperation(IntEnum):
    INSERT = 0
    UPDATE = 1
    DELETE = 2


class DepthSide(IntEnum):
    ASK = 0
    BID = 1


def trade_tick(
    req_id: int, kind: TradeKind, second: int, price: Decimal, size: Decimal, *, reported: bool, exchange: str
) -> Message:
    """One trade; `second` is since 1970. Bit 2 of the mask says that it was not reported to the tape."""
    return Plain(values=(99, req_id, kind, second, price, size, 0 if reported else 2, exchange, ""))


def bid_ask_tick(
    req_id: int, second: int, bid: Decimal, ask: Decimal, bid_size: Decimal, ask_size: Decimal, mask: int
) -> Message:
    """Bits of the mask: 1 the bid is the lowest of the day, 2 the ask is the highest."""
    return Plain(values=(99, req_id, TradeKind.BID_ASK, second, bid, ask, bid_size, ask_size, mask))


def midpoint_tick(req_id: int, second: int, midpoint: Decimal) -> Message:
    return Plain(values=(99, req_id, TradeKind.MIDPOINT, second, midpoint))


def depth_row(
    req_id: int, position: int, operation: DepthOperation, side: DepthSide, price: Decimal, size: Decimal
) -> Message:
    return Plain(values=(12, 1, req_id, position, operation, side, price, size))


def depth_row_of(
    req_id: int,
    position: int,
    maker: str,
    operation: DepthOperation,
    side: DepthSide,
    price: Decimal,
    size: Decimal,
    *,
    smart: bool,
) -> Message:
    """A row with who quotes it: a market maker, or in SMART depth an exchange."""
    return Plain(values=(13, 1, req_id, position, maker, operation, side, price, size, smart))


def real_time_bar(
    req_id: int,
    second: int,
    prices: tuple[Decimal, Decimal, Decimal, Decimal],
    volume: Decimal,
    wap: Decimal,
    count: int,
) -> Message:
    """`second` is the bar's first one since 1970; prices are open, high, low and close."""
    return Plain(values=(50, 3, req_id, second, *prices, volume, wap, count))
