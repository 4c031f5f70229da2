"""Bars from the store, whose gaps are filled as they are asked for.

A gap is filled window by window (see `windows`), and what a request has brought is on disk together with the
span it is all of, so nothing is asked for twice, whoever asks, and whenever it was interrupted. Only bars
that do not change any more are stored; the one that forms is handed on as it is.

IB adjusts the past: of TRADES all bars before a split become others, at once. Bars of before and after would
make a series that never was. So each series has an anchor, an old bar that every adjustment changes: before a
gap is filled, and every quarter of an hour at most, it is asked for again, and where it is another one all
that is stored of the series is dropped. The anchor is replaced only after such a comparison, so no bar that
came before an adjustment can stay beside one that came after it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Final

from trademind.aio import SingleFlight
from trademind.brokers.base import Broker
from trademind.clock import Clock
from trademind.domain import (
    Bar,
    BarRequest,
    Channel,
    Contract,
    ContractQuery,
    DataSource,
    LiveBar,
    LiveBars,
    Missed,
    SecType,
    Subject,
)
from trademind.errors import Invalid, NoAnswer, NotConnected, PacingViolation, TradeMindError, Unavailable
from trademind.journal import (
    BarRow,
    BarSeries,
    Journal,
    SeriesAnchored,
    SeriesDropped,
    StoredSeries,
    in_parts,
    row_of,
)
from trademind.market.bars import following
from trademind.market.bars.calendars import Calendars, Hours, NoCalendars
from trademind.market.bars.spans import gaps, known_from
from trademind.market.bars.windows import (
    Asked,
    Window,
    asked_for,
    asked_for_one,
    final_before,
    not_kept,
    window_at,
    windows,
)

log = logging.getLogger(__name__)

MAX_REQUESTS: Final = 20
"""Requests that one page may take: some ten seconds of IB's time. What is missing then is on the next
page."""
MAX_PAGE: Final = 1000
"""Bars of one page; fewer than the journal gives at once."""
CHECK_EVERY: Final = 900.0
"""Seconds between two looks at an anchor: IB adjusts overnight, and a look is a request."""
FRESH_FOR: Final = 15
"""Seconds for which the end of a series is asked for in the same way, so that it can be answered from
memory."""
MAX_CHECKED: Final = 10_000
"""Series of which it is remembered when they were looked at."""
_MOVED: Final = 1e-4
"""The share of a price that is no rounding. The smallest splits, stock dividends, are some hundred times
that."""
_NOTHING: Final = StoredSeries(0, None, ())
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Source:
    """A series, and how it is asked for."""

    query: ContractQuery
    contract: Contract
    series: BarSeries
    hours: Hours | None
    """When there is trading, where that is known."""


@dataclass(frozen=True, slots=True)
class BarPage:
    """Bars of a part of a span, oldest first."""

    bars: tuple[Bar, ...]
    complete: int
    """How many of them, from the beginning, do not change any more."""
    following: datetime | None
    """Where the next page begins; None where this is the last."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a request has brought."""

    stored: int
    """Bars that are stored now."""
    forming: tuple[BarRow, ...] = field(default=())
    """Those that may still change, and are not."""


class BarArchive:
    """The store of bars.

    Args:
        market: The time of the market, by which bars end.
        calendars: When exchanges are closed.
        name: Of a market that is made here: bars of another one are not its own.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        market: Clock,
        *,
        calendars: Calendars | None = None,
        name: str | None = None,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._market = market
        self._name = name
        self._is_named = name is not None
        self._calendars = calendars or NoCalendars()
        self._fetching: SingleFlight[tuple[BarSeries, Window], Fetched] = SingleFlight(TradeMindError)
        self._checking: SingleFlight[BarSeries, bool] = SingleFlight(TradeMindError)
        self._checked: dict[BarSeries, float] = {}
        """When each series was last seen to be what it was, by the loop's time."""

    def now(self) -> datetime:
        """The market's time."""
        return self._market.now()

    async def source(
        self, query: ContractQuery, *, bar_size: str, what_to_show: str, use_rth: bool
    ) -> Source:
        """The series of a contract.

        Raises:
            Invalid: there are no such bars, or they cannot be kept.
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer.
        """
        BarRequest(bar_size=bar_size, what_to_show=what_to_show, use_rth=use_rth)
        contract = (await self._broker.qualify(query)).contract
        if (refusal := not_kept(contract.sec_type, what_to_show)) is not None:
            raise Invalid([refusal])
        series = BarSeries.of(
            contract,
            source=self._source_name(),
            bar_size=bar_size,
            what_to_show=what_to_show,
            use_rth=use_rth,
        )
        return Source(query, contract, series, await self._calendars.hours(contract, use_rth=use_rth))

    async def page(self, source: Source, since: datetime, until: datetime, *, limit: int) -> BarPage:
        """At most `limit` bars that begin in [since, until). What is missing is fetched, as far as the page
        needs it.

        A page may have fewer bars than there are, where it would take more than `MAX_REQUESTS`, or IB's
        limits do not let pass what is missing.

        Raises:
            PacingViolation: not even one bar can be had now; when it can.
            Refused, Unavailable, NoAnswer: of what is missing.
        """
        size, series = source.series.bar_size, source.series
        limit = min(limit, MAX_PAGE)
        place, end = _first(since), min(_ceil(until), self._moment())
        rows: list[BarRow] = []
        complete, requests = 0, 0
        is_checked = await self._try_to_check(source)
        while place < end and len(rows) <= limit:
            stored = await self._stored(series)
            known = min(known_from(place, stored.spans), end)
            if known > place:
                wanted = limit + 1 - len(rows)
                rows += await self._journal.bars.rows(stored.id, place, known, limit=wanted)
                complete, place = len(rows), known
                continue
            window = window_at(size, place)
            if source.hours is not None and not source.hours.may_trade(window.start, window.end):
                place = window.end
                continue
            if requests == MAX_REQUESTS:
                break
            requests += 1
            try:
                if not is_checked:
                    await self.check(source)
                    is_checked = True
                    continue
                fetched = await self.fetch(source, window)
            except PacingViolation:
                if not rows:
                    raise
                break
            # What is final of it is known now; the rest is not stored.
            stored = await self._stored(series)
            known, last = min(known_from(place, stored.spans), end), min(window.end, end)
            if known < last:
                if known > place:
                    rows += await self._journal.bars.rows(stored.id, place, known, limit=limit + 1)
                    complete = len(rows)
                rows += [row for row in fetched.forming if max(place, known) <= row[0] < last]
                place = last
        if len(rows) > limit:
            place = rows[limit][0]
        bars = tuple(bar_of(row) for row in rows[:limit])
        following = None if place >= end else _EPOCH + timedelta(seconds=place)
        return BarPage(bars, min(complete, limit), following)

    def follow(
        self, source: Source, start: datetime, *, forming: bool = False
    ) -> AsyncIterator[LiveBar | Missed]:
        """The bars from `start` on: those that have ended, then each as it ends, none twice and none left
        out, until the broker is disconnected for good.

        What IB says against it is told as `Missed`; what is missing is made up for when bars come again, and
        told as `Missed` where that fails.

        Args:
            forming: Also the bar that has not ended, whenever it has changed.

        Raises:
            Invalid: bars of this kind cannot be followed.
            TooManySubscriptions, and as `page`, before the first live bar.
        """
        series = source.series
        subject = Subject(
            channel=Channel.BARS,
            query=source.query,
            variant=series.what_to_show,
            bars=LiveBars(bar_size=series.bar_size, use_rth=series.use_rth, forming=forming),
        )
        return following.follow(self, source, self._broker.market(subject), start)

    async def missing(self, source: Source, since: datetime, until: datetime) -> list[Window]:
        """The windows of a span that are not known, oldest first; each is one request."""
        stored = await self._stored(source.series)
        span = (_first(since), min(_ceil(until), self._moment()))
        found: list[Window] = []
        for gap in gaps(span, stored.spans) if span[0] < span[1] else ():
            for window in windows(source.series.bar_size, *gap):
                if found and found[-1] == window:
                    continue
                if source.hours is None or source.hours.may_trade(window.start, window.end):
                    found.append(window)
        return found

    async def fetch(self, source: Source, window: Window) -> Fetched:
        """Ask for what is not known of a window, and store what is final. Asked at the same time by several,
        it is one request. `check` comes before it.

        Raises:
            PacingViolation, Refused, Unavailable, NoAnswer.
        """
        name = f"bars of {source.contract.symbol}"
        return await self._fetching.ask(
            (source.series, window), lambda: self._fetch(source, window), name=name
        )

    async def check(self, source: Source) -> bool:
        """See whether IB has adjusted the series since it was stored; what is stored is dropped then, and the
        answer is true.

        Raises:
            PacingViolation, Refused, Unavailable, NoAnswer: it could not be seen.
        """
        if not await self.must_check(source):
            return False
        series, name = source.series, f"anchor of {source.contract.symbol}"
        return await self._checking.ask(series, lambda: self._check(source), name=name)

    async def must_check(self, source: Source) -> bool:
        """Whether `check` takes a request."""
        last = self._checked.get(source.series, float("-inf"))
        if source.contract.sec_type is not SecType.STOCK or _now() - last < CHECK_EVERY:
            return False
        stored = await self._journal.bars.series(source.series)
        if stored is not None and stored.anchor is not None:
            return True
        self._has_checked(source.series)  # what is not stored yet cannot have been adjusted since
        return False

    async def close(self) -> None:
        """End what is under way."""
        await self._fetching.finish(grace=1)
        await self._checking.finish(grace=0)

    async def _fetch(self, source: Source, window: Window) -> Fetched:
        series, now = source.series, self._moment()
        stored = await self._stored(series)
        since = window.start
        if window.end > now:
            missing = gaps((window.start, now), stored.spans) if window.start < now else []
            if not missing:
                return Fetched(0)
            since = missing[0][0]
        asked = asked_for(series.bar_size, window, since=since, now=now)
        bars = await self._broker.get_bars(source.query, _request(series, asked))
        rows = _in_order(bars, since, window.end)
        until = min(window.end, final_before(series.bar_size, now))
        final = [row for row in rows if row[0] < until]
        if until > since:
            for part in in_parts(series, final, since, until):
                await self._journal.written(part)
        return Fetched(len(final), tuple(rows[len(final) :]))

    async def _try_to_check(self, source: Source) -> bool:
        """What is stored can be read while nobody can say whether it was adjusted."""
        try:
            await self.check(source)
        except (PacingViolation, Unavailable, NoAnswer):
            return False
        return True

    async def _check(self, source: Source) -> bool:
        series, was_adjusted = source.series, False
        stored = await self._journal.bars.series(series)
        if stored is not None and stored.anchor is not None:
            known = await self._journal.bars.rows(stored.id, stored.anchor, stored.anchor + 1)
            found = await self._ask_for(source, stored.anchor)
            was_adjusted = bool(known) and found is not None and _is_adjusted(known[0], found)
            if was_adjusted:
                log.info("%s bars of %s were adjusted: they are fetched anew", series.bar_size, series.symbol)
                await self._journal.written(SeriesDropped(series))
            else:
                # IB keeps its smallest bars for half a year: of older ones nothing can be seen.
                newer = self._journal.bars.newest if found is None else self._journal.bars.oldest
                if (anchor := await newer(stored.id)) != stored.anchor:
                    await self._journal.written(SeriesAnchored(series, anchor))
        self._has_checked(series)
        return was_adjusted

    def _has_checked(self, series: BarSeries) -> None:
        if len(self._checked) >= MAX_CHECKED:
            self._checked.clear()
        self._checked[series] = _now()

    async def _ask_for(self, source: Source, time: int) -> BarRow | None:
        """One bar, as IB has it now."""
        series = source.series
        asked = asked_for_one(series.bar_size, time, now=self._moment())
        bars = await self._broker.get_bars(source.query, _request(series, asked))
        return next((row for row in map(row_of, bars) if row[0] == time), None)

    async def _stored(self, series: BarSeries) -> StoredSeries:
        """What is known of a series, of the past: a paper market's clock may have been put back."""
        stored = await self._journal.bars.series(series)
        if stored is None:
            return _NOTHING
        last = final_before(series.bar_size, self._moment())
        spans = tuple((since, min(until, last)) for since, until in stored.spans if since < last)
        return StoredSeries(stored.id, stored.anchor, spans)

    def _source_name(self) -> str:
        session = self._broker.session
        if session.source is not None and not self._is_named:
            is_paper = session.source is DataSource.PAPER
            self._name = f"paper {session.host}:{session.port}" if is_paper else "ib"
        if self._name is None:
            raise NotConnected("it is not known yet which market's bars are asked for")
        return self._name

    def _moment(self) -> int:
        now = int(self._market.now().timestamp())
        return now - now % FRESH_FOR


def bar_of(row: BarRow) -> Bar:
    """A bar as it was before it was stored."""
    time, open_, high, low, close, volume, wap, count = row
    prices = (nan if price is None else price for price in (open_, high, low, close))
    first, most, least, last = prices
    return Bar(
        time=_EPOCH + timedelta(seconds=time),
        open=first,
        high=most,
        low=least,
        close=last,
        volume=volume,
        wap=wap,
        count=count,
    )


def _request(series: BarSeries, asked: Asked) -> BarRequest:
    return BarRequest(
        bar_size=series.bar_size,
        duration=asked.duration,
        end=_EPOCH + timedelta(seconds=asked.end),
        what_to_show=series.what_to_show,
        use_rth=series.use_rth,
    )


def _in_order(bars: tuple[Bar, ...], since: int, until: int) -> list[BarRow]:
    """The bars that begin in [since, until), each once."""
    by_time = {row[0]: row for row in map(row_of, bars) if since <= row[0] < until}
    return [by_time[time] for time in sorted(by_time)]


def _is_adjusted(known: BarRow, found: BarRow) -> bool:
    """Whether all four prices are others. A late correction changes one of them, or the volume."""
    pairs = [(known[place], found[place]) for place in range(1, 5)]
    return all(one and two and abs(two / one - 1) > _MOVED for one, two in pairs)


def _first(since: datetime) -> int:
    """The first second to look at: IB has nothing of before 1970, and the gateway takes no such time."""
    return max(_ceil(since), 0)


def _ceil(moment: datetime) -> int:
    """The first whole second that is not before a moment."""
    return -int((_EPOCH - moment) // timedelta(seconds=1))


def _now() -> float:
    return asyncio.get_running_loop().time()
