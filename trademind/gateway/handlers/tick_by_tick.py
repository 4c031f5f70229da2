"""Tick-by-tick data: every trade, every change of bid and ask, or of the middle between them.

Trades are those that historical ticks tell afterwards, second by second. Bid, ask and midpoint are the
quote's, so that they agree with what subscriptions to market data show. If ticks of the past are asked for,
they come first, and what is live goes on where they end.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument
from trademind.gateway.entitlements import Access
from trademind.gateway.handlers import historical_ticks, past_ticks
from trademind.gateway.handlers.bar_kinds import Kind
from trademind.gateway.handlers.bar_query import Refused, session_bars
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.history import begin
from trademind.gateway.session import Session, TickByTickStream
from trademind.gateway.wire.market import TradeKind, bid_ask_tick, midpoint_tick, trade_tick
from trademind.gateway.wire.requests.market import CancelTickByTick, TickByTickRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway
    from trademind.gateway.handlers.market_data import Move

MAX_STREAMS: Final = 100
"""Subscriptions of one client where nothing else limits them."""
MAX_PAST: Final = 1000
"""Ticks of the past that come first at most, as at IB."""
CATCH_UP: Final = timedelta(seconds=60)
"""How much is told after the market has been away, or time has jumped: a few milliseconds of work."""

_KINDS: Final = {
    "last": TradeKind.LAST,
    "alllast": TradeKind.ALL_LAST,
    "bidask": TradeKind.BID_ASK,
    "midpoint": TradeKind.MIDPOINT,
}
_PAST: Final = {
    TradeKind.LAST: Kind.TRADES,
    TradeKind.ALL_LAST: Kind.TRADES,
    TradeKind.BID_ASK: Kind.BID_ASK,
    TradeKind.MIDPOINT: Kind.MIDPOINT,
}
_TRADES: Final = frozenset({TradeKind.LAST, TradeKind.ALL_LAST})
_NEVER_LIVE: Final = frozenset({SecType.OPTION, SecType.FUTURE_OPTION, SecType.COMBO})
"""For these IB has tick-by-tick data of the past only."""
_UNTRADED: Final = frozenset({SecType.CASH, SecType.CFD})
_UNQUOTED: Final = frozenset({SecType.INDEX})


def subscribe(gateway: "PaperGateway", session: Session, request: TickByTickRequest) -> None:
    req_id = request.req_id
    if req_id in session.tick_by_tick:
        session.error(req_id, codes.DUPLICATE_TICKER_ID, codes.DUPLICATE_TICKER_ID_TEXT)
        return
    if len(session.tick_by_tick) >= (gateway.pacing.max_tick_by_tick or MAX_STREAMS):
        session.error(req_id, codes.TOO_MANY_TICK_BY_TICK, codes.TOO_MANY_TICK_BY_TICK_TEXT)
        return
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    kind = _KINDS.get(request.tick_type.strip().lower())
    reason = _why_not(gateway, instrument, kind, request)
    if kind is None or reason:
        session.error(req_id, codes.NO_TICK_BY_TICK, f"Failed to request tick-by-tick data:{reason}")
        return
    now = gateway.clock.now().replace(microsecond=0)
    stream = TickByTickStream(instrument, kind, request.ignore_size, since=now)
    if not request.number_of_ticks:
        session.tick_by_tick.add(req_id, stream)
        return
    try:
        begin(session, req_id, _past_then_live(gateway, session, request, stream))
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)


def _why_not(
    gateway: "PaperGateway", instrument: Instrument, kind: TradeKind | None, request: TickByTickRequest
) -> str:
    """Why there is no such data, in words; empty if there is."""
    place = f"{instrument.primary_exchange or instrument.exchange} {instrument.sec_type}"
    if kind is None:
        return f"Invalid tick type {request.tick_type[:40]!r}"
    if not 0 <= request.number_of_ticks <= MAX_PAST:
        return f"Number of ticks must be between 0 and {MAX_PAST}"
    if gateway.entitlements.of(instrument.symbol) is not Access.LIVE:
        return f"No market data permissions for {place}"
    if instrument.sec_type in _NEVER_LIVE or instrument.sec_type in (
        _UNTRADED if kind in _TRADES else _UNQUOTED
    ):
        return f"No data of type {request.tick_type} for {place}"
    return ""


def _past_then_live(
    gateway: "PaperGateway", session: Session, request: TickByTickRequest, stream: TickByTickStream
) -> Iterator[None]:
    instrument = stream.instrument
    query = historical_ticks.TickQuery(
        instrument=instrument,
        kind=_PAST[stream.kind],
        bars=session_bars(gateway, instrument, use_rth=False),
        start=gateway.feed.head(instrument),
        end=stream.since,
        backwards=True,
        number=request.number_of_ticks,
        ignore_size=request.ignore_size,
    )
    yield from historical_ticks.answer(session, request.req_id, query)
    session.tick_by_tick.add(request.req_id, stream)


def cancel(gateway: "PaperGateway", session: Session, request: CancelTickByTick) -> None:
    req_id = request.number
    waiting = session.jobs.pop(req_id, None) is not None
    if not session.tick_by_tick.drop(req_id) and not waiting:
        session.error(req_id, codes.UNKNOWN_TICKER_ID, f"Can't find EId with tickerId:{req_id}")


def moved(session: Session, move: "Move") -> Iterator[None]:
    """Tell the streams of one instrument what has happened, one stream in each step."""
    for req_id, stream in session.tick_by_tick.of(move.instrument.con_id):
        if session.tick_by_tick.get(req_id) is not stream:
            continue
        if stream.kind in _TRADES:
            _tell_trades(session, req_id, stream, move)
        else:
            _tell_quote(session, req_id, stream, move)
        yield


def _tell_trades(session: Session, req_id: int, stream: TickByTickStream, move: "Move") -> None:
    now = move.now.replace(microsecond=0)
    # A clock that was put back goes on from where it is.
    start = min(max(stream.since, now - CATCH_UP), now)
    stream.since = now
    exchange = stream.instrument.primary_exchange or stream.instrument.exchange
    for trade in move.trades(start):
        reported = trade.size > 0
        if reported or stream.kind is TradeKind.ALL_LAST:
            session.send(
                trade_tick(
                    req_id,
                    stream.kind,
                    trade.second,
                    trade.price,
                    trade.size,
                    reported=reported,
                    exchange=exchange,
                )
            )


def _tell_quote(session: Session, req_id: int, stream: TickByTickStream, move: "Move") -> None:
    before, quote = stream.sent, move.quote
    stream.sent = quote
    second = int(quote.time.timestamp())
    prices = (quote.bid, quote.ask)
    if stream.kind is TradeKind.MIDPOINT:
        middle = (quote.bid + quote.ask) / 2
        if before is None or (before.bid + before.ask) / 2 != middle:
            session.send(midpoint_tick(req_id, second, middle))
        return
    sizes = (quote.bid_size, quote.ask_size)
    if (
        before is not None
        and prices == (before.bid, before.ask)
        and (stream.ignore_size or sizes == (before.bid_size, before.ask_size))
    ):
        return
    mask = (1 if quote.bid < quote.low else 0) | (2 if quote.ask > quote.high else 0)
    session.send(bid_ask_tick(req_id, second, *prices, *sizes, mask))


def trades_between(
    gateway: "PaperGateway", instrument: Instrument, start: datetime, end: datetime
) -> list[past_ticks.Trade]:
    """The trades of the whole seconds in [start, end): at the price that was put, if one was; none in a
    halt."""
    if start >= end or gateway.control.is_halted(instrument.con_id):
        return []
    bars = gateway.feed.bars(instrument, start=start, end=end, bar_size="1 secs")
    trades = [trade for bar in bars for trade in past_ticks.trades(instrument, bar)]
    feeds_own = gateway.feed.quote(instrument, end)
    seen = gateway.control.quote(feeds_own)
    return trades if seen is feeds_own else [replace(trade, price=seen.last) for trade in trades]


HANDLERS: Mapping[type, Callable[..., None]] = {
    TickByTickRequest: subscribe,
    CancelTickByTick: cancel,
}
