"""Which bars are closed: by the calendar of the exchange where it is known, and else when nobody trades."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.journal.making import AAPL
from trademind.analysis.closes import check_bar_size, closed_before, look_back, next_look
from trademind.errors import Invalid
from trademind.market.bars.calendars import Hours

DAY = timedelta(days=1)


class NewYork:
    """14:30 to 21:00 in Greenwich, Monday to Friday."""

    def may_trade(self, since: int, until: int) -> bool:
        first = since // 86_400 - 1
        for day in range(first, until // 86_400 + 2):
            is_weekday = (day + 3) % 7 < 5
            if is_weekday and since < day * 86_400 + 75_600 and until > day * 86_400 + 52_200:
                return True
        return False


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}").replace(tzinfo=UTC)


def last_closed(bar_size: str, now: str, hours: Hours | None = None) -> datetime:
    """The beginning of the last closed bar, of those that begin at multiples of their length."""
    length = {"1 min": timedelta(minutes=1), "1 hour": timedelta(hours=1), "1 day": DAY}[bar_size]
    return datetime.fromtimestamp(closed_before(bar_size, hours, at(now)), UTC) - length


@pytest.mark.parametrize(
    ("bar_size", "now", "hours", "last"),
    [
        ("1 min", "25T15:31:29", None, "25T15:29:00"),
        ("1 min", "25T15:31:30", None, "25T15:30:00"),
        ("1 hour", "25T16:00:29", None, "25T14:00:00"),
        ("1 day", "25T12:00:29", None, "23T00:00:00"),
        ("1 day", "25T12:00:30", None, "24T00:00:00"),
        # Wednesday's session ends at 21:00; the calendar knows it half a minute later.
        ("1 day", "25T00:00:00", NewYork(), "24T00:00:00"),
        ("1 day", "25T14:00:00", NewYork(), "24T00:00:00"),
        ("1 day", "25T21:00:29", NewYork(), "24T00:00:00"),
        ("1 day", "25T21:00:30", NewYork(), "25T00:00:00"),
        ("1 day", "25T23:59:59", NewYork(), "25T00:00:00"),
        # A Saturday has no session at all.
        ("1 day", "28T10:00:00", NewYork(), "28T00:00:00"),
    ],
)
def test_the_last_closed_bar(bar_size: str, now: str, hours: Hours | None, last: str) -> None:
    assert last_closed(bar_size, now, hours) == at(last)


@pytest.mark.parametrize("bar_size", ["1 min", "5 mins", "1 hour", "1 day"])
@pytest.mark.parametrize("hours", [None, NewYork()])
def test_nothing_is_closed_between_two_looks(bar_size: str, hours: Hours | None) -> None:
    now = at("24T13:59:59")
    for _ in range(200):
        look = next_look(bar_size, now)
        assert now < look <= now + timedelta(minutes=30)
        before = closed_before(bar_size, hours, look - timedelta(seconds=1))
        assert before == closed_before(bar_size, hours, now)
        now = look


def test_no_signals_of_seconds() -> None:
    check_bar_size("1 min")
    for size in ("30 secs", "1 fortnight"):
        with pytest.raises(Invalid, match="bar_size"):
            check_bar_size(size)


def test_how_far_back() -> None:
    assert timedelta(days=365) < look_back("1 day", 250, AAPL) < timedelta(days=400)
    assert look_back("1 week", 250, AAPL) > 250 * timedelta(weeks=1)
    assert timedelta(days=50) < look_back("1 hour", 250, AAPL) < timedelta(days=70)
    assert look_back("1 min", 250, AAPL) < timedelta(days=10)
