"""A recorded market, played again: quotes and history from the same rows of a file (see `tape`).

A quote at a moment knows what happened before it, and nothing else; history ends where the quote stands. The
feed does not know the present: whoever asks for a moment gets it, so that the speed is the clock's alone and
the same moments give the same market in every run.

Looped, the recording begins anew when it is over. It is cut into days, and whole weeks are repeated, so that
a Monday stays a Monday; time goes on meanwhile. Not looped, the market stands still after the last row.

What a recording of bars lacks is added from the instrument: the spread, with the last price as the bid, and
sizes.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.feeds.calendar import HOUR, MINUTE, day_of, hours_in, midnight
from trademind.gateway.feeds.path import TickBar, aggregate
from trademind.gateway.feeds.recorded import recorded_instrument
from trademind.gateway.feeds.tape import SECOND, Rows, Tape

_DAY: Final = timedelta(days=1)
_DAY_LENGTH: Final = 86_400 * SECOND
_OPEN, _SESSION = (9 * 60 + 30) * 60 * SECOND, (6 * 60 + 30) * 60 * SECOND
"""When a stock's daily bar takes place, and how long: New York's regular hours."""
_LOTS: Final[Mapping[SecType, int]] = {SecType.STOCK: 100, SecType.CASH: 1_000_000}
_UNITS: Final = {"secs": 1, "min": MINUTE, "mins": MINUTE, "hour": HOUR, "hours": HOUR}


class ReplayFeed:
    """The market of a recording. Implements `Feed`.

    Args:
        tapes: The rows by symbol.
        loop: Whether it begins anew when it is over.
        others: The market of instruments that are not in it; they have none, unless given.
    """

    def __init__(self, tapes: Mapping[str, Rows], *, loop: bool = False, others: Feed | None = None) -> None:
        self._others = others
        self._tapes: dict[int, Tape] = {}
        recorded: list[Instrument] = []
        for symbol in sorted(tapes):
            instrument = recorded_instrument(symbol, tapes[symbol], {each.con_id for each in recorded})
            recorded.append(instrument)
            self._tapes[instrument.con_id] = _tape(instrument, tapes[symbol])
        self.recorded = tuple(recorded)
        """The instruments of the recording."""
        self.start = _utc(min(each.start for each in self._tapes.values()))
        """When the recording begins."""
        self.end = _utc(max(each.end for each in self._tapes.values()))
        """When it is over."""
        self.interval: float = 0.25 if any(rows.are_ticks for rows in tapes.values()) else 1.0
        first, last = (day_of(int(each.timestamp())) for each in (self.start, self.end))
        self._first_day = first
        self._loop_days = -(-((last - first).days + 1) // 7) * 7 if loop else 0

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Everything there is a market for: the recorded ones, and the others when they have one."""
        if self._others is None:
            return self.recorded
        recorded = {each.con_id for each in self.recorded}
        return (*self.recorded, *(each for each in INSTRUMENTS if each.con_id not in recorded))

    def head(self, instrument: Instrument) -> datetime:
        """When its recording begins."""
        tape = self._tapes.get(instrument.con_id)
        if tape is None:
            return self._market_of(instrument).head(instrument)
        return _utc(tape.start)

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        """The market at a moment: what happened before it. Before the recording it stands at its first price.

        Raises:
            LookupError: the instrument has no market.
        """
        tape = self._tapes.get(instrument.con_id)
        if tape is None:
            return self._market_of(instrument).quote(instrument, at)
        now = _micros(at)
        day = day_of(now // SECOND)
        source, midnight_then = self._in_recording(day, now), midnight(self._source(day)) * SECOND
        last = tape.last_price(source)
        yesterday = tape.last_price(midnight_then)
        if midnight_then <= tape.start and day != self._source(day):
            yesterday = tape.last_price(tape.end + 1)
        today = tape.since(midnight_then, source) or TickBar(last, last, last, last, 0, 0)
        return _quote(instrument, tape, source, now - source, last, yesterday, today)

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        """See `Feed.bars`. Bars in which nothing was recorded are left out.

        Raises:
            LookupError: the instrument has no market.
            ValueError: a bar size that does not exist.
        """
        tape = self._tapes.get(instrument.con_id)
        if tape is None:
            return self._market_of(instrument).bars(instrument, start=start, end=end, bar_size=bar_size)
        number, _, unit = bar_size.partition(" ")
        first, now = max(_micros(start), tape.start - _DAY_LENGTH), _micros(end)
        if unit in _UNITS:
            found = self._intraday(tape, first, now, int(number) * _UNITS[unit])
        elif unit in ("day", "week", "month"):
            found = self._daily(tape, first, now, unit)
        else:
            raise ValueError(f"no such bar size: {bar_size!r}")
        tick = instrument.min_tick
        return [
            FeedBar(
                _utc(begins),
                bar.open * tick,
                bar.high * tick,
                bar.low * tick,
                bar.close * tick,
                Decimal(bar.volume),
                (bar.high + bar.low + 2 * bar.close) * (tick / 4),
                bar.trades,
            )
            for begins, bar in found
        ]

    def _market_of(self, instrument: Instrument) -> Feed:
        if self._others is None:
            raise LookupError(f"{instrument.symbol} is not in the recording")
        return self._others

    # Days of the recording

    def _source(self, day: date) -> date:
        """The day of the recording that is played on a day."""
        if not self._loop_days or day < self._first_day:
            return day
        return self._first_day + timedelta(days=(day - self._first_day).days % self._loop_days)

    def _in_recording(self, day: date, at: int) -> int:
        """The moment of the recording that is played at a moment of `day`."""
        source = self._source(day)
        if source == day:
            return at
        # A day of 25 hours in place of one of 23 stands still at its end.
        passed = min(at - midnight(day) * SECOND, hours_in(source) * HOUR * SECOND)
        return midnight(source) * SECOND + passed

    def _days(self, tape: Tape, first: int, now: int) -> Iterator[date]:
        """The days from `first` to before `now` on which something was recorded."""
        day, last = day_of(first // SECOND), day_of(-(-now // SECOND) - 1)
        while day <= last:
            source = self._source(day)
            begin, end = midnight(source) * SECOND, midnight(source + _DAY) * SECOND
            if tape.is_moving(begin, end):
                yield day
            elif not self._loop_days:
                following = tape.next_start(end)
                if following is None:
                    return
                day = max(day, day_of(following // SECOND) - _DAY)
            day += _DAY

    def _daily(self, tape: Tape, first: int, now: int, unit: str) -> Iterator[tuple[int, TickBar]]:
        days = (
            day for day in self._days(tape, first, now) if midnight(_group_start(day, unit)) * SECOND >= first
        )
        for group, members in groupby(days, key=lambda day: _group_start(day, unit)):
            bars = [self._stretch(tape, day, midnight(day) * SECOND, now) for day in members]
            complete = [bar for bar in bars if bar is not None]
            if complete:
                yield midnight(group) * SECOND, aggregate(complete)

    def _intraday(self, tape: Tape, first: int, now: int, size: int) -> Iterator[tuple[int, TickBar]]:
        step = size * SECOND
        for day in self._days(tape, first, now):
            opens, closes = midnight(day) * SECOND, midnight(day + _DAY) * SECOND
            begin = opens + max(0, -(-(first - opens) // step)) * step
            for at in range(begin, min(closes, now), step):
                bar = self._stretch(tape, day, at, min(at + step, now))
                if bar is not None:
                    yield at, bar

    def _stretch(self, tape: Tape, day: date, start: int, end: int) -> TickBar | None:
        """What is played from `start` to `end`, as far as that is within `day`."""
        end = min(end, midnight(day + _DAY) * SECOND)
        return tape.stretch(self._in_recording(day, start), self._in_recording(day, end))


def _quote(
    instrument: Instrument, tape: Tape, at: int, shift: int, last: int, yesterday: int, today: TickBar
) -> MarketQuote:
    """The quote of a moment of the recording, which is played `shift` microseconds later."""
    lot = _LOTS.get(instrument.sec_type, 1)
    offer = tape.offer(at)
    # About what was traded in a four-hundredth of the row's time, as if as much waited on each side.
    usual = max(lot, tape.row_volume(at) // 400 // lot * lot)
    if offer is None:
        bid, ask, bid_size, ask_size = last, last + max(1, instrument.spread_ticks), usual, usual
    else:
        bid, ask = offer.bid, max(offer.ask, offer.bid + 1)
        bid_size, ask_size = offer.bid_size or usual, offer.ask_size or usual
    tick = instrument.min_tick
    return MarketQuote(
        con_id=instrument.con_id,
        time=_utc(tape.changed(at) + shift),
        bid=bid * tick,
        ask=ask * tick,
        last=last * tick,
        bid_size=Decimal(bid_size),
        ask_size=Decimal(ask_size),
        last_size=Decimal(lot),
        volume=Decimal(today.volume),
        open=today.open * tick,
        high=today.high * tick,
        low=today.low * tick,
        close=yesterday * tick,
    )


def _tape(instrument: Instrument, rows: Rows) -> Tape:
    """The rows of an instrument, in the hours in which they took place."""
    length = 0 if rows.are_ticks else rows.usual_gap()
    if rows.are_dates and not rows.are_ticks and length <= 4 * _DAY_LENGTH:
        length = _DAY_LENGTH
        if instrument.sec_type is SecType.STOCK:
            # From New York's midnight; no clock is changed between that and the open on a weekday.
            rows = replace(rows, times=array("q", [each + _OPEN for each in rows.times]))
            length = _SESSION
    return Tape(rows, length=length, tick=float(instrument.min_tick), lot=_LOTS.get(instrument.sec_type, 1))


def _group_start(day: date, unit: str) -> date:
    """The first day of the bar that a day belongs to: weeks begin on Monday, months on the 1st."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _micros(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def _utc(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
