import builtins
import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trademind.errors import SettingsError
from trademind.gateway.feeds import tape_files
from trademind.gateway.feeds.tape import SECOND, Rows
from trademind.gateway.feeds.tape_files import read_tapes

NEW_YORK = ZoneInfo("America/New_York")
BARS = """time,open,high,low,close,volume
2026-04-15 09:30:00,10,11,9,10.5,1000
2026-04-15 09:31:00,10.5,12,10,11,
"""


def micros(text: str, zone: Any = NEW_YORK) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * SECOND)


def written(directory: Path, text: str, name: str = "X.csv") -> Path:
    file = directory / name
    file.write_text(text)
    return file


def only(path: Path) -> Rows:
    [rows] = read_tapes(path).values()
    return rows


def test_bars(tmp_path: Path) -> None:
    rows = read_tapes(written(tmp_path, BARS, "aapl.csv"))["AAPL"]
    assert list(rows.times) == [micros("2026-04-15T09:30"), micros("2026-04-15T09:31")]
    assert [list(each) for each in (rows.opens, rows.highs, rows.lows, rows.closes)] == [
        [10, 10.5], [11, 12], [9, 10], [10.5, 11]
    ]  # fmt: skip
    assert list(rows.volumes) == [1000, 0]
    assert not rows.are_ticks
    assert not rows.are_dates


def test_a_symbol_column_other_names_and_gzip(tmp_path: Path) -> None:
    text = "Ticker;Date;Open;High;Low;Close;Volume;Adj Close\n"
    text += "AAPL;2000-03-01;1;2;1;2;5;9\nIBM;20000301;3;4;3;4;6;9\n"
    file = tmp_path / "stocks.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    tapes = read_tapes(file)
    assert {symbol: rows.closes[0] for symbol, rows in tapes.items()} == {"AAPL": 2, "IBM": 4}
    assert all(rows.are_dates and rows.times[0] == micros("2000-03-01") for rows in tapes.values())


def test_ticks(tmp_path: Path) -> None:
    text = (
        "timestamp,price,size,bid,ask,bid_size,Ask Size\n"
        "1776259800,10.01,100,10,10.02,300,400\n1776259800500,10.02,5,10.01,10.03,1,2\n"
    )
    rows = only(written(tmp_path, text))
    assert rows.are_ticks
    assert list(rows.times) == [1776259800 * SECOND, 1776259800 * SECOND + SECOND // 2]
    assert list(rows.closes) == [10.01, 10.02]
    assert list(rows.volumes) == [100, 5]
    assert list(zip(rows.bids, rows.asks, rows.bid_sizes, rows.ask_sizes, strict=True)) == [
        (10, 10.02, 300, 400),
        (10.01, 10.03, 1, 2),
    ]


def test_quotes_alone_are_ticks(tmp_path: Path) -> None:
    rows = only(written(tmp_path, "time,bid,ask\n2026-04-15T14:00:00Z,1,2\n"))
    assert rows.closes[0] == 1.5
    assert rows.times[0] == micros("2026-04-15T14:00", UTC)


@pytest.mark.parametrize(
    "moment",
    ["2026-04-15T09:30:00-04:00", "20260415 09:30:00", "1776259800", "1776259800000", "1776259800000000000"],
)
def test_times(tmp_path: Path, moment: str) -> None:
    rows = only(written(tmp_path, f"Time,Price\n{moment},1\n"))
    assert rows.times[0] == 1776259800 * SECOND


def test_date_and_time_may_be_two_columns(tmp_path: Path) -> None:
    rows = only(written(tmp_path, "Date\tTime\tPrice\n20260415\t09:30:00\t1\n"))
    assert rows.times[0] == 1776259800 * SECOND


def test_a_directory_is_all_its_files(tmp_path: Path) -> None:
    written(tmp_path, BARS, "AAPL.csv")
    written(tmp_path, BARS, "EUR.USD.csv")
    written(tmp_path, "not prices", "README.txt")
    assert set(read_tapes(tmp_path)) == {"AAPL", "EUR.USD"}


def test_parquet(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    moments = [datetime(2026, 4, 15, 9, 30), datetime(2026, 4, 15, 9, 31)]  # noqa: DTZ001 - as pandas writes them
    table = pa.table(
        {
            "open": [10, 10.5],
            "high": [11.0, 12],
            "low": [9.0, 10],
            "close": [10.5, 11],
            "volume": [1000, None],
            "__index_level_0__": moments,
        }
    )
    parquet.write_table(table, tmp_path / "X.parquet")
    assert only(tmp_path / "X.parquet") == only(written(tmp_path, BARS))
    (tmp_path / "bad.parquet").write_bytes(b"none")
    with pytest.raises(SettingsError, match=r"bad\.parquet: it cannot be read as Parquet"):
        read_tapes(tmp_path / "bad.parquet")


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *args: Any, **more: Any) -> Any:
        if name == "pyarrow":
            raise ImportError(name)
        return original(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(SettingsError, match=r"-e '\.\[replay\]'"):
        read_tapes(written(tmp_path, "", "X.parquet"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"X\.csv:1: no column says when"),
        ("price,size\n1,1\n", r"X\.csv:1: no column says when"),
        ("time,open,high,low\n", r"X\.csv:1: the columns are time, open, high, low; bars need"),
        ("time,price\n", r"X\.csv: there are no prices in it"),
        ("time,price\nyesterday,1\n", r"X\.csv:2: 'yesterday' is not a time; write it as"),
        (
            "time,price\n2026-04-15,1\n2026-04-16,dear\n",
            r"X\.csv:3: the price is 'dear', which is not a number",
        ),
        ("time,price\n2026-04-15,nan\n", r"X\.csv:2: the price is 'nan', which is not a number"),
        ("time,price\n2026-04-15,0\n", r"X\.csv:2: the price is '0'; prices are above zero"),
        ("time,price,size\n2026-04-15,1,-1\n", r"X\.csv:2: the size is '-1'; it cannot be below zero"),
        ("time,price\n2026-04-15\n", r"X\.csv:2: there are 1 fields, and 2 columns"),
        ("time,price\n2026-04-16,1\n2026-04-15,1\n", r"X\.csv:3: time goes back; sort"),
        ("time,bid,ask\n2026-04-15,2,1\n", r"X\.csv:2: the bid is above the ask"),
        ("time,o,h,l,c\n2026-04-15,1,2,1,3\n", r"X\.csv:2: open and close have to lie between"),
        ("time,o,h,l,c\n2026-04-15,1,2,1,1\n2026-04-15,1,2,1,1\n", r"X\.csv:3: two bars .* the same time"),
        ("time,symbol,price\n2026-04-15,,1\n", r"X\.csv:2: the symbol is empty"),
        ("time,price\n\x00,1\n", r"X\.csv:2: "),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        read_tapes(written(tmp_path, text))


def test_bars_and_ticks_do_not_mix(tmp_path: Path) -> None:
    written(tmp_path, "symbol,time,price\nA,2026-04-15,1\n", "1.csv")
    written(tmp_path, "symbol,time,o,h,l,c\nA,2026-04-16,1,1,1,1\n", "2.csv")
    with pytest.raises(SettingsError, match=r"2\.csv:2: bars and ticks"):
        read_tapes(tmp_path)
    written(tmp_path, "symbol,time,price,bid,ask\nA,2026-04-16,1,1,2\n", "2.csv")
    with pytest.raises(SettingsError, match=r"2\.csv:2: former files of this symbol have no bid and ask"):
        read_tapes(tmp_path)


def test_what_is_no_file_of_prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        read_tapes(tmp_path / "none.csv")
    with pytest.raises(SettingsError, match=r"there is no file in it that ends in \.csv"):
        read_tapes(tmp_path)
    with pytest.raises(SettingsError, match=r"replayed files end in \.csv"):
        read_tapes(written(tmp_path, "", "prices.xls"))
    (tmp_path / "X.csv").write_bytes(b"time,price\n\xff\xfe,1\n")
    with pytest.raises(SettingsError, match=r"cannot be read: .*; save it as UTF-8 text"):
        read_tapes(tmp_path / "X.csv")
    (tmp_path / "X.csv.gz").write_bytes(b"not gzipped")
    with pytest.raises(SettingsError, match=r"cannot be read: .* compress it anew"):
        read_tapes(tmp_path / "X.csv.gz")
    packed = bytearray(gzip.compress(BARS.encode()))
    for damaged in (bytes(packed[:-9]), bytes(packed[:10]) + b"\xff" * 20):
        (tmp_path / "X.csv.gz").write_bytes(damaged)
        with pytest.raises(SettingsError, match=r"cannot be read: .* compress it anew"):
            read_tapes(tmp_path / "X.csv.gz")
    monkeypatch.setattr(tape_files, "MAX_ROWS", 1)
    with pytest.raises(SettingsError, match="more than 1 rows"):
        read_tapes(written(tmp_path, BARS))
