"""The paper account on disk: restarts, kills, damage, and two processes that want the same one."""

import errno
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.engine.trading import AAPL, EURUSD, START, UNIVERSE, errors, fills, market
from trademind.clock import ManualClock
from trademind.domain import Side
from trademind.errors import SettingsError
from trademind.gateway.engine.corporate_actions import Dividend, Split
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.ledger import cents
from trademind.gateway.engine.model import Event, IBOrderType, IBTif, Ticket
from trademind.gateway.store import AccountStore, open_exchange

CASH = Decimal(100_000)


class Session:
    """One run of a gateway: an open store, its exchange, and a save after every command."""

    def __init__(self, store: AccountStore, clock: ManualClock, cash: Decimal) -> None:
        self.store = store
        self.clock = clock
        self.exchange = open_exchange(store, cash=cash, clock=clock, universe=UNIVERSE)

    def quote(self, bid: str, ask: str) -> list[Event]:
        return self._save(self.exchange.on_quote(market(bid, ask)))

    def place(
        self, order_id: int, side: str, quantity: int, limit: str | None = None, *, tif: str = "DAY"
    ) -> list[Event]:
        ticket = Ticket(
            client_id=1,
            order_id=order_id,
            account=self.exchange.account_id,
            instrument=AAPL,
            side=Side(side),
            quantity=Decimal(quantity),
            order_type=IBOrderType.MARKET if limit is None else IBOrderType.LIMIT,
            tif=IBTif(tif),
            limit_price=None if limit is None else Decimal(limit),
            order_ref="k:1",
        )
        return self._save(self.exchange.place(ticket))

    def cancel(self, order_id: int) -> list[Event]:
        return self._save(self.exchange.cancel(1, order_id, by_client_id=1))

    def _save(self, events: list[Event]) -> list[Event]:
        self.store.save(self.exchange)
        assert self.exchange.journal == []
        return events


@contextmanager
def session(directory: Path | None, *, at: datetime = START, cash: Decimal = CASH) -> Iterator[Session]:
    with AccountStore(directory) as store:
        yield Session(store, ManualClock(at), cash)


def trade(run: Session) -> None:
    """Some of everything: fills, a working order, a modified and a cancelled one, a rejection."""
    run.quote("99.99", "100.01")
    run.place(1, "BUY", 100)
    run.place(2, "SELL", 30)
    run.place(3, "BUY", 10, "90.00", tif="GTC")
    run.place(3, "BUY", 12, "91.00", tif="GTC")
    run.place(4, "BUY", 10, "89.00")
    run.place(5, "BUY", 10, "88.00")
    run.cancel(5)
    assert errors(run.place(6, "BUY", 10**7)) == [201]


def picture(exchange: PaperExchange) -> dict[str, Any]:
    """Everything of an account that a client can see, the market being the same."""
    exchange.on_quote(market("99.99", "100.01"))
    exchange.journal.clear()
    return {
        "account": exchange.account_id,
        "figures": exchange.figures(),
        "positions": exchange.positions(),
        "orders": exchange.orders(),
        "completed": exchange.completed_orders(),
        "executions": exchange.executions(),
        "next id": exchange.next_order_id(1),
    }


def log_file(directory: Path) -> Path:
    [found] = directory.glob("*.jsonl")
    return found


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
        before = picture(run.exchange)
    for _ in range(2):  # the second time from the compacted file
        with session(tmp_path, at=START + timedelta(hours=1)) as run:
            assert picture(run.exchange) == before


def test_ids_go_on_after_a_restart(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
        old = {each.exec_id for each in run.exchange.executions()}
        highest = max(each.perm_id for each in run.exchange.orders())
    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        assert errors(run.place(5, "BUY", 1)) == [103]
        [execution] = fills(run.place(6, "BUY", 1))
        assert execution.exec_id not in old
        assert execution.perm_id > highest


def test_working_orders_still_work(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
    with session(tmp_path) as run:
        assert [(each.order_id, each.quantity) for each in fills(run.quote("90.99", "91.00"))] == [
            (3, Decimal(12))
        ]
        assert fills(run.quote("88.99", "89.00"))
        assert run.exchange.orders() == []


def test_day_orders_end_with_their_day(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
        cash = run.exchange.figures().total_cash_value
    tomorrow = datetime(2026, 4, 16, 15, 0, tzinfo=UTC)
    with session(tmp_path, at=tomorrow) as run:
        assert [each.ticket.order_id for each in run.exchange.orders()] == [3]
        assert run.exchange.executions() == []
        assert run.exchange.completed_orders() == []
        figures = run.exchange.figures()
        assert (figures.total_cash_value, figures.realized_pnl) == (cash, Decimal(0))
        assert run.exchange.next_order_id(1) == 6


def test_a_day_that_ends_while_it_runs(tmp_path: Path) -> None:
    tomorrow = datetime(2026, 4, 16, 15, 0, tzinfo=UTC)
    with session(tmp_path) as run:
        trade(run)
        run.exchange.roll(tomorrow)
        run.store.save(run.exchange)
        run.place(7, "BUY", 1)
        before = picture(run.exchange)
        assert len(before["executions"]) == 1
    with session(tmp_path, at=tomorrow) as run:
        assert picture(run.exchange) == before


def test_the_days_profit_survives_a_restart(tmp_path: Path) -> None:
    """That of a position from last night which was closed today rests on a price of yesterday."""
    tomorrow = START + timedelta(days=1)

    def show(run: Session) -> Decimal:
        for _ in run.exchange.needs_quotes():  # only what the exchange asks for
            run.exchange.on_quote(market("104.99", "105.01", close="103"))
        run.store.save(run.exchange)
        return run.exchange.figures().daily_pnl

    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        run.place(1, "BUY", 100)
    with session(tmp_path, at=tomorrow) as run:
        show(run)
        run.place(2, "SELL", 100)
        assert show(run) == Decimal("198.00")  # 100 x (104.99 - 103) - 1
    for _ in range(2):
        with session(tmp_path, at=tomorrow) as run:
            assert show(run) == Decimal("198.00")


def test_time_priority_survives_a_restart(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        for order_id in (1, 2, 3):
            run.place(order_id, "BUY", 10, "99.00")
        run.place(1, "BUY", 11, "99.00")  # larger: to the back
        run.place(2, "BUY", 9, "99.00")
    for _ in range(2):
        with session(tmp_path) as run:
            assert [each.ticket.order_id for each in run.exchange.orders()] == [1, 2, 3]
    with session(tmp_path) as run:
        assert [each.order_id for each in fills(run.quote("98.00", "98.01"))] == [2, 3, 1]


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Files of this process may not grow beyond `room` bytes: the system writes up to there, then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 10, 300])
def test_a_full_disk_loses_nothing(tmp_path: Path, room: int) -> None:
    with session(tmp_path) as run:
        trade(run)
        path = log_file(tmp_path)
        content = path.read_bytes()
        with full_disk(len(content) + room):
            for order_id in range(7, 47):  # far more than any buffer holds
                with pytest.raises(OSError, match="File too large"):
                    run.place(order_id, "BUY", 1, "50.00", tif="GTC")
                assert path.read_bytes() == content
        run.place(47, "BUY", 1)
        before = picture(run.exchange)
        assert len(before["orders"]) == 42
    with session(tmp_path) as run:
        assert picture(run.exchange) == before


def test_half_a_line_that_cannot_be_cut_off_at_once(tmp_path: Path) -> None:
    class Stuck(FileIO):
        stuck = True

        def truncate(self, size: int | None = None) -> int:
            if self.stuck:
                raise OSError(errno.EIO, "stuck")
            return super().truncate(size)

    with session(tmp_path) as run:
        trade(run)
        path = log_file(tmp_path)
        content = path.read_bytes()
        assert run.store._log is not None
        run.store._log.close()
        stream = run.store._log = Stuck(path, "ab")
        with full_disk(len(content) + 10), pytest.raises(OSError, match="File too large"):
            run.place(7, "BUY", 1)
        assert len(path.read_bytes()) == len(content) + 10
        with pytest.raises(OSError, match="stuck"):
            run.place(8, "BUY", 1)
        assert len(path.read_bytes()) == len(content) + 10
        stream.stuck = False
        run.place(9, "BUY", 1)
        before = picture(run.exchange)
        assert len(before["executions"]) == 5
    with session(tmp_path) as run:
        assert picture(run.exchange) == before


def test_a_full_disk_at_the_start(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
        before = picture(run.exchange)
    content = log_file(tmp_path).read_bytes()
    with (
        pytest.raises(SettingsError, match="cannot be written: File too large") as caught,
        full_disk(100),
        session(tmp_path),
    ):
        pass
    assert "\n" not in caught.value.detail
    assert log_file(tmp_path).read_bytes() == content
    assert not list(tmp_path.glob("*.new"))
    with session(tmp_path) as run:
        assert picture(run.exchange) == before


def test_the_new_file_is_on_the_disk_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda handle: forced.append(stat.S_ISDIR(os.fstat(handle).st_mode)))
    with session(tmp_path):
        assert forced == [False, True]


def test_the_lock_is_let_go_of_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "no")

    with pytest.raises(OSError, match="no"), session(tmp_path):
        monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.undo()
    with session(tmp_path):
        pass


def test_half_a_line_is_as_if_it_had_not_happened(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
        before = picture(run.exchange)
        run.place(7, "BUY", 5)
    path = log_file(tmp_path)
    content = path.read_bytes()
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    for cut in (last + 1, (last + len(content)) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with session(tmp_path) as run:
            assert picture(run.exchange) == before


@pytest.mark.parametrize(
    "damage", [b"not json\n", b"[{}]\n", b'[{"kind":"order"}]\n', b'[{"kind":"x"}]\n', b"7\n", b"\xff\n"]
)
def test_damage_elsewhere_is_not_guessed_at(tmp_path: Path, damage: bytes) -> None:
    with session(tmp_path) as run:
        trade(run)
    path = log_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content + damage + content.splitlines(keepends=True)[-1])
    with pytest.raises(SettingsError, match="trademind gateway reset") as caught, session(tmp_path):
        pass
    assert str(path) in caught.value.detail
    assert "\n" not in caught.value.detail
    assert path.read_bytes().startswith(content)


def assert_refused(directory: Path, content: bytes, cause: str) -> None:
    """The file is not taken for an account, is not overwritten, and the one line says what to do."""
    path = log_file(directory)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=cause) as caught, session(directory):
        pass
    for words in (str(path), "trademind gateway reset"):
        assert words in caught.value.detail
    assert "\n" not in caught.value.detail
    assert len(caught.value.detail) < 300 + len(str(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"kind": "order"},
        {"accounts": []},
        {"accounts": {}},
        {"rates": {"EUR": 1}},
        {"high_water": [1]},
        {"high_water": {"1": "2"}},
        {"high_water": {"x": 2}},
        {"next_perm": "1"},
        {"next_exec": -1},
        {"created_at": "2026-04-15T15:00:00"},
        {"created_at": "yesterday"},
        {"day": 5},
        {"day": "9999-12-31"},
        {"orders": [None]},
    ],
)
def test_an_account_of_another_version(tmp_path: Path, change: dict[str, object]) -> None:
    with session(tmp_path):
        pass
    content = log_file(tmp_path).read_bytes()
    assert_refused(tmp_path, json.dumps(json.loads(content) | change).encode() + b"\n", "not a paper account")


@pytest.mark.parametrize(
    "change",
    [
        {"cash": {"USD": "much"}},
        {"cash": {"USD": "NaN"}},
        {"cash": {"USD": "1e999999"}},
        {"cash": {"USD": 100000}},
        {"cash": "100000"},
        {"cash": None},
        {"account_id": 7},
        {"accrued": {"USD": 1}},
        {"payables": [{"due": "soon", "con_id": 1, "currency": "USD", "amount": "1"}]},
        {"holdings": {}},
        {"holdings": [[]]},
        {"holdings": [{"con_id": [1]}]},
    ],
)
def test_an_account_that_makes_no_sense(tmp_path: Path, change: dict[str, object]) -> None:
    with session(tmp_path):
        pass
    content = json.loads(log_file(tmp_path).read_bytes())
    content["accounts"][0] |= change
    assert_refused(tmp_path, json.dumps(content).encode() + b"\n", "not a paper account")


OLD = {
    "kind": "account",
    "version": 1,
    "account_id": "DUTM00001",
    "opening_cash": "100000",
    "cash": "98412.30",
    "created_at": "2026-04-15T15:00:00+00:00",
    "day": "2026-04-15",
    "next_perm": 3,
    "next_exec": 3,
    "high_water": {"1": 2},
    "holdings": [
        {
            "con_id": AAPL.con_id,
            "quantity": "5",
            "cost": "501.00",
            "mark": "100.00",
            "realized": "0",
            "day_quantity": "0",
            "day_flow": "-501.00",
            "prior_close": "99.00",
        },
        {
            "con_id": EURUSD.con_id,
            "quantity": "1000",
            "cost": "1086.70",
            "mark": "1.08500",
            "realized": "0",
            "day_quantity": "0",
            "day_flow": "-1086.70",
            "prior_close": None,
        },
    ],
    "orders": [],
    "executions": [],
}


def test_an_account_of_the_first_version_is_read(tmp_path: Path) -> None:
    """What was then a holding of euros is a balance of them now; nothing is gained or lost by that."""
    (tmp_path / "paper-account.jsonl").write_text(json.dumps(OLD) + "\n")
    for _ in range(2):  # the second time from the file in the new form
        with session(tmp_path) as run:
            run.exchange.on_quote(market("1.08500", "1.08510", of=EURUSD))
            figures = run.exchange.figures()
            assert figures.net_liquidation == Decimal("98412.30") + 500 + 1085
            assert figures.total_cash_value == Decimal("98412.30") + 1085
            assert {each.currency: each.cash_balance for each in figures.currencies} == {
                "USD": Decimal("98412.30"),
                "EUR": Decimal(1000),
            }
            assert [each.quantity for each in run.exchange.positions()] == [5, 1000]


def test_what_happens_without_orders_survives_too(tmp_path: Path) -> None:
    """Interest, a dividend to come, a split: from the journal first, and then from the state."""
    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        run.place(1, "BUY", 100)
    day = (START + timedelta(days=1)).date()
    actions = (
        Dividend(con_id=AAPL.con_id, ex_date=day, amount=Decimal("0.5"), pay_date=day + timedelta(days=9)),
        Split(con_id=AAPL.con_id, date=day, ratio=Decimal(2)),
    )
    with session(tmp_path) as run:
        run.clock.advance(timedelta(days=1))
        for action in actions:
            run._save(run.exchange.apply(action))
        before = picture(run.exchange)
        figures = run.exchange.figures()
        assert figures.accrued_cash > 0
        assert figures.accrued_dividend == 50
        assert [each.quantity for each in run.exchange.positions()] == [200]
    for _ in range(2):
        with session(tmp_path, at=START + timedelta(days=1)) as run:
            assert picture(run.exchange) == before
            for action in actions:
                assert run.exchange.apply(action) == []


def test_several_accounts_in_one_store(tmp_path: Path) -> None:
    first, second = {"DU1": Decimal(5000)}, {"DU2": Decimal(7000)}
    clock = ManualClock(START)
    with AccountStore(tmp_path) as store:
        exchange = open_exchange(store, cash=first | second, clock=clock, universe=UNIVERSE)
        exchange.on_quote(market("99.99", "100.01"))
        ticket = Ticket(
            client_id=1,
            order_id=1,
            account="DU2",
            instrument=AAPL,
            side=Side.BUY,
            quantity=Decimal(10),
            order_type=IBOrderType.MARKET,
            tif=IBTif.DAY,
        )
        exchange.place(ticket)
        store.save(exchange)
    with AccountStore(tmp_path) as store:  # from the journal; a third account is opened
        third = first | second | {"DU3": Decimal(1)}
        exchange = open_exchange(store, cash=third, clock=clock, universe=UNIVERSE)
        assert list(exchange.accounts) == ["DU1", "DU2", "DU3"]
        assert exchange.figures("DU1").total_cash_value == 5000
        assert exchange.figures("DU2").total_cash_value == Decimal("5998.90")
        assert exchange.figures("DU3").total_cash_value == 1
        assert exchange.positions("DU1") == []
        [position] = exchange.positions("DU2")
        assert position.quantity == 10
    for other, words in (({"DU1": Decimal(5000)}, "DU2"), (third | {"DU2": Decimal(1)}, "7000")):
        with AccountStore(tmp_path) as store, pytest.raises(SettingsError, match=words):
            open_exchange(store, cash=other, clock=clock, universe=UNIVERSE)


def test_a_day_ends_once_wherever_the_process_dies(tmp_path: Path) -> None:
    """What the day's end brings, such as interest, is written down at once: no part of it happens again."""
    accounts = {f"DU{number:03}": Decimal(1_000_000) for number in range(60)}
    clock = ManualClock(START)
    copies: list[Path] = []
    with AccountStore(tmp_path / "whole") as store:
        exchange = open_exchange(store, cash=accounts, clock=clock, universe=UNIVERSE)
        clock.advance(timedelta(days=1))
        for number, _ in enumerate(exchange.pass_time(clock.now())):
            store.save(exchange)
            copies.append(tmp_path / str(number))
            copies[-1].mkdir()
            shutil.copy(log_file(tmp_path / "whole"), copies[-1])
        accrued = {name: each.ledger.accrued for name, each in exchange.accounts.items()}
    assert all(amount > 0 for amount in accrued.values())
    for died_here in copies:
        with AccountStore(died_here) as store:
            found = open_exchange(store, cash=accounts, clock=clock, universe=UNIVERSE)
            assert {name: each.ledger.accrued for name, each in found.accounts.items()} == accrued


def test_accounts_that_have_not_traded_can_be_exchanged(tmp_path: Path) -> None:
    for accounts in ({"DU1": Decimal(5)}, {"DU2": Decimal(6), "DU1": Decimal(7)}):
        with AccountStore(tmp_path) as store:
            exchange = open_exchange(store, cash=accounts, clock=ManualClock(START), universe=UNIVERSE)
            opened = {each.account_id: each.figures().net_liquidation for each in exchange.accounts.values()}
            assert opened == accounts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"side":"BUY"', '"side":"BUZ"'),
        ('"client_id":1', '"client_id":"1"'),
        ('"triggered":false', '"triggered":0'),
        ('"limit_price":"90.00"', '"limit_price":null'),
        ('"quantity":"30"', '"quantity":"Infinity"'),
        ('"commission":"1.00"', '"commission":1.0'),
        ("+00:00", ""),
    ],
)
def test_an_order_or_execution_that_makes_no_sense(tmp_path: Path, old: str, new: str) -> None:
    with session(tmp_path) as run:
        trade(run)
    content = log_file(tmp_path).read_text()
    assert old in content
    assert_refused(tmp_path, content.replace(old, new).encode(), "line")


@pytest.mark.parametrize("cut", ["empty", "torn", "without its newline"])
def test_a_first_line_that_is_not_whole(tmp_path: Path, cut: str) -> None:
    with session(tmp_path) as run:
        trade(run)
    first = log_file(tmp_path).read_bytes().splitlines()[0]
    content = {"empty": b"", "torn": first[:100], "without its newline": first}[cut]
    assert_refused(tmp_path, content, "line 1: it is empty or was cut off")


def test_brackets_without_end(tmp_path: Path) -> None:
    with session(tmp_path):
        pass
    assert_refused(tmp_path, b"[" * 100_000 + b"\n", "line 1")


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    with session(tmp_path):
        pass
    path = log_file(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory") as caught, session(tmp_path):
        pass
    assert str(path) in caught.value.detail
    with pytest.raises(SettingsError, match="cannot be deleted"):
        AccountStore(tmp_path).reset()


def test_lines_that_are_there_twice(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        run.place(1, "BUY", 10, "90.00")
        run.quote("89.00", "89.01")
        run.place(2, "SELL", 4)
        before = picture(run.exchange)
    first, *others = log_file(tmp_path).read_bytes().splitlines(keepends=True)
    assert len(others) == 3
    log_file(tmp_path).write_bytes(b"".join([first, *others, *others]))
    with session(tmp_path) as run:
        assert picture(run.exchange) == before


def test_an_instrument_that_is_not_traded_any_more(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
    path = log_file(tmp_path)
    path.write_text(path.read_text().replace('"con_id":265598', '"con_id":1'))
    with pytest.raises(SettingsError, match="con id 1 is not traded"), session(tmp_path):
        pass


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    with session(tmp_path):
        with pytest.raises(SettingsError, match="in use by another process"), AccountStore(tmp_path):
            pass
        with pytest.raises(SettingsError, match="in use by another process"):
            AccountStore(tmp_path).reset()
    with session(tmp_path):
        pass


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="TRADEMIND_DATA_DIR"), AccountStore(tmp_path / "file"):
        pass


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    with session(tmp_path / "new") as run:
        trade(run)
        assert stat.S_IMODE(log_file(tmp_path / "new").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_another_opening_balance(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        run.place(1, "BUY", 10, "90.00", tif="GTC")
    with session(tmp_path, cash=Decimal(250_000)) as run:  # not traded yet: adopted
        assert run.exchange.figures().total_cash_value == 250_000
        assert len(run.exchange.orders()) == 1
        trade_ticket = run.place(2, "BUY", 1)
        assert errors(trade_ticket) == []
        run.quote("99.99", "100.01")
    with pytest.raises(SettingsError) as caught, session(tmp_path):
        pass
    for words in ("TRADEMIND_PAPER__CASH", "--cash", "trademind gateway reset", "250000"):
        assert words in caught.value.detail
    assert "\n" not in caught.value.detail
    with session(tmp_path, cash=Decimal(250_000)) as run:
        assert len(run.exchange.executions()) == 1


def test_reset_starts_over(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        trade(run)
    AccountStore(tmp_path).reset()
    AccountStore(tmp_path).reset()
    with session(tmp_path, cash=Decimal(5000), at=START + timedelta(days=1)) as run:
        assert run.exchange.figures().net_liquidation == 5000
        assert run.exchange.orders() == []
        assert run.exchange.next_order_id(1) == 1


def test_the_log_does_not_grow_for_ever(tmp_path: Path) -> None:
    with session(tmp_path) as run:
        run.quote("99.99", "100.01")
        for order_id in range(1, 200):
            run.place(order_id, "BUY", 1, "50.00")
            run.cancel(order_id)
    grown = log_file(tmp_path).stat().st_size
    with session(tmp_path, at=START + timedelta(days=1)):
        assert log_file(tmp_path).stat().st_size < grown / 50


def test_without_a_directory_nothing_is_kept() -> None:
    with session(None) as run:
        trade(run)
        run.store.reset()
    with session(None) as run:
        assert run.exchange.orders() == []


WRITER = """
import sys
from pathlib import Path
from tests.gateway.test_account_store import session, START, timedelta
with session(Path(sys.argv[1])) as run:
    print("ready", flush=True)
    run.quote("99.99", "100.01")
    for order_id in range(run.exchange.next_order_id(1), 10**9):
        run.quote("99.99", "100.01")
        run.place(order_id, "BUY" if order_id % 2 else "SELL", 1 + order_id % 7)
        print(order_id, flush=True)
"""


@pytest.mark.parametrize("orders", [1, 40, 173])
def test_killed_in_the_middle_of_writing(tmp_path: Path, orders: int) -> None:
    """What was acknowledged before a SIGKILL is there afterwards, and the books agree."""
    acknowledged = 0
    for _ in range(2):  # the second one starts from what the first one left
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(orders):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
        with session(tmp_path) as run:
            exchange = run.exchange
            assert exchange.next_order_id(1) > acknowledged
            cash = CASH
            for each in exchange.executions():
                cash -= each.side.sign * cents(each.quantity * each.price) + each.commission
            assert exchange.figures().total_cash_value == cash
            done = {each.perm_id: each.filled for each in exchange.completed_orders() + exchange.orders()}
            for each in exchange.executions():
                done[each.perm_id] -= each.quantity
            assert set(done.values()) == {Decimal(0)}
            assert len({each.exec_id for each in exchange.executions()}) == len(exchange.executions())
