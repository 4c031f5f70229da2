"""The histogram: how much was traded at each price over a period.

The volume of each bar is spread evenly over the prices between its low and its high; all of it together is
the volume of the bars.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument
from trademind.gateway.handlers import bar_kinds
from trademind.gateway.handlers.bar_kinds import Kind
from trademind.gateway.handlers.bar_query import Refused, invalid, session_bars, unavailable
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.history import begin
from trademind.gateway.handlers.session_bars import SessionBars
from trademind.gateway.session import Session
from trademind.gateway.wire.history import HistogramData
from trademind.gateway.wire.requests.history import CancelHistogramData, HistogramRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_LEVELS: Final = 1000
"""Prices in one answer; a wider range is told in steps of several ticks."""
LONGEST: Final = timedelta(days=366)
BARS_PER_STEP: Final = 60
"""A few milliseconds of work."""

_PERIOD = re.compile(r"(\d{1,6}) *(S|D|W|M|Y|(?:sec|second|min|minute|hour|day|week|month|year)s?)", re.I)
_SECONDS = {"s": 1, "m": 31 * 86_400, "mi": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 366 * 86_400}


def histogram(gateway: "PaperGateway", session: Session, request: HistogramRequest) -> None:
    req_id = request.req_id
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    try:
        period = _period(request.period)
        if not bar_kinds.exists(Kind.TRADES, instrument):
            raise unavailable(bar_kinds.no_data(Kind.TRADES, instrument, "0"))
        end = gateway.clock.now()
        start = max(end - period, gateway.feed.head(instrument))
        bars = session_bars(gateway, instrument, use_rth=request.use_rth)
        begin(session, req_id, _answer(session, req_id, instrument, bars, start, end))
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)


def _period(text: str) -> timedelta:
    match = _PERIOD.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise invalid(f"Histogram data requested time period '{text}' is invalid")
    unit = match[2].lower()
    seconds = _SECONDS["mi" if unit.startswith("mi") else unit[0]]
    period = timedelta(seconds=int(match[1]) * seconds)
    if period > LONGEST:
        raise invalid("Histogram data is available for one year at most")
    return period


def _answer(
    session: Session, req_id: int, instrument: Instrument, bars: SessionBars, start: datetime, end: datetime
) -> Iterator[None]:
    levels: Counter[int] = Counter()
    size = bar_size(end - start)
    for begins, ends in bars.parts(start, end, size, BARS_PER_STEP):
        for bar in bars.between(begins, ends, size):
            low, high = (int(price / instrument.min_tick) for price in (bar.low, bar.high))
            share, rest = divmod(int(bar.volume), high - low + 1)
            for level in range(low, high + 1):
                levels[level] += share
            levels[low] += rest
        yield
    session.send(HistogramData(req_id, tuple(_prices(levels, instrument.min_tick))))


def bar_size(period: timedelta) -> str:
    """Of the bars that a histogram is made of: a few hundred."""
    if period <= timedelta(hours=1):
        return "10 secs"
    return "5 mins" if period <= timedelta(days=2) else "1 hour" if period <= timedelta(days=31) else "1 day"


def _prices(levels: Counter[int], tick: Decimal) -> Iterator[tuple[Decimal, int]]:
    if not levels:
        return
    low, high = min(levels), max(levels)
    step = -(-(high - low + 1) // MAX_LEVELS)
    coarse: Counter[int] = Counter()
    for level, volume in levels.items():
        coarse[low + (level - low) // step * step] += volume
    for level in sorted(coarse):
        if coarse[level]:
            yield level * tick, coarse[level]


def cancel(gateway: "PaperGateway", session: Session, request: CancelHistogramData) -> None:
    if session.jobs.pop(request.number, None) is None:
        text = f"Can't find EId with tickerId:{request.number}"
        session.error(request.number, codes.UNKNOWN_TICKER_ID, text)


HANDLERS: Mapping[type, Callable[..., None]] = {
    HistogramRequest: histogram,
    CancelHistogramData: cancel,
}
