"""Market data: streams and snapshots of quotes.

A subscription is answered at once with everything known of the market; after that a client gets what
has changed, each time the market moves.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from trademind.gateway import codes
from trademind.gateway.engine.model import MarketQuote
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import Session, TickStream
from trademind.gateway.wire import market
from trademind.gateway.wire.market import Tick
from trademind.gateway.wire.messages import Message
from trademind.gateway.wire.requests.market import CancelMarketData, MarketDataRequest, MarketDataTypeRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

LIVE = 1
BBO_EXCHANGE = "9c0001"
"""The map of exchanges that quotes of US stocks come from."""
SNAPSHOT_PERMISSIONS = 3
"""Bit 1: snapshots are free; bit 2: a subscription exists."""
STREAMS_PER_STEP = 20
"""A few milliseconds of work."""
MAX_STREAMS = 1000
"""Subscriptions of one client. IB grants 100 lines by default; this bounds the work of one pump."""

_SIZED_PRICES = ((Tick.BID, Tick.BID_SIZE), (Tick.ASK, Tick.ASK_SIZE), (Tick.LAST, Tick.LAST_SIZE))
_PRICES = (Tick.OPEN, Tick.HIGH, Tick.LOW, Tick.CLOSE)


def subscribe(gateway: "PaperGateway", session: Session, request: MarketDataRequest) -> None:
    req_id = request.req_id
    if req_id in session.ticks:
        session.error(
            req_id, codes.DUPLICATE_TICKER_ID, "Error processing request.-'bC' : cause - Duplicate ticker id"
        )
        return
    if len(session.ticks) >= MAX_STREAMS:
        session.error(req_id, 101, "Max number of tickers has been reached")
        return
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    quote = gateway.refresh(instrument)
    session.send(
        market.tick_request_parameters(req_id, instrument.min_tick, BBO_EXCHANGE, SNAPSHOT_PERMISSIONS)
    )
    session.send(market.market_data_type(req_id, LIVE))
    for message in _changes(req_id, None, quote):
        session.send(message)
    if request.snapshot or request.regulatory_snapshot:
        session.send(market.snapshot_end(req_id))
    else:
        session.add_ticks(req_id, TickStream(instrument, quote))


def cancel(gateway: "PaperGateway", session: Session, request: CancelMarketData) -> None:
    if not session.drop_ticks(request.number):
        session.error(
            request.number, codes.UNKNOWN_TICKER_ID, f"Can't find EId with tickerId:{request.number}"
        )


def select_type(gateway: "PaperGateway", session: Session, request: MarketDataTypeRequest) -> None:
    """Accepted and without effect: the paper market is live, and live data replaces all other types."""
    if not 1 <= request.number <= 4:
        session.error(-1, codes.VALIDATING, codes.invalid(f"Invalid market data type: {request.number}"))


def quote_changed(session: Session, quote: MarketQuote) -> Iterator[None]:
    """Send what a new quote changes in the client's streams, some of them in each step."""
    streams = list(session.ticks_of.get(quote.con_id, {}).items())
    for number, (req_id, stream) in enumerate(streams, 1):
        # Between two steps the client may have ended this stream, or been shown a later quote.
        if session.ticks.get(req_id) is stream and stream.sent != quote:
            for message in _changes(req_id, stream.sent, quote):
                session.send(message)
            stream.sent = quote
        if number % STREAMS_PER_STEP == 0:
            yield


def _changes(req_id: int, before: MarketQuote | None, quote: MarketQuote) -> Iterator[Message]:
    """The ticks that lead from one quote to the next; from None, all of them."""
    old = None if before is None else _figures(before)
    new = _figures(quote)

    def changed(tick: Tick) -> bool:
        return old is None or old[tick] != new[tick]

    for price, size in _SIZED_PRICES:
        if changed(price):
            yield market.tick_price(req_id, price, new[price], new[size])
        elif changed(size):
            yield market.tick_size(req_id, size, new[size])
    if changed(Tick.VOLUME):
        yield market.tick_size(req_id, Tick.VOLUME, new[Tick.VOLUME])
    if changed(Tick.LAST) or changed(Tick.LAST_SIZE) or changed(Tick.VOLUME):
        yield market.tick_string(req_id, Tick.LAST_TIMESTAMP, str(int(quote.time.timestamp())))
    for price in _PRICES:
        if changed(price):
            yield market.tick_price(req_id, price, new[price])


def _figures(quote: MarketQuote) -> dict[Tick, Decimal]:
    return {
        Tick.BID: quote.bid,
        Tick.ASK: quote.ask,
        Tick.LAST: quote.last,
        Tick.BID_SIZE: quote.bid_size,
        Tick.ASK_SIZE: quote.ask_size,
        Tick.LAST_SIZE: quote.last_size,
        Tick.VOLUME: quote.volume,
        Tick.OPEN: quote.open,
        Tick.HIGH: quote.high,
        Tick.LOW: quote.low,
        Tick.CLOSE: quote.close,
    }


HANDLERS: Mapping[type, Callable[..., None]] = {
    MarketDataRequest: subscribe,
    CancelMarketData: cancel,
    MarketDataTypeRequest: select_type,
}
