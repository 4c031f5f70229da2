"""Which bars a request means: from a start to an end, of which the archive knows, or a duration back from an
end, in IB's terms, which only IB can tell.

Some bars IB has up to now only, and they are not kept (see `is_up_to_now`): a start becomes a duration that
covers it, and what is outside of the span is dropped.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from trademind.api.paging import NOT_OURS, decode, encode, moment, time_of
from trademind.domain import Bar, BarRequest
from trademind.domain.durations import bar_seconds, covering_duration
from trademind.errors import Invalid
from trademind.market.bars.archive import BarPage
from trademind.market.bars.windows import final_before

MAX_BARS = 12_000
"""Bars that one request may span, by the calendar. More is slow to fetch and refused by IB anyway."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
"""Also keeps clear of the calendar's own end, where a change of time zone fails."""

_DAY = 86_400
_UNIT = {"S": 1, "D": _DAY, "W": 7 * _DAY, "M": 31 * _DAY, "Y": 366 * _DAY}


@dataclass(frozen=True, slots=True, kw_only=True)
class BarWindow:
    """From when to when."""

    start: datetime | None
    """Bars that begin at or after it; None for all that the duration gives."""
    end: datetime | None
    """Bars that begin before it; None for everything up to now."""
    duration: str | None
    """What IB is asked for, back from `end`; None where the archive is."""
    now: datetime

    @classmethod
    def asked(
        cls,
        *,
        bar_size: str,
        what_to_show: str,
        is_up_to_now: bool,
        duration: str | None,
        start: datetime | None,
        end: datetime | None,
        token: str | None,
        now: datetime,
    ) -> Self:
        """The window of a request, or of the page that `token` stands for.

        Args:
            is_up_to_now: IB has these bars up to now only.

        Raises:
            Invalid: a start that is not before the end, a start and a duration, more than `MAX_BARS` at once.
        """
        # An unknown bar size or duration is refused here, before it is reckoned with.
        BarRequest(bar_size=bar_size, duration=duration or "1 D", what_to_show=what_to_show)
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
        if start is not None and start >= (end or now):
            raise Invalid([("start", "must be before the end, and not in the future")])
        if start is None:
            duration = duration or "1 D"
            if is_up_to_now and end is not None:
                raise Invalid([("end", "IB has such bars up to now only; leave it out, or give a start")])
        elif is_up_to_now:
            duration = covering_duration(now - start, bar_size)
        if duration is not None and _seconds(duration) > MAX_BARS * bar_seconds(bar_size):
            field = "duration" if start is None else "start"
            raise Invalid([(field, f"spans more than {MAX_BARS} bars; take a shorter time or a larger bar")])
        return cls(start=start, end=end, duration=duration, now=now)

    def request(self, bar_size: str, *, what_to_show: str, use_rth: bool) -> BarRequest:
        """What to ask the broker for a `duration`. Raises `Invalid`."""
        return BarRequest(
            bar_size=bar_size,
            duration=self.duration or "1 D",
            end=None if self.start is not None else self.end,
            what_to_show=what_to_show,
            use_rth=use_rth,
        )

    def page(self, bars: tuple[Bar, ...], bar_size: str, limit: int) -> BarPage:
        """The first `limit` of the bars in the window."""
        inside = [
            bar
            for bar in bars
            if (self.start is None or bar.time >= self.start) and (self.end is None or bar.time < self.end)
        ]
        final = final_before(bar_size, int(self.now.timestamp()))
        page = tuple(inside[:limit])
        complete = sum(1 for bar in page if bar.time.timestamp() < final)
        return BarPage(page, complete, inside[limit].time if len(inside) > limit else None)

    def token(self, page: BarPage) -> str | None:
        """The token of the page that follows; None on the last."""
        if page.following is None:
            return None
        # The next page has the same end, also where that was "now": a window does not grow on the way.
        return encode("bars", (moment(page.following), (self.end or self.now).isoformat()))


def _seconds(duration: str) -> int:
    count, unit = duration.split()
    return int(count) * _UNIT[unit]


def _position(token: str) -> tuple[datetime, datetime]:
    start, until = decode("bars", token)
    try:
        return time_of(start), datetime.fromisoformat(until).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid([("page_token", NOT_OURS)]) from error
