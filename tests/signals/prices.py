"""Bars for the tests: prices that were real, some made ones, and ones that hypothesis makes."""

import csv
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from trademind.signals import BarArrays

DAY = 86_400
FRIDAY = 20_000 * DAY  # 2024-10-04
_START = (20_000 - 4) * DAY
SERIES = ("AAPL", "GOOG", "IBM", "MSFT", "GOOG since 2004", "EURUSD")


def _shipped(package: str, *path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)


@cache
def real(name: str) -> BarArrays:
    """One of `SERIES`: days of four shares, of one of them once more, and hours of a currency pair."""
    if name in ("GOOG since 2004", "EURUSD"):
        file = _shipped("backtesting", "test", f"{name.split()[0]}.csv")
        with file.open(newline="") as lines:
            rows = [row[:6] for row in list(csv.reader(lines))[1:]]
    else:
        with gzip.open(_shipped("bokeh_sampledata", "_data", "stocks.csv.gz"), "rt", newline="") as lines:
            rows = [row[1:7] for row in csv.reader(lines) if row[0] == name]
    seconds = [int(datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()) for row in rows]
    order = np.argsort(seconds)
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = {
        name: np.array([float(row[i]) for row in rows])[order] for i, name in enumerate(names, 1)
    }
    return BarArrays(
        symbol=name,
        bar_size="1 hour" if name == "EURUSD" else "1 day",
        time=np.array(seconds, dtype=np.int64)[order],
        **columns,
    )


def bars_of(
    closes: Sequence[float],
    *,
    volume: Sequence[float] | float = 1000.0,
    bar_size: str = "1 day",
    step: int = DAY,
    spread: float = 0.0,
    **columns: Any,
) -> BarArrays:
    """Bars that begin at the close before; `spread` above and below that is where they went."""
    close = np.array(closes, dtype=np.float64)
    opened = np.append(close[:1], close[:-1])
    return BarArrays(
        **{
            "symbol": "MADE",
            "bar_size": bar_size,
            "time": _START + step * np.arange(len(close), dtype=np.int64),
            "open": opened,
            "high": np.maximum(opened, close) + spread,
            "low": np.minimum(opened, close) - spread,
            "close": close,
            "volume": np.broadcast_to(np.array(volume, dtype=np.float64), close.shape).copy(),
            **columns,
        }
    )


def walk(count: int, *, seed: int = 1, size: float = 0.01, **more: Any) -> BarArrays:
    """Prices that go up and down by chance."""
    steps = np.random.default_rng(seed).normal(0, size, count)
    return bars_of((100 * np.exp(np.cumsum(steps))).tolist(), spread=0.1, **more)


@st.composite
def any_bars(draw: st.DrawFn, *, least: int = 60, most: int = 260) -> BarArrays:
    """Bars with what bars may have: stretches that stand still, jumps, no volume, unknown volume."""
    count = draw(st.integers(least, most))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, draw(st.sampled_from([0.001, 0.01, 0.1])), count)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, count - 1))
        moves[start : start + draw(st.integers(1, 40))] = 0.0
    closes = np.round(50 * np.exp(np.cumsum(moves)), draw(st.integers(1, 6))) + 0.1
    volume = rng.integers(0, 1000, count).astype(np.float64)
    volume[rng.random(count) < draw(st.sampled_from([0.0, 0.05, 1.0]))] = np.nan
    volume[rng.random(count) < draw(st.sampled_from([0.0, 0.3]))] = 0.0
    return bars_of(closes.tolist(), volume=volume.tolist(), spread=draw(st.sampled_from([0.0, 0.05])))
