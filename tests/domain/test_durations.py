"""Spans of time in IB's terms."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.domain.durations import MAX_REQUESTS, bar_seconds, covering_duration, pieces
from trademind.domain.market import BAR_SIZES
from trademind.errors import Invalid

END = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
_SECONDS = {"S": 1, "D": 86_400, "Y": 365 * 86_400}


def seconds_of(duration: str) -> int:
    count, unit = duration.split()
    return int(count) * _SECONDS[unit]


@pytest.mark.parametrize(
    ("seconds", "bar_size", "duration"),
    [
        (1, "1 secs", "30 S"),
        (90, "5 mins", "300 S"),
        (86_400, "1 min", "86400 S"),
        (86_401, "1 min", "2 D"),
        (3600, "1 day", "1 D"),
        (365 * 86_400, "1 day", "365 D"),
        (366 * 86_400, "1 day", "2 Y"),
    ],
)
def test_the_shortest_duration_that_covers(seconds: int, bar_size: str, duration: str) -> None:
    assert covering_duration(timedelta(seconds=seconds), bar_size) == duration


@given(st.sampled_from(BAR_SIZES), st.integers(1, 10**8))
def test_pieces_cover_a_span_and_overlap_by_two_bars(bar_size: str, seconds: int) -> None:
    start = END - timedelta(seconds=seconds)
    try:
        found = pieces(bar_size, start, END)
    except Invalid:
        assert seconds > 1800 * (MAX_REQUESTS - 1)
        return
    assert len(found) <= MAX_REQUESTS + 1
    assert found[-1].end == END
    begins = [piece.end - timedelta(seconds=seconds_of(piece.duration)) for piece in found]
    assert begins[0] <= start
    seam = timedelta(seconds=2 * bar_seconds(bar_size))
    assert all(begin + seam <= before.end for begin, before in zip(begins[1:], found, strict=False))


@pytest.mark.parametrize("start", [END, END + timedelta(days=1)])
def test_an_empty_span(start: datetime) -> None:
    with pytest.raises(Invalid, match="before the end"):
        pieces("1 hour", start, END)


def test_a_span_that_is_too_long() -> None:
    with pytest.raises(Invalid, match="requests"):
        pieces("1 secs", END - timedelta(days=10), END)
