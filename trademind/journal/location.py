"""Where a journal is: a SQLite file by its path, or a PostgreSQL database by its URL.

A file belongs to one process at a time, which holds a lock beside it. (In PostgreSQL the server keeps that
lock, see `database`.)
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from trademind.errors import SettingsError

PRIVATE: Final = 0o600

APPLICATION_ID: Final = 0x544D4A31
"""TMJ1: how a SQLite file says that it is a journal of this program, and not anybody else's database."""

_POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg")
_SQLITE = ("sqlite", "sqlite+aiosqlite")


@dataclass(frozen=True, slots=True)
class Location:
    """A journal's place. It prints as a person would name it, without a password."""

    url: URL | None
    """PostgreSQL's, or None."""
    path: Path | None
    """The SQLite file, or None."""

    def __str__(self) -> str:
        return str(self.path) if self.url is None else self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path:
        """The SQLite file, where it must be one."""
        assert self.path is not None
        return self.path


def locate(url_or_path: str | Path) -> Location:
    """The place that a setting or an option means.

    Raises:
        SettingsError: it names neither a file nor a PostgreSQL database.
    """
    text = str(url_or_path)
    if isinstance(url_or_path, Path) or "://" not in text:
        if not text.strip() or text == ":memory:" or "\0" in text:
            raise SettingsError(f"the journal cannot be at {text!r}; give the path of a file")
        return Location(url=None, path=Path(text).absolute())
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not repeated.
        raise SettingsError("the journal's URL cannot be read; it looks like " + _EXAMPLE) from error
    if url.drivername in _SQLITE:
        if not url.database or url.database == ":memory:" or url.query:
            raise SettingsError("the journal's SQLite URL must name a file, as in sqlite:///data/journal.db")
        return Location(url=None, path=Path(url.database).absolute())
    if url.drivername in _POSTGRESQL:
        return Location(url=url.set(drivername="postgresql+asyncpg"), path=None)
    raise SettingsError(f"the journal cannot be kept in {url.drivername}; give a path or {_EXAMPLE}")


_EXAMPLE = "postgresql://user:password@host/database"


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the journal's file for this process.

    Raises:
        SettingsError: another process holds it, or its directory cannot be used.
    """
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=0, mode=PRIVATE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire()
    except Timeout as error:
        raise SettingsError(
            f"the journal {path} is in use by another process; stop that one, run one server process "
            "(no --workers), or give this one another data directory"
        ) from error
    except OSError as error:
        raise SettingsError(
            f"the journal cannot be kept in {path.parent}: {error.strerror}; see that the directory may be "
            "written to"
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Header:
    """What the first 100 bytes of a SQLite file say. Source: sqlite.org/fileformat2.html."""

    page_size: int
    pages: int
    application_id: int


def read_header(path: Path) -> Header | None:
    """The file's header; None where it is no SQLite database. Raises `OSError`."""
    with path.open("rb") as stream:
        start = stream.read(100)
    if len(start) < 100 or not start.startswith(b"SQLite format 3\0"):
        return None
    (page_size,) = struct.unpack(">H", start[16:18])
    (pages,) = struct.unpack(">I", start[28:32])
    (application_id,) = struct.unpack(">I", start[68:72])
    # 65536 does not fit into two bytes and is written as 1.
    return Header(
        page_size=65536 if page_size == 1 else page_size, pages=pages, application_id=application_id
    )


def fault_of(path: Path) -> str | None:
    """What is wrong with a journal's file at first sight; None where nothing is. Raises `OSError`."""
    size = path.stat().st_size
    header = read_header(path)
    if size == 0:
        return "it is empty, which a journal never is: it was cut short"
    if header is None:
        return "it is not a SQLite database, or its beginning is damaged"
    if header.application_id != APPLICATION_ID:
        return "it is a database of another program"
    whole = header.page_size * header.pages
    # With a write-ahead log beside it, the rest may be in there.
    wal = path.with_name(path.name + "-wal")
    if size < whole and not (wal.exists() and wal.stat().st_size):
        return f"it was cut short: {size:,} of {whole:,} bytes are there"
    return None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Make a new file entirely or not at all: what is written to the path that is given takes the other name
    when the block ends well. It is the user's own (0600).

    Raises:
        FileExistsError: there is such a file already.
        OSError: it cannot be written.
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already")
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    try:
        yield new
        with new.open("rb") as stream:
            os.fsync(stream.fileno())
        # Not a rename: whoever made such a file in the meantime keeps it.
        os.link(new, path)
        sync_directory(path.parent)
    finally:
        new.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Have the disk know of a file that was made or renamed there."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
