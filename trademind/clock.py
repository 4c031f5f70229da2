"""The time, as something that can be passed in.

Pure code never asks the system for the time: it is given a `Clock`, so that a test, or an accelerated
market, decides when it is.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final, Protocol

MIN_SPEED: Final = 0.001
MAX_SPEED: Final = 100_000.0
"""A little more than a day in a second."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class AcceleratedClock:
    """A clock that starts where it is told and runs faster, or slower, than the world.

    Args:
        speed: Its seconds in one of the world's; above zero, at most `MAX_SPEED`.
        start: Where it starts; now, unless given.
        monotonic: Seconds of the world, from any origin, which never go back.

    Raises:
        ValueError: the speed is out of range, or the start has no time zone.
    """

    def __init__(
        self,
        speed: float,
        start: datetime | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not isfinite(speed) or not 0 < speed <= MAX_SPEED:
            raise ValueError(f"a clock's speed is above 0 and at most {MAX_SPEED:,.0f}, not {speed:g}")
        self.speed = speed
        self._start = _aware(start or datetime.now(UTC))
        self._monotonic = monotonic
        self._began = monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(self._monotonic() - self._began) * self.speed)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = _aware(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move forward by `by` and return the new time. Clocks do not go back."""
        if by < timedelta(0):
            raise ValueError("a clock does not go back")
        self._now += by
        return self._now


def speed_of(clock: Clock) -> float:
    """How many of the clock's seconds pass in one of the world's: 1, unless it is an accelerated one."""
    return clock.speed if isinstance(clock, AcceleratedClock) else 1.0


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a clock needs an aware datetime; give it tzinfo=UTC")
    return moment.astimezone(UTC)
