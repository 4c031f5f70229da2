"""`IBKRBroker` against the real paper gateway over TCP."""

import asyncio
from decimal import Decimal

import pytest

from tests.proxy import Proxy
from trademind import BarRequest, ContractQuery, IBKRBroker, OrderChange, OrderRequest, OrderStatus
from trademind.domain import DataSource, DataType, SecType, SessionState
from trademind.errors import (
    AccountNotFound,
    ContractNotFound,
    DuplicateOrder,
    Invalid,
    OrderNotFound,
    OrderNotWorking,
    OrderRejected,
)
from trademind.gateway.server import PaperGatewayServer


def order(**terms: object) -> OrderRequest:
    """A market order for ten shares of Apple, changed by `terms`."""
    sound: dict[str, object] = {"side": "BUY", "quantity": 10, "symbol": "AAPL"}
    return OrderRequest(**(sound | terms))  # type: ignore[arg-type]


def resting(**terms: object) -> OrderRequest:
    return order(order_type="LMT", limit_price="1.00", **terms)


@pytest.fixture
async def broker(proxy: Proxy):  # type: ignore[no-untyped-def] # an async generator fixture
    async with IBKRBroker(port=proxy.port, max_requests_per_second=0) as broker:
        yield broker


async def test_a_session_is_ready_with_every_snapshot(broker: IBKRBroker) -> None:
    session = broker.session
    assert session.state is SessionState.READY
    assert session.missing == ()
    assert (session.connection_number, session.source) == (1, DataSource.PAPER)
    account = await broker.get_account()
    assert account.total_cash_value == Decimal(100_000)
    assert account.source is DataSource.PAPER
    assert await broker.get_positions() == ()
    assert await broker.get_orders() == ()
    assert set(session.farms.values()) == {"ok"}


async def test_a_market_order_fills_and_everything_agrees(broker: IBKRBroker) -> None:
    placed = await broker.place_order(order(client_order_id="first"))
    assert (placed.id, placed.status) == ("first", OrderStatus.FILLED)
    assert placed.perm_id
    assert placed.commission == Decimal("1.00")
    assert placed.avg_fill_price is not None
    (fill,) = await broker.get_executions(order_id="first")
    assert (fill.quantity, fill.price, fill.order_id) == (Decimal(10), placed.avg_fill_price, "first")
    (position,) = await broker.get_positions()
    assert (position.contract.symbol, position.quantity) == ("AAPL", Decimal(10))
    account = await broker.get_account()
    assert account.total_cash_value == Decimal(100_000) - 10 * fill.price - 1


async def test_reads_do_not_go_over_the_wire(broker: IBKRBroker, proxy: Proxy) -> None:
    before = len(proxy.sent_by_client)
    for _ in range(50):
        await broker.get_account()
        await broker.get_positions()
        await broker.get_orders()
        await broker.get_executions()
        await broker.get_pnl()
    await asyncio.sleep(0)
    assert len(proxy.sent_by_client) == before


async def test_the_same_key_never_makes_a_second_order(broker: IBKRBroker, proxy: Proxy) -> None:
    answers = await asyncio.gather(*(broker.place_order(order(client_order_id="k")) for _ in range(20)))
    again = await broker.place_order(order(client_order_id="k"))
    assert {answer.perm_id for answer in answers} == {again.perm_id}
    assert proxy.count(3) == 1
    with pytest.raises(DuplicateOrder):
        await broker.place_order(order(client_order_id="k", quantity=11))


async def test_the_key_is_remembered_by_the_gateway_across_a_restart_of_ours(
    gateway: PaperGatewayServer,
) -> None:
    async with IBKRBroker(port=gateway.port) as before:
        await before.place_order(resting(client_order_id="resting"))
        await before.place_order(order(client_order_id="filled"))
    async with IBKRBroker(port=gateway.port) as after:
        found = {o.id: o for o in await after.get_orders()}
        assert found["resting"].status is OrderStatus.SUBMITTED
        assert found["filled"].status is OrderStatus.FILLED
        assert (await after.place_order(resting(client_order_id="resting"))).perm_id == found[
            "resting"
        ].perm_id
        await after.place_order(order(client_order_id="filled"))
        assert len(await after.get_orders()) == 2
        assert (await after.cancel_order("resting")).status is OrderStatus.CANCELED


async def test_modify_and_cancel(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    assert placed.status is OrderStatus.SUBMITTED
    changed = await broker.modify_order(
        placed.id, OrderChange(limit_price=Decimal("1.05"), quantity=Decimal(20))
    )
    assert (changed.limit_price, changed.quantity, changed.perm_id) == (
        Decimal("1.05"),
        Decimal(20),
        placed.perm_id,
    )
    canceled = await broker.cancel_order(placed.id)
    assert canceled.status is OrderStatus.CANCELED
    for call in (
        broker.cancel_order(placed.id),
        broker.modify_order(placed.id, OrderChange(quantity=Decimal(5))),
    ):
        with pytest.raises(OrderNotWorking):
            await call


async def test_a_change_that_changes_nothing_ends_at_once(broker: IBKRBroker) -> None:
    placed = await broker.place_order(resting())
    same = await broker.modify_order(placed.id, OrderChange(limit_price=Decimal("1.00")))
    assert same.limit_price == Decimal("1.00")


async def test_cancel_all_cancels_what_works(broker: IBKRBroker) -> None:
    for number in range(5):
        await broker.place_order(resting(client_order_id=f"r{number}"))
    filled = await broker.place_order(order())
    canceled = await broker.cancel_all_orders()
    assert {o.status for o in canceled} == {OrderStatus.CANCELED}
    assert len(canceled) == 5
    assert await broker.get_orders(working=True) == ()
    assert filled.id in {o.id for o in await broker.get_orders(working=False)}


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"symbol": "NOSUCH"}, ContractNotFound),
        ({"con_id": 1, "symbol": ""}, ContractNotFound),
        ({"account_id": "DU999"}, AccountNotFound),
        ({"order_type": "LMT", "limit_price": "1.001"}, Invalid),
        ({"quantity": "0.5"}, Invalid),
        ({"quantity": 1_000_000}, OrderRejected),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    broker: IBKRBroker, proxy: Proxy, terms: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await broker.place_order(order(**terms))
    assert await broker.get_positions() == ()
    assert (await broker.get_account()).total_cash_value == Decimal(100_000)
    assert await broker.get_orders(working=True) == ()
    if error is not OrderRejected:
        assert proxy.count(3) == 0, "it was sent"


async def test_a_rejection_carries_ibs_code_and_the_order_says_why(broker: IBKRBroker) -> None:
    with pytest.raises(OrderRejected) as failure:
        await broker.place_order(order(quantity=1_000_000, client_order_id="too-big"))
    assert failure.value.ib_code == 201
    rejected = await broker.get_order("too-big")
    assert rejected.status is OrderStatus.REJECTED
    assert "Available Funds" in (rejected.reason or "")


async def test_an_unknown_order_is_not_found(broker: IBKRBroker) -> None:
    for call in (
        broker.get_order("nope"),
        broker.cancel_order("nope"),
        broker.modify_order("nope", OrderChange(quantity=Decimal(1))),
    ):
        with pytest.raises(OrderNotFound):
            await call


async def test_quotes_take_one_line_per_instrument(broker: IBKRBroker, proxy: Proxy) -> None:
    apple, microsoft = ContractQuery(symbol="AAPL"), ContractQuery(symbol="MSFT")
    answers = await asyncio.gather(*(broker.get_quotes([microsoft, apple]) for _ in range(10)))
    assert proxy.count(1) == 2
    for first, second in answers:
        assert (first.contract.symbol, second.contract.symbol) == ("MSFT", "AAPL")
        assert first.bid is not None
        assert first.ask is not None
        assert first.last is not None
        assert first.bid < first.ask
        assert first.bid <= first.last <= first.ask
        assert (first.data_type, first.stale) == (DataType.LIVE, False)


async def test_bars_are_consistent_with_the_quote(broker: IBKRBroker) -> None:
    query = ContractQuery(symbol="SPY")
    bars = await broker.get_bars(query, BarRequest(bar_size="5 mins", duration="1 D", use_rth=False))
    quote = await broker.get_quote(query)
    assert len(bars) > 250
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert [bar.time for bar in bars] == sorted(bar.time for bar in bars)
    assert quote.last == pytest.approx(bars[-1].close, rel=0.01)


async def test_contracts_are_found_and_asked_for_once(broker: IBKRBroker, proxy: Proxy) -> None:
    details = await broker.qualify(ContractQuery(symbol="AAPL"))
    assert (details.contract.con_id, details.contract.sec_type) == (265598, SecType.STOCK)
    assert details.min_tick == Decimal("0.01")
    await broker.qualify(ContractQuery(symbol="AAPL"))
    assert proxy.count(9) == 1
    assert "AAPL" in {match.symbol for match in await broker.search_contracts("apple")}


async def test_another_program_on_the_same_gateway_sees_the_order(
    gateway: PaperGatewayServer, broker: IBKRBroker
) -> None:
    await broker.place_order(order(client_order_id="seen"))
    async with IBKRBroker(port=gateway.port, client_id=2) as other:
        (found,) = await other.get_orders()
        assert (found.order_ref, found.status) == ("seen", OrderStatus.FILLED)
        assert (await other.get_positions())[0].quantity == 10
        (execution,) = await other.get_executions()
        assert execution.order_ref == "seen"
