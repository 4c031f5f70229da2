"""Orders, fills and figures for the journal's tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from trademind.domain import (
    Account,
    Contract,
    DataSource,
    Execution,
    Order,
    OrderRequest,
    OrderStatus,
    SecType,
    SessionInfo,
    SessionState,
    Side,
)
from trademind.journal import Intent

START = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
AAPL = Contract(con_id=265598, symbol="AAPL", sec_type=SecType.STOCK, exchange="SMART", currency="USD")


def an_intent(key: str, **changes: Any) -> Intent:
    request = OrderRequest(side=Side.BUY, quantity=Decimal(10), symbol="AAPL", client_order_id=key)
    made = Intent.to_place(request, account_id="DU1", accepted_at=START, origin="test")
    return replace(made, **changes)


def an_order(key: str, number: int = 1, **changes: Any) -> Order:
    order = Order(
        id=key,
        client_order_id=key,
        perm_id=1000 + number,
        ib_order_id=number,
        client_id=1,
        account_id="DU1",
        contract=AAPL,
        side=Side.BUY,
        quantity=Decimal(10),
        order_type="LMT",
        limit_price=Decimal("187.10"),
        stop_price=None,
        tif="DAY",
        outside_rth=False,
        order_ref=key,
        status=OrderStatus.SUBMITTED,
        filled_quantity=Decimal(0),
        remaining_quantity=Decimal(10),
        avg_fill_price=None,
        commission=None,
        created_at=START,
        updated_at=START,
        external=False,
    )
    return replace(order, **changes)


def filled(order: Order) -> Order:
    return replace(
        order,
        status=OrderStatus.FILLED,
        filled_quantity=order.quantity,
        remaining_quantity=Decimal(0),
        avg_fill_price=order.limit_price,
    )


def a_fill(order: Order, exec_id: str = "0001.01", **changes: Any) -> Execution:
    execution = Execution(
        exec_id=exec_id,
        time=START + timedelta(seconds=5),
        account_id=order.account_id,
        contract=order.contract,
        side=order.side,
        quantity=order.quantity,
        price=Decimal("187.05"),
        exchange="ISLAND",
        perm_id=order.perm_id or 0,
        ib_order_id=order.ib_order_id or 0,
        client_id=order.client_id or 0,
        order_ref=order.order_ref,
        order_id=order.id,
    )
    return replace(execution, **changes)


def an_account(number: int = 0, **changes: Any) -> Account:
    account = Account(
        account_id="DU1",
        currency="USD",
        source=DataSource.PAPER,
        as_of=START + timedelta(minutes=number),
        net_liquidation=Decimal("100000.00") + number,
        total_cash_value=Decimal("100000.00"),
        buying_power=None,
        available_funds=None,
        excess_liquidity=None,
        equity_with_loan_value=None,
        init_margin_req=None,
        maint_margin_req=None,
        gross_position_value=None,
        unrealized_pnl=Decimal("-0.10"),
        realized_pnl=None,
    )
    return replace(account, **changes)


def a_session(state: SessionState = SessionState.READY) -> SessionInfo:
    return SessionInfo(
        state=state,
        since=START,
        host="127.0.0.1",
        port=4002,
        client_id=1,
        account_id="DU1",
        accounts=("DU1",),
        source=DataSource.PAPER,
        trading_allowed=True,
        server_version=178,
        connection_number=1,
        last_error=None,
        farms={"usfarm": "ok"},
    )
