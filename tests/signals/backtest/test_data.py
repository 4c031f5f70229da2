"""Bars out of files, and what is no bars."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.signals.backtest.making import EURUSD, GOOG, START, Scripted, bars_of, signal, walk
from trademind.domain import SecType
from trademind.domain.signals import Action, Signal
from trademind.errors import Invalid, StrategyFailed
from trademind.signals.backtest import (
    BacktestSettings,
    FixedQuantity,
    RiskOfEquity,
    ShareOfEquity,
    run_backtest,
)
from trademind.signals.backtest.data import read_bars, size_of
from trademind.signals.backtest.settings import annual_bars
from trademind.signals.bars import BarArrays

HEAD = "time,open,high,low,close,volume\n"


def test_daily_and_hourly_files() -> None:
    days = read_bars(GOOG)["GOOG"]
    assert (days.bar_size, len(days), days.moment(0)) == ("1 day", 2148, datetime(2004, 8, 19, tzinfo=UTC))
    assert (days.open[0], days.close[-1], days.volume[0]) == (100.0, 806.19, 22_351_900)
    hours = read_bars(EURUSD)["EURUSD"]
    # What has no time zone is New York's time.
    assert (hours.bar_size, hours.moment(0)) == ("1 hour", datetime(2017, 4, 19, 13, tzinfo=UTC))


def test_parquet_and_several_symbols(tmp_path: Path) -> None:
    bars = walk(50, 3)
    table = {
        "ts": [datetime.fromtimestamp(int(each), UTC) for each in bars.time] * 2,
        "symbol": ["AAA"] * 50 + ["BBB"] * 50,
        **{name: np.tile(getattr(bars, name), 2) for name in ("open", "high", "low", "close")},
    }
    parquet.write_table(pa.table(table), tmp_path / "two.parquet")
    found = read_bars(tmp_path / "two.parquet")
    assert list(found) == ["AAA", "BBB"]
    assert found["BBB"].close.tolist() == bars.close.tolist()
    assert found["BBB"].time.tolist() == bars.time.tolist()
    assert found["AAA"].bar_size == "1 min"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "2026-03-02 09:30:00,1,2,1,x,5\n", r"X\.csv:2: the close is 'x', which is not a number"),
        (HEAD + "2026-03-02 09:30:00,1,2,1,nan,5\n", r"X\.csv:2: the close is 'nan', which is not a number"),
        (
            HEAD + "2026-03-02 09:30:00,3,2,1,1,5\n",
            r"X\.csv:2: open and close have to lie between low and high",
        ),
        (HEAD + "2026-03-02 09:30:00,-1,2,-1,1,5\n", r"X\.csv:2: the open is '-1'; prices are above zero"),
        (HEAD + "yesterday,1,2,1,1,5\n", r"X\.csv:2: 'yesterday' is not a time"),
        (HEAD + "2026-03-02 09:30:00,1,2,1\n", r"X\.csv:2: there are 4 fields, and 6 columns"),
        (
            HEAD + "2026-03-02 09:31:00,1,1,1,1,5\n2026-03-02 09:30:00,1,1,1,1,5\n",
            r"X\.csv:3: time goes back; sort the rows",
        ),
        ("when,open,high,low,close\n", r"X\.csv:1: no column says when"),
        (HEAD, "there are no prices in it"),
        ("time,price,size\n2026-03-02 09:30:00,1,2\n", "has ticks in it"),
        (
            HEAD + "".join(f"2026-03-02 09:{minute}:00,1,1,1,1,5\n" for minute in (30, 37, 44)),
            "X has a row every 420 seconds, which is no bar size; give one",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "X.csv"
    file.write_text(text)
    with pytest.raises(Invalid, match=words):
        read_bars(file)


def test_no_file() -> None:
    with pytest.raises(Invalid, match="there is no such file"):
        read_bars(Path("nowhere.csv"))


@pytest.mark.parametrize(
    ("seconds", "size"),
    [(1, "1 secs"), (60, "1 min"), (7200, "2 hours"), (86_400, "1 day"), (3 * 86_400, "1 day"),
     (604_800, "1 week"), (29 * 86_400, "1 month"), (61, None)],
)  # fmt: skip
def test_the_bar_size_of_a_distance(seconds: int, size: str | None) -> None:
    assert size_of(seconds) == size


@pytest.mark.parametrize(
    ("size", "kind", "bars"),
    [("1 day", SecType.STOCK, 252), ("1 min", SecType.STOCK, 252 * 390), ("5 mins", SecType.STOCK, 252 * 78),
     ("1 hour", SecType.CASH, 260 * 24), ("1 week", SecType.STOCK, 52), ("1 day", SecType.CRYPTO, 365),
     ("30 secs", SecType.STOCK, 252 * 780), ("a while", SecType.STOCK, None)],
)  # fmt: skip
def test_bars_in_a_year(size: str, kind: SecType, bars: float | None) -> None:
    assert annual_bars(size, kind) == bars


# Bars and settings that cannot be traded


def test_bars_that_cannot_be_traded() -> None:
    empty = Scripted({})
    with pytest.raises(Invalid, match="bars: there are none"):
        run_backtest(empty, {})
    with pytest.raises(Invalid, match=r"bars.TEST: has 1 bars to trade; needs two"):
        run_backtest(empty, {"TEST": bars_of([(1, 1, 1, 1)])})
    with pytest.raises(Invalid, match="must be of one bar size, not 1 day, 1 min"):
        run_backtest(empty, {"A": walk(5, 1), "B": walk(5, 1, bar_size="1 day")})
    with pytest.raises(
        Invalid, match=r"bars.TEST: in the bar of 2026-03-02 14:31: prices must be above zero"
    ):
        run_backtest(empty, {"TEST": bars_of([(1, 1, 1, 1), (2, 1, 1, 1)])})
    with pytest.raises(Invalid, match=r"bars.USDJPY: is priced in JPY; must be in USD"):
        run_backtest(empty, {"USDJPY": walk(5, 1, symbol="USDJPY")})
    with pytest.raises(
        Invalid, match="bars_per_year: is needed, since a bar size of 'a while' does not say it"
    ):
        run_backtest(empty, {"TEST": walk(5, 1, bar_size="a while")})
    with pytest.raises(Invalid, match=r"bars.OTHER: are of TEST"):
        run_backtest(empty, {"OTHER": walk(5, 1)})
    report = run_backtest(empty, {"TEST": walk(5, 1, bar_size="a while")}, BacktestSettings(bars_per_year=10))
    assert report.bars_per_year == 10
    with pytest.raises(Invalid, match="has 0 bars to trade"):
        run_backtest(empty, {"TEST": walk(5, 1)}, BacktestSettings(end=datetime(2020, 1, 1, tzinfo=UTC)))


def test_prices_that_ticks_are_too_coarse_for() -> None:
    bars = bars_of([(0.094, 0.096, 0.094, 0.094), (2, 2, 2, 2)])
    [note] = run_backtest(Scripted({}), {"TEST": bars}).notes
    assert note.startswith("Prices of TEST are rounded to ticks of 0.01, by up to 4.3%.")


def test_settings_that_cannot_be_meant() -> None:
    for wrong, words in (
        ({"cash": Decimal(0)}, "cash: must be above 0"),
        ({"cash": Decimal("NaN")}, "cash: must be above 0"),
        (
            {"spread_ticks": -1, "slippage_ticks": 10**9},
            "slippage_ticks: must be 0 to 10000; spread_ticks: must",
        ),
        ({"bars_per_year": 0.0}, "bars_per_year: must be above 0"),
        ({"risk_free": 40.0}, "risk_free: must be a fraction"),
        ({"start": datetime(2026, 1, 1)}, "start: needs a time zone"),  # noqa: DTZ001 - this is what is refused
        ({"start": START, "end": datetime(2020, 1, 1, tzinfo=UTC)}, "end: must not be before start"),
    ):
        with pytest.raises(Invalid, match=words):
            BacktestSettings(**wrong)
    for sizing in (FixedQuantity, ShareOfEquity, RiskOfEquity):
        with pytest.raises(Invalid, match="must be above"):
            sizing(Decimal(0))


class Broken:
    name = "broken"

    def on_bars(self, bars: object) -> list[object]:
        raise KeyError("close")


def test_a_strategy_that_fails_is_told_with_its_traceback() -> None:
    bars = {"TEST": walk(5, 1)}
    with pytest.raises(StrategyFailed, match="broken on TEST: KeyError: 'close'") as caught:
        run_backtest(Broken(), bars)  # type: ignore[arg-type]
    assert 'raise KeyError("close")' in str(caught.value.traceback)
    assert caught.value.extra["traceback"] == caught.value.traceback

    class Odd:
        def on_bars(self, bars: object) -> list[object]:
            return ["buy"]

    with pytest.raises(StrategyFailed, match="Odd on TEST: on_bars gave str in place of a Signal"):
        run_backtest(Odd(), bars)  # type: ignore[arg-type]

    class Beyond:
        def on_bars(self, bars: object) -> list[Signal]:
            longer = walk(9, 1)
            return Scripted({"TEST": {8: Action.BUY}}).on_bars(longer)

    with pytest.raises(StrategyFailed, match="a signal is of bar 8; there are 5"):
        run_backtest(Beyond(), bars)

    class Nowhere:
        def on_bars(self, bars: BarArrays) -> list[Signal]:
            return [signal(bars, 1, Action.BUY, stop=float("nan"))]

    with pytest.raises(StrategyFailed, match="the stop or the target of bar 1 is no number"):
        run_backtest(Nowhere(), bars)
