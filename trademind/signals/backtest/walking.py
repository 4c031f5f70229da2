"""Walking forward: what parameters were worth that were chosen before.

By Pardo, The Evaluation and Optimization of Trading Strategies (2008), chapter 11: parameters are chosen on a
stretch of bars and traded on the stretch after it, which the choice has not seen; then both move on by the
length of the latter. What was traded, joined, is what somebody would have had who did that at the time.
Signals of a test stretch may rest on earlier bars, never on later ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trademind.errors import Invalid
from trademind.signals.backtest.processes import Done
from trademind.signals.backtest.report import Report, moment_of, numbers, performance_json, thinned
from trademind.signals.backtest.search import (
    MAX_POINTS,
    Limits,
    Make,
    Point,
    Progress,
    Task,
    attempt,
    check_score,
    grid,
    points_of,
    ranked,
    run_all,
    trade,
)
from trademind.signals.backtest.settings import BacktestSettings
from trademind.signals.backtest.statistics import Performance, performance
from trademind.signals.bars import BarArrays, Floats

Times = NDArray[np.int64]
"""In seconds since 1970."""


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
    time: Times = field(repr=False, compare=False)
    """When the bars of the test stretches begin."""
    equity: Floats = field(repr=False, compare=False)
    """At the close of each of them, joined."""

    def to_json(self) -> dict[str, Any]:
        """Ready for `json.dumps`; of each step's report the figures."""
        chosen = thinned(self.equity)
        return {
            "performance": performance_json(self.performance, self.time),
            "efficiency": self.efficiency,
            "steps": [_step_json(each) for each in self.steps],
            "curves": {
                "time": [moment_of(self.time, each).isoformat() for each in chosen],
                "equity": numbers(self.equity[chosen]),
            },
        }


def _step_json(step: Step) -> dict[str, Any]:
    tested = step.report
    return {
        **{name: moment.isoformat() for name, moment in asdict(step.fold).items()},
        "best": None if step.best is None else step.best.to_json(),
        "failures": [each.to_json() for each in step.failures],
        "tested": None if tested is None else performance_json(tested.performance, tested.curves.time),
        "trades": 0 if tested is None else tested.trade_figures.count,
        "error": step.error,
    }


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
    check_score(score)
    settings, limits = settings or BacktestSettings(), limits or Limits()
    points = grid(ranges)
    times = moments(bars, settings)
    stretches = folds(times, train=train, test=test, anchored=anchored)
    if (total := len(points) * len(stretches)) > MAX_POINTS:
        words = f"make {total:,} backtests over all steps; at most {MAX_POINTS:,} are run"
        raise Invalid([("parameters", words)])
    tries = [
        Task(parameters=point, score=score, start=fold.train_start, end=fold.train_end)
        for fold in stretches
        for point in points
    ]
    tried = points_of(tries, run_all(attempt, make, tries, bars, settings, limits, progress))
    by_fold = [tried[at : at + len(points)] for at in range(0, len(tried), len(points))]
    best = [ranked(each)[0] for each in by_fold]
    trades = [
        Task(parameters=each.parameters, score=score, start=fold.test_start, end=fold.test_end)
        for fold, each in zip(stretches, best, strict=True)
        if each.score is not None
    ]
    traded = iter(run_all(trade, make, trades, bars, settings, limits, None))
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
    return _joined(steps, settings, times[train : train + test * len(steps)])


def _joined(steps: Sequence[Step], settings: BacktestSettings, time: Times) -> WalkForward:
    """The steps as one equity: where nothing was traded it stands still."""
    last = opening = float(settings.cash)
    parts: list[Floats] = []
    for each in steps:
        curve = (
            np.full(len(time) // len(steps), 1.0)
            if each.report is None
            else each.report.curves.equity / opening
        )
        parts.append(last * curve)
        last = float(parts[-1][-1])
    equity = np.concatenate(parts)
    per_year = next((each.report.bars_per_year for each in steps if each.report), settings.bars_per_year)
    whole = performance(equity, opening=opening, bars_per_year=per_year or 1.0, risk_free=settings.risk_free)
    return WalkForward(
        steps=tuple(steps), performance=whole, efficiency=_efficiency(whole, steps), time=time, equity=equity
    )


def _efficiency(whole: Performance, steps: Sequence[Step]) -> float | None:
    chosen = [each.best.performance.cagr for each in steps if each.best and each.best.performance]
    known = [each for each in chosen if each is not None]
    if whole.cagr is None or not known or len(known) < len(steps):
        return None
    before = float(np.mean(known))
    return whole.cagr / before if before > 0 else None
