"""Trading hours, as IB writes them."""

from datetime import UTC, datetime

import pytest

from trademind.trading.hours import is_open

REGULAR = "20260415:0930-20260415:1600;20260416:CLOSED;20260417:0930-20260417:1300"
FUTURES = "20260415:1700-20260416:1600,20260416:1700-20260417:1600;20260418:CLOSED"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-04-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "expected"),
    [
        (REGULAR, "15T13:29:59", False),
        (REGULAR, "15T13:30", True),  # 09:30 in New York
        (REGULAR, "15T19:59:59", True),
        (REGULAR, "15T20:00", False),
        (REGULAR, "16T14:00", False),
        (REGULAR, "17T16:59", True),
        (REGULAR, "17T17:00", False),
        (REGULAR, "18T14:00", None),  # nothing is told of this day
        (FUTURES, "16T04:00", True),
        (FUTURES, "16T20:30", False),
        (FUTURES, "17T03:00", True),
        (FUTURES, "18T14:00", False),
        ("20260415:1600-20260415:2400", "16T03:59", True),
        ("", "15T14:00", None),
        ("20260415:0930-1600", "15T14:00", None),  # as TWS wrote them before 2017
        ("20260415:0930-20260415:2560", "15T14:00", None),
    ],
)
def test_hours(hours: str, moment: str, expected: bool | None) -> None:
    assert is_open(hours, "US/Eastern", at(moment)) is expected


@pytest.mark.parametrize("zone", ["", "Nowhere/Town", "../etc"])
def test_a_zone_that_nobody_knows_tells_nothing(zone: str) -> None:
    assert is_open(REGULAR, zone, at("15T14:00")) is None


def test_a_zone_may_be_explained() -> None:
    assert is_open(REGULAR, "EST5EDT (Eastern Time)", at("15T14:00")) is True
