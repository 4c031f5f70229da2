"""Writes down what the broker reports, in the order in which it came.

The recorder is a consumer of the broker's events like any other: what it cannot hand to the journal at the
moment it keeps, and what it has missed altogether it takes from how things stand when it begins anew.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from trademind.aio import Tasks
from trademind.brokers.base import Broker
from trademind.domain import Account, Channel, Event, Execution, Order, SessionInfo, State
from trademind.errors import StateNotKept, StreamOverrun
from trademind.journal import AccountSnapshot, ExecutionReported, Journal, OrderChanged, SessionChanged, Write
from trademind.trading.naming import name_of

log = logging.getLogger(__name__)

RETRY: Final = 1.0
"""Seconds until a journal that is full is tried again."""
SNAPSHOTS: Final = 60.0
"""Seconds between two points of the equity curve."""


class Recorder:
    """From the broker's events to the journal. An async context manager.

    Args:
        known: Orders that are in the journal already, as they stood last.
    """

    def __init__(self, broker: Broker, journal: Journal, known: Iterable[Order]) -> None:
        self._broker = broker
        self._journal = journal
        self._orders = {order.id: order for order in known}
        """How each order stood when it was last noted."""
        self._snapshot_at = float("-inf")
        self._tasks = Tasks()

    async def __aenter__(self) -> "Recorder":
        self._tasks.spawn(self._record(), name="recorder")
        return self

    async def __aexit__(self, *_: object) -> None:
        # The broker is closed by now, and its streams have ended: what they held is still noted.
        await self._tasks.finish(grace=1)

    async def _record(self) -> None:
        while True:
            try:
                async with self._broker.stream(
                    Channel.ORDERS, Channel.EXECUTIONS, Channel.SESSION, Channel.ACCOUNT
                ) as stream:
                    async for item in stream:
                        if isinstance(item, State):
                            for value in item.values:
                                await self._note(value)
                        elif isinstance(item, Event):
                            await self._note(item.data)
                return
            except StreamOverrun:
                log.warning("the journal has fallen behind; it goes on with how things stand now")

    async def _note(self, value: object) -> None:
        write = self._write_of(value)
        while write is not None:
            try:
                self._journal.note(write)
            except StateNotKept:
                await asyncio.sleep(RETRY)
            else:
                return

    def _write_of(self, value: object) -> Write | None:
        match value:
            case Order():
                name = name_of(self._orders.get(value.id), value)
                self._orders[value.id] = value
                return OrderChanged(name, value)
            case Execution():
                return ExecutionReported(value)
            case SessionInfo():
                return SessionChanged(value)
            case Account(stale=False):
                now = asyncio.get_running_loop().time()
                if now - self._snapshot_at < SNAPSHOTS:
                    return None
                self._snapshot_at = now
                return AccountSnapshot(value)
            case _:
                return None
