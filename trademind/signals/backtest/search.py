"""Which parameters did best, and what they were worth afterwards: a grid, and walking forward.

Each point of a grid is a whole backtest, in a process of its own. One that raises, dies or does not return is
told beside the others, and spoils none of them.

Walking forward (Pardo, The Evaluation and Optimization of Trading Strategies, 2008, chapter 11): parameters
are chosen on a stretch of bars and traded on the stretch after it, which the choice has not seen; then both
move on by the length of the latter. What was traded, joined, is what somebody would have had who did that at
the time. Signals of a test stretch may rest on earlier bars, never on later ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from trademind.errors import Invalid, StrategyFailed, TradeMindError
from trademind.signals.backtest.processes import Done, Failure, spread
from trademind.signals.backtest.report import Report
from trademind.signals.backtest.run import Strategy, run_backtest
from trademind.signals.backtest.settings import BacktestSettings
from trademind.signals.backtest.statistics import Performance, performance
from trademind.signals.bars import BarArrays, Floats

MAX_POINTS: Final = 10_000
"""Of a grid, of all stretches together."""
SECONDS_EACH: Final = 120.0
"""How long a backtest may take, unless it is said."""
SECONDS: Final = 3600.0
"""How long a whole search may take."""

T = TypeVar("T")

Times = NDArray[np.int64]
"""In seconds since 1970."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
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
    _check_score(score)
    settings = settings or BacktestSettings()
    tasks = [
        _Task(parameters=each, score=score, start=settings.start, end=settings.end) for each in grid(ranges)
    ]
    found = _run_all(_try, make, tasks, bars, settings, limits or Limits(), progress)
    return ranked(_points(tasks, found))


def ranked(points: Sequence[Point]) -> list[Point]:
    """The best first; of equals the one that was tried first."""
    return sorted(points, key=lambda each: -np.inf if each.score is None else each.score, reverse=True)


def _check_score(score: str) -> None:
    if score not in SCORES:
        raise Invalid([("score", f"must be one of {', '.join(SCORES)}")])


def _run_all(
    work: Callable[[Any, Any], T],
    make: Make,
    tasks: Sequence[_Task],
    bars: Mapping[str, BarArrays],
    settings: BacktestSettings,
    limits: Limits,
    progress: Progress | None,
) -> list[Done[T]]:
    return spread(
        work,
        (make, bars, settings),
        tasks,
        processes=limits.processes,
        seconds_each=limits.seconds_each,
        seconds=limits.seconds,
        progress=progress,
    )


def _points(tasks: Sequence[_Task], found: Sequence[Done[Point]]) -> list[Point]:
    return [
        each.result or Point(parameters=task.parameters, score=None, failure=each.failure, error=each.error)
        for task, each in zip(tasks, found, strict=True)
    ]


def _try(common: Common, task: _Task) -> Point:
    """One backtest, in another process."""
    try:
        report = _trade(common, task)
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


def _failed(task: _Task, error: str) -> Point:
    return Point(parameters=task.parameters, score=None, failure=Failure.RAISED, error=error)


def _trade(common: Common, task: _Task) -> Report:
    """The report of one backtest, in another process."""
    make, bars, settings = common
    stretch = replace(settings, start=task.start, end=task.end)
    return run_backtest(make(**task.parameters), bars, stretch)


# Walking forward


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One step: where parameters were chosen, and where they were traded. Ends are the beginnings of bars."""

    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What came of a fold."""

    fold: Fold
    best: Point | None
    """None where no combination had a score: nothing was traded then."""
    failures: tuple[Point, ...]
    """What could not be tried."""
    report: Report | None
    """Of the test stretch, traded with the best parameters; None where it could not be."""
    error: str = ""
    """Why it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkForward:
    """A walk: what was chosen in each step, and what all of them together were worth."""

    steps: tuple[Step, ...]
    performance: Performance
    """Of the test stretches one after the other, joined by their returns; each began with the same cash."""
    efficiency: float | None
    """Growth a year where it was traded, over that where it was chosen (Pardo's walk-forward efficiency);
    None where either is not defined, or nothing grew where it was chosen."""
    equity: Floats = field(repr=False, compare=False)
    """At the close of each bar of the test stretches, joined."""


def folds(times: Times, *, train: int, test: int, anchored: bool = False) -> list[Fold]:
    """The stretches of a walk over the moments at which there are bars.

    Args:
        train, test: How many moments each stretch has; a last one that is shorter is left out.
        anchored: Training always begins at the first bar, and grows.

    Raises:
        Invalid: there are too few bars for one step.
    """
    if train < 2 or test < 2:
        raise Invalid([("train", "train and test are at least two bars each")])
    found: list[Fold] = []
    for begin in range(train, len(times) - test + 1, test):
        first = 0 if anchored else begin - train
        opens, closes, starts, ends = (
            datetime.fromtimestamp(int(times[at]), UTC) for at in (first, begin - 1, begin, begin + test - 1)
        )
        found.append(Fold(train_start=opens, train_end=closes, test_start=starts, test_end=ends))
    if not found:
        raise Invalid([("train", f"{train} bars to train and {test} to test make no step of {len(times)}")])
    return found


def moments(bars: Mapping[str, BarArrays], settings: BacktestSettings) -> Times:
    """When there are bars, of whatever symbol, in the time that the settings name."""
    times = (
        np.unique(np.concatenate([each.time for each in bars.values()])) if bars else np.array([], np.int64)
    )
    if settings.start is not None:
        times = times[times >= settings.start.timestamp()]
    return times if settings.end is None else times[times <= settings.end.timestamp()]


def walk_forward(
    make: Make,
    ranges: Mapping[str, Sequence[Any]],
    bars: Mapping[str, BarArrays],
    settings: BacktestSettings | None = None,
    *,
    train: int,
    test: int,
    anchored: bool = False,
    score: str = "sharpe",
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> WalkForward:
    """Choose parameters on each training stretch, and trade them on the test stretch after it.

    Args:
        train, test, anchored: As in `folds`.
        progress: Is told how many of the backtests that choose are done.

    Raises:
        Invalid: as in `search` and `folds`.
    """
    _check_score(score)
    settings, limits = settings or BacktestSettings(), limits or Limits()
    points = grid(ranges)
    stretches = folds(moments(bars, settings), train=train, test=test, anchored=anchored)
    if (total := len(points) * len(stretches)) > MAX_POINTS:
        words = f"make {total:,} backtests over all steps; at most {MAX_POINTS:,} are run"
        raise Invalid([("parameters", words)])
    tries = [
        _Task(parameters=point, score=score, start=fold.train_start, end=fold.train_end)
        for fold in stretches
        for point in points
    ]
    tried = _points(tries, _run_all(_try, make, tries, bars, settings, limits, progress))
    by_fold = [tried[at : at + len(points)] for at in range(0, len(tried), len(points))]
    best = [ranked(each)[0] for each in by_fold]
    trades = [
        _Task(parameters=each.parameters, score=score, start=fold.test_start, end=fold.test_end)
        for fold, each in zip(stretches, best, strict=True)
        if each.score is not None
    ]
    traded = iter(_run_all(_trade, make, trades, bars, settings, limits, None))
    steps: list[Step] = []
    for fold, chosen, own in zip(stretches, best, by_fold, strict=True):
        done: Done[Report] = Done() if chosen.score is None else next(traded)
        steps.append(
            Step(
                fold=fold,
                best=None if chosen.score is None else chosen,
                failures=tuple(each for each in own if each.failure is not None),
                report=done.result,
                error=done.error,
            )
        )
    return _joined(steps, settings, test)


def _joined(steps: Sequence[Step], settings: BacktestSettings, test: int) -> WalkForward:
    """The steps as one equity: where nothing was traded it stands still."""
    last = opening = float(settings.cash)
    parts: list[Floats] = []
    for each in steps:
        curve = np.full(test, 1.0) if each.report is None else each.report.curves.equity / opening
        parts.append(last * curve)
        last = float(parts[-1][-1])
    equity = np.concatenate(parts)
    per_year = next((each.report.bars_per_year for each in steps if each.report), settings.bars_per_year)
    whole = performance(equity, opening=opening, bars_per_year=per_year or 1.0, risk_free=settings.risk_free)
    return WalkForward(
        steps=tuple(steps), performance=whole, efficiency=_efficiency(whole, steps), equity=equity
    )


def _efficiency(whole: Performance, steps: Sequence[Step]) -> float | None:
    chosen = [each.best.performance.cagr for each in steps if each.best and each.best.performance]
    known = [each for each in chosen if each is not None]
    if whole.cagr is None or not known or len(known) < len(steps):
        return None
    before = float(np.mean(known))
    return whole.cagr / before if before > 0 else None
