"""The journal: what the server writes down before it acts, and everything that happened.

Whoever is about to ask something of the broker has its intent accepted first, and goes on only when it is on
disk. What the broker reports is noted from the socket's callbacks, which never wait: one writer commits it in
the order in which it came (see `writer`), and only then is anybody told of it. So nothing was ever said to
anybody that a restart could take back.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trademind.clock import Clock, SystemClock
from trademind.errors import JournalUnavailable
from trademind.journal.bars import BarReader
from trademind.journal.database import Database
from trademind.journal.entries import entry_of
from trademind.journal.location import Location, locate
from trademind.journal.reading import Reader
from trademind.journal.signals import SignalReader
from trademind.journal.writer import Follower, Statistics, Writer
from trademind.journal.writes import Intent, Marker, Write

log = logging.getLogger(__name__)

DEADLINE: Final = 5.0
"""Seconds that a caller waits at most. Longer than a lock is waited for and than a group may take, so that
the cause is known by then."""


def open_journal(
    url_or_path: str | Path, *, clock: Clock | None = None, deadline: float = DEADLINE
) -> "Journal":
    """The journal in a SQLite file or at a PostgreSQL URL, to be used with `async with`.

    Raises:
        SettingsError: it names neither.
    """
    return Journal(locate(url_or_path), clock=clock, deadline=deadline)


class Journal:
    """One journal, open for writing. One process has it at a time.

    Opening raises `SettingsError` for what has to be mended first (it is in use, damaged, of a newer version,
    not writable) and `JournalUnavailable` for what may pass (it is locked, the disk is full, the server is
    away).
    """

    def __init__(self, location: Location, *, clock: Clock | None = None, deadline: float = DEADLINE) -> None:
        self.location = location
        self._clock = clock or SystemClock()
        self._deadline = deadline
        self._database = Database(location)
        self._writer = Writer(self._database)
        self._is_open = False
        self.reading = Reader(self._database.reading)
        self.bars = BarReader(self._database.reading)
        self.signals = SignalReader(self._database.reading)

    async def __aenter__(self) -> Self:
        await self._database.open()
        try:
            await self._writer.start()
        except BaseException:  # also where it is cancelled: `__aexit__` is not called then
            await self._database.close()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.flushed()
        except JournalUnavailable as failed:
            log.error("%d writes are lost: %s", self._writer.queued, failed.detail)
        finally:
            self._is_open = False
            await self._writer.stop()
            await self._database.close()

    async def accept(self, intent: Intent) -> Intent | None:
        """Write an intent down, for good, before anything is done about it.

        Returns:
            None where it is new: it is on disk. The earlier intent where its key was used before; compare the
            fingerprints. Of several calls with one key at the same time, exactly one gets None.

        Raises:
            JournalUnavailable: the journal cannot be written to; the intent was not written, nothing may be
                sent. (Where the disk or the server hangs in the middle of a commit nobody knows; the error
                says so. The intent may then be found later, as one that was never sent.)
        """
        entry = entry_of(intent, self._clock.now())
        self._must_be_open()
        if (error := self._writer.error) is not None:
            raise JournalUnavailable(error.detail)
        answer: asyncio.Future[Intent | None] = asyncio.get_running_loop().create_future()
        entry.answer = answer
        self._writer.put(entry)
        try:
            async with asyncio.timeout(self._deadline):
                return await answer
        except TimeoutError:
            known = "it was not written" if entry.is_waiting else "it is not known whether it was"
            raise JournalUnavailable(
                f"the journal {self.location} did not take an intent within {self._deadline:g} s; {known}"
                + (f". {self.last_error}" if self.last_error else "")
            ) from None
        finally:
            entry.is_withdrawn = True

    def follow(self, follower: Follower) -> None:
        """Have `follower` told of every event once it is on disk, and when nothing can be written."""
        self._writer.followers.append(follower)

    def note(self, write: Write, then: Callable[[int | None], None] | None = None) -> None:
        """Queue something that has happened. It never waits.

        Args:
            then: Called on the loop once it is on disk, in the order of the notes, with the number of the
                event that was written, or None where there is none: it was known already, or is no event.
                Followers have been told of it by then.

        Raises:
            JournalUnavailable: `MAX_QUEUED` writes wait already (a `Marker` is none), or the journal is
                closed; it is not kept, and has to be noted again from what the broker tells when the journal
                is available again.
            ValueError, TypeError: it cannot be stored.
        """
        self._must_be_open()
        self._writer.put(entry_of(write, self._clock.now(), then), is_bounded=not isinstance(write, Marker))

    async def flushed(self) -> None:
        """Return when everything noted so far is on disk.

        Raises:
            JournalUnavailable: it is not within the deadline. It stays queued.
        """
        await self.written(Marker())

    async def written(self, write: Write) -> None:
        """Note something, and return when it is on disk.

        Raises:
            JournalUnavailable: it is not within the deadline. It stays queued.
            ValueError, TypeError: it cannot be stored.
        """
        done = asyncio.Event()
        self.note(write, lambda _: done.set())
        try:
            async with asyncio.timeout(self._deadline):
                await done.wait()
        except TimeoutError:
            raise JournalUnavailable(
                self.last_error or f"the journal {self.location} did not write within {self._deadline:g} s"
            ) from None

    @property
    def is_available(self) -> bool:
        """Whether intents are accepted."""
        return self._is_open and self._writer.error is None

    @property
    def last_error(self) -> str | None:
        """Why nothing can be written at the moment, and what to do; None where all is well."""
        return None if self._writer.error is None else self._writer.error.detail

    @property
    def last_seq(self) -> int:
        """The number of the last event on disk."""
        return self._writer.last_seq

    @property
    def statistics(self) -> Statistics:
        """How the writing goes."""
        return self._writer.statistics

    def _must_be_open(self) -> None:
        if not self._is_open:
            raise JournalUnavailable(f"the journal {self.location} is closed")
