"""Bars per second of whole backtests: signals, simulation on the engine, and all figures."""

import time
from decimal import Decimal
from typing import Final, NamedTuple

from tests.bench.report import rounds, show
from tests.bench.signals import bars, minutes_of_years
from trademind.signals import BUILT_IN, strategy
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


async def table(quick: bool) -> None:
    count = minutes_of_years(quick)
    rows = []
    for name in BUILT_IN:
        best = max(speed_of(name, count) for _ in range(rounds(quick)))
        rows.append((name, f"{best.bars_per_second:,.0f}", f"{best.seconds:.2f}", f"{best.trades:,}"))
    show(
        f"Backtests of {count:,} bars of a minute, signals and all figures included",
        ("strategy", "bars/s", "s", "trades"),
        rows,
    )
