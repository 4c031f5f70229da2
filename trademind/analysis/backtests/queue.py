"""The backtests of one server: what is missing of their bars is downloaded, one trades at a time, and the
reports are kept.

Downloads are jobs like others, inside IB's limits, so that one which waits for its bars holds up none that
has them. After a restart an open backtest begins anew, which changes nothing: its bars are there by then.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from trademind.aio import Tasks
from trademind.analysis.backtests.files import PAGE, REPORT, BacktestFiles
from trademind.analysis.backtests.job import Backtest, BacktestRequest, BacktestStatus, Stage
from trademind.analysis.backtests.process import RunFailed, carry_out
from trademind.analysis.backtests.worker import Errand
from trademind.clock import Clock
from trademind.errors import (
    BacktestNotDone,
    BacktestNotFound,
    BarJobNotFound,
    Invalid,
    NoAnswer,
    PacingViolation,
    StateNotKept,
    StrategyFailed,
    TooManyJobs,
    TradeMindError,
    Unavailable,
)
from trademind.journal import BarSeries, Journal
from trademind.market.bars.archive import BarArchive, Source
from trademind.market.bars.downloads import BarJob, JobStatus
from trademind.market.bars.jobs import BarJobs
from trademind.signals.bars import BarArrays
from trademind.signals.evaluation import Outcome
from trademind.signals.worker import Strategies

log = logging.getLogger(__name__)

MAX_OPEN: Final = 20
"""Backtests that run or wait."""
MAX_KEPT: Final = 100
"""Backtests that are over, with their reports: some tens of megabytes; with ten thousand trades each, some
hundred."""
SECONDS: Final = 600.0
"""How long one may trade: ten years of a share's minutes take a few seconds."""
MEMORY: Final = 4 << 30
"""Bytes: some hundred for each bar and symbol, of `MAX_BARS`."""
LOOK_EVERY: Final = 0.1
"""Seconds between two looks at a download; one with nothing left to fetch is over by the first."""
AGAIN_AFTER: Final = 5.0
"""Seconds until what is not there at the moment is asked for again."""
_BARS: Final = 0.5
"""The share of the progress that bars have."""
_NONE: Final = np.array([], dtype=np.float64)


class Backtests:
    """The backtests of one server. An async context manager.

    Args:
        folder: Where they are kept.
        strategies: Gives the strategies there are.
        clock: The world's time.
    """

    def __init__(
        self,
        folder: Path,
        archive: BarArchive,
        downloads: BarJobs,
        journal: Journal,
        strategies: Callable[[], Awaitable[Strategies]],
        clock: Clock,
    ) -> None:
        self._files = BacktestFiles(folder.absolute())
        self._archive = archive
        self._downloads = downloads
        self._journal = journal
        self._strategies = strategies
        self._clock = clock
        self._jobs: dict[str, Backtest] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._fetching: dict[str, str] = {}
        """By backtest, the download that it waits for."""
        self._turn = asyncio.Lock()
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        for job in self._files.load():
            self._jobs[job.id] = job
            if job.status.is_open:
                fresh = Backtest(
                    id=job.id,
                    wanted=job.wanted,
                    warm_up=job.warm_up,
                    until=job.until,
                    status=BacktestStatus.QUEUED,
                    created_at=job.created_at,
                    updated_at=self._clock.now(),
                )
                self._start(fresh)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel_all()

    def all(self) -> tuple[Backtest, ...]:
        """Every backtest, in the order in which they were made."""
        return tuple(self._jobs.values())

    def get(self, job_id: str) -> Backtest:
        """One backtest. Raises `BacktestNotFound`."""
        try:
            return self._jobs[job_id]
        except KeyError:
            raise BacktestNotFound(f"there is no backtest {job_id[:40]!r}") from None

    def report(self, job_id: str) -> bytes | None:
        """The report as JSON; None where there is none yet. Raises `BacktestNotFound`, `StateNotKept`."""
        is_done = self.get(job_id).status is BacktestStatus.DONE
        return self._files.read(job_id, REPORT) if is_done else None

    def page(self, job_id: str) -> bytes:
        """The report as a page.

        Raises:
            BacktestNotFound, StateNotKept.
            BacktestNotDone: there is none, yet or for ever.
        """
        job = self.get(job_id)
        if job.status is not BacktestStatus.DONE:
            raise BacktestNotDone(f"the backtest is {job.status}" + (f": {job.error}" if job.error else ""))
        return self._files.read(job_id, PAGE)

    async def create(self, wanted: BacktestRequest) -> Backtest:
        """A backtest, which is begun. What cannot come to anything is refused at once.

        Raises:
            Invalid: its parameters, or there are no such bars.
            StrategyNotFound, StrategyFailed: there is no such strategy, or it is broken or switched off.
            ContractNotFound, AmbiguousContract, Unavailable, NoAnswer: of its symbols.
            TooManyJobs: `MAX_OPEN` are open.
            StateNotKept: it could not be written down.
        """
        until = wanted.check_size(self._archive.now())
        warm_up = await self._warm_up(wanted)
        await self._sources(wanted)
        if sum(job.status.is_open for job in self._jobs.values()) >= MAX_OPEN:
            raise TooManyJobs(f"{MAX_OPEN} backtests run or wait; GET /api/backtests lists them")
        now = self._clock.now()
        job = Backtest(
            id=uuid.uuid4().hex,
            wanted=wanted,
            warm_up=warm_up,
            until=until,
            status=BacktestStatus.QUEUED,
            created_at=now,
            updated_at=now,
        )
        self._files.save(job)
        self._forget_old()
        self._start(job)
        return job

    async def cancel(self, job_id: str) -> Backtest:
        """End a backtest. One that is over stays as it is. Raises `BacktestNotFound`."""
        job = self.get(job_id)
        if job.status.is_open:
            # Nothing is waited for before this: else it could still come to its end.
            self._end(job_id, BacktestStatus.CANCELED)
            download = self._fetching.pop(job_id, None)
            if (task := self._running.pop(job_id, None)) is not None:
                task.cancel()
                await asyncio.wait({task})
            if download is not None and download not in self._fetching.values():
                await self._downloads.cancel(download)
        return self._jobs[job_id]

    # Before it begins --------------------------------------------------------------------------

    async def _warm_up(self, wanted: BacktestRequest) -> int:
        """How many bars the strategy needs, which is told by what it makes of none. Raises as `create`."""
        bars = BarArrays(
            symbol=wanted.symbols[0],
            bar_size=wanted.bar_size,
            time=np.array([], dtype=np.int64),
            open=_NONE,
            high=_NONE,
            low=_NONE,
            close=_NONE,
            volume=_NONE,
        )
        try:
            strategies = await self._strategies()
            found = await strategies.evaluate(wanted.strategy, wanted.parameters, bars)
        except Invalid as error:
            raise Invalid([(f"parameters.{name}", words) for name, words in error.errors]) from error
        if found.outcome is not Outcome.TOO_FEW_BARS or found.needed is None:
            raise StrategyFailed(f"{wanted.strategy}: {found.error}", traceback=found.traceback)
        return found.needed

    async def _sources(self, wanted: BacktestRequest) -> dict[str, Source]:
        """The series of its symbols. Raises as `create`."""
        download = wanted.download(timedelta())
        asked = (
            self._archive.source(
                download.query(symbol),
                bar_size=wanted.bar_size,
                what_to_show=download.what_to_show,
                use_rth=wanted.use_rth,
            )
            for symbol in wanted.symbols
        )
        found = await asyncio.gather(*asked, return_exceptions=True)
        sources: dict[str, Source] = {}
        for symbol, each in zip(wanted.symbols, found, strict=True):
            if isinstance(each, BaseException):
                raise each
            sources[symbol] = each
        return sources

    # The work ----------------------------------------------------------------------------------

    def _start(self, job: Backtest) -> None:
        self._jobs[job.id] = job
        self._running[job.id] = self._tasks.spawn(self._run(job.id), name=f"backtest {job.id}")

    async def _run(self, job_id: str) -> None:
        try:
            self._change(job_id, status=BacktestStatus.RUNNING, stage=Stage.BARS)
            series = await self._bars(job_id)
            self._change(job_id, stage=Stage.TURN, progress=_BARS, waiting_for=None)
            async with self._turn:
                self._change(job_id, stage=Stage.TRADING)
                await carry_out(await self._errand(job_id, series), partial(self._trading, job_id))
            self._end(job_id, BacktestStatus.DONE)
        except RunFailed as error:
            self._end(job_id, BacktestStatus.FAILED, error=str(error), traceback=error.traceback)
        except TradeMindError as error:
            self._end(job_id, BacktestStatus.FAILED, error=error.detail)
        except Exception:
            # The edge of the task: what can be expected is told above.
            log.exception("backtest %s has failed", job_id)
            self._end(job_id, BacktestStatus.FAILED, error="TradeMind has failed; its log says more")
        finally:
            self._running.pop(job_id, None)
            self._fetching.pop(job_id, None)

    async def _errand(self, job_id: str, series: Mapping[str, BarSeries]) -> Errand:
        job = self._jobs[job_id]
        wanted = job.wanted
        return Errand(
            journal=self._journal.location,
            series=series,
            since=_second(wanted.download(job.lead).start),
            until=_second(job.until),
            strategy=wanted.strategy,
            source=(await self._strategies()).source_of(wanted.strategy),
            parameters=wanted.parameters,
            settings=wanted.settings,
            stem=self._files.stem(job_id),
            seconds=SECONDS,
            memory=MEMORY,
        )

    async def _bars(self, job_id: str) -> dict[str, BarSeries]:
        """Have all bars stored that there are."""
        job = self._jobs[job_id]
        while True:
            try:
                sources = await self._sources(job.wanted)
                if await self._is_missing(job, sources.values()):
                    await self._download(job_id)
                return {symbol: source.series for symbol, source in sources.items()}
            except (PacingViolation, Unavailable, NoAnswer, TooManyJobs) as error:
                self._change(job_id, waiting_for=error.detail)
                await asyncio.sleep(error.retry_after or AGAIN_AFTER)

    async def _is_missing(self, job: Backtest, sources: Iterable[Source]) -> bool:
        since = job.wanted.download(job.lead).start
        for source in sources:
            try:
                # Where a share was split, what is stored of it is another series.
                await self._archive.check(source)
            except (PacingViolation, Unavailable, NoAnswer) as error:
                log.info("whether bars were adjusted cannot be seen now: %s", error.detail)
            if await self._archive.missing(source, since, job.until):
                return True
        return False

    async def _download(self, job_id: str) -> None:
        job = self._jobs[job_id]
        wanted = replace(job.wanted.download(job.lead), end=job.until)
        download, _ = await self._downloads.create(wanted)
        self._fetching[job_id] = download.id
        while download.status.is_open:
            self._change(job_id, progress=_BARS * _share(download), waiting_for=download.waiting_for)
            await asyncio.sleep(LOOK_EVERY)
            try:
                download = self._downloads.get(download.id)
            except BarJobNotFound:
                break
        self._fetching.pop(job_id, None)
        if download.status is JobStatus.CANCELED:
            raise RunFailed("The download of its bars was canceled.")
        if download.failures:
            raise RunFailed("; ".join(f"{symbol}: {why}" for symbol, why in download.failures.items()))

    def _trading(self, job_id: str, share: float) -> None:
        self._change(job_id, progress=_BARS + (1 - _BARS) * share)

    # How it stands -----------------------------------------------------------------------------

    def _change(self, job_id: str, **changes: Any) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], updated_at=self._clock.now(), **changes)

    def _end(self, job_id: str, status: BacktestStatus, **changes: Any) -> None:
        progress = 1.0 if status is BacktestStatus.DONE else self._jobs[job_id].progress
        self._change(job_id, status=status, stage=None, waiting_for=None, progress=progress, **changes)
        try:
            self._files.save(self._jobs[job_id])
        except StateNotKept as error:
            log.warning("how a backtest ended could not be written down: %s", error.detail)

    def _forget_old(self) -> None:
        over = [job.id for job in self._jobs.values() if not job.status.is_open]
        for job_id in over[: max(0, len(over) - MAX_KEPT)]:
            del self._jobs[job_id]
            self._files.remove(job_id)


def _share(download: BarJob) -> float:
    return download.requests_done / download.requests_total if download.requests_total else 0.0


def _second(moment: datetime) -> int:
    return int(moment.timestamp())
