"""The order book behind a quote: who quotes how much at which price, level by level.

Strategy: the best level is the quote itself. Behind it sizes are a hash of instrument, side, price and
minute, so that the same market has the same book, and a level that comes nearer stays what it was. A level's
size is shared out among the exchanges that quote there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from zlib import crc32

from trademind.gateway.engine.model import Instrument, MarketQuote

MAX_LEVELS: Final = 60
"""Levels of one side; more than any client asks for."""
NOTHING: Final = Decimal(0)
_SIZES: Final = 8
"""Levels behind the best have up to so many times the usual size."""


@dataclass(frozen=True, slots=True)
class Level:
    price: Decimal
    size: Decimal


def bids(instrument: Instrument, quote: MarketQuote, count: int) -> list[Level]:
    """The best `count` levels to sell to, the highest first; fewer where prices end."""
    return list(_levels(instrument, quote, count, quote.bid, quote.bid_size, -instrument.min_tick))


def asks(instrument: Instrument, quote: MarketQuote, count: int) -> list[Level]:
    """The best `count` levels to buy from, the lowest first."""
    return list(_levels(instrument, quote, count, quote.ask, quote.ask_size, instrument.min_tick))


def _levels(
    instrument: Instrument, quote: MarketQuote, count: int, best: Decimal, size: Decimal, step: Decimal
) -> Iterator[Level]:
    if best <= 0 or size <= 0:
        return
    yield Level(best, size)
    unit = max(instrument.size_increment, min(quote.bid_size, quote.ask_size))
    minute = int(quote.time.timestamp()) // 60
    price = best
    for _ in range(min(count, MAX_LEVELS) - 1):
        price += step
        if price <= 0:
            return
        noise = crc32(f"{instrument.con_id}:{step > 0}:{price}:{minute}".encode())
        yield Level(price, unit * (1 + noise % _SIZES))


def shared_out(level: Level, venues: Sequence[str], increment: Decimal) -> list[tuple[str, Decimal]]:
    """How much of a level each of some venues quotes; those for whom nothing is left are left out."""
    whole = level.size // increment
    base, rest = divmod(whole, len(venues))
    parts = [(venue, (base + (1 if number < rest else 0)) * increment) for number, venue in enumerate(venues)]
    return [(venue, size) for venue, size in parts if size]
