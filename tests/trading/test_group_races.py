"""What comes between the steps in which a group or a change is sent, and who else asks for its names."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.test_client import order, resting
from tests.brokers.test_faults import until
from tests.brokers.test_order_groups import on_the_exchange
from tests.proxy import Proxy
from tests.trading.test_entry import BY, open_desk
from trademind.aio import Tasks
from trademind.domain import OrderChange, OrderGroup, OrderStatus, StopLoss, bracket
from trademind.errors import DuplicateOrder, OrderNotWorking, TradeMindError, TradingHalted
from trademind.gateway.server import PaperGatewayServer
from trademind.trading import earlier
from trademind.trading.entry import Placed


@pytest.fixture
async def gateway() -> AsyncIterator[PaperGatewayServer]:
    async with PaperGatewayServer(cash=Decimal(100_000), seed=42) as server:
        yield server


@pytest.fixture
async def proxy(gateway: PaperGatewayServer) -> AsyncIterator[Proxy]:
    async with Proxy(gateway.port) as proxy:
        yield proxy


def protected(key: str) -> OrderGroup:
    """A market order with both exits."""
    loss = StopLoss(stop_price=Decimal(1))
    return bracket(order(client_order_id=key), take_profit=Decimal(1000), stop_loss=loss)


def hold(proxy: Proxy, message: int, *, without: str = "") -> list[list[str]]:
    """Keep messages of the gateway back, but for those that speak of an order whose name begins so."""
    held: list[list[str]] = []

    def keep(fields: list[str]) -> list[str] | None:
        if without and any(field.startswith(without) for field in fields):
            return fields
        held.append(fields)
        return None

    proxy.from_gateway[message] = keep
    return held


async def test_a_halt_holds_what_is_staged(gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path) -> None:
    """Taken out: what `Risk.halt` withdraws, and `before_release`; the bracket is placed and fills after the
    halt was answered."""
    async with open_desk(proxy.port, tmp_path) as desk:
        judged = hold(proxy, 5, without="key")
        placing = Tasks().spawn(
            desk.entry.place_group(protected("key"), by=BY), name="place", expected=TradeMindError
        )
        await until(lambda: judged)
        await desk.risk.halt("enough", by=BY)
        proxy.say(*judged[0])
        with pytest.raises((TradingHalted, OrderNotWorking)):
            await placing
        await until(lambda: not on_the_exchange(gateway))
        assert gateway.core.exchange.executions() == []
        assert {o.status for o in await desk.broker.get_orders()} == {OrderStatus.CANCELED}


@pytest.mark.parametrize("leg", ["key", "key:tp", "key:sl"])
async def test_a_cancel_on_its_way_holds_the_group(
    gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path, leg: str
) -> None:
    """The gateway has the cancel and its answer is late. Taken out: `Placing.withdraw`; the entry fills
    without the exit, or IB has no order of the last exit's id to release, and its group stays staged."""
    async with open_desk(proxy.port, tmp_path) as desk:
        judged = hold(proxy, 5, without="key")
        placing = Tasks().spawn(
            desk.entry.place_group(protected("key"), by=BY), name="place", expected=OrderNotWorking
        )
        await until(lambda: judged)
        late = [*(hold(proxy, message) for message in (3, 4))]
        cancel = Tasks().spawn(desk.entry.cancel(leg, by=BY), name="cancel")
        await until(lambda: any(late))
        proxy.say(*judged[0])
        with pytest.raises(OrderNotWorking):
            await placing
        proxy.from_gateway.clear()
        for fields in (*late[0], *late[1]):
            proxy.say(*fields)
        assert (await cancel).status is OrderStatus.CANCELED
        await until(lambda: not on_the_exchange(gateway))
        assert gateway.core.exchange.executions() == []


@pytest.mark.parametrize("group_first", [True, False])
async def test_a_name_of_a_group_makes_one_order_also_at_the_same_time(
    gateway: PaperGatewayServer, tmp_path: Path, *, group_first: bool
) -> None:
    """Taken out: the locks of the exits' names, and the look at them; two orders of that name work at IB, and
    the book knows of one."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order(client_order_id="first"))
        for number in range(5):
            key = f"b{number}"
            single = resting(client_order_id=f"{key}:tp", symbol="MSFT")
            calls: list[Callable[[], Awaitable[Placed]]] = [
                lambda key=key: desk.entry.place_group(protected(key), by=BY),  # type: ignore[misc]
                lambda single=single: desk.entry.place(single, by=BY),  # type: ignore[misc]
            ]
            made = await asyncio.gather(
                *(call() for call in (calls if group_first else reversed(calls))), return_exceptions=True
            )
            assert [isinstance(each, DuplicateOrder) for each in made] == [False, True]
            assert on_the_exchange(gateway).count(f"{key}:tp") == 1


async def test_a_name_of_a_group_is_never_another_orders(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when IB and the book have forgotten it. Taken out: `OrderEntry._check_names`; each is placed, and
    the journal's order of that name becomes the new one."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order(client_order_id="single:tp"))
        made = (await desk.entry.place_group(protected("group"), by=BY)).orders
        again = order(client_order_id="group:tp", side="SELL", order_type="LMT", limit_price="1000")
        assert again.quantity == made[1].quantity
        with pytest.raises(DuplicateOrder):  # the very terms, and yet no order of its own
            await desk.place(again)
        await desk.broker.cancel_all_orders()
        await until(lambda: not on_the_exchange(gateway))
    monkeypatch.setattr(earlier, "RECENT", timedelta(0))
    async with (
        PaperGatewayServer(cash=Decimal(100_000), seed=1) as other,
        open_desk(other.port, tmp_path) as desk,
    ):
        with pytest.raises(DuplicateOrder):
            await desk.entry.place_group(protected("single"), by=BY)
        with pytest.raises(DuplicateOrder):
            await desk.place(order(client_order_id="group:tp"))
        assert on_the_exchange(other) == []
        assert other.core.exchange.executions() == []
        assert (await desk.entry.place_group(protected("group"), by=BY)).is_new is False


async def test_the_global_cancel_holds_what_is_staged(
    gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path
) -> None:
    """Its answer is late. Taken out: `Placing.withdraw_all`; a part of the group is placed after it."""
    async with open_desk(proxy.port, tmp_path) as desk:
        judged = hold(proxy, 5, without="key")
        placing = Tasks().spawn(
            desk.entry.place_group(protected("key"), by=BY), name="place", expected=OrderNotWorking
        )
        await until(lambda: judged)
        late = [*(hold(proxy, message) for message in (3, 4))]
        await desk.entry.cancel_everything(by=BY)
        await until(lambda: any(late))
        proxy.say(*judged[0])
        with pytest.raises(OrderNotWorking):
            await placing
        await until(lambda: not on_the_exchange(gateway))
        assert gateway.core.exchange.executions() == []


async def test_a_halt_holds_a_change_that_waits_for_another(
    gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path
) -> None:
    """Taken out: `before_send`; the order is a hundred times as large after the halt was answered."""
    async with open_desk(proxy.port, tmp_path) as desk:
        await desk.place(resting(client_order_id="key"))
        confirmations = hold(proxy, 5)
        first, second = (
            Tasks().spawn(desk.entry.modify("key", change, by=BY), name="modify", expected=TradingHalted)
            for change in (OrderChange(limit_price=Decimal("1.01")), OrderChange(quantity=Decimal(1000)))
        )
        await until(lambda: confirmations)
        await desk.risk.halt("enough", by=BY)
        proxy.from_gateway.clear()
        for fields in confirmations:
            proxy.say(*fields)
        assert (await first).limit_price == Decimal("1.01")
        with pytest.raises(TradingHalted):
            await second
        (at_work,) = gateway.core.exchange.orders()
        assert at_work.ticket.quantity == 10
