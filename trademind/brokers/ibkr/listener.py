"""What IB says, as IB said it.

ib_async keeps its own model of orders, fills and figures, and some of its conclusions are wrong for us: an
unknown error code makes an order Cancelled although it lives, a fill whose order it does not know is
dropped, a commission report that comes first is lost. So the messages are taken where they are decoded, in
place of those conclusions: `Listener` is ib_async's wrapper with each message of interest handed to a sink.
What stays with ib_async is the socket, the protocol, the end markers of requests, and tickers.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ib_async
from ib_async.client import Client
from ib_async.wrapper import Wrapper

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Who listens. Every method runs inside the socket's callback: quick, and without awaiting."""

    def on_open_order(self, contract: ib_async.Contract, order: ib_async.Order) -> None: ...
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
        avg_price: float,
    ) -> None: ...
    def on_execution(
        self, contract: ib_async.Contract, execution: ib_async.Execution, *, is_live: bool
    ) -> None: ...
    def on_commission(self, report: ib_async.CommissionReport) -> None: ...
    def on_account_value(self, tag: str, value: str, currency: str, account: str) -> None: ...
    def on_portfolio(self, item: ib_async.PortfolioItem) -> None: ...
    def on_position(
        self, account: str, contract: ib_async.Contract, quantity: float, avg_cost: float
    ) -> None: ...
    def on_pnl(self, req_id: int, daily: float, unrealized: float, realized: float) -> None: ...


class MarketSink(Protocol):
    """Who listens to the market; as `Sink`. The first argument of each message is its request id."""

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None: ...
    def on_depth_row(
        self, req_id: int, position: int, maker: str, operation: int, side: int, price: float, size: float
    ) -> None: ...
    def on_bar(self, req_id: int, bar: ib_async.BarData) -> None: ...
    def on_past_bar(self, req_id: int, bar: ib_async.BarData) -> bool:
        """A bar of the past. Is it of a line? Otherwise it is of a question for history."""
        ...

    def on_past_bars_end(self, req_id: int) -> bool:
        """All bars of the past have come. Were they of a line?"""
        ...

    def on_bar_update(self, req_id: int, bar: ib_async.BarData) -> None:
        """The bar that forms, as it stands now."""

    def on_trade(
        self,
        req_id: int,
        time: int,
        price: float,
        size: float,
        attributes: ib_async.TickAttribLast,
        exchange: str,
        conditions: str,
    ) -> None: ...
    def on_bid_ask(
        self, req_id: int, time: int, bid: float, ask: float, bid_size: float, ask_size: float
    ) -> None: ...
    def on_mid_point(self, req_id: int, time: int, price: float) -> None: ...
    def on_farm(self, name: str, state: str) -> None:
        """A farm of market data, as IB's notices tell it."""

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """Was it about a market data line?"""
        ...


class Listener(Wrapper):
    """ib_async's wrapper, with what it would make of orders, fills and figures left out."""

    def __init__(
        self, ib: ib_async.IB, sink: Sink, market: MarketSink, on_error: Callable[[int, int, str], None]
    ) -> None:
        super().__init__(ib)
        self._sink = sink
        self._market = market
        self._on_error = on_error

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        # ib_async hands ticks on when it has read all that came with them. Those that came before an error
        # must not look like the end of it.
        if self.pendingTickers:
            self.ib.pendingTickersEvent.emit(self.pendingTickers)
            self.pendingTickers = set()
        self._on_error(reqId, errorCode, errorString)

    def openOrder(
        self,
        orderId: int,
        contract: ib_async.Contract,
        order: ib_async.Order,
        orderState: ib_async.OrderState,
    ) -> None:
        if order.whatIf:
            self._endReq(orderId, orderState)  # type: ignore[no-untyped-call]  # the answer to a preview: there is no such order
        else:
            self._sink.on_open_order(contract, order)
        # Order ids have to rise above every one in use, or IB answers 103, duplicate order id.
        self.ib.client.updateReqId(orderId + 1)

    def completedOrder(
        self, contract: ib_async.Contract, order: ib_async.Order, orderState: ib_async.OrderState
    ) -> None:
        self._sink.on_completed_order(contract, order, orderState)

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
        self._sink.on_order_status(orderId, clientId, permId, status, filled, avgFillPrice)

    def execDetails(self, reqId: int, contract: ib_async.Contract, execution: ib_async.Execution) -> None:
        # A fill that was not asked for has happened just now.
        self._sink.on_execution(contract, execution, is_live=reqId == -1)

    def commissionReport(self, commissionReport: ib_async.CommissionReport) -> None:
        self._sink.on_commission(commissionReport)

    def updateAccountValue(self, tag: str, val: str, currency: str, account: str) -> None:
        self._sink.on_account_value(tag, val, currency, account)

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
        item = ib_async.PortfolioItem(
            contract, posSize, marketPrice, marketValue, averageCost, unrealizedPNL, realizedPNL, account
        )
        self._sink.on_portfolio(item)

    def position(self, account: str, contract: ib_async.Contract, posSize: float, avgCost: float) -> None:
        self._sink.on_position(account, contract, posSize, avgCost)

    def contractDetails(self, reqId: int, contractDetails: ib_async.ContractDetails) -> None:
        if reqId in self._results:  # an answer that comes too late has nowhere to go
            super().contractDetails(reqId, contractDetails)

    bondContractDetails = contractDetails

    def pnl(self, reqId: int, dailyPnL: float, unrealizedPnL: float, realizedPnL: float) -> None:
        self._sink.on_pnl(reqId, dailyPnL, unrealizedPnL, realizedPnL)

    def scannerDataEnd(self, reqId: int) -> None:
        # ib_async tells a list of its own, which a scan that is asked for once does not have.
        self._endReq(reqId)  # type: ignore[no-untyped-call]

    # The market: what crosses the end of its line ib_async takes for an error; it files ticks one by one
    # under the time at which they came, and keeps books that IB has reset.

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
        ticker = self.reqId2Ticker.get(reqId)
        if ticker is None:
            return
        if tickType in _DELAYED_TICKS:
            ticker.marketDataType = ticker.marketDataType or _DELAYED
        super().priceSizeTick(reqId, tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:
        if reqId in self.reqId2Ticker:
            super().tickSize(reqId, tickType, size)

    def tickOptionComputation(self, reqId: int, *fields: Any) -> None:
        if reqId in self.reqId2Ticker:
            super().tickOptionComputation(reqId, *fields)

    def updateMktDepth(
        self, reqId: int, position: int, operation: int, side: int, price: float, size: float
    ) -> None:
        self._market.on_depth_row(reqId, position, "", operation, side, price, size)

    def updateMktDepthL2(
        self,
        reqId: int,
        position: int,
        marketMaker: str,
        operation: int,
        side: int,
        price: float,
        size: float,
        isSmartDepth: bool = False,
    ) -> None:
        self._market.on_depth_row(reqId, position, marketMaker, operation, side, price, size)

    def realtimeBar(
        self,
        reqId: int,
        time: int,
        open_: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        wap: float,
        count: int,
    ) -> None:
        begin = datetime.fromtimestamp(time, UTC)
        self._market.on_bar(
            reqId, ib_async.BarData(begin, open_, high, low, close, volume, average=wap, barCount=count)
        )

    def historicalData(self, reqId: int, bar: ib_async.BarData) -> None:
        if not self._market.on_past_bar(reqId, bar):
            super().historicalData(reqId, bar)

    def historicalDataEnd(self, reqId: int, _start: str, _end: str) -> None:
        if not self._market.on_past_bars_end(reqId):
            super().historicalDataEnd(reqId, _start, _end)

    def historicalDataUpdate(self, reqId: int, bar: ib_async.BarData) -> None:
        self._market.on_bar_update(reqId, bar)

    def tickByTickAllLast(
        self,
        reqId: int,
        tickType: int,
        time: int,
        price: float,
        size: float,
        tickAttribLast: ib_async.TickAttribLast,
        exchange: str,
        specialConditions: str,
    ) -> None:
        self._market.on_trade(reqId, time, price, size, tickAttribLast, exchange, specialConditions)

    def tickByTickBidAsk(
        self,
        reqId: int,
        time: int,
        bidPrice: float,
        askPrice: float,
        bidSize: float,
        askSize: float,
        tickAttribBidAsk: ib_async.TickAttribBidAsk,
    ) -> None:
        self._market.on_bid_ask(reqId, time, bidPrice, askPrice, bidSize, askSize)

    def tickByTickMidPoint(self, reqId: int, time: int, midPoint: float) -> None:
        self._market.on_mid_point(reqId, time, midPoint)


_DELAYED_TICKS = frozenset(range(66, 77))
"""Ticks that are delayed, whether or not a message about the data type has said so."""
_DELAYED = 3

_EXECUTION, _EXECUTION_TIME = 11, 15
"""The execution message, and where in it the time stands."""


def _with_utc_time(fields: list[str]) -> list[str]:
    """The message with its time in UTC. A time without a zone is UTC; one that cannot be read is now."""
    text = fields[_EXECUTION_TIME]
    # 20260415 15:37:37 US/Eastern, 20260415  15:37:37 or 20260415-15:37:37, by version and setting.
    clock, _, zone = text[9:].strip().partition(" ")
    try:
        local = datetime.strptime(f"{text[:8]} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - the zone follows
        time = local.replace(tzinfo=ZoneInfo(zone) if zone else UTC).astimezone(UTC)
    except (ValueError, ZoneInfoNotFoundError):
        log.warning("IB sent an execution with the time %r, which cannot be read", text)
        time = datetime.now(UTC)
    return [*fields[:_EXECUTION_TIME], f"{time:%Y%m%d %H:%M:%S} UTC", *fields[_EXECUTION_TIME + 1 :]]


class SessionIB(ib_async.IB):
    """An `IB` for one connection: what it states goes to the sinks, and its errors to `on_error`, which is
    given the request id, the code and the message."""

    def __init__(self, sink: Sink, market: MarketSink, on_error: Callable[[int, int, str], None]) -> None:
        super().__init__()
        self.wrapper = Listener(self, sink, market, on_error)
        self.client = Client(self.wrapper)
        self.client.apiEnd += self.disconnectedEvent
        decoder = self.client.decoder
        # ib_async drops an execution whose time zone it does not know and reads a time without one in the
        # zone of this machine: what it is given here leaves no doubt.
        decoder.handlers[_EXECUTION] = lambda fields: decoder.execDetails(_with_utc_time(fields))
