"""Which version is spoken, and how times are written and read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.wire.times import format_day, format_moment, parse_moment
from trademind.gateway.wire.versions import negotiate


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("v157..178", 178),
        ("v100..226", 200),
        ("v100..200", 200),
        ("v100..178 +PACEAPI", 178),
        ("v157", 157),
        ("v100..157", 157),
        ("v100..156", None),
        ("v156", None),
        ("v201..226", None),
        ("v180..170", None),
    ],
)
def test_the_highest_version_that_both_know(offer: str, agreed: int | None) -> None:
    assert negotiate(offer) == agreed


@pytest.mark.parametrize(
    "offer", ["", "hello", "v", "v100..", "100..200", "v100..178+X", "v-1..178", "v1234567"]
)
def test_what_is_no_offer(offer: str) -> None:
    with pytest.raises(ValueError, match="not a version range"):
        negotiate(offer)


SUMMER = datetime(2026, 7, 1, 13, 30, tzinfo=UTC)


def test_how_times_are_written() -> None:
    assert format_moment(SUMMER, 178) == "20260701 09:30:00 US/Eastern"
    assert format_moment(SUMMER, 173) == "20260701  09:30:00"
    assert format_day(datetime(2026, 7, 1, 3, tzinfo=UTC)) == "20260630"


@pytest.mark.parametrize(
    "text",
    [
        "20260701 09:30:00 US/Eastern",
        "20260701 09:30:00",
        "20260701  09:30:00",
        "20260701 09:30",
        "20260701-13:30:00",
        "20260701 13:30:00 UTC",
        "20260701 15:30:00 Europe/Berlin",
    ],
)
def test_every_way_to_write_one_moment(text: str) -> None:
    assert parse_moment(text) == SUMMER


def test_a_day_alone() -> None:
    assert parse_moment("20260701") == datetime(2026, 7, 1, 4, tzinfo=UTC)
    assert parse_moment("20260701", end_of_day=True) == datetime(2026, 7, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "today", "20261301", "20260230 10:00:00", "20260701 25:00:00", "20260701 09:30:00 Mars/Olympus",
        "20260701 09:30:00 ../etc/passwd", "2026-07-01T09:30:00Z", "1782912600",
        "99991231 23:59:59 US/Pacific", "99991231", "00010101-00:00:00", "00010101", "00000101",
        "00010101 00:00:00 Asia/Tokyo", "19691231 23:59:59", "22000101",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_moments_come_back(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    back = parse_moment(format_moment(moment, 178))

    # The hour that autumn has twice is read as its first.
    assert (moment - back).total_seconds() in (0, 3600)
