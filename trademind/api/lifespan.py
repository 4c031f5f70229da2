"""The life of one app: the runtime opens at start-up, is handed to requests as state, and is closed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypedDict

from fastapi import FastAPI

from trademind.aio import short_collections
from trademind.analysis.backtests.queue import Backtests
from trademind.analysis.service import SignalService
from trademind.api.market_frames import market_text
from trademind.api.metrics import Metrics
from trademind.api.streaming import Source
from trademind.brokers.base import Broker
from trademind.journal import Journal
from trademind.loopwatch import LoopWatch
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.jobs import BarJobs
from trademind.market.hub import Hub
from trademind.settings import Settings
from trademind.trading.entry import OrderEntry
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets


class OpenedRuntime(Protocol):
    """What the API needs of the composition root's object graph."""

    @property
    def settings(self) -> Settings: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def orders(self) -> OrderEntry: ...

    @property
    def targets(self) -> Targets: ...

    @property
    def risk(self) -> Risk: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def bars(self) -> BarArchive: ...

    @property
    def bar_jobs(self) -> BarJobs: ...

    @property
    def backtests(self) -> Backtests: ...

    @property
    def signals(self) -> SignalService: ...

    @property
    def feed(self) -> Source: ...


RuntimeOpener = Callable[[Settings], AbstractAsyncContextManager[OpenedRuntime]]


class AppState(TypedDict):
    """What every request can reach. Each app has its own; nothing is global."""

    runtime: OpenedRuntime
    hub: Hub
    watch: LoopWatch
    metrics: Metrics


def lifespan_of(
    settings: Settings, open_runtime: RuntimeOpener
) -> Callable[[FastAPI], AbstractAsyncContextManager[AppState]]:
    """A lifespan that keeps a runtime of `settings` open while the app serves."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[AppState]:
        async with open_runtime(settings) as runtime, LoopWatch() as watch:
            hub = Hub(runtime.broker, market_text)
            with short_collections():
                yield {
                    "runtime": runtime,
                    "hub": hub,
                    "watch": watch,
                    "metrics": Metrics(runtime.broker, runtime.journal, watch, hub),
                }

    return lifespan
