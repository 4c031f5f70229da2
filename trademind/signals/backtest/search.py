"""Which parameters did best: a grid of them, each combination a backtest.

Backtests run in processes of their own. One that raises, dies or does not return is told beside the others,
and spoils none of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from math import inf
from typing import Any, Final, TypeVar

from trademind.errors import Invalid, StrategyFailed, TradeMindError
from trademind.signals.backtest.processes import Done, Failure, spread
from trademind.signals.backtest.report import Report
from trademind.signals.backtest.run import Strategy, run_backtest
from trademind.signals.backtest.settings import BacktestSettings
from trademind.signals.backtest.statistics import Performance
from trademind.signals.bars import BarArrays

MAX_POINTS: Final = 10_000
"""Of a grid, of all stretches together."""
SECONDS_EACH: Final = 120.0
"""How long a backtest may take, unless it is said."""
SECONDS: Final = 3600.0
"""How long a whole search may take."""

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""How many backtests, of how many, are done."""
Values = Mapping[str, Any]
"""Parameters by name."""
Make = Callable[..., Strategy]
"""Makes a strategy of parameters; a function of a module, or a partial of one, since it is pickled."""

SCORES: Final[Mapping[str, Callable[[Report], float | None]]] = {
    "total_return": lambda report: report.performance.total_return,
    "cagr": lambda report: report.performance.cagr,
    "sharpe": lambda report: report.performance.sharpe,
    "sortino": lambda report: report.performance.sortino,
    "calmar": lambda report: report.performance.calmar,
    "profit_factor": lambda report: report.trade_figures.profit_factor,
}
"""What may be looked for: the more the better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a search may use."""

    processes: int | None = None
    """At a time; the machine's cores, unless given."""
    seconds_each: float = SECONDS_EACH
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One set of parameters and what came of it."""

    parameters: Values
    score: float | None
    """None where the figure is not defined, as without trades, or where there is no report."""
    performance: Performance | None = None
    trades: int = 0
    failure: Failure | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`, as far as the parameters are. Of the drawdown only the depth."""
        found: dict[str, Any] = {
            "parameters": dict(self.parameters),
            "score": self.score,
            "trades": self.trades,
            "failure": self.failure,
            "error": self.error,
        }
        for name in ("total_return", "cagr", "volatility", "sharpe", "sortino", "calmar"):
            found[name] = None if self.performance is None else getattr(self.performance, name)
        worst = None if self.performance is None else self.performance.max_drawdown
        return found | {"max_drawdown": None if worst is None else worst.depth}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A backtest that is to be run."""

    parameters: Values
    score: str
    start: datetime | None
    end: datetime | None


Common = tuple[Make, Mapping[str, BarArrays], BacktestSettings]


def grid(ranges: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of some values.

    Raises:
        Invalid: there are none, or too many.
    """
    count = 1
    for values in ranges.values():
        count *= len(values)
    if not ranges or not count:
        raise Invalid([("parameters", "give each at least one value")])
    if count > MAX_POINTS:
        raise Invalid([("parameters", f"make {count:,} combinations; at most {MAX_POINTS:,} are tried")])
    return [dict(zip(ranges, values, strict=True)) for values in product(*ranges.values())]


def search(
    make: Make,
    ranges: Mapping[str, Sequence[Any]],
    bars: Mapping[str, BarArrays],
    settings: BacktestSettings | None = None,
    *,
    score: str = "sharpe",
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Point]:
    """A backtest for each combination of parameters, the best first, those without a score last.

    Args:
        score: One of `SCORES`.

    Raises:
        Invalid: a score that there is not, or a grid that is none.
    """
    check_score(score)
    settings = settings or BacktestSettings()
    tasks = [
        Task(parameters=each, score=score, start=settings.start, end=settings.end) for each in grid(ranges)
    ]
    found = run_all(attempt, make, tasks, bars, settings, limits or Limits(), progress)
    return ranked(points_of(tasks, found))


def ranked(points: Sequence[Point]) -> list[Point]:
    """The best first; of equals the one that was tried first."""
    return sorted(points, key=lambda each: -inf if each.score is None else each.score, reverse=True)


def check_score(score: str) -> None:
    """Raises `Invalid` for a score that there is not."""
    if score not in SCORES:
        raise Invalid([("score", f"must be one of {', '.join(SCORES)}")])


def run_all(
    work: Callable[[Any, Any], T],
    make: Make,
    tasks: Sequence[Task],
    bars: Mapping[str, BarArrays],
    settings: BacktestSettings,
    limits: Limits,
    progress: Progress | None,
) -> list[Done[T]]:
    """`work` on every task, in other processes."""
    return spread(
        work,
        (make, bars, settings),
        tasks,
        processes=limits.processes,
        seconds_each=limits.seconds_each,
        seconds=limits.seconds,
        progress=progress,
    )


def points_of(tasks: Sequence[Task], found: Sequence[Done[Point]]) -> list[Point]:
    """What came of the tasks, also where they did not end."""
    return [
        each.result or Point(parameters=task.parameters, score=None, failure=each.failure, error=each.error)
        for task, each in zip(tasks, found, strict=True)
    ]


def attempt(common: Common, task: Task) -> Point:
    """One backtest, in another process."""
    try:
        report = trade(common, task)
    except StrategyFailed as error:
        return _failed(task, error.traceback or error.detail)
    except TradeMindError as error:
        return _failed(task, error.detail)
    return Point(
        parameters=task.parameters,
        score=SCORES[task.score](report),
        performance=report.performance,
        trades=report.trade_figures.count,
    )


def _failed(task: Task, error: str) -> Point:
    return Point(parameters=task.parameters, score=None, failure=Failure.RAISED, error=error)


def trade(common: Common, task: Task) -> Report:
    """The report of one backtest, in another process."""
    make, bars, settings = common
    stretch = replace(settings, start=task.start, end=task.end)
    return run_backtest(make(**task.parameters), bars, stretch)
