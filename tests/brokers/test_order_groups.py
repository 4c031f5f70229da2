"""Brackets, groups, previews, trailing stops and what other clients do: the real paper gateway over TCP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ib_async
import pytest

from tests.brokers.test_client import order, resting
from tests.brokers.test_faults import until
from tests.proxy import Proxy
from trademind import IBKRBroker, OrderChange, OrderStatus
from trademind.aio import Tasks
from trademind.brokers.ibkr import pacing
from trademind.domain import Order, OrderClass, OrderGroup, StopLoss, bracket
from trademind.errors import (
    ConnectionLost,
    DuplicateOrder,
    Invalid,
    OrderNotWorking,
    OrderRejected,
    TradingHalted,
)
from trademind.gateway.server import PaperGatewayServer

FAR = Decimal(1000)
NEAR_NOTHING = Decimal(1)


@pytest.fixture
async def broker(proxy: Proxy) -> AsyncIterator[IBKRBroker]:
    async with IBKRBroker(port=proxy.port, order_timeout=3) as broker:
        yield broker


async def place_bracket(broker: IBKRBroker, **terms: object) -> tuple[Order, ...]:
    group = bracket(order(**terms), take_profit=FAR, stop_loss=StopLoss(stop_price=NEAR_NOTHING))
    return await broker.place_group(group)


def on_the_exchange(gateway: PaperGatewayServer) -> list[str]:
    """The references of the orders that the gateway has at work, and of those it holds back."""
    exchange = gateway.core.exchange
    refs = [each.ticket.order_ref for each in exchange.orders()]
    return refs + [f"staged {order_id}" for _, order_id in exchange.staged()]


async def test_a_bracket_protects_what_its_entry_has_bought(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    entry, profit, loss = await place_bracket(broker, client_order_id="b")

    assert (entry.id, entry.status) == ("b", OrderStatus.FILLED)
    assert (profit.id, profit.parent_id, profit.group_id) == ("b:tp", "b", "b")
    assert {profit.status, loss.status} == {OrderStatus.SUBMITTED}
    # One exit goes when the other does.
    await broker.cancel_order("b:sl")
    await until(lambda: on_the_exchange(gateway) in ([], ["b:tp"]))


async def test_an_entry_that_waits_holds_its_exits_and_takes_them_along(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    group = bracket(
        resting(client_order_id="b"), take_profit=FAR, stop_loss=StopLoss(stop_price=Decimal("0.5"))
    )
    await broker.place_group(group)
    assert sorted(on_the_exchange(gateway)) == ["b", "b:sl", "b:tp"]
    await broker.cancel_order("b")
    await until(lambda: not on_the_exchange(gateway))


@pytest.mark.parametrize("refused", ["b", "b:tp", "b:sl"])
async def test_what_the_gateway_refuses_of_a_bracket_leaves_nothing(
    broker: IBKRBroker, gateway: PaperGatewayServer, proxy: Proxy, refused: str
) -> None:
    """Taken out: the preview between staging and release; the entry trades without its exit."""

    def spoil(fields: list[str]) -> list[str]:
        # The quantity of one of them becomes one that the gateway does not take.
        if refused in fields:
            side = next(at for at, field in enumerate(fields) if field in ("BUY", "SELL"))
            fields[side + 1] = "0.12345"
        return fields

    proxy.from_client[3] = spoil
    with pytest.raises(OrderRejected):
        await place_bracket(broker, client_order_id="b")
    await until(lambda: not on_the_exchange(gateway))
    assert gateway.core.exchange.executions() == []
    statuses = {order.id: order.status for order in await broker.get_orders()}
    assert statuses.pop(refused) is OrderStatus.REJECTED
    assert set(statuses.values()) == {OrderStatus.CANCELED}


async def test_an_entry_without_the_money_for_it_leaves_nothing(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    with pytest.raises(OrderRejected, match="Available Funds"):
        await place_bracket(broker, client_order_id="b", quantity=100_000)
    assert on_the_exchange(gateway) == []
    assert all(order.status.is_done for order in await broker.get_orders())


async def test_a_connection_that_breaks_between_staging_and_release_places_nothing(
    broker: IBKRBroker, gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    def cut_at_the_preview(fields: list[str]) -> list[str] | None:
        if proxy.count(3) == 4:
            asyncio.get_running_loop().call_soon(proxy.cut)
            return None
        return fields

    proxy.from_client[3] = cut_at_the_preview
    with pytest.raises(ConnectionLost):
        await place_bracket(broker, client_order_id="b")
    proxy.from_client.clear()
    assert [ref for ref in on_the_exchange(gateway) if not ref.startswith("staged")] == []
    assert gateway.core.exchange.executions() == []


async def test_a_group_that_is_cancelled_before_its_release_is_not_placed(
    broker: IBKRBroker, gateway: PaperGatewayServer, proxy: Proxy
) -> None:
    """Taken out: both looks in `_release`, at what has ended and at what is to be cancelled; it is placed."""
    held: list[list[str]] = []

    def hold_the_preview(fields: list[str]) -> list[str] | None:
        # Only the answer to a preview comes without a reference.
        if any(field.startswith("b") for field in fields):
            return fields
        held.append(fields)
        return None

    proxy.from_gateway[5] = hold_the_preview
    placing = Tasks().spawn(place_bracket(broker, client_order_id="b"), name="place", expected=Exception)
    await until(lambda: held)
    cancelled = await broker.cancel_order("b:tp")
    assert cancelled.status is OrderStatus.CANCELED
    proxy.say(*held[0])
    with pytest.raises(OrderNotWorking):
        await placing
    await until(lambda: not on_the_exchange(gateway))
    assert gateway.core.exchange.executions() == []


async def test_of_an_oca_group_one_fill_cancels_the_others(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    legs = (resting(), resting(symbol="MSFT"))
    group = OrderGroup(order_class=OrderClass.OCA, legs=legs, client_order_id="g")
    placed = await broker.place_group(group)
    assert [(o.id, o.oca_group, o.status) for o in placed] == [
        ("g", "g", OrderStatus.SUBMITTED),
        ("g:2", "g", OrderStatus.SUBMITTED),
    ]
    await broker.modify_order("g:2", OrderChange(limit_price=FAR))  # it trades
    await until(lambda: not on_the_exchange(gateway))
    statuses = {o.id: o.status for o in await broker.get_orders()}
    assert statuses == {"g": OrderStatus.CANCELED, "g:2": OrderStatus.FILLED}


async def test_a_group_is_placed_once_under_its_key(broker: IBKRBroker, proxy: Proxy) -> None:
    first = await place_bracket(broker, client_order_id="b")
    sent = proxy.count(3)
    again = await place_bracket(broker, client_order_id="b")
    assert [o.id for o in again] == [o.id for o in first]
    assert proxy.count(3) == sent
    with pytest.raises(DuplicateOrder):
        await place_bracket(broker, client_order_id="b", quantity=11)


async def test_ten_groups_at_once_all_arrive_whole(broker: IBKRBroker, gateway: PaperGatewayServer) -> None:
    """They share IB's messages per second; none is half placed while it waits."""
    await asyncio.gather(
        *(
            broker.place_group(bracket(resting(client_order_id=f"b{n}"), take_profit=FAR).with_key(f"b{n}"))
            for n in range(10)
        )
    )
    assert sorted(on_the_exchange(gateway)) == sorted(
        [f"b{n}" for n in range(10)] + [f"b{n}:tp" for n in range(10)]
    )


async def test_a_preview_places_nothing_and_tells_margin_and_commission(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    preview = await broker.preview_order(order(quantity=100))
    assert preview.init_margin.before == 0
    assert preview.init_margin.change == preview.init_margin.after
    assert preview.init_margin.after is not None
    assert preview.init_margin.after > 1000
    assert (preview.commission, preview.commission_currency) == (Decimal(1), "USD")
    assert await broker.get_orders() == ()
    assert on_the_exchange(gateway) == []


async def test_what_ib_refuses_of_a_preview_is_told(broker: IBKRBroker, proxy: Proxy) -> None:
    proxy.from_client[3] = lambda fields: proxy.error(int(fields[1]), 201, "Order rejected - reason: no")
    with pytest.raises(OrderRejected, match="no"):
        await broker.preview_order(order())


async def test_a_trailing_stop_follows_at_its_distance_and_can_be_tightened(broker: IBKRBroker) -> None:
    await broker.place_order(order(client_order_id="long"))
    placed = await broker.place_order(
        order(side="SELL", order_type="TRAIL", trailing_percent="5", client_order_id="t")
    )
    assert (placed.status, placed.trailing_percent) == (OrderStatus.SUBMITTED, Decimal(5))
    changed = await broker.modify_order("t", OrderChange(trailing_percent=Decimal(2)))
    assert changed.trailing_percent == 2
    by_amount = await broker.place_order(order(side="SELL", order_type="TRAIL", trailing_amount="2.50"))
    assert by_amount.trailing_amount == Decimal("2.5")
    with pytest.raises(Invalid, match="follows the market"):
        await broker.modify_order(by_amount.id, OrderChange(stop_price=Decimal(1)))


async def test_an_order_that_is_good_till_a_time_is_so_at_the_gateway(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    end = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    placed = await broker.place_order(resting(tif="GTD", good_till=end, client_order_id="d"))
    assert placed.good_till == end
    (at_work,) = gateway.core.exchange.orders()
    assert at_work.ticket.good_till == end
    with pytest.raises(Invalid, match="over already"):
        await broker.place_order(resting(tif="GTD", good_till=end - timedelta(hours=4)))


async def test_fractions_are_traded_where_the_contract_allows_them(broker: IBKRBroker) -> None:
    bitcoin = {"symbol": "BTC", "sec_type": "CRYPTO", "exchange": "PAXOS"}
    bought = await broker.place_order(order(**bitcoin, quantity="0.00012345"))
    assert (bought.status, bought.filled_quantity) == (OrderStatus.FILLED, Decimal("0.00012345"))
    (held,) = await broker.get_positions()
    assert held.quantity == Decimal("0.00012345")
    with pytest.raises(Invalid, match=r"steps of 0\.00000001$"):
        await broker.place_order(order(**bitcoin, quantity="0.000000001"))
    with pytest.raises(Invalid, match=r"AAPL trades in steps of 1$"):
        await broker.place_order(order(quantity="0.5"))


async def test_orders_of_other_clients_are_listed_as_external_and_are_not_ours_to_cancel(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    """Taken out: `reqAllOpenOrders`; nobody tells of them."""
    other = ib_async.IB()
    await other.connectAsync("127.0.0.1", gateway.port, clientId=77)
    try:
        contract = ib_async.Stock("AAPL", "SMART", "USD")
        await other.qualifyContractsAsync(contract)
        trade = other.placeOrder(contract, ib_async.LimitOrder("BUY", 7, 1.0, orderRef="theirs"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        await broker.reconcile()
        (theirs,) = await broker.get_orders(working=True)
        assert (theirs.external, theirs.client_id, theirs.order_ref) == (True, 77, "theirs")
        assert theirs.quantity == 7
        assert await broker.cancel_all_orders() == ()
        assert trade.orderStatus.status == "Submitted"
        # What becomes of it is told at the next listing.
        other.cancelOrder(trade.order)
        await until(lambda: trade.orderStatus.status == "Cancelled")
        await broker.reconcile()
        assert (await broker.get_order(theirs.id)).status is OrderStatus.CANCELED
        # A fill of theirs, too.
        bought = other.placeOrder(contract, ib_async.MarketOrder("BUY", 3))
        await until(lambda: bought.orderStatus.status == "Filled")
        await broker.reconcile()
        assert sum(fill.quantity for fill in await broker.get_executions()) == 3
        # The global cancel is for all.
        again = other.placeOrder(contract, ib_async.LimitOrder("BUY", 7, 1.0))
        await until(lambda: again.orderStatus.status == "Submitted")
        await broker.cancel_everything()
        await until(lambda: again.orderStatus.status == "Cancelled")
    finally:
        other.disconnect()


async def test_a_reference_that_another_client_uses_too_is_not_our_order(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    """Taken out: `Book._may_be`; theirs is shown under our key, as the order that IB has refused."""
    with pytest.raises(OrderRejected):
        await broker.place_order(order(client_order_id="key", quantity=1_000_000))
    other = ib_async.IB()
    await other.connectAsync("127.0.0.1", gateway.port, clientId=77)
    try:
        contract = ib_async.Stock("AAPL", "SMART", "USD")
        await other.qualifyContractsAsync(contract)
        trade = other.placeOrder(contract, ib_async.LimitOrder("BUY", 7, 1.0, orderRef="key"))
        await until(lambda: trade.orderStatus.status == "Submitted")
        await broker.reconcile()
        ours = await broker.get_order("key")
        assert (ours.status, ours.client_id) == (OrderStatus.REJECTED, 1)
        (theirs,) = await broker.get_orders(working=True)
        assert (theirs.external, theirs.client_id, theirs.order_ref) == (True, 77, "key")
    finally:
        other.disconnect()


async def test_an_entry_that_ends_at_once_leaves_no_exit_in_doubt(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    """Seen to wait for an answer that never came, and to have the exit's outcome unknown."""
    entry = resting(client_order_id="b", tif="IOC")
    placed = await broker.place_group(bracket(entry, take_profit=FAR))
    assert {order.status for order in placed} == {OrderStatus.CANCELED}
    assert on_the_exchange(gateway) == []
    assert (await broker.get_account()).stale is False


async def test_a_refusal_when_all_others_have_ended_is_told(broker: IBKRBroker, proxy: Proxy) -> None:
    """Seen to raise that there was nothing to wait for."""

    def refuse_the_second(fields: list[str]) -> list[str] | None:
        if proxy.count(3) < 5:  # two staged, the preview, the first released
            return fields
        asyncio.get_running_loop().call_later(0.2, proxy.error, int(fields[1]), 201, "Order rejected - no")
        return None

    proxy.from_client[3] = refuse_the_second
    proxy.from_gateway[3] = lambda fields: None if "Cancelled" in fields else fields
    proxy.from_gateway[4] = lambda fields: None if "202" in fields else fields
    group = OrderGroup(order_class=OrderClass.OCA, legs=(order(), order(symbol="MSFT")), client_order_id="g")
    with pytest.raises(OrderRejected) as refusal:
        await broker.place_group(group)
    assert "g had filled before" in refusal.value.detail


async def test_a_contract_by_two_names_has_to_be_one(broker: IBKRBroker, gateway: PaperGatewayServer) -> None:
    """Seen to buy the contract of the id, whatever the symbol was."""
    aapl = (await broker.qualify(order().query)).contract.con_id
    with pytest.raises(Invalid, match="is AAPL"):
        await broker.place_order(order(symbol="MSFT", con_id=aapl))
    assert gateway.core.exchange.executions() == []
    assert (await broker.place_order(order(symbol="aapl", con_id=aapl))).status is OrderStatus.FILLED


async def test_the_exits_of_another_clients_bracket_are_known_as_such(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    """Taken out: the parent in `OrderReport`; a target takes them for orders that will fill."""
    async with IBKRBroker(port=gateway.port, client_id=77) as other:
        group = bracket(order(), take_profit=FAR, stop_loss=StopLoss(stop_price=NEAR_NOTHING))
        await other.place_group(group)
        await broker.reconcile()
        exits = await broker.get_orders(working=True)
        assert [each.external for each in exits] == [True, True]
        assert all(each.parent_id for each in exits)


async def test_the_global_cancel_withdraws_what_waits_for_its_turn(
    gateway: PaperGatewayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the look for queued orders in `cancel_everything`; they are sent afterwards."""
    monkeypatch.setattr(pacing, "WINDOW", 2.0)
    async with IBKRBroker(port=gateway.port, max_requests_per_second=12) as broker:
        await broker.qualify(order().query)
        tasks = Tasks()
        placing = [
            tasks.spawn(
                broker.place_order(resting(client_order_id=f"k{n}")), name="place", expected=Exception
            )
            for n in range(12)
        ]
        await until(lambda: sum(each.is_queued for each in broker._book.orders()) > 5)
        await broker.cancel_everything()
        await asyncio.gather(*placing, return_exceptions=True)
        await asyncio.sleep(2.5)  # more than a window: what was queued would have had its turn
        assert on_the_exchange(gateway) == []
        assert all(each.status.is_done for each in await broker.get_orders())


async def test_what_is_said_before_the_release_holds_the_group(
    broker: IBKRBroker, gateway: PaperGatewayServer
) -> None:
    """As when positions may only be reduced since a moment ago."""

    def refuse() -> None:
        assert len(on_the_exchange(gateway)) == 2  # staged
        raise TradingHalted("not any more")

    group = bracket(order(client_order_id="b"), take_profit=FAR)
    with pytest.raises(TradingHalted):
        await broker.place_group(group, before_release=refuse)
    await until(lambda: not on_the_exchange(gateway))
    assert gateway.core.exchange.executions() == []
