"""Historical bars: one answer, and bars that are kept up to date.

A request can mean thousands of bars. They are made in steps of a few hundred, so that other clients are
served in between; see `Session.jobs`.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.domain.market import BAR_SIZES, WHAT_TO_SHOW
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import BarStream, Session
from trademind.gateway.wire.history import (
    HistoricalData,
    WireBar,
    encode_bars,
    head_timestamp,
    historical_data_end,
    historical_data_update,
)
from trademind.gateway.wire.requests.history import (
    CancelHeadTimestamp,
    CancelHistoricalData,
    HeadTimestampRequest,
    HistoricalDataRequest,
)
from trademind.gateway.wire.times import EASTERN, format_day, format_moment, parse_moment
from trademind.gateway.wire.versions import HISTORICAL_DATA_END

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_BARS: Final = 12_000
"""Bars in one answer: a week of minutes or a year of hours fits in, and makes a frame of about 1 MB."""
MAX_JOBS: Final = 50
"""Requests of one client that may be open at the same time, as at IB."""
BARS_PER_STEP: Final = 100
"""About 10 ms of work."""
UPDATE_EVERY: Final = timedelta(seconds=5)
"""How often a bar that is kept up to date is sent while it changes, as at IB."""

FORMAT_EPOCH: Final = 2

_DURATION = re.compile(r"(\d{1,6}) +([SDWMY])")
_DAY_SIZES = ("1 day", "1 week", "1 month")
_SPELLINGS = {"1 week": ("1W", "1 W"), "1 month": ("1M", "1 M"), "1 secs": ("1 sec",), "1 min": ("1 mins",)}
_SIZES = {size: size for size in BAR_SIZES} | {
    other: size for size, others in _SPELLINGS.items() for other in others
}
_SECONDS = {"sec": 1, "min": 60, "hou": 3600}
_NO_FIGURE = Decimal(-1)


class _Refused(Exception):
    """The request cannot be answered: IB's code and text say why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What a request asks for, in plain values."""

    instrument: Instrument
    bar_size: str
    what_to_show: str
    format_date: int
    start: datetime
    end: datetime


def historical_data(gateway: "PaperGateway", session: Session, request: HistoricalDataRequest) -> None:
    req_id = request.req_id
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    try:
        stretch = _stretch(gateway, request, instrument)
        if req_id in session.jobs or req_id in session.bars:
            raise _Refused(codes.VALIDATING, codes.invalid("Duplicate ticker id"))
        if len(session.jobs) + len(session.bars) >= MAX_JOBS:
            raise _Refused(codes.HISTORICAL, _service_error("too many simultaneous requests"))
    except _Refused as refused:
        session.error(req_id, refused.code, refused.text)
        return
    session.jobs[req_id] = _answer(gateway, session, req_id, stretch, keep=request.keep_up_to_date)


def _stretch(gateway: "PaperGateway", request: HistoricalDataRequest, instrument: Instrument) -> _Stretch:
    bar_size = _SIZES.get(request.bar_size.strip())
    if bar_size is None:
        legal = ", ".join(BAR_SIZES)
        cause = f"Historical bar size setting is invalid. Legal ones are: {legal}"
        raise _Refused(codes.VALIDATING, codes.invalid(cause))
    what = request.what_to_show.upper()
    if what not in WHAT_TO_SHOW:
        raise _Refused(
            codes.HISTORICAL, _service_error(f"no data of type {request.what_to_show} is available")
        )
    now = gateway.clock.now()
    end = _end(request, now)
    start = _start(end, request.duration, bar_size)
    if end <= gateway.feed.head(instrument):
        name = f"{instrument.symbol}@{instrument.exchange}"
        raise _Refused(
            codes.HISTORICAL, _service_error(f"HMDS query returned no data: {name} {what.title()}")
        )
    start = max(start, gateway.feed.head(instrument))
    if _count(start, end, bar_size) > MAX_BARS:
        raise _Refused(
            codes.HISTORICAL, _service_error(f"time length exceeds the maximum of {MAX_BARS} bars")
        )
    return _Stretch(
        instrument=instrument,
        bar_size=bar_size,
        what_to_show=what,
        format_date=request.format_date,
        start=start,
        end=end,
    )


def _service_error(reason: str) -> str:
    return f"Historical Market Data Service error message:{reason}"


def _end(request: HistoricalDataRequest, now: datetime) -> datetime:
    if not request.end.strip():
        return now
    if request.keep_up_to_date:
        cause = "End date not supported with a request that is kept up to date"
        raise _Refused(codes.VALIDATING, codes.invalid(cause))
    try:
        return min(parse_moment(request.end, end_of_day=True), now)
    except (ValueError, OverflowError) as error:
        text = (
            "End Date/Time: The date, time, or time-zone entered is invalid. The correct format is "
            "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 "
            f"US/Eastern. In this case: {error}"
        )
        raise _Refused(codes.INVALID_END_TIME, text) from error


def _start(end: datetime, duration: str, bar_size: str) -> datetime:
    """`duration` before the end; for bars of days, the beginning of the first day it touches."""
    match = _DURATION.fullmatch(duration.strip())
    number = int(match[1]) if match else 0
    if match is None or number == 0:
        raise _Refused(
            codes.VALIDATING, codes.invalid(f"Historical data query duration '{duration}' is invalid")
        )
    unit = match[2]
    if unit == "D" and number > 365:
        cause = "Historical data requests for durations longer than 365 days must be made in years."
        raise _Refused(codes.VALIDATING, codes.invalid(cause))
    try:
        if unit == "S":
            start = end - timedelta(seconds=number)
        else:
            start = _days_back(end, number, unit, whole_days=bar_size in _DAY_SIZES)
    except (OverflowError, ValueError) as error:
        raise _Refused(codes.VALIDATING, codes.invalid(f"duration '{duration}' is too long")) from error
    return _midnight(_first_day(start, bar_size)) if bar_size in _DAY_SIZES else start


def _days_back(end: datetime, number: int, unit: str, *, whole_days: bool) -> datetime:
    local = end.astimezone(EASTERN)
    if unit in "DW":
        back = local - timedelta(days=number * (7 if unit == "W" else 1))
    else:
        months = local.year * 12 + local.month - 1 - number * (12 if unit == "Y" else 1)
        year, month = divmod(months, 12)
        back = local.replace(year=year, month=month + 1, day=min(local.day, monthrange(year, month + 1)[1]))
    # The end's own day is the last of N days, unless it has only just begun.
    if whole_days and local.time() != time.min:
        back += timedelta(days=1)
    return back.astimezone(UTC)


def _first_day(start: datetime, bar_size: str) -> date:
    """The first day of the bar that a moment falls into."""
    day = start.astimezone(EASTERN).date()
    if bar_size == "1 week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if bar_size == "1 month" else day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, EASTERN).astimezone(UTC)


def _seconds(bar_size: str) -> int:
    """The length of a bar; for weeks and months, of a day, of which they are made."""
    number, _, unit = bar_size.partition(" ")
    return 86_400 if bar_size in _DAY_SIZES else int(number) * _SECONDS[unit[:3]]


def _count(start: datetime, end: datetime, bar_size: str) -> int:
    return int((end - start).total_seconds()) // _seconds(bar_size)


def _parts(stretch: _Stretch) -> Iterator[tuple[datetime, datetime]]:
    """The stretch in parts of few bars each, cut where a bar begins in any case."""
    begin, size = stretch.start, stretch.bar_size
    while begin < stretch.end:
        cut = begin + timedelta(seconds=max(60, BARS_PER_STEP * _seconds(size)))
        if _seconds(size) < 60:
            cut = cut.replace(second=0, microsecond=0)
        elif _seconds(size) <= 3600:
            cut = cut.replace(minute=0, second=0, microsecond=0)
        else:
            # Longer bars are counted from midnight; weeks and months from their own first day.
            first = _midnight(_first_day(cut, size))
            cut = first if first > begin else stretch.end
        cut = min(cut, stretch.end)
        yield begin, cut
        begin = cut


def _answer(
    gateway: "PaperGateway", session: Session, req_id: int, stretch: _Stretch, *, keep: bool
) -> Iterator[None]:
    """Makes the bars of one request step by step, and sends them at the end."""
    encoded: list[bytes] = []
    count, last = 0, None
    for begin, end in _parts(stretch):
        bars = gateway.feed.bars(stretch.instrument, start=begin, end=end, bar_size=stretch.bar_size)
        if bars:
            last = bars[-1]
            count += len(bars)
            encoded.append(encode_bars(_wire_bar(stretch, bar, session.version) for bar in bars))
        yield
    start, until = format_moment(stretch.start, session.version), format_moment(stretch.end, session.version)
    session.send(HistoricalData(req_id=req_id, start=start, end=until, count=count, bars=b"".join(encoded)))
    if session.version >= HISTORICAL_DATA_END:
        session.send(historical_data_end(req_id, start, until))
    if keep:
        session.bars[req_id] = BarStream(
            instrument=stretch.instrument,
            bar_size=stretch.bar_size,
            what_to_show=stretch.what_to_show,
            format_date=stretch.format_date,
            since=last.start if last is not None else stretch.end,
            sent_at=stretch.end,
            sent=None if last is None else _wire_bar(stretch, last, session.version),
        )


def _wire_bar(what: _Stretch | BarStream, bar: FeedBar, version: int) -> WireBar:
    if what.bar_size in _DAY_SIZES:
        written = format_day(bar.start)
    elif what.format_date == FORMAT_EPOCH:
        written = str(int(bar.start.timestamp()))
    else:
        written = format_moment(bar.start, version)
    if what.what_to_show == "TRADES":
        return WireBar(
            date=written,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
            wap=bar.wap,
            count=bar.count,
        )
    shift = _shift(what)
    return WireBar(
        date=written,
        open=bar.open + shift,
        high=bar.high + shift,
        low=bar.low + shift,
        close=bar.close + shift,
        volume=_NO_FIGURE,
        wap=_NO_FIGURE,
        count=-1,
    )


def _shift(what: _Stretch | BarStream) -> Decimal:
    """Where bid and ask lie beside the trades: half the usual spread away, in whole ticks."""
    instrument = what.instrument
    half = Decimal((instrument.spread_ticks + 1) // 2) * instrument.min_tick
    return {"BID": -half, "ASK": half}.get(what.what_to_show, Decimal(0))


def cancel(gateway: "PaperGateway", session: Session, request: CancelHistoricalData) -> None:
    req_id = request.number
    job, stream = session.jobs.pop(req_id, None), session.bars.pop(req_id, None)
    if job is None and stream is None:
        session.error(
            req_id, codes.NO_HISTORICAL_QUERY, f"No historical data query found for ticker id:{req_id}"
        )
    else:
        session.error(
            req_id, codes.HISTORICAL, _service_error(f"API historical data query cancelled: {req_id}")
        )


def update(gateway: "PaperGateway", session: Session, now: datetime) -> Iterator[None]:
    """Send how the last bars have changed, stream by stream."""
    for req_id, stream in list(session.bars.items()):
        if timedelta(0) <= now - stream.sent_at < UPDATE_EVERY or session.bars.get(req_id) is not stream:
            continue
        if now < stream.since:
            # The clock was put back: the bar to go on from is the one that forms now.
            stream.since = _forming(now, stream.bar_size)
        stream.sent_at = now
        for bar in gateway.feed.bars(
            stream.instrument, start=stream.since, end=now, bar_size=stream.bar_size
        )[-BARS_PER_STEP:]:
            written = _wire_bar(stream, bar, session.version)
            if written != stream.sent:
                session.send(historical_data_update(req_id, written))
                stream.sent = written
            stream.since = bar.start
        yield


def _forming(now: datetime, bar_size: str) -> datetime:
    """A moment no later than the beginning of the bar that `now` falls into, and after that of the last."""
    if bar_size in _DAY_SIZES:
        return _midnight(_first_day(now, bar_size))
    return now - timedelta(seconds=_seconds(bar_size)) + timedelta(microseconds=1)


def head(gateway: "PaperGateway", session: Session, request: HeadTimestampRequest) -> None:
    instrument = find(gateway, session, request.req_id, request.contract)
    if instrument is None:
        return
    first = gateway.feed.head(instrument).astimezone(UTC)
    epoch = request.format_date == FORMAT_EPOCH
    written = str(int(first.timestamp())) if epoch else f"{first:%Y%m%d-%H:%M:%S}"
    session.send(head_timestamp(request.req_id, written))


def cancel_head(gateway: "PaperGateway", session: Session, request: CancelHeadTimestamp) -> None:
    """Answers are sent at once, so there is never one to cancel."""


HANDLERS: Mapping[type, Callable[..., None]] = {
    HistoricalDataRequest: historical_data,
    CancelHistoricalData: cancel,
    HeadTimestampRequest: head,
    CancelHeadTimestamp: cancel_head,
}
