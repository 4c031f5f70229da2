from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.clock import MAX_SPEED, AcceleratedClock, ManualClock, SystemClock, speed_of
from trademind.gateway.server import FASTEST, pause_between_moves

START = datetime(2026, 4, 15, 13, 30, tzinfo=UTC)


class World:
    """The world's seconds, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_an_accelerated_clock_runs_at_its_speed_from_its_start() -> None:
    world = World()
    clock = AcceleratedClock(60, START, monotonic=world)
    assert clock.now() == START
    world.seconds += 1.5
    assert clock.now() == START + timedelta(seconds=90)
    assert speed_of(clock) == 60


def test_a_slow_clock_is_a_clock() -> None:
    world = World()
    clock = AcceleratedClock(0.5, START.astimezone(timezone(timedelta(hours=2))), monotonic=world)
    world.seconds += 10
    assert clock.now() == START + timedelta(seconds=5)
    assert clock.now().tzinfo is UTC


def test_without_a_start_it_starts_now() -> None:
    before = SystemClock().now()
    clock = AcceleratedClock(1)
    assert before <= clock.now() <= SystemClock().now() + timedelta(seconds=1)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), MAX_SPEED * 2])
def test_speeds_that_no_clock_has(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        AcceleratedClock(speed, START)


def test_clocks_want_aware_moments() -> None:
    naive = datetime(2026, 4, 15)  # noqa: DTZ001 - that is what is refused
    with pytest.raises(ValueError, match="aware"):
        ManualClock(naive)
    with pytest.raises(ValueError, match="aware"):
        AcceleratedClock(2, naive)


def test_the_other_clocks_run_as_the_world_does() -> None:
    assert speed_of(SystemClock()) == speed_of(ManualClock(START)) == 1


@given(st.floats(0.001, 60), st.floats(0.001, MAX_SPEED))
def test_the_market_moves_with_its_clock_but_never_without_a_pause(interval: float, speed: float) -> None:
    pause = pause_between_moves(interval, speed)
    assert min(interval, FASTEST) <= pause <= interval
    if speed <= 1:
        assert pause == interval
    if FASTEST < pause < interval:
        assert pause * speed == pytest.approx(interval)
