"""Strategies: the same signals live and in a backtest, those of another computation, and what they say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.signals.prices import FRIDAY, SERIES, any_bars, bars_of, real, walk
from tests.signals.test_indicators import wilder_rsi
from trademind.errors import Invalid, StrategyNotFound
from trademind.signals import BUILT_IN, Action, BarArrays, Signal, strategy
from trademind.signals.calendar import expiry, length_of
from trademind.signals.conditions import crossed_above, crossed_below
from trademind.signals.ensemble import votes
from trademind.signals.parameters import Kind

ALL = pytest.mark.parametrize("name", BUILT_IN)


@st.composite
def settings_of(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Parameters of a size for a few hundred bars; those of several that must fit together do."""
    kind = BUILT_IN[name]
    values: dict[str, Any] = {}
    for parameter in kind.parameters():
        if parameter.kind is Kind.CHOICE:
            values[parameter.name] = draw(st.sampled_from(parameter.choices))
        elif parameter.kind is Kind.INT:
            assert parameter.minimum is not None
            values[parameter.name] = draw(st.integers(int(parameter.minimum), 12))
        else:
            values[parameter.name] = draw(st.floats(parameter.minimum, parameter.maximum))
    if "slow" in values:
        values["slow"] = values["fast"] + draw(st.integers(1, 12))
    if "exit_period" in values:
        values["exit_period"] = min(values["exit_period"], values["entry_period"])
    try:
        kind.of(values)
    except Invalid:
        reject()
    return values


@ALL
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_signals_do_not_depend_on_what_comes_later(name: str, data: st.DataObject) -> None:
    bars = data.draw(any_bars())
    one = strategy(name, **data.draw(settings_of(name)))
    cut = data.draw(st.integers(0, len(bars)))
    whole = one.on_bars(bars)
    assert one.on_bars(bars.upto(cut)) == [signal for signal in whole if signal.index < cut]
    assert all(signal.index >= one.warm_up for signal in whole)


@ALL
@pytest.mark.parametrize("series", SERIES)
def test_real_prices_give_signals_that_make_sense(name: str, series: str) -> None:
    bars = real(series)
    signals = strategy(name).on_bars(bars)
    assert {signal.action for signal in signals} >= {Action.BUY, Action.SELL}
    for signal in signals:
        at = signal.index
        assert (signal.strategy, signal.symbol, signal.entry) == (name, series, bars.close[at])
        assert signal.bar_time == bars.moment(at)
        assert signal.expires_at is not None
        assert signal.expires_at > signal.bar_time + length_of(bars.bar_size)
        assert 0 <= signal.strength <= 1
        assert 0 <= signal.confidence <= 1
        assert signal.reasons[0].values
        for direction, action in ((1, Action.BUY), (-1, Action.SELL)):
            if signal.action is action:
                assert signal.entry is not None
                assert signal.stop is not None
                assert direction * (signal.entry - signal.stop) > 0
                assert signal.target is None or direction * (signal.target - signal.entry) > 0
        if signal.action is Action.CLOSE:
            assert (signal.stop, signal.target, signal.strength) == (None, None, 1)


def entries(name: str, bars: BarArrays, **parameters: object) -> dict[Action, list[int]]:
    signals = strategy(name, **parameters).on_bars(bars)
    return {
        action: [signal.index for signal in signals if signal.action is action]
        for action in (Action.BUY, Action.SELL, Action.CLOSE)
    }


def places(condition: "pd.Series[bool]", after: int) -> list[int]:
    return [at for at in np.flatnonzero(condition.to_numpy()).tolist() if at >= after]


@pytest.mark.parametrize("series", SERIES)
def test_signals_are_those_of_another_computation(series: str) -> None:
    bars = real(series)
    close = pd.Series(bars.close)

    fast, slow = close.rolling(20).mean(), close.rolling(50).mean()
    above, below = fast > slow, fast < slow
    began = fast.shift().notna() & slow.shift().notna()
    found = entries("ma_crossover", bars)
    assert found[Action.BUY] == places(above & ~above.shift(fill_value=False) & began, 50)
    assert found[Action.SELL] == places(below & ~below.shift(fill_value=False) & began, 50)

    rsi = pd.Series(wilder_rsi(bars, 14)).round(6)
    last, second_last = rsi.shift(), rsi.shift(2)
    found = entries("rsi_reversion", bars)
    assert found[Action.BUY] == places((last < 30) & (rsi > last) & (second_last >= last), 16)
    assert found[Action.SELL] == places((last > 70) & (rsi < last) & (second_last <= last), 16)

    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    over, under = close > mean + 2 * deviation, close < mean - 2 * deviation
    found = entries("bollinger_breakout", bars)
    assert found[Action.BUY] == places(over & ~over.shift(fill_value=False), 20)
    assert found[Action.SELL] == places(under & ~under.shift(fill_value=False), 20)

    macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    line = macd.ewm(span=9, adjust=False).mean()
    above = macd > line
    found = entries("macd", bars)
    # The averages of the two begin at different bars, and have met after some hundreds.
    assert [at for at in found[Action.BUY] if at > 500] == places(above & ~above.shift(fill_value=False), 501)

    highest = pd.Series(bars.high).rolling(20).max().shift()
    out = close > highest
    found = entries("donchian_breakout", bars)
    assert found[Action.BUY] == places(out & ~out.shift(fill_value=False), 21)


def test_reasons_are_plain_words_with_their_numbers() -> None:
    signals = strategy("rsi_reversion").on_bars(real("AAPL"))
    signal = next(one for one in signals if one.action is Action.BUY)
    assert (signal.bar_time, signal.index) == (datetime(2000, 6, 26, tzinfo=UTC), 81)
    assert [reason.text for reason in signal.reasons] == [
        "RSI(14) fell to 25.5, below 30, and turned up to 27.9",
        "The close, 54.13, is below its mean of 50 bars, 99.3414",
        "The volume is 0.83 times that of the last 20 bars",
    ]
    before = dict(signal.reasons[0].values)["rsi_before"]
    assert signal.strength == pytest.approx((30 - before) / 15)


def test_a_close_belongs_to_the_side_of_the_last_break_out() -> None:
    rising = list(np.linspace(100, 130, 40))
    falling = list(np.linspace(129, 100, 20))
    bars = bars_of([100.0, 100.5] * 15 + rising + falling, spread=0.2)
    signals = strategy("donchian_breakout").on_bars(bars)
    assert [signal.action for signal in signals] == [Action.BUY, Action.CLOSE, Action.SELL]
    close = signals[1]
    assert "below the lowest low of the 10 bars before" in close.reasons[0].text
    # Sold at 80, it falls below the low of the last ten bars once more: no reason to buy back.
    again = bars_of([100.0, 100.5] * 15 + [80.0] + [90.0] * 12 + [85.0], spread=0.2)
    assert [signal.action for signal in strategy("donchian_breakout").on_bars(again)] == [Action.SELL]


def test_only_purchases_where_nothing_may_be_sold() -> None:
    both = strategy("ma_crossover").on_bars(real("IBM"))
    only = strategy("ma_crossover", sides="long").on_bars(real("IBM"))
    assert [signal.index for signal in both] == [signal.index for signal in only]
    assert {signal.action for signal in only} == {Action.BUY, Action.CLOSE}


def test_stops_and_targets_are_so_many_ranges_away_or_nowhere() -> None:
    bars = real("MSFT")
    near = strategy("macd", stop_atr=1, target_atr=2).on_bars(bars)
    far = strategy("macd", stop_atr=0, target_atr=0).on_bars(bars)
    assert [signal.index for signal in near] == [signal.index for signal in far]
    for signal in near:
        assert signal.entry is not None
        assert signal.stop is not None
        assert signal.target is not None
        assert signal.target - signal.entry == pytest.approx(2 * (signal.entry - signal.stop))
    assert all(signal.stop is None and signal.target is None for signal in far)


def test_no_stop_below_nothing() -> None:
    closes = [0.5, 2.0] * 20 + [2.6]
    signals = strategy("bollinger_breakout", deviations=0.5, stop_atr=10).on_bars(bars_of(closes))
    bought = [signal for signal in signals if signal.action is Action.BUY]
    assert bought
    assert all(signal.stop is None for signal in bought)


@ALL
def test_prices_that_stand_still_give_no_signals(name: str) -> None:
    assert strategy(name).on_bars(bars_of([123.456789] * 500, volume=0)) == []
    # After they have moved, too: what averages differ by then are errors of rounding.
    closes = [*walk(200).close.tolist(), *[103.217] * 600]
    late = [signal for signal in strategy(name).on_bars(bars_of(closes, spread=0.0)) if signal.index > 400]
    assert late == []


@ALL
def test_prices_of_any_size_give_the_same_signals(name: str) -> None:
    bars = walk(400, seed=3)

    def scaled(by: float) -> list[tuple[int, Action]]:
        columns = {column: getattr(bars, column) * by for column in ("open", "high", "low")}
        made = bars_of((bars.close * by).tolist(), **columns)
        return [(signal.index, signal.action) for signal in strategy(name).on_bars(made)]

    assert scaled(2.0**-20) == scaled(1.0) == scaled(2.0**20)


@ALL
def test_prices_below_nothing_are_taken(name: str) -> None:
    bars = walk(400, seed=3)
    columns = {column: getattr(bars, column) - 200 for column in ("open", "high", "low")}
    made = bars_of((bars.close - 200).tolist(), **columns)
    assert strategy(name).on_bars(made)


@ALL
def test_it_is_described(name: str) -> None:
    info = BUILT_IN[name].info("built in")
    assert info.name == name
    assert info.description.endswith(".")
    assert info.uses
    assert info.warm_up == strategy(name).warm_up
    assert all(parameter.description for parameter in info.parameters)


def test_what_is_wrong_with_parameters_is_named() -> None:
    def wrong(name: str, **parameters: object) -> list[str]:
        with pytest.raises(Invalid) as failure:
            strategy(name, **parameters)
        return [field for field, _ in failure.value.errors]

    assert wrong("rsi_reversion", period=1, lower="low", days=3) == ["days", "period", "lower"]
    assert wrong("rsi_reversion", lower=40, middle=35) == ["middle"]
    assert wrong("ma_crossover", fast=50) == ["fast"]
    assert wrong("ma_crossover", average="hull") == ["average"]
    assert wrong("macd", fast=30) == ["fast"]
    assert wrong("donchian_breakout", exit_period=30) == ["exit_period"]
    nobody = dict.fromkeys(set(BUILT_IN) - {"ensemble"}, 0)
    assert wrong("ensemble", **nobody) == ["rsi_reversion"]
    with pytest.raises(StrategyNotFound, match="there are rsi_reversion, "):
        strategy("hodl")
    with pytest.raises(Invalid):
        BUILT_IN["macd"](fast=0)  # type: ignore[call-arg]


def test_weights_decide() -> None:
    others = dict.fromkeys(set(BUILT_IN) - {"ensemble", "ma_crossover"}, 0)
    alone = strategy("ensemble", **others, threshold=1, memory=200).on_bars(real("AAPL"))
    crossing = strategy("ma_crossover").on_bars(real("AAPL"))
    opened = [(one.index, one.action) for one in alone if one.action is not Action.CLOSE]
    assert opened == [(one.index, one.action) for one in crossing]
    assert all(one.strength == 1 for one in alone)


def test_a_vote_lasts_for_a_while() -> None:
    nan = float("nan")
    leanings = np.array([nan, 1, nan, nan, nan, -1, nan, 0, nan])
    assert votes(leanings, 3).tolist() == [0, 1, 1, 1, 0, -1, -1, 0, 0]


def test_crossings() -> None:
    nan = float("nan")
    values = np.array([nan, 2, 0, 1, 1.5, 1, 2, nan, 2, 0])
    assert np.flatnonzero(crossed_above(values, 1.0)).tolist() == [4, 6]
    assert np.flatnonzero(crossed_below(values, 1.0)).tolist() == [2, 9]
    assert not crossed_above(np.array([1.0, 1.0 + 1e-12]), 1.0).any()


@pytest.mark.parametrize(
    ("day", "bars", "until"),
    [
        ("2024-10-02", 1, "2024-10-04"),  # of a Wednesday, for Thursday
        ("2024-10-04", 1, "2024-10-08"),  # of a Friday, for Monday
        ("2024-10-03", 2, "2024-10-08"),
        ("2024-10-05", 1, "2024-10-08"),  # of a Saturday
        ("2024-10-06", 1, "2024-10-08"),
        ("2024-10-04", 5, "2024-10-12"),
        ("2024-10-02", 11, "2024-10-18"),
    ],
)
def test_days_are_counted_from_monday_to_friday(day: str, bars: int, until: str) -> None:
    begins = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert expiry(int(begins.timestamp()), "1 day", bars) == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_other_bars_are_counted_by_their_length() -> None:
    friday = datetime.fromtimestamp(FRIDAY, UTC)
    assert expiry(FRIDAY, "5 mins", 3) == friday + timedelta(minutes=20)
    assert expiry(FRIDAY, "1 week", 1) == friday + timedelta(weeks=2)
    assert length_of("1 month") == timedelta(days=31)
    with pytest.raises(Invalid, match="bar_size"):
        length_of("7 mins")


def test_a_signal_compares_by_what_it_says() -> None:
    first, second = (strategy("macd").on_bars(real("IBM")) for _ in range(2))
    assert first == second
    assert isinstance(first[0], Signal)
