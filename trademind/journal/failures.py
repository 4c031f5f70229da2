"""What the databases' errors mean, and what to do about them."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from trademind.errors import JournalUnavailable, SettingsError, TradeMindError
from trademind.journal.location import Location

FAILURES: Final = (SQLAlchemyError, OSError, TimeoutError)
"""What a database that does not do its work raises."""

_WRITABLE = "see that this program's user may write to the file and its directory"
_VERIFY = "`trademind journal verify` says what is there; restore a backup with `trademind journal restore`"
_LOGIN = "correct the user, password or database name in the journal's URL"

_SQLITE: Final[Mapping[int, tuple[str, str, bool]]] = {
    sqlite3.SQLITE_BUSY: ("is locked by another program", "close the other program", False),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "close the other program", False),
    sqlite3.SQLITE_FULL: ("has no room: the disk is full", "make room on it", False),
    sqlite3.SQLITE_IOERR: ("cannot be written or read: the disk fails", "look at the disk", False),
    sqlite3.SQLITE_NOMEM: ("needs more memory than there is", "free memory", False),
    sqlite3.SQLITE_READONLY: ("is read-only", _WRITABLE, True),
    sqlite3.SQLITE_PERM: ("may not be used", _WRITABLE, True),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _WRITABLE, True),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _VERIFY, True),
    sqlite3.SQLITE_NOTADB: ("is not a database, or is damaged", _VERIFY, True),
}
"""By primary result code: what is the matter, what to do, and whether waiting is of no use."""

_POSTGRESQL: Final[Mapping[str, tuple[str, str, bool]]] = {
    "08": ("cannot be reached", "see that the PostgreSQL server runs", False),
    "28": ("does not let this user in", _LOGIN, True),
    "3D": ("does not exist", "create the database, or " + _LOGIN, True),
    "25006": ("is read-only", "connect to the primary server, not to a replica", True),
    "42501": ("does not let this user do that", "make the user the owner of the database", True),
    "42P07": ("has tables of another program", "give the journal a database of its own", True),
    "42": ("has not the tables of a journal", "give the journal a database of its own", True),
    "53100": ("has no room: the server's disk is full", "make room on it", False),
    "53": ("has no resources left", "look at the PostgreSQL server", False),
    "55": ("is locked by another program", "end what holds the lock", False),
    "57014": ("takes too long", "look at the PostgreSQL server's load and locks", False),
    "57": ("is stopping or starting", "wait for the PostgreSQL server", False),
    "XX": ("is damaged", "look at the PostgreSQL server's log", False),
}
"""By SQLSTATE or its class, as in `_SQLITE`."""


def explained(error: BaseException, location: Location) -> tuple[str, bool]:
    """What happened and what to do about it, and whether waiting is of no use."""
    cause: Any = error
    while isinstance(cause, DBAPIError) and cause.orig is not None:
        cause = cause.orig
    found: tuple[str, str, bool] | None = None
    if isinstance(cause, sqlite3.Error):
        found = _SQLITE.get(getattr(cause, "sqlite_errorcode", -1) & 0xFF)
    elif isinstance(state := getattr(cause, "sqlstate", None), str):
        found = _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    elif isinstance(cause, TimeoutError):
        found = ("does not answer", "look at the disk or the database server", False)
    elif isinstance(cause, OSError) and location.path is None:
        found = _POSTGRESQL["08"]
    elif isinstance(error, DBAPIError) and error.connection_invalidated:
        found = ("has closed the connection", "see that the PostgreSQL server runs", False)
    what, advice, is_final = found or ("has failed", "look at the disk or the database server", False)
    said = str(cause).strip().splitlines()
    detail = f" ({said[0].rstrip('.')})" if said else ""
    return f"the journal {location} {what}{detail}; {advice}", is_final


def failure(error: BaseException, location: Location) -> JournalUnavailable:
    """The error for a journal that cannot be used at the moment."""
    return JournalUnavailable(explained(error, location)[0])


@contextmanager
def translated(location: Location, *, opening: bool = False) -> Iterator[None]:
    """Turn the database's errors into `JournalUnavailable`; at opening, those that waiting does not mend into
    `SettingsError`."""
    try:
        yield
    except TradeMindError:
        raise
    except FAILURES as error:
        detail, is_final = explained(error, location)
        if opening and is_final:
            raise SettingsError(detail) from error
        raise JournalUnavailable(detail) from error
