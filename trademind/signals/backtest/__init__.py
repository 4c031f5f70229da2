"""Backtests: a strategy's signals traded on the paper gateway's own engine, over bars of the past."""

from trademind.signals.backtest.report import Report
from trademind.signals.backtest.run import Given, Strategy, run_backtest
from trademind.signals.backtest.settings import (
    BacktestSettings,
    FixedQuantity,
    RiskOfEquity,
    ShareOfEquity,
    Sizing,
)

__all__ = [
    "BacktestSettings",
    "FixedQuantity",
    "Given",
    "Report",
    "RiskOfEquity",
    "ShareOfEquity",
    "Sizing",
    "Strategy",
    "run_backtest",
]
