"""Orders and executions as they go out."""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from trademind.api.schemas.base import (
    Money,
    Out,
    Price,
    Quantity,
    Time,
    exact_price,
    price,
    quantity,
    time,
    time_or_none,
)
from trademind.api.schemas.notices import NoticeOut
from trademind.api.schemas.portfolio import SnapshotOut
from trademind.domain import (
    DataSource,
    Execution,
    Margin,
    Order,
    OrderPreview,
    OrderStatus,
    SecType,
    Side,
)
from trademind.journal import StoredEvent
from trademind.trading.targets import Reached

_ORDER: JsonDict = {
    "id": "my-order-1",
    "client_order_id": "my-order-1",
    "perm_id": 1700000001,
    "ib_order_id": 3,
    "client_id": 1,
    "account_id": "DU1234567",
    "con_id": 265598,
    "symbol": "AAPL",
    "sec_type": "STK",
    "exchange": "SMART",
    "currency": "USD",
    "side": "BUY",
    "quantity": "10",
    "order_type": "LMT",
    "limit_price": "150.00",
    "stop_price": None,
    "trailing_amount": None,
    "trailing_percent": None,
    "tif": "GTC",
    "good_till": None,
    "outside_rth": False,
    "order_ref": "my-order-1",
    "status": "submitted",
    "filled_quantity": "0",
    "remaining_quantity": "10",
    "avg_fill_price": None,
    "commission": None,
    "created_at": "2026-01-30T15:30:00.250000Z",
    "updated_at": "2026-01-30T15:30:00.300000Z",
    "external": False,
    "group_id": None,
    "parent_id": None,
    "oca_group": None,
    "reason": None,
    "notices": [],
    "legs": None,
}


class OrderOut(Out):
    model_config = ConfigDict(json_schema_extra={"examples": [_ORDER]})

    id: str = Field(description="TradeMind's own id.")
    client_order_id: str | None
    perm_id: int | None = Field(description="IB's permanent id; null until acknowledged.")
    ib_order_id: int | None = Field(description="The order id within `client_id`.")
    client_id: int | None
    account_id: str
    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    currency: str
    side: Side
    quantity: Quantity
    order_type: str
    limit_price: Price | None
    stop_price: Price | None
    trailing_amount: Price | None
    trailing_percent: Price | None
    tif: str
    good_till: Time | None
    outside_rth: bool
    order_ref: str
    status: OrderStatus
    filled_quantity: Quantity
    remaining_quantity: Quantity
    avg_fill_price: Price | None
    commission: Price | None = Field(description="Null until every fill has its report.")
    created_at: Time | None
    updated_at: Time
    external: bool = Field(description="Placed by another client id, or by hand in TWS.")
    group_id: str | None = Field(description="The key of the group it was placed in.")
    parent_id: str | None = Field(description="The order that has to fill before this one works.")
    oca_group: str | None = Field(description="IB's name of the group of which one cancels the others.")
    reason: str | None = Field(description="Why it was rejected or cancelled, in IB's words.")
    notices: list[NoticeOut]
    legs: list["OrderOut"] | None = Field(
        default=None, description="In the answer to a group: its other orders."
    )

    @classmethod
    def of_all(cls, orders: Sequence[Order]) -> Self:
        """A group: the first order, with the others as its legs."""
        legs = [OrderOut.of(order) for order in orders[1:]]
        return cls.of(orders[0]).model_copy(update={"legs": legs or None})

    @classmethod
    def of(cls, order: Order) -> Self:
        contract = order.contract
        return cls(
            id=order.id,
            client_order_id=order.client_order_id,
            perm_id=order.perm_id,
            ib_order_id=order.ib_order_id,
            client_id=order.client_id,
            account_id=order.account_id,
            con_id=contract.con_id,
            symbol=contract.symbol,
            sec_type=contract.sec_type,
            exchange=contract.exchange,
            currency=contract.currency,
            side=order.side,
            quantity=quantity(order.quantity),
            order_type=order.order_type,
            limit_price=price(order.limit_price),
            stop_price=price(order.stop_price),
            trailing_amount=price(order.trailing_amount),
            trailing_percent=price(order.trailing_percent),
            tif=order.tif,
            good_till=time_or_none(order.good_till),
            outside_rth=order.outside_rth,
            order_ref=order.order_ref,
            status=order.status,
            filled_quantity=quantity(order.filled_quantity),
            remaining_quantity=quantity(order.remaining_quantity),
            avg_fill_price=price(order.avg_fill_price),
            commission=price(order.commission),
            created_at=None if order.created_at is None else time(order.created_at),
            updated_at=time(order.updated_at),
            external=order.external,
            group_id=order.group_id,
            parent_id=order.parent_id,
            oca_group=order.oca_group,
            reason=order.reason,
            notices=[NoticeOut.of(notice) for notice in order.notices],
        )


class OrdersOut(SnapshotOut):
    orders: list[OrderOut]


class OrdersPage(OrdersOut):
    next_page_token: str | None = Field(description="Give it back as `page_token`; null on the last page.")


class MarginOut(Out):
    """In the account's base currency."""

    before: Price | None
    change: Price | None
    after: Price | None

    @classmethod
    def of(cls, margin: Margin) -> Self:
        return cls(before=price(margin.before), change=price(margin.change), after=price(margin.after))


class OrderPreviewOut(Out):
    """What IB reckons the order would do. Nothing was placed; null where IB gives no figure."""

    account_id: str
    source: DataSource
    as_of: Time
    init_margin: MarginOut
    maint_margin: MarginOut
    equity_with_loan: MarginOut
    commission: Price | None
    min_commission: Price | None
    max_commission: Price | None
    commission_currency: str | None
    warning: str | None = Field(description="What IB warns of, in its words.")

    @classmethod
    def of(cls, preview: OrderPreview) -> Self:
        return cls(
            account_id=preview.account_id,
            source=preview.source,
            as_of=time(preview.as_of),
            init_margin=MarginOut.of(preview.init_margin),
            maint_margin=MarginOut.of(preview.maint_margin),
            equity_with_loan=MarginOut.of(preview.equity_with_loan),
            commission=price(preview.commission),
            min_commission=price(preview.min_commission),
            max_commission=price(preview.max_commission),
            commission_currency=preview.commission_currency,
            warning=preview.warning,
        )


class ReachedOut(Out):
    """How the instrument stood, and what was placed to reach the target."""

    con_id: int
    symbol: str
    target_quantity: Quantity
    position: Quantity
    on_its_way: Quantity = Field(description="What orders that were working already will add.")
    order: OrderOut | None = Field(description="What was missing; null where nothing was.")
    still_working: list[str] = Field(
        description="Orders in the instrument that do not count, such as stops: closing a position leaves "
        "them, unless they are cancelled with it."
    )

    @classmethod
    def of(cls, reached: Reached) -> Self:
        standing = reached.standing
        return cls(
            con_id=standing.contract.con_id,
            symbol=standing.contract.symbol,
            target_quantity=quantity(reached.target.quantity),
            position=quantity(standing.held),
            on_its_way=quantity(standing.on_its_way),
            order=None if reached.placed is None else OrderOut.of(reached.placed.order),
            still_working=[order.id for order in standing.waiting],
        )


class ExecutionOut(Out):
    """One fill of one order."""

    exec_id: str
    time: Time
    account_id: str
    order_id: str | None = Field(description="TradeMind's id of the order, where it knows the order.")
    perm_id: int
    ib_order_id: int
    client_id: int
    order_ref: str
    con_id: int
    symbol: str
    sec_type: SecType
    currency: str
    exchange: str
    side: Side
    quantity: Quantity
    price: Price
    commission: Price | None = Field(description="Null until IB has reported it.")
    commission_currency: str | None
    realized_pnl: Money | None

    @classmethod
    def of(cls, execution: Execution) -> Self:
        contract = execution.contract
        return cls(
            exec_id=execution.exec_id,
            time=time(execution.time),
            account_id=execution.account_id,
            order_id=execution.order_id,
            perm_id=execution.perm_id,
            ib_order_id=execution.ib_order_id,
            client_id=execution.client_id,
            order_ref=execution.order_ref,
            con_id=contract.con_id,
            symbol=contract.symbol,
            sec_type=contract.sec_type,
            currency=contract.currency,
            exchange=execution.exchange,
            side=execution.side,
            quantity=quantity(execution.quantity),
            price=exact_price(execution.price),
            commission=price(execution.commission),
            commission_currency=execution.commission_currency,
            realized_pnl=price(execution.realized_pnl),
        )


class ExecutionsPage(SnapshotOut):
    executions: list[ExecutionOut]
    next_page_token: str | None = Field(description="Give it back as `page_token`; null on the last page.")


class OrderEventOut(Out):
    """Something that happened to an order; `data` is how the order, or the fill, stood then."""

    seq: int = Field(description="The event's number in the journal, without gaps over all events.")
    name: str = Field(examples=["accepted"])
    time: Time
    data: OrderOut | ExecutionOut | None

    @classmethod
    def of(cls, event: StoredEvent) -> Self:
        value = event.data
        data = (
            OrderOut.of(value)
            if isinstance(value, Order)
            else ExecutionOut.of(value)
            if isinstance(value, Execution)
            else None
        )
        return cls(seq=event.seq, name=event.name, time=time(event.time), data=data)


class OrderEventsOut(Out):
    order_id: str
    events: list[OrderEventOut]

    @classmethod
    def of(cls, order_id: str, events: Iterable[StoredEvent]) -> Self:
        return cls(order_id=order_id, events=[OrderEventOut.of(event) for event in events])
