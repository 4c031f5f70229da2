"""The snapshots: everything that must be in before the book can be believed, asked for one by one.

ib_async hides a start-up answer that does not come, and an empty list is not an unknown one. So each snapshot
is a question of its own with its own end, and which of them are missing, and since when, can be told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import ib_async

from trademind.brokers.book import Book
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.reports import Reports
from trademind.brokers.ibkr.requests import Requests
from trademind.clock import Clock
from trademind.domain import DataSource, Snapshot

NAMES: Final = ("account", "positions", "open_orders", "executions", "completed_orders")


class Snapshots:
    """The snapshots of one connection, which can be brought in several times."""

    def __init__(
        self, requests: Requests, client: ib_async.Client, book: Book, reports: Reports, clock: Clock
    ) -> None:
        self._requests = requests
        self._client = client
        self._book = book
        self._reports = reports
        self._clock = clock
        self._since = dict.fromkeys(NAMES, clock.now())
        self._missing = set(NAMES)

    @property
    def states(self) -> tuple[Snapshot, ...]:
        return tuple(Snapshot(name, name not in self._missing, self._since[name]) for name in NAMES)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in NAMES if name in self._missing)

    async def bring_in(self, account: str, source: DataSource, *, is_final: bool) -> None:
        """Ask for all of them and enter them into the book.

        Args:
            is_final: Whether an order that IB neither acknowledged nor lists now was never sent.

        Raises:
            TradeMindError: one did not come; `missing` tells which. The others are in the book.
        """
        now = self._clock.now()
        self._since = dict.fromkeys(NAMES, now)
        self._missing = set(NAMES)
        self._reports.begin_listing()
        self._book.open_account(account, source)
        client = self._client
        await asyncio.gather(
            self._shared("account", "accountValues", lambda: client.reqAccountUpdates(True, account)),
            self._shared("positions", "positions", client.reqPositions),
            self._shared("open_orders", "openOrders", client.reqOpenOrders),
        )
        self._book.keep_positions(self._reports.listed_positions)
        await self._list_orders(is_final=is_final)
        self._book.no_fills_to_come()
        if self._reports.pnl_request is None:
            req_id = self._reports.pnl_request = self._requests.new_id()
            self._requests.post(Priority.ACCOUNT, lambda: client.reqPnL(req_id, account, ""))

    async def refresh_orders(self, *, is_final: bool) -> None:
        """Bring in only what orders and fills there are, of all clients: IB tells nobody of what another one
        does, but whoever asks."""
        self._reports.begin_listing_orders()
        await self._list_orders(is_final=is_final)

    async def _list_orders(self, *, is_final: bool) -> None:
        client = self._client
        await self._shared("open_orders", "openOrders", client.reqAllOpenOrders)
        await self._arrival("executions", self._ask_executions)
        # Completed orders come without their client; their fills say whose they are.
        await self._shared("completed_orders", "completedOrders", lambda: client.reqCompletedOrders(False))
        self._book.synchronised(self._reports.listed_orders, is_final=is_final)

    async def _shared(self, name: str, key: str, send: Callable[[], None]) -> None:
        """One whose end ib_async files under a fixed `key`."""
        await self._arrival(name, partial(self._requests.ask_shared, key, name.replace("_", " "), send))

    async def _ask_executions(self) -> None:
        everything = ib_async.ExecutionFilter()
        await self._requests.ask(
            "executions",
            lambda req_id: self._client.reqExecutions(req_id, everything),
            priority=Priority.ACCOUNT,
        )

    async def _arrival(self, name: str, ask: Callable[[], Awaitable[Any]]) -> None:
        await ask()
        self._missing.discard(name)
        self._since[name] = self._clock.now()
