"""Messages of the past of a market: bars, ticks, sessions, volume by price, where its history begins."""

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


def encode_sessions(sessions: Iterable[tuple[str, str, str]]) -> bytes:
    """Sessions as `HistoricalSchedule` holds them."""
    return b"".join(encode_fields(session) for session in sessions)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalSchedule(Message):
    """Trading sessions: each its start, its end, both in `time_zone`, and the day it belongs to."""

    req_id: int
    start: str
    end: str
    time_zone: str
    count: int
    sessions: bytes
    """`count` sessions, encoded."""

    def fields(self, version: int) -> Iterator[Value]:
        yield from (106, self.req_id, self.start, self.end, self.time_zone, self.count)

    def encode(self, version: int) -> bytes:
        return encode_fields(self.fields(version)) + self.sessions


@dataclass(frozen=True, slots=True)
class HistoricalTicks(Message):
    """Midpoints: seconds since 1970, price. They have no size."""

    req_id: int
    ticks: tuple[tuple[int, Decimal], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (96, self.req_id, len(self.ticks))
        for second, price in self.ticks:
            yield from (second, 0, price, 0)
        yield 1  # nothing follows


@dataclass(frozen=True, slots=True)
class HistoricalTicksBidAsk(Message):
    """Quotes: seconds since 1970, bid, ask, and their sizes."""

    req_id: int
    ticks: tuple[tuple[int, Decimal, Decimal, Decimal, Decimal], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (97, self.req_id, len(self.ticks))
        for second, bid, ask, bid_size, ask_size in self.ticks:
            yield from (second, 0, bid, ask, bid_size, ask_size)
        yield 1  # nothing follows


UNREPORTED = 2
"""In the mask of a trade: it counts neither for the volume nor for the number of trades."""


@dataclass(frozen=True, slots=True)
class HistoricalTicksLast(Message):
    """Trades: seconds since 1970, price, size (0: not reported), exchange."""

    req_id: int
    ticks: tuple[tuple[int, Decimal, Decimal, str], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (98, self.req_id, len(self.ticks))
        for second, price, size, exchange in self.ticks:
            yield from (second, 0 if size else UNREPORTED, price, size, exchange, "")
        yield 1  # nothing follows


@dataclass(frozen=True, slots=True)
class HistogramData(Message):
    """Prices and how much was traded at each."""

    req_id: int
    levels: tuple[tuple[Decimal, int], ...]

    def fields(self, version: int) -> Iterator[Value]:
        yield from (89, self.req_id, len(self.levels))
        for level in self.levels:
            yield from level
