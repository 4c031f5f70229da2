"""Historical ticks: trades, quotes or midpoints, forwards from a start or backwards from an end.

An answer has the ticks asked for and those of the same second, as at IB: a client that goes on from the
next second misses none. They are looked for in steps, a few minutes of the market in each.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Final

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers import past_ticks
from trademind.gateway.handlers.bar_kinds import Kind, exists, no_data
from trademind.gateway.handlers.bar_query import (
    Refused,
    implies_zone,
    invalid,
    read_end,
    session_bars,
    unavailable,
)
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.history import begin
from trademind.gateway.handlers.session_bars import SessionBars
from trademind.gateway.session import Session
from trademind.gateway.wire.history import HistoricalTicks, HistoricalTicksBidAsk, HistoricalTicksLast
from trademind.gateway.wire.messages import Message
from trademind.gateway.wire.requests.history import HistoricalTicksRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_TICKS: Final = 1000
"""Ticks in one answer, those that complete a second not counted; as at IB, whatever number is asked for."""
PER_STEP: Final = timedelta(minutes=3)
"""Of the market; a few milliseconds of work."""
SEARCHED: Final = timedelta(days=3)
"""Of trading hours. A market so quiet that they hold less than what is asked for has no more to tell."""
_KINDS = (Kind.TRADES, Kind.AGGREGATED_TRADES, Kind.MIDPOINT, Kind.BID_ASK)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickQuery:
    """Which ticks are looked for."""

    instrument: Instrument
    kind: Kind
    bars: SessionBars
    start: datetime
    """Where the history that may be searched begins."""
    end: datetime
    backwards: bool
    number: int
    ignore_size: bool


def historical_ticks(gateway: "PaperGateway", session: Session, request: HistoricalTicksRequest) -> None:
    req_id = request.req_id
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    try:
        if implies_zone(session.version, request.start, request.end):
            session.error(req_id, codes.IMPLIED_TIME_ZONE, codes.IMPLIED_TIME_ZONE_TEXT)
        query = _understand(gateway, request, instrument)
        begin(session, req_id, answer(session, req_id, query))
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)


def _understand(
    gateway: "PaperGateway", request: HistoricalTicksRequest, instrument: Instrument
) -> TickQuery:
    now = gateway.clock.now()
    head = gateway.feed.head(instrument)
    start = read_end(request.start, now, "Start") if request.start.strip() else head
    end = read_end(request.end, now)
    if not request.contract.exchange.strip():
        raise invalid("Exchange must not be empty")
    if request.contract.sec_type == "BAG":
        raise invalid("Combo types are not supported")
    if request.number_of_ticks <= 0:
        raise invalid("Number of ticks must be > 0")
    return TickQuery(
        instrument=instrument,
        kind=_kind(request.what_to_show, instrument),
        bars=session_bars(gateway, instrument, use_rth=request.use_rth),
        start=max(start, head),
        end=end,
        backwards=not request.start.strip() and bool(request.end.strip()),
        number=min(request.number_of_ticks, MAX_TICKS),
        ignore_size=request.ignore_size,
    )


def _kind(what_to_show: str, instrument: Instrument) -> Kind:
    if not what_to_show.strip():
        raise invalid("Source price must not be empty")
    try:
        kind = Kind(what_to_show.strip().upper())
    except ValueError:
        raise invalid("Invalid source price") from None
    if kind not in _KINDS:
        raise invalid("Invalid source price")
    if kind is Kind.AGGREGATED_TRADES and instrument.sec_type is not SecType.CRYPTO:
        text = "Expected what to show is TRADES, please use that instead of AGGTRADES."
        raise Refused(codes.EXPECTED_WHAT_TO_SHOW, text)
    if instrument.sec_type is SecType.INDEX and not exists(kind, instrument):
        raise unavailable(no_data(kind, instrument, "0"))  # an index has no quotes
    # Nobody reports trades in currencies: IB answers with midpoints.
    if instrument.sec_type is SecType.CASH and kind is Kind.TRADES:
        return Kind.MIDPOINT
    return kind


def answer(session: Session, req_id: int, query: TickQuery) -> Iterator[None]:
    parts: list[list[Any]] = []
    count = 0
    for start, end in _stretches(query):
        found = _ticks(query, query.bars.feed.bars(query.instrument, start=start, end=end, bar_size="1 secs"))
        parts.append(found)
        count += len(found)
        if count >= query.number:
            break
        yield
    if query.backwards:
        parts.reverse()
    ticks = list(chain.from_iterable(parts))
    if query.kind is Kind.MIDPOINT:
        ticks = list(past_ticks.changes(ticks))
    session.send(_message(req_id, query, _whole_seconds(ticks, query.number, backwards=query.backwards)))


def _stretches(query: TickQuery) -> Iterator[tuple[datetime, datetime]]:
    """Parts of the trading hours in the order in which they are searched, as far as it goes."""
    searched = timedelta(0)
    day = timedelta(days=1)
    begin, end = query.start, query.end
    while begin < end and searched < SEARCHED:
        near, far = (max(begin, end - day), end) if query.backwards else (begin, min(end, begin + day))
        for opens, closes in _open_hours(query, near, far):
            start, until = opens, closes
            while start < until:
                if query.backwards:
                    cut = max(start, until - PER_STEP)
                    yield cut, until
                    searched, until = searched + (until - cut), cut
                else:
                    cut = min(until, start + PER_STEP)
                    yield start, cut
                    searched, start = searched + (cut - start), cut
        if query.backwards:
            end = near
        else:
            begin = far


def _open_hours(query: TickQuery, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    if query.bars.never_closes:
        return [(start, end)]
    found = [(max(each.start, start), min(each.end, end)) for each in query.bars.sessions(start, end)]
    return found[::-1] if query.backwards else found


def _ticks(query: TickQuery, bars: list[FeedBar]) -> list[Any]:
    instrument = query.instrument
    if query.kind is Kind.MIDPOINT:
        return list(past_ticks.changes(chain.from_iterable(past_ticks.midpoints(bar) for bar in bars)))
    if query.kind is Kind.BID_ASK:
        return [
            tick for bar in bars for tick in past_ticks.quotes(instrument, bar, ignore_size=query.ignore_size)
        ]
    return [tick for bar in bars for tick in past_ticks.trades(instrument, bar)]


def _whole_seconds(ticks: list[Any], number: int, *, backwards: bool) -> list[Any]:
    """The first or last `number` ticks and the rest of the second that the outermost of them belongs to."""
    seconds = [list(group) for _, group in groupby(ticks, key=lambda tick: tick.second)]
    taken: list[list[Any]] = []
    count = 0
    for second in reversed(seconds) if backwards else seconds:
        if count >= number:
            break
        taken.append(second)
        count += len(second)
    return list(chain.from_iterable(reversed(taken) if backwards else taken))


def _message(req_id: int, query: TickQuery, ticks: list[Any]) -> Message:
    if query.kind is Kind.MIDPOINT:
        return HistoricalTicks(req_id, tuple((tick.second, tick.price) for tick in ticks))
    if query.kind is Kind.BID_ASK:
        quotes = tuple((tick.second, tick.bid, tick.ask, tick.bid_size, tick.ask_size) for tick in ticks)
        return HistoricalTicksBidAsk(req_id, quotes)
    exchange = query.instrument.primary_exchange or query.instrument.exchange
    return HistoricalTicksLast(
        req_id, tuple((tick.second, tick.price, tick.size, exchange) for tick in ticks)
    )


HANDLERS: Mapping[type, Callable[..., None]] = {HistoricalTicksRequest: historical_ticks}
