"""The archive on the real paper gateway: what is asked for, what is stored, and what a page has."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.market.stage import AAPL, Bars, at, minutes, open_bars
from trademind import BarRequest, ContractQuery
from trademind.clock import ManualClock
from trademind.domain import Bar, SecType
from trademind.domain.market import BAR_SIZES
from trademind.errors import ContractNotFound, Invalid, Unavailable
from trademind.gateway.calendars import ExchangeHours
from trademind.journal import SeriesDropped, in_parts, row_of
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.calendars import ExchangeCalendars

# The stage's clock begins on Monday, 2026-11-23, 15:30 UTC.


@pytest.fixture
async def bars(tmp_path: Path) -> AsyncIterator[Bars]:
    async with open_bars(tmp_path) as opened:
        yield opened


async def directly(bars: Bars, bar_size: str, duration: str, end: datetime) -> tuple[Bar, ...]:
    return await bars.broker.get_bars(AAPL, BarRequest(bar_size=bar_size, duration=duration, end=end))


async def test_a_span_is_fetched_once(bars: Bars) -> None:
    source = await bars.source()
    first = await bars.all(source, at(20, 3), at(20, 9))
    assert len(bars.requests) == 1
    assert first == list(await directly(bars, "1 min", "21600 S", at(20, 9)))
    asked = len(bars.requests)
    assert await bars.all(source, at(20, 3), at(20, 9)) == first
    assert await bars.all(source, at(20, 4), at(20, 4, 7)) == [
        bar for bar in first if at(20, 4) <= bar.time < at(20, 4, 7)
    ]
    assert len(bars.requests) == asked
    assert len(await bars.all(source, at(19, 23), at(20, 2))) == 180
    assert len(bars.requests) == asked + 1


async def test_what_is_stored_outlives_the_archive(bars: Bars) -> None:
    source = await bars.source()
    first = await bars.all(source, at(20, 3), at(20, 9))
    other = BarArchive(bars.broker, bars.journal, bars.stage.clock, name="paper test")
    page = await other.page(source, at(20, 3), at(20, 9), limit=500)
    assert list(page.bars) == first
    assert len(bars.requests) == 2  # the second is for the anchor only
    await other.close()


@pytest.mark.parametrize("bar_size", BAR_SIZES)
async def test_every_size_is_the_same_in_pages_as_at_once(bars: Bars, bar_size: str) -> None:
    source = await bars.source(bar_size=bar_size)
    end = at(23, 5)  # midnight in New York, where bars of all hours end
    since, duration = {
        "sec": (end - timedelta(hours=1), "3600 S"),
        "min": (end - timedelta(hours=30), "2 D"),
        "hou": (end - timedelta(days=60), "61 D"),
        "day": (at(20, year=2025), "2 Y"),
        "wee": (at(20, year=2024), "3 Y"),
        "mon": (at(20, year=2022), "5 Y"),
    }[bar_size.split()[1][:3]]
    found = await bars.all(source, since, end, limit=400)
    whole = [bar for bar in await directly(bars, bar_size, duration, end) if since <= bar.time < end]
    assert found == whole[: len(found)]
    assert len(whole) - len(found) == (1 if bar_size == "1 month" else 0)  # which is not over
    assert len(found) >= 12


async def test_the_bar_that_forms_is_told_and_not_stored(bars: Bars) -> None:
    source = await bars.source()
    now = at(23, 15, 30)
    bars.stage.move(47)
    page = await bars.archive.page(source, now - minutes(3), at(24), limit=500)
    assert [bar.time.minute for bar in page.bars] == [27, 28, 29, 30]
    assert page.complete == 3
    assert page.following is None
    known = await bars.journal.bars.series(source.series)
    assert known is not None
    assert await bars.journal.bars.newest(known.id) == int((now - minutes(1)).timestamp())
    bars.stage.move(60)
    later = await bars.archive.page(source, now - minutes(3), at(24), limit=500)
    assert later.complete == 4
    # The bar as it was half an answer ago is not what it has become.
    assert later.bars[3].volume is not None
    assert page.bars[3].volume is not None
    assert later.bars[3].volume > page.bars[3].volume
    assert later.bars[:3] == page.bars[:3]
    request = bars.requests[-1]
    assert any(field.endswith(" S") and int(field[:-2]) <= 300 for field in request), request


async def test_a_window_that_has_just_ended(bars: Bars) -> None:
    source = await bars.source(bar_size="5 secs")
    bars.stage.move(30 * 60 + 15)  # a quarter of a minute into the hour
    page = await bars.archive.page(source, at(23, 15, 59), at(24), limit=500)
    assert [bar.time.second for bar in page.bars] == [*range(0, 60, 5), 0, 5, 10]
    assert page.complete == 9  # the last bars of the hour may still change
    assert len(bars.requests) == 2
    bars.stage.move(60)
    later = await bars.archive.page(source, at(23, 15, 59), at(23, 16), limit=500)
    assert (later.bars, later.complete) == (page.bars[:12], 12)


async def test_two_at_once_ask_once(bars: Bars) -> None:
    source = await bars.source()
    answers = await asyncio.gather(*[bars.all(source, at(20, 3), at(20, 9)) for _ in range(5)])
    assert all(answer == answers[0] for answer in answers)
    assert len(bars.requests) == 1


async def test_a_page_takes_a_bounded_number_of_requests(bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trademind.market.bars.archive.MAX_REQUESTS", 3)
    source = await bars.source(bar_size="5 secs")
    page = await bars.archive.page(source, at(20), at(20, 1), limit=5000)
    assert (len(page.bars), page.following, len(bars.requests)) == (720, None, 1)
    page = await bars.archive.page(source, at(1, year=1990), at(20), limit=500)
    assert (page.bars, len(bars.requests)) == ((), 4)
    assert page.following == at(1, 3, year=1990)
    assert len(await bars.all(source, at(20), at(20, 6), limit=5000)) == 6 * 720


async def test_a_page_asks_for_no_more_than_it_has(bars: Bars) -> None:
    source = await bars.source()
    page = await bars.archive.page(source, at(2), at(20), limit=100)
    assert (len(page.bars), page.following) == (100, at(2, 1, 40))
    assert len(bars.requests) == 1


async def test_what_is_stored_is_read_while_nobody_can_be_asked(bars: Bars) -> None:
    source = await bars.source()
    first = await bars.all(source, at(20, 3), at(20, 9))
    await bars.broker.disconnect()
    other = BarArchive(bars.broker, bars.journal, bars.stage.clock, name="paper test")
    again = await other.source(AAPL, bar_size="1 min", what_to_show="TRADES", use_rth=True)
    assert list((await other.page(again, at(20, 3), at(20, 9), limit=500)).bars) == first
    with pytest.raises(Unavailable):
        await other.page(again, at(19, 3), at(20, 9), limit=500)
    await other.close()


async def test_a_clock_that_was_put_back_knows_nothing_of_the_future(bars: Bars) -> None:
    source = await bars.source()
    await bars.all(source, at(23, 3), at(23, 9))
    earlier = BarArchive(
        bars.broker,
        bars.journal,
        ManualClock(
            at(
                23,
                6,
                30,
            )
        ),
        name="paper test",
    )
    page = await earlier.page(source, at(23, 6, 20), at(24), limit=500)
    assert [bar.time.minute for bar in page.bars] == list(range(20, 30))
    assert page.complete == 9  # the last one has not settled yet
    await earlier.close()


async def test_an_empty_past_is_known(bars: Bars) -> None:
    source = await bars.source(bar_size="1 day")
    page = await bars.archive.page(source, at(1, year=1990), at(1, year=1991), limit=500)
    assert (page.bars, page.following) == ((), None)
    asked = len(bars.requests)
    assert asked == 2
    await bars.all(source, at(1, year=1990), at(1, year=1991))
    assert len(bars.requests) == asked


async def test_other_kinds_and_instruments(bars: Bars) -> None:
    for query, what in (
        (AAPL, "BID_ASK"),
        (AAPL, "OPTION_IMPLIED_VOLATILITY"),
        (ContractQuery(symbol="EUR", sec_type=SecType.CASH, exchange="IDEALPRO"), "MIDPOINT"),
        (ContractQuery(symbol="BTC", sec_type=SecType.CRYPTO, exchange="PAXOS"), "AGGTRADES"),
    ):
        source = await bars.source(query, bar_size="1 hour", what_to_show=what)
        found = await bars.all(source, at(20), at(21))
        assert [bar.time.hour for bar in found] == list(range(24)), what
        again = await bars.all(source, at(20), at(21))
        assert again == found


async def test_what_cannot_be_kept(bars: Bars) -> None:
    with pytest.raises(Invalid, match="not kept"):
        await bars.source(what_to_show="ADJUSTED_LAST")
    with pytest.raises(Invalid, match="bar_size"):
        await bars.source(bar_size="1 fortnight")
    with pytest.raises(ContractNotFound):
        await bars.source(ContractQuery(symbol="NOSUCH"))


async def test_a_series_that_was_adjusted_is_fetched_anew(bars: Bars) -> None:
    source = await bars.source()
    truth = await bars.all(source, at(2), at(3))
    # As it was stored before a split of four for one.
    await bars.journal.written(SeriesDropped(source.series))
    old = [replace(b, open=b.open * 4, high=b.high * 4, low=b.low * 4, close=b.close * 4) for b in truth]
    since, until = (int(each.timestamp()) for each in (at(2), at(3)))
    for part in in_parts(source.series, [row_of(bar) for bar in old], since, until):
        await bars.journal.written(part)
    after = BarArchive(bars.broker, bars.journal, bars.stage.clock, name="paper test")
    page = await after.page(source, at(2, 23), at(3, 1), limit=500)
    direct = await directly(bars, "1 min", "7200 S", at(3, 1))
    assert page.bars == direct
    known = await bars.journal.bars.series(source.series)
    assert known is not None
    assert known.anchor == since  # the new first bar
    await after.close()


async def test_days_without_trading_are_not_asked_for(tmp_path: Path) -> None:
    async with open_bars(tmp_path, calendars=ExchangeCalendars(), hours=ExchangeHours()) as bars:
        source = await bars.source()
        since, until = at(1), at(15)  # two weeks of November, without a holiday
        found = await bars.all(source, since, until)
        assert len(found) == 10 * 390
        assert len(bars.requests) == 10
        whole = await directly(bars, "1 min", "14 D", until)
        assert found == [bar for bar in whole if bar.time >= since]
        # Thanksgiving of last year, and half a day after it.
        thanksgiving = await bars.all(source, at(27, year=2025), at(29, year=2025))
        assert {bar.time.day for bar in thanksgiving} == {28}
        assert len(thanksgiving) == 210
        asked = len(bars.requests)
        around = await bars.source(use_rth=False)
        assert len(await bars.all(around, at(6), at(10))) == 16 * 60 * 2
        assert len(bars.requests) == asked + 3  # on Saturday there is Friday's night, on Sunday nothing
