"""Backups while the server writes, and putting them back."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from tests.journal.making import an_intent, an_order
from trademind.errors import SettingsError
from trademind.journal import Journal, OrderChanged, backup, open_journal, restore, verify


async def write_on(journal: Journal, stop: asyncio.Event) -> int:
    number = 0
    while not stop.is_set():
        for _ in range(20):
            number += 1
            journal.note(OrderChanged("new", an_order(f"order{number}", number)))
        await journal.accept(an_intent(f"key{number}"))
    return number


def size_of(path: Path) -> int:
    return path.stat().st_size


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_backup_while_the_server_writes(tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    async with open_journal(place) as journal:
        stop = asyncio.Event()
        writing = asyncio.get_running_loop().create_task(write_on(journal, stop))
        copies = []
        for number in range(5):
            await asyncio.sleep(0.05)
            copies.append(await backup(journal, tmp_path / f"backup{number}"))
        stop.set()
        written = await writing
        await journal.flushed()
        assert journal.last_seq == written
    assert [copy.last_seq for copy in copies] == sorted({copy.last_seq for copy in copies})
    for copy in copies:
        assert mode_of(copy.path) == 0o600
        assert copy.size == size_of(copy.path)
        report = await verify(copy.path)
        assert report.findings == []
        assert report.last_seq == copy.last_seq > 0
    assert {name for name in os.listdir(tmp_path) if name.startswith("backup")} == {
        f"backup{number}" for number in range(5)
    }


async def test_a_backup_put_back(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "journal.db", tmp_path / "new" / "journal.db"
    async with open_journal(place) as journal:
        journal.note(OrderChanged("new", an_order("one")))
        await journal.accept(an_intent("one"))
        await backup(place, tmp_path / "backup")
        await journal.accept(an_intent("two"))
    assert (await restore(tmp_path / "backup", elsewhere)).replaced is None
    copy = await restore(tmp_path / "backup", place, overwrite=True)
    assert copy.last_seq == 1
    for path in (place, elsewhere):
        assert mode_of(path) == 0o600
        async with open_journal(path) as journal:
            assert await journal.accept(an_intent("one")) == an_intent("one")
            assert await journal.accept(an_intent("two")) is None
            assert await journal.reading.order("one") == an_order("one")
    assert copy.replaced is not None
    async with open_journal(copy.replaced) as journal:  # nothing is ever deleted
        assert await journal.accept(an_intent("two")) == an_intent("two")


async def test_the_log_of_a_journal_goes_aside_with_it(tmp_path: Path) -> None:
    """A server that was killed leaves a log beside its file, which must not be taken for the backup's."""
    place, killed = tmp_path / "journal.db", tmp_path / "killed.db"
    async with open_journal(place) as journal:
        await journal.accept(an_intent("one"))
        await backup(journal, tmp_path / "backup")
        await journal.accept(an_intent("two"))
        for end in ("", "-wal"):
            await asyncio.to_thread(copy_file, f"{place}{end}", f"{killed}{end}")
    copy = await restore(tmp_path / "backup", killed, overwrite=True)
    assert copy.replaced is not None
    for path, earlier in ((killed, None), (copy.replaced, an_intent("two"))):
        async with open_journal(path) as journal:
            assert await journal.accept(an_intent("one")) == an_intent("one")
            assert await journal.accept(an_intent("two")) == earlier


def copy_file(source: str, target: str) -> None:
    Path(target).write_bytes(Path(source).read_bytes())


async def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    async with open_journal(place) as journal:
        await backup(journal, tmp_path / "backup")
        with pytest.raises(SettingsError, match="is there already"):
            await backup(journal, tmp_path / "backup")
        with pytest.raises(SettingsError, match="in use by another process"):
            await restore(tmp_path / "backup", place, overwrite=True)
        assert journal.is_available
    with pytest.raises(SettingsError, match="--overwrite"):
        await restore(tmp_path / "backup", place)
    with pytest.raises(SettingsError, match="cannot be written"):
        await backup(place, tmp_path / "nowhere" / "backup")
    with pytest.raises(SettingsError, match="there is no journal"):
        await backup(tmp_path / "nothing", tmp_path / "other")
    with pytest.raises(SettingsError, match="there is no backup"):
        await restore(tmp_path / "nothing", place, overwrite=True)


async def test_what_is_no_backup(tmp_path: Path) -> None:
    place = tmp_path / "journal.db"
    async with open_journal(place) as journal:
        for number in range(200):
            journal.note(OrderChanged("new", an_order(f"order{number}", number)))
        await journal.flushed()
        whole = (await backup(journal, tmp_path / "backup")).path
    damage(whole, tmp_path)
    for name in ("text", "empty", "short", "spoiled", "newer"):
        with pytest.raises(SettingsError, match=r"no backup of a journal|damaged|newer"):
            await restore(tmp_path / name, place, overwrite=True)
    async with open_journal(place) as journal:
        assert journal.last_seq == 200
    assert not [name for name in os.listdir(tmp_path) if "replaced" in name or "restored" in name]


def damage(whole: Path, directory: Path) -> None:
    import sqlite3

    content = whole.read_bytes()
    (directory / "text").write_text("hello")
    (directory / "empty").write_bytes(b"")
    (directory / "short").write_bytes(content[: len(content) // 2])
    (directory / "spoiled").write_bytes(content[:20000] + bytes(20000) + content[40000:])
    (directory / "newer").write_bytes(content)
    connection = sqlite3.connect(directory / "newer", isolation_level=None)
    connection.execute("UPDATE journal_version SET version_num = '9999'")
    connection.close()


async def test_postgresql_has_its_own_tools(postgresql_place: str, tmp_path: Path) -> None:
    async with open_journal(postgresql_place) as journal:
        with pytest.raises(SettingsError, match="pg_dump"):
            await backup(journal, tmp_path / "backup")
    with pytest.raises(SettingsError, match="pg_restore"):
        await restore(tmp_path / "backup", postgresql_place)
