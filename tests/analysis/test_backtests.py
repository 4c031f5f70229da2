"""The queue of backtests: the user's strategies in processes of their own, turns, a loop that stays quick."""

import asyncio
import json
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.market.stage import Bars, at, open_bars
from trademind.analysis.backtests import queue
from trademind.analysis.backtests.job import Backtest, BacktestRequest, BacktestStatus, Stage
from trademind.analysis.backtests.queue import Backtests
from trademind.clock import SystemClock
from trademind.errors import StrategyFailed, StrategyNotFound
from trademind.journal import BarRow, BarsStored, in_parts
from trademind.loopwatch import LoopWatch
from trademind.market.bars.jobs import BarJobs
from trademind.signals.worker import Strategies

HEAD = """\
import os, time
from trademind.signals import Action, BarArrays, Reason, Signal, Strategy, whole

class Mine(Strategy):
    name = "{name}"
    description = "For a test."
    looks_back = 100
    level: int = whole(3, 1, 10, "Anything")

    def on_bars(self, bars: BarArrays) -> list[Signal]:
        if not len(bars):
            return []
"""
BUYS = (
    'print("aside"); return [self.signal(bars, len(bars) - self.level, Action.BUY, reasons=[Reason("so")])]'
)
SLEEPS = "time.sleep(60); return []"
"""Longer than any test lasts: it has to be ended."""


@dataclass
class Service:
    """A queue on a real archive, and the strategies of a folder."""

    bars: Bars
    downloads: BarJobs
    backtests: Backtests
    strategies: Strategies
    folder: Path

    async def knows(self, name: str, body: str) -> None:
        """Write a strategy whose on_bars is the given lines."""
        lines = textwrap.indent(textwrap.dedent(body), " " * 8)
        (self.folder / f"{name}.py").write_text(HEAD.format(name=name) + lines + "\n")
        await self.strategies.load()

    async def begin(self, strategy: str, **wanted: Any) -> Backtest:
        start = at(1, month=1, year=2026)
        asked: dict[str, Any] = {"symbols": ("AAPL",), "start": start, "end": at(1)}
        return await self.backtests.create(BacktestRequest(strategy=strategy, **(asked | wanted)))

    async def until(self, job: Backtest, is_so: Callable[[Backtest], bool]) -> Backtest:
        async with asyncio.timeout(60):
            while not is_so(job := self.backtests.get(job.id)):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        return job

    async def over(self, job: Backtest) -> Backtest:
        return await self.until(job, lambda each: not each.status.is_open)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Service]:
    (folder / "strategies").mkdir(exist_ok=True)
    strategies = Strategies(folder / "strategies", deadline=5.0)

    async def there() -> Strategies:
        return strategies

    async with (
        open_bars(folder) as bars,
        BarJobs(bars.archive, bars.journal, SystemClock()) as downloads,
        Backtests(
            folder / "backtests", bars.archive, downloads, bars.journal, there, SystemClock()
        ) as backtests,
    ):
        yield Service(bars, downloads, backtests, strategies, folder / "strategies")
        await strategies.close()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path) as service:
        yield service


async def test_one_that_raises_at_length_has_its_reason_told(service: Service) -> None:
    await service.knows("wordy", "raise ValueError('no idea ' * 1_000_000)")
    failed = await service.over(await service.begin("wordy"))
    assert failed.error is not None
    assert "ValueError: no idea" in failed.error
    assert failed.traceback is not None


async def test_one_that_needs_more_bars_than_there_were_days(service: Service) -> None:
    await service.knows("patient", "return []")
    path = service.folder / "patient.py"
    path.write_text(path.read_text().replace("looks_back = 100", "looks_back = 1_000_000"))
    await service.strategies.load()
    done = await service.over(await service.begin("patient"))
    assert done.status is BacktestStatus.DONE, done.error


async def test_a_strategy_of_the_users(service: Service) -> None:
    await service.knows("mine", BUYS)
    done = await service.over(await service.begin("mine", parameters={"level": 5}))
    assert done.status is BacktestStatus.DONE, done.error
    report = service.backtests.report(done.id)
    assert report is not None
    (trade,) = json.loads(report)["trades"]
    assert trade["entry_time"] == "2026-10-28T00:00:00Z"  # four bars from the end
    asked = len(service.bars.requests)
    assert asked > 0
    await service.over(await service.begin("mine"))
    assert len(service.bars.requests) == asked  # its bars are stored
    with pytest.raises(StrategyNotFound):
        await service.begin("yours")


@pytest.mark.parametrize("size", ["1 day", "1 hour", "1 week"])
async def test_a_strategy_is_warm_by_the_start(service: Service, size: str) -> None:
    start = at(1, month=1, year=2026)
    await service.knows("mine", f"raise ValueError(sum(bars.time < {start.timestamp():.0f}))")
    failed = await service.over(await service.begin("mine", bar_size=size))
    before = int((failed.error or "").rpartition(" ")[2])
    # The paper market never closes; another one has fewer in the same time.
    assert 100 <= before <= 800, failed.error


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise KeyError('nobody')", "mine on AAPL: KeyError: 'nobody'"),
        ("return [7]", "mine on AAPL: on_bars gave int"),
        ("raise SystemExit(3)", "mine on AAPL: SystemExit: 3"),
        ("os._exit(5)", "(exit status 5)"),
        ("import numpy; return list(numpy.ones(1 << 32))", "MemoryError"),
        ("os.close(1); os.system('true'); " + SLEEPS, "longer than 4 s"),
    ],
)
async def test_a_strategy_that_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch, body: str, error: str
) -> None:
    monkeypatch.setattr(queue, "SECONDS", 4.0)
    await service.knows("mine", body)
    failed = await service.over(await service.begin("mine"))
    assert failed.status is BacktestStatus.FAILED
    assert error in (failed.error or ""), failed.error
    assert (failed.traceback is not None) == ("raise" in body or "numpy" in body)
    done = await service.over(await service.begin("macd"))
    assert done.status is BacktestStatus.DONE, done.error


async def test_a_strategy_that_hangs_is_refused_once_that_is_known(service: Service) -> None:
    await service.knows("mine", BUYS)
    (service.folder / "mine.py").write_text("while True: pass")
    with pytest.raises(StrategyFailed, match="did not return within"):
        await service.begin("mine")
    with pytest.raises(StrategyFailed, match="did not return within"):
        await service.begin("mine")


async def test_one_trades_at_a_time_and_a_cancel_makes_room(service: Service) -> None:
    await service.knows("slow", SLEEPS)
    slow = await service.until(await service.begin("slow"), lambda job: job.stage is Stage.TRADING)
    other = await service.until(await service.begin("macd"), lambda job: job.stage is Stage.TURN)
    await asyncio.sleep(0.5)
    assert service.backtests.get(other.id).stage is Stage.TURN
    assert (await service.backtests.cancel(slow.id)).status is BacktestStatus.CANCELED
    assert (await service.over(other)).status is BacktestStatus.DONE


async def test_what_was_trading_begins_anew_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await service.knows("slow", SLEEPS)
        job = await service.until(await service.begin("slow"), lambda job: job.stage is Stage.TRADING)
    async with serving(tmp_path) as service:
        again = service.backtests.get(job.id)
        assert (again.status, again.progress, again.wanted) == (BacktestStatus.QUEUED, 0, job.wanted)
        # Nobody has loaded the strategies, so it is not there any more.
        failed = await service.over(job)
        assert failed.status is BacktestStatus.FAILED
        assert "no strategy 'slow'" in (failed.error or "")
    async with serving(tmp_path) as service:
        assert service.backtests.get(job.id) == failed


async def test_a_download_that_somebody_cancels(service: Service) -> None:
    job = await service.begin("macd", bar_size="1 secs", start=at(31, month=10), end=at(1))
    await service.until(job, lambda _: bool(service.downloads.all()))
    await service.downloads.cancel(service.downloads.all()[0].id)
    failed = await service.over(job)
    assert (failed.status, failed.error) == (BacktestStatus.FAILED, "The download of its bars was canceled.")


COUNT = 100_000
"""Minutes of a year of sessions. Storing them takes longer than trading them."""


async def test_the_loop_stays_quick_while_many_bars_are_traded(service: Service) -> None:
    source = await service.bars.source()
    end = int(at(1).timestamp())
    since = end - COUNT * 60
    start = datetime.fromtimestamp(since, UTC)
    # The market's own, by which the archive sees that the series was not adjusted.
    await service.bars.all(source, start, start + timedelta(minutes=5))
    rng = np.random.default_rng(5)
    closes = np.round(100 * np.exp(rng.normal(0, 0.0005, COUNT).cumsum()), 2).tolist()
    rows: list[BarRow] = [
        (since + 60 * i, close, close + 0.05, close - 0.05, close, 500.0, close, 5)
        for i, close in enumerate(closes)
    ]
    await service.bars.journal.written(
        BarsStored(series=source.series, rows=(), since=since - 30 * 86_400, until=since)
    )
    for part in in_parts(source.series, rows[5:], since + 300, end):
        await service.bars.journal.written(part)
    asked = len(service.bars.requests)
    async with LoopWatch() as watch:
        job = await service.begin("ma_crossover", bar_size="1 min", start=start, end=at(1))
        done = await service.over(job)
    assert done.status is BacktestStatus.DONE, done.error
    report = service.backtests.report(done.id)
    assert report is not None
    assert b'"bars":100000,' in report
    assert len(service.bars.requests) == asked
    assert [str(stall) for stall in watch.stalls] == []
