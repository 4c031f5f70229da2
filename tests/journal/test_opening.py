"""Opening: new journals, old ones, damaged ones, and what is no journal at all."""

import os
import sqlite3
import stat
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tests.journal.conftest import Server
from tests.journal.making import a_fill, an_account, an_intent, an_order
from tests.journal.meddling import writing
from trademind.errors import SettingsError, StateNotKept
from trademind.journal import (
    AccountSnapshot,
    Audit,
    ExecutionReported,
    OrderChanged,
    migrations,
    open_journal,
)
from trademind.journal.location import locate
from trademind.journal.tables import APPEND_ONLY, metadata


async def run(place: str, *statements: str) -> None:
    """Do something to a journal that this program would not."""
    async with writing(place) as connection:
        for statement in statements:
            await connection.execute(text(statement))
        await connection.commit()


def test_every_schema_has_its_script() -> None:
    scripts = ScriptDirectory.from_config(migrations.config())
    assert tuple(reversed([each.revision for each in scripts.walk_revisions()])) == migrations.REVISIONS
    assert scripts.get_current_head() == migrations.REVISIONS[-1]


async def test_the_scripts_make_the_tables(place: str) -> None:
    async with open_journal(place):
        pass

    def differences(connection: Any) -> Any:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_type": True}
        )
        return compare_metadata(context, metadata)

    async with writing(place) as connection:
        assert await connection.run_sync(differences) == []


async def test_history_cannot_be_changed(place: str) -> None:
    order = an_order("one")
    async with open_journal(place) as journal:
        await journal.accept(an_intent("one"))
        journal.note(OrderChanged("new", order))
        journal.note(ExecutionReported(a_fill(order, commission=Decimal(1), commission_currency="USD")))
        journal.note(AccountSnapshot(an_account()))
        journal.note(Audit(actor="a", origin="b", action="c", subject=None, request=None, outcome="d"))
    for table in APPEND_ONLY:
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {table_column(table.name)} = '1'"):
            with pytest.raises(DBAPIError, match="append-only"):
                await run(place, statement)


def table_column(table: str) -> str:
    columns = {"events": "name", "executions": "order_id", "audit": "actor", "intents": "origin"}
    return columns.get(table, "currency")


async def test_a_journal_of_a_newer_version(place: str) -> None:
    async with open_journal(place):
        pass
    await run(place, f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(SettingsError, match="newer version of TradeMind: its schema is 9999"):
        async with open_journal(place):
            pass


async def test_an_upgrade_that_fails_leaves_nothing(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = migrations.upgrade

    def fail(connection: Any) -> None:
        real(connection)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrations, "upgrade", fail)
    with pytest.raises(StateNotKept, match="No space left"):
        async with open_journal(place):
            pass
    monkeypatch.undo()
    async with open_journal(place) as journal:
        assert await journal.accept(an_intent("one")) is None


def test_files_are_the_users_own(tmp_path: Path) -> None:
    import asyncio

    place = tmp_path / "data" / "deep er" / "jour%nal#1?.db"

    async def write() -> list[Path]:
        async with open_journal(place) as journal:
            await journal.accept(an_intent("one"))
            return list(place.parent.iterdir())

    before = os.umask(0)
    try:
        files = asyncio.run(write())
    finally:
        os.umask(before)
    assert {each.name for each in files} == {place.name + end for end in ("", "-wal", "-shm", ".lock")}
    assert [stat.S_IMODE(each.stat().st_mode) for each in place.parent.iterdir()] == [0o600] * 2
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


async def test_the_file_is_kept_as_it_should_be(sqlite_place: str) -> None:
    async with open_journal(sqlite_place) as journal:

        def read(connection: Connection) -> dict[str, Any]:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
            connection.rollback()
            return found

        pragmas = await (await journal._database.writing()).run_sync(read)
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}
        async with journal.reading._connect() as reader:
            with pytest.raises(DBAPIError, match="readonly"):
                await reader.execute(text("DELETE FROM state"))


async def test_a_creation_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    (tmp_path / "journal.db.new").write_bytes(b"half a database")
    (tmp_path / "journal.db.new-journal").write_bytes(b"its log")
    async with open_journal(place) as journal:
        assert await journal.accept(an_intent("one")) is None
    assert set(os.listdir(tmp_path)) == {"journal.db", "journal.db.lock"}


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "is empty"), (b"hello", "not a SQLite database"), (b"x" * 5000, "not a SQLite database")],
)
async def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes, said: str) -> None:
    place = tmp_path / "journal.db"
    place.write_bytes(content)
    with pytest.raises(SettingsError, match=said):
        async with open_journal(place):
            pass
    assert place.read_bytes() == content


async def test_a_database_of_another_program(tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    other = sqlite3.connect(place)
    other.execute("CREATE TABLE orders (id)")
    other.close()
    with pytest.raises(SettingsError, match="of another program"):
        async with open_journal(place):
            pass


async def test_tables_of_another_program(postgresql_place: str) -> None:
    await run(postgresql_place, "CREATE TABLE orders (id text)")
    with pytest.raises(SettingsError, match="a database of its own"):
        async with open_journal(postgresql_place):
            pass


async def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be kept in"):
        async with open_journal(tmp_path / "file" / "journal.db"):
            pass


async def test_databases_that_do_not_answer(server: Server, tmp_path: Path) -> None:
    with pytest.raises(StateNotKept, match="cannot be reached"):
        async with open_journal(f"postgresql://postgres@/x?host={tmp_path}"):
            pass
    with pytest.raises(StateNotKept, match="cannot be reached"):
        async with open_journal("postgresql://postgres@127.0.0.1:1/x"):
            pass
    with pytest.raises(SettingsError, match="does not exist"):
        async with open_journal(server.url("nowhere")):
            pass
    with pytest.raises(SettingsError, match="does not let this user in"):
        async with open_journal(server.url("postgres").replace("postgres@", "nobody_at_all@")):
            pass


async def test_passwords_are_not_told() -> None:
    with pytest.raises(StateNotKept) as caught:
        async with open_journal("postgresql://someone:secret@127.0.0.1:1/x"):
            pass
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    "place",
    [
        "",
        " ",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x?mode=memory",
        "mysql://h/d",
        "postgresql://h:x/d",
    ],
)
def test_places_that_are_none(place: str) -> None:
    with pytest.raises(SettingsError):
        open_journal(place)


def test_names_of_places(tmp_path: Path) -> None:
    assert (
        locate("sqlite:////data/journal.db") == locate("/data/journal.db") == locate(Path("/data/journal.db"))
    )
    assert str(locate("postgres://u:pw@h/d")) == "postgresql+asyncpg://u:***@h/d"


async def test_asyncpg_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(SettingsError, match="needs asyncpg"):
        async with open_journal("postgresql://h/d"):
            pass
