from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.feeds.path import TickBar, aggregate, split


@st.composite
def tick_bars(draw: st.DrawFn) -> TickBar:
    low = draw(st.integers(1, 10_000))
    high = low + draw(st.integers(0, 2_000))
    return TickBar(
        open=draw(st.integers(low, high)),
        high=high,
        low=low,
        close=draw(st.integers(low, high)),
        volume=draw(st.integers(0, 10**9)),
        trades=draw(st.integers(0, 10**6)),
    )


@given(tick_bars(), st.lists(st.floats(0.01, 10), min_size=1, max_size=60), st.integers())
def test_the_parts_make_the_whole(bar: TickBar, weights: list[float], seed: int) -> None:
    parts = split(bar, weights, Random(seed))
    assert len(parts) == len(weights)
    assert aggregate(parts) == bar
    for each in parts:
        assert each.low <= min(each.open, each.close) <= max(each.open, each.close) <= each.high
        assert each.volume >= 0 <= each.trades
    for before, after in pairwise(parts):
        assert after.open == before.close
    assert split(bar, weights, Random(seed)) == parts


def test_volume_follows_the_weights() -> None:
    bar = TickBar(1000, 1100, 900, 1050, 1_000_000, 10_000)
    parts = split(bar, [10.0] + [1.0] * 9, Random(1))
    assert parts[0].volume > 3 * max(each.volume for each in parts[1:])


def test_a_path_is_not_a_straight_line() -> None:
    parts = split(TickBar(1000, 1100, 900, 1050, 10**6, 10**4), [1.0] * 60, Random(3))
    ups = sum(each.close > each.open for each in parts)
    assert 15 < ups < 50
    assert len({each.close for each in parts}) > 30


def test_nothing_makes_no_bar() -> None:
    with pytest.raises(ValueError, match="values to unpack"):
        aggregate([])
