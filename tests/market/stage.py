"""A stage for bars: the real paper gateway over TCP, a real broker, a real journal, and who counts
requests."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.brokers.stage import Stage, open_stage
from trademind import ContractQuery
from trademind.brokers.ibkr.client import IBKRBroker
from trademind.domain import Bar
from trademind.journal import Journal, open_journal
from trademind.market.bars.archive import BarArchive, Source
from trademind.market.bars.calendars import Calendars

AAPL = ContractQuery(symbol="AAPL")


@dataclass
class Bars:
    """An archive, and what is below it."""

    stage: Stage
    broker: IBKRBroker
    journal: Journal
    archive: BarArchive

    @property
    def requests(self) -> list[list[str]]:
        """The requests for history that have come to the gateway."""
        return self.stage.asked("reqHistoricalData")

    async def source(self, query: ContractQuery = AAPL, **wanted: Any) -> Source:
        defaults: dict[str, Any] = {"bar_size": "1 min", "what_to_show": "TRADES", "use_rth": True}
        return await self.archive.source(query, **(defaults | wanted))

    async def all(self, source: Source, since: datetime, until: datetime, limit: int = 500) -> list[Bar]:
        """The bars of a span, page by page, without those that form."""
        found: list[Bar] = []
        place: datetime | None = since
        while place is not None:
            page = await self.archive.page(source, place, until, limit=limit)
            found += page.bars[: page.complete]
            place = page.following
        return found


@asynccontextmanager
async def open_bars(
    folder: Path, *, calendars: Calendars | None = None, is_paced: bool = False, **gateway: Any
) -> AsyncIterator[Bars]:
    """A gateway with its own clock, and an archive on top of it."""
    async with (
        open_stage(**gateway) as stage,
        bars_of(stage, folder, calendars=calendars, is_paced=is_paced) as bars,
    ):
        yield bars


@asynccontextmanager
async def bars_of(
    stage: Stage, folder: Path, *, calendars: Calendars | None = None, is_paced: bool = False
) -> AsyncIterator[Bars]:
    """A broker, a journal and an archive, as one start of the server has them."""
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(open_journal(folder / "journal.db"))
        broker = await stage.connect(**({"max_requests_per_second": 45} if is_paced else {}))
        stack.push_async_callback(stage.leave, broker)
        archive = BarArchive(broker, journal, stage.clock, calendars=calendars, name="paper test")
        stack.push_async_callback(archive.close)
        yield Bars(stage, broker, journal, archive)


def at(day: int, hour: int = 0, minute: int = 0, *, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
