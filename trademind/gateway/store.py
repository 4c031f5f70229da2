"""The paper account on disk: it survives a restart, and being killed at any moment.

One file of JSON lines. The first line is the whole account at some moment; each further line holds the
records of one command of the exchange (of several, when the disk refused the first), so a command is on
disk entirely or not at all. A line counts once its newline is there: a last line without one was being
written when the process died, and is dropped. The first line is never written like that: opening the store
writes the account as it stands into a new file that takes the old one's place in one step, so the log does
not grow for ever either. A file whose first line is not whole is therefore damaged, and is left alone.

Lines go straight to the operating system, which outlives the process; they are not forced to the disk one
by one, since a paper account need not survive a power cut to the last order.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from trademind.clock import Clock
from trademind.errors import SettingsError
from trademind.gateway.engine.commissions import FIXED, CommissionSchedule
from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.exchange import PaperExchange, exchange_date
from trademind.gateway.engine.fills import FRIENDLY, FillModel
from trademind.gateway.engine.hours import MarketHours
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.journal import AccountState, ExchangeState, Record
from trademind.gateway.jsonfields import Json
from trademind.gateway.records import RecordReader, dump_record, dump_state

log = logging.getLogger(__name__)

ACCOUNT_ID = "DUTM00001"
"""The paper account's id. Like every paper account of IB's it starts with D."""

_FILE, _LOCK, _NEW = "paper-account.jsonl", "paper-account.lock", "paper-account.new"
_PRIVATE = 0o600

_UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError, AttributeError, RecursionError)
"""What reading something raises that was never written by this program."""


class AccountStore:
    """Where one paper account is kept. A context manager: open holds the lock, close lets it go.

    Args:
        directory: The data directory; made when missing. None keeps nothing: the account lives as long as
            its exchange.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._lock: FileLock | None = None
        self._log: FileIO | None = None
        self._length = 0
        """Bytes of the log that are whole lines."""
        self._torn = False
        """Whether the log has more bytes than that, left by a write that failed half-way."""

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
                "stop that one, run one server process (no --workers), or choose another directory"
            ) from error
        except OSError as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: {self._directory} cannot be used: {error.strerror}"
            ) from error
        self._lock = lock

    def close(self) -> None:
        """Let the next process have it.

        Raises:
            OSError: the disk did not take what had been written; the store is closed all the same.
        """
        stream, self._log = self._log, None
        lock, self._lock = self._lock, None
        try:
            if stream is not None:
                with stream:
                    os.fsync(stream.fileno())
        finally:
            if lock is not None:
                lock.release()

    def read(self, universe: Universe) -> tuple[ExchangeState, list[Record]] | None:
        """The stored account and the records that followed; None when there is none.

        Raises:
            SettingsError: the file is damaged or of another version, or cannot be read.
        """
        if self._directory is None:
            return None
        path = self._directory / _FILE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: the paper account {path} cannot be read: {error.strerror}"
            ) from error
        *lines, torn = content.split(b"\n")
        if not lines:
            raise self.damaged("line 1: it is empty or was cut off")
        if torn:
            log.warning("%s: dropped a line that was not written to its end", path)
        reader = RecordReader(universe)
        state: ExchangeState | None = None
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
        except _UNREADABLE as error:
            raise self.damaged(f"line {number}: {error}") from error
        assert state is not None
        return state, records

    def damaged(self, cause: str) -> SettingsError:
        """The error for a stored account that makes no sense."""
        assert self._directory is not None
        return SettingsError(
            f"{self._directory / _FILE}: not a paper account this version can read ({cause}); "
            "`trademind gateway reset` starts over"
        )

    def write(self, state: ExchangeState) -> None:
        """Make the file this state and nothing else, in one step, and go on from there.

        Raises:
            SettingsError: the disk does not take it; the file is what it was.
        """
        if self._directory is None:
            return
        new = self._directory / _NEW
        line = _line(dump_state(state))
        try:
            new.unlink(missing_ok=True)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _PRIVATE)
            stream = FileIO(handle, "wb")
            try:
                _write(stream, line)
                os.fsync(handle)
                # Renaming keeps the open file: what is appended from here on goes to the new one.
                os.replace(new, self._directory / _FILE)
                _sync_directory(self._directory)
            except BaseException:
                stream.close()
                with suppress(OSError):
                    new.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: the paper account in {self._directory} cannot be written: "
                f"{error.strerror}"
            ) from error
        if self._log is not None:
            self._log.close()
        self._log, self._length, self._torn = stream, len(line), False

    def save(self, exchange: PaperExchange) -> None:
        """Take what the exchange's last command changed. Call it before the command's events are sent.

        Raises:
            OSError: it could not be written, as on a full disk. Nothing is lost: the records stay in the
                exchange's journal, the file is as it was before, and the next call writes both what this
                one and what later commands have left. Until a call succeeds a restart would not know of
                them, so the caller must not take further orders meanwhile.
        """
        if not exchange.journal:
            return
        if self._log is not None:
            self._append(self._log, _line(dump_record(each) for each in exchange.journal))
        exchange.journal.clear()

    def _append(self, stream: FileIO, line: bytes) -> None:
        if self._torn:
            stream.truncate(self._length)
            self._torn = False
        try:
            _write(stream, line)
        except BaseException:
            self._torn = True
            # Half a line would run into the next one. Where it cannot be cut off now, it is before that.
            with suppress(OSError):
                stream.truncate(self._length)
                self._torn = False
            raise
        self._length += len(line)

    def reset(self) -> None:
        """Forget the account; the next one starts from its opening cash.

        Raises:
            SettingsError: a running gateway has it open, or the file cannot be deleted.
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
        except OSError as error:
            raise SettingsError(
                f"TRADEMIND_DATA_DIR: {self._directory / _FILE} cannot be deleted: {error.strerror}"
            ) from error
        finally:
            if opened:
                self.close()


def _line(data: Json | Iterable[Json]) -> bytes:
    data = data if isinstance(data, dict) else list(data)
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _write(stream: FileIO, data: bytes) -> None:
    """Write all of it, however little the system takes at a time."""
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]


def _sync_directory(directory: Path) -> None:
    """Force to the disk under which name a file is found."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_exchange(
    store: AccountStore,
    *,
    cash: Decimal | Mapping[str, Decimal],
    clock: Clock,
    universe: Universe,
    commissions: CommissionSchedule = FIXED,
    hours: MarketHours | None = None,
    fills: FillModel = FRIENDLY,
) -> PaperExchange:
    """The stored accounts' exchange, or a new one's. The store must be open.

    DAY orders of an earlier day are gone from it. As long as nothing has been traded the accounts take on
    new opening balances; further accounts can be opened at any time.

    Args:
        cash: Opening balance of the one account, or of several by their ids.
        commissions: What trades cost from here on.
        hours: When markets are open; always, when not given.
        fills: How orders meet the market.

    Raises:
        SettingsError: `cash` is not what the accounts, which have traded, were opened with; or the stored
            accounts cannot be read, or not be written, or are ahead of the clock.
    """
    accounts = cash if isinstance(cash, Mapping) else {ACCOUNT_ID: cash}
    stored = store.read(universe)

    def restored(state: ExchangeState, records: Iterable[Record]) -> PaperExchange:
        return PaperExchange.restored(
            state,
            records,
            clock=clock,
            instruments=universe.instruments,
            commissions=commissions,
            hours=hours,
            fills=fills,
        )

    if stored is None:
        exchange = PaperExchange(
            accounts=accounts,
            clock=clock,
            instruments=universe.instruments,
            commissions=commissions,
            hours=hours,
            fills=fills,
        )
    else:
        try:
            exchange = restored(*stored)
        except _UNREADABLE as error:  # each field by itself is right, but they do not fit together
            raise store.damaged(f"{type(error).__name__}: {error}") from error
        opened = {each.account_id: each.opening_cash for each in exchange.accounts.values()}
        if opened != accounts:
            exchange = restored(_with_accounts(exchange.state(), accounts), ())
        _must_not_be_ahead(exchange.state().day, clock)
    exchange.roll(clock.now())
    exchange.journal.clear()
    store.write(exchange.state())
    return exchange


def _must_not_be_ahead(day: date, clock: Clock) -> None:
    """An account's time goes on only; a market that starts before would find it in its future."""
    today = exchange_date(clock.now())
    if day > today:
        raise SettingsError(
            f"the paper account has lived until {day}, but its market starts on {today}; give a later "
            "TRADEMIND_PAPER__START, another TRADEMIND_DATA_DIR, or forget it with: trademind gateway reset"
        )


def _with_accounts(state: ExchangeState, wanted: Mapping[str, Decimal]) -> ExchangeState:
    """The state with the accounts that are wanted, in their order."""
    opened = {each.account_id: each for each in state.accounts}
    if state.has_traded:
        for account_id, account in opened.items():
            if account_id not in wanted:
                raise SettingsError(
                    f"TRADEMIND_PAPER__ACCOUNTS: the stored account {account_id} has traded and is not among "
                    f"{', '.join(wanted)}; name it, or start over with `trademind gateway reset`"
                )
            if account.opening_cash != wanted[account_id]:
                raise SettingsError(
                    f"TRADEMIND_PAPER__CASH (--cash) is {wanted[account_id]}, but the paper account was "
                    f"opened with {account.opening_cash} and has traded; set it back, or start over with "
                    "`trademind gateway reset`"
                )
    else:
        opened = {}
    state.accounts = [
        opened.get(account_id) or AccountState(account_id=account_id, opening_cash=cash, cash={BASE: cash})
        for account_id, cash in wanted.items()
    ]
    return state
