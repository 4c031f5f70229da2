"""Backtests: a strategy's signals traded on the paper gateway's own engine, over bars of the past.

`run_backtest` is one; `search` and `walk_forward` are many, over processes. The only parts that are not pure
are `data`, which reads files, and `processes`.
"""

from trademind.signals.backtest.data import read_bars
from trademind.signals.backtest.html import render
from trademind.signals.backtest.report import Report
from trademind.signals.backtest.run import Given, Strategy, run_backtest
from trademind.signals.backtest.search import Limits, Point, search
from trademind.signals.backtest.settings import (
    BacktestSettings,
    FixedQuantity,
    RiskOfEquity,
    ShareOfEquity,
    Sizing,
)
from trademind.signals.backtest.walking import WalkForward, walk_forward

__all__ = [
    "BacktestSettings",
    "FixedQuantity",
    "Given",
    "Limits",
    "Point",
    "Report",
    "RiskOfEquity",
    "ShareOfEquity",
    "Sizing",
    "Strategy",
    "WalkForward",
    "read_bars",
    "render",
    "run_backtest",
    "search",
    "walk_forward",
]
