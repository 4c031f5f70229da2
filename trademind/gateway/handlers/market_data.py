"""Market data: streams and snapshots of quotes, generic ticks and option computations.

A subscription is answered at once with everything known of the market; after that a client gets what
has changed, each time the market moves. A `Move` is one look at an instrument's market: what tells of it is
laid out when the first subscription needs it, and shared by all others.

A snapshot needs no time here to be complete: its end, for which IB waits up to 11 seconds, follows at once.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.hours import Phase
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.entitlements import Access, DataType
from trademind.gateway.handlers import generic_ticks
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.quote_ticks import QuoteFrames
from trademind.gateway.session import Session, TickStream
from trademind.gateway.wire import market
from trademind.gateway.wire.requests.market import CancelMarketData, MarketDataRequest, MarketDataTypeRequest
from trademind.gateway.wire.ticks import Tick, TickFrames, TickMessage, generic_tick

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

DELAY: Final = timedelta(minutes=15)
"""How old delayed data is."""
BBO_EXCHANGE: Final = "9c0001"
"""The map of exchanges that quotes of US stocks come from."""
SNAPSHOT_PERMISSIONS: Final = 3
"""Bit 1: snapshots are free; bit 2: a subscription exists."""
STREAMS_PER_STEP: Final = 20
"""A few milliseconds of work."""
MAX_STREAMS: Final = 1000
"""Subscriptions of one client where nothing else limits them; this bounds the work of one pump."""


class Move:
    """An instrument's market at one moment, for everybody who watches it."""

    def __init__(self, gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> None:
        self.gateway = gateway
        self.instrument = instrument
        self.quote = quote
        self._live = QuoteFrames(instrument, quote)
        self._delayed: QuoteFrames | None = None

    def frames(self, *, delayed: bool) -> QuoteFrames:
        if not delayed:
            return self._live
        if self._delayed is None:
            past = delayed_quote(self.gateway, self.instrument)
            self._delayed = QuoteFrames(self.instrument, past, delayed=True)
        return self._delayed


def delayed_quote(gateway: "PaperGateway", instrument: Instrument) -> MarketQuote:
    """The market as it was a quarter of an hour ago."""
    return gateway.control.quote(gateway.feed.quote(instrument, _delayed(gateway, instrument)))


def _delayed(gateway: "PaperGateway", instrument: Instrument) -> datetime:
    return max(gateway.clock.now() - DELAY, gateway.feed.head(instrument))


def subscribe(gateway: "PaperGateway", session: Session, request: MarketDataRequest) -> None:
    req_id = request.req_id
    if req_id in session.ticks:
        session.error(req_id, codes.DUPLICATE_TICKER_ID, codes.DUPLICATE_TICKER_ID_TEXT)
        return
    if len(session.ticks) >= (gateway.pacing.max_lines or MAX_STREAMS):
        session.error(req_id, codes.TOO_MANY_LINES, codes.TOO_MANY_LINES_TEXT)
        return
    instrument = find(gateway, session, req_id, request.contract, request.legs)
    if instrument is None:
        return
    once = request.snapshot or request.regulatory_snapshot
    try:
        generic, wants_quotes = generic_ticks.parse(request.generic_ticks, instrument.sec_type)
        if once and generic:
            raise generic_ticks.IncorrectList(
                "Snapshot market data subscription is not applicable to generic ticks"
            )
    except generic_ticks.IncorrectList as error:
        session.error(req_id, codes.VALIDATING, codes.invalid(str(error)))
        return
    if not _is_allowed(gateway, session, request, instrument):
        return
    stream = TickStream(
        instrument, b"%d" % req_id, asked=session.data_type, generic=generic, wants_quotes=wants_quotes
    )
    stream.data_type = _given(gateway, stream)
    session.send(
        market.tick_request_parameters(req_id, instrument.min_tick, BBO_EXCHANGE, SNAPSHOT_PERMISSIONS)
    )
    session.send(market.market_data_type(req_id, stream.data_type))
    _show(session, stream, Move(gateway, instrument, gateway.refresh(instrument)))
    if gateway.control.is_halted(instrument.con_id):
        session.send(TickMessage(req_id, generic_tick(Tick.HALTED, Decimal(1))))
    if once:
        session.send(market.snapshot_end(req_id))
    else:
        session.ticks.add(req_id, stream)


def _is_allowed(
    gateway: "PaperGateway", session: Session, request: MarketDataRequest, instrument: Instrument
) -> bool:
    """Whether the client gets any data, live or delayed. If not, or not what it wants, it is told."""
    access, req_id = gateway.entitlements.of(instrument.symbol), request.req_id
    if access is Access.LIVE or (request.regulatory_snapshot and instrument.sec_type is SecType.STOCK):
        # Regulatory snapshots are paid for one by one, and need no subscription.
        return True
    if access is Access.COMPETING:
        session.error(req_id, codes.COMPETING_SESSION, codes.COMPETING_SESSION_TEXT)
    elif access is Access.NONE:
        name = f"{instrument.symbol} {instrument.primary_exchange or instrument.exchange}/TOP/ALL"
        session.error(req_id, codes.NOT_SUBSCRIBED, codes.NOT_SUBSCRIBED_TEXT.format(name=name))
    elif not session.data_type.is_delayed:
        session.error(req_id, codes.DELAYED_NOT_ENABLED, codes.DELAYED_NOT_ENABLED_TEXT)
    else:
        session.error(req_id, codes.SHOWING_DELAYED, codes.SHOWING_DELAYED_TEXT)
        return True
    return False


def _given(gateway: "PaperGateway", stream: TickStream) -> DataType:
    """What a stream gets now. Live data wins over delayed; data is frozen only while a market is closed."""
    instrument, asked = stream.instrument, stream.asked
    delayed = asked.is_delayed and gateway.entitlements.of(instrument.symbol) is Access.DELAYED
    frozen = asked.is_frozen and gateway.hours.phase(instrument, gateway.clock.now()) is Phase.CLOSED
    if delayed:
        return DataType.DELAYED_FROZEN if frozen else DataType.DELAYED
    return DataType.FROZEN if frozen else DataType.LIVE


def tell_halt(gateway: "PaperGateway", session: Session, instrument: Instrument) -> None:
    """Tell a client with streams of an instrument whether trading in it is halted (tick 49: 0 or 1)."""
    tick = generic_tick(Tick.HALTED, Decimal(gateway.control.is_halted(instrument.con_id)))
    for req_id, _ in session.ticks.of(instrument.con_id):
        session.send(TickMessage(req_id, tick))


def cancel(gateway: "PaperGateway", session: Session, request: CancelMarketData) -> None:
    if not session.ticks.drop(request.number):
        session.error(
            request.number, codes.UNKNOWN_TICKER_ID, f"Can't find EId with tickerId:{request.number}"
        )


def select_type(gateway: "PaperGateway", session: Session, request: MarketDataTypeRequest) -> None:
    """Holds for subscriptions from now on, as at IB."""
    try:
        session.data_type = DataType(request.number)
    except ValueError:
        session.error(-1, codes.VALIDATING, codes.invalid(f"Invalid market data type: {request.number}"))


def quote_changed(session: Session, move: Move) -> Iterator[None]:
    """Send what a new quote changes in the client's streams, some of them in each step."""
    for number, (req_id, stream) in enumerate(session.ticks.of(move.instrument.con_id), 1):
        # Between two steps the client may have ended this stream.
        if session.ticks.get(req_id) is stream:
            if stream.asked.is_frozen and (given := _given(move.gateway, stream)) is not stream.data_type:
                stream.data_type = given
                session.send(market.market_data_type(req_id, given))
            _show(session, stream, move)
        if number % STREAMS_PER_STEP == 0:
            yield


def _show(session: Session, stream: TickStream, move: Move) -> None:
    """Send what a stream has not shown yet."""
    shown = move.frames(delayed=stream.data_type.is_delayed)
    if shown.quote is stream.sent or shown.quote == stream.sent:
        return
    if stream.wants_quotes:
        ticks = shown.since(stream.sent)
        if ticks:
            session.send_frames(ticks.of(stream.req_id))
    stream.sent = shown.quote
    if stream.generic:
        _show_generic(session, stream, move)


def _show_generic(session: Session, stream: TickStream, move: Move) -> None:
    gateway = move.gateway
    delayed = stream.data_type.is_delayed
    now = _delayed(gateway, stream.instrument) if delayed else gateway.clock.now()
    quote = move.frames(delayed=delayed).quote
    look = generic_ticks.Look(stream.instrument, quote, now, gateway.statistics)
    changed = {
        kind: tick
        for kind, tick in generic_ticks.ticks(stream.generic, look)
        if stream.shown.get(kind) != tick
    }
    if changed:
        stream.shown.update(changed)
        session.send_frames(TickFrames(changed.values()).of(stream.req_id))


HANDLERS: Mapping[type, Callable[..., None]] = {
    MarketDataRequest: subscribe,
    CancelMarketData: cancel,
    MarketDataTypeRequest: select_type,
}
