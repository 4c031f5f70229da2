"""Analysis: bars in, signals out. Pure: no I/O, no clock, no event loop; but for `worker` and `sandbox`, the
process that the user's own strategies run in, `loading`, which reads their files, and parts of `backtest`."""

from trademind.domain.signals import Action, Reason, Signal
from trademind.signals.bars import BarArrays
from trademind.signals.catalogue import BUILT_IN, BrokenStrategy, Catalogue, strategy
from trademind.signals.conditions import before, crossed_above, crossed_below
from trademind.signals.evaluation import Evaluation, Outcome, evaluate
from trademind.signals.indicators import Indicator
from trademind.signals.parameters import Parameter
from trademind.signals.registry import INDICATORS, indicator
from trademind.signals.sizing import size_of
from trademind.signals.strategy import Strategy, StrategyInfo, Use, choice, number, whole

__all__ = [
    "BUILT_IN",
    "INDICATORS",
    "Action",
    "BarArrays",
    "BrokenStrategy",
    "Catalogue",
    "Evaluation",
    "Indicator",
    "Outcome",
    "Parameter",
    "Reason",
    "Signal",
    "Strategy",
    "StrategyInfo",
    "Use",
    "before",
    "choice",
    "crossed_above",
    "crossed_below",
    "evaluate",
    "indicator",
    "number",
    "size_of",
    "strategy",
    "whole",
]
