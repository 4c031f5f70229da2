"""The ticks that tell of a quote: all of it to begin with, afterwards what has changed."""

from decimal import Decimal
from typing import Final, NamedTuple
from zlib import crc32

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.wire.ticks import (
    Tick,
    TickBytes,
    TickFrames,
    generic_tick,
    price_tick,
    size_tick,
    string_tick,
)


class _Kinds(NamedTuple):
    """What the ticks of live or of delayed data are called."""

    bid: Tick
    bid_size: Tick
    ask: Tick
    ask_size: Tick
    last: Tick
    last_size: Tick
    volume: Tick
    timestamp: Tick
    open: Tick
    high: Tick
    low: Tick
    close: Tick
    halted: Tick


_LIVE: Final = _Kinds(
    Tick.BID, Tick.BID_SIZE, Tick.ASK, Tick.ASK_SIZE, Tick.LAST, Tick.LAST_SIZE, Tick.VOLUME,
    Tick.LAST_TIMESTAMP, Tick.OPEN, Tick.HIGH, Tick.LOW, Tick.CLOSE, Tick.HALTED,
)  # fmt: skip
_DELAYED: Final = _Kinds(
    Tick.DELAYED_BID, Tick.DELAYED_BID_SIZE, Tick.DELAYED_ASK, Tick.DELAYED_ASK_SIZE, Tick.DELAYED_LAST,
    Tick.DELAYED_LAST_SIZE, Tick.DELAYED_VOLUME, Tick.DELAYED_LAST_TIMESTAMP, Tick.DELAYED_OPEN,
    Tick.DELAYED_HIGH, Tick.DELAYED_LOW, Tick.DELAYED_CLOSE, Tick.DELAYED_HALTED,
)  # fmt: skip

QUOTING_EXCHANGES: Final = {
    "K": "EDGX", "N": "NYSE", "P": "ARCA", "Q": "NASDAQ", "V": "IEX", "Z": "BATS",
}  # fmt: skip
"""The exchanges that quote every US stock, by their letters on the consolidated tape."""
_LETTERS: Final = "".join(QUOTING_EXCHANGES)
_QUOTING: Final = tuple(
    "".join(letter for bit, letter in enumerate(_LETTERS) if chosen >> bit & 1)
    for chosen in range(1, 1 << len(_LETTERS))
)
_NOT_HALTED: Final = Decimal(0)


def quote_ticks(
    instrument: Instrument, before: MarketQuote | None, quote: MarketQuote, *, delayed: bool = False
) -> list[TickBytes]:
    """The ticks that lead from one quote to the next; from None, all of them.

    Exchanges are told of live quotes of US stocks only.
    """
    kinds = _DELAYED if delayed else _LIVE
    has_tape = not delayed and instrument.exchange == "SMART" and instrument.sec_type is SecType.STOCK
    ticks: list[TickBytes] = []
    if before is None or before.bid != quote.bid:
        ticks.append(price_tick(kinds.bid, quote.bid, quote.bid_size))
        if has_tape:
            ticks.append(string_tick(Tick.BID_EXCHANGE, quoting_at(quote.bid)))
    elif before.bid_size != quote.bid_size:
        ticks.append(size_tick(kinds.bid_size, quote.bid_size))
    if before is None or before.ask != quote.ask:
        ticks.append(price_tick(kinds.ask, quote.ask, quote.ask_size))
        if has_tape:
            ticks.append(string_tick(Tick.ASK_EXCHANGE, quoting_at(quote.ask)))
    elif before.ask_size != quote.ask_size:
        ticks.append(size_tick(kinds.ask_size, quote.ask_size))
    traded = before is None or before.last != quote.last
    if traded:
        ticks.append(price_tick(kinds.last, quote.last, quote.last_size))
        if has_tape:
            ticks.append(string_tick(Tick.LAST_EXCHANGE, traded_at(quote)))
    elif before is not None and before.last_size != quote.last_size:
        ticks.append(size_tick(kinds.last_size, quote.last_size))
        traded = True
    if before is None or before.volume != quote.volume:
        ticks.append(size_tick(kinds.volume, quote.volume))
        traded = True
    if traded:
        ticks.append(string_tick(kinds.timestamp, str(int(quote.time.timestamp()))))
    if before is None:
        ticks.append(generic_tick(kinds.halted, _NOT_HALTED))
    if before is None or before.open != quote.open:
        ticks.append(price_tick(kinds.open, quote.open))
    if before is None or before.high != quote.high:
        ticks.append(price_tick(kinds.high, quote.high))
    if before is None or before.low != quote.low:
        ticks.append(price_tick(kinds.low, quote.low))
    if before is None or before.close != quote.close:
        ticks.append(price_tick(kinds.close, quote.close))
    return ticks


def quoting_at(price: Decimal) -> str:
    """The exchanges that quote at a price, as letters of the tape; the same whenever it comes back."""
    return _QUOTING[crc32(str(price).encode()) % len(_QUOTING)]


def traded_at(quote: MarketQuote) -> str:
    """The letter of the exchange of the last trade."""
    return _LETTERS[crc32(str(quote.last).encode()) % len(_LETTERS)]


class QuoteFrames:
    """The ticks of one quote, laid out once for all subscriptions that have seen the same one before it."""

    _KEPT: Final = 4
    """Nearly all subscriptions have seen the last quote; who has not costs as much as if alone."""

    def __init__(self, instrument: Instrument, quote: MarketQuote, *, delayed: bool = False) -> None:
        self.quote = quote
        self._instrument = instrument
        self._delayed = delayed
        self._made: list[tuple[MarketQuote | None, TickFrames]] = []

    def since(self, before: MarketQuote | None) -> TickFrames:
        for known, frames in self._made:
            if known is before:
                return frames
        frames = TickFrames(quote_ticks(self._instrument, before, self.quote, delayed=self._delayed))
        self._made.insert(0, (before, frames))
        del self._made[self._KEPT :]
        return frames
