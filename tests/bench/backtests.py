"""Bars per second of whole backtests: signals, simulation on the engine, and all figures."""

import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from tests.bench.signals import bars
from trademind.signals import strategy
from trademind.signals.backtest import BacktestSettings, FixedQuantity, run_backtest

SETTINGS: Final = BacktestSettings(cash=Decimal(10_000_000), sizing=FixedQuantity(Decimal(100)))
"""Enough that chance does not use it up, and every signal is traded to the end."""


class Speed(NamedTuple):
    """How one backtest went."""

    bars_per_second: float
    seconds: float
    trades: int


def speed_of(name: str, count: int) -> Speed:
    """A built-in strategy with its defaults, over so many minutes of one symbol."""
    minutes = bars(count, bar_size="1 min", seconds=60)
    one = strategy(name)
    start = time.perf_counter()
    report = run_backtest(one, {minutes.symbol: minutes}, SETTINGS)
    took = time.perf_counter() - start
    return Speed(count / took, took, len(report.trades))


def table(names: Iterable[str], count: int, rounds: int) -> str:
    """The best of some rounds of each, in Markdown."""
    lines = ["| strategy | bars/s | s | trades |", "| --- | ---: | ---: | ---: |"]
    for name in names:
        best = max(speed_of(name, count) for _ in range(rounds))
        lines.append(f"| `{name}` | {best.bars_per_second:,.0f} | {best.seconds:.2f} | {best.trades:,} |")
    return "\n".join(lines)
