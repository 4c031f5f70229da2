"""A copy of the journal while the server writes it, and putting one back.

A SQLite journal is copied by SQLite itself, in one read transaction: the copy is the journal as it was at one
moment, a single file that needs no log beside it. PostgreSQL has its own tools, which are named.
"""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trademind.errors import SettingsError, StateNotKept
from trademind.journal import migrations
from trademind.journal.failures import explained
from trademind.journal.journal import Journal
from trademind.journal.location import Location, fault_of, held, locate, sync_directory, whole_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A backup that was made, or a journal that was put back."""

    path: Path
    size: int
    last_seq: int
    """The number of its last event."""
    replaced: Path | None = None
    """Where the journal is now that was there before."""


async def backup(journal: Journal | Path | str, to: Path) -> Copy:
    """Copy the journal to a new file, which is the user's own (0600). A server may be writing meanwhile.

    Raises:
        SettingsError: the file is there already or cannot be made, or there is no such journal, or it is on
            PostgreSQL.
        StateNotKept: the disk has no room, or the journal is locked.
    """
    location = journal.location if isinstance(journal, Journal) else locate(journal)
    source = _file(location, "pg_dump --format=custom --file=journal.dump")
    return await asyncio.to_thread(_backup, source, to)


async def restore(backup: Path, journal: Path | str, *, overwrite: bool = False) -> Copy:
    """Make a backup the journal. What was there before is kept beside it under another name.

    Raises:
        SettingsError: the backup is none or is damaged; or there is a journal and `overwrite` is false; or
            somebody has it open; or it is on PostgreSQL.
        StateNotKept: the disk has no room.
    """
    target = _file(locate(journal), "pg_restore --clean --if-exists")
    return await asyncio.to_thread(_restore, backup, target, overwrite)


def _file(location: Location, tool: str) -> Path:
    if location.path is None:
        raise SettingsError(
            f"the journal {location} is on PostgreSQL, which has its own tools for this; use {tool}"
        )
    return location.path


def _backup(source: Path, target: Path) -> Copy:
    if not source.exists():
        raise SettingsError(f"there is no journal at {source}")
    try:
        with (
            whole_file(target) as new,
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as journal,
            closing(sqlite3.connect(new)) as copy,
        ):
            # All at once: in steps, it would begin anew whenever the server writes.
            journal.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE")
            last_seq = _checked(copy, source)
    except FileExistsError as error:
        raise SettingsError(f"{target} is there already; give a backup a name of its own") from error
    except (sqlite3.Error, OSError) as error:
        raise _failure(error, target) from error
    return Copy(path=target, size=target.stat().st_size, last_seq=last_seq)


def _restore(backup: Path, target: Path, overwrite: bool) -> Copy:
    if not backup.exists():
        raise SettingsError(f"there is no backup at {backup}")
    with held(target):
        if target.exists() and not overwrite:
            raise SettingsError(
                f"there is a journal at {target}; to put the backup in its place all the same, say so "
                "(--overwrite): the present one is kept under another name"
            )
        replaced = None
        try:
            if fault := fault_of(backup):
                raise SettingsError(f"{backup} is no backup of a journal: {fault}")
            staged = target.with_name(target.name + ".restored")
            with whole_file(staged) as new:
                shutil.copyfile(backup, new)
                with closing(sqlite3.connect(new)) as copy:
                    last_seq = _checked(copy, backup)
            try:
                replaced = set_aside(target)
                os.rename(staged, target)
            finally:
                staged.unlink(missing_ok=True)
            sync_directory(target.parent)
        except (sqlite3.Error, OSError) as error:
            raise _failure(error, target) from error
    return Copy(path=target, size=target.stat().st_size, last_seq=last_seq, replaced=replaced)


def _checked(copy: sqlite3.Connection, source: Path) -> int:
    """The number of the last event of a copy that is whole and that this version can read."""
    (said,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise SettingsError(f"{source} is damaged ({said}); `trademind journal verify` says what is in it")
    (schema,) = copy.execute(f"SELECT version_num FROM {migrations.VERSION_TABLE}").fetchone()
    if schema not in migrations.REVISIONS:
        raise SettingsError(f"{source} was written by a newer version of TradeMind (its schema is {schema})")
    (last_seq,) = copy.execute("SELECT last_seq FROM writer").fetchone()
    return int(last_seq)


def set_aside(target: Path) -> Path | None:
    """Give the present journal, and its log, another name, which is returned. Nothing is ever deleted."""
    if not target.exists():
        return None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = target.with_name(f"{target.name}.replaced-{stamp}")
    # The log first: were it left beside the other file, it would be taken for that one's.
    for suffix in ("-wal", "-shm", ""):
        beside = target.with_name(target.name + suffix)
        if beside.exists():
            os.rename(beside, aside.with_name(aside.name + suffix))
    return aside


def _failure(error: sqlite3.Error | OSError, path: Path) -> SettingsError | StateNotKept:
    if isinstance(error, sqlite3.Error):
        detail, is_final = explained(error, Location(url=None, path=path))
    else:
        detail, is_final = f"{path} cannot be written: {error.strerror}", True
    return SettingsError(detail) if is_final else StateNotKept(detail)
