"""Bars per second that strategies make signals of: of many bars at once, and of few bars of many symbols."""

import time

import numpy as np

from tests.bench.report import rounds, show
from trademind.signals import BUILT_IN, BarArrays, Outcome, evaluate, strategy

SYMBOLS = 500
DAYS = 250


def minutes_of_years(quick: bool) -> int:
    """Minutes of ten years of regular trading."""
    return 20_000 if quick else 982_800


async def table(quick: bool) -> None:
    count, rows = minutes_of_years(quick), []
    for name in BUILT_IN:
        rate, made = max(bars_per_second(name, count) for _ in range(rounds(quick)))
        scan = min(scan_seconds(name) for _ in range(rounds(quick)))
        rows.append((name, f"{rate:,.0f}", f"{made:,}", f"{1000 * scan:,.0f}"))
    show(
        f"Signals of {count:,} bars of a minute; and of {DAYS} days of {SYMBOLS} symbols each",
        ("strategy", "bars/s", "signals", "symbols, ms"),
        rows,
    )


def bars(count: int, *, bar_size: str, seconds: int, seed: int = 1) -> BarArrays:
    """Prices that go up and down by chance."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, count)))
    opened = close * (1 + rng.normal(0, 0.0003, count))
    return BarArrays(
        symbol="MADE",
        bar_size=bar_size,
        time=1_500_000_000 // seconds * seconds + seconds * np.arange(count, dtype=np.int64),
        open=opened,
        high=np.maximum(opened, close) * 1.0004,
        low=np.minimum(opened, close) * 0.9996,
        close=close,
        volume=rng.integers(1, 1000, count).astype(np.float64),
    )


def bars_per_second(name: str, count: int) -> tuple[float, int]:
    """Signals of minutes, all at once, as a backtest wants them: bars/s, and how many signals there were."""
    minutes = bars(count, bar_size="1 min", seconds=60)
    one = strategy(name)
    start = time.perf_counter()
    signals = one.on_bars(minutes)
    return count / (time.perf_counter() - start), len(signals)


def scan_seconds(name: str) -> float:
    """How some hundred symbols stand after a year of days, one after the other."""
    symbols = [bars(DAYS, bar_size="1 day", seconds=86_400, seed=seed) for seed in range(SYMBOLS)]
    one = strategy(name)
    start = time.perf_counter()
    for symbol in symbols:
        if evaluate(one, symbol).outcome is not Outcome.DONE:
            raise RuntimeError("a symbol has no result")
    return time.perf_counter() - start
