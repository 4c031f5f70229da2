"""When it is tried again: a table of kinds of failure, and the night in which IB restarts.

How the tests were seen to fail: each number of the table changed, `connected` that resets nothing or only
what is listed, a final kind left out or too wide, the hour's ends moved by a minute or turned from within to
without, the cap of the night left out or made a rule, and other clocks in place of New York's.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.brokers.ibkr.reconnect import ReconnectPolicy, is_nightly_reset
from trademind.errors import (
    AccountNotFound,
    BadAddress,
    ClientIdInUse,
    ConnectionLost,
    Forbidden,
    GatewayRefused,
    GatewaySilent,
    GatewayTooOld,
    LiveAccountNotAllowed,
    NotConnected,
    NotSynchronised,
    StateNotKept,
    TradeMindError,
    Unavailable,
    UpstreamLost,
)

NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
"""Midnight in New York, in winter."""

WAITS: dict[type[TradeMindError], tuple[float, float]] = {
    GatewayRefused: (0.5, 15),
    ConnectionLost: (0.5, 15),
    GatewaySilent: (0.5, 15),
    ClientIdInUse: (2, 30),
    UpstreamLost: (5, 60),
    GatewayTooOld: (30, 300),
    StateNotKept: (5, 60),
    NotSynchronised: (1, 30),
    NotConnected: (1, 30),
    Unavailable: (1, 30),
    TradeMindError: (1, 30),
}
"""Of each kind of failure the longest first wait, and the longest of all."""

kinds = pytest.mark.parametrize("kind", WAITS, ids=lambda kind: kind.__name__)


def wait(policy: ReconnectPolicy, kind: type[TradeMindError], at: datetime = NOON) -> float:
    found = policy.wait_after(kind("it failed"), at)
    assert found is not None
    return found


@kinds
def test_waits_double_up_to_a_limit_and_half_of_each_is_chance(kind: type[TradeMindError]) -> None:
    first, limit = WAITS[kind]
    seen: list[set[float]] = []
    for _ in range(120):
        policy = ReconnectPolicy()
        for attempt in range(12):
            longest = min(limit, first * 2**attempt)
            found = wait(policy, kind)
            assert longest / 2 <= found <= longest
            if attempt == len(seen):
                seen.append(set())
            seen[attempt].add(found / longest)
    for fractions in seen:
        # Spread over the whole of its half: clients that lost the same gateway do not return in step.
        assert min(fractions) < 0.6
        assert max(fractions) > 0.9


@kinds
def test_a_failure_of_days_waits_no_longer_than_the_limit(kind: type[TradeMindError]) -> None:
    policy, limit = ReconnectPolicy(), WAITS[kind][1]
    waits = [wait(policy, kind) for _ in range(5000)]
    assert max(waits) <= limit
    assert min(waits[10:]) >= limit / 2


@kinds
def test_a_success_starts_over(kind: type[TradeMindError]) -> None:
    policy = ReconnectPolicy()
    for _ in range(10):
        wait(policy, kind)
    policy.connected()
    assert wait(policy, kind) <= WAITS[kind][0]


def test_one_kind_of_failure_does_not_lengthen_the_waits_after_another() -> None:
    """A gateway that was off all night, and whose log-on takes a moment once it is back."""
    policy = ReconnectPolicy()
    for _ in range(50):
        wait(policy, GatewayRefused)
    assert wait(policy, ClientIdInUse) <= 2
    assert wait(policy, NotSynchronised) <= 1
    assert wait(policy, GatewayRefused) >= 7.5, "nor does it shorten its own"


@pytest.mark.parametrize("at", [NOON, NIGHT])
@pytest.mark.parametrize("kind", [AccountNotFound, BadAddress, Forbidden, LiveAccountNotAllowed])
def test_what_waiting_does_not_mend(kind: type[TradeMindError], at: datetime) -> None:
    policy = ReconnectPolicy()
    assert policy.wait_after(kind("a setting is wrong"), at) is None
    # A refused connection is not final, though an address that cannot be is a kind of it.
    assert wait(policy, GatewayRefused, at) <= 0.5


@kinds
def test_at_night_no_wait_is_long_and_none_is_longer_than_by_day(kind: type[TradeMindError]) -> None:
    policy = ReconnectPolicy()
    first, limit = WAITS[kind]
    for attempt in range(20):
        longest = min(limit, first * 2**attempt)
        assert min(longest / 2, 15) <= wait(policy, kind, NIGHT) <= min(longest, 15)
    if limit > 30:
        assert wait(policy, kind, NOON) > 15, "by day it is as long as ever"


@pytest.mark.parametrize(
    ("there", "is_reset"),
    [
        ("23:39:59.999999", False),
        ("23:40", True),
        ("23:59:59", True),
        ("00:00", True),
        ("00:49:59.999999", True),
        ("00:50", False),
        ("02:00", False),
        ("11:45", False),
        ("12:00", False),
    ],
)
@pytest.mark.parametrize(
    "day",
    [
        "2026-01-14",
        "2026-07-15",
        "2026-03-07",  # a Saturday; clocks go forward at two in the night
        "2026-03-08",
        "2026-03-09",
        "2026-10-31",  # a Saturday; clocks go back
        "2026-11-01",
        "2026-11-02",
        "2026-12-31",
        "2028-02-29",
    ],
)
def test_the_nightly_reset(day: str, there: str, is_reset: bool) -> None:
    """At the same hour of New York's clocks all year round, at weekends too, whoever's zone it is told in."""
    moment = datetime.combine(date.fromisoformat(day), time.fromisoformat(there), NEW_YORK)
    for zone in (UTC, NEW_YORK, ZoneInfo("Asia/Tokyo"), ZoneInfo("Australia/Lord_Howe")):
        assert is_nightly_reset(moment.astimezone(zone)) is is_reset


@pytest.mark.parametrize(
    ("utc", "is_reset"),
    [
        ("2026-03-08T04:45", True),  # the last night of winter time
        ("2026-03-08T03:45", False),
        ("2026-03-09T03:45", True),  # the first of summer time
        ("2026-03-09T04:55", False),
        ("2026-11-01T03:45", True),  # the last of summer time
        ("2026-11-01T05:45", False),  # 01:45, for the first time
        ("2026-11-01T06:30", False),  # and again
        ("2026-11-02T04:45", True),
        ("2026-11-02T03:45", False),
    ],
)
def test_the_nightly_reset_by_utc(utc: str, is_reset: bool) -> None:
    assert is_nightly_reset(datetime.fromisoformat(utc).replace(tzinfo=UTC)) is is_reset


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
def test_every_night_has_seventy_minutes_of_it_on_end(day: date) -> None:
    noon = datetime.combine(day, time(12), NEW_YORK).astimezone(UTC)
    minutes = [noon + timedelta(minutes=n) for n in range(24 * 60)]
    at_reset = [n for n, minute in enumerate(minutes) if is_nightly_reset(minute)]
    assert at_reset == list(range(at_reset[0], at_reset[0] + 70))
