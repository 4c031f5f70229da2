"""Which bars a request means, in IB's terms.

IB is asked for a duration back from an end; people ask from a start to an end. A start becomes the
shortest IB duration that covers it, and the bars before it are dropped.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Self

from trademind.api.paging import NOT_OURS, decode, encode, moment, time_of
from trademind.domain import Bar, BarRequest
from trademind.domain.durations import bar_seconds, covering_duration
from trademind.errors import Invalid

MAX_BARS = 12_000
"""Bars that one request may span, by the calendar. More is slow to fetch and refused by IB anyway."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""Also keeps clear of the calendar's own end, where a change of time zone fails."""

_DAY = 86_400
_UNIT = {"S": 1, "D": _DAY, "W": 7 * _DAY, "M": 31 * _DAY, "Y": 366 * _DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarWindow:
    """From when to when, and the duration back from `end` that covers it."""

    start: datetime | None
    """Bars that begin at or after it; None for all that the duration gives."""
    end: datetime | None
    """Bars that begin before it; None for everything up to now."""
    duration: str
    now: datetime

    @classmethod
    def asked(
        cls,
        *,
        bar_size: str,
        duration: str | None,
        start: datetime | None,
        end: datetime | None,
        token: str | None,
        now: datetime,
    ) -> Self:
        """The window of a request, or of the page that `token` stands for.

        Raises:
            Invalid: a start that is not before the end, a start and a duration, more than `MAX_BARS`.
        """
        # An unknown bar size or duration is refused here, before it is reckoned with.
        BarRequest(bar_size=bar_size, duration=duration or "1 D")
        if start is not None and duration is not None:
            raise Invalid([("duration", "give either a start or a duration")])
        if token is not None:
            start, end = _position(token)
        for name, given in (("start", start), ("end", end)):
            if given is not None and given < EARLIEST:
                raise Invalid([(name, f"must not be before {EARLIEST.year}")])
        if end is not None and end >= now:
            # Then the last bar may be the one that is forming.
            end = None
        if start is None:
            length = _seconds(duration or "1 D")
            duration = duration or "1 D"
        else:
            upto = end or now
            if start >= upto:
                raise Invalid([("start", "must be before the end, and not in the future")])
            length = ceil((upto - start).total_seconds())
            duration = covering_duration(upto - start, bar_size)
        if length > MAX_BARS * bar_seconds(bar_size):
            field = "duration" if start is None else "start"
            raise Invalid([(field, f"spans more than {MAX_BARS} bars; take a shorter time or a larger bar")])
        return cls(start=start, end=end, duration=duration, now=now)

    def request(self, bar_size: str, *, what_to_show: str | None, use_rth: bool) -> BarRequest:
        """What to ask the broker. Raises `Invalid`."""
        return BarRequest(
            bar_size=bar_size,
            duration=self.duration,
            end=self.end,
            what_to_show=what_to_show,
            use_rth=use_rth,
        )

    def page(self, bars: tuple[Bar, ...], limit: int) -> tuple[list[Bar], str | None]:
        """The first `limit` bars of the window, and the token of the next page, None on the last."""
        inside = [
            bar
            for bar in bars
            if (self.start is None or bar.time >= self.start) and (self.end is None or bar.time < self.end)
        ]
        if len(inside) <= limit:
            return inside, None
        # The next page has the same end, also where that was "now": a window does not grow on the way.
        return inside[:limit], encode(
            "bars", (moment(inside[limit].time), (self.end or self.now).isoformat())
        )


def _seconds(duration: str) -> int:
    count, unit = duration.split()
    return int(count) * _UNIT[unit]


def _position(token: str) -> tuple[datetime, datetime]:
    start, until = decode("bars", token)
    try:
        return time_of(start), datetime.fromisoformat(until).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid([("page_token", NOT_OURS)]) from error
