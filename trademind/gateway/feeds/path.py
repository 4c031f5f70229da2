"""A price path that is known at every scale at once.

A bar is split into the bars it is made of, those again, and so on: from the top down, so that any stretch of
any size can be had without computing what came before it, and every bar is exactly the aggregate of its
parts. Prices are whole numbers of ticks and volumes whole shares, so "exactly" needs no tolerance.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple


class TickBar(NamedTuple):
    """A bar in whole ticks and shares."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int


def aggregate(bars: Iterable[TickBar]) -> TickBar:
    """The one bar that a run of consecutive bars makes.

    Raises:
        ValueError: there are none.
    """
    opens, highs, lows, closes, volumes, trades = zip(*bars, strict=True)
    return TickBar(opens[0], max(highs), min(lows), closes[-1], sum(volumes), sum(trades))


def split(
    bar: TickBar, weights: Sequence[float], rng: Random, moves: Sequence[float] | None = None
) -> list[TickBar]:
    """Split a bar into `len(weights)` bars whose aggregate it is.

    The path between open and close is a Brownian bridge whose excursions above and below are stretched so
    that they touch the high and the low. Each part opens where the one before closed.

    Args:
        weights: The share of the activity that falls into each part; their sum is above zero.
        rng: Decides the path; the same state gives the same path.
        moves: The share of the variance of the price that falls into each part; the same for all, unless
            given. All are above zero.
    """
    count = len(weights)
    clock = [1.0] * count if moves is None else _own_time(moves)
    closes = _bridge(bar, clock, rng)
    opens = [bar.open, *closes[:-1]]
    # Parts wander a little beyond their own open and close, by about their share of the whole range.
    random, high, low = rng.random, bar.high, bar.low
    reach = (high - low) / (2 * count**0.5)
    highs: list[int] = []
    lows: list[int] = []
    for begin, end, passed in zip(opens, closes, clock, strict=True):
        upper, lower = (begin, end) if begin > end else (end, begin)
        own = reach * passed
        upper += int(random() * own)
        lower -= int(random() * own)
        highs.append(upper if upper < high else high)
        lows.append(lower if lower > low else low)
    # Somebody must touch the extremes: the part that came nearest.
    highs[highs.index(max(highs))] = high
    lows[lows.index(min(lows))] = low
    bounds = list(accumulate([weight * (0.5 + random()) for weight in weights]))
    volumes, trades = _shares(bar.volume, bounds), _shares(bar.trades, bounds)
    return list(map(TickBar, opens, highs, lows, closes, volumes, trades))


def _own_time(moves: Sequence[float]) -> list[float]:
    """The deviation of each part's move, where that of a part with the average share is one."""
    scale = len(moves) / sum(moves)
    return [(each * scale) ** 0.5 for each in moves]


def _bridge(bar: TickBar, deviations: Sequence[float], rng: Random) -> list[int]:
    """A point for each of `deviations` after the open, ending at the close, within high and low."""
    random, count = rng.random, len(deviations)
    walk = list(accumulate([(random() - 0.5) * each for each in deviations]))
    # Steps are uniform: over a few dozen of them the path looks the same as with normal ones, and their
    # scale does not matter, since the bridge takes out the drift and the stretch sets the scale.
    begin, end, high, low = bar.open, bar.close, bar.high, bar.low
    span = max(1.0, 3.5 * (high - low) / count**0.5)
    drift = (end - begin - walk[-1] * span) / count
    passed = accumulate([each * each for each in deviations])
    path = [begin + each * span + drift * time for time, each in zip(passed, walk, strict=True)]
    top, bottom = (begin, end) if begin > end else (end, begin)
    peak, trough = max(path), min(path)
    up = (high - top) / (peak - top) if peak > top else 0.0
    down = (bottom - low) / (bottom - trough) if trough < bottom else 0.0
    points = [
        round(top + (each - top) * up)
        if each > top
        else round(bottom - (bottom - each) * down)
        if each < bottom
        else round(each)
        for each in path
    ]
    points[-1] = end
    return points


def _shares(total: int, bounds: Sequence[float]) -> list[int]:
    """Whole numbers that sum to `total`, spread as the running sums `bounds` say."""
    scale = total / bounds[-1]
    # Rounding the running sum, not the parts, makes the parts add up.
    marks = [int(bound * scale) for bound in bounds]
    marks[-1] = total
    return [mark - before for before, mark in zip([0, *marks[:-1]], marks, strict=True)]
