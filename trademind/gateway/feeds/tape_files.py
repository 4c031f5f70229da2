"""Reading recorded prices: CSV files, also gzipped, and Parquet files, of bars or of ticks.

A file has a header that names its columns; case, spaces and underscores do not matter, and other columns are
ignored.

- The moment: `time`, `datetime`, `timestamp` or `date`, or a `date` and a `time`, or an index column without
  a name. ISO 8601, `20260415`, `20260415 09:30:00`, or seconds, milli-, micro- or nanoseconds since the
  epoch. What has no time zone is New York's time.
- Bars: `open`, `high`, `low`, `close`, and `volume` if there is one. The time is a bar's beginning.
- Ticks: `price` and `size` of trades, or `bid`, `ask`, `bid_size`, `ask_size`, or both.
- The symbol: `symbol` or `ticker`. Without, a file is of one symbol and carries its name, as in `AAPL.csv`.

A directory is all the files in it. Rows are oldest first.
"""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time
from io import TextIOWrapper
from math import isfinite
from pathlib import Path
from typing import IO, Any, Final, NoReturn, cast

from trademind.errors import SettingsError
from trademind.gateway.feeds.calendar import NEW_YORK
from trademind.gateway.feeds.tape import SECOND, Rows

MAX_ROWS: Final = 20_000_000
"""About a gigabyte of bars."""

_MOMENTS: Final = ("datetime", "timestamp", "time", "date", "ts", "", "indexlevel0")
_SYMBOLS: Final = ("symbol", "ticker", "sym")
_BAR: Final = (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"))
_VOLUME: Final = ("volume", "vol", "v")
_PRICE: Final = ("price", "last", "lastprice", "tradeprice")
_SIZE: Final = ("size", "lastsize", "quantity", "qty", "volume")
_BID_ASK: Final = (("bid", "bidprice"), ("ask", "askprice"))
_BID_ASK_SIZES: Final = (("bidsize",), ("asksize",))
_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")

UNREADABLE: Final = (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error)
"""What reading a text file may raise."""

Record = Sequence[Any]


def read_tapes(path: Path) -> dict[str, Rows]:
    """The rows of every symbol in a file, or in the files of a directory.

    Raises:
        SettingsError: a file cannot be read as prices; the text names file and line, and says what to do.
    """
    tapes: dict[str, Rows] = {}
    for file in _files(path):
        reader = _Reader(file, tapes)
        try:
            reader.read()
        except UNREADABLE as error:
            raise unreadable(file, error) from error
    if not any(len(rows) for rows in tapes.values()):
        raise SettingsError(f"{path}: there are no prices in it; a header and at least one row are needed")
    return {symbol: rows for symbol, rows in tapes.items() if len(rows)}


def unreadable(file: Path, error: Exception) -> SettingsError:
    """What to say of a file for one of the `UNREADABLE` errors: why, and what to do."""
    match error:
        case UnicodeDecodeError():
            remedy = "save it as UTF-8 text"
        case gzip.BadGzipFile() | EOFError() | zlib.error():
            remedy = "it is no complete gzip file; compress it anew, or give it uncompressed"
        case csv.Error():
            remedy = "save it as CSV, one row a line"
        case _:
            remedy = "see that it is a file which you may read"
    return SettingsError(f"{file}: it cannot be read: {error}; {remedy}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.name.lower().endswith(_SUFFIXES))
        if not found:
            raise SettingsError(f"{path}: there is no file in it that ends in {', '.join(_SUFFIXES)}")
        return found
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file")
    if not path.name.lower().endswith(_SUFFIXES):
        raise SettingsError(f"{path}: replayed files end in {', '.join(_SUFFIXES)}")
    return [path]


class _Reader:
    """Puts the rows of one file onto the tapes of their symbols."""

    def __init__(self, file: Path, tapes: dict[str, Rows]) -> None:
        self._file = file
        self._tapes = tapes
        self._line = 1
        suffix = next(each for each in _SUFFIXES if file.name.lower().endswith(each))
        self._symbol = file.name[: -len(suffix)].upper()
        self._columns: dict[str, int] = {}

    def read(self) -> None:
        opened = _parquet if self._file.name.lower().endswith(".parquet") else _table
        with opened(self._file) as (header, records):
            self._read(header, records)

    def _read(self, header: Sequence[str], records: "Records") -> None:
        self._columns = {_plain(name): index for index, name in reversed(list(enumerate(header)))}
        moment = self._moment_columns(header)
        symbol = self._find(*_SYMBOLS)
        add = self._adder(header)
        count = sum(map(len, self._tapes.values()))
        for self._line, record in records:
            if not record:
                continue
            if len(record) < len(header):
                self._refuse(f"there are {len(record)} fields, and {len(header)} columns; complete the line")
            name = self._symbol if symbol is None else str(record[symbol]).strip().upper()
            if not name:
                self._refuse("the symbol is empty; fill it in")
            rows = self._tapes.setdefault(name, Rows())
            self._add_moment(rows, [record[index] for index in moment])
            add(rows, record)
            count += 1
            if count > MAX_ROWS:
                self._refuse(f"there are more than {MAX_ROWS:,} rows; replay fewer at a time")

    def _refuse(self, problem: str) -> NoReturn:
        raise SettingsError(f"{self._file}:{self._line}: {problem}")

    # Columns

    def _find(self, *names: str) -> int | None:
        return next((self._columns[name] for name in names if name in self._columns), None)

    def _moment_columns(self, header: Sequence[str]) -> list[int]:
        if "date" in self._columns and "time" in self._columns:
            return [self._columns["date"], self._columns["time"]]
        found = self._find(*_MOMENTS)
        if found is None:
            self._refuse(
                f"no column says when; rename the one that does to 'time' or 'date' "
                f"(the columns are {', '.join(header)})"
            )
        return [found]

    def _adder(self, header: Sequence[str]) -> Callable[[Rows, Record], None]:
        bar = [self._find(*names) for names in _BAR]
        if None not in bar:
            columns = [index for index in bar if index is not None]
            volume = self._find(*_VOLUME)
            return lambda rows, record: self._add_bar(rows, record, columns, volume)
        price, size = self._find(*_PRICE), self._find(*_SIZE)
        offer = [self._find(*names) for names in (*_BID_ASK, *_BID_ASK_SIZES)]
        if price is None and None in offer[:2]:
            self._refuse(
                f"the columns are {', '.join(header)}; bars need open, high, low and close, "
                "ticks need a price, or bid and ask; rename or add columns"
            )
        return lambda rows, record: self._add_tick(rows, record, price, size, offer)

    # Rows

    def _add_moment(self, rows: Rows, values: Sequence[Any]) -> None:
        try:
            moment, is_date = _moment(values)
        except (ValueError, OverflowError):
            text = " ".join(map(str, values))
            self._refuse(f"{text!r} is not a time; write it as 2026-04-15 09:30:00, or a date alone")
        if len(rows) and moment < rows.times[-1]:
            self._refuse("time goes back; sort the rows by time, oldest first")
        rows.are_dates = rows.are_dates and is_date
        rows.times.append(moment)

    def _add_bar(self, rows: Rows, record: Record, columns: Sequence[int], volume: int | None) -> None:
        if rows.are_ticks:
            self._refuse("bars and ticks of one symbol cannot be replayed together; remove one file")
        if len(rows) > 1 and rows.times[-1] == rows.times[-2]:
            self._refuse("two bars of one symbol have the same time; remove one")
        begin, high, low, end = (self._price(record[index], name[0]) for index, name in _zip(columns, _BAR))
        if not low <= min(begin, end) <= max(begin, end) <= high:
            self._refuse("open and close have to lie between low and high; correct the row")
        rows.opens.append(begin)
        rows.highs.append(high)
        rows.lows.append(low)
        rows.closes.append(end)
        rows.volumes.append(0 if volume is None else self._amount(record[volume], "volume"))

    def _add_tick(
        self, rows: Rows, record: Record, price: int | None, size: int | None, offer: Sequence[int | None]
    ) -> None:
        if len(rows) == 1 and not rows.opens:
            # The prices of ticks are kept once.
            rows.are_ticks = True
            rows.highs = rows.lows = rows.closes = rows.opens
        if not rows.are_ticks:
            self._refuse("bars and ticks of one symbol cannot be replayed together; remove one file")
        bid, ask, bid_size, ask_size = offer
        if bid is not None and ask is not None:
            rows.bids.append(self._price(record[bid], "bid"))
            rows.asks.append(self._price(record[ask], "ask"))
            if rows.bids[-1] > rows.asks[-1]:
                self._refuse("the bid is above the ask; correct the row")
            sizes = [
                0 if each is None else self._amount(record[each], name)
                for each, name in ((bid_size, "bid_size"), (ask_size, "ask_size"))
            ]
            rows.bid_sizes.append(sizes[0])
            rows.ask_sizes.append(sizes[1])
        elif rows.bids:
            self._refuse("bid and ask are missing, which former files of this symbol have; add them")
        if price is None:
            rows.opens.append((rows.bids[-1] + rows.asks[-1]) / 2)
            rows.volumes.append(0)
        else:
            rows.opens.append(self._price(record[price], "price"))
            rows.volumes.append(0 if size is None else self._amount(record[size], "size"))
        if rows.bids and len(rows.bids) != len(rows):
            self._refuse("former files of this symbol have no bid and ask; leave them out, or add them there")

    def _number(self, value: Any, name: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            self._refuse(f"the {name} is {value!r}, which is not a number; correct it")
        if not isfinite(number):
            self._refuse(f"the {name} is {value!r}, which is not a number; correct it")
        return number

    def _price(self, value: Any, name: str) -> float:
        number = self._number(value, name)
        if number <= 0:
            self._refuse(f"the {name} is {value!r}; prices are above zero")
        return number

    def _amount(self, value: Any, name: str) -> int:
        if value is None or value == "":
            return 0
        number = self._number(value, name)
        if not 0 <= number < 2**62:
            self._refuse(f"the {name} is {value!r}; it cannot be below zero")
        return int(number)


def _zip(columns: Iterable[int], names: Iterable[tuple[str, ...]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    return zip(columns, names, strict=True)


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


# Moments

_DIGITS: Final[Mapping[range, int]] = {range(9, 12): 1, range(12, 15): 10**3, range(15, 18): 10**6}
"""How many units are in a second, by the number of digits of a time since the epoch."""


def _moment(values: Sequence[Any]) -> tuple[int, bool]:
    """Microseconds since the epoch, and whether it is New York's midnight, as a date alone is.

    Raises:
        ValueError: it is no moment.
    """
    [value, *rest] = values
    if isinstance(value, datetime):
        return _micros(value)
    text = " ".join([str(value).strip(), *(str(each).strip() for each in rest)])
    if text.isdecimal() and len(text) > 8:
        units = next((units for digits, units in _DIGITS.items() if len(text) in digits), 10**9)
        return int(text) * SECOND // units, False
    return _micros(datetime.fromisoformat(text))


def _micros(moment: datetime) -> tuple[int, bool]:
    local = moment.replace(tzinfo=NEW_YORK) if moment.tzinfo is None else moment.astimezone(NEW_YORK)
    since = local.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds, local.time() == time.min


# Files

Records = Iterator[tuple[int, Record]]
"""Rows with their line numbers."""


@contextmanager
def _table(file: Path) -> Iterator[tuple[list[str], Records]]:
    with file.open("rb") as raw, _plain_text(raw, file) as stream:
        first = stream.readline()
        delimiter = max(",;\t", key=first.count)
        header = next(csv.reader([first], delimiter=delimiter), [])
        reader = csv.reader(stream, delimiter=delimiter)
        yield header, ((reader.line_num + 1, record) for record in reader)


def _plain_text(raw: IO[bytes], file: Path) -> TextIOWrapper:
    data = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if file.name.lower().endswith(".gz") else raw
    return TextIOWrapper(data, encoding="utf-8-sig", newline="")


@contextmanager
def _parquet(file: Path) -> Iterator[tuple[list[str], Records]]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise SettingsError(
            f"{file}: Parquet files need the pyarrow library; install it with: "
            "pip install -c .ci/constraints.txt -e '.[replay]', in TradeMind's directory; or replay CSV files"
        ) from error
    try:
        source = parquet.ParquetFile(file)
    except ArrowInvalid as error:
        raise SettingsError(
            f"{file}: it cannot be read as Parquet: {error}; write it anew, or replay CSV files"
        ) from error

    with source:
        batches = source.iter_batches(batch_size=20_000)
        rows = (row for batch in batches for row in zip(*map(_values, batch.columns), strict=True))
        yield list(source.schema_arrow.names), enumerate(rows, 1)


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values
