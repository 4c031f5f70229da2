"""The journal's database: opening it, one connection that writes, and a few that read.

SQLite in write-ahead mode with full sync: readers and the writer do not wait for each other, and a commit is
on the disk when it returns. The writer has a thread to itself (see `threaded`). A file comes into being under
another name and takes its own in one step, so there is a journal entirely or not at all, and an empty file is
a damaged one.

PostgreSQL by asyncpg: whoever writes holds an advisory lock, so that there is one writer as with a file.

Every transaction of a reader sees the journal as it was at one moment.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from trademind.errors import JournalUnavailable, SettingsError, TradeMindError
from trademind.journal import migrations
from trademind.journal.failures import translated
from trademind.journal.location import (
    APPLICATION_ID,
    PRIVATE,
    Location,
    fault_of,
    held,
    sync_directory,
)
from trademind.journal.threaded import ThreadedConnection, WritingConnection

T = TypeVar("T")

BUSY_SECONDS: Final = 2.0
"""How long a lock of another program is waited for; less than the deadline of whoever wants to write."""
CONNECT_SECONDS: Final = 3.0
READERS: Final = 4
"""Connections that read: with SQLite each is a thread, and there are not more cores to be had."""

_LOCK: Final = APPLICATION_ID
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    # On macOS, fsync alone leaves the data in the drive's cache. Nothing elsewhere.
    "PRAGMA fullfsync=ON",
    "PRAGMA foreign_keys=ON",
    # What a large group left of the write-ahead log is given back.
    "PRAGMA journal_size_limit=67108864",
)
_SERVER_SETTINGS: Final = {
    "application_name": "trademind journal",
    # A server that is set to acknowledge what is not on its disk yet would lose orders.
    "synchronous_commit": "on",
    "lock_timeout": f"{BUSY_SECONDS:g}s",
    # Where this machine vanishes, the lock must not outlive it for hours.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


class Database:
    """The database of one journal, for as long as it is open."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._resources = ExitStack()
        self._identity: tuple[int, int] | None = None
        self._size = 0
        """What the file had at least: SQLite never makes one smaller, unless it is told to."""
        self._reader_engine: AsyncEngine | None = None
        self._writing: WritingConnection | None = None
        self._is_open = False
        self._forgotten = 0
        """How many connections have been left to themselves."""

    async def open(self) -> None:
        """Take the journal for this process, make it where there is none, bring its tables up to date.

        Raises:
            SettingsError: it is in use, damaged, not a journal, of a newer version, or cannot be written to.
            JournalUnavailable: it is locked, the disk is full, the server does not answer: later it may work.
        """
        try:
            if self.location.path is not None:
                self._resources.enter_context(held(self.location.path))
                await self._prepare_file(self.location.path)
            self._reader_engine = reader_engine(self.location)
            with translated(self.location, opening=True):
                await bring_up_to_date(await self.writing(), self.location)
            self._is_open = True
        except BaseException:  # also where it is cancelled: the file's lock must not stay taken
            await self.close()
            raise

    async def _prepare_file(self, path: Path) -> None:
        with translated(self.location, opening=True):
            if _look(path) is None:
                await create_file(path)
            if fault := fault_of(path):
                raise SettingsError(
                    f"the journal {path} cannot be used: {fault}. `trademind journal verify` says what is in "
                    "it; restore a backup with `trademind journal restore`"
                )
            if (found := _look(path)) is not None:
                self._identity, self._size = found.identity, found.size

    async def writing(self) -> WritingConnection:
        """The connection that writes; a new one where there is none.

        Raises:
            JournalUnavailable: another program has the journal, or has put another file in its place.
            What the database raises, see `failures`.
        """
        if self.location.path is not None:
            self._check_file(self.location.path)
        if self._writing is None:
            forgotten = self._forgotten
            connection = await connect_to_write(
                self.location, in_use=JournalUnavailable if self._is_open else SettingsError
            )
            if forgotten != self._forgotten:
                await connection.close()
                raise TimeoutError("connected too late")
            self._writing = connection
        return self._writing

    def _check_file(self, path: Path) -> None:
        """See that the file is still there and whole, before anything is entrusted to it."""
        found = _look(path)
        if found is None or found.identity != self._identity:
            # What is written to a file without a name is lost.
            raise JournalUnavailable(
                f"the journal {path} was moved, deleted or replaced while it was open; put it back, or stop "
                "the server and start it again"
            )
        if found.size < self._size:
            # SQLite would go on for a while with the pages it remembers.
            raise JournalUnavailable(
                f"the journal {path} was cut short while it was open: {found.size:,} of {self._size:,} bytes "
                "are there; stop the server, look at `trademind journal verify`, and restore a backup with "
                "`trademind journal restore`"
            )
        self._size = found.size

    async def drop(self) -> None:
        """Give up the connection that writes, whatever it is doing; the next one is new."""
        connection, self._writing = self._writing, None
        if connection is not None:
            # It has failed already, and may fail at this, too.
            with suppress(Exception):
                await connection.invalidate()
            with suppress(Exception):
                await connection.close()

    def forget(self) -> None:
        """As `drop`, but leave the connection to whoever still waits for it."""
        self._writing = None
        self._forgotten += 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees the journal as it is at the first question.

        Raises:
            JournalUnavailable: the journal cannot be read at the moment.
        """
        if self._reader_engine is None:
            raise JournalUnavailable(f"the journal {self.location} is closed")
        with translated(self.location):
            async with self._reader_engine.connect() as connection:
                yield connection

    async def close(self) -> None:
        """Close every connection and let the next process have the journal."""
        try:
            await self.drop()
            if self._reader_engine is not None:
                await self._reader_engine.dispose()
        finally:
            self._reader_engine = None
            self._resources.close()


async def bring_up_to_date(connection: WritingConnection, location: Location) -> None:
    """The newest schema, in one transaction.

    Raises:
        SettingsError: the tables are those of a newer program.
    """
    found = await connection.run_sync(_in_transaction(migrations.revision))
    if found == migrations.REVISIONS[-1]:
        return
    if found is not None and found not in migrations.REVISIONS:
        raise SettingsError(
            f"the journal {location} was written by a newer version of TradeMind: its schema is {found}, and "
            f"this version knows those up to {migrations.REVISIONS[-1]}. Install the newer version again, or "
            "restore a backup of before"
        )
    await migrations.load()
    await connection.run_sync(_in_transaction(migrations.upgrade))


async def create_file(path: Path) -> None:
    """A new, empty journal at `path`, where there is none. The caller holds the lock."""
    new = path.with_name(path.name + ".new")
    _remove(new)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    await migrations.load()
    connection = await ThreadedConnection.open(_sqlite_writer(new))
    try:
        await connection.run_sync(_in_transaction(_make))
    finally:
        await connection.close()
    os.rename(new, path)
    sync_directory(path.parent)


def _make(connection: Connection) -> None:
    migrations.upgrade(connection)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _in_transaction(work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The work as one transaction, which is given up where it fails."""

    def run(connection: Connection) -> T:
        with connection.begin():
            return work(connection)

    return run


def _remove(new: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        new.with_name(new.name + suffix).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that is there."""

    identity: tuple[int, int]
    size: int


def _look(path: Path) -> _Found | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Found((found.st_dev, found.st_ino), found.st_size)


@asynccontextmanager
async def looking(location: Location) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, of a journal that may be open elsewhere, be damaged, or be no journal.

    Raises:
        SettingsError: there is nothing to read.
        JournalUnavailable: it cannot be reached at the moment.
        What the database raises while it is read.
    """
    if location.path is not None and _look(location.path) is None:
        raise SettingsError(f"there is no journal at {location}")
    engine = reader_engine(location, mode="ro")
    try:
        try:
            connection = await engine.connect()
        except DBAPIError:
            if location.path is None:
                raise
            # In a directory that may not be written to, SQLite cannot make what it shares with others.
            await engine.dispose()
            engine = reader_engine(location, mode="immutable")
            connection = await engine.connect()
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


# Engines ---------------------------------------------------------------------------------------

_SQLITE_ARGUMENTS: Final[Mapping[str, Any]] = {
    "timeout": BUSY_SECONDS,
    # Transactions are begun by ourselves: Python's driver would leave out the tables' creation.
    "isolation_level": None,
}


async def connect_to_write(location: Location, *, in_use: type[TradeMindError]) -> WritingConnection:
    """A connection for the one who writes.

    Raises:
        SettingsError: the driver is missing.
        TradeMindError: `in_use`, where another process writes to the PostgreSQL database.
        What the database raises, see `failures`.
    """
    if location.path is not None:
        return await ThreadedConnection.open(_sqlite_writer(location.path, *_PRAGMAS))
    connection = await _postgresql(location, poolclass=NullPool).connect()
    try:
        await _lock(connection, location, in_use)
    except BaseException:  # also where it is cancelled: a connection that nobody has would keep the lock
        await connection.close()
        raise
    return connection


def _sqlite_writer(path: Path, *pragmas: str) -> Engine:
    engine = create_engine(_sqlite_url(path), poolclass=NullPool, connect_args=dict(_SQLITE_ARGUMENTS))
    # A transaction that begins as a reader's may find at its first write that it cannot become a writer's.
    _begin_with(engine, "BEGIN IMMEDIATE")
    _on_connect(engine, *pragmas)
    return engine


def reader_engine(location: Location, *, mode: str = "rw") -> AsyncEngine:
    """The engine for connections that only read; `mode` is SQLite's: with `ro` not even its log is."""
    pool = {"pool_size": READERS, "max_overflow": 0, "pool_timeout": CONNECT_SECONDS}
    if location.path is None:
        return _postgresql(
            location,
            pool_pre_ping=True,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            **pool,
        )
    url = _sqlite_url(location.path, mode).set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(url, connect_args=_SQLITE_ARGUMENTS, **pool)
    _begin_with(engine.sync_engine, "BEGIN")
    if mode == "rw":
        _on_connect(engine.sync_engine, "PRAGMA query_only=ON")
    else:
        # Of a file that was cut short SQLite reads nothing, unless the schema is said to be under repair.
        _on_connect(
            engine.sync_engine,
            "PRAGMA query_only=ON",
            "PRAGMA writable_schema=ON",
            "SELECT 1 FROM sqlite_schema",
        )
    return engine


def _sqlite_url(path: Path, mode: str = "rw") -> URL:
    # Never `rwc`: a journal that has gone must not come back empty.
    query = {"uri": "true"}
    query.update({"immutable": "1"} if mode == "immutable" else {"mode": mode})
    return URL.create("sqlite+pysqlite", database=path.as_uri(), query=query)


def _postgresql(location: Location, **options: Any) -> AsyncEngine:
    assert location.url is not None
    try:
        return create_async_engine(
            location.url,
            connect_args={"timeout": CONNECT_SECONDS, "server_settings": _SERVER_SETTINGS},
            **options,
        )
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the journal {location} needs asyncpg; install it with `pip install asyncpg`"
        ) from error


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def _on_connect(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(pragma)
        cursor.close()


async def _lock(connection: AsyncConnection, location: Location, error: type[TradeMindError]) -> None:
    """Be the one who writes to this schema of the PostgreSQL database, for as long as the connection lasts.

    The server gives the lock back when the session that had it has ended, with whatever it was committing.
    So whoever has it sees how the last commit ended. It is waited for (`lock_timeout`), as the server may not
    have noticed yet that a process was killed.
    """
    try:
        question = text("SELECT pg_advisory_lock(:lock, hashtext(current_schema()))")
        await connection.execute(question, {"lock": _LOCK})
        await connection.commit()
    except DBAPIError as refused:
        if getattr(refused.orig, "sqlstate", None) != "55P03":
            raise
        raise error(
            f"another process writes to the journal {location}; stop that one, run one server process "
            "(no --workers), or give this one a database of its own"
        ) from refused
