"""Messages of the past of a market: bars, and the moment its history begins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import Value, encode_fields
from trademind.gateway.wire.messages import Message, Plain


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalSchedule(Message):
    """Trading sessions: each its start, its end, both in `time_zone`, and the day it belongs to."""

    req_id: int
    start: str
    end: str
    time_zone: str
    sessions: tuple[tuple[str, str, str], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (106, self.req_id, self.start, self.end, self.time_zone, len(self.sessions))
        for session in self.sessions:
            yield from session
