"""Indicators: what is said of them is so, and none looks ahead."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signals.prices import SERIES, any_bars, bars_of, real, walk
from trademind.errors import IndicatorNotFound, Invalid
from trademind.signals import INDICATORS, BarArrays, Indicator, Parameter, indicator
from trademind.signals.bars import Floats
from trademind.signals.parameters import Kind

ALL = pytest.mark.parametrize("one", INDICATORS.values(), ids=INDICATORS)


def settings_of(one: Indicator) -> st.SearchStrategy[dict[str, Any]]:
    """Parameters that it takes, of a size for a few hundred bars."""

    def values(parameter: Parameter) -> st.SearchStrategy[Any]:
        if parameter.kind is Kind.CHOICE:
            return st.sampled_from(parameter.choices)
        lowest, highest = parameter.minimum, parameter.maximum
        assert lowest is not None
        assert highest is not None
        if parameter.kind is Kind.INT:
            return st.integers(int(lowest), int(min(highest, 25)))
        return st.floats(lowest, highest)

    made = st.fixed_dictionaries({parameter.name: values(parameter) for parameter in one.parameters})
    return made.filter(lambda given: not list(one.check(given)))


@ALL
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_values_do_not_depend_on_what_comes_later(one: Indicator, data: st.DataObject) -> None:
    bars = data.draw(any_bars())
    parameters = data.draw(settings_of(one))
    cut = data.draw(st.integers(0, len(bars)))
    whole, part = one.compute(bars, **parameters), one.compute(bars.upto(cut), **parameters)
    for name in one.outputs:
        np.testing.assert_array_equal(part[name], whole[name][:cut], err_msg=name)


@ALL
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_so_many_bars_have_no_value(one: Indicator, data: st.DataObject) -> None:
    parameters = data.draw(settings_of(one))
    bars = walk(200)
    for name, column in one.compute(bars, **parameters).items():
        missing = np.isnan(column)
        assert missing.sum() == one.warm_up(**parameters), name
        assert not missing[one.warm_up(**parameters) :].any()


@ALL
def test_it_is_described(one: Indicator) -> None:
    assert one.title
    assert one.description.endswith(".")
    assert one.source
    assert {*one.inputs} <= {"open", "high", "low", "close", "volume"}
    assert one.read({}) == {parameter.name: parameter.default for parameter in one.parameters}
    assert all(parameter.description for parameter in one.parameters)


@ALL
def test_too_few_bars_have_no_values(one: Indicator) -> None:
    for count in {0, one.warm_up() // 2, one.warm_up()}:
        for column in one.compute(walk(300).upto(count)).values():
            assert len(column) == count
            assert np.isnan(column).all()


@ALL
@pytest.mark.parametrize("name", SERIES)
def test_real_prices_give_values(one: Indicator, name: str) -> None:
    bars = real(name)
    for column in one.compute(bars).values():
        assert np.isfinite(column[one.warm_up() :]).all()


@pytest.mark.parametrize("name", SERIES)
def test_values_are_those_of_another_computation(name: str) -> None:
    bars = real(name)
    close = pd.Series(bars.close)
    mean, deviation = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    bands = indicator("bbands").compute(bars)
    expected = {
        "sma": (indicator("sma").compute(bars)["sma"], mean),
        "upper": (bands["upper"], mean + 2 * deviation),
        "lower": (bands["lower"], mean - 2 * deviation),
        "high": (indicator("donchian").compute(bars)["upper"], pd.Series(bars.high).rolling(20).max()),
        "slope": (
            indicator("linearreg_slope").compute(bars)["linearreg_slope"],
            close.rolling(14).apply(lambda last: np.polyfit(range(14), last, 1)[0], raw=True),
        ),
    }
    for label, (ours, theirs) in expected.items():
        np.testing.assert_allclose(ours, theirs.to_numpy(), rtol=1e-6, atol=1e-7, err_msg=label)
    np.testing.assert_allclose(indicator("rsi").compute(bars)["rsi"], wilder_rsi(bars, 14), atol=1e-8)
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (12, 26))
    # Averages that begin at different bars have met after some hundreds.
    late = slice(400, None)
    np.testing.assert_allclose(
        indicator("macd").compute(bars)["macd"][late], (fast - slow).to_numpy()[late], atol=1e-6
    )


def wilder_rsi(bars: BarArrays, period: int) -> Floats:
    """Word by word from the book: means of the first moves, from then on smoothed."""
    moves = np.diff(bars.close).tolist()
    up = sum(max(move, 0.0) for move in moves[:period]) / period
    down = sum(max(-move, 0.0) for move in moves[:period]) / period
    values = [float("nan")] * period + [100 * up / (up + down)]
    for move in moves[period:]:
        up = (up * (period - 1) + max(move, 0.0)) / period
        down = (down * (period - 1) + max(-move, 0.0)) / period
        values.append(100 * up / (up + down))
    return np.array(values)


@pytest.mark.parametrize("name", ["rsi", "stoch", "stochf", "stochrsi", "willr", "mfi"])
def test_oscillators_of_prices_that_stand_still_have_no_value(name: str) -> None:
    for column in indicator(name).compute(bars_of([10.0] * 100)).values():
        assert np.isnan(column).all()


def test_a_bar_of_unknown_volume_is_left_out_and_does_not_last() -> None:
    volume = [1000.0] * 100
    volume[50] = float("nan")
    closes = walk(100).close.tolist()
    bars = bars_of(closes, volume=volume, spread=0.1)
    for name in ("obv", "ad", "vwap", "adosc", "cmf", "mfi", "vwma", "relative_volume"):
        one = indicator(name)
        for column in one.compute(bars).values():
            missing = np.flatnonzero(np.isnan(column[one.warm_up() :])) + one.warm_up()
            assert missing.tolist() == list(range(50, 50 + one.warm_up() + 1)), name


def test_no_volume_at_all_is_no_value() -> None:
    bars = bars_of(walk(100).close.tolist(), volume=float("nan"), spread=0.1)
    for one in INDICATORS.values():
        has_values = all(np.isfinite(column).any() for column in one.compute(bars).values())
        assert has_values == ("volume" not in one.inputs), one.name


def test_the_average_price_begins_anew() -> None:
    closes = [10.0] * 24 + [20.0] * 24
    # As high as low in each bar, so that the typical price is the close.
    level: dict[str, Any] = {name: np.array(closes) for name in ("open", "high", "low")}
    hours = bars_of(closes, bar_size="1 hour", step=3600, **level)
    vwap = indicator("vwap")
    assert vwap.compute(hours)["vwap"][[0, 23, 24, 47]].tolist() == [10, 10, 20, 20]
    assert vwap.compute(hours, anchor="all")["vwap"][-1] == 15
    assert vwap.compute(hours, anchor="week")["vwap"][-1] == 15


def test_what_is_wrong_with_parameters_is_named() -> None:
    def wrong(name: str, **parameters: object) -> list[str]:
        with pytest.raises(Invalid) as failure:
            indicator(name).compute(walk(50), **parameters)
        return [field for field, _ in failure.value.errors]

    for bad in (1, 1001, 14.5, "many", None, True, float("nan"), "1e999", [14]):
        assert wrong("rsi", period=bad) == ["period"]
    assert wrong("rsi", length=14) == ["length"]
    assert wrong("macd", fast=26, slow=12) == ["fast"]
    assert wrong("bbands", period=0, deviations=-1) == ["period", "deviations"]
    assert wrong("vwap", anchor="year") == ["anchor"]
    assert indicator("rsi").read({"period": "21"}) == {"period": 21}
    with pytest.raises(IndicatorNotFound, match="'rzi'; there are sma,"):
        indicator("rzi")
