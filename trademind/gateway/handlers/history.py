"""Historical bars: one answer, and bars that are kept up to date.

A request can mean thousands of bars. They are made in steps of a few hundred, so that other clients are
served in between; see `Session.jobs`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.engine.hours import NEW_YORK
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers import bar_kinds
from trademind.gateway.handlers.bar_kinds import Kind
from trademind.gateway.handlers.bar_query import (
    FORMAT_EPOCH,
    BarQuery,
    Refused,
    implies_zone,
    service_error,
    unavailable,
    understand,
)
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.session_bars import DAY_SIZES, bar_start
from trademind.gateway.session import BarStream, Session
from trademind.gateway.wire.history import (
    HistoricalData,
    HistoricalSchedule,
    WireBar,
    encode_bars,
    encode_sessions,
    historical_data_end,
    historical_data_update,
)
from trademind.gateway.wire.requests.history import CancelHistoricalData, HistoricalDataRequest
from trademind.gateway.wire.times import EASTERN_NAME, format_day, format_moment
from trademind.gateway.wire.versions import HISTORICAL_DATA_END

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_JOBS: Final = 50
"""Requests of one client that may be open at the same time, as at IB."""
BARS_PER_STEP: Final = 100
"""About 10 ms of work."""
SCHEDULED_PER_STEP: Final = timedelta(days=300)
"""Sessions of that many days are a few milliseconds of work."""
UPDATE_EVERY: Final = timedelta(seconds=5)
"""How often a bar that is kept up to date is sent while it changes, as at IB."""


def historical_data(gateway: "PaperGateway", session: Session, request: HistoricalDataRequest) -> None:
    req_id = request.req_id
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    if implies_zone(session.version, request.end):
        session.error(req_id, codes.IMPLIED_TIME_ZONE, codes.IMPLIED_TIME_ZONE_TEXT)
    try:
        query = understand(gateway, request, instrument, session.version)
        begin(session, req_id, _answer(session, req_id, query, keep=request.keep_up_to_date))
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)


def begin(session: Session, req_id: int, answer: Iterator[None]) -> None:
    """Have a long answer made in steps.

    Raises:
        Refused: the request id is taken, or there are too many answers in the making.
    """
    if req_id in session.jobs or req_id in session.bars:
        raise Refused(codes.VALIDATING, codes.invalid("Duplicate ticker id"))
    if len(session.jobs) + len(session.bars) >= MAX_JOBS:
        raise unavailable("too many simultaneous requests")
    session.jobs[req_id] = answer


def _answer(session: Session, req_id: int, query: BarQuery, *, keep: bool) -> Iterator[None]:
    """Makes the bars of one request step by step, and sends them at the end."""
    if query.kind is Kind.SCHEDULE:
        yield from _schedule(session, req_id, query)
        return
    encoded: list[bytes] = []
    count, last = 0, None
    for start, end in query.bars.parts(query.start, query.end, query.bar_size, _bars_per_step(query)):
        if query.volatility is not None:
            yield from query.volatility.look_at(start, end)
        bars = query.bars.between(start, end, query.bar_size)
        if bars:
            last = bars[-1]
            count += len(bars)
            encoded.append(encode_bars(_wire_bar(query, bar, session.version) for bar in bars))
        yield
    if not count:
        # A weekend, a holiday, the night: IB has no empty answer.
        name = f"{query.instrument.symbol}@{query.instrument.exchange}"
        text = service_error(f"HMDS query returned no data: {name} {query.kind.title()}")
        session.error(req_id, codes.HISTORICAL, text)
        return
    start_told, end_told = (format_moment(moment, session.version) for moment in query.asked)
    session.send(
        HistoricalData(req_id=req_id, start=start_told, end=end_told, count=count, bars=b"".join(encoded))
    )
    if session.version >= HISTORICAL_DATA_END:
        session.send(historical_data_end(req_id, start_told, end_told))
    if keep and last is not None:
        session.bars[req_id] = BarStream(
            query=query,
            since=last.start,
            sent_at=query.end,
            sent=_wire_bar(query, last, session.version),
        )


def _bars_per_step(query: BarQuery) -> int:
    """How many bars are made in about 10 ms: those that are made of others, and volatilities, take longer."""
    if query.volatility is not None and query.bar_size in DAY_SIZES:
        return BARS_PER_STEP // 5
    instrument = query.instrument
    if instrument.legs:
        return BARS_PER_STEP // (2 * len(instrument.legs)) + 1
    return BARS_PER_STEP // 2 if instrument.underlying is not None else BARS_PER_STEP


def _schedule(session: Session, req_id: int, query: BarQuery) -> Iterator[None]:
    """Sends the sessions of the days asked for, in the exchange's time, made step by step."""
    encoded: list[bytes] = []
    count, first, last = 0, _local(query.start), _local(query.end)
    start = query.start
    while start < query.end:
        end = min(start + SCHEDULED_PER_STEP, query.end)
        sessions = [each for each in query.bars.sessions(start, end) if each.start >= start]
        if sessions:
            first = first if count else _local(sessions[0].start)
            last = _local(sessions[-1].end)
            count += len(sessions)
            encoded.append(
                encode_sessions(
                    (_local(each.start), _local(each.end), f"{each.day:%Y%m%d}") for each in sessions
                )
            )
        start = end
        yield
    session.send(
        HistoricalSchedule(
            req_id=req_id,
            start=first,
            end=last,
            time_zone=EASTERN_NAME,
            count=count,
            sessions=b"".join(encoded),
        )
    )


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y%m%d-%H:%M:%S}"


def _wire_bar(query: BarQuery, bar: FeedBar, version: int) -> WireBar:
    if query.bar_size in DAY_SIZES:
        written = format_day(bar.start)
    elif query.format_date == FORMAT_EPOCH:
        written = str(int(bar.start.timestamp()))
    else:
        written = format_moment(bar.start, version)
    shown = bar_kinds.figures(query.kind, query.instrument, bar, query.volatility)
    return WireBar(
        date=written,
        open=shown.open,
        high=shown.high,
        low=shown.low,
        close=shown.close,
        volume=shown.volume,
        wap=shown.wap,
        count=shown.count,
    )


def cancel(gateway: "PaperGateway", session: Session, request: CancelHistoricalData) -> None:
    req_id = request.number
    job, stream = session.jobs.pop(req_id, None), session.bars.pop(req_id, None)
    if job is None and stream is None:
        session.error(
            req_id, codes.NO_HISTORICAL_QUERY, f"No historical data query found for ticker id:{req_id}"
        )
    else:
        session.error(
            req_id, codes.HISTORICAL, service_error(f"API historical data query cancelled: {req_id}")
        )


def update(gateway: "PaperGateway", session: Session, now: datetime) -> Iterator[None]:
    """Send how the last bars have changed, stream by stream."""
    for req_id, stream in list(session.bars.items()):
        if timedelta(0) <= now - stream.sent_at < UPDATE_EVERY or session.bars.get(req_id) is not stream:
            continue
        query = stream.query
        if now < stream.since:
            # The clock was put back: the bar to go on from is the one that forms now.
            stream.since = bar_start(now, query.bar_size)
        stream.sent_at = now
        for bar in query.bars.between(stream.since, now, query.bar_size)[-BARS_PER_STEP:]:
            written = _wire_bar(query, bar, session.version)
            if written != stream.sent:
                session.send(historical_data_update(req_id, written))
                stream.sent = written
            stream.since = bar.start
        yield


HANDLERS: Mapping[type, Callable[..., None]] = {
    HistoricalDataRequest: historical_data,
    CancelHistoricalData: cancel,
}
