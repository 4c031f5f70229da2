"""Stored bars and live ones as one series: each bar once, in order, and none left out.

The live ones are followed first, then what is stored is read, or fetched, and once more up to where they
begin; so nothing can fall in between. Where the broker says that live bars may be missing, the store is read
again up to the next live one.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from trademind.brokers.topics import MarketStream
from trademind.domain import Bar, Channel, LiveBar, Missed
from trademind.errors import NoAnswer, TradeMindError, Unavailable

if TYPE_CHECKING:
    from trademind.market.bars.archive import BarArchive, Source

_SECOND: Final = timedelta(seconds=1)
"""Bars begin with a second, and the shortest takes one."""
_PAGE: Final = 1000
"""Bars that are read at once: a page of the archive."""
_FRESH: Final = timedelta(seconds=15)
"""The archive asks for bars up to a moment ago, at most so long."""
_TRY_EVERY: Final = 1.0
"""Seconds until history is asked for again that the session could not bring."""
_LOOK_EVERY: Final = 0.5
"""Seconds of the world between two looks at the market's clock."""


async def follow(
    archive: "BarArchive", source: "Source", stream: MarketStream[Any], start: datetime
) -> AsyncIterator[LiveBar | Missed]:
    """As `BarArchive.follow`; `stream` is of the live bars."""
    place, may_lack = start, True
    async with stream:
        async for bar in _ended(archive, source, place):
            yield _told(source, bar)
            place = bar.time + _SECOND
        async for live in stream:
            if isinstance(live, Missed):
                may_lack = True
                if live.ib_code is not None:
                    yield live
                continue
            if live.bar.time < place:
                continue
            if may_lack:
                may_lack = False
                try:
                    async for bar in _patiently(archive, source, stream, place, live.bar.time):
                        yield _told(source, bar)
                except TradeMindError as error:
                    yield _missed(source, error)
            yield live
            place = live.bar.time + (_SECOND if live.complete else timedelta(0))


async def _ended(archive: "BarArchive", source: "Source", since: datetime) -> AsyncIterator[Bar]:
    """All bars from `since` on that do not change any more."""
    place: datetime | None = since
    while place is not None:
        page = await archive.page(source, place, archive.now(), limit=_PAGE)
        for bar in page.bars[: page.complete]:
            yield bar
        place = page.following if page.complete == len(page.bars) else None


async def _patiently(
    archive: "BarArchive", source: "Source", stream: MarketStream[Any], since: datetime, until: datetime
) -> AsyncIterator[Bar]:
    """As `_before`, over interruptions of the session: one of them may be why there is something to make up
    for."""
    place = since
    while not stream.is_over:
        try:
            async for bar in _before(archive, source, place, until):
                yield bar
                place = bar.time + _SECOND
        except (Unavailable, NoAnswer):
            await asyncio.sleep(_TRY_EVERY)
        else:
            return


async def _before(
    archive: "BarArchive", source: "Source", since: datetime, until: datetime
) -> AsyncIterator[Bar]:
    """All bars from `since` to before one that has begun: they have ended, too."""
    place: datetime | None = since if since < until else None
    if place is not None:
        await _reach(archive, until + _FRESH)
    while place is not None:
        page = await archive.page(source, place, until, limit=_PAGE)
        for bar in page.bars:
            yield bar
        place = page.following


async def _reach(archive: "BarArchive", moment: datetime) -> None:
    """Wait until it is so late by the market: the archive asks for bars up to a moment ago."""
    while (left := (moment - archive.now()).total_seconds()) > 0:  # noqa: ASYNC110 - a clock tells nobody
        await asyncio.sleep(min(left, _LOOK_EVERY))


def _told(source: "Source", bar: Bar) -> LiveBar:
    series = source.series
    return LiveBar(
        contract=source.contract, what_to_show=series.what_to_show, bar_size=series.bar_size, bar=bar
    )


def _missed(source: "Source", error: TradeMindError) -> Missed:
    return Missed(
        channel=Channel.BARS,
        contract=source.contract,
        reason=error.detail,
        ib_code=error.ib_code,
        bar_size=source.series.bar_size,
    )
