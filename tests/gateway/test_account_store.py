"""The paper account on disk: restarts, kills, damage, and two processes that want the same one."""

import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.engine.trading import AAPL, START, UNIVERSE, errors, fills, market
from trademind.clock import ManualClock
from trademind.domain import OrderType, Side, TimeInForce
from trademind.errors import SettingsError
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.ledger import cents
from trademind.gateway.engine.model import Event, Ticket
from trademind.gateway.store import AccountStore, open_exchange

CASH = Decimal(100_000)


class Session:
    """One run of a gateway: an open store, its exchange, and a save after every command."""

    def __init__(self, store: AccountStore, clock: ManualClock, cash: Decimal) -> None:
        self.store = store
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
            order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            tif=TimeInForce(tif),
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
        assert errors(run.place(6, "BUY", 1)) == [103]
        [execution] = fills(run.place(7, "BUY", 1))
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
        assert run.exchange.next_order_id(1) == 7


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


@pytest.mark.parametrize("change", [{"version": 99}, {"kind": "order"}, {"cash": "much"}])
def test_an_account_of_another_version(tmp_path: Path, change: dict[str, object]) -> None:
    with session(tmp_path):
        pass
    path = log_file(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change) + "\n")
    with pytest.raises(SettingsError, match="line 1"), session(tmp_path):
        pass


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
