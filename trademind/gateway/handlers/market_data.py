"""Market data: streams and snapshots of quotes, generic ticks and option computations.

A subscription is answered at once with everything known of the market; after that a client gets what
has changed, each time the market moves. A `Move` is one look at an instrument's market: what tells of it is
laid out when the first subscription needs it, and shared by all others.

A snapshot needs no time here to be complete: its end, for which IB waits up to 11 seconds, follows at once.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.hours import Phase
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.entitlements import Access, DataType
from trademind.gateway.handlers import depth, generic_ticks, news, option_ticks, tick_by_tick
from trademind.gateway.handlers.bar_query import Refused
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.past_ticks import Trade
from trademind.gateway.handlers.quote_ticks import QuoteFrames
from trademind.gateway.session import Session, TickStream
from trademind.gateway.wire import market
from trademind.gateway.wire.requests.market import CancelMarketData, MarketDataRequest, MarketDataTypeRequest
from trademind.gateway.wire.ticks import Tick, TickBytes, TickFrames, TickMessage, generic_tick

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
        self.now = gateway.clock.now()
        self._live = QuoteFrames(instrument, quote)
        self._delayed: QuoteFrames | None = None
        self._trades: dict[datetime, list[Trade]] = {}
        self._computations: dict[bool, list[tuple[Tick, TickBytes]]] = {}

    def frames(self, *, delayed: bool) -> QuoteFrames:
        if not delayed:
            return self._live
        if self._delayed is None:
            feed, control = self.gateway.feed, self.gateway.control
            past = control.quote(feed.quote(self.instrument, self.delayed_to))
            self._delayed = QuoteFrames(self.instrument, past, delayed=True)
        return self._delayed

    def computations(self, *, delayed: bool) -> list[tuple[Tick, TickBytes]]:
        """Option computations; none of what is no option."""
        made = self._computations.get(delayed)
        if made is None:
            made = self._computations[delayed] = list(self._compute(delayed=delayed))
        return made

    def _compute(self, *, delayed: bool) -> Iterator[tuple[Tick, TickBytes]]:
        option, gateway = self.instrument, self.gateway
        if option.sec_type not in option_ticks.OPTIONS or option.underlying is None:
            return
        now = self.delayed_to if delayed else self.now
        spot = gateway.control.quote(gateway.feed.quote(option.underlying, now))
        quote = self.frames(delayed=delayed).quote
        yield from option_ticks.computations(option, quote, spot, now, delayed=delayed)

    @property
    def delayed_to(self) -> datetime:
        """The moment that delayed data shows."""
        return max(self.now - DELAY, self.gateway.feed.head(self.instrument))

    def trades(self, start: datetime) -> list[Trade]:
        """The trades of the whole seconds from `start` up to this move."""
        if start not in self._trades:
            self._trades[start] = tick_by_tick.trades_between(
                self.gateway, self.instrument, start, self.now.replace(microsecond=0)
            )
        return self._trades[start]


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
        providers = news.wanted(request.generic_ticks)
    except generic_ticks.IncorrectList as error:
        session.error(req_id, codes.VALIDATING, codes.invalid(str(error)))
        return
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)
        return
    if not _is_allowed(gateway, session, request, instrument):
        return
    stream = TickStream(
        instrument, b"%d" % req_id, asked=session.data_type, generic=generic, wants_quotes=wants_quotes
    )
    stream.data_type = _given(gateway, stream)
    if providers:
        stream.news = news.watch(gateway, instrument, providers)
    answer = _begin(gateway, session, req_id, stream, once=once)
    if stream.generic:
        session.outbox.append(answer)
        return
    for _ in answer:
        pass


def _begin(
    gateway: "PaperGateway", session: Session, req_id: int, stream: TickStream, *, once: bool
) -> Iterator[None]:
    """Send all there is to begin with; in steps, where a year of history is to be looked at."""
    instrument = stream.instrument
    if stream.generic:
        yield from _prepare(gateway, stream)
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


def _shows_more(stream: TickStream) -> bool:
    """Whether a stream has ticks that do not follow from the quote alone."""
    return bool(stream.generic) or stream.instrument.sec_type in option_ticks.OPTIONS


def _prepare(gateway: "PaperGateway", stream: TickStream) -> Iterator[None]:
    """Make the day's figures that generic ticks need, unless they are there already."""
    if stream.instrument.sec_type in generic_ticks.WITH_HISTORY:
        now = gateway.clock.now() - (DELAY if stream.data_type.is_delayed else timedelta(0))
        yield from gateway.statistics.prepare(stream.instrument, now)


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
    """Tell a client with streams of an instrument whether trading in it is halted (tick 49 or 90: 0 or 1)."""
    halted = Decimal(gateway.control.is_halted(instrument.con_id))
    for req_id, stream in session.ticks.of(instrument.con_id):
        kind = Tick.DELAYED_HALTED if stream.data_type.is_delayed else Tick.HALTED
        session.send(TickMessage(req_id, generic_tick(kind, halted)))


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


def moved(session: Session, move: Move) -> Iterator[None]:
    """Tell one client, in steps, of a look at an instrument's market: in all the ways that it asked for."""
    yield from _quote_changed(session, move)
    if session.tick_by_tick:
        yield from tick_by_tick.moved(session, move)
    if session.depth:
        yield from depth.moved(session, move)


def _quote_changed(session: Session, move: Move) -> Iterator[None]:
    """Send what a new quote changes in the client's streams, some of them in each step."""
    for number, (req_id, stream) in enumerate(session.ticks.of(move.instrument.con_id), 1):
        if stream.generic:
            yield from _prepare(move.gateway, stream)
        # Between two steps the client may have ended this stream.
        if session.ticks.get(req_id) is stream:
            if stream.asked.is_frozen and (given := _given(move.gateway, stream)) is not stream.data_type:
                stream.data_type = given
                session.send(market.market_data_type(req_id, given))
            _show(session, stream, move)
            if stream.news is not None and stream.news.due <= move.now:
                yield from news.tell_new(move.gateway, session, req_id, stream)
        if number % STREAMS_PER_STEP == 0:
            yield


def _show(session: Session, stream: TickStream, move: Move) -> None:
    """Send what a stream has not shown yet."""
    delayed = stream.data_type.is_delayed
    shown = move.frames(delayed=delayed)
    # A live quote that is the same is the same object, see `PaperGateway.refresh`.
    if shown.quote is stream.sent or (delayed and shown.quote == stream.sent):
        return
    if stream.wants_quotes:
        ticks = shown.since(stream.sent)
        if ticks:
            session.send_frames(ticks.of(stream.req_id))
    before, stream.sent = stream.sent, shown.quote
    if _shows_more(stream):
        _show_more(session, stream, move, before)


def _show_more(session: Session, stream: TickStream, move: Move, before: MarketQuote | None) -> None:
    """Send what has changed of generic ticks and option computations."""
    delayed = stream.data_type.is_delayed
    quote = move.frames(delayed=delayed).quote
    now = move.delayed_to if delayed else move.now
    look = generic_ticks.Look(stream.instrument, quote, before, now, move.gateway.statistics)
    ticks = chain(generic_ticks.ticks(stream.generic, look), move.computations(delayed=delayed))
    changed = {kind: tick for kind, tick in ticks if stream.shown.get(kind) != tick}
    if changed:
        stream.shown.update(changed)
        session.send_frames(TickFrames(changed.values()).of(stream.req_id))


HANDLERS: Mapping[type, Callable[..., None]] = {
    MarketDataRequest: subscribe,
    CancelMarketData: cancel,
    MarketDataTypeRequest: select_type,
}
