"""From a request for bars to what it asks for in plain values, or to IB's reason for refusing it.

The checks come in IB's order: the end, the duration, what adjusted prices forbid, the bar size, the kind of
data, the format of dates, what bars that are kept up to date forbid; then whether there is such data.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType
from trademind.domain.market import BAR_SIZES
from trademind.gateway import codes
from trademind.gateway.engine.hours import NEW_YORK
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers import bar_kinds
from trademind.gateway.handlers.bar_kinds import Kind, Volatility
from trademind.gateway.handlers.session_bars import DAY_SIZES, SessionBars, bar_start, midnight, seconds_in
from trademind.gateway.wire.requests.history import HistoricalDataRequest
from trademind.gateway.wire.times import EASTERN, has_zone, parse_moment
from trademind.gateway.wire.versions import HISTORICAL_SCHEDULE, INSTRUMENT_TIME_ZONE

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_BARS: Final = 12_000
"""Bars in one answer: a week of minutes or a year of hours fits in, and makes a frame of about 1 MB."""
FORMAT_EPOCH: Final = 2
_FORMATS = (1, FORMAT_EPOCH, 3)

_DURATION = re.compile(r"(\d{1,9})(?: ([SsDdWwMmYy]))?")
_MOST = {
    "D": (365, "Historical data requests for durations longer than 365 days must be made in years."),
    "W": (52, "Historical data request for durations longer than 52 weeks must be made in years."),
    "M": (12, "Historical data request for durations longer than 12 months must be made in years."),
    "S": (86_400, "Historical data request for greater than 86400 seconds rejected."),
}
_LEAST_SECONDS = 30
_MOST_CLOSED = 8
"""How many times as long as its trading hours a year can be."""
_SPELLINGS = {"1 week": ("1W", "1 W"), "1 month": ("1M", "1 M"), "1 secs": ("1 sec",), "1 min": ("1 mins",)}
_SIZES = {size: size for size in BAR_SIZES} | {
    other: size for size, others in _SPELLINGS.items() for other in others
}
_LEGAL = ", ".join([*BAR_SIZES[:-2], "1W", "1M"])
_ALWAYS_REGULAR = (SecType.OPTION, SecType.CASH, SecType.INDEX)
"""Asked for in regular hours whatever the request says, as at IB."""


class Refused(Exception):
    """The request cannot be answered: IB's code and text say why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class BarQuery:
    """What a request asks for, in plain values."""

    instrument: Instrument
    bar_size: str
    kind: Kind
    format_date: int
    asked: tuple[datetime, datetime]
    """The end asked for, and the duration before it."""
    start: datetime
    """Where the first bar may begin."""
    end: datetime
    bars: SessionBars
    volatility: Volatility | None


def invalid(cause: str) -> Refused:
    return Refused(codes.VALIDATING, codes.invalid(cause))


def service_error(reason: str) -> str:
    return f"Historical Market Data Service error message:{reason}"


def unavailable(reason: str) -> Refused:
    return Refused(codes.HISTORICAL, service_error(reason))


def understand(
    gateway: "PaperGateway", request: HistoricalDataRequest, instrument: Instrument, version: int
) -> BarQuery:
    """What a request asks for.

    Raises:
        Refused: IB would not answer it.
    """
    if instrument.sec_type is SecType.CONTINUOUS_FUTURE and request.end.strip():
        raise Refused(codes.NO_END_TIME, codes.NO_END_TIME_TEXT)
    now = gateway.clock.now()
    end = read_end(request.end, now)
    number, unit = _duration(request.duration)
    kind = _kind(request, version)
    bar_size = _bar_size(request, kind)
    _check_live(request, kind)
    step = "1d" if bar_size in DAY_SIZES else str(seconds_in(bar_size))
    if not bar_kinds.exists(kind, instrument):
        expected = {Kind.TRADES: Kind.AGGREGATED_TRADES, Kind.AGGREGATED_TRADES: Kind.TRADES}.get(kind)
        if expected is not None and bar_kinds.exists(expected, instrument):
            text = f"Expected what to show is {expected}, please use that instead of {kind}."
            raise Refused(codes.EXPECTED_WHAT_TO_SHOW, text)
        raise unavailable(bar_kinds.no_data(kind, instrument, step))
    bars = session_bars(gateway, instrument, use_rth=request.use_rth)
    try:
        asked = _back(end, number, unit)
        start = _start(bars, end, asked, (number, unit), bar_size)
    except (OverflowError, ValueError) as error:
        raise invalid("Historical data requested duration is invalid.") from error
    head = gateway.feed.head(instrument)
    if end <= head:
        name = f"{instrument.symbol}@{instrument.exchange}"
        raise unavailable(f"HMDS query returned no data: {name} {_word(kind)}")
    start = max(start, head)
    if _is_too_long(bars, start, end, bar_size):
        raise unavailable(f"Time length exceed max. An answer has at most {MAX_BARS} bars.")
    return BarQuery(
        instrument=instrument,
        bar_size=bar_size,
        kind=kind,
        format_date=request.format_date,
        asked=(asked, end),
        start=start,
        end=end,
        bars=bars,
        volatility=_volatility(kind, instrument, bars, end, bar_size),
    )


def session_bars(gateway: "PaperGateway", instrument: Instrument, *, use_rth: bool) -> SessionBars:
    """The bars of an instrument in the hours that a request asks for."""
    return SessionBars(
        gateway.feed,
        gateway.hours,
        instrument,
        use_rth or instrument.sec_type in _ALWAYS_REGULAR,
        gateway.hours.next_change(instrument, gateway.clock.now()) is None,
    )


def read_end(text: str, now: datetime, what: str = "End") -> datetime:
    """A moment of a request, now where it is empty or in the future."""
    if not text.strip():
        return now
    try:
        return min(parse_moment(text, end_of_day=what == "End"), now)
    except ValueError as error:
        text = (
            f"{what} Date/Time: The date, time, or time-zone entered is invalid. The correct format is "
            "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional. E.g.: 20031126 15:59:00 "
            "US/Eastern  Note that there is a space between the date and time, and between the time and "
            "time-zone.  If no date is specified, current date is assumed. If no time-zone is specified, "
            "local time-zone is assumed(deprecated). You can also provide yyyymmddd-hh:mm:ss time is in UTC. "
            f"Note that there is a dash between the date and time in UTC notation. In this case: {error}"
        )
        raise Refused(codes.INVALID_END_TIME, text) from error


def implies_zone(version: int, *moments: str) -> bool:
    """Whether a moment leaves its time zone to be guessed, which IB warns of."""
    return version >= INSTRUMENT_TIME_ZONE and any(text.strip() and not has_zone(text) for text in moments)


def _duration(text: str) -> tuple[int, str]:
    if not text.strip():
        raise invalid("Historical data request duration not specified.")
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise invalid(
            "When specifying a unit, historical data request duration format is "
            "integer{SPACE}unit (S|D|W|M|Y)."
        )
    number, unit = int(match[1]), (match[2] or "S").upper()
    if number < (_LEAST_SECONDS if unit == "S" else 1):
        raise invalid("Historical data requested duration is invalid.")
    if unit in _MOST and number > _MOST[unit][0]:
        raise invalid(_MOST[unit][1])
    return number, unit


def _kind(request: HistoricalDataRequest, version: int) -> Kind:
    if request.what_to_show.upper() == Kind.ADJUSTED_LAST and request.end.strip():
        raise invalid("End date not supported with adjusted last")
    if not request.what_to_show.strip():
        raise invalid("Source price must not be empty")
    try:
        kind = Kind(request.what_to_show.strip().upper())
    except ValueError:
        raise invalid("Invalid source price") from None
    if kind is Kind.SCHEDULE and version < HISTORICAL_SCHEDULE:
        raise invalid("Invalid source price")
    return kind


def _bar_size(request: HistoricalDataRequest, kind: Kind) -> str:
    bar_size = _SIZES.get(request.bar_size.strip())
    if bar_size is None:
        raise invalid(f"Historical data bar size setting is invalid. Legal ones are: {_LEGAL}")
    if kind is Kind.ADJUSTED_LAST and bar_size in DAY_SIZES[1:]:
        raise invalid("Multi day bar size not supported with adjusted last")
    if request.format_date not in _FORMATS:
        raise invalid(f"Date formatting selection of {request.format_date} rejected.")
    if kind is Kind.SCHEDULE and bar_size != "1 day":
        raise invalid("Only daily resolution supported for Schedule requests")
    return bar_size


def _check_live(request: HistoricalDataRequest, kind: Kind) -> None:
    if not request.keep_up_to_date:
        return
    if request.end.strip():
        raise invalid("End date not supported with live updates")
    if request.contract.sec_type == "BAG":
        raise invalid("Live updates for combos are not supported")
    if kind not in bar_kinds.LIVE:
        raise invalid("Source price not supported with live updates")


def _word(kind: Kind) -> str:
    return {Kind.TRADES: "Trades"}.get(kind, kind.title())


def _volatility(
    kind: Kind, instrument: Instrument, bars: SessionBars, end: datetime, bar_size: str
) -> Volatility | None:
    if kind not in bar_kinds.VOLATILITIES:
        return None

    def daily(since: datetime, until: datetime) -> list[FeedBar]:
        return bars.between(since, min(until, end), "1 day") if since < end else []

    return Volatility(kind, instrument, daily, bar_size, days_a_year=365 if bars.never_closes else 252)


def _start(
    bars: SessionBars, end: datetime, asked: datetime, duration: tuple[int, str], bar_size: str
) -> datetime:
    """Where the first bar may begin: the beginning of the first day, of the bar, or of the session that it
    falls into."""
    number, unit = duration
    if unit == "D" and not bars.never_closes:
        return _trading_days_back(bars, end, number, bar_size)
    if bar_size in DAY_SIZES:
        first = asked
        # The end's own day is the last of N days, unless it has only just begun.
        if unit != "S" and end.astimezone(EASTERN).time() != time.min:
            first += timedelta(days=1)
        return bar_start(first, bar_size)
    # There is always the bar that the end falls into, however short the duration is.
    return min(asked, bar_start(end.replace(microsecond=0) - timedelta(microseconds=1), bar_size))


def _trading_days_back(bars: SessionBars, end: datetime, number: int, bar_size: str) -> datetime:
    """The beginning of the last `number` trading days that have begun before the end."""
    # Five of seven days are trading days, a few of them holidays.
    since = end - timedelta(days=number * 3 // 2 + 14)
    days = sorted({each.day for each in bars.sessions(since, end)})[-number:]
    if not days:
        return end
    if bar_size in DAY_SIZES:
        return bar_start(midnight(days[0]) + timedelta(hours=12), bar_size)
    return min(each.start for each in bars.sessions(since, end) if each.day == days[0])


def _is_too_long(bars: SessionBars, start: datetime, end: datetime, bar_size: str) -> bool:
    """Whether there would be more than `MAX_BARS`, counting time in which there is trading."""
    longest = timedelta(seconds=MAX_BARS * seconds_in(bar_size))
    if bars.never_closes or bar_size in DAY_SIZES or end - start > longest * _MOST_CLOSED:
        return end - start > longest
    open_for = (min(each.end, end) - max(each.start, start) for each in bars.sessions(start, end))
    return sum(open_for, timedelta(0)) > longest


def _back(end: datetime, number: int, unit: str) -> datetime:
    """A duration before the end, by the calendar of New York."""
    if unit == "S":
        return end - timedelta(seconds=number)
    local = end.astimezone(NEW_YORK)
    if unit in "DW":
        return (local - timedelta(days=number * (7 if unit == "W" else 1))).astimezone(UTC)
    months = local.year * 12 + local.month - 1 - number * (12 if unit == "Y" else 1)
    year, month = divmod(months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(UTC)
