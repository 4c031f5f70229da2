"""Expiries against the dates that the exchanges have published."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.engine import expiries

DAYS = st.dates(date(2001, 1, 1), date(2038, 1, 1))


def test_holidays_of_the_exchange() -> None:
    """As announced by the New York Stock Exchange for 2024 and 2027, and for 2022's New Year."""
    assert expiries.holidays(2024) == {
        date(2024, 1, 1), date(2024, 1, 15), date(2024, 2, 19), date(2024, 3, 29), date(2024, 5, 27),
        date(2024, 6, 19), date(2024, 7, 4), date(2024, 9, 2), date(2024, 11, 28), date(2024, 12, 25),
    }  # fmt: skip
    assert {date(2027, 6, 18), date(2027, 7, 5), date(2027, 12, 24)} <= expiries.holidays(2027)
    assert not {date(2021, 12, 31), date(2022, 1, 1)} & (expiries.holidays(2021) | expiries.holidays(2022))


@pytest.mark.parametrize(("year", "day"), [(2024, "2024-03-31"), (2025, "2025-04-20"), (2038, "2038-04-25")])
def test_easter(year: int, day: str) -> None:
    assert expiries.easter(year) == date.fromisoformat(day)


@pytest.mark.parametrize(
    ("rule", "month", "day"),
    [
        (expiries.index_future_expiry, (2024, 3), "2024-03-15"),
        (expiries.index_future_expiry, (2025, 12), "2025-12-19"),
        (expiries.crude_oil_expiry, (2024, 2), "2024-01-22"),
        (expiries.crude_oil_expiry, (2021, 1), "2020-12-21"),
        (expiries.crude_oil_expiry, (2020, 5), "2020-04-21"),
        (expiries.metal_expiry, (2023, 12), "2023-12-27"),
        (expiries.metal_expiry, (2024, 2), "2024-02-27"),
        (expiries.currency_future_expiry, (2023, 12), "2023-12-18"),
        (expiries.currency_future_expiry, (2024, 3), "2024-03-18"),
    ],
)
def test_published_last_trading_days(rule: object, month: tuple[int, int], day: str) -> None:
    assert callable(rule)
    assert rule(*month) == date.fromisoformat(day)


def test_options_of_a_week_without_a_friday_expire_on_thursday() -> None:
    assert expiries.weekly_expiry(date(2024, 3, 29)) == date(2024, 3, 28)
    assert expiries.weekly_expiry(date(2024, 4, 5)) == date(2024, 4, 5)


@given(DAYS)
def test_option_weeks_roll_with_the_day(today: date) -> None:
    fridays = expiries.option_fridays(today)
    assert list(fridays) == sorted(set(fridays))
    assert all(each.weekday() == 4 for each in fridays)
    nearest = expiries.weekly_expiry(fridays[0])
    assert timedelta(0) <= nearest - today <= timedelta(days=8)
    thirds = {each for each in fridays if 15 <= each.day <= 21}
    assert len(thirds) >= 7
    assert fridays[-1] - today >= timedelta(weeks=52)
