"""Bars and strategies for tests of the backtest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from trademind.domain.signals import Action, Signal
from trademind.signals.bars import BarArrays, Floats

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""A Monday, half past nine in New York."""
MINUTE = timedelta(minutes=1)

Row = tuple[float, float, float, float]
"""Open, high, low, close."""


def bars_of(
    rows: Sequence[Row],
    *,
    symbol: str = "TEST",
    bar_size: str = "1 min",
    start: datetime = START,
    step: timedelta = MINUTE,
    volume: float = 1000.0,
) -> BarArrays:
    """Bars as written down, one after the other."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    begins = int(start.timestamp()) + np.arange(len(table), dtype=np.int64) * int(step.total_seconds())
    return BarArrays(
        symbol=symbol,
        bar_size=bar_size,
        time=begins,
        open=table[:, 0],
        high=table[:, 1],
        low=table[:, 2],
        close=table[:, 3],
        volume=np.full(len(table), volume),
    )


def walk(count: int, seed: int, *, symbol: str = "TEST", swing: float = 0.01, **more: Any) -> BarArrays:
    """A random walk in cents, with gaps between its bars."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(rng.normal(0, swing, count).cumsum())
    begin = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0, swing / 3, count))
    high = np.maximum(begin, close) * np.exp(np.abs(rng.normal(0, swing / 2, count)))
    low = np.minimum(begin, close) * np.exp(-np.abs(rng.normal(0, swing / 2, count)))
    rows = np.round(np.stack((begin, high, low, close), axis=1), 2)
    return bars_of([(row[0], row[1], row[2], row[3]) for row in rows.tolist()], symbol=symbol, **more)


def signal(bars: BarArrays, index: int, action: Action, **more: Any) -> Signal:
    return Signal(
        strategy="test",
        symbol=bars.symbol,
        con_id=bars.con_id,
        action=action,
        strength=1.0,
        confidence=1.0,
        bar_size=bars.bar_size,
        bar_time=bars.moment(index),
        index=index,
        reasons=(),
        entry=float(bars.close[index]),
        **more,
    )


@dataclass(frozen=True)
class Scripted:
    """Signals by symbol, then by bar: an action, or an action and what else a signal has."""

    script: Mapping[str, Mapping[int, Action | tuple[Action, Mapping[str, Any]]]]
    name: str = "scripted"

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        found = []
        for index, what in self.script.get(bars.symbol, {}).items():
            action, more = what if isinstance(what, tuple) else (what, {})
            if index < len(bars):
                found.append(signal(bars, index, action, **more))
        return found


@dataclass(frozen=True)
class Crossover:
    """Long while the fast average is above the slow one, short while it is below; perhaps with exits, as
    fractions of the price."""

    fast: int = 5
    slow: int = 20
    stop: float | None = None
    target: float | None = None
    name: str = field(default="crossover")

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        is_above = average(bars.close, self.fast) > average(bars.close, self.slow)
        found = []
        for index in np.flatnonzero(np.diff(is_above[self.slow - 1 :].astype(int))) + self.slow:
            action = Action.BUY if is_above[index] else Action.SELL
            sign, price = (1 if action is Action.BUY else -1), float(bars.close[index])
            found.append(
                signal(
                    bars,
                    int(index),
                    action,
                    stop=None if self.stop is None else round(price * (1 - sign * self.stop), 2),
                    target=None if self.target is None else round(price * (1 + sign * self.target), 2),
                )
            )
        return found


def average(values: Floats, length: int) -> Floats:
    """The mean of the last values; nan while there are not enough."""
    sums = np.concatenate(([0.0], values.cumsum()))
    found = np.full(len(values), np.nan)
    found[length - 1 :] = (sums[length:] - sums[:-length]) / length
    return found


def shipped(package: str, *path: str) -> Path:
    """A file of an installed package."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)


GOOG = shipped("backtesting", "test", "GOOG.csv")
EURUSD = shipped("backtesting", "test", "EURUSD.csv")
