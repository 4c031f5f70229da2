"""The exchanges' own hours: holidays and half days by `exchange_calendars`, the rest by rules.

Strategy: everything slow happens once. At construction the library, which brings pandas, is loaded and the
opening and closing times of its sessions are copied into plain dictionaries; from then on a question is a
look at the stretch of time that was asked for last, or a search in the few around it.

- US stocks: XNYS, with pre-market from 04:00 and post-market until 20:00 New York time (NYSE Arca's core
  and extended sessions; on a half day the late session ends at 17:00, four hours after the close).
- Options on them: the regular hours only. Index products of Cboe: XCBF.
- CME group futures: CMES's days, from 17:00 to 16:00 Chicago time with the daily break that the library
  leaves out; the liquid hours, 08:30 to 16:00, are regular, as IB lists them.
- Currencies: from Sunday 17:00 to Friday 17:00 New York time, where a day begins at 17:00.
- Xetra: XETR. Cryptocurrencies: always.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from trademind.domain import SecType
from trademind.errors import SettingsError
from trademind.gateway.engine.hours import NEW_YORK, AlwaysOpen, MarketHours, Phase, TradingSession
from trademind.gateway.engine.model import Instrument

CHICAGO: Final = ZoneInfo("America/Chicago")
FIRST_DAY, LAST_DAY = "1990-01-01", "2040-12-31"
"""What is asked of the library, whose own choice would depend on the date; outside, weekdays are days."""
LONGEST_CLOSURE: Final = 14
"""Days that no exchange stays closed for, by the library's tables since 1990."""

_XETRA: Final = frozenset({"IBIS", "IBIS2", "XETR", "XETRA", "FWB"})
_CBOE: Final = frozenset({"CBOE", "CFE"})
_DAY: Final = timedelta(days=1)


class Stretch(NamedTuple):
    """A stretch of one phase, in seconds since the epoch, [start, end)."""

    phase: Phase
    start: float
    end: float


class Opening(NamedTuple):
    """When an exchange opens and closes on one day, in seconds since the epoch."""

    opens: float
    closes: float


class _Rule(Protocol):
    """Makes the stretches of one trading day, oldest first; none when it is a holiday."""

    def __call__(self, day: date) -> tuple[Stretch, ...]: ...


class Timetable:
    """The phases of one kind of instrument, by the rule that makes those of a day."""

    def __init__(self, rule: _Rule, zone: ZoneInfo) -> None:
        self._of = lru_cache(maxsize=512)(rule)
        self._zone = zone
        self._now = Stretch(Phase.CLOSED, 0.0, 0.0)

    def of(self, day: date) -> tuple[Stretch, ...]:
        return self._of(day)

    def local_day(self, second: float) -> date:
        return datetime.fromtimestamp(second, self._zone).date()

    def at(self, second: float) -> Stretch:
        """The stretch that a moment falls into; one of them may be closed."""
        found = self._now
        if not found.start <= second < found.end:
            found = self._now = self._find(second)
        return found

    def day_from(self, day: date) -> Iterator[tuple[date, tuple[Stretch, ...]]]:
        """The trading days from `day` on, at least one."""
        for ahead in range(2 * LONGEST_CLOSURE):
            each = day + ahead * _DAY
            if stretches := self.of(each):
                yield each, stretches

    def _find(self, second: float) -> Stretch:
        today = self.local_day(second)
        # Trading days can begin on the evening before, so the next one counts among those around.
        around = [
            stretch
            for ahead in range(-LONGEST_CLOSURE, LONGEST_CLOSURE + 1)
            for stretch in self.of(today + ahead * _DAY)
        ]
        index = bisect_right(around, second, key=lambda stretch: stretch.start) - 1
        if index >= 0 and second < around[index].end:
            return around[index]
        start = around[index].end if index >= 0 else second
        end = around[index + 1].start if index + 1 < len(around) else second + 86_400
        return Stretch(Phase.CLOSED, start, end)


class ExchangeHours:
    """Each instrument's exchange's hours. Implements `MarketHours`.

    Raises:
        SettingsError: the library is not installed; the text names the extra that brings it.
    """

    def __init__(self) -> None:
        nyse = _openings("XNYS")
        cboe, cme, xetra = _openings("XCBF"), _openings("CMES"), _openings("XETR")
        self._us_stocks = Timetable(lambda day: _with_extended_hours(nyse.get(day)), NEW_YORK)
        self._us_options = Timetable(lambda day: _regular(nyse.get(day)), NEW_YORK)
        self._cboe = Timetable(lambda day: _regular(cboe.get(day)), CHICAGO)
        self._futures = Timetable(lambda day: _futures_day(day, cme.get(day)), CHICAGO)
        self._currencies = Timetable(_currency_day, NEW_YORK)
        self._xetra = Timetable(lambda day: _regular(xetra.get(day)), ZoneInfo("Europe/Berlin"))
        self._always = AlwaysOpen()
        self._tables: dict[int, Timetable | None] = {}

    def phase(self, instrument: Instrument, at: datetime) -> Phase:
        table = self._table(instrument)
        return Phase.REGULAR if table is None else table.at(at.timestamp()).phase

    def next_change(self, instrument: Instrument, at: datetime) -> datetime | None:
        table = self._table(instrument)
        if table is None:
            return None
        now = table.at(at.timestamp())
        after = table.at(now.end)
        # Two days of an exchange without a break between them, as of currencies, are one phase.
        while after.phase is now.phase:
            now, after = after, table.at(after.end)
        return _utc(now.end)

    def day_end(self, instrument: Instrument, at: datetime, *, outside_rth: bool) -> datetime:
        table = self._table(instrument)
        if table is None:
            return self._always.day_end(instrument, at, outside_rth=outside_rth)
        second = at.timestamp()
        for _, stretches in table.day_from(table.local_day(second) - _DAY):
            ends = [each.end for each in stretches if outside_rth or not each.phase.is_extended]
            if ends and ends[-1] > second:
                return _utc(ends[-1])
        raise AssertionError("an exchange is never closed for a month")

    def sessions(
        self, instrument: Instrument, first: date, days: int, *, regular_only: bool
    ) -> list[TradingSession]:
        table = self._table(instrument)
        if table is None:
            return self._always.sessions(instrument, first, days, regular_only=regular_only)
        found: list[TradingSession] = []
        for day in (first + number * _DAY for number in range(days)):
            for each in table.of(day):
                if regular_only and each.phase.is_extended:
                    continue
                if found and found[-1].day == day and found[-1].end == _utc(each.start):
                    found[-1] = TradingSession(day, found[-1].start, _utc(each.end))
                else:
                    found.append(TradingSession(day, _utc(each.start), _utc(each.end)))
        return found

    def _table(self, instrument: Instrument) -> Timetable | None:
        """The timetable of an instrument; None when it always trades."""
        key = instrument.con_id
        # Combinations are made up by clients and may share con id 0, so they are not remembered.
        if key in self._tables and not instrument.legs:
            return self._tables[key]
        table = self._choose(instrument)
        if not instrument.legs:
            self._tables[key] = table
        return table

    def _choose(self, instrument: Instrument) -> Timetable | None:
        exchanges = {instrument.primary_exchange, instrument.exchange}
        if instrument.legs:
            return self._table(instrument.legs[0].instrument)
        if instrument.sec_type is SecType.CRYPTO:
            return None
        if instrument.sec_type is SecType.CASH:
            return self._currencies
        if exchanges & _XETRA:
            return self._xetra
        if exchanges & _CBOE:
            return self._cboe
        if instrument.sec_type in (SecType.FUTURE, SecType.FUTURE_OPTION, SecType.CONTINUOUS_FUTURE):
            return self._futures
        if instrument.sec_type in (SecType.OPTION, SecType.INDEX):
            return self._us_options
        if instrument.sec_type is SecType.CFD and instrument.underlying is not None:
            return self._table(instrument.underlying)
        return self._us_stocks


def market_hours(kind: str) -> MarketHours:
    """The hours by name: `always`, or `exchange` for each exchange's calendar.

    Raises:
        SettingsError: the calendars are not installed.
    """
    return ExchangeHours() if kind == "exchange" else AlwaysOpen()


# The days of each kind of exchange


def _regular(opening: Opening | None) -> tuple[Stretch, ...]:
    return () if opening is None else (Stretch(Phase.REGULAR, opening.opens, opening.closes),)


def _with_extended_hours(opening: Opening | None) -> tuple[Stretch, ...]:
    if opening is None:
        return ()
    opens = datetime.fromtimestamp(opening.opens, NEW_YORK)
    early = opens.replace(hour=4, minute=0).timestamp()
    # 16:00 and 20:00, or 13:00 and 17:00.
    late = opening.closes + 4 * 3600
    return (
        Stretch(Phase.PRE_MARKET, early, opening.opens),
        Stretch(Phase.REGULAR, opening.opens, opening.closes),
        Stretch(Phase.POST_MARKET, opening.closes, late),
    )


def _futures_day(day: date, opening: Opening | None) -> tuple[Stretch, ...]:
    if opening is None:
        return ()
    liquid = datetime.combine(day, time(8, 30), CHICAGO).timestamp()
    # The library's days join without a break; an early close is one before the usual 16:00.
    closes = min(opening.closes, datetime.combine(day, time(16), CHICAGO).timestamp())
    overnight = Stretch(Phase.PRE_MARKET, opening.opens, min(liquid, closes))
    return (overnight, Stretch(Phase.REGULAR, liquid, closes)) if liquid < closes else (overnight,)


def _currency_day(day: date) -> tuple[Stretch, ...]:
    if day.weekday() >= 5:
        return ()
    begins = datetime.combine(day - _DAY, time(17), NEW_YORK).timestamp()
    return (Stretch(Phase.REGULAR, begins, datetime.combine(day, time(17), NEW_YORK).timestamp()),)


class _Openings:
    """The opening and closing times of a calendar; weekdays at the usual times where it has no table."""

    def __init__(self, known: Mapping[date, Opening], zone: ZoneInfo) -> None:
        self._known = known
        self._zone = zone
        self._first, self._last = min(known), max(known)

    def get(self, day: date) -> Opening | None:
        if self._first <= day <= self._last:
            return self._known.get(day)
        if day.weekday() >= 5:
            return None
        # At the same time on the wall as on the nearest day of the table.
        edge = self._first if day < self._first else self._last
        usual = self._known[edge]
        shift = (day - edge).days
        return Opening(*(self._moved(second, shift) for second in usual))

    def _moved(self, second: float, days: int) -> float:
        local = datetime.fromtimestamp(second, self._zone)
        return (local + days * _DAY).timestamp()


@lru_cache(maxsize=8)
def _openings(name: str) -> _Openings:
    """The times of one of the library's calendars.

    Loading one takes the library some 100 ms, so that it is done once in a process.
    """
    try:
        import exchange_calendars
    except ImportError as error:
        raise SettingsError(
            "TRADEMIND_PAPER__HOURS: 'exchange' needs the exchange_calendars library; "
            "install it with: pip install -c .ci/constraints.txt -e '.[calendars]', in TradeMind's directory"
        ) from error
    calendar: Any = exchange_calendars.get_calendar(name, start=FIRST_DAY, end=LAST_DAY)
    schedule = calendar.schedule
    opens, closes = (schedule[each].dt.as_unit("ns").astype("int64").tolist() for each in ("open", "close"))
    known = {
        day: Opening(begin / 1e9, end / 1e9)
        for day, begin, end in zip(schedule.index.date.tolist(), opens, closes, strict=True)
    }
    return _Openings(known, ZoneInfo(str(calendar.tz)))


def _utc(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)
