"""The one who writes the journal: a queue, and a task that commits what is waiting in groups.

While one group is on its way to the disk, others come in, and all that have come are the next group: the more
there is to write, the more share one sync of the disk. Notes, for which nobody waits, linger for some
milliseconds: mostly an intent comes by then, and one sync is enough for both. The numbers of the events are
given out here and nowhere else, in the transaction that writes them, so they have no gaps.

A group whose commit fails is kept and tried again, and nothing overtakes it; only intents are refused, since
whoever waits for one must not send its order. Every group carries its own number in the `writer` row. Where
the answer to a commit was lost, that row tells whether the group was written, and it is not written twice.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.exc import DBAPIError

from trademind.aio import Backoff, Tasks
from trademind.errors import JournalUnavailable
from trademind.journal import tables
from trademind.journal.database import Database
from trademind.journal.entries import Entry, StoredEvent
from trademind.journal.failures import FAILURES, failure, translated
from trademind.journal.groups import Plan, look_up

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_QUEUED: Final = 50_000
"""Writes that may wait while the database does not take them: some 100 MB of memory, an hour of a busy day.
Intents are refused all that time, so what comes is only what the broker says of orders that are out."""
MAX_GROUP: Final = 256
"""Entries of one transaction: enough that the sync is no longer what costs, and few enough that the loop is
held for some milliseconds at most while their rows are made."""
LINGER: Final = 0.005
"""Seconds that notes wait for company. A client that sends one order after the other has its next one here by
then; were the notes on their way to the disk, that one would have to wait for them."""
GROUP_SECONDS: Final = 4.0
"""What a group may take. A disk or a server that does not answer by then counts as failed."""
STOP_SECONDS: Final = 2.0
"""What an attempt that was given up may take to end, at the end."""
FIRST_WAIT: Final = 0.05
LONGEST_WAIT: Final = 2.0
"""Seconds between attempts: once the cause is gone, orders are accepted again within these."""


class Follower(Protocol):
    """Whoever is told what is written, on the loop and in the order of the writing."""

    def on_event(self, event: StoredEvent) -> None:
        """An event is on disk, whoever noted it."""
        ...

    def on_trouble(self, error: JournalUnavailable | None) -> None:
        """Nothing can be written any more; None where it can be again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How the writing goes, for metrics."""

    commits: int
    """Groups on disk."""
    written: int
    """Entries in them."""
    failures: int
    """Attempts that failed."""
    largest_group: int
    queued: int
    """Entries that are not on disk yet."""
    commit_seconds: float
    """What all groups on disk took together."""
    last_commit_seconds: float | None
    """What the last group took, from its begin to its commit."""


@dataclass(slots=True, eq=False)
class _Group:
    number: int
    entries: list[Entry]
    is_committing: bool = False
    is_in_doubt: bool = False
    """It may have been committed: nobody knows how the last attempt ended."""
    last_seq: int = 0
    """The last event's number once it is written."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """One try to write a group."""

    is_abandoned: bool = False

    def check(self) -> None:
        """Raise `TimeoutError` where it was given up in the meantime: another try may have begun."""
        if self.is_abandoned:
            raise TimeoutError("given up")


class Writer:
    """Writes to one open database."""

    def __init__(self, database: Database, *, backoff: Backoff | None = None) -> None:
        self._database = database
        self._backoff = backoff or Backoff(first=FIRST_WAIT, limit=LONGEST_WAIT)
        self._queue: deque[Entry] = deque()
        self._group: _Group | None = None
        self._wake = asyncio.Event()
        """Something is queued."""
        self._hurry = asyncio.Event()
        """Somebody waits for something that is queued."""
        self._tasks = Tasks()
        self._attempts = Tasks()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._run = uuid.uuid4().hex
        self._next_group = 1
        self._error: JournalUnavailable | None = None
        self._failed_since = 0.0
        self._must_look = True
        """Whether the journal may not be as the last group left it."""
        self._commits = self._written = self._failures = self._largest_group = 0
        self._commit_seconds = 0.0
        self._last_commit_seconds: float | None = None
        self.last_seq = 0
        """The number of the last event on disk."""
        self.followers: list[Follower] = []

    async def start(self) -> None:
        """Take over from whoever wrote before.

        Raises:
            SettingsError, JournalUnavailable: the journal cannot be written to.
        """
        with translated(self._database.location, opening=True):
            connection = await self._database.writing()
            self.last_seq = await connection.run_sync(self._take_over)
        self._tasks.spawn(self._write_for_ever(), name="journal writer")

    def _take_over(self, connection: Connection) -> int:
        with connection.begin():
            last_seq: int = connection.execute(_POSITION).one().last_seq
            connection.execute(_ADVANCE, self._position(0, last_seq))
            return last_seq

    async def stop(self) -> None:
        """End at once. What is queued is not written."""
        await self._tasks.cancel_all()
        if self._abandoned:
            await asyncio.wait(self._abandoned, timeout=STOP_SECONDS)

    @property
    def error(self) -> JournalUnavailable | None:
        """Why nothing can be written at the moment."""
        return self._error

    @property
    def queued(self) -> int:
        return len(self._queue) + (len(self._group.entries) if self._group else 0)

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            commits=self._commits,
            written=self._written,
            failures=self._failures,
            largest_group=self._largest_group,
            queued=self.queued,
            commit_seconds=self._commit_seconds,
            last_commit_seconds=self._last_commit_seconds,
        )

    def put(self, entry: Entry, *, is_bounded: bool = True) -> None:
        """Queue an entry; `is_bounded` is false for one that is not a write.

        Raises:
            JournalUnavailable: `MAX_QUEUED` entries wait already; this one is not kept.
        """
        if is_bounded and self.queued >= MAX_QUEUED:
            raise JournalUnavailable(
                f"{self.queued:,} writes wait for the journal, which is all that are kept"
                + (f": {self._error.detail}" if self._error else "")
            )
        self._queue.append(entry)
        self._wake.set()
        if entry.is_awaited or len(self._queue) >= MAX_GROUP:
            self._hurry.set()

    # The task ----------------------------------------------------------------------------------

    async def _write_for_ever(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await self._linger()
            entries: list[Entry] = []
            while self._queue and len(entries) < MAX_GROUP:
                if not (entry := self._queue.popleft()).is_withdrawn:
                    entries.append(entry)
            if not self._queue:
                self._hurry.clear()
            self._group = _Group(number=self._next_group, entries=entries)
            self._next_group += 1
            await self._settle(self._group)
            self._group = None

    async def _linger(self) -> None:
        """Wait for company, unless somebody waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await self._hurry.wait()

    async def _settle(self, group: _Group) -> None:
        """Write the group, however often it has to be tried."""
        while True:
            began = monotonic()
            try:
                await self._attempt(group)
            except Exception as error:  # noqa: BLE001 - the edge of the task, which must not end
                self._has_failed(group, error)
                await self._database.drop()
                await asyncio.sleep(self._backoff.next())
            else:
                self._has_succeeded(group, monotonic() - began)
                return

    async def _attempt(self, group: _Group) -> None:
        """Write the group, or raise what was in the way, within `GROUP_SECONDS`.

        It is a task of its own. Where the disk hangs, not even the connection can be closed without waiting
        for it: the task is left to itself, and commits nothing when it comes to life again.
        """
        attempt = _Attempt()
        task = self._attempts.spawn(self._write(group, attempt), name="journal group", expected=Exception)
        try:
            done, _ = await asyncio.wait({task}, timeout=GROUP_SECONDS)
        finally:
            if not task.done():
                attempt.is_abandoned = True
                self._abandoned.add(task)
                task.add_done_callback(self._abandoned.discard)
                self._database.forget()
                if not self._database.location.path:
                    # A server that vanished never answers; its connection can be cut.
                    task.cancel()
        if not done:
            raise TimeoutError(f"nothing was heard for {GROUP_SECONDS:g} s")
        task.result()

    async def _write(self, group: _Group, attempt: _Attempt) -> None:
        """The transaction: one visit to the connection, or two where it must be seen first how the journal
        stands, of which the second depends on what the first has found.

        From the visit that commits on nobody knows how it ends until it has: an attempt that was given up
        meanwhile may still commit. The next one cannot begin before it has ended, and looks.
        """
        connection = await self._database.writing()
        try:
            if self._must_look:
                position = await connection.run_sync(_begin_and_look)
                attempt.check()
                if self._was_written(group, position):
                    await connection.run_sync(_roll_back)
                    return
            # Who gave up before was told that nothing was written.
            group.entries = [entry for entry in group.entries if not entry.is_withdrawn]
            for entry in group.entries:
                entry.is_waiting = False
            group.is_committing = True
            group.last_seq = await connection.run_sync(
                partial(
                    _write_group, entries=group.entries, position=self._position(group.number, self.last_seq)
                )
            )
        finally:
            if attempt.is_abandoned:
                await connection.close()

    def _was_written(self, group: _Group, position: Row[Any]) -> bool:
        """Say what it means where the journal stands, after a failure."""
        if position.run != self._run:
            raise JournalUnavailable(
                f"the journal {self._database.location} was replaced or written to by another program while "
                "it was open; stop the server and start it again"
            )
        if position.group_number == group.number:
            # Even where it was reported as failed: it must not be written twice.
            group.last_seq = position.last_seq
            return True
        if position.last_seq != self.last_seq:
            raise JournalUnavailable(
                f"the journal {self._database.location} ends at event {position.last_seq:,}, and had "
                f"{self.last_seq:,} before: it was restored while it was open, or the database server lost "
                "what it had acknowledged; stop the server, look at `trademind journal verify`, and start it "
                "again"
            )
        if group.is_in_doubt:
            group.is_in_doubt = False
            assert self._error is not None
            group.entries = _refuse_intents(group.entries, self._error)
        return False

    def _position(self, group_number: int, last_seq: int) -> dict[str, Any]:
        return {"its_run": self._run, "its_group": group_number, "its_seq": last_seq}

    # How an attempt ended ----------------------------------------------------------------------

    def _has_succeeded(self, group: _Group, seconds: float) -> None:
        has_recovered = self._error is not None
        if has_recovered:
            log.info("the journal is written again, after %.1f s", monotonic() - self._failed_since)
            self._error = None
        self._backoff.reset()
        self._must_look = False
        self.last_seq = group.last_seq
        self._commits += 1
        self._written += len(group.entries)
        self._largest_group = max(self._largest_group, len(group.entries))
        self._commit_seconds += seconds
        self._last_commit_seconds = seconds
        for entry in group.entries:
            if entry.answer is not None and not entry.answer.done():
                entry.answer.set_result(entry.earlier)
            event = entry.event
            if event is not None:
                for follower in self.followers:
                    _call(follower.on_event, event)
            if entry.then is not None:
                _call(entry.then, None if event is None else event.seq)
        if has_recovered:
            for follower in self.followers:
                _call(follower.on_trouble, None)

    def _has_failed(self, group: _Group, error: Exception) -> None:
        self._failures += 1
        location = self._database.location
        error_now = error if isinstance(error, JournalUnavailable) else failure(error, location)
        has_begun = self._error is None
        if has_begun:
            self._failed_since = monotonic()
            log.error("nothing can be written: %s", error_now.detail)
        if not isinstance(error, (*FAILURES, JournalUnavailable)):
            log.error("a group of the journal could not be made", exc_info=error)
        self._error = error_now
        self._must_look = True
        # A database that answers has not committed what it reports as failed.
        has_answered = isinstance(error, DBAPIError) and not error.connection_invalidated
        group.is_in_doubt = group.is_in_doubt or (group.is_committing and not has_answered)
        group.is_committing = False
        if not group.is_in_doubt:
            group.entries = _refuse_intents(group.entries, error_now)
        self._queue = deque(_refuse_intents(self._queue, error_now))
        if has_begun:
            for follower in self.followers:
                _call(follower.on_trouble, error_now)


def _call(what: Callable[[T], None], argument: T) -> None:
    try:
        what(argument)
    except Exception:
        # The edge of one follower: the others, and the writing, go on.
        log.exception("what was to follow a write has failed")


def _refuse_intents(entries: Iterable[Entry], error: JournalUnavailable) -> list[Entry]:
    """Tell who waits for an intent that nothing was written; returns the entries that remain."""
    remaining = []
    for entry in entries:
        if entry.answer is None:
            remaining.append(entry)
        elif not entry.answer.done():
            entry.answer.set_exception(JournalUnavailable(error.detail))
    return remaining


# What waits for the database ---------------------------------------------------------------------


def _begin_and_look(connection: Connection) -> Row[Any]:
    """Begin the transaction. Returns where the journal stands."""
    connection.begin()
    return connection.execute(_POSITION).one()


def _write_group(connection: Connection, entries: Sequence[Entry], position: dict[str, Any]) -> int:
    """Write the entries after the `position` there is, and commit. Returns the last event's number."""
    if not connection.in_transaction():
        connection.begin()
    plan = Plan(look_up(connection, entries), entries, position["its_seq"])
    plan.write(connection)
    connection.execute(_ADVANCE, {**position, "its_seq": plan.last_seq})
    _commit(connection)
    return plan.last_seq


def _commit(connection: Connection) -> None:
    connection.commit()


def _roll_back(connection: Connection) -> None:
    connection.rollback()


_POSITION: Final = select(tables.writer)
_ADVANCE: Final = update(tables.writer).values(
    run=bindparam("its_run"), group_number=bindparam("its_group"), last_seq=bindparam("its_seq")
)
