"""Bars in the journal: stored with the span they are all of, replaced, dropped, and read as they were."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.journal.making import AAPL, START, an_intent
from tests.journal.meddling import writing
from trademind.domain import Bar
from trademind.journal import (
    BarJobSet,
    BarJobsForgotten,
    BarRow,
    BarSeries,
    BarsStored,
    Journal,
    SeriesAnchored,
    SeriesDropped,
    in_parts,
    open_journal,
    row_of,
    verify,
)
from trademind.journal.bar_writes import MAX_ROWS
from trademind.journal.location import locate
from trademind.journal.migrations import VERSION_TABLE

SERIES = BarSeries.of(AAPL, source="ib", bar_size="1 min", what_to_show="TRADES", use_rth=True)


def rows(since: int, until: int, step: int = 60) -> tuple[BarRow, ...]:
    return tuple(
        (time, 1.0 + time, 2.5 + time, 0.1, 1.1, None if time % 7 == 0 else 3.0, 0.3, time % 5)
        for time in range(since, until, step)
    )


async def store(journal: Journal, since: int, until: int, series: BarSeries = SERIES) -> None:
    for part in in_parts(series, rows(-(-since // 60) * 60, until), since, until):
        await journal.written(part)


async def test_bars_come_back_as_they_were(place: str) -> None:
    async with open_journal(place) as journal:
        assert await journal.bars.series(SERIES) is None
        await store(journal, 0, 100_000)
        other = replace(SERIES, use_rth=False)
        await store(journal, 600, 1200, other)
    async with open_journal(place) as journal:
        known = await journal.bars.series(SERIES)
        assert known is not None
        assert (known.spans, known.anchor) == (((0, 100_000),), 0)
        assert await journal.bars.rows(known.id, 0, 100_000) == list(rows(0, 100_000))
        assert await journal.bars.rows(known.id, 61, 240) == list(rows(120, 240))
        assert len(await journal.bars.rows(known.id, 0, 100_000, limit=7)) == 7
        assert (await journal.bars.oldest(known.id), await journal.bars.newest(known.id)) == (0, 99_960)
        apart = await journal.bars.series(other)
        assert apart is not None
        assert await journal.bars.rows(apart.id, 0, 100_000) == list(rows(600, 1200))
        report = await verify(journal)
        assert report.is_sound
        assert (report.rows["bars"], report.rows["bar_series"]) == (len(rows(0, 100_000)) + 10, 2)


async def test_spans_become_one_where_they_meet(place: str) -> None:
    rng = random.Random(5)
    async with open_journal(place) as journal:
        covered: set[int] = set()
        for _ in range(40):
            since = rng.randrange(0, 3000)
            until = since + rng.randrange(1, 300)
            await store(journal, since, until)
            covered |= set(range(since, until))
        known = await journal.bars.series(SERIES)
        assert known is not None
        told = [second for since, until in known.spans for second in range(since, until)]
        assert told == sorted(covered)
        assert all(one[1] < two[0] for one, two in zip(known.spans, known.spans[1:], strict=False))
        assert [row[0] for row in await journal.bars.rows(known.id, 0, 4000)] == [
            time for time in range(0, 4000, 60) if time in covered
        ]


async def test_a_span_without_bars_is_known(place: str) -> None:
    async with open_journal(place) as journal:
        await journal.written(BarsStored(series=SERIES, rows=(), since=0, until=86_400))
        known = await journal.bars.series(SERIES)
        assert known is not None
        assert (known.spans, known.anchor) == (((0, 86_400),), None)
        assert await journal.bars.rows(known.id, 0, 86_400) == []


async def test_bars_are_replaced_and_dropped(place: str) -> None:
    async with open_journal(place) as journal:
        await store(journal, 0, 6000)
        changed = ((60, 9.0, 9.0, 9.0, 9.0, None, None, None),)
        await journal.written(BarsStored(series=SERIES, rows=changed, since=0, until=180))
        known = await journal.bars.series(SERIES)
        assert known is not None
        assert await journal.bars.rows(known.id, 0, 6000) == [*changed, *rows(180, 6000)]
        await journal.written(SeriesAnchored(SERIES, 240))
        again = await journal.bars.series(SERIES)
        assert again is not None
        assert again.anchor == 240
        await journal.written(SeriesDropped(SERIES))
        dropped = await journal.bars.series(SERIES)
        assert dropped is not None
        assert (dropped.id, dropped.spans, dropped.anchor) == (known.id, (), None)
        assert await journal.bars.newest(known.id) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": rows(0, 120), "since": 60},
        {"rows": rows(0, 120), "until": 60},
        {"rows": (*rows(60, 120), *rows(60, 120))},
        {"rows": rows(0, 60 * (MAX_ROWS + 1)), "until": 10**6},
        {"since": 1000},
        {"until": 2**63},
    ],
)
def test_what_the_database_would_refuse_for_ever_is_not_queued(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"stored|order"):
        BarsStored(**{"series": SERIES, "rows": (), "since": 0, "until": 1000, **wrong})


async def test_figures_that_are_none_are_unknown(place: str) -> None:
    bar = Bar(
        time=START,
        open=1.5,
        high=float("inf"),
        low=float("nan"),
        close=2,
        volume=float("nan"),
        wap=None,
        count=2**70,
    )
    second = int(START.timestamp())
    async with open_journal(place) as journal:
        await journal.written(BarsStored(series=SERIES, rows=(row_of(bar),), since=second, until=second + 60))
        known = await journal.bars.series(SERIES)
        assert known is not None
        (row,) = await journal.bars.rows(known.id, second, second + 60)
        assert row == (second, 1.5, None, None, 2.0, None, None, None)


async def test_jobs_are_kept_as_they_stand(place: str) -> None:
    async with open_journal(place) as journal:
        for number in range(3):
            at = START + timedelta(seconds=number)
            await journal.written(BarJobSet(id=f"job-{number}", body={"done": 0}, created_at=at))
        await journal.written(BarJobSet(id="job-1", body={"done": 5, "of": "\u20ac"}, created_at=START))
        await journal.written(BarJobsForgotten(("job-0", "job-9")))
        assert await journal.bars.jobs() == [{"done": 0}, {"done": 5, "of": "\u20ac"}]


async def test_bars_and_intents_share_a_group(place: str) -> None:
    async with open_journal(place) as journal:
        for part in in_parts(SERIES, rows(0, 60_000), 0, 60_000):
            journal.note(part)
        assert await journal.accept(an_intent("one")) is None
        known = await journal.bars.series(SERIES)
        assert known is not None
        assert len(await journal.bars.rows(known.id, 0, 60_000)) == 1000
        assert (await journal.reading.intent("one")) is not None


async def test_a_journal_of_before_gets_the_tables(sqlite_place: str) -> None:
    async with open_journal(sqlite_place) as journal:
        await journal.accept(an_intent("one"))
    async with writing(sqlite_place) as connection:
        for table in ("signals", "bar_jobs", "bar_spans", "bars", "bar_series"):
            await connection.execute(text(f"DROP TABLE {table}"))
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
        await connection.commit()
    report = await verify(Path(sqlite_place))
    assert (report.is_sound, report.schema) == (True, "0001")
    async with open_journal(sqlite_place) as journal:
        await store(journal, 0, 600)
        assert await journal.reading.intent("one") is not None
        assert (await verify(locate(sqlite_place).path or "")).rows["bars"] == 10
