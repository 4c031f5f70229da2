"""Downloads that take long, as jobs: a few at a time, written down as they stand, resumed after a restart.

What a job has fetched is in the archive, so a job remembers no position: it fetches what is missing, and
after a restart that is less. It asks one thing after the other, and where IB's limits are used up it waits,
longer than anybody would who waits for an answer. Of IB's 60 requests in ten minutes jobs take their share
only (see `share`).
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Self, TypeVar

from trademind.aio import Tasks
from trademind.brokers.ibkr.history_pacing import is_limited, weight_of
from trademind.clock import Clock
from trademind.errors import (
    BarJobNotFound,
    JournalUnavailable,
    NoAnswer,
    PacingViolation,
    TooManyJobs,
    TradeMindError,
    Unavailable,
)
from trademind.journal import BarJobSet, BarJobsForgotten, Journal
from trademind.journal.records import Codec, Unreadable
from trademind.market.bars.archive import BarArchive, Source
from trademind.market.bars.downloads import BarJob, Download, JobStatus
from trademind.market.bars.share import Share
from trademind.market.bars.windows import Window

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RUNNING: Final = 3
"""Jobs at a time: one of small bars, which takes days, must not hold up all others."""
MAX_OPEN: Final = 50
"""Jobs that run or wait."""
MAX_KEPT: Final = 200
"""Jobs that are over, of which it is still told how they ended."""
SAVE_EVERY: Final = timedelta(seconds=1)
"""How often it is written down how a job stands, where nothing depends on it."""
AGAIN_AFTER: Final = 5.0
"""Seconds until it is tried again where the gateway, or the journal, is not there."""
ANSWERS_MISSED: Final = 3
"""How often one question may go without an answer until its symbol is given up."""

_JOB: Final = Codec(BarJob)


class BarJobs:
    """The downloads of one server. An async context manager.

    Args:
        clock: The world's time, in which IB counts.
    """

    def __init__(self, archive: BarArchive, journal: Journal, clock: Clock) -> None:
        self._archive = archive
        self._journal = journal
        self._clock = clock
        self._jobs: dict[str, BarJob] = {}
        self._saved: dict[str, datetime] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._share = Share()
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        for body in reversed(await self._journal.bars.jobs()):
            try:
                job = _JOB.load(body)
            except Unreadable as error:
                log.warning("a download cannot be read and is passed over: %s", error)
                continue
            self._jobs[job.id] = replace(job, symbol=None, waiting_until=None, waiting_for=None)
        self._share.restore(moment for job in self._jobs.values() for moment in job.asked)
        self._start_waiting()
        return self

    async def __aexit__(self, *_: object) -> None:
        running, self._running = list(self._running), {}
        await self._tasks.cancel_all()
        for job_id in running:
            await self._save(self._jobs[job_id])

    def all(self) -> tuple[BarJob, ...]:
        """Every job, in the order in which they were made."""
        return tuple(self._jobs.values())

    def get(self, job_id: str) -> BarJob:
        """One job. Raises `BarJobNotFound`."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise BarJobNotFound(f"there is no download {job_id[:40]!r}") from None

    async def create(self, wanted: Download) -> tuple[BarJob, bool]:
        """A job for this download, and whether it is new: where one is open that wants the same, it is that.

        Raises:
            Invalid: it begins in the future, or is too much.
            TooManyJobs: `MAX_OPEN` are open.
            JournalUnavailable: it could not be written down.
        """
        until = wanted.until(self._archive.now())
        waiting = [job for job in self._jobs.values() if job.status.is_open]
        if same := next((job for job in waiting if job.wanted.is_same(wanted)), None):
            return same, False
        if len(waiting) >= MAX_OPEN:
            raise TooManyJobs(f"{MAX_OPEN} downloads run or wait; GET /api/market/bars/jobs lists them")
        now = self._clock.now()
        job = BarJob(
            id=uuid.uuid4().hex,
            wanted=wanted,
            until=until,
            status=JobStatus.QUEUED,
            created_at=now,
            updated_at=now,
        )
        self._jobs[job.id] = job  # before anything is waited for: the same may be asked for meanwhile
        try:
            await self._journal.written(_record(job))
        except JournalUnavailable:
            del self._jobs[job.id]
            raise
        await self._forget_old()
        self._start_waiting()
        return self._jobs[job.id], True

    async def cancel(self, job_id: str) -> BarJob:
        """End a job; what it has stored is kept. One that is over stays as it is. Raises `BarJobNotFound`."""
        job = self.get(job_id)
        if job.status.is_open:
            # Nothing is waited for until both are done: else it could still go on, or begin anew.
            self._jobs[job_id] = replace(job, status=JobStatus.CANCELED)
            if (task := self._running.pop(job_id, None)) is not None:
                task.cancel()
                await asyncio.wait({task})
            await self._end(job_id, JobStatus.CANCELED)
            self._start_waiting()
        return self._jobs[job_id]

    # The work ----------------------------------------------------------------------------------

    def _start_waiting(self) -> None:
        for job in self._jobs.values():
            if len(self._running) >= MAX_RUNNING:
                return
            if job.status.is_open and job.id not in self._running:
                self._running[job.id] = self._tasks.spawn(self._run(job.id), name=f"download {job.id}")

    async def _run(self, job_id: str) -> None:
        try:
            await self._change(job_id, status=JobStatus.RUNNING, is_urgent=True)
            await self._download(job_id)
        except Exception:
            # The edge of the task. What can be expected is told with its symbol; this cannot.
            log.exception("download %s has failed", job_id)
            await self._end(job_id, JobStatus.FAILED)
        finally:
            if self._running.pop(job_id, None) is not None:
                self._start_waiting()

    async def _download(self, job_id: str) -> None:
        wanted = self._jobs[job_id].wanted
        sources: dict[str, Source] = {}
        remaining = 0
        for symbol in wanted.symbols:
            if symbol in self._jobs[job_id].failures:
                continue
            try:
                source = await self._patiently(job_id, partial(self._source, wanted, symbol))
                remaining += len(await self._missing(job_id, source))
            except TradeMindError as error:
                await self._fail(job_id, symbol, error)
            else:
                sources[symbol] = source
        await self._change(
            job_id, requests_total=self._jobs[job_id].requests_done + remaining, is_urgent=True
        )
        for symbol, source in sources.items():
            await self._change(job_id, symbol=symbol)
            try:
                while not await self._fill(job_id, source):
                    pass
            except TradeMindError as error:
                await self._fail(job_id, symbol, error)
        failed = len(self._jobs[job_id].failures) == len(wanted.symbols)
        await self._end(job_id, JobStatus.FAILED if failed else JobStatus.DONE)

    async def _fill(self, job_id: str, source: Source) -> bool:
        """Fetch what is missing of a series; false where it turned out on the way that all of it is."""
        for window in await self._missing(job_id, source):
            if await self._patiently(job_id, partial(self._archive.must_check, source)):
                await self._turn(job_id, source)
            if await self._patiently(job_id, partial(self._archive.check, source)):
                missing = len(await self._missing(job_id, source))
                await self._change(job_id, requests_total=self._jobs[job_id].requests_done + missing)
                return False
            await self._turn(job_id, source)
            fetched = await self._patiently(job_id, partial(self._archive.fetch, source, window))
            job = self._jobs[job_id]
            await self._change(
                job_id,
                requests_done=job.requests_done + 1,
                requests_total=max(job.requests_total or 0, job.requests_done + 1),
                bars_stored=job.bars_stored + fetched.stored,
            )
        return True

    async def _source(self, wanted: Download, symbol: str) -> Source:
        return await self._archive.source(
            wanted.query(symbol),
            bar_size=wanted.bar_size,
            what_to_show=wanted.what_to_show,
            use_rth=wanted.use_rth,
        )

    async def _missing(self, job_id: str, source: Source) -> list[Window]:
        job = self._jobs[job_id]
        return await self._patiently(
            job_id, partial(self._archive.missing, source, job.wanted.start, job.until)
        )

    async def _turn(self, job_id: str, source: Source) -> None:
        """Wait for the next request of the share, where IB counts. That it is made is on disk before it
        is."""
        if not is_limited(source.series.bar_size):
            return
        weight = weight_of(source.series.what_to_show)
        while (at := self._share.may_ask_at(now := self._clock.now(), weight)) > now:
            await self._wait(job_id, (at - now).total_seconds(), "IB's limit on requests")
        self._share.count(now, weight)
        await self._change(job_id, asked=self._share.asked, is_urgent=True)

    async def _patiently(self, job_id: str, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, however long it takes until it can be had.

        Raises:
            TradeMindError: it cannot.
        """
        missed = 0
        while True:
            try:
                return await ask()
            except PacingViolation as error:
                await self._wait(job_id, error.retry_after or AGAIN_AFTER, error.detail)
            except Unavailable as error:
                await self._wait(job_id, AGAIN_AFTER, error.detail)
            except NoAnswer as error:
                missed += 1
                if missed >= ANSWERS_MISSED:
                    raise
                await self._wait(job_id, AGAIN_AFTER, error.detail)

    async def _wait(self, job_id: str, seconds: float, why: str) -> None:
        until = self._clock.now() + timedelta(seconds=seconds)
        await self._change(job_id, waiting_until=until, waiting_for=why)
        await asyncio.sleep(seconds)
        await self._change(job_id, waiting_until=None, waiting_for=None)

    # How it stands -----------------------------------------------------------------------------

    async def _change(self, job_id: str, *, is_urgent: bool = False, **changes: Any) -> None:
        now = self._clock.now()
        job = self._jobs[job_id] = replace(self._jobs[job_id], updated_at=now, **changes)
        last = self._saved.get(job_id)
        if is_urgent or last is None or now - last >= SAVE_EVERY:
            await self._save(job)

    async def _fail(self, job_id: str, symbol: str, error: TradeMindError) -> None:
        failures: Mapping[str, str] = {**self._jobs[job_id].failures, symbol: error.detail}
        await self._change(job_id, failures=failures, is_urgent=True)

    async def _end(self, job_id: str, status: JobStatus) -> None:
        await self._change(
            job_id, status=status, symbol=None, waiting_until=None, waiting_for=None, is_urgent=True
        )
        self._saved.pop(job_id, None)

    async def _save(self, job: BarJob) -> None:
        self._saved[job.id] = job.updated_at
        try:
            await self._journal.written(_record(job))
        except JournalUnavailable as error:
            # What is downloaded is not lost by it; a restart begins where it was written down last.
            log.warning("how a download stands could not be written down: %s", error.detail)

    async def _forget_old(self) -> None:
        over = [job.id for job in self._jobs.values() if not job.status.is_open]
        if old := over[: max(0, len(over) - MAX_KEPT)]:
            for job_id in old:
                del self._jobs[job_id]
            await self._journal.written(BarJobsForgotten(tuple(old)))


def _record(job: BarJob) -> BarJobSet:
    return BarJobSet(id=job.id, body=_JOB.dump(job), created_at=job.created_at)
