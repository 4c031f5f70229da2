"""Trade by trade beside an independent backtester, on the real prices that it ships."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import floor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from backtesting import Backtest
from backtesting import Strategy as TheirStrategy

from tests.signals.backtest.making import EURUSD, GOOG, Crossover
from tests.signals.prices import real
from trademind.domain.signals import Action, Signal
from trademind.gateway.engine.commissions import FREE
from trademind.signals.backtest import (
    BacktestSettings,
    FixedQuantity,
    Given,
    Report,
    ShareOfEquity,
    run_backtest,
)
from trademind.signals.backtest.data import read_bars
from trademind.signals.backtest.run import instrument_of
from trademind.signals.backtest.track import is_idle
from trademind.signals.bars import BarArrays
from trademind.signals.catalogue import BUILT_IN, strategy

CASH = 10_000_000
SAME_COSTS = BacktestSettings(cash=Decimal(CASH), commissions=FREE, spread_ticks=0)

STOCKS = ("AAPL", "GOOG", "IBM", "MSFT", "GOOG since 2004")
CROSSOVERS = [
    Crossover(5, 20),
    Crossover(20, 100),
    Crossover(5, 20, stop=0.03),
    Crossover(10, 50, stop=0.05, target=0.08),
    Crossover(3, 10, stop=0.01, target=0.02),
]

Size = Callable[[Any, float], float]


def theirs(bars: BarArrays, signals: list[Signal], size: Size, **costs: Any) -> pd.DataFrame:
    """The same signals under `backtesting`, which gives the trades that it has closed."""
    by_bar: Mapping[int, Signal] = {each.index: each for each in signals}

    class Follow(TheirStrategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            signal = by_bar.get(len(self.data) - 1)
            if signal is None or is_idle(signal, self.position.is_long - self.position.is_short):
                return
            if signal.action is Action.CLOSE:
                self.position.close()
                return
            act = self.buy if signal.action is Action.BUY else self.sell
            act(size=size(self, float(self.data.Close[-1])), sl=signal.stop, tp=signal.target)

    frame = pd.DataFrame(
        {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume},
        index=pd.to_datetime(bars.time, unit="s"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stats = Backtest(frame, Follow, cash=CASH, exclusive_orders=True, trade_on_close=False, **costs).run()
    trades: pd.DataFrame = stats["_trades"]
    return trades


def ours(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "size": int(each.quantity) * each.side.sign,
            "entry": (each.entry_bar, float(each.entry_price)),
            "exit": (each.exit_bar, float(each.exit_price or 0)),
            "times": (each.entry_time, each.exit_time),
            "profit": float(each.profit),
            "why": each.exit_why,
        }
        for each in report.trades
        if not each.is_open
    ]


def in_their_words(trades: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "size": int(each.Size),
            "entry": (int(each.EntryBar), float(each.EntryPrice)),
            "exit": (int(each.ExitBar), float(each.ExitPrice)),
            "times": (each.EntryTime.tz_localize("UTC"), each.ExitTime.tz_localize("UTC")),
            "profit": float(each.PnL),
        }
        for each in trades.sort_values("EntryBar").itertuples()
    ]


def compare(report: Report, trades: pd.DataFrame) -> int:
    """Whether all trades are the same; how many have a target that was gapped over.

    Those alone differ: a resting limit fills at its limit in the paper gateway, and at the better open there.
    """
    assert not any("expired" in each for each in report.notes)
    found, expected = sorted(ours(report), key=lambda each: each["entry"]), in_their_words(trades)
    assert len(found) == len(expected)
    gapped = 0
    for one, other in zip(found, expected, strict=True):
        for name in ("size", "entry", "times"):
            assert one[name] == other[name]
        assert one["exit"][0] == other["exit"][0]
        better = (other["exit"][1] - one["exit"][1]) * one["size"]
        if one["why"] == "target" and better > 1e-6:
            gapped += 1
        else:
            assert one["exit"][1] == pytest.approx(other["exit"][1], abs=1e-9)
            better = 0.0
        assert one["profit"] + better == pytest.approx(other["profit"], abs=0.01)
    return gapped


@pytest.fixture(scope="module")
def goog() -> BarArrays:
    return read_bars(GOOG)["GOOG"]


def to_the_cent(bars: BarArrays) -> BarArrays:
    """The series have fractions of a cent here and there, which no order can have."""
    names = ("open", "high", "low", "close")
    return replace(bars, **{name: np.round(getattr(bars, name), 2) for name in names})


def in_cents(signals: Sequence[Signal]) -> list[Signal]:
    """Exits at prices that there are, as an order's has to be."""
    return [
        replace(
            each,
            stop=None if each.stop is None else round(each.stop, 2),
            target=None if each.target is None else round(each.target, 2),
        )
        for each in signals
    ]


@pytest.mark.parametrize("series", STOCKS)
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_on_daily_prices(name: str, series: str) -> None:
    bars = to_the_cent(real(series))
    signals = in_cents(strategy(name).on_bars(bars))
    report = run_backtest(
        Given(name=name, signals={series: signals}),
        {series: bars},
        replace(SAME_COSTS, sizing=FixedQuantity(Decimal(100))),
    )
    assert len(report.trades) > 3
    compare(report, theirs(bars, signals, lambda _, price: 100))


@pytest.mark.parametrize("crossover", CROSSOVERS, ids=str)
def test_every_trade_with_and_without_exits(crossover: Crossover, goog: BarArrays) -> None:
    report = run_backtest(crossover, {"GOOG": goog}, replace(SAME_COSTS, sizing=FixedQuantity(Decimal(100))))
    assert len(report.trades) > 10
    gapped = compare(report, theirs(goog, crossover.on_bars(goog), lambda _, price: 100))
    assert bool(gapped) is (crossover.target is not None)


@pytest.mark.parametrize("name", ["ma_crossover", "macd"])
def test_every_trade_on_hourly_currencies(name: str) -> None:
    bars = replace(read_bars(EURUSD)["EURUSD"])
    # The file has a fifth decimal, which IB's half pips would round away.
    pair = replace(instrument_of("EURUSD", bars), min_tick=Decimal("0.00001"))
    settings = replace(SAME_COSTS, sizing=FixedQuantity(Decimal(100_000)), instruments={"EURUSD": pair})
    # Over the weekend signals expire, which the other backtester does not know.
    signals = [
        replace(each, stop=None, target=None, expires_at=None) for each in strategy(name).on_bars(bars)
    ]
    report = run_backtest(Given(name=name, signals={"EURUSD": signals}), {"EURUSD": bars}, settings)
    assert len(report.trades) > 100
    assert compare(report, theirs(bars, signals, lambda _, price: 100_000)) == 0


def test_every_trade_of_a_share_of_the_equity(goog: BarArrays) -> None:
    """The size follows from the equity and the price at the close, as it does in `ShareOfEquity`."""
    crossover = Crossover(5, 20, stop=0.03)

    def size(their: Any, price: float) -> float:
        return floor(float(their.equity) * 0.6 / price)

    report = run_backtest(
        crossover, {"GOOG": goog}, replace(SAME_COSTS, sizing=ShareOfEquity(Decimal("0.6")))
    )
    compare(report, theirs(goog, crossover.on_bars(goog), size))


def test_every_trade_with_commissions(goog: BarArrays) -> None:
    """IBKR's fixed pricing, written down once more: half a cent a share, at least a dollar, at most 1 %."""
    crossover = Crossover(5, 20, stop=0.03)

    def commission(size: float, price: float) -> float:
        return round(min(max(0.005 * abs(size), 1.0), 0.01 * abs(size) * price) + 1e-9, 2)

    settings = BacktestSettings(cash=Decimal(CASH), spread_ticks=0, sizing=FixedQuantity(Decimal(333)))
    report = run_backtest(crossover, {"GOOG": goog}, settings)
    trades = theirs(goog, crossover.on_bars(goog), lambda _, price: 333, commission=commission)
    compare(report, trades)
    still_open = sum(float(each.commission) for each in report.trades if each.is_open)
    assert report.trade_figures.commissions == pytest.approx(float(trades["Commission"].sum()) + still_open)
