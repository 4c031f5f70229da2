"""Three independent client libraries behind one small interface, so that one script can drive each of them.

ib_async and ib_insync share their ancestry and their way of working; IB's own ibapi runs in a thread of its
own. Orders and contracts are described by IB's attribute names, which all three know.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any, Protocol

import ib_async
import ib_insync
from ibapi import client as ibapi_client
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

PATIENCE = 30.0

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution with its commission report. Numbers are exact: every client knows them as printed."""

    exec_id: str
    order_id: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    average: Decimal
    order_ref: str
    commission: Decimal
    currency: str


class TradingClient(Protocol):
    """What the script of a trading day needs of a client."""

    version: int

    def next_id(self) -> int: ...

    def place(self, order_id: int, contract: Attributes, order: Attributes) -> None:
        """A new order, or a change of the working one with this id."""
        ...

    def cancel(self, order_id: int) -> None: ...

    async def settled(self) -> None:
        """All that was asked for has been answered, and the answers have been read."""
        ...

    def statuses(self) -> dict[int, str]:
        """The last status of each order, by order id."""
        ...

    def errors(self) -> list[tuple[int, int]]:
        """(request or order id, code) of all errors, notices left out."""
        ...

    async def fills(self) -> list[Fill]:
        """Today's executions, as the gateway lists them when asked."""
        ...

    async def summary(self) -> dict[str, str]:
        """The account summary's values by tag."""
        ...

    async def positions(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Quantity and average cost by symbol."""
        ...


def _exact(number: Any) -> Decimal:
    return Decimal(str(number)).normalize()


class FamilyClient:
    """ib_async or ib_insync."""

    def __init__(self, library: ModuleType, ib: Any) -> None:
        self._library = library
        self._ib = ib
        self._errors: list[tuple[int, int]] = []
        self._statuses: dict[int, str] = {}
        ib.errorEvent += self._note_error
        ib.orderStatusEvent += self._note_status
        self.version = ib.client.serverVersion()

    def _note_error(self, req_id: int, code: int, *rest: Any) -> None:
        if not 2100 <= code < 2200:
            self._errors.append((req_id, code))

    def _note_status(self, trade: Any) -> None:
        self._statuses[trade.order.orderId] = trade.orderStatus.status

    def next_id(self) -> int:
        return int(self._ib.client.getReqId())

    def place(self, order_id: int, contract: Attributes, order: Attributes) -> None:
        made = self._library.Order(orderId=order_id, **order)
        # Below the order model of `IB`, which has ideas of its own about what may be changed.
        self._ib.client.placeOrder(order_id, self._library.Contract(**contract), made)

    def cancel(self, order_id: int) -> None:
        self._ib.client.cancelOrder(order_id, "")

    async def settled(self) -> None:
        await asyncio.wait_for(self._ib.reqCurrentTimeAsync(), PATIENCE)

    def statuses(self) -> dict[int, str]:
        return dict(self._statuses)

    def errors(self) -> list[tuple[int, int]]:
        return list(self._errors)

    async def fills(self) -> list[Fill]:
        await asyncio.wait_for(self._ib.reqExecutionsAsync(), PATIENCE)
        await self.settled()
        return [
            Fill(
                exec_id=each.execution.execId,
                order_id=each.execution.orderId,
                symbol=each.contract.symbol,
                side=each.execution.side,
                quantity=_exact(each.execution.shares),
                price=_exact(each.execution.price),
                cumulative=_exact(each.execution.cumQty),
                average=_exact(each.execution.avgPrice),
                order_ref=each.execution.orderRef,
                commission=_exact(each.commissionReport.commission),
                currency=each.commissionReport.currency,
            )
            for each in self._ib.fills()
        ]

    async def summary(self) -> dict[str, str]:
        values = await asyncio.wait_for(self._ib.accountSummaryAsync(), PATIENCE)
        await self.settled()
        return {each.tag: each.value for each in values if each.account != "All" and each.currency != "BASE"}

    async def positions(self) -> dict[str, tuple[Decimal, Decimal]]:
        held = await asyncio.wait_for(self._ib.reqPositionsAsync(), PATIENCE)
        return {
            each.contract.localSymbol: (_exact(each.position), _exact(each.avgCost))
            for each in held
            if each.position
        }


class OfficialClient(EWrapper, EClient):  # type: ignore[misc]
    """IB's own client. Its thread calls back; the script waits for what the callbacks have noted."""

    SUMMARY_TAGS = "NetLiquidation,TotalCashValue,GrossPositionValue,BuyingPower,AvailableFunds,InitMarginReq"

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self._lock = threading.Lock()
        self._next_id = 0
        self._next_request = 1_000_000
        self._ended: set[Any] = set()
        self._errors: list[tuple[int, int]] = []
        self._statuses: dict[int, str] = {}
        self._executions: dict[str, tuple[Any, Any]] = {}
        self._commissions: dict[str, Any] = {}
        self._summary: dict[str, str] = {}
        self._positions: dict[str, tuple[Decimal, Decimal]] = {}
        self._times = 0
        self.version = 0

    # Callbacks, in the client's thread

    def nextValidId(self, orderId: int) -> None:
        self._next_id = orderId

    def error(self, reqId: int, *rest: Any) -> None:
        # From version 194 on the time comes before the code.
        code = rest[1] if len(rest) > 2 and isinstance(rest[1], int) else rest[0]
        if not 2100 <= code < 2200:
            self._errors.append((reqId, code))

    def orderStatus(self, orderId: int, status: str, *rest: Any) -> None:
        self._statuses[orderId] = status

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        self._executions[execution.execId] = (contract, execution)

    def execDetailsEnd(self, reqId: int) -> None:
        self._ended.add(reqId)

    def commissionAndFeesReport(self, commissionAndFeesReport: Any) -> None:
        self._commissions[commissionAndFeesReport.execId] = commissionAndFeesReport

    def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:
        self._summary[tag] = value

    def accountSummaryEnd(self, reqId: int) -> None:
        self._ended.add(reqId)

    def position(self, account: str, contract: Any, position: Decimal, avgCost: float) -> None:
        self._positions[contract.localSymbol] = (_exact(position), _exact(avgCost))

    def positionEnd(self) -> None:
        self._ended.add("positions")

    def currentTime(self, time: int) -> None:
        self._times += 1

    # The script's side

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - the callbacks come from another thread
                await asyncio.sleep(0.001)

    async def started(self) -> None:
        await self.until(lambda: self._next_id)
        self.version = self.serverVersion()

    def _request(self) -> int:
        self._next_request += 1
        return self._next_request

    def next_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def place(self, order_id: int, contract: Attributes, order: Attributes) -> None:
        made = _with(Order(), order)
        made.totalQuantity = Decimal(str(made.totalQuantity))
        self.placeOrder(order_id, _with(Contract(), contract), made)

    def cancel(self, order_id: int) -> None:
        self.cancelOrder(order_id, OrderCancel())

    async def settled(self) -> None:
        before = self._times
        self.reqCurrentTime()
        await self.until(lambda: self._times > before)

    def statuses(self) -> dict[int, str]:
        return dict(self._statuses)

    def errors(self) -> list[tuple[int, int]]:
        return list(self._errors)

    async def fills(self) -> list[Fill]:
        number = self._request()
        self._executions.clear()
        self.reqExecutions(number, ExecutionFilter())
        await self.until(lambda: number in self._ended)
        await self.settled()
        return [
            Fill(
                exec_id=execution.execId,
                order_id=execution.orderId,
                symbol=contract.symbol,
                side=execution.side,
                quantity=_exact(execution.shares),
                price=_exact(execution.price),
                cumulative=_exact(execution.cumQty),
                average=_exact(execution.avgPrice),
                order_ref=execution.orderRef,
                commission=_exact(self._commissions[execution.execId].commissionAndFees),
                currency=self._commissions[execution.execId].currency,
            )
            for contract, execution in self._executions.values()
        ]

    async def summary(self) -> dict[str, str]:
        number = self._request()
        self.reqAccountSummary(number, "All", self.SUMMARY_TAGS)
        await self.until(lambda: number in self._ended)
        self.cancelAccountSummary(number)
        return dict(self._summary)

    async def positions(self) -> dict[str, tuple[Decimal, Decimal]]:
        self._positions.clear()
        self._ended.discard("positions")
        self.reqPositions()
        await self.until(lambda: "positions" in self._ended)
        self.cancelPositions()
        return {name: held for name, held in self._positions.items() if held[0]}


def _with(made: Any, attributes: Attributes) -> Any:
    for name, value in attributes.items():
        assert hasattr(made, name), f"{type(made).__name__} has no {name}"
        setattr(made, name, value)
    return made


LIBRARIES: dict[str, ModuleType] = {"ib_async": ib_async, "ib_insync": ib_insync}
NEWEST = {"ib_async": 178, "ib_insync": 176, "ibapi": 200}
"""The newest version that a library speaks, as far as the gateway does, too."""


@asynccontextmanager
async def trading_client(
    name: str, port: int, version: int, client_id: int = 1
) -> AsyncIterator[TradingClient]:
    """A client of a library that offers no version above `version`."""
    if name == "ibapi":
        async with _official(port, version, client_id) as official:
            yield official
        return
    library = LIBRARIES[name]
    ib = library.IB()
    ib.client.MaxClientVersion = version
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=PATIENCE)
    try:
        yield FamilyClient(library, ib)
    finally:
        ib.disconnect()


@asynccontextmanager
async def _official(port: int, version: int, client_id: int) -> AsyncIterator[OfficialClient]:
    app = OfficialClient()
    newest = ibapi_client.MAX_CLIENT_VER
    ibapi_client.MAX_CLIENT_VER = version
    try:
        await asyncio.to_thread(app.connect, "127.0.0.1", port, client_id)
    finally:
        ibapi_client.MAX_CLIENT_VER = newest
    thread = threading.Thread(target=app.run)
    thread.start()
    try:
        await app.started()
        yield app
    finally:
        app.disconnect()
        await asyncio.to_thread(thread.join)
        if app.reader is not None:
            await asyncio.to_thread(app.reader.join)


__all__ = ["NEWEST", "Attributes", "Fill", "TradingClient", "trading_client"]
