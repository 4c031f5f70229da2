"""Grids and walks over real processes, some of which die."""

import json
import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import numpy as np
import pytest

from tests.signals.backtest.making import GOOG, Crossover, walk
from trademind.domain.signals import Signal
from trademind.errors import Invalid
from trademind.signals.backtest import BacktestSettings, run_backtest
from trademind.signals.backtest.data import read_bars
from trademind.signals.backtest.processes import Failure
from trademind.signals.backtest.search import Limits, grid, search
from trademind.signals.backtest.walking import folds, moments, walk_forward
from trademind.signals.bars import BarArrays
from trademind.signals.catalogue import strategy

TWO = Limits(processes=2, seconds_each=60, seconds=120)


@dataclass(frozen=True)
class Moody:
    """A crossover, but for some parameters."""

    fast: int
    slow: int = 20

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        match self.fast:
            case 1:
                raise ValueError("one is too fast")
            case 2:
                os._exit(7)
            case 3:
                time.sleep(600)  # longer than any limit: it has to be ended
        return Crossover(self.fast, self.slow).on_bars(bars)


def test_a_grid_is_as_good_as_one_by_one() -> None:
    bars = read_bars(GOOG)
    told: list[tuple[int, int]] = []
    points = search(
        partial(strategy, "ma_crossover"),
        {"fast": [5, 10], "slow": [50, 100]},
        bars,
        limits=TWO,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sorted((each.parameters["fast"], each.parameters["slow"]) for each in points) == [
        (5, 50), (5, 100), (10, 50), (10, 100)
    ]  # fmt: skip
    assert [each.score for each in points] == sorted((each.score or 0 for each in points), reverse=True)
    for each in points:
        report = run_backtest(strategy("ma_crossover", **each.parameters), bars)
        assert (each.performance, each.score) == (report.performance, report.performance.sharpe)
        assert each.trades == report.trade_figures.count


def test_what_raises_dies_or_hangs_is_told_beside_the_others() -> None:
    points = search(
        Moody,
        {"fast": [1, 2, 3, 4, 5, 0]},
        {"TEST": walk(300, 1)},
        limits=Limits(processes=2, seconds_each=3, seconds=90),
        score="total_return",
    )
    by_value = {each.parameters["fast"]: each for each in points}
    assert {value: each.failure for value, each in by_value.items()} == {
        1: Failure.RAISED, 2: Failure.DIED, 3: Failure.TIMED_OUT, 4: None, 5: None, 0: Failure.RAISED
    }  # fmt: skip
    assert [each["failure"] for each in (by_value[2].to_json(), by_value[4].to_json())] == ["died", None]
    assert "ValueError: one is too fast" in by_value[1].error
    assert by_value[2].error == "Its process ended, with exit status 7."
    assert by_value[3].error == "It took more than 3 s."
    assert {each.parameters["fast"] for each in points[:2]} == {4, 5}


class Deadly:
    """Ends every process that it is handed to."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)

    def __call__(self, fast: int) -> Crossover:
        return Crossover(fast)


def test_processes_that_do_not_start_are_not_started_for_ever() -> None:
    points = search(Deadly(), {"fast": [4, 5, 6]}, {"TEST": walk(50, 1)}, limits=TWO)
    assert [each.failure for each in points] == [Failure.DIED] * 3
    assert points[0].error == "It did not start. Its process ended, with exit status 3."


def test_all_time_used_up() -> None:
    began = time.monotonic()
    points = search(
        Moody, {"fast": [3, 4]}, {"TEST": walk(50, 1)}, limits=Limits(processes=1, seconds_each=60, seconds=2)
    )
    assert time.monotonic() - began < 20
    assert [each.failure for each in points] == [Failure.NOT_REACHED] * 2


def test_what_cannot_be_searched() -> None:
    bars = {"TEST": walk(50, 1)}
    with pytest.raises(Invalid, match="score: must be one of total_return, cagr"):
        search(Moody, {"fast": [4]}, bars, score="beauty")
    with pytest.raises(Invalid, match="at least one value"):
        search(Moody, {"fast": []}, bars)
    with pytest.raises(Invalid, match="make 1,000,000 combinations"):
        grid({"a": range(1000), "b": range(1000)})
    with pytest.raises(Invalid, match="cannot be handed to another process"):
        search(lambda fast: Crossover(fast), {"fast": [4]}, bars)


def test_the_stretches_of_a_walk() -> None:
    bars = {"TEST": walk(100, 1)}
    times = moments(bars, BacktestSettings())
    rolling = folds(times, train=40, test=25)
    index = {datetime.fromtimestamp(int(each), UTC): number for number, each in enumerate(times)}
    shown = [
        tuple(index[each] for each in (fold.train_start, fold.train_end, fold.test_start, fold.test_end))
        for fold in rolling
    ]
    assert shown == [(0, 39, 40, 64), (25, 64, 65, 89)]
    assert [index[each.train_start] for each in folds(times, train=40, test=25, anchored=True)] == [0, 0]
    part = BacktestSettings(start=rolling[0].test_start, end=rolling[1].test_end)
    assert len(moments(bars, part)) == 50
    with pytest.raises(Invalid, match="80 bars to train and 25 to test make no step of 100"):
        folds(times, train=80, test=25)


def test_a_walk_trades_what_was_chosen_before() -> None:
    bars = {"TEST": walk(700, 5)}
    settings = BacktestSettings(cash=Decimal(50_000))
    ranges = {"fast": [4, 8], "slow": [20, 40]}
    walked = walk_forward(Crossover, ranges, bars, settings, train=300, test=200, limits=TWO)
    assert len(walked.steps) == 2
    last = 50_000.0
    for number, step in enumerate(walked.steps):
        assert step.best is not None
        assert step.report is not None
        # The choice is that of a search over the training stretch, which has seen nothing of what came after.
        seen = {"TEST": bars["TEST"].upto(300 + number * 200)}
        training = replace(settings, start=step.fold.train_start, end=step.fold.train_end)
        scores = {
            (fast, slow): run_backtest(Crossover(fast, slow), seen, training).performance.sharpe or -99
            for fast in ranges["fast"]
            for slow in ranges["slow"]
        }
        assert (step.best.parameters["fast"], step.best.parameters["slow"]) == max(
            scores, key=lambda key: scores[key]
        )
        assert all(each.entry_bar >= 300 + number * 200 for each in step.report.trades)
        curve = walked.equity[number * 200 : (number + 1) * 200]
        assert curve == pytest.approx(last * step.report.curves.equity / 50_000)
        last = float(curve[-1])
    assert walked.performance.total_return == pytest.approx(last / 50_000 - 1)
    assert walked.efficiency is None or np.isfinite(walked.efficiency)
    found = json.loads(json.dumps(walked.to_json(), allow_nan=False))
    assert found["steps"][1]["best"]["parameters"] == walked.steps[1].best.parameters  # type: ignore[union-attr]
    assert found["steps"][0]["test_start"] == bars["TEST"].moment(300).isoformat()
    assert (found["curves"]["time"][0], found["curves"]["time"][-1]) == (
        bars["TEST"].moment(300).isoformat(),
        bars["TEST"].moment(699).isoformat(),
    )
    assert found["performance"]["sharpe"] == walked.performance.sharpe


def test_a_walk_without_a_choice_stands_still() -> None:
    walked = walk_forward(Moody, {"fast": [1]}, {"TEST": walk(100, 1)}, train=40, test=25, limits=TWO)
    assert [each.report for each in walked.steps] == [None, None]
    assert [each.failures[0].failure for each in walked.steps] == [Failure.RAISED] * 2
    assert walked.performance.total_return == 0
