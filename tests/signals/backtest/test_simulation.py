"""What becomes of signals, by hand; and that skipping bars in which nothing happens changes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as cases
from hypothesis import strategies as st

from tests.signals.backtest.making import MINUTE, START, Crossover, Row, Scripted, bars_of, signal, walk
from trademind.domain import Side
from trademind.domain.signals import Action, Signal
from trademind.gateway.engine.commissions import FREE
from trademind.signals.backtest import BacktestSettings, FixedQuantity, Report, RiskOfEquity, run_backtest
from trademind.signals.backtest.run import prepare
from trademind.signals.backtest.settings import Sizing
from trademind.signals.backtest.simulation import Outcome, Simulation
from trademind.signals.bars import BarArrays

BUY, SELL, CLOSE = Action.BUY, Action.SELL, Action.CLOSE
PLAIN = BacktestSettings(commissions=FREE, spread_ticks=0, sizing=FixedQuantity(Decimal(100)))

Flat: Row = (100.0, 100.0, 100.0, 100.0)


def run(script: Mapping[int, Any], rows: list[Row], settings: BacktestSettings = PLAIN) -> Report:
    return run_backtest(Scripted({"TEST": script}), {"TEST": bars_of(rows)}, settings)


def told(report: Report) -> list[tuple[Any, ...]]:
    """Trades in short: side, quantity, bars and prices, why it ended, profit."""
    return [
        (
            str(each.side),
            int(each.quantity),
            (each.entry_bar, each.exit_bar),
            (str(each.entry_price), None if each.exit_price is None else str(each.exit_price)),
            each.exit_why,
            str(each.profit),
        )
        for each in report.trades
    ]


def test_a_signal_fills_at_the_next_open() -> None:
    report = run(
        {0: BUY, 2: CLOSE},
        [(100, 101, 99, 100.5), (101, 103, 100, 102), (103, 104, 102, 103), (105, 106, 104, 105)],
    )
    assert told(report) == [("BUY", 100, (1, 3), ("101.00", "105.00"), "signal", "400.00")]
    assert report.final_equity == Decimal("100400.00")
    # At each close: nothing held, 100 bought at 101 and worth 102, then 103, sold at 105.
    assert report.curves.equity.tolist() == [100_000, 100_100, 100_200, 100_400]
    assert report.trades[0].entry_time == START + MINUTE


def test_commissions_and_spread_are_those_of_paper_trading() -> None:
    rows: list[Row] = [Flat, Flat, Flat, Flat]
    settings = BacktestSettings(sizing=FixedQuantity(Decimal(1000)), slippage_ticks=2)
    report = run({0: BUY, 1: CLOSE}, rows, settings)
    # The ask is a tick above, each fill two ticks worse; IBKR's fixed pricing is half a cent a share.
    assert told(report) == [("BUY", 1000, (1, 2), ("100.03", "99.98"), "signal", "-60.00")]
    assert report.trades[0].commission == Decimal("10.00")
    assert report.trade_figures.commissions == 10


def test_the_other_side_closes_and_opens() -> None:
    rows: list[Row] = [Flat, (100, 100, 100, 100), (110, 110, 110, 110), (105, 105, 105, 105)]
    report = run({0: BUY, 1: SELL, 2: CLOSE}, rows)
    assert told(report) == [
        ("BUY", 100, (1, 2), ("100.00", "110.00"), "signal", "1000.00"),
        ("SELL", 100, (2, 3), ("110.00", "105.00"), "signal", "500.00"),
    ]


def test_what_is_held_already_is_not_bought_again() -> None:
    report = run({0: BUY, 1: (BUY, {"stop": 99.0}), 2: BUY}, [Flat, Flat, (100, 100, 90, 100), Flat])
    assert [(each.entry_bar, each.is_open) for each in report.trades] == [(1, True)]
    assert report.trade_figures.still_open == 1


def test_a_stop_fills_at_its_price_within_a_bar() -> None:
    report = run({0: (BUY, {"stop": 97.5, "target": 110.0})}, [Flat, Flat, (100, 101, 97, 98), Flat])
    assert told(report) == [("BUY", 100, (1, 2), ("100.00", "97.50"), "stop", "-250.00")]


def test_a_target_fills_at_its_price_within_a_bar() -> None:
    report = run({0: (BUY, {"stop": 97.5, "target": 103.0})}, [Flat, Flat, (100, 105, 98, 99), Flat])
    assert told(report) == [("BUY", 100, (1, 2), ("100.00", "103.00"), "target", "300.00")]


def test_a_bar_with_both_is_a_stop_for_a_long_and_for_a_short() -> None:
    both: list[Row] = [Flat, Flat, (100, 110, 90, 105)]
    assert [each[3:5] for each in told(run({0: (BUY, {"stop": 95.0, "target": 105.0})}, both))] == [
        (("100.00", "95.00"), "stop")
    ]
    assert [each[3:5] for each in told(run({0: (SELL, {"stop": 105.0, "target": 95.0})}, both))] == [
        (("100.00", "105.00"), "stop")
    ]


def test_exits_work_from_the_entry_on() -> None:
    report = run({0: (SELL, {"stop": 102.0, "target": 97.0})}, [Flat, (100, 101, 96, 97), Flat])
    assert told(report) == [("SELL", 100, (1, 1), ("100.00", "97.00"), "target", "300.00")]


def test_a_stop_that_is_gapped_over_fills_at_the_open() -> None:
    report = run({0: (BUY, {"stop": 97.5})}, [Flat, Flat, (95, 96, 94, 95.5), Flat])
    assert told(report) == [("BUY", 100, (1, 2), ("100.00", "95.00"), "stop", "-500.00")]


def test_a_target_that_is_gapped_over_fills_at_its_limit() -> None:
    """As a resting limit does in the paper gateway; an auction would give the better open."""
    report = run({0: (BUY, {"target": 103.0})}, [Flat, Flat, (105, 106, 104, 105), Flat])
    assert told(report) == [("BUY", 100, (1, 2), ("100.00", "103.00"), "target", "300.00")]


def test_exits_end_with_the_position() -> None:
    script = {0: (BUY, {"stop": 95.0, "target": 105.0}), 1: CLOSE}
    report = run(script, [Flat, Flat, Flat, (100, 110, 90, 100), Flat])
    assert [each[2] for each in told(report)] == [(1, 2)]


def test_without_short_sales_a_sale_is_the_end() -> None:
    settings = replace(PLAIN, allow_short=False)
    report = run({0: SELL, 1: BUY, 2: SELL}, [Flat, Flat, Flat, Flat, Flat], settings)
    assert [each[:3] for each in told(report)] == [("BUY", 100, (2, 3))]


def test_sizes_are_decided_at_the_close() -> None:
    """A thousandth of 100,000 at risk, 2.50 a share: 40 shares, whatever the next open is."""
    settings = replace(PLAIN, sizing=RiskOfEquity(Decimal("0.001")))
    report = run({0: (BUY, {"stop": 97.5})}, [Flat, (104, 104, 104, 104), (104, 104, 104, 104)], settings)
    assert report.trades[0].quantity == 40
    without_stop = run({0: BUY}, [Flat, Flat, Flat], settings)
    assert without_stop.trades == ()
    assert [each.message for each in without_stop.refusals] == ["The size comes to nothing"]


def test_what_the_account_cannot_bear_is_refused_by_the_engine() -> None:
    """Regulation T: 200,000 of stock at most; the position that is to be reversed is closed all the same."""
    settings = replace(PLAIN, sizing=FixedQuantity(Decimal(1900)))
    report = run({0: BUY, 1: SELL}, [Flat, Flat, (80, 80, 80, 80), (80, 80, 80, 80)], settings)
    assert told(report) == [("BUY", 1900, (1, 2), ("100.00", "80.00"), "signal", "-38000.00")]
    [refusal] = report.refusals
    assert (refusal.code, refusal.side, refusal.quantity) == (201, Side.SELL, Decimal(1900))
    assert "Available Funds are in sufficient" in refusal.message
    assert report.notes[0].startswith("Orders refused: 1;")


def test_a_ruined_account_is_told() -> None:
    settings = replace(PLAIN, sizing=FixedQuantity(Decimal(1900)))
    report = run(
        {0: BUY, 3: SELL, 4: BUY}, [Flat, Flat, (40, 40, 40, 40), *[(40.0, 40.0, 40.0, 40.0)] * 4], settings
    )
    assert report.final_equity == Decimal("-14000.00")
    assert report.performance.total_return == pytest.approx(-1.14)
    assert (report.performance.cagr, report.performance.sharpe) == (None, None)
    assert any("fell to nothing in the bar of 2026-03-02 14:32" in each for each in report.notes)
    assert [each.code for each in report.refusals] == [201, 201]


def test_an_expired_signal_is_dropped() -> None:
    late = {0: (BUY, {"expires_at": START + timedelta(seconds=59)})}
    report = run(late, [Flat, Flat, Flat])
    assert report.trades == ()
    assert report.notes == ("Signals that had expired before there was a bar to trade them in: 1.",)
    in_time = run({0: (BUY, {"expires_at": START + MINUTE})}, [Flat, Flat, Flat])
    assert len(in_time.trades) == 1


def test_a_signal_of_the_last_bar_and_bars_without_volume_are_told() -> None:
    bars = bars_of([Flat, Flat, Flat], volume=0.0)
    report = run_backtest(Scripted({"TEST": {0: BUY, 2: SELL}}), {"TEST": bars}, PLAIN)
    assert len(report.trades) == 1
    assert report.notes == (
        "Signals of a last bar, after which there is none to trade in: 1.",
        "Fills in bars without volume, where nobody may have been there to trade: 1.",
    )


def test_progress_is_told_a_hundred_times_at_most() -> None:
    bars = walk(5000, 4)
    told: list[tuple[int, int]] = []
    run_backtest(Crossover(2, 5), {"TEST": bars}, progress=lambda done, total: told.append((done, total)))
    done = [each[0] for each in told]
    assert done == sorted(set(done))
    assert 50 < len(told) <= 101
    assert told[-1] == (5000, 5000)


def test_no_signals_no_trades() -> None:
    report = run({}, [Flat, (100, 120, 80, 110), Flat])
    assert report.trades == ()
    assert report.final_equity == 100_000
    assert (report.trade_figures.win_rate, report.trade_figures.profit_factor) == (None, None)
    assert (report.performance.sharpe, report.performance.max_drawdown) == (None, None)
    assert report.performance.total_return == 0


def test_trading_begins_and_ends_where_it_is_said() -> None:
    rows: list[Row] = [(100.0 + n, 100.0 + n, 100.0 + n, 100.0 + n) for n in range(8)]
    settings = replace(PLAIN, start=START + 3 * MINUTE, end=START + 6 * MINUTE)
    report = run({1: BUY, 3: BUY, 5: CLOSE, 7: SELL}, rows, settings)
    assert (report.bars, report.signals) == (4, 2)
    assert told(report) == [("BUY", 100, (4, 6), ("104.00", "106.00"), "signal", "200.00")]


def test_several_symbols_share_one_account() -> None:
    one, two = (
        bars_of([Flat] * 5, symbol="ONE"),
        bars_of([(50, 50, 50, 50)] * 5, symbol="TWO", start=START + MINUTE),
    )
    strategy = Scripted({"ONE": {0: BUY}, "TWO": {1: SELL}})
    report = run_backtest(
        strategy, {"ONE": one, "TWO": two}, replace(PLAIN, sizing=BacktestSettings().sizing)
    )
    # Half of the equity each, at the closes of 100 and 50.
    assert [(each.symbol, int(each.quantity), each.entry_time) for each in report.trades] == [
        ("ONE", 500, START + MINUTE),
        ("TWO", 1000, START + 3 * MINUTE),
    ]
    assert report.bars == 6
    assert np.isnan(report.curves.prices["TWO"][0])


def test_interest_accrues_where_it_is_asked_for() -> None:
    day = timedelta(days=1)
    bars = bars_of([Flat] * 40, bar_size="1 day", step=day)
    script = Scripted({"TEST": {0: SELL}})
    free = run_backtest(script, {"TEST": bars}, PLAIN)
    costly = run_backtest(script, {"TEST": bars}, replace(PLAIN, interest=True))
    assert free.final_equity == 100_000
    # 3.83 % on 90,000 a day, less a quarter of a percent on 10,200 once the shares are short. What March has
    # brought is paid on the first of April, and bears interest itself for the last nine days.
    assert costly.final_equity == 100_000 + Decimal("9.58") + 29 * Decimal("9.50") + 9 * Decimal("9.53")
    assert costly.curves.equity[-1] == pytest.approx(float(costly.final_equity))


# Nothing is skipped that matters


@pytest.mark.parametrize("bar", [2, 3, 64, 65, 66, 67, 128, 129, 192, 193, 194, 195, 449, 3000])
def test_a_stop_is_found_however_far_it_is(bar: int) -> None:
    rows = [Flat] * 3001
    rows[bar] = (100, 100, 94, 100)
    [trade] = run({0: (BUY, {"stop": 95.0})}, rows).trades
    assert (trade.exit_bar, str(trade.exit_price)) == (bar, "95.00")


def outcome(
    bars: Mapping[str, BarArrays], strategy: Any, settings: BacktestSettings, *, thorough: bool
) -> Outcome:
    tracks = [each.track for each in prepare(strategy, bars, settings)]
    return Simulation(tracks, settings, thorough=thorough).run()


class Dice:
    """Signals at random, with exits at random, now and then where they make no sense."""

    name = "dice"

    def __init__(self, seed: int, often: float) -> None:
        self._seed, self._often = seed, often

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        rng = np.random.default_rng([self._seed, len(bars.symbol)])
        found = []
        for index in np.flatnonzero(rng.random(len(bars)) < self._often):
            price = float(bars.close[index])
            stop, target = (round(price * (1 + rng.normal(0, 0.02)), 2) for _ in range(2))
            found.append(
                signal(
                    bars,
                    int(index),
                    [BUY, SELL, CLOSE, Action.HOLD][rng.integers(4)],
                    stop=stop if rng.random() < 0.7 else None,
                    target=target if rng.random() < 0.7 else None,
                    expires_at=bars.moment(int(index)) + timedelta(seconds=90)
                    if rng.random() < 0.8
                    else None,
                )
            )
        return found


SIZINGS: list[Sizing] = [
    FixedQuantity(Decimal(700)),
    BacktestSettings().sizing,
    RiskOfEquity(Decimal("0.05")),
]


@cases(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    symbols=st.integers(1, 3),
    often=st.sampled_from([0.02, 0.2, 0.7]),
    sizing=st.sampled_from(SIZINGS),
    spread=st.sampled_from([None, 0, 7]),
    slippage=st.sampled_from([0, 3]),
    interest=st.booleans(),
    short=st.booleans(),
)
def test_a_run_that_skips_bars_trades_as_one_that_shows_every_price(
    seed: int,
    symbols: int,
    often: float,
    sizing: Sizing,
    spread: int | None,
    slippage: int,
    interest: bool,
    short: bool,
) -> None:
    step = timedelta(hours=5) if interest else MINUTE
    bars = {
        "X" * number: walk(
            150, seed + number, symbol="X" * number, step=step, start=START + (number - 1) * 2 * step
        )
        for number in range(1, symbols + 1)
    }
    settings = BacktestSettings(
        sizing=sizing, spread_ticks=spread, slippage_ticks=slippage, interest=interest, allow_short=short
    )
    quick, thorough = (outcome(bars, Dice(seed, often), settings, thorough=each) for each in (False, True))
    assert sorted(quick.fills) == sorted(thorough.fills)
    assert quick.refusals == thorough.refusals
    assert (quick.expired, quick.final_equity) == (thorough.expired, thorough.final_equity)
    assert quick.equity.tolist() == pytest.approx(thorough.equity.tolist())


@cases(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), symbols=st.integers(1, 3))
def test_the_curve_ends_where_the_books_do(seed: int, symbols: int) -> None:
    bars = {name: walk(200, seed + len(name), symbol=name) for name in ["A", "BB", "CCC"][:symbols]}
    report = run_backtest(Crossover(3, 8, stop=0.01, target=0.02), bars)
    assert report.curves.equity[-1] == pytest.approx(float(report.final_equity), abs=0.005)
    profit = sum(each.profit for each in report.trades)
    assert report.opening + profit == pytest.approx(report.final_equity, abs=Decimal("0.02"))
