"""Exports, read back by other programs' libraries."""

import csv
import stat
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.journal.making import START, a_fill, an_account, an_intent, an_order, filled
from trademind.domain import Notice
from trademind.errors import SettingsError
from trademind.journal import (
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Journal,
    OrderChanged,
    StateSet,
    export,
    open_journal,
)
from trademind.journal.export import CHUNK, SHEETS

ODD = 'quotes " commas , lines \n and é \ud800 \0'
COUNT = CHUNK + 10


async def some_of_everything(journal: Journal) -> None:
    await journal.accept(an_intent("order0"))
    notice = Notice(time=START, ib_code=399, message=ODD)
    for number in range(COUNT):
        order = filled(an_order(f"order{number}", number, reason=ODD, notices=(notice,)))
        journal.note(OrderChanged("fill", order))
    fill = a_fill(order, price=Decimal("0.10000000000000000001"))
    journal.note(ExecutionReported(fill))
    journal.note(ExecutionReported(a_fill(order, "0002.01", time=START + timedelta(hours=1))))
    journal.note(
        CommissionReported(
            exec_id="0001.01", commission=Decimal("1.00"), currency="USD", realized_pnl=Decimal("-2.50")
        )
    )
    journal.note(AccountSnapshot(an_account()))
    journal.note(StateSet("mode", "normal"))
    journal.note(Audit(actor="a", origin="b", action="c", subject=None, request=None, outcome="d"))
    await journal.flushed()


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def read_parquet(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


async def test_csv(place: str, tmp_path: Path) -> None:
    async with open_journal(place) as journal:
        await some_of_everything(journal)
        files = await export(journal, tmp_path)
    assert [file.path.name for file in files] == [f"{name}.csv" for name in SHEETS]
    rows = {file.path.stem: read_csv(file.path) for file in files}
    assert {name: len(each) for name, each in rows.items()} == {file.path.stem: file.rows for file in files}
    assert len(rows["orders"]) == COUNT
    order = rows["orders"][3]
    assert order["id"] == "order3"
    assert (order["contract_symbol"], order["contract_con_id"]) == ("AAPL", "265598")
    assert (order["limit_price"], order["stop_price"]) == ("187.10", "")
    assert (order["status"], order["external"]) == ("filled", "false")
    assert order["created_at"] == "2024-03-01T14:30:00.000000Z"
    assert order["reason"] == ODD.replace("\ud800", "\\ud800")
    first, second = rows["executions"]
    assert (first["exec_id"], first["price"]) == ("0001.01", "0.10000000000000000001")
    assert (first["commission"], first["realized_pnl"]) == ("1.00", "-2.50")
    assert (second["exec_id"], second["commission"]) == ("0002.01", "")
    assert rows["events"][0]["seq"] == "1"
    assert rows["account_snapshots"][0]["net_liquidation"] == "100000.00"
    assert all(stat.S_IMODE(file.path.stat().st_mode) == 0o600 for file in files)


async def test_parquet(place: str, tmp_path: Path) -> None:
    async with open_journal(place) as journal:
        await some_of_everything(journal)
    files = await export(place, tmp_path, format="parquet")
    rows = {file.path.stem: read_parquet(file.path) for file in files}
    assert {name: len(each) for name, each in rows.items()} == {file.path.stem: file.rows for file in files}
    order = rows["orders"][COUNT - 1]
    assert order["contract_con_id"] == 265598
    assert order["external"] is False
    assert order["created_at"] == datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
    assert (order["limit_price"], order["stop_price"]) == ("187.10", None)
    assert rows["executions"][0]["price"] == "0.10000000000000000001"
    assert rows["executions"][1]["commission"] is None
    assert rows["executions"][0]["perm_id"] == 1000 + COUNT - 1
    assert [event["seq"] for event in rows["events"]] == list(range(1, COUNT + 4))
    assert rows["state"] == [
        {"key": "mode", "value": '"normal"', "updated_at": rows["state"][0]["updated_at"]}
    ]


async def test_an_empty_journal(place: str, tmp_path: Path) -> None:
    async with open_journal(place):
        pass
    for kind in ("csv", "parquet"):
        files = await export(place, tmp_path, format=kind)
        assert [file.rows for file in files] == [0] * len(SHEETS)
    assert read_parquet(tmp_path / "orders.parquet") == []
    assert read_csv(tmp_path / "orders.csv") == []


async def test_what_is_refused(sqlite_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_journal(sqlite_place) as journal:
        await journal.accept(an_intent("one"))
        with pytest.raises(SettingsError, match="there is no table 'trades'"):
            await export(journal, tmp_path, only=["trades"])
        files = await export(journal, tmp_path, only=["intents"])
        assert [(file.path.name, file.rows) for file in files] == [("intents.csv", 1)]
        with pytest.raises(SettingsError, match="is there already"):
            await export(journal, tmp_path, only=["intents"])
        with pytest.raises(SettingsError, match="cannot be written"):
            await export(journal, tmp_path / "nowhere")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(SettingsError, match="need pyarrow"):
            await export(journal, tmp_path, format="parquet")
    with pytest.raises(SettingsError, match="there is no journal"):
        await export(tmp_path / "nothing.db", tmp_path)
