"""What routes may ask for, as `Annotated` aliases.

The dependencies are coroutines: FastAPI runs a plain function in a worker thread, and nothing of the
session may leave its event loop.
"""

from datetime import UTC, datetime
from typing import Annotated, Final, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from trademind.analysis.backtests.queue import Backtests
from trademind.analysis.service import SignalService
from trademind.api.lifespan import AppState
from trademind.api.metrics import Metrics
from trademind.api.streaming import Source
from trademind.brokers.base import Broker
from trademind.domain import SessionInfo, SessionState
from trademind.journal import Journal
from trademind.loopwatch import LoopWatch
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.jobs import BarJobs
from trademind.market.hub import Hub
from trademind.settings import Settings
from trademind.trading.audit import Caller
from trademind.trading.entry import OrderEntry
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets

MAX_ACTOR: Final = 100
"""Letters of a program's name that are kept."""


def _state(connection: HTTPConnection) -> AppState:
    return cast("AppState", connection.scope["state"])


def broker_of(connection: HTTPConnection) -> Broker:
    """The broker, for the route that cannot afford a dependency."""
    return _state(connection)["runtime"].broker


async def _broker(connection: HTTPConnection) -> Broker:
    return broker_of(connection)


async def _order_entry(connection: HTTPConnection) -> OrderEntry:
    return _state(connection)["runtime"].orders


async def _targets(connection: HTTPConnection) -> Targets:
    return _state(connection)["runtime"].targets


async def _caller(connection: HTTPConnection) -> Caller:
    # A program's name, as far as the audit is concerned: the first word of what it calls itself.
    agent = connection.headers.get("user-agent", "").partition(" ")[0][:MAX_ACTOR]
    client = connection.client
    return Caller(agent or "unknown", f"http {client.host}" if client else "http")


async def _risk(connection: HTTPConnection) -> Risk:
    return _state(connection)["runtime"].risk


async def _journal(connection: HTTPConnection) -> Journal:
    return _state(connection)["runtime"].journal


async def _archive(connection: HTTPConnection) -> BarArchive:
    return _state(connection)["runtime"].bars


async def _bar_jobs(connection: HTTPConnection) -> BarJobs:
    return _state(connection)["runtime"].bar_jobs


async def _backtests(connection: HTTPConnection) -> Backtests:
    return _state(connection)["runtime"].backtests


async def _signals(connection: HTTPConnection) -> SignalService:
    return _state(connection)["runtime"].signals


async def _feed(connection: HTTPConnection) -> Source:
    return _state(connection)["runtime"].feed


async def _hub(connection: HTTPConnection) -> Hub:
    return _state(connection)["hub"]


async def _settings(connection: HTTPConnection) -> Settings:
    return _state(connection)["runtime"].settings


async def _watch(connection: HTTPConnection) -> LoopWatch:
    return _state(connection)["watch"]


async def _metrics(connection: HTTPConnection) -> Metrics:
    return _state(connection)["metrics"]


JournalDep = Annotated[Journal, Depends(_journal)]
RiskDep = Annotated[Risk, Depends(_risk)]
OrderEntryDep = Annotated[OrderEntry, Depends(_order_entry)]
TargetsDep = Annotated[Targets, Depends(_targets)]
CallerDep = Annotated[Caller, Depends(_caller)]
ArchiveDep = Annotated[BarArchive, Depends(_archive)]
BarJobsDep = Annotated[BarJobs, Depends(_bar_jobs)]
BacktestsDep = Annotated[Backtests, Depends(_backtests)]
SignalsDep = Annotated[SignalService, Depends(_signals)]
FeedDep = Annotated[Source, Depends(_feed)]
HubDep = Annotated[Hub, Depends(_hub)]
BrokerDep = Annotated[Broker, Depends(_broker)]
SettingsDep = Annotated[Settings, Depends(_settings)]
WatchDep = Annotated[LoopWatch, Depends(_watch)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]


def as_of(session: SessionInfo) -> datetime:
    """As of when the book is true: when the gateway was last heard, or when the session was lost."""
    if session.state is SessionState.READY or session.state is SessionState.SILENT:
        return session.last_heard_at or datetime.now(UTC)
    return session.since
