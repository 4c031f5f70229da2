"""The paper account on disk: it survives a restart, and being killed at any moment.

One file of JSON lines. The first line is the whole account at some moment; each further line holds the
records of one command of the exchange, so a command is on disk entirely or not at all. A line counts once
its newline is there: a last line without one was being written when the process died, and is dropped.
Opening the store writes the account as it stands into a new file that takes the old one's place in one
step, so the log does not grow for ever.

Lines are flushed to the operating system, which outlives the process; they are not forced to the disk one
by one, since a paper account need not survive a power cut to the last order.
"""

import json
import logging
import os
from decimal import Decimal
from pathlib import Path
from typing import IO, Self

from filelock import FileLock, Timeout

from trademind.clock import Clock
from trademind.errors import SettingsError
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.journal import AccountState, Record
from trademind.gateway.records import RecordReader, dump_record, dump_state

log = logging.getLogger(__name__)

ACCOUNT_ID = "DUTM00001"
"""The paper account's id. Like every paper account of IB's it starts with D."""

_FILE, _LOCK, _NEW = "paper-account.jsonl", "paper-account.lock", "paper-account.new"
_PRIVATE = 0o600


class AccountStore:
    """Where one paper account is kept. A context manager: open holds the lock, close lets it go.

    Args:
        directory: The data directory; made when missing. None keeps nothing: the account lives as long as
            its exchange.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock: FileLock | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def open(self) -> None:
        """Take the store for this process.

        Raises:
            SettingsError: another process has it, or the directory cannot be used.
        """
        if self._directory is None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(self._directory / _LOCK, timeout=0, mode=_PRIVATE)
            lock.acquire()
        except Timeout as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: the paper account in {self._directory} is in use by another process; "
                "stop that one or choose another directory"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: {self._directory} cannot be used: {error.strerror}"
            ) from error
        self._lock = lock

    def close(self) -> None:
        """Write out what is left and let the next process have it."""
        if self._log is not None:
            self._log.flush()
            os.fsync(self._log.fileno())
            self._log.close()
            self._log = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def read(self, universe: Universe) -> tuple[AccountState, list[Record]] | None:
        """The stored account and the records that followed; None when there is none.

        Raises:
            SettingsError: the file is damaged or of another version.
        """
        if self._directory is None:
            return None
        path = self._directory / _FILE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        *lines, torn = content.split(b"\n")
        if torn:
            log.warning("%s: dropped a line that was not written to its end", path)
        reader = RecordReader(universe)
        state: AccountState | None = None
        records: list[Record] = []
        number = 0
        try:
            for line in lines:
                number += 1
                data = json.loads(line)
                if state is None:
                    state = reader.state(data)
                else:
                    records += [reader.record(each) for each in data]
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            raise SettingsError(
                f"{path}, line {number}: not a paper account this version can read ({error}); "
                "`trademind gateway reset` starts over"
            ) from error
        return None if state is None else (state, records)

    def write(self, state: AccountState) -> None:
        """Make the file this state and nothing else, in one step, and go on from there."""
        if self._directory is None:
            return
        new = self._directory / _NEW
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _PRIVATE)
        stream: IO[bytes] = os.fdopen(handle, "wb")
        stream.write(_line(dump_state(state)))
        stream.flush()
        os.fsync(stream.fileno())
        # Renaming keeps the open file: what is appended from here on goes to the new one.
        os.replace(new, self._directory / _FILE)
        if self._log is not None:
            self._log.close()
        self._log = stream

    def save(self, exchange: PaperExchange) -> None:
        """Take what the exchange's last command changed. Call it before the command's events are sent."""
        if not exchange.journal:
            return
        records = exchange.journal.copy()
        # Cleared first: a line that cannot be written now stays in the stream's buffer for the next try.
        exchange.journal.clear()
        if self._log is not None:
            self._log.write(_line([dump_record(each) for each in records]))
            self._log.flush()

    def reset(self) -> None:
        """Forget the account; the next one starts from its opening cash.

        Raises:
            SettingsError: a running gateway has it open.
        """
        if self._directory is None:
            return
        opened = self._lock is None
        if opened:
            self.open()
        try:
            if self._log is not None:
                self._log.close()
                self._log = None
            (self._directory / _FILE).unlink(missing_ok=True)
            (self._directory / _NEW).unlink(missing_ok=True)
        finally:
            if opened:
                self.close()


def _line(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def open_exchange(
    store: AccountStore, *, cash: Decimal, clock: Clock, universe: Universe, account_id: str = ACCOUNT_ID
) -> PaperExchange:
    """The stored account's exchange, or a new one's. The store must be open.

    DAY orders of an earlier day are gone from it. An account that has not traded takes on a new opening
    balance.

    Raises:
        SettingsError: `cash` is not what the account, which has traded, was opened with; or the stored
            account cannot be read.
    """
    stored = store.read(universe)
    if stored is None:
        exchange = PaperExchange(account_id=account_id, cash=cash, clock=clock)
    else:
        state, records = stored
        exchange = PaperExchange.restored(state, records, clock=clock)
        if state.opening_cash != cash:
            exchange = _with_cash(exchange, cash, clock)
    exchange.roll(clock.now())
    exchange.journal.clear()
    store.write(exchange.state())
    return exchange


def _with_cash(exchange: PaperExchange, cash: Decimal, clock: Clock) -> PaperExchange:
    state = exchange.state()
    if state.has_traded:
        raise SettingsError(
            f"TRADEMIND_PAPER__CASH (--cash) is {cash}, but the paper account was opened with "
            f"{state.opening_cash} and has traded; set it back, or start over with `trademind gateway reset`"
        )
    state.opening_cash = state.cash = cash
    return PaperExchange.restored(state, (), clock=clock)
