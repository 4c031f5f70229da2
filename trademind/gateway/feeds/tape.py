"""A recorded market of one instrument: rows of bars or ticks, in arrays, and what happened when.

A bar's row is a path: from its open to its low, its high and its close when it ends higher than it began, and
to the high first when it ends lower, each in a third of its time and in straight lines; its volume is spread
evenly. A tick's row is a moment. So any stretch of time, of any length, is one well-defined bar, stretches
add up exactly, and the price at a moment is the close of everything before it. Between two rows the market
stands still.

Times are whole microseconds since the epoch, prices are rounded to whole ticks of the instrument when they
are read out, volumes are whole.
"""

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Final, NamedTuple

from trademind.gateway.feeds.path import TickBar, aggregate

SECOND: Final = 1_000_000
"""In microseconds."""
_THIRD: Final = 1 / 3


def _prices() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Rows:
    """What was read for one symbol, oldest first.

    All columns are equally long; the four of prices are one and the same array when the rows are ticks.
    """

    times: "array[int]" = field(default_factory=lambda: array("q"))
    opens: "array[float]" = field(default_factory=_prices)
    highs: "array[float]" = field(default_factory=_prices)
    lows: "array[float]" = field(default_factory=_prices)
    closes: "array[float]" = field(default_factory=_prices)
    volumes: "array[int]" = field(default_factory=lambda: array("q"))
    bids: "array[float]" = field(default_factory=_prices)
    asks: "array[float]" = field(default_factory=_prices)
    bid_sizes: "array[int]" = field(default_factory=lambda: array("q"))
    ask_sizes: "array[int]" = field(default_factory=lambda: array("q"))
    """The last four are empty for bars, and for ticks of trades only."""
    are_ticks: bool = False
    are_dates: bool = True
    """Whether all times are midnights, that is, days without a time of day."""

    def __len__(self) -> int:
        return len(self.times)

    def usual_gap(self) -> int:
        """The most frequent distance between two rows; a day when there is only one."""
        gaps = Counter(after - before for before, after in islice(pairwise(self.times), 10_000))
        return gaps.most_common(1)[0][0] if gaps else 86_400 * SECOND


class Offer(NamedTuple):
    """What was offered when a tick was recorded, in ticks and whole units."""

    bid: int
    ask: int
    bid_size: int
    ask_size: int


class Tape:
    """The rows of one instrument.

    Args:
        rows: At least one.
        length: How long each bar lasts, unless the next one begins before; 0 for ticks.
        tick: The instrument's price increment.
        lot: How many units a trade is counted as, in the number of trades.
    """

    def __init__(self, rows: Rows, *, length: int, tick: float, lot: int) -> None:
        self._rows = rows
        self._length = length
        self._tick = tick
        self._lot = lot
        self._day: tuple[int, int, TickBar | None] = (-1, 0, None)
        """Where a day began, up to which row it has been aggregated, and to what."""

    @property
    def start(self) -> int:
        """When the first row begins."""
        return self._rows.times[0]

    @property
    def end(self) -> int:
        """When the last row is over."""
        return self._end(len(self._rows) - 1)

    def last_price(self, at: int) -> int:
        """In ticks: that of the last thing that happened before `at`; the first open before all."""
        index = bisect_left(self._rows.times, at) - 1
        if index < 0:
            return self._ticks(self._rows.opens[0])
        return self._price(index, self._share(index, at))

    def changed(self, at: int) -> int:
        """When the market last moved, up to `at`."""
        index = bisect_left(self._rows.times, at) - 1
        return self.start if index < 0 else min(at, self._end(index))

    def is_moving(self, start: int, end: int) -> bool:
        """Whether anything happens in [start, end)."""
        first, beyond = self._span(start, end)
        return first < beyond

    def next_start(self, at: int) -> int | None:
        """When the first row from `at` on begins; None when there is none."""
        index = bisect_left(self._rows.times, at)
        return self._rows.times[index] if index < len(self._rows) else None

    def stretch(self, start: int, end: int) -> TickBar | None:
        """What happens in [start, end); None when nothing does."""
        first, beyond = self._span(start, end)
        if first >= beyond:
            return None
        if beyond - first == 1:
            return self._part(first, start, end)
        parts = [self._part(first, start, end)]
        if first + 1 < beyond - 1:
            parts.append(self._whole(first + 1, beyond - 1))
        parts.append(self._part(beyond - 1, start, end))
        return aggregate(parts)

    def since(self, midnight: int, at: int) -> TickBar | None:
        """As `stretch`, for a day that goes on: rows that are over are looked at once."""
        first, beyond = self._span(midnight, at)
        if first >= beyond:
            return None
        if self._rows.times[first] < midnight:
            return self.stretch(midnight, at)
        day, upto, before = self._day
        if day != midnight or upto >= beyond:
            day, upto, before = midnight, first, None
        last = beyond - 1
        if upto < last:
            more = self._whole(upto, last)
            before = more if before is None else aggregate((before, more))
            self._day = (midnight, last, before)
        part = self._part(last, midnight, at)
        return part if before is None else aggregate((before, part))

    def offer(self, at: int) -> Offer | None:
        """The recorded bid and ask; None when the rows have none."""
        rows = self._rows
        if not rows.bids:
            return None
        index = max(0, bisect_left(rows.times, at) - 1)
        return Offer(
            self._ticks(rows.bids[index]),
            self._ticks(rows.asks[index]),
            rows.bid_sizes[index],
            rows.ask_sizes[index],
        )

    def row_volume(self, at: int) -> int:
        """Of the row that `at` falls into or follows."""
        return self._rows.volumes[max(0, bisect_left(self._rows.times, at) - 1)]

    # Rows

    def _end(self, index: int) -> int:
        """When a row is over; a tick is over as soon as it has happened."""
        times = self._rows.times
        end = times[index] + self._length
        return min(end, times[index + 1]) if index + 1 < len(times) else end

    def _span(self, start: int, end: int) -> tuple[int, int]:
        """The rows [first, beyond) of which something happens in [start, end)."""
        times = self._rows.times
        first = bisect_left(times, start)
        if first and self._length and self._end(first - 1) > start:
            first -= 1
        return first, bisect_left(times, end)

    def _share(self, index: int, at: int) -> float:
        """How much of a row has passed."""
        if not self._length:
            return 1.0
        begin = self._rows.times[index]
        end = self._end(index)
        return min(1.0, max(0.0, (at - begin) / (end - begin)))

    def _ticks(self, price: float) -> int:
        return max(1, round(price / self._tick))

    def _turns(self, index: int) -> tuple[float, float, float, float]:
        rows = self._rows
        begin, end = rows.opens[index], rows.closes[index]
        low, high = rows.lows[index], rows.highs[index]
        return (begin, low, high, end) if end >= begin else (begin, high, low, end)

    def _price(self, index: int, share: float) -> int:
        if share >= 1:
            return self._ticks(self._rows.closes[index])
        turns = self._turns(index)
        leg = min(2, int(share / _THIRD))
        within = share / _THIRD - leg
        return self._ticks(turns[leg] + (turns[leg + 1] - turns[leg]) * within)

    def _part(self, index: int, start: int, end: int) -> TickBar:
        """A row as far as it lies in [start, end)."""
        begins, ends = self._share(index, start), self._share(index, end)
        if not self._length or (begins <= 0 and ends >= 1):
            return self._whole(index, index + 1)
        first, last = self._price(index, begins), self._price(index, ends)
        prices = [first, last]
        turns = self._turns(index)
        prices += [self._ticks(turns[leg]) for leg in (1, 2) if begins <= leg * _THIRD <= ends]
        volume = self._rows.volumes[index]
        upto, before = int(volume * ends), int(volume * begins)
        trades = self._trades(upto) - self._trades(before)
        return TickBar(first, max(prices), min(prices), last, upto - before, trades)

    def _whole(self, first: int, beyond: int) -> TickBar:
        """Some whole rows, at least one."""
        rows, rows_of = self._rows, slice(first, beyond)
        volumes = rows.volumes[rows_of]
        return TickBar(
            self._ticks(rows.opens[first]),
            self._ticks(max(rows.highs[rows_of])),
            self._ticks(min(rows.lows[rows_of])),
            self._ticks(rows.closes[beyond - 1]),
            sum(volumes),
            beyond - first if self._rows.are_ticks else sum(map(self._trades, volumes)),
        )

    def _trades(self, volume: int) -> int:
        return -(-volume // self._lot)
