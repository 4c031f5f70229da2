"""Signals as a service: what is told of them, what is looked at by itself, and when.

TA-Lib takes a moment to load. A server of which nobody wants signals never loads it, and others do in a
thread, while the session connects.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from trademind.aio import Tasks
from trademind.analysis.desk import Plan, SignalDesk
from trademind.analysis.execution import SignalOrders
from trademind.analysis.ledger import Ledger
from trademind.analysis.scheduler import Scheduler
from trademind.analysis.watchlist import Watchlist, WatchlistKeeper
from trademind.brokers.base import Broker
from trademind.clock import Clock
from trademind.domain import ContractQuery
from trademind.errors import Invalid
from trademind.journal import Journal
from trademind.market.bars.archive import BarArchive
from trademind.settings import SignalSettings
from trademind.signals.arithmetic import load_talib
from trademind.signals.worker import Strategies
from trademind.trading.entry import OrderEntry
from trademind.trading.feed import Feed
from trademind.trading.targets import Targets

log = logging.getLogger(__name__)

LOADED_WITHIN: Final = 3.0
"""Seconds that somebody waits for the user's strategies to be loaded; a file that hangs takes twenty."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What takes a moment to load."""

    desk: SignalDesk
    orders: SignalOrders
    scheduler: Scheduler


class SignalService:
    """The signals of one server. An async context manager.

    Args:
        market: The time of the market, by which bars close.
        feed: Who tells how signals stand.
        live: Whether orders may be made by themselves in a live account.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        archive: BarArchive,
        entry: OrderEntry,
        targets: Targets,
        market: Clock,
        settings: SignalSettings,
        *,
        feed: Feed | None = None,
        live: bool = False,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._archive = archive
        self._entry = entry
        self._targets = targets
        self._market = market
        self._settings = settings
        self._feed = feed
        self._live = live
        self._ledger = Ledger(journal)
        self._watchlist = WatchlistKeeper(journal, settings)
        self._opening: asyncio.Task[Opened] | None = None
        self._loading: asyncio.Task[object] | None = None
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        await self._watchlist.load()
        await self._ledger.load(self._feed)
        if self._watchlist.present.instruments or self._ledger.open or self._settings.folder is not None:
            self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel_all()
        if self._opening is not None and not self._opening.cancelled() and not self._opening.exception():
            await self._opening.result().desk.strategies.close()

    async def opened(self) -> Opened:
        """All of it, with the user's strategies, if these are loaded in a few seconds."""
        opened = await asyncio.shield(self._open())
        if self._loading is not None and not self._loading.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOADED_WITHIN):
                    await asyncio.shield(self._loading)
        return opened

    async def strategies(self) -> Strategies:
        """The strategies there are, once the user's are loaded, however long that takes."""
        opened = await asyncio.shield(self._open())
        if self._loading is not None:
            await asyncio.wait({self._loading})
        return opened.desk.strategies

    @property
    def bar_size(self) -> str:
        """Of which bars signals are made where nobody says."""
        return self._settings.bar_size

    @property
    def watchlist(self) -> Watchlist:
        """What is looked at by itself."""
        return self._watchlist.present

    @property
    def is_watchlist_from_settings(self) -> bool:
        return self._watchlist.is_from_settings

    async def watch(self, watchlist: Watchlist | None) -> None:
        """Have another watch list from now on; None for that of the settings.

        Raises:
            StrategyNotFound, Invalid: a strategy that there is not or is there twice, or its parameters.
            JournalUnavailable: it cannot be kept; what held before goes on.
        """
        opened = await self.opened()
        plans = [opened.desk.plan(watch) for watch in (watchlist.strategies if watchlist is not None else ())]
        keys = [plan.key for plan in plans]
        # The same in other words, or once with and once without orders: what is meant is not to be guessed.
        twice = [place for place, key in enumerate(keys) if key in keys[:place]]
        if twice:
            raise Invalid([(f"strategies.{place}", "is there before") for place in twice])
        await self._watchlist.set(watchlist)
        opened.scheduler.wake()

    # What takes a moment -------------------------------------------------------------------------

    def _open(self) -> "asyncio.Task[Opened]":
        if self._opening is None:
            self._opening = self._tasks.spawn(self._opened(), name="opening of signals")
        return self._opening

    async def _opened(self) -> Opened:
        await asyncio.to_thread(load_talib)
        strategies = Strategies(self._settings.folder)
        desk = SignalDesk(
            self._broker,
            self._archive,
            self._ledger,
            strategies,
            risk_per_trade=self._settings.risk_per_trade,
        )
        orders = SignalOrders(
            self._broker,
            self._journal,
            self._ledger,
            self._entry,
            self._targets,
            self._market,
            live=self._live,
        )

        def wanted() -> tuple[tuple[ContractQuery, ...], list[Plan]]:
            present = self._watchlist.present
            plans = desk.plans_of(present, self._settings.bar_size) if present.instruments else []
            return present.instruments, plans

        scheduler = Scheduler(desk, orders, self._ledger, self._market, wanted)
        self._loading = self._tasks.spawn(self._load(desk, scheduler), name="loading of strategies")
        return Opened(desk, orders, scheduler)

    async def _load(self, desk: SignalDesk, scheduler: Scheduler) -> None:
        await desk.strategies.load()
        self._tasks.spawn(scheduler.run(), name="signals at the close of bars")
