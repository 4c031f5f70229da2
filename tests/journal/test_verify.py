"""Verifying: sound journals, journals that contradict themselves, and damaged files."""

import os
import random
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.journal.conftest import Server
from tests.journal.making import a_fill, a_session, an_account, an_intent, an_order, filled
from tests.journal.meddling import writing
from trademind.domain import OrderStatus
from trademind.errors import SettingsError, StateNotKept
from trademind.journal import (
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Journal,
    OrderChanged,
    Report,
    SessionChanged,
    StateSet,
    migrations,
    open_journal,
    verify,
)

ORDERS = 40


async def a_day(journal: Journal) -> None:
    """Orders with all that belongs to them; two intents nothing came of."""
    for number in range(ORDERS):
        key = f"order{number}"
        await journal.accept(an_intent(key))
        order = an_order(key, number)
        journal.note(OrderChanged("new", replace(order, status=OrderStatus.PENDING_SUBMIT)))
        journal.note(OrderChanged("accepted", order))
        half = Decimal(5)
        journal.note(ExecutionReported(a_fill(order, f"{number:04}.1.01", quantity=Decimal(4))))
        journal.note(ExecutionReported(a_fill(order, f"{number:04}.1.02", quantity=half)))
        journal.note(ExecutionReported(a_fill(order, f"{number:04}.2.01", quantity=half)))
        journal.note(
            CommissionReported(
                exec_id=f"{number:04}.2.01", commission=Decimal(1), currency="USD", realized_pnl=None
            )
        )
        journal.note(OrderChanged("fill", filled(order)))
        journal.note(AccountSnapshot(an_account(number)))
    external = an_order("ib-77", 77, client_order_id=None, external=True, order_ref="")
    journal.note(OrderChanged("new", replace(external, filled_quantity=Decimal(3))))  # of before the journal
    journal.note(
        ExecutionReported(a_fill(external, "9999.01", order_id=None, perm_id=5, order_ref="by hand"))
    )
    journal.note(SessionChanged(a_session()))
    journal.note(StateSet("mode", "normal"))
    journal.note(Audit(actor="a", origin="b", action="c", subject=None, request={"a": 1}, outcome="d"))
    await journal.accept(an_intent("pending1"))
    await journal.accept(an_intent("pending2"))
    await journal.flushed()


async def spoil(place: str, *statements: str) -> None:
    """What no program of ours does; the triggers that refuse it go first."""
    async with writing(place) as connection:
        if connection.dialect.name == "sqlite":
            await connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            found = await connection.execute(text("SELECT name FROM sqlite_schema WHERE type = 'trigger'"))
            for (name,) in found.all():
                await connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            await connection.execute(text("SET session_replication_role = replica"))
        for statement in statements:
            await connection.execute(text(statement))
        await connection.commit()


async def test_a_sound_journal(place: str) -> None:
    async with open_journal(place) as journal:
        assert (await verify(journal)).is_sound
        await a_day(journal)
        reports = [await verify(journal), await verify(place)]
        last_seq = journal.last_seq
    reports.append(await verify(place))
    for report in reports:
        assert report.findings == []
        assert report.is_sound
        assert report.last_seq == last_seq
        assert report.schema == migrations.REVISIONS[-1]
        assert (report.pending, report.pending_count) == (["pending1", "pending2"], 2)
        assert report.rows == {
            "intents": ORDERS + 2,
            "orders": ORDERS + 1,
            "events": last_seq,
            "executions": 3 * ORDERS + 1,
            "commission_reports": ORDERS,
            "account_snapshots": ORDERS,
            "audit": 1,
            "state": 1,
            "signals": 0,
            "writer": 1,
            "bar_series": 0,
            "bars": 0,
            "bar_spans": 0,
            "bar_jobs": 0,
        }


@pytest.mark.parametrize(
    ("statements", "kinds", "said"),
    [
        (["DELETE FROM events WHERE seq = 7"], {"gap"}, "events 7 to 7"),
        (["DELETE FROM events WHERE seq BETWEEN 1 AND 3"], {"gap"}, "events 1 to 3"),
        (["UPDATE writer SET last_seq = last_seq + 5"], {"cut_short"}, "are missing"),
        (["DELETE FROM writer"], {"cut_short"}, "how many"),
        (["DELETE FROM orders WHERE id = 'order5'"], {"order_missing", "execution_without_order"}, "order5"),
        (["DELETE FROM executions WHERE exec_id = '0003.2.01'"],
         {"fills_differ", "commission_without_execution"}, "0003.2.01"),
        (["DELETE FROM executions WHERE exec_id = '0003.1.02'"], {"fills_differ"}, "10 were filled"),
        (["UPDATE events SET body = '{' WHERE seq = 9"], {"unreadable"}, "events 9"),
        (["UPDATE orders SET body = '{}' WHERE id = 'order3'"], {"unreadable", "fills_differ"}, "order3"),
        (["UPDATE state SET value = 'x'"], {"unreadable"}, "state mode"),
        (["UPDATE audit SET request = 'x'"], {"unreadable"}, "audit 1"),
        (["UPDATE intents SET body = 'x' WHERE client_order_id = 'order1'"], {"unreadable"}, "order1"),
        (["UPDATE executions SET body = 'x' WHERE exec_id = '0003.1.01'"], {"unreadable"}, "0003.1.01"),
    ],
)  # fmt: skip
async def test_what_contradicts_itself(place: str, statements: list[str], kinds: set[str], said: str) -> None:
    async with open_journal(place) as journal:
        await a_day(journal)
    # SQLite would not let go of events that orders refer to.
    if place.endswith(".db"):
        await without_foreign_keys(place, statements)
    else:
        await spoil(place, *statements)
    report = await verify(place)
    assert not report.is_sound
    assert set(report.counts) - {"damaged"} == kinds
    assert any(said in finding.detail for finding in report.findings)


async def without_foreign_keys(place: str, statements: list[str]) -> None:
    import sqlite3

    connection = sqlite3.connect(place, isolation_level=None)
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for statement in [*(f"DROP TRIGGER {name}" for (name,) in names), *statements]:
        connection.execute(statement)
    connection.close()


async def test_a_column_that_makes_no_sense(sqlite_place: str) -> None:
    async with open_journal(sqlite_place) as journal:
        await a_day(journal)
    await without_foreign_keys(
        sqlite_place,
        [
            "UPDATE events SET time = 'noon' WHERE seq = 9",
            "UPDATE audit SET actor = CAST(x'ff' AS TEXT)",
        ],
    )
    report = await verify(sqlite_place)
    assert set(report.counts) == {"unreadable", "gap"}
    assert report.rows["events"] == report.last_seq - 1


async def test_findings_are_bounded(place: str) -> None:
    async with open_journal(place) as journal:
        for number in range(150):
            journal.note(OrderChanged("new", an_order(f"order{number}", number)))
    await (without_foreign_keys(place, ["UPDATE events SET body = 'x'"]) if place.endswith(".db")
           else spoil(place, "UPDATE events SET body = 'x'"))  # fmt: skip
    report = await verify(place)
    assert report.counts == {"unreadable": 150}
    assert len(report.findings) == 100


async def test_a_file_that_was_cut_short(tmp_path: Path) -> None:
    """At every twentieth of its length: it says so, says what is there, and is not opened."""
    place, short = tmp_path / "journal.db", tmp_path / "short.db"
    async with open_journal(place) as journal:
        await a_day(journal)
    whole = size_of(place)
    readable = []
    for part in range(20):
        cut(place, short, whole * part // 20)
        report = await verify(short)
        assert not report.is_sound
        assert report.findings[0].kind == "damaged"
        assert "cut short" in report.findings[0].detail or part == 0
        readable.append(sum(report.rows.values()))
        before = content(short)
        with pytest.raises(SettingsError, match="journal verify"):
            async with open_journal(short):
                pass
        assert content(short) == before
    assert readable == sorted(readable)
    assert readable[-1] > 100
    assert any(finding.kind == "rows_missing" for finding in report.findings)


async def test_a_file_that_was_overwritten_in_the_middle(tmp_path: Path) -> None:
    rng = random.Random(3)
    place, spoiled = tmp_path / "journal.db", tmp_path / "spoiled.db"
    async with open_journal(place) as journal:
        await a_day(journal)
    found = 0
    for _ in range(40):
        scribble(place, spoiled, rng)
        report = await verify(spoiled)
        found += not report.is_sound
        describe(report)
    assert found >= 25  # what is overwritten may be free space


def describe(report: Report) -> str:
    return "\n".join(f"{finding.kind}: {finding.detail}" for finding in report.findings)


def size_of(path: Path) -> int:
    return path.stat().st_size


def content(path: Path) -> bytes:
    return path.read_bytes()


def cut(source: Path, target: Path, length: int) -> None:
    for each in target.parent.glob(target.name + "*"):
        each.unlink()
    target.write_bytes(source.read_bytes()[:length])


def scribble(source: Path, target: Path, rng: random.Random) -> None:
    for each in target.parent.glob(target.name + "*"):
        each.unlink()
    shutil.copyfile(source, target)
    with target.open("r+b") as stream:
        stream.seek(rng.randrange(100, size_of(target) - 5000))
        stream.write(rng.randbytes(rng.choice([16, 500, 5000])))


async def test_places_without_a_journal(tmp_path: Path, server: Server) -> None:
    with pytest.raises(SettingsError, match="there is no journal"):
        await verify(tmp_path / "nothing.db")
    assert os.listdir(tmp_path) == []
    with pytest.raises(StateNotKept, match="cannot be reached"):
        await verify(f"postgresql://postgres@/x?host={tmp_path}")
    with pytest.raises(SettingsError, match="does not exist"):
        await verify(server.url("nowhere"))
    report = await verify(server.url("postgres"))
    assert [finding.detail for finding in report.findings] == ["it has not the tables of a journal"]
