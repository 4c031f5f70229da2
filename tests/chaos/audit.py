"""What the gateway says to somebody else: an independent client with another id, and nothing of TradeMind's.

It takes ib_async's socket and decoder only. What is made of the messages is made here, so that no model of
theirs or ours stands between the gateway's answer and the comparison.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import ib_async
from ib_async.client import Client

AUDITOR: Final = 9
"""The auditor's client id."""
WITHIN: Final = 20.0
"""Seconds for all answers together."""

DONE: Final = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})


@dataclass(slots=True)
class GatewayOrder:
    """An order as the gateway has it."""

    perm_id: int
    order_ref: str
    con_id: int
    side: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    status: str
    filled: Decimal
    is_open: bool
    client_id: int | None = None
    """None of a completed order: IB does not tell."""


@dataclass(slots=True)
class GatewayFill:
    exec_id: str
    client_id: int
    perm_id: int
    order_ref: str
    con_id: int
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None = None


@dataclass(slots=True)
class Statement:
    """All that the gateway says of the account at one moment."""

    orders: list[GatewayOrder] = field(default_factory=list)
    fills: dict[str, GatewayFill] = field(default_factory=dict)
    positions: dict[int, tuple[Decimal, Decimal]] = field(default_factory=dict)
    """Quantity and average cost by con id, of what is held."""
    values: dict[str, Decimal] = field(default_factory=dict)
    """Account values in the base currency."""
    problems: list[str] = field(default_factory=list)
    """What was told twice, or makes no sense by itself."""


class _Sheet:
    """Takes down what the decoder calls it with; of what it does not know, nothing."""

    defaultTimezone = None
    """The decoder asks for it."""

    def __init__(self) -> None:
        self.statement = Statement()
        self.open: dict[int, GatewayOrder] = {}
        self.ends = {
            name: asyncio.Event()
            for name in (
                "openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "positionEnd", "accountDownloadEnd",
            )
        }  # fmt: skip

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)
        end = self.__dict__.get("ends", {}).get(name)
        return (lambda *_: end.set()) if end is not None else (lambda *_: None)

    def openOrder(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        found = _order(contract, order, state, is_open=True)
        if found.perm_id in self.open:
            self.statement.problems.append(f"open order {found.order_ref} is listed twice")
        found.client_id = order.clientId
        self.open[found.perm_id] = found
        self.statement.orders.append(found)

    def orderStatus(
        self,
        order_id: int,
        status: str,
        filled: float,
        remaining: float,
        average: float,
        perm_id: int,
        *_: Any,
    ) -> None:
        if (order := self.open.get(perm_id)) is not None:
            order.status, order.filled = status, _decimal(filled)

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        self.statement.orders.append(_order(contract, order, state, is_open=False))

    def execDetails(self, req_id: int, contract: Any, execution: Any) -> None:
        fill = GatewayFill(
            exec_id=execution.execId,
            client_id=execution.clientId,
            perm_id=execution.permId,
            order_ref=execution.orderRef,
            con_id=contract.conId,
            side="BUY" if execution.side == "BOT" else "SELL",
            quantity=_decimal(execution.shares),
            price=_decimal(execution.price),
        )
        if fill.exec_id in self.statement.fills:
            self.statement.problems.append(f"execution {fill.exec_id} is listed twice")
        self.statement.fills[fill.exec_id] = fill

    def commissionReport(self, report: Any) -> None:
        if (fill := self.statement.fills.get(report.execId)) is not None:
            fill.commission = _decimal(report.commission)

    def position(self, account: str, contract: Any, quantity: float, cost: float) -> None:
        if quantity:
            self.statement.positions[contract.conId] = _decimal(quantity), _decimal(cost)

    def updateAccountValue(self, tag: str, value: str, currency: str, account: str) -> None:
        if tag in ("TotalCashValue", "RealizedPnL") and currency in ("USD", "BASE"):
            self.statement.values[f"{tag} {currency}"] = Decimal(value)


def _order(contract: Any, order: Any, state: Any, *, is_open: bool) -> GatewayOrder:
    has_limit = order.orderType in ("LMT", "STP LMT")
    has_stop = order.orderType in ("STP", "STP LMT")
    return GatewayOrder(
        perm_id=order.permId,
        order_ref=order.orderRef,
        con_id=contract.conId,
        side=order.action,
        quantity=_decimal(order.totalQuantity),
        order_type=order.orderType,
        limit_price=_decimal(order.lmtPrice) if has_limit else None,
        stop_price=_decimal(order.auxPrice) if has_stop else None,
        tif=order.tif,
        status=state.status,
        filled=Decimal(0) if is_open else _decimal(order.filledQuantity),
        is_open=is_open,
    )


def _decimal(number: object) -> Decimal:
    return Decimal(str(number)).normalize() + 0


async def take_statement(port: int) -> Statement:
    """Ask the gateway on `port` for everything.

    Raises:
        TimeoutError, OSError: it does not answer.
    """
    sheet = _Sheet()
    client = Client(sheet)
    try:
        async with asyncio.timeout(WITHIN):
            await client.connectAsync("127.0.0.1", port, AUDITOR, WITHIN)
            account = client.getAccounts()[0]
            client.reqAllOpenOrders()
            client.reqCompletedOrders(False)
            client.reqExecutions(client.getReqId(), ib_async.ExecutionFilter())
            client.reqPositions()
            client.reqAccountUpdates(True, account)
            for end in sheet.ends.values():
                await end.wait()
    finally:
        client.disconnect()
    return sheet.statement
