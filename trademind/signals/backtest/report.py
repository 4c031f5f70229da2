"""What a backtest has found, as a tree of plain data, which is also its JSON.

In JSON money, prices of orders and quantities are strings, exact; figures and curves are numbers; what is not
known is null. Curves are thinned to what a screen can show.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trademind.signals.backtest.statistics import Activity, Comparison, Drawdown, Performance, TradeFigures
from trademind.signals.backtest.trades import Trade
from trademind.signals.backtest.venue import Refusal
from trademind.signals.bars import Floats

MAX_POINTS: Final = 2000
"""Of a curve, about two for each column of a screen."""
MAX_LISTED: Final = 10_000
"""Trades and refusals in JSON: the first ones; the figures are of all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What there was at the close of each bar; all columns are equally long."""

    time: NDArray[np.int64]
    """Beginnings of the bars, in seconds since 1970."""
    equity: Floats
    benchmark: Floats
    """Of the account that bought everything at the first open, in equal parts and at no cost, and held it."""
    prices: Mapping[str, Floats]
    """Closes by symbol; nan before its first bar."""

    @property
    def underwater(self) -> Floats:
        """How far the equity is below the highest it had been, as a fraction of that; zero or below."""
        return self.equity / np.maximum.accumulate(self.equity) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a backtest."""

    strategy: str
    symbols: tuple[str, ...]
    bar_size: str
    bars: int
    """Moments at which there was a bar, of whatever symbol."""
    start: datetime
    """Of the first bar that was traded, and `end` of the last one: where they begin."""
    end: datetime
    bars_per_year: float
    opening: Decimal
    final_equity: Decimal
    """As the engine's books have it, everything at its last close."""
    signals: int
    """That the strategy gave in that time."""
    performance: Performance
    benchmark: Performance
    comparison: Comparison
    activity: Activity
    trade_figures: TradeFigures
    trades: tuple[Trade, ...]
    """As they were closed; those that are still open at the end."""
    refusals: tuple[Refusal, ...]
    """Orders that the engine did not take, as it does not where the margin is missing."""
    notes: tuple[str, ...]
    """What a reader has to know beside the figures."""
    curves: Curves = field(repr=False, compare=False)

    def moment(self, bar: int) -> datetime:
        """When a bar of the curves begins; -1 is the first one's, as in `Drawdown.peak`."""
        return moment_of(self.curves.time, bar)

    def to_json(self) -> dict[str, Any]:
        """The whole report, ready for `json.dumps`."""
        return {
            "strategy": self.strategy,
            "symbols": list(self.symbols),
            "bar_size": self.bar_size,
            "bars": self.bars,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "bars_per_year": self.bars_per_year,
            "opening": _money(self.opening),
            "final_equity": _money(self.final_equity),
            "signals": self.signals,
            "performance": performance_json(self.performance, self.curves.time),
            "benchmark": performance_json(self.benchmark, self.curves.time),
            "comparison": asdict(self.comparison),
            "activity": asdict(self.activity),
            "trade_figures": asdict(self.trade_figures),
            "trades": [_plain(each) for each in self.trades[:MAX_LISTED]],
            "refusals": [_plain(each._asdict()) for each in self.refusals[:MAX_LISTED]],
            "notes": list(self.notes),
            "curves": self._curves(),
        }

    def _curves(self) -> dict[str, Any]:
        chosen = thinned(self.curves.equity)
        return {
            "time": [self.moment(each).isoformat() for each in chosen],
            "equity": numbers(self.curves.equity[chosen]),
            "benchmark": numbers(self.curves.benchmark[chosen]),
            "underwater": numbers(self.curves.underwater[chosen]),
            "prices": {name: numbers(each[chosen]) for name, each in self.curves.prices.items()},
        }


def moment_of(time: NDArray[np.int64], bar: int) -> datetime:
    """When a bar begins; -1 is the first one's."""
    return datetime.fromtimestamp(int(time[max(bar, 0)]), UTC)


def performance_json(performance: Performance, time: NDArray[np.int64]) -> dict[str, Any]:
    """Figures, with the dates of their drawdowns."""
    found = asdict(performance)
    for name in ("max_drawdown", "longest_drawdown"):
        found[name] = _drawdown(getattr(performance, name), time)
    return found


def _drawdown(drawdown: Drawdown | None, time: NDArray[np.int64]) -> dict[str, Any] | None:
    if drawdown is None:
        return None
    recovery = drawdown.recovery
    return {
        "depth": drawdown.depth,
        "bars": drawdown.bars(len(time)),
        "peak": moment_of(time, drawdown.peak).isoformat(),
        "trough": moment_of(time, drawdown.trough).isoformat(),
        "recovery": None if recovery is None else moment_of(time, recovery).isoformat(),
    }


def thinned(values: Floats, most: int = MAX_POINTS) -> NDArray[np.int64]:
    """The places of at most `most` values that draw the same line: of each stretch its first, lowest,
    highest and last one; the very last is always among them."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, most // 4 + 1).astype(np.int64)
    chosen: set[int] = set()
    for begin, end in pairwise(edges):
        stretch = values[begin:end]
        # nan, where there is no price yet, is neither.
        filled = stretch if np.isfinite(stretch).all() else np.nan_to_num(stretch)
        low, high = int(filled.argmin()), int(filled.argmax())
        chosen |= {int(begin), int(begin) + low, int(begin) + high, int(end) - 1}
    return np.array(sorted(chosen))


def _plain(record: Trade | dict[str, Any]) -> dict[str, Any]:
    items = asdict(record) if isinstance(record, Trade) else record
    return {name: _value(each) for name, each in items.items()}


def _value(value: Any) -> Any:
    match value:
        case Decimal():
            return _money(value)
        case datetime():
            return value.isoformat()
        case str():
            return str(value)
    return value


def _money(value: Decimal) -> str:
    return f"{value:f}"


def numbers(values: Floats) -> list[float | None]:
    """A curve as JSON has it."""
    return [float(each) if np.isfinite(each) else None for each in values]
