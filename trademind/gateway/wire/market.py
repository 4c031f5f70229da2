"""Messages of market data: ticks and bars."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import Value, encode_fields
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


def head_timestamp(req_id: int, time: str) -> Message:
    return Plain(values=(88, req_id, time))


@dataclass(frozen=True, slots=True, kw_only=True)
class WireBar:
    """`date` is in the format that was asked for. Volume, wap and count are -1 where there are none."""

    date: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    wap: Decimal
    count: int


def encode_bars(bars: Iterable[WireBar]) -> bytes:
    """Bars as `HistoricalData` holds them. Thousands of bars are best encoded some at a time."""
    return b"".join(
        encode_fields((bar.date, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.wap, bar.count))
        for bar in bars
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalData(Message):
    """All bars of one request. Up to version 195 it also ends the answer."""

    req_id: int
    start: str
    end: str
    count: int
    bars: bytes
    """`count` bars, encoded."""

    def fields(self, version: int) -> Iterator[Value]:
        yield from (17, self.req_id)
        if version < versions.HISTORICAL_DATA_END:
            yield from (self.start, self.end)
        yield self.count

    def encode(self, version: int) -> bytes:
        return encode_fields(self.fields(version)) + self.bars


def historical_data_end(req_id: int, start: str, end: str) -> Message:
    """Ends the answer from version 196 on; older clients do not know it."""
    return Plain(values=(108, req_id, start, end))


def historical_data_update(req_id: int, bar: WireBar) -> Message:
    values = (bar.count, bar.date, bar.open, bar.close, bar.high, bar.low, bar.wap, bar.volume)
    return Plain(values=(90, req_id, *values))
