"""What IB says, as IB said it.

ib_async keeps its own model of orders and fills, and some of its conclusions are wrong for us: an unknown
error code makes an order Cancelled although it lives, a fill whose order it does not know is dropped, a
commission report that comes first is lost. So the messages are taken where they are decoded, before those
conclusions: `Listener` is ib_async's wrapper with each message of interest handed to a sink first.

`SessionIB` is an `IB` object built around it, without ib_async's habit of adding one account-summary
subscription, never cancelled, on every 1102.
"""

import logging
from typing import Any, Protocol

import ib_async
from ib_async.client import Client
from ib_async.wrapper import Wrapper

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who listens. Every method runs inside the socket's callback: quick, and without awaiting."""

    def on_error(self, req_id: int, code: int, message: str) -> None: ...
    def on_open_order(
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None: ...
    def on_completed_order(
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None: ...
    def on_order_status(
        self,
        order_id: int,
        client_id: int,
        perm_id: int,
        status: str,
        filled: float,
        remaining: float,
        avg_price: float,
    ) -> None: ...
    def on_execution(self, contract: ib_async.Contract, execution: ib_async.Execution) -> None: ...
    def on_commission(self, report: ib_async.CommissionReport) -> None: ...
    def on_account_value(self, tag: str, value: str, currency: str, account: str) -> None: ...
    def on_portfolio(self, item: ib_async.PortfolioItem) -> None: ...
    def on_position(
        self, account: str, contract: ib_async.Contract, quantity: float, avg_cost: float
    ) -> None: ...
    def on_pnl(self, req_id: int, daily: float, unrealized: float, realized: float) -> None: ...


class Listener(Wrapper):
    """ib_async's wrapper, telling a sink first."""

    def __init__(self, ib: ib_async.IB, sink: Sink) -> None:
        super().__init__(ib)
        self._sink = sink

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        self._sink.on_error(reqId, errorCode, errorString)
        super().error(reqId, errorCode, errorString, advancedOrderRejectJson)

    def openOrder(
        self,
        orderId: int,
        contract: ib_async.Contract,
        order: ib_async.Order,
        orderState: ib_async.OrderState,
    ) -> None:
        if not order.whatIf:
            self._sink.on_open_order(contract, order, orderState)
        super().openOrder(orderId, contract, order, orderState)

    def completedOrder(
        self, contract: ib_async.Contract, order: ib_async.Order, orderState: ib_async.OrderState
    ) -> None:
        self._sink.on_completed_order(contract, order, orderState)
        if "completedOrders" in self._results:
            super().completedOrder(contract, order, orderState)

    def orderStatus(
        self,
        orderId: int,
        status: str,
        filled: float,
        remaining: float,
        avgFillPrice: float,
        permId: int,
        parentId: int,
        lastFillPrice: float,
        clientId: int,
        whyHeld: str,
        mktCapPrice: float = 0.0,
    ) -> None:
        self._sink.on_order_status(orderId, clientId, permId, status, filled, remaining, avgFillPrice)
        super().orderStatus(
            orderId,
            status,
            filled,
            remaining,
            avgFillPrice,
            permId,
            parentId,
            lastFillPrice,
            clientId,
            whyHeld,
            mktCapPrice,
        )

    def execDetails(self, reqId: int, contract: ib_async.Contract, execution: ib_async.Execution) -> None:
        self._sink.on_execution(contract, execution)
        super().execDetails(reqId, contract, execution)

    def commissionReport(self, commissionReport: ib_async.CommissionReport) -> None:
        self._sink.on_commission(commissionReport)
        super().commissionReport(commissionReport)

    def updateAccountValue(self, tag: str, val: str, currency: str, account: str) -> None:
        self._sink.on_account_value(tag, val, currency, account)
        super().updateAccountValue(tag, val, currency, account)

    def updatePortfolio(
        self,
        contract: ib_async.Contract,
        posSize: float,
        marketPrice: float,
        marketValue: float,
        averageCost: float,
        unrealizedPNL: float,
        realizedPNL: float,
        account: str,
    ) -> None:
        self._sink.on_portfolio(
            ib_async.PortfolioItem(
                contract,
                posSize,
                marketPrice,
                marketValue,
                averageCost,
                unrealizedPNL,
                realizedPNL,
                account,
            )
        )

    def position(self, account: str, contract: ib_async.Contract, posSize: float, avgCost: float) -> None:
        self._sink.on_position(account, contract, posSize, avgCost)
        super().position(account, contract, posSize, avgCost)

    def pnl(self, reqId: int, dailyPnL: float, unrealizedPnL: float, realizedPnL: float) -> None:
        self._sink.on_pnl(reqId, dailyPnL, unrealizedPnL, realizedPnL)


class SessionIB(ib_async.IB):
    """An `IB` for one connection, heard by a sink."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.wrapper = Listener(self, sink)
        self.client = Client(self.wrapper)
        self.client.apiEnd += self.disconnectedEvent

    def _onError(self, reqId: int, errorCode: int, errorString: str, contract: Any) -> None:
        """Nothing: what a 1102 calls for is the session's to decide."""
