"""Databases that do not do their work: nothing is lost or reordered, orders are refused, and it says why."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from tests.journal.conftest import Server
from tests.journal.making import an_intent, an_order
from tests.journal.meddling import writing
from trademind.errors import StateNotKept
from trademind.journal import (
    Journal,
    Marker,
    OrderChanged,
    StateSet,
    database,
    groups,
    open_journal,
    writer,
)

ROOT = Path(__file__).resolve().parents[2]
PRAGMAS = database._PRAGMAS


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks that are waited for in vain, not so long."""
    monkeypatch.setattr(
        "trademind.journal.database._SQLITE_ARGUMENTS", {"timeout": 0.2, "isolation_level": None}
    )
    monkeypatch.setattr("trademind.journal.writer.LONGEST_WAIT", 0.2)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is no event for it, and none is worth one
            await asyncio.sleep(0.01)


def note_orders(journal: Journal, numbers: range, told: list[int | None]) -> None:
    for number in numbers:
        journal.note(OrderChanged("new", an_order(f"order{number}", number)), told.append)


async def check_refusal(journal: Journal, why: str = "journal") -> None:
    """While nothing can be written, orders are refused at once and the journal says why."""
    await until(lambda: not journal.is_available)
    assert journal.last_error is not None
    assert why in journal.last_error
    began = time.monotonic()
    with pytest.raises(StateNotKept, match=why):
        await journal.accept(an_intent("refused"))
    assert time.monotonic() - began < 0.1


async def check_recovery(journal: Journal, told: list[int | None], count: int) -> None:
    """Everything that waited is written, in its order, and orders are accepted again."""
    await until(lambda: journal.is_available)
    await journal.flushed()
    assert journal.last_error is None
    assert told == list(range(1, count + 1))
    assert [each.order_id for each in await journal.reading.events_since(0)] == [
        f"order{number}" for number in range(count)
    ]
    assert await journal.reading.intent("refused") is None
    assert await journal.accept(an_intent("refused")) is None


@asynccontextmanager
async def locked(place: str) -> AsyncIterator[None]:
    """Another program holds every table."""
    async with writing(place) as connection:
        if connection.dialect.name != "sqlite":  # there, BEGIN IMMEDIATE is enough
            await connection.execute(text("LOCK TABLE writer IN ACCESS EXCLUSIVE MODE"))
        yield


async def test_a_locked_database(place: str) -> None:
    told: list[int | None] = []
    async with open_journal(place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        async with locked(place):
            began = time.monotonic()
            with pytest.raises(StateNotKept, match="is locked by another program"):
                await journal.accept(an_intent("refused"))
            assert time.monotonic() - began < 4
            note_orders(journal, range(5, 10), told)
            await check_refusal(journal, "is locked by another program")
            assert len(told) == 5
            note_orders(journal, range(10, 12), told)
        await check_recovery(journal, told, 12)
        assert journal.statistics.failures >= 1


async def test_reads_go_on_meanwhile(sqlite_place: str) -> None:
    told: list[int | None] = []
    async with open_journal(sqlite_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        async with locked(sqlite_place):
            note_orders(journal, range(5, 6), told)
            await check_refusal(journal, "is locked")
            assert len(await journal.reading.events_since(0)) == 5


async def connected_with(monkeypatch: pytest.MonkeyPatch, journal: Journal, pragma: str) -> None:
    """Let the journal's connection that writes be a new one, of which `pragma` is true as well."""
    monkeypatch.setattr(database, "_PRAGMAS", (*PRAGMAS, f"PRAGMA {pragma}"))
    await journal._database.drop()


async def test_a_full_disk(sqlite_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`max_page_count` makes SQLite answer as it does when the disk is full."""
    told: list[int | None] = []
    async with open_journal(sqlite_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        async with journal.reading._connect() as reader:
            pages = (await reader.exec_driver_sql("PRAGMA page_count")).scalar()
        await connected_with(monkeypatch, journal, f"max_page_count = {pages}")
        journal.note(StateSet("large", "x" * 100_000))
        note_orders(journal, range(5, 300), told)
        await check_refusal(journal, "the disk is full")
        assert len(await journal.reading.events_since(0)) == 5
        monkeypatch.setattr(database, "_PRAGMAS", PRAGMAS)
        await check_recovery(journal, told, 300)


async def test_a_file_that_may_not_be_written(sqlite_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int | None] = []
    async with open_journal(sqlite_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        await connected_with(monkeypatch, journal, "query_only = 1")
        note_orders(journal, range(5, 8), told)
        await check_refusal(journal, "is read-only")
        monkeypatch.setattr(database, "_PRAGMAS", PRAGMAS)
        await check_recovery(journal, told, 8)


async def test_a_server_that_becomes_read_only(server: Server, postgresql_place: str) -> None:
    told: list[int | None] = []
    name = postgresql_place.split("/")[-1].split("?")[0].split("@/")[-1]
    database = postgresql_place.partition("@/")[2].partition("?")[0] or name
    async with open_journal(postgresql_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        server.run(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        terminate(server, database)
        note_orders(journal, range(5, 8), told)
        await check_refusal(journal)
        await until(lambda: "is read-only" in str(journal.last_error))
        server.run(f"SET default_transaction_read_only = off; ALTER DATABASE {database} RESET ALL")
        terminate(server, database)
        await check_recovery(journal, told, 8)


def terminate(server: Server, database: str) -> None:
    server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


async def test_a_server_that_ends_every_connection(server: Server, postgresql_place: str) -> None:
    told: list[int | None] = []
    database = postgresql_place.partition("@/")[2].partition("?")[0]
    async with open_journal(postgresql_place) as journal:
        for start in range(0, 500, 50):
            note_orders(journal, range(start, start + 50), told)
            await asyncio.sleep(0.002)
            await asyncio.to_thread(terminate, server, database)
        await check_recovery(journal, told, 500)


async def test_a_server_that_hangs(
    server: Server, postgresql_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_SECONDS", 0.5)
    told: list[int | None] = []
    database = postgresql_place.partition("@/")[2].partition("?")[0]
    async with open_journal(postgresql_place, deadline=2) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        found = server.run(
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            f"WHERE l.locktype = 'advisory' AND d.datname = '{database}'"
        )
        os.kill(int(found), signal.SIGSTOP)
        try:
            with pytest.raises(StateNotKept, match="does not answer"):
                await journal.accept(an_intent("refused"))
            note_orders(journal, range(5, 10), told)
            await check_refusal(journal)
        finally:
            os.kill(int(found), signal.SIGCONT)
        await check_recovery(journal, told, 10)


async def test_a_commit_that_hangs(
    server: Server, postgresql_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_SECONDS", 0.3)
    told: list[int | None] = []
    database = postgresql_place.partition("@/")[2].partition("?")[0]
    async with open_journal(postgresql_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        server.run(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$; "
            "CREATE CONSTRAINT TRIGGER waits AFTER UPDATE ON writer DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION wait()",
            database,
        )
        note_orders(journal, range(5, 10), told)
        with pytest.raises(StateNotKept):
            await journal.accept(an_intent("refused"))
        await check_refusal(journal)
        await asyncio.to_thread(server.run, "DROP TRIGGER waits ON writer", database)
        await check_recovery(journal, told, 10)


async def test_a_disk_that_hangs(sqlite_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own thread sleeps in the middle of a statement."""
    monkeypatch.setattr(writer, "GROUP_SECONDS", 0.3)
    told: list[int | None] = []
    async with open_journal(sqlite_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()

        def hang(connection: Connection) -> None:
            driver: Any = connection.connection.driver_connection
            # A disk that hangs: SQLite calls this in the middle of its work, and waits for it.
            driver.set_progress_handler(lambda: time.sleep(1.5) if len(told) == 5 else None, 1)
            connection.rollback()

        await (await journal._database.writing()).run_sync(hang)
        began = time.monotonic()
        with pytest.raises(StateNotKept, match="does not answer"):
            await journal.accept(an_intent("refused"))
        assert time.monotonic() - began < 1
        note_orders(journal, range(5, 10), told)
        await check_refusal(journal)
        await check_recovery(journal, told, 10)


async def test_a_commit_whose_answer_was_lost(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written or not, it is written once, and whoever waits for an intent learns what happened."""
    told: list[int | None] = []
    real = writer._commit
    trouble: list[str] = []

    def commit(connection: Connection) -> None:
        when = trouble.pop(0) if trouble else None
        if when != "before":
            real(connection)
        if when is not None:
            lost = ConnectionError("reset by peer")
            raise OperationalError("COMMIT", {}, lost, connection_invalidated=when != "denied")

    async with open_journal(place) as journal:
        monkeypatch.setattr(writer, "_commit", commit)
        trouble += ["after"]
        note_orders(journal, range(5), told)
        # It is on disk, which is found out at the second attempt.
        assert await journal.accept(an_intent("kept")) is None
        assert told == [1, 2, 3, 4, 5]
        trouble += ["before", "before", "after"]
        note_orders(journal, range(5, 10), told)
        with pytest.raises(StateNotKept, match="reset by peer"):
            await journal.accept(an_intent("refused"))
        await check_recovery(journal, told, 10)
        assert trouble == []
        assert await journal.accept(an_intent("kept")) == an_intent("kept")
        # Reported as failed, and there all the same: a second time would be one time too many.
        trouble += ["denied"]
        note_orders(journal, range(10, 15), told)
        with pytest.raises(StateNotKept, match="reset by peer"):
            await journal.accept(an_intent("orphan"))
        await until(lambda: told == list(range(1, 16)))
        assert await journal.accept(an_intent("orphan")) == an_intent("orphan")


async def test_a_fault_of_our_own_is_told_and_loses_nothing(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[int | None] = []
    real = groups.look_up
    faults = [KeyError("a fault")] * 3

    def look_up(*arguments: Any) -> groups.Known:
        if faults:
            raise faults.pop()
        return real(*arguments)

    async with open_journal(place) as journal:
        monkeypatch.setattr(writer, "look_up", look_up)
        note_orders(journal, range(5), told)
        await check_refusal(journal, "has failed")
        await check_recovery(journal, told, 5)
        assert "a fault" in caplog.text


def replace_by_nothing(path: str) -> None:
    Path(path).write_bytes(b"")


async def test_a_file_that_was_moved_away(sqlite_place: str) -> None:
    told: list[int | None] = []
    path, away = sqlite_place, sqlite_place + ".away"
    async with open_journal(sqlite_place) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        os.rename(path, away)
        note_orders(journal, range(5, 8), told)
        await check_refusal(journal, "moved, deleted or replaced")
        assert path not in os.listdir(os.path.dirname(path))
        replace_by_nothing(path)
        await asyncio.sleep(0.3)
        assert not journal.is_available
        os.rename(away, path)
        await check_recovery(journal, told, 8)


async def test_another_writer_is_noticed(place: str) -> None:
    told: list[int | None] = []
    async with open_journal(place, deadline=0.5) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        async with writing(place) as connection:
            await connection.execute(text("UPDATE writer SET run = 'another'"))
            await connection.commit()
        await journal._database.drop()
        journal._writer._must_look = True
        note_orders(journal, range(5, 8), told)
        await check_refusal(journal, "by another program")
        assert len(told) == 5


async def test_a_journal_that_went_back_is_noticed(place: str) -> None:
    """As after a failover to a server that had not yet got everything."""
    told: list[int | None] = []
    async with open_journal(place, deadline=0.5) as journal:
        note_orders(journal, range(5), told)
        await journal.flushed()
        async with writing(place) as connection:
            await connection.execute(text("UPDATE writer SET last_seq = 3, group_number = 0"))
            await connection.commit()
        journal._writer._must_look = True
        note_orders(journal, range(5, 8), told)
        await check_refusal(journal, "ends at event 3, and had 5 before")
        assert len(told) == 5


async def test_what_may_wait_is_bounded(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_QUEUED", 100)
    told: list[int | None] = []
    async with open_journal(place) as journal:
        async with locked(place):
            note_orders(journal, range(100), told)
            with pytest.raises(StateNotKept, match="100 writes wait"):
                journal.note(StateSet("late", 1))
            assert journal.statistics.queued == 100
        await until(lambda: len(told) == 100)
        await check_recovery(journal, told, 100)


async def test_a_deadline_that_is_shorter_than_a_lock_is_waited_for(place: str) -> None:
    async with open_journal(place, deadline=0.05) as journal:
        async with locked(place):
            with pytest.raises(StateNotKept, match="did not take an intent") as caught:
                await journal.accept(an_intent("one"))
            with pytest.raises(StateNotKept):
                await journal.flushed()
        await until(lambda: journal.is_available and journal.statistics.queued == 0)
        stored = await journal.reading.intent("one")
        assert stored is None or "it is not known" in caught.value.detail
        assert stored is None or not place.endswith(".db")  # nothing can wait in the middle of a transaction


async def test_who_gives_up_in_the_queue_has_written_nothing(place: str) -> None:
    async with open_journal(place, deadline=0.2) as journal:
        async with locked(place):
            journal.note(Marker())
            await asyncio.sleep(0.05)
            with pytest.raises(StateNotKept):
                await journal.accept(an_intent("one"))
        await until(lambda: journal.is_available and journal.statistics.queued == 0)
        assert await journal.accept(an_intent("one")) is None


async def test_what_cannot_be_written_at_the_end_is_told(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with locked_after_opening(place) as journal:
        journal.note(Marker())
        journal.note(Marker())
    assert "writes are lost" in caplog.text


@asynccontextmanager
async def locked_after_opening(place: str) -> AsyncIterator[Journal]:
    journal = open_journal(place, deadline=0.3)
    await journal.__aenter__()
    async with locked(place):
        yield journal
        await journal.__aexit__(None, None, None)


async def test_a_database_that_is_locked_at_opening(place: str) -> None:
    async with open_journal(place):
        pass
    async with locked(place):
        with pytest.raises(StateNotKept, match="is locked"):
            async with open_journal(place):
                pass
    async with open_journal(place) as journal:
        assert journal.is_available


# What only another user or another process can have ----------------------------------------------


def run(program: str, *arguments: str) -> str:
    """What another process printed."""
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


OPEN = """
import asyncio, os, sys
import aiosqlite, sqlalchemy.dialects.sqlite.aiosqlite, sqlalchemy.dialects.sqlite.pysqlite
from trademind.errors import TradeMindError
from trademind.journal import open_journal

async def main():
    async with open_journal(sys.argv[1]):
        print("opened")

# Everything is loaded by now: the interpreter's own files may be root's.
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    asyncio.run(main())
except TradeMindError as error:
    print(type(error).__name__, error.detail)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize("kind", ["file", "directory", "both"])
def test_somebody_elses_files(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import shutil
    import tempfile

    # pytest's own directories may not be entered by another user.
    directory = Path(tempfile.mkdtemp(prefix="journal-"))
    try:
        place = directory / "journal.db"

        async def make() -> None:
            async with open_journal(place) as journal:
                await journal.accept(an_intent("one"))

        asyncio.run(make())
        before = place.read_bytes()
        (directory / "journal.db.lock").unlink()
        os.chmod(directory, 0o777 if kind == "file" else 0o755)
        os.chmod(place, 0o644 if kind != "directory" else 0o666)
        said = run(OPEN, str(place))
        assert said.startswith("SettingsError")
        assert "may be written to" in said or "may write to" in said
        assert place.read_bytes() == before
    finally:
        shutil.rmtree(directory)


LIMITED = """
import asyncio, resource, sys
from tests.journal.making import an_intent, an_order
from trademind.errors import StateNotKept
from trademind.journal import OrderChanged, open_journal

async def main():
    told = []
    async with open_journal(sys.argv[1]) as journal:
        assert await journal.accept(an_intent("one")) is None
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for number in range(400):
            journal.note(OrderChanged("new", an_order(f"order{number}", number)), told.append)
        while journal.is_available:
            await asyncio.sleep(0.01)
        print(journal.last_error)
        try:
            await journal.accept(an_intent("two"))
        except StateNotKept:
            print("refused")
        assert await journal.reading.intent("one") is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        while not journal.is_available:
            await asyncio.sleep(0.01)
        await journal.flushed()
        assert told == list(range(1, 401)), told
        assert await journal.accept(an_intent("two")) is None
        print("recovered")

asyncio.run(main())
"""


def test_a_limit_on_the_size_of_files(sqlite_place: str) -> None:
    said = run(LIMITED, sqlite_place)
    assert "the disk" in said
    assert said.splitlines()[-2:] == ["refused", "recovered"]
