"""What a strategy would have been worth: parameters chosen on one stretch of prices and traded on the next.

    python examples/backtest.py prices.csv report.html

The file has the columns date, open, high, low, close and volume; docs/backtests.md says what else it may be.
"""

import sys
from functools import partial
from pathlib import Path

from trademind.signals import strategy
from trademind.signals.backtest import read_bars, render, run_backtest, walk_forward


def main(prices: Path, page: Path) -> None:
    bars = read_bars(prices)
    report = run_backtest(strategy("ma_crossover"), bars)
    page.write_text(render(report), encoding="utf-8")
    figures = report.performance
    print(f"{report.strategy}: {report.trade_figures.count} trades, {figures.total_return:.1%} in all")

    make = partial(strategy, "ma_crossover")
    walk = walk_forward(make, {"fast": [5, 10, 20], "slow": [50, 100]}, bars, train=500, test=250)
    for step in walk.steps:
        chosen = "nothing" if step.best is None else step.best.parameters
        print(f"{step.fold.test_start:%Y-%m-%d} to {step.fold.test_end:%Y-%m-%d}: {chosen}")
    print(f"chosen before it was traded: {walk.performance.total_return:.1%} in all")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
