"""Bars as candles: pictures of bars that one can check by eye.

How a test was seen to fail is said at the end of its docstring.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.cli.plot import Candle, candles, plot

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)


def bars(*prices: tuple[float, float, float, float], step: timedelta = timedelta(minutes=5)) -> list[Candle]:
    return [Candle(NOON + number * step, *each) for number, each in enumerate(prices)]


def test_the_picture_of_four_bars() -> None:
    """Bodies from open to close, wicks from low to high. Seen to fail with highs and lows changed over."""
    picture = plot(
        bars((1.0, 4.0, 0.5, 3.0), (3.0, 6.5, 3.0, 6.0), (6.0, 6.0, 1.0, 2.0), (2.0, 3.0, 2.0, 2.0)),
        width=40,
        height=9,
    )
    assert [line.rstrip() for line in picture.plain.splitlines()] == [
        "6.27 ┤  ╽╻",
        "     │  ┃┃",
        "     │ ╷┃┃",
        "     │ │┃┃",
        "2.58 ┤ ┃╹┃│",
        "     │ ┃ ╿╹",
        "     │ ╿ ╵",
        "     └─┬───",
        "       12:00",
    ]


def test_rising_bars_are_green_and_falling_ones_red() -> None:
    picture = plot(bars((1.0, 2.0, 1.0, 2.0), (2.0, 2.0, 1.0, 1.0)), width=40, height=8)
    colours = {str(span.style) for span in picture.spans}
    assert colours == {"dim", "green", "red"}
    first = [span.style for span in picture.spans][1:3]
    assert first == ["green", "red"]


def test_more_bars_than_columns_are_put_together() -> None:
    """The highest high and the lowest low are still there. Seen to fail with bars left out."""
    many = bars(*[(1.0, 1.1, 0.9, 1.0)] * 499, (1.0, 9.0, 1.0, 1.0))
    lines = plot(many, width=60, height=12).plain.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0].startswith("8.79 ┤")
    assert "╷" in lines[0] or "│" in lines[0]


@pytest.mark.parametrize(
    ("step", "label"),
    [
        (timedelta(minutes=1), "12:00  "),
        (timedelta(hours=1), "Jan 30 12:00  "),
        (timedelta(days=1), "2026-01-30  "),
    ],
)
def test_times_are_told_as_the_span_needs_it(step: timedelta, label: str) -> None:
    shown = bars(*[(1.0, 2.0, 1.0, 2.0)] * 40, step=step)
    assert plot(shown, width=80, height=10).plain.splitlines()[-1].strip().startswith(label)


def test_nothing_and_one_price() -> None:
    assert plot([], width=80, height=20).plain == "no bars"
    flat = plot(bars((5.0, 5.0, 5.0, 5.0)), width=80, height=8).plain
    assert [line.split("│")[-1].strip() for line in flat.splitlines() if "╹" in line] == ["╹"]


def test_bars_without_prices_are_left_out() -> None:
    bar = {"time": "2026-01-30T12:00:00Z", "open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0}
    assert candles([bar, {**bar, "high": None}]) == [Candle(NOON, 1.0, 2.0, 1.0, 2.0)]


PRICES = st.lists(st.floats(1e-6, 1e7), min_size=4, max_size=4)


@given(st.lists(PRICES, min_size=1, max_size=300), st.integers(1, 200), st.integers(1, 60))
def test_any_bars_fit_into_any_terminal(prices: list[list[float]], width: int, height: int) -> None:
    """Seen to fail with a scale of nothing, and with times that go beyond the edge."""
    shown = [(each[0], max(each), min(each), each[-1]) for each in prices]
    lines = plot(bars(*shown), width=width, height=height).plain.splitlines()
    assert len(lines) == max(height, 8)
    assert max(map(len, lines)) <= max(width, 40)
