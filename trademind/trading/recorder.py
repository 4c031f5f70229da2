"""Writes down what the broker reports, in the order in which it came, and has the feed tell of it.

The recorder is a consumer of the broker's events like any other: what it cannot hand to the journal at the
moment it keeps, and what it has missed altogether it takes from how things stand when it begins anew. What is
no event takes its place in the journal's queue all the same, so that the feed is told everything in order.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from trademind.aio import Tasks
from trademind.brokers.base import Broker
from trademind.brokers.streams import EventStream
from trademind.clock import Clock, SystemClock
from trademind.domain import (
    Account,
    Channel,
    Event,
    Execution,
    Gap,
    Order,
    Quote,
    Resumed,
    SessionInfo,
    State,
    TrackedSignal,
)
from trademind.domain.events import StreamItem
from trademind.domain.session import READABLE
from trademind.errors import StateNotKept, StreamOverrun, Unavailable
from trademind.journal import (
    AccountChanged,
    AccountSnapshot,
    ExecutionReported,
    Journal,
    Marker,
    OrderChanged,
    SessionChanged,
    Write,
)
from trademind.trading.feed import Feed
from trademind.trading.figures import Figures
from trademind.trading.naming import name_of

log = logging.getLogger(__name__)

Kept = Order | Execution | SessionInfo | Account

RETRY: Final = 1.0
"""Seconds until a journal that is full is tried again."""
LAST_WORDS: Final = 0.1
"""Seconds in which what has happened has to be on disk when streams end; what is not is told later, from the
journal, to whoever comes back."""
IN_A_ROW: Final = 50
"""Things noted until others have their turn: some 5 ms."""


class Recorder:
    """From the broker's events to the journal. An async context manager.

    Args:
        known: Orders that are in the journal already, as they stood last.
    """

    def __init__(
        self, broker: Broker, journal: Journal, known: Iterable[Order], *, clock: Clock | None = None
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._orders = {order.id: order for order in known}
        """How each order stood when it was last noted."""
        self._session: SessionInfo | None = None
        self._figures = Figures()
        self._stream: EventStream | None = None
        self._noted = 0
        self._is_ending = False
        self._tasks = Tasks()
        self._figure_tasks = Tasks()
        self.feed = Feed(journal, clock or SystemClock())
        """Where what is written down is told."""

    async def __aenter__(self) -> "Recorder":
        self._tasks.spawn(self._record(), name="recorder")
        self._figure_tasks.spawn(self._record_figures(), name="recorder of figures")
        return self

    async def __aexit__(self, *_: object) -> None:
        # What the broker has said until now is still noted.
        self._is_ending = True
        if self._stream is not None:
            self._stream.close()
        await self._figure_tasks.cancel_all()
        await self._tasks.finish(grace=1)

    async def _record(self) -> None:
        while not self._is_ending:
            try:
                async with self._broker.stream(
                    Channel.ORDERS, Channel.EXECUTIONS, Channel.SESSION
                ) as self._stream:
                    async for item in self._stream:
                        if not self._is_told_by(item, self._stream.following):
                            await self._take(item)
            except StreamOverrun:
                log.warning("the journal has fallen behind; it goes on with how things stand now")
                self._mark(lambda: self.feed.begin("more has happened than could be written down"))
            else:
                # The server is about to stop, or the session was closed and may be opened again: streams end,
                # and what still happens is noted all the same.
                await self._end_streams()

    def _is_told_by(self, item: StreamItem, following: StreamItem | None) -> bool:
        """Does the next event say all that this one does? So it is when an order is given its id in the same
        step in which it was entered."""
        match item, following:
            case Event(data=Order() as order), Event(data=Order() as later) if order.id == later.id:
                before = self._orders.get(order.id)
                is_same = (order.status, order.filled_quantity) == (later.status, later.filled_quantity)
                return name_of(before, order) == "updated" or (before is None and is_same)
            case _:
                return False

    async def _take(self, item: StreamItem) -> None:
        match item:
            case State():
                for value in reversed(item.values):  # lists are newest first
                    await self._take_value(value)
                self._mark(lambda: self.feed.stands(item.channel))
            case Event():
                await self._take_value(item.data)
            case Gap():
                self._mark(lambda: self.feed.interrupt(item))
            case Resumed():
                self._mark(self.feed.resume)

    async def _take_value(self, value: Kept | TrackedSignal | Quote) -> None:
        match value:
            case SessionInfo() if value.state in READABLE:
                # The figures are the new session's when the gap ends, and stale ones when another begins.
                with suppress(Unavailable):
                    await self._note(await self._broker.get_account())
                await self._note(value)
            case Order() | Execution() | SessionInfo():
                await self._note(value)

    async def _note(self, value: Kept) -> None:
        """Hand it to the journal, however long that is full."""
        self._noted += 1
        if self._noted % IN_A_ROW == 0:
            await asyncio.sleep(0)
        write = self._write_of(value)
        while True:
            try:
                self._journal.note(write, lambda seq: self.feed.keep(value) if seq is None else None)
            except StateNotKept:
                await asyncio.sleep(RETRY)
            else:
                break
        match value:
            case Order():
                self._orders[value.id] = value
            case SessionInfo():
                self._session = value
            case Account():
                self._figures.noted(value, asyncio.get_running_loop().time())
                self._mark(lambda: self.feed.stands(Channel.ACCOUNT))

    def _write_of(self, value: Kept) -> Write:
        match value:
            case Order():
                return OrderChanged(name_of(self._orders.get(value.id), value), value)
            case Execution():
                return ExecutionReported(value)
            case SessionInfo():
                known = self._session
                is_told = known is not None and (known.state, known.since) == (value.state, value.since)
                return Marker() if is_told else SessionChanged(value)
            case Account():
                return Marker() if self._figures.due_at(value) is None else AccountChanged(value)

    def _mark(self, then: Callable[[], None]) -> None:
        """Have `then` called when all that was noted until now is on disk."""
        with suppress(StateNotKept):  # closed: nobody is told anything any more
            self._journal.note(Marker(), lambda _: then())

    async def _end_streams(self) -> None:
        is_told = asyncio.Event()
        self._mark(is_told.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await is_told.wait()
        self.feed.end("the session was closed")

    # The account ---------------------------------------------------------------------------------

    async def _record_figures(self) -> None:
        """They are latest values: what comes while one waits for its time replaces it."""
        while True:
            async with self._broker.stream(Channel.ACCOUNT) as stream:
                due: float | None = None
                while True:
                    try:
                        async with asyncio.timeout_at(due):
                            if await anext(stream, None) is None:
                                break
                    except TimeoutError:
                        due = None
                        with suppress(Unavailable):  # when the session is ready again, they are noted anew
                            await self._note(await self._broker.get_account())
                    else:
                        due = await self._due()

    async def _due(self) -> float | None:
        try:
            account = await self._broker.get_account()
        except Unavailable:
            return None
        if self._figures.is_point_due(account, asyncio.get_running_loop().time()):
            with suppress(StateNotKept):
                self._journal.note(AccountSnapshot(account))
        return self._figures.due_at(account)
