"""Orders as they come in and go out, and executions.

What comes in is checked here for its shape alone (known fields, JSON types); what the values mean is
checked once, by the domain.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, StrictBool, StrictInt
from pydantic.config import JsonDict

from trademind.api.schemas.base import (
    In,
    Money,
    Out,
    Price,
    Quantity,
    Time,
    exact_price,
    price,
    quantity,
    time,
)
from trademind.api.schemas.notices import NoticeOut
from trademind.api.schemas.portfolio import SnapshotOut
from trademind.domain import (
    Execution,
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    OrderType,
    SecType,
    Side,
    TimeInForce,
)
from trademind.journal import StoredEvent


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _as_sent(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a number")
    return value


Number = Annotated[
    str | int | float,
    PlainValidator(_as_sent, json_schema_input_type=str | int | float),
    Field(description="A number, better as a string: '150.25'."),
]
"""Kept as it was sent; the domain makes a decimal of it. `true` is not 1."""

SideIn = Annotated[Side, BeforeValidator(_upper)]
OrderTypeIn = Annotated[OrderType, BeforeValidator(_upper)]
TimeInForceIn = Annotated[TimeInForce, BeforeValidator(_upper)]


class OrderIn(In):
    """An order to place. Say which contract by `symbol` (with its circumstances) or by `con_id`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"symbol": "AAPL", "side": "BUY", "quantity": "10"},
                {
                    "symbol": "AAPL",
                    "side": "BUY",
                    "quantity": "10",
                    "order_type": "LMT",
                    "limit_price": "150.00",
                    "tif": "GTC",
                    "client_order_id": "my-order-1",
                },
            ]
        }
    )

    side: SideIn
    quantity: Number
    symbol: str = ""
    con_id: StrictInt | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = "SMART"
    currency: str = "USD"
    order_type: OrderTypeIn = OrderType.MARKET
    limit_price: Number | None = None
    stop_price: Number | None = None
    tif: TimeInForceIn = TimeInForce.DAY
    outside_rth: StrictBool = False
    account_id: str | None = None
    client_order_id: str | None = Field(
        default=None,
        description="Your own name for the order: sent twice, it still makes one order. "
        "The Idempotency-Key header does the same.",
    )

    def request(self, client_order_id: str | None) -> OrderRequest:
        """The order in the domain's terms. Raises `Invalid` with everything that is wrong with it."""
        # The domain turns the numbers, still as they came, into exact decimals.
        fields: dict[str, Any] = self.model_dump(exclude={"client_order_id"})
        return OrderRequest(**fields, client_order_id=client_order_id)


class OrderChangeIn(In):
    """What to change of a working order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limit_price": "151.00"}]})

    quantity: Number | None = None
    limit_price: Number | None = None
    stop_price: Number | None = None
    tif: TimeInForceIn | None = None

    def change(self) -> OrderChange:
        """The change in the domain's terms. Raises `Invalid`."""
        fields: dict[str, Any] = self.model_dump()
        return OrderChange(**fields)


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
    "tif": "GTC",
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
    "reason": None,
    "notices": [],
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
    tif: str
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
    reason: str | None = Field(description="Why it was rejected or cancelled, in IB's words.")
    notices: list[NoticeOut]

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
            tif=order.tif,
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
            reason=order.reason,
            notices=[NoticeOut.of(notice) for notice in order.notices],
        )


class OrdersOut(SnapshotOut):
    orders: list[OrderOut]


class OrdersPage(OrdersOut):
    next_page_token: str | None = Field(description="Give it back as `page_token`; null on the last page.")


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
