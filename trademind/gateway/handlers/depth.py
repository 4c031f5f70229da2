"""Market depth: the order book, row by row.

Rows are changed where they are, new ones come at the end, and what falls away is taken from the end. So a
client has the true book whether it shifts rows on inserts and deletes, as IB describes it, or keeps them in
places by number, as some libraries do.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine import levels
from trademind.gateway.engine.levels import Level
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.entitlements import Access
from trademind.gateway.handlers.contracts import find
from trademind.gateway.handlers.quote_ticks import QUOTING_EXCHANGES, quoting_at
from trademind.gateway.session import DepthRow, DepthStream, Session
from trademind.gateway.wire.market import DepthOperation, DepthSide, depth_row, depth_row_of
from trademind.gateway.wire.messages import Message
from trademind.gateway.wire.requests.market import CancelMarketDepth, MarketDepthRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway
    from trademind.gateway.handlers.market_data import Move

MAX_STREAMS: Final = 60
"""Subscriptions of one client where nothing else limits them: as many as IB sells."""
SMART: Final = "SMART"
_WITH_MAKERS: Final = {"NASDAQ": "NSDQ", "ISLAND": "NSDQ"}
"""Books in which market makers are named; here it is always the exchange itself."""
_STOCK_BOOKS: Final = frozenset({*QUOTING_EXCHANGES.values(), "ISLAND", "BYX", "BEX", "EDGEA", "MEMX"})


def subscribe(gateway: "PaperGateway", session: Session, request: MarketDepthRequest) -> None:
    req_id = request.req_id
    limit = gateway.pacing.max_depth or MAX_STREAMS
    if req_id in session.depth:
        session.error(req_id, codes.DUPLICATE_TICKER_ID, codes.DUPLICATE_TICKER_ID_TEXT)
        return
    if len(session.depth) >= limit:
        text = f"Max number ({limit}) of market depth requests has been reached"
        session.error(req_id, codes.TOO_MANY_DEPTH, text)
        return
    instrument = find(gateway, session, req_id, request.contract)
    if instrument is None:
        return
    if request.rows < 1:
        session.error(req_id, codes.VALIDATING, codes.invalid("Number of rows must be > 0"))
        return
    venue = request.contract.exchange.strip().upper() or instrument.exchange
    if not _has_book(instrument, venue, smart=request.smart):
        session.error(req_id, codes.NO_DEPTH, codes.NO_DEPTH_TEXT)
        return
    if gateway.entitlements.of(instrument.symbol) is not Access.LIVE:
        name = f"{instrument.symbol} {venue}/DEEP/ALL"
        session.error(req_id, codes.NOT_SUBSCRIBED, codes.NOT_SUBSCRIBED_TEXT.format(name=name))
        return
    if venue == SMART:
        names = "; ".join(sorted(QUOTING_EXCHANGES.values()))
        session.error(req_id, codes.DEPTH_EXCHANGES, f"Exchanges - Depth: {names}; ")
    stream = DepthStream(instrument, venue, min(request.rows, levels.MAX_LEVELS))
    session.depth.add(req_id, stream)
    _show(session, req_id, stream, gateway.refresh(instrument))


def _has_book(instrument: Instrument, venue: str, *, smart: bool) -> bool:
    """Shares have books at their exchanges, and one of all of them if it is asked for as such."""
    if instrument.sec_type is SecType.STOCK:
        return smart if venue == SMART else venue in _STOCK_BOOKS
    return venue == instrument.exchange and instrument.sec_type in (
        SecType.CASH,
        SecType.FUTURE,
        SecType.CRYPTO,
    )


def cancel(gateway: "PaperGateway", session: Session, request: CancelMarketDepth) -> None:
    if not session.depth.drop(request.number):
        text = f"Can't find the subscribed market depth with tickerId:{request.number}"
        session.error(request.number, codes.UNKNOWN_DEPTH, text)


def moved(session: Session, move: "Move") -> Iterator[None]:
    """Bring the books of one instrument up to date, one in each step."""
    for req_id, stream in session.depth.of(move.instrument.con_id):
        if session.depth.get(req_id) is stream:
            _show(session, req_id, stream, move.quote)
        yield


def cut_off(session: Session, con_id: int) -> None:
    """Nothing comes from the market: once it does again, books begin anew."""
    for _, stream in session.depth.of(con_id):
        stream.is_cut_off = True


def _show(session: Session, req_id: int, stream: DepthStream, quote: MarketQuote) -> None:
    if stream.is_cut_off:
        stream.is_cut_off = False
        stream.bids, stream.asks = [], []
        session.error(req_id, codes.DEPTH_RESET, codes.DEPTH_RESET_TEXT)
    bids, asks = book(stream.instrument, stream.venue, quote, stream.rows)
    for side, before, after in ((DepthSide.BID, stream.bids, bids), (DepthSide.ASK, stream.asks, asks)):
        for position, operation, row in changes(before, after):
            session.send(_message(req_id, stream.venue, side, position, operation, row))
    stream.bids, stream.asks = bids, asks


def book(
    instrument: Instrument, venue: str, quote: MarketQuote, rows: int
) -> tuple[list[DepthRow], list[DepthRow]]:
    """Bids and asks, the best first, `rows` of each at most."""
    sides = (levels.bids(instrument, quote, rows), levels.asks(instrument, quote, rows))
    bids, asks = ([row for level in side for row in _rows(instrument, venue, level)][:rows] for side in sides)
    return bids, asks


def _rows(instrument: Instrument, venue: str, level: Level) -> list[DepthRow]:
    if venue != SMART:
        return [DepthRow(level.price, level.size, _WITH_MAKERS.get(venue, ""))]
    exchanges = [QUOTING_EXCHANGES[letter] for letter in quoting_at(level.price)]
    parts = levels.shared_out(level, exchanges, instrument.size_increment)
    return [DepthRow(level.price, size, exchange) for exchange, size in parts]


def changes(before: list[DepthRow], after: list[DepthRow]) -> Iterator[tuple[int, DepthOperation, DepthRow]]:
    """What makes one side of a book another: positions, operations and rows, in this order."""
    for position in range(len(before) - 1, len(after) - 1, -1):
        yield position, DepthOperation.DELETE, before[position]
    for position, row in enumerate(after):
        if position >= len(before):
            yield position, DepthOperation.INSERT, row
        elif row != before[position]:
            yield position, DepthOperation.UPDATE, row


def _message(
    req_id: int, venue: str, side: DepthSide, position: int, operation: DepthOperation, row: DepthRow
) -> Message:
    price, size = (row.price, row.size) if operation is not DepthOperation.DELETE else (levels.NOTHING,) * 2
    if row.maker:
        smart = venue == SMART
        return depth_row_of(req_id, position, row.maker, operation, side, price, size, smart=smart)
    return depth_row(req_id, position, operation, side, price, size)


HANDLERS: Mapping[type, Callable[..., None]] = {
    MarketDepthRequest: subscribe,
    CancelMarketDepth: cancel,
}
