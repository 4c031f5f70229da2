"""What the gateway has told of contracts, kept over restarts in a SQLite file beside the order ids.

It is a memory and no record: losing it costs the questions again. So a file that is damaged is begun anew, a
disk that takes nothing is logged and no more, and what this version cannot read is left out.

A con id means something only where it was told: the same port may lead to the paper gateway today and to IB
tomorrow. So everything is kept by the gateway and the account it came from, and several servers may share
the file.
"""

import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from trademind.domain import ContractDetails, ContractQuery

log = logging.getLogger(__name__)

MAX_KEPT: Final = 10_000
"""Contracts in the file; about the number of US stocks, and some 15 MB."""
PATIENCE: Final = 5.0
"""Seconds to wait while another server writes."""

_QUESTION: Final = TypeAdapter(ContractQuery)
_ANSWER: Final = TypeAdapter(ContractDetails)
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS contracts (
        place TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, as_of TEXT NOT NULL,
        PRIMARY KEY (place, question)
    ) WITHOUT ROWID
"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS contracts_by_age ON contracts (as_of)"
_FORGET_OLDEST: Final = """
    DELETE FROM contracts WHERE (place, question) IN
        (SELECT place, question FROM contracts ORDER BY as_of DESC LIMIT -1 OFFSET ?)
"""


class ContractFile:
    """The file. Its methods block, and are called one at a time, in a thread.

    Args:
        gateway: Names the gateway, the same after every start.
        size: How many contracts are kept; the oldest go first.
    """

    def __init__(self, path: Path, *, gateway: str, size: int = MAX_KEPT) -> None:
        self._path = path
        self._gateway = gateway
        self._size = size
        self._is_failing = False

    def load(self, account_id: str) -> dict[ContractQuery, ContractDetails]:
        """What the gateway has told in sessions of that account, the oldest first; nothing where that cannot
        be read."""
        found: list[tuple[str, str]] = []
        with self._speaking_of_trouble(), self._opened() as file:
            found = file.execute(
                "SELECT question, answer FROM contracts WHERE place = ? ORDER BY as_of",
                (self._place(account_id),),
            ).fetchall()
        known: dict[ContractQuery, ContractDetails] = {}
        for question, answer in found:
            try:
                known[_QUESTION.validate_json(question)] = _ANSWER.validate_json(answer)
            except ValidationError:
                log.info(
                    "a contract in %s is not one that this version wrote: it is asked for anew", self._path
                )
        return known

    def save(self, account_id: str, changes: Mapping[ContractQuery, ContractDetails | None]) -> None:
        """Write down what has been told; None where the gateway knows no such contract any more."""
        place = self._place(account_id)
        told = [
            (place, _text(query), _ANSWER.dump_json(details).decode(), details.as_of.isoformat())
            for query, details in changes.items()
            if details is not None
        ]
        gone = [(place, _text(query)) for query, details in changes.items() if details is None]
        with self._speaking_of_trouble(), self._opened() as file:
            file.executemany("INSERT OR REPLACE INTO contracts VALUES (?, ?, ?, ?)", told)
            file.executemany("DELETE FROM contracts WHERE place = ? AND question = ?", gone)
            file.execute(_FORGET_OLDEST, (self._size,))

    def _place(self, account_id: str) -> str:
        return f"{self._gateway} {account_id}"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The file, for one transaction."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=PATIENCE)) as file, file:
            file.execute(_TABLE)
            file.execute(_INDEX)
            yield file

    @contextmanager
    def _speaking_of_trouble(self) -> Iterator[None]:
        """Log what goes wrong, the same trouble once; a damaged file is begun anew."""
        try:
            yield
            self._is_failing = False
        except (OSError, sqlite3.Error) as error:
            # Of a full disk or a lock SQLite says OperationalError; of a file that is none, this and no more.
            if type(error) is sqlite3.DatabaseError:
                log.warning(
                    "%s is damaged (%s): it is begun anew, and contracts are asked for", self._path, error
                )
                with suppress(OSError):
                    self._path.unlink()
            elif not self._is_failing:
                log.warning("what is known of contracts cannot be kept in %s: %s", self._path, error)
            self._is_failing = True


def _text(query: ContractQuery) -> str:
    return _QUESTION.dump_json(query).decode()
