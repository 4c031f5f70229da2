"""When derivatives expire: pure functions of the date.

The rules are the exchanges' own, from their contract specifications; each function names its rule. Business
days are those of the New York Stock Exchange, whose holidays the exchanges in question share as far as
expiries go.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

_DAY = timedelta(days=1)
_FRIDAY = 4

MONTH_CODES = "FGHJKMNQUVXZ"
"""The letters of the months in a future's name, January first."""


# Business days


@lru_cache(maxsize=128)
def holidays(year: int) -> frozenset[date]:
    """The weekdays on which the New York Stock Exchange stays closed by its rule 7.2, as of today.

    A holiday on a Sunday is kept on Monday, one on a Saturday on Friday, save New Year's Day, which is not
    moved into the old year.
    """
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= 2022:
        fixed.append(date(year, 6, 19))
    found = {_kept_on(day) for day in fixed}
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:
        found.add(_kept_on(new_year))
    found.update(
        (
            _nth_weekday(year, 1, 0, 3),  # Martin Luther King
            _nth_weekday(year, 2, 0, 3),  # Washington
            easter(year) - 2 * _DAY,  # Good Friday
            date(year, 5, 31) - date(year, 5, 31).weekday() * _DAY,  # Memorial Day
            _nth_weekday(year, 9, 0, 1),  # Labor Day
            _nth_weekday(year, 11, 3, 4),  # Thanksgiving
        )
    )
    return frozenset(found)


def _kept_on(day: date) -> date:
    return day + {5: -1, 6: 1}.get(day.weekday(), 0) * _DAY


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the anonymous algorithm of 1876 (Meeus, Jones, Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    moon = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * moon) // 451
    month, day = divmod(h + moon - 7 * m + 114, 31)
    return date(year, month, day + 1)


def is_business_day(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def business_days_before(day: date, count: int) -> date:
    """The `count`-th business day before a day; with 0 the day itself, or the last one if it is none."""
    while not is_business_day(day):
        day -= _DAY
    for _ in range(count):
        day -= _DAY
        while not is_business_day(day):
            day -= _DAY
    return day


def _nth_weekday(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (number - 1)) * _DAY


# Options


def weekly_expiry(friday: date) -> date:
    """When the options of a week expire that ends with this Friday: on the last business day until then."""
    return business_days_before(friday, 0)


def third_friday(year: int, month: int) -> date:
    return _nth_weekday(year, month, _FRIDAY, 3)


WEEKLIES, MONTHLIES, QUARTERLIES, YEARLIES = 8, 4, 4, 2
"""How many of each are listed ahead, as the options exchanges do for liquid classes, roughly."""


@lru_cache(maxsize=64)
def option_fridays(today: date) -> tuple[date, ...]:
    """The Fridays of the weeks in which listed options expire, oldest first; the first may be today's.

    Eight weeks, and the third Fridays of four months, four quarters and two Januaries.
    """
    friday = today + ((_FRIDAY - today.weekday()) % 7) * _DAY
    if weekly_expiry(friday) < today:
        friday += 7 * _DAY
    found = {friday + 7 * number * _DAY for number in range(WEEKLIES)}
    ahead = [third_friday(year, month) for year, month in months_from(today.year, today.month, 36)]
    ahead = [each for each in ahead if each >= friday]
    found.update(ahead[:MONTHLIES])
    found.update([each for each in ahead if each.month % 3 == 0][:QUARTERLIES])
    found.update([each for each in ahead if each.month == 1][:YEARLIES])
    return tuple(sorted(found))


# Futures


def months_from(year: int, month: int, count: int) -> Iterator[tuple[int, int]]:
    """So many months, as year and number, from this one on."""
    for number in range(count):
        years, index = divmod(month - 1 + number, 12)
        yield year + years, index + 1


def index_future_expiry(year: int, month: int) -> date:
    """CME equity index futures: the third Friday of the contract month (CME rulebook chapter 358)."""
    return business_days_before(third_friday(year, month), 0)


def crude_oil_expiry(year: int, month: int) -> date:
    """Light sweet crude oil: three business days before the 25th of the month before the contract month,
    or before the last business day preceding the 25th if that is none (NYMEX rulebook chapter 200)."""
    before = date(year, month, 1) - _DAY
    return business_days_before(before.replace(day=25), 3)


def metal_expiry(year: int, month: int) -> date:
    """Gold and silver: the third last business day of the contract month (COMEX rulebook, chapters 112 and
    113)."""
    _, (following_year, following) = months_from(year, month, 2)
    return business_days_before(date(following_year, following, 1) - _DAY, 2)


def currency_future_expiry(year: int, month: int) -> date:
    """CME currency futures: the second business day before the third Wednesday (CME rulebook chapter 261)."""
    return business_days_before(_nth_weekday(year, month, 2, 3), 2)
