"""The figures beside an independent implementation, and by hand."""

from decimal import Decimal
from math import sqrt

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

from tests.signals.backtest.making import GOOG, START, walk
from trademind.domain import Side
from trademind.signals.backtest.statistics import (
    Drawdown,
    activity,
    comparison,
    drawdowns,
    performance,
    trade_figures,
)
from trademind.signals.backtest.trades import Trade, round_trips
from trademind.signals.backtest.venue import Fill
from trademind.signals.bars import Floats


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-8, abs=1e-9)


def check(equity: Floats, benchmark: Floats, opening: float, per_year: float, free: float) -> None:
    """All that empyrical reckons, too."""
    dates = pd.date_range("2020-01-01", periods=len(equity))
    ours, theirs = (
        pd.Series(each, dates) / pd.Series(each, dates).shift(fill_value=opening) - 1
        for each in (equity, benchmark)
    )
    found = performance(equity, opening=opening, bars_per_year=per_year, risk_free=free)
    per_bar = free / per_year
    assert found.total_return == near(empyrical.cum_returns_final(ours))
    assert found.cagr == near(empyrical.annual_return(ours, annualization=per_year))
    assert found.volatility == near(empyrical.annual_volatility(ours, annualization=per_year))
    assert found.sharpe == near(empyrical.sharpe_ratio(ours, per_bar, annualization=per_year))
    assert found.sortino == near(empyrical.sortino_ratio(ours, per_bar, annualization=per_year))
    assert found.max_drawdown is not None
    assert found.max_drawdown.depth == near(empyrical.max_drawdown(ours))
    assert found.calmar == near(empyrical.calmar_ratio(ours, annualization=per_year))
    beside = comparison(equity, benchmark, opening=opening, bars_per_year=per_year, risk_free=free)
    assert beside.beta == near(empyrical.beta(ours, theirs, per_bar))
    assert beside.alpha == near(empyrical.alpha(ours, theirs, per_bar, annualization=per_year))
    # empyrical leaves this one unannualised.
    assert beside.information_ratio == near(empyrical.excess_sharpe(ours, theirs) * sqrt(per_year))
    assert beside.correlation == near(float(np.corrcoef(ours, theirs)[0, 1]))


def test_as_empyrical_on_real_prices() -> None:
    closes = pd.read_csv(GOOG)["Close"].to_numpy()
    other = closes[::-1].copy()
    check(closes, other * (closes[0] / other[0]), float(closes[0]) * 0.98, 252, 0.03)


@cases(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 100_000),
    count=st.integers(5, 300),
    per_year=st.sampled_from([12.0, 252.0, 98_280.0]),
    free=st.sampled_from([0.0, 0.04]),
)
def test_as_empyrical_on_random_walks(seed: int, count: int, per_year: float, free: float) -> None:
    equity, benchmark = (walk(count, each, swing=0.001).close for each in (seed, seed + 1))
    # A curve that only ever rises has no drawdown to compare.
    equity[count // 2] = equity.min() * 0.999
    check(equity, benchmark, 100.0, per_year, free)


def test_drawdowns_by_hand() -> None:
    curve = np.array([90.0, 95.0, 100.0, 120.0, 60.0, 90.0, 119.0, 121.0, 120.0])
    assert drawdowns(curve, 100.0) == [
        Drawdown(depth=near(-0.1), peak=-1, trough=0, recovery=2),  # type: ignore[arg-type]
        Drawdown(depth=-0.5, peak=3, trough=4, recovery=7),
        Drawdown(depth=near(-1 / 121), peak=7, trough=8, recovery=None),  # type: ignore[arg-type]
    ]
    assert [each.bars(len(curve)) for each in drawdowns(curve, 100.0)] == [3, 4, 1]
    found = performance(curve, opening=100.0, bars_per_year=252)
    assert found.max_drawdown == found.longest_drawdown == drawdowns(curve, 100.0)[1]


def test_what_is_not_defined_is_none() -> None:
    flat = performance(np.full(10, 100.0), opening=100.0, bars_per_year=252)
    assert (flat.total_return, flat.cagr, flat.volatility) == (0, 0, 0)
    assert (flat.sharpe, flat.sortino, flat.calmar, flat.max_drawdown) == (None, None, None, None)
    one = performance(np.array([101.0]), opening=100.0, bars_per_year=252)
    assert (one.volatility, one.sharpe, one.sortino) == (None, None, None)
    gone = performance(np.array([50.0, -10.0, 5.0]), opening=100.0, bars_per_year=252)
    assert (gone.total_return, gone.cagr) == (-0.95, None)
    assert performance(np.array([]), opening=100.0, bars_per_year=252).total_return is None
    # From 1 to 1000 in a minute is no year's growth that a number could say.
    assert performance(np.array([1000.0]), opening=1.0, bars_per_year=98_280).cagr is None


def test_activity_by_hand() -> None:
    equity, invested = np.array([100.0, 100.0, 110.0, 90.0]), np.array([0.0, 100.0, 55.0, 0.0])
    found = activity(equity=equity, invested=invested, bought=150.0, sold=140.0, bars_per_year=2)
    assert found.exposure == 0.5
    assert found.mean_leverage == (1.0 + 0.5) / 4
    assert found.turnover == 140 / 100 / 2


# Trades


def fill(bar: int, side: Side, quantity: int, price: str, commission: str = "0", why: str = "signal") -> Fill:
    return Fill("X", START, bar, side, Decimal(quantity), Decimal(price), Decimal(commission), why)


def trips(*fills: Fill, last: str = "100") -> list[Trade]:
    return round_trips(fills, multipliers={"X": Decimal(1)}, last={"X": Decimal(last)})


def test_lots_are_closed_first_in_first_out() -> None:
    found = trips(
        fill(1, Side.BUY, 100, "10", "1"),
        fill(2, Side.BUY, 50, "12", "0.50"),
        fill(3, Side.SELL, 120, "13", "1.20"),
        fill(4, Side.SELL, 60, "9", "0.60", "stop"),
        last="8",
    )
    assert [(each.side, each.entry_bar, each.exit_bar, each.exit_why) for each in found] == [
        (Side.BUY, 1, 3, "signal"),
        (Side.BUY, 2, 3, "signal"),
        (Side.BUY, 2, 4, "stop"),
        (Side.SELL, 4, None, None),
    ]
    assert [str(each.quantity) for each in found] == ["100", "20", "30", "30"]
    assert [float(each.commission) for each in found] == [2, 0.4, 0.6, 0.3]
    assert [float(each.profit) for each in found] == [298, 19.6, -90.6, 29.7]
    assert [each.bars for each in found] == [2, 1, 2, None]


def test_trade_figures_by_hand() -> None:
    figures = trade_figures(
        trips(
            *(fill(1, Side.BUY, 10, "10"), fill(3, Side.SELL, 10, "16")),
            *(fill(4, Side.SELL, 10, "10"), fill(5, Side.BUY, 10, "12")),
            *(fill(6, Side.BUY, 10, "10"), fill(6, Side.SELL, 10, "10")),
            *(fill(7, Side.BUY, 10, "10"), fill(9, Side.SELL, 10, "9")),
            fill(9, Side.BUY, 1, "10", "1"),
        )
    )
    assert (figures.count, figures.still_open, figures.win_rate) == (4, 1, 0.25)
    assert (figures.gross_profit, figures.gross_loss, figures.profit_factor) == (60, -30, 2)
    assert (figures.average_profit, figures.average_win, figures.average_loss) == (7.5, 60, -15)
    assert (figures.largest_win, figures.largest_loss) == (60, -20)
    assert (figures.average_bars, figures.commissions) == (1.25, 1)
