"""Spans and windows: pure arithmetic, against sets of seconds and the calendar."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.domain import BarRequest
from trademind.domain.durations import bar_seconds
from trademind.domain.market import BAR_SIZES
from trademind.market.bars.spans import gaps, known_from, union
from trademind.market.bars.windows import (
    SETTLE,
    Window,
    asked_for,
    asked_for_one,
    final_before,
    is_dated,
    window_at,
    windows,
)

seconds = st.integers(0, 200)
spans = st.lists(st.tuples(seconds, seconds).filter(lambda span: span[0] < span[1]), max_size=8)
sizes = st.sampled_from(BAR_SIZES)
moments = st.integers(0, 2_500_000_000)

_UNITS = {"S": 1, "D": 86_400, "W": 7 * 86_400, "M": 28 * 86_400, "Y": 365 * 86_400}


def covered(some: list[tuple[int, int]]) -> set[int]:
    return {second for since, until in some for second in range(since, until)}


def length_of(duration: str) -> int:
    """How far back a duration reaches at least, by the calendar."""
    count, unit = duration.split()
    return int(count) * _UNITS[unit]


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@given(spans)
def test_a_union_has_the_same_seconds_in_fewest_spans(some: list[tuple[int, int]]) -> None:
    joined = union(some)
    assert covered(joined) == covered(some)
    assert all(one[1] < two[0] for one, two in pairwise(joined))


@given(spans, st.tuples(seconds, seconds))
def test_gaps_are_what_is_not_known(some: list[tuple[int, int]], wanted: tuple[int, int]) -> None:
    known = union(some)
    assert covered(gaps(wanted, known)) == covered([wanted]) - covered(known)
    assert gaps(wanted, known) == union(gaps(wanted, known))


@given(spans, seconds)
def test_how_far_it_is_known(some: list[tuple[int, int]], second: int) -> None:
    until = known_from(second, union(some))
    assert covered([(second, until)]) <= covered(some)
    assert until not in covered(some)


@given(sizes, moments, st.integers(1, 10_000_000))
def test_windows_are_a_grid(bar_size: str, since: int, length: int) -> None:
    length = min(length, 100_000 * bar_seconds(bar_size))
    found = list(windows(bar_size, since, since + length))
    assert found[0].start <= since < found[0].end
    assert all(one.end == two.start for one, two in pairwise(found))
    for window in found:
        for second in (window.start, window.end - 1, (window.start + window.end) // 2):
            assert window_at(bar_size, second) == window


@given(sizes, moments, st.integers(0, 10**8))
def test_a_request_covers_its_window(bar_size: str, second: int, later: int) -> None:
    window = window_at(bar_size, second)
    now = window.end + later
    asked = asked_for(bar_size, window, since=window.start, now=now)
    BarRequest(bar_size=bar_size, duration=asked.duration, end=datetime.fromtimestamp(asked.end, UTC))
    # A day of the calendar is lost at its beginning where bars have dates.
    assert asked.end - length_of(asked.duration) + (86_400 if is_dated(bar_size) else 0) <= window.start
    # A bar that is final was not cut off.
    last = min(window.end, final_before(bar_size, now)) - 1
    assert last + (43_200 if is_dated(bar_size) else bar_seconds(bar_size)) <= asked.end + bar_seconds(
        bar_size
    )
    if not is_dated(bar_size) and final_before(bar_size, now) >= window.end:
        assert asked == asked_for(bar_size, window, since=window.start, now=now + 10**6)


@given(sizes, moments, st.integers(1, 86_400 * 400), st.integers(0, 86_400 * 400))
def test_a_request_for_the_present_covers_what_is_missing(
    bar_size: str, second: int, passed: int, known: int
) -> None:
    window = window_at(bar_size, second)
    now = window.start + min(passed, window.end - window.start - 1)
    since = min(window.start + known, now - 1)
    if now <= window.start:
        return
    asked = asked_for(bar_size, window, since=since, now=now)
    assert asked.end == now
    lost = 86_400 if is_dated(bar_size) else 0
    assert now - length_of(asked.duration) + lost <= max(since, window.start)


@given(sizes, moments)
def test_one_bar_is_in_its_request(bar_size: str, second: int) -> None:
    asked = asked_for_one(bar_size, second, now=second + 10**8)
    lost = 86_400 if is_dated(bar_size) else 0
    assert asked.end - length_of(asked.duration) + lost <= second
    assert asked.end >= second + bar_seconds(bar_size)


@pytest.mark.parametrize(
    ("bar_size", "now", "last_final"),
    [
        ("1 min", "2026-11-23T15:31:29", "2026-11-23T15:29:00"),
        ("1 min", "2026-11-23T15:31:30", "2026-11-23T15:30:00"),
        ("5 secs", "2026-11-23T15:30:35", "2026-11-23T15:30:00"),
        ("8 hours", "2026-11-23T13:00:30", "2026-11-23T05:00:00"),
        ("1 day", "2026-11-23T12:00:29", "2026-11-21T00:00:00"),
        ("1 day", "2026-11-23T12:00:30", "2026-11-22T00:00:00"),
        ("1 week", "2026-11-23T12:00:29", "2026-11-15T23:59:59"),
        ("1 week", "2026-11-23T12:00:30", "2026-11-22T23:59:59"),
        ("1 month", "2026-12-01T12:00:29", "2026-10-31T00:00:00"),
        ("1 month", "2026-12-01T12:00:30", "2026-11-30T00:00:00"),
    ],
)
def test_when_a_bar_is_final(bar_size: str, now: str, last_final: str) -> None:
    before = final_before(bar_size, moment(now))
    last = moment(last_final)
    assert last < before
    assert before <= last + bar_seconds(bar_size)
    if not is_dated(bar_size):
        assert last + bar_seconds(bar_size) + SETTLE <= moment(now)


@given(sizes, moments)
def test_nothing_that_forms_is_final(bar_size: str, now: int) -> None:
    last = final_before(bar_size, now) - 1
    if is_dated(bar_size):
        # The date is over also where it ends last, at UTC-12.
        assert (
            datetime.fromtimestamp(last, UTC).date()
            < (datetime.fromtimestamp(now, UTC) - timedelta(hours=12)).date()
        )
    else:
        assert last + bar_seconds(bar_size) + SETTLE <= now


def test_windows_of_weeks_begin_on_a_monday() -> None:
    window = window_at("1 week", moment("2026-11-23T00:00:00"))
    assert datetime.fromtimestamp(window.start, UTC).weekday() == 0
    year = window_at("1 month", moment("2026-11-23T00:00:00"))
    assert year == Window(moment("2026-01-01T00:00:00"), moment("2027-01-01T00:00:00"))
