"""Downloads, interrupted at random places: the series is the same as that of one that was not.

The real paper gateway enforces IB's limits here, and its clock is the world's or runs faster. Its clients are
real brokers, of which each restart makes a new one that remembers nothing.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.stage import Stage, open_stage
from tests.gateway.bench import until
from tests.market.stage import AAPL, Bars, at, bars_of
from trademind import ContractQuery
from trademind.clock import AcceleratedClock, ManualClock, SystemClock
from trademind.domain import Bar
from trademind.errors import BarJobNotFound
from trademind.gateway.calendars import ExchangeHours
from trademind.gateway.pacing import Pacing
from trademind.market.bars.calendars import ExchangeCalendars
from trademind.market.bars.downloads import BarJob, Download, JobStatus
from trademind.market.bars.jobs import BarJobs
from trademind.market.bars.share import SHARE, Share

SIZES = ("5 secs", "30 secs", "1 min", "5 mins", "15 mins", "1 hour", "4 hours", "1 day", "1 week")
BEGAN = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
PACING_VIOLATION = 162


def violations(stage: Stage) -> int:
    return stage.timeline.told.count(PACING_VIOLATION)


async def until_over(jobs: BarJobs, job: BarJob) -> BarJob:
    await until(lambda: not jobs.get(job.id).status.is_open)
    return jobs.get(job.id)


async def uninterrupted(stage: Stage, folder: Path, wanted: Download) -> list[Bar]:
    """The series by one download of its own, on its own journal."""
    await asyncio.to_thread(folder.mkdir)
    async with bars_of(stage, folder) as bars, BarJobs(bars.archive, bars.journal, SystemClock()) as jobs:
        job, _ = await jobs.create(wanted)
        done = await until_over(jobs, job)
        assert done.status is JobStatus.DONE
        assert not done.failures
        return await stored(bars, wanted)


async def stored(bars: Bars, wanted: Download) -> list[Bar]:
    source = await bars.source(bar_size=wanted.bar_size, use_rth=wanted.use_rth)
    return await bars.all(source, wanted.start, wanted.end or at(24), limit=1000)


@pytest.mark.parametrize("seed", range(8))
async def test_interruptions_do_not_show(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    size = rng.choice(SIZES)
    hours = ExchangeHours() if seed % 2 else None
    length = {"sec": 10 * 3600, "min": 20 * 86_400, "hou": 50 * 86_400}.get(size.split()[1][:3], 400 * 86_400)
    start = BEGAN - timedelta(seconds=rng.randrange(length // 4, length))
    end = None if rng.random() < 0.4 else start + timedelta(seconds=rng.randrange(1, length))
    wanted = Download(symbols=("AAPL",), bar_size=size, start=start, end=end, use_rth=rng.random() < 0.7)
    gateway: dict[str, Any] = {} if hours is None else {"hours": hours}
    async with open_stage(**gateway) as stage:
        truth = await uninterrupted(stage, tmp_path / "at-once", wanted)
        folder = tmp_path / "in-pieces"
        folder.mkdir()
        calendars = ExchangeCalendars() if hours else None
        for _ in range(rng.randrange(2, 6)):
            async with (
                bars_of(stage, folder, calendars=calendars) as bars,
                BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
            ):
                await jobs.create(wanted)
                if rng.random() < 0.5:
                    # Meanwhile somebody reads a part of it.
                    source = await bars.source(bar_size=size, use_rth=wanted.use_rth)
                    since = start + timedelta(seconds=rng.randrange(0, length))
                    await bars.archive.page(source, since, at(24), limit=rng.randrange(1, 200))
                await asyncio.sleep(rng.random() * 0.1)
        async with (
            bars_of(stage, folder, calendars=calendars) as bars,
            BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
        ):
            job, _ = await jobs.create(wanted)
            assert (await until_over(jobs, job)).status is JobStatus.DONE
            assert await stored(bars, wanted) == truth
        assert len(truth) >= (0 if end is not None else 1)


async def test_the_market_moves_on_meanwhile(tmp_path: Path) -> None:
    """Bars form while they are downloaded, again and again; none is stored before it has ended."""
    clock = AcceleratedClock(600, BEGAN)
    async with open_stage(clock=clock) as stage:
        wanted = Download(symbols=("AAPL",), bar_size="1 min", start=BEGAN - timedelta(hours=3))
        for _ in range(5):
            async with (
                bars_of(stage, tmp_path) as bars,
                BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
            ):
                await until_over(jobs, (await jobs.create(wanted))[0])
                await asyncio.sleep(0.1)
    # The same market, when it is long past.
    async with open_stage(clock=ManualClock(BEGAN + timedelta(days=30))) as stage:
        truth = await uninterrupted(
            stage,
            tmp_path / "later",
            Download(symbols=("AAPL",), bar_size="1 min", start=wanted.start, end=BEGAN + timedelta(days=1)),
        )
        # Of what was stored then; nothing is asked for now.
        async with bars_of(stage, tmp_path) as bars:
            source = await bars.source()
            known = await bars.journal.bars.series(source.series)
            assert known is not None
            since = int(wanted.start.timestamp())
            rows = await bars.journal.bars.rows(known.id, since, known.spans[-1][1])
    assert len(rows) > 180
    by_time = {int(bar.time.timestamp()): bar for bar in truth}
    assert [(by_time[row[0]].close, by_time[row[0]].volume) for row in rows] == [
        (row[4], row[5]) for row in rows
    ]


async def test_no_limit_is_broken(tmp_path: Path) -> None:
    """Small bars, of which IB lets pass 60 requests in ten minutes, in a market that runs with the world."""
    downloads = [
        Download(symbols=(symbol,), bar_size="1 secs", start=BEGAN - timedelta(days=3))
        for symbol in ("AAPL", "MSFT", "NVDA")
    ]
    async with open_stage(clock=AcceleratedClock(1, BEGAN), pacing=Pacing()) as stage:
        async with (
            bars_of(stage, tmp_path, is_paced=True) as bars,
            BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
        ):
            for wanted in downloads:
                await jobs.create(wanted)
            await until(lambda: sum(job.waiting_until is not None for job in jobs.all()) == len(downloads))
            # The jobs wait for minutes, and who asks directly does not.
            assert len(bars.requests) == SHARE
            source = await bars.source(ContractQuery(symbol="IBM"), bar_size="1 secs")
            page = await bars.archive.page(source, at(20), at(20, 2), limit=500)
            assert len(page.bars) == 500
        async with (
            bars_of(stage, tmp_path, is_paced=True) as bars,
            BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
        ):
            await until(lambda: sum(job.waiting_until is not None for job in jobs.all()) == len(downloads))
            assert len(bars.requests) == SHARE + 1
        assert violations(stage) == 0


async def test_what_was_on_its_way_is_not_asked_again_at_once(tmp_path: Path) -> None:
    wanted = Download(symbols=("AAPL",), bar_size="1 secs", start=BEGAN - timedelta(hours=3))
    async with open_stage(clock=AcceleratedClock(1, BEGAN), pacing=Pacing()) as stage:
        async with (
            bars_of(stage, tmp_path, is_paced=True) as bars,
            BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
        ):
            await jobs.create(wanted)
            await until(lambda: bars.requests)
            await stage.leave(bars.broker)  # as where the server is killed: the answer is lost
        async with (
            bars_of(stage, tmp_path, is_paced=True) as bars,
            BarJobs(bars.archive, bars.journal, SystemClock()) as jobs,
        ):
            await until(lambda: jobs.all()[0].waiting_until is not None)
            assert len(bars.requests) == 1
        assert violations(stage) == 0


def test_the_share_is_kept_over_a_restart() -> None:
    share, now = Share(), BEGAN
    for _ in range(SHARE):
        assert share.may_ask_at(now, 1) == now
        share.count(now, 1)
        now += timedelta(seconds=1)
    assert share.may_ask_at(now, 1) >= BEGAN + timedelta(minutes=10)
    after = Share()
    after.restore(share.asked)
    assert after.may_ask_at(now, 1) == share.may_ask_at(now, 1)
    assert after.may_ask_at(now, 2) == share.may_ask_at(now, 1) + timedelta(seconds=1)
    few = Share()
    few.restore([BEGAN])
    assert few.may_ask_at(BEGAN + timedelta(seconds=1), 1) > BEGAN + timedelta(seconds=15)


async def test_a_download_waits_for_a_gateway_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trademind.market.bars.jobs.AGAIN_AFTER", 0.1)
    async with open_stage() as stage, bars_of(stage, tmp_path) as bars:
        wanted = Download(symbols=("AAPL",), bar_size="5 mins", start=at(1, month=6), end=at(1))
        async with BarJobs(bars.archive, bars.journal, SystemClock()) as jobs:
            job, _ = await jobs.create(wanted)
            await until(lambda: jobs.get(job.id).requests_done)
            stage.session().connection.close()
            await bars.broker.reconnect()
            assert (await until_over(jobs, job)).status is JobStatus.DONE
            with pytest.raises(BarJobNotFound):
                jobs.get("nope")
        found = await bars.all(await bars.source(AAPL, bar_size="5 mins"), wanted.start, at(1))
        assert len(found) == 153 * 288
