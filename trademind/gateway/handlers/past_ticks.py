"""Ticks of the past, made of bars of one second: together they are what the bars say.

Within a second the price goes from the open over low and high, or high and low, to the close, and its volume
is spread over the trades. A price that moves in a second without volume is told by trades that are not
reported, which have no size. Everything that chance decides is seeded by instrument and second.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate, groupby
from random import Random

from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers.bar_kinds import half_spread

_LOT = 100
_MOST_LOTS = 20


@dataclass(frozen=True, slots=True)
class Trade:
    second: int
    """Since 1970."""
    price: Decimal
    size: Decimal
    """0 for a trade that is not reported."""


@dataclass(frozen=True, slots=True)
class PastQuote:
    second: int
    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


@dataclass(frozen=True, slots=True)
class Midpoint:
    second: int
    price: Decimal


def trades(instrument: Instrument, bar: FeedBar) -> list[Trade]:
    """The trades of a bar of one second."""
    path = _path(bar)
    if not bar.count and not bar.volume and len(path) == 1:
        return []
    second = int(bar.start.timestamp())
    rng = Random(f"{instrument.con_id}:{second}:trades")
    # What is traded beyond the corners of the path is traded at one of them, next to it.
    extra = max(0, bar.count - len(path))
    corners = sorted([*range(len(path)), *(rng.randrange(len(path)) for _ in range(extra))])
    shares = _shares(int(bar.volume), [0.5 + rng.random() for _ in corners])
    return [Trade(second, path[corner], Decimal(size)) for corner, size in zip(corners, shares, strict=True)]


def quotes(instrument: Instrument, bar: FeedBar, *, ignore_size: bool) -> list[PastQuote]:
    """The quotes of a bar of one second; without `ignore_size` also one of which only the sizes change."""
    second = int(bar.start.timestamp())
    rng = Random(f"{instrument.con_id}:{second}:quotes")
    half = half_spread(instrument)
    path = _path(bar)
    if not ignore_size:
        path.append(path[-1])
    return [PastQuote(second, price - half, price + half, _size(rng), _size(rng)) for price in path]


def midpoints(bar: FeedBar) -> list[Midpoint]:
    second = int(bar.start.timestamp())
    return [Midpoint(second, price) for price in _path(bar)]


def changes(ticks: Iterable[Midpoint]) -> Iterator[Midpoint]:
    """Leaves out what says the same as the one before."""
    return (next(group) for _, group in groupby(ticks, key=lambda tick: tick.price))


def _path(bar: FeedBar) -> list[Decimal]:
    """The corners of the price's way: no two neighbours are the same."""
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    return [price for price, _ in groupby((bar.open, first, second, bar.close))]


def _shares(total: int, weights: list[float]) -> list[int]:
    """Whole numbers by weight that sum to `total`."""
    bounds = list(accumulate(weights))
    marks = [int(total * bound / bounds[-1]) for bound in bounds]
    marks[-1] = total
    return [mark - before for before, mark in zip([0, *marks[:-1]], marks, strict=True)]


def _size(rng: Random) -> Decimal:
    return Decimal(_LOT * rng.randint(1, _MOST_LOTS))
