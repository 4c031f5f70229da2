"""The widespread design, as a peer: IB's own client in a thread, its answers in queues, FastAPI in front.

    python -m tests.bench.thread_server HTTP_PORT GATEWAY_PORT

Strategy: `app.run()` decodes what the gateway says in a thread of its own. An endpoint, which runs in one of
FastAPI's worker threads, takes an id, files a queue under it, sends its request and collects what the
callbacks put there: until the end of the answer, an error about that id, or the time-out. Every request goes
over the wire, and nothing is kept between two of them. A connection that is gone is opened anew by the next
request.

It is meant as that design done with care: ids are given out under a lock; requests without an id, which
share their answer, are made one at a time, and those of account summaries two at a time, as IB allows; it
asks the gateway to slow it down rather than to drop it (+PACEAPI), and its socket does not wait for company
(TCP_NODELAY).
"""

import itertools
import logging
import queue
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from decimal import Decimal
from typing import Any, Final, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper
from pydantic import BaseModel

log = logging.getLogger("thread_server")

HOST: Final = "127.0.0.1"
CLIENT_ID: Final = 21
CONNECT_TIMEOUT: Final = 5.0
REQUEST_TIMEOUT: Final = 3.0
ORDER_TIMEOUT: Final = 3.0
FIRST_REQUEST_ID: Final = 1_000_000
"""Far from the order ids: errors name an id and do not say of which kind it is."""
SUMMARY_TAGS: Final = (
    "NetLiquidation,TotalCashValue,BuyingPower,AvailableFunds,ExcessLiquidity,EquityWithLoanValue,"
    "InitMarginReq,MaintMarginReq,GrossPositionValue"
)
POSITIONS, OPEN_ORDERS = "positions", "open orders"
"""Under what the answers are filed that have no request id."""
TICKS: Final = {1: "bid", 2: "ask", 4: "last", 9: "close"}

_CANCELED: Final = 202
_NO_SUCH_CONTRACT: Final = 200
_END: Final = object()


class BrokerError(Exception):
    """What the gateway refused, with IB's code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"IB {code}: {text}")
        self.code = code


class BrokerTimeout(Exception):
    """No answer in time."""


class NotConnected(Exception):
    """No connection, and none to be had."""


class App(EWrapper, EClient):  # type: ignore[misc]
    """IB's client: callbacks in the reading thread, methods of the second half in the endpoints' threads."""

    def __init__(self, port: int) -> None:
        EClient.__init__(self, self)
        self.setConnectOptions("+PACEAPI")
        self._port = port
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._one_at_a_time = {POSITIONS: threading.Lock(), OPEN_ORDERS: threading.Lock()}
        self._summaries = threading.BoundedSemaphore(2)
        self._answers: dict[int | str, queue.Queue[Any]] = {}
        self._request_ids = itertools.count(FIRST_REQUEST_ID)
        self._next_order_id: int | None = None
        self._has_order_id = threading.Event()
        self._reading: threading.Thread | None = None

    # Callbacks

    def nextValidId(self, orderId: int) -> None:
        with self._lock:
            self._next_order_id = orderId
        self._has_order_id.set()

    def error(
        self, reqId: int, errorTime: int, errorCode: int, errorString: str, advancedOrderRejectJson: str = ""
    ) -> None:
        if 2100 <= errorCode < 2200:
            log.info("%d: %s", errorCode, errorString)
            return
        log.warning("error %d about %d: %s", errorCode, reqId, errorString)
        self._put(reqId, BrokerError(errorCode, errorString))

    def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:
        self._put(reqId, (account, tag, value, currency))

    def accountSummaryEnd(self, reqId: int) -> None:
        self._put(reqId, _END)

    def position(self, account: str, contract: Contract, position: Decimal, avgCost: float) -> None:
        held = {"account": account, "symbol": contract.symbol, "con_id": contract.conId}
        self._put(POSITIONS, held | {"quantity": float(position), "avg_cost": avgCost})

    def positionEnd(self) -> None:
        self._put(POSITIONS, _END)

    def openOrder(self, orderId: int, contract: Contract, order: Order, orderState: Any) -> None:
        listed = {
            "order_id": orderId,
            "client_order_id": order.orderRef,
            "symbol": contract.symbol,
            "side": order.action,
            "quantity": float(order.totalQuantity),
            "order_type": order.orderType,
            "limit_price": order.lmtPrice,
            "status": orderState.status,
        }
        self._put(OPEN_ORDERS, listed)

    def openOrderEnd(self) -> None:
        self._put(OPEN_ORDERS, _END)

    def orderStatus(
        self, orderId: int, status: str, filled: Decimal, remaining: Decimal, avgFillPrice: float, *_: Any
    ) -> None:
        told = {"order_id": orderId, "status": status, "filled": float(filled)}
        self._put(orderId, told | {"remaining": float(remaining), "avg_fill_price": avgFillPrice})

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        contract = contractDetails.contract
        found = {"symbol": contract.symbol, "con_id": contract.conId, "currency": contract.currency}
        self._put(reqId, found | {"long_name": contractDetails.longName, "min_tick": contractDetails.minTick})

    def contractDetailsEnd(self, reqId: int) -> None:
        self._put(reqId, _END)

    def historicalData(self, reqId: int, bar: Any) -> None:
        prices = {"time": bar.date, "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
        self._put(reqId, prices | {"volume": float(bar.volume)})

    def historicalDataEnd(self, reqId: int, start: str, end: str) -> None:
        self._put(reqId, _END)

    def tickPrice(self, reqId: int, tickType: int, price: float, attrib: Any) -> None:
        if tickType in TICKS:
            self._put(reqId, (TICKS[tickType], price))

    def tickSnapshotEnd(self, reqId: int) -> None:
        self._put(reqId, _END)

    def _put(self, key: int | str, item: Any) -> None:
        answer = self._answers.get(key)
        if answer is not None:
            answer.put(item)

    # The connection

    def ensure_connected(self) -> None:
        """Connect, unless that is so already. Raises `NotConnected`."""
        with self._connecting:
            if self.isConnected():
                return
            if self._reading is not None:
                # It ends by closing whatever connection there is by then, so the new one has to wait for it.
                self._reading.join()
            self._has_order_id.clear()
            self.connect(HOST, self._port, CLIENT_ID)
            if not self.isConnected():
                raise NotConnected(f"no gateway on port {self._port}")
            # A cancel and the next request are two small writes: without this, the second waits for the
            # acknowledgement of the first, 40 ms on Linux.
            with suppress(AttributeError, OSError):  # it may be gone again already
                self.conn.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reading = threading.Thread(target=self.run, name="ibapi", daemon=True)
            self._reading.start()
            if not self._has_order_id.wait(CONNECT_TIMEOUT):
                self.disconnect()
                raise NotConnected(f"no order id from the gateway in {CONNECT_TIMEOUT:g} s")

    # Requests

    @contextmanager
    def _filed(self, key: int | str) -> Iterator["queue.Queue[Any]"]:
        answer: queue.Queue[Any] = queue.Queue()
        self._answers[key] = answer
        try:
            yield answer
        finally:
            del self._answers[key]

    def _collect(self, answer: "queue.Queue[Any]") -> list[Any]:
        collected = []
        while (item := _next(answer, REQUEST_TIMEOUT)) is not _END:
            collected.append(item)
        return collected

    def ask(self, send: Callable[[int], None], cancel: Callable[[int], None] | None = None) -> list[Any]:
        """What comes in answer to the request that `send` makes with an id; `cancel` ends what goes on."""
        self.ensure_connected()
        with self._lock:
            request_id = next(self._request_ids)
        with self._filed(request_id) as answer:
            try:
                send(request_id)
                return self._collect(answer)
            finally:
                if cancel is not None:
                    cancel(request_id)

    def _ask_alone(self, key: str, send: Callable[[], None]) -> list[Any]:
        """The same for a request without an id, while nobody else makes it."""
        self.ensure_connected()
        with self._one_at_a_time[key], self._filed(key) as answer:
            send()
            return self._collect(answer)

    def account(self) -> dict[str, str]:
        with self._summaries:
            rows = self.ask(
                lambda request_id: self.reqAccountSummary(request_id, "All", SUMMARY_TAGS),
                self.cancelAccountSummary,
            )
        return {tag: value for _, tag, value, _ in rows}

    def positions(self) -> list[dict[str, Any]]:
        held = self._ask_alone(POSITIONS, self.reqPositions)
        self.cancelPositions()
        return held

    def open_orders(self) -> list[dict[str, Any]]:
        return self._ask_alone(OPEN_ORDERS, self.reqAllOpenOrders)

    def place(self, contract: Contract, order: Order) -> dict[str, Any]:
        """Send an order, and return its first status."""
        self.ensure_connected()
        with self._lock:
            assert self._next_order_id is not None
            order_id = self._next_order_id
            self._next_order_id += 1
        with self._filed(order_id) as answer:
            self.placeOrder(order_id, contract, order)
            return dict(_next(answer, ORDER_TIMEOUT))

    def cancel(self, order_id: int) -> dict[str, Any]:
        """Ask for a cancel, and return the status that comes of it."""
        self.ensure_connected()
        with self._filed(order_id) as answer:
            self.cancelOrder(order_id, OrderCancel())
            try:
                return dict(_next(answer, ORDER_TIMEOUT))
            except BrokerError as error:
                if error.code == _CANCELED:
                    return {"order_id": order_id, "status": "Cancelled"}
                raise


def _next(answer: "queue.Queue[Any]", timeout: float) -> Any:
    try:
        item = answer.get(timeout=timeout)
    except queue.Empty:
        raise BrokerTimeout(f"no answer in {timeout:g} s") from None
    if isinstance(item, BrokerError):
        raise item
    return item


def _stock(symbol: str) -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = symbol, "STK", "SMART", "USD"
    return contract


class OrderIn(BaseModel):
    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal
    order_type: Literal["MKT", "LMT"] = "MKT"
    limit_price: Decimal | None = None
    client_order_id: str = ""

    def made(self) -> Order:
        order = Order()
        order.action, order.totalQuantity, order.orderType = self.side, self.quantity, self.order_type
        order.tif, order.orderRef = "DAY", self.client_order_id
        if self.limit_price is not None:
            order.lmtPrice = float(self.limit_price)
        return order


def create_app(gateway_port: int) -> FastAPI:
    app = App(gateway_port)

    @asynccontextmanager
    async def connected(api: FastAPI) -> AsyncIterator[None]:
        try:
            app.ensure_connected()
        except NotConnected as error:
            log.warning("%s; the first request tries again", error)
        yield
        app.disconnect()

    api = FastAPI(lifespan=connected)

    def failed(status: int) -> Callable[[Request, Exception], JSONResponse]:
        return lambda request, error: JSONResponse({"detail": str(error)}, status_code=status)

    @api.exception_handler(BrokerError)
    def refused(request: Request, error: BrokerError) -> JSONResponse:
        status = 404 if error.code == _NO_SUCH_CONTRACT else 502
        return JSONResponse({"detail": str(error), "ib_code": error.code}, status_code=status)

    api.add_exception_handler(BrokerTimeout, failed(504))
    api.add_exception_handler(NotConnected, failed(503))

    @api.get("/healthz")
    def healthz() -> JSONResponse:
        is_connected = bool(app.isConnected())
        return JSONResponse({"connected": is_connected}, status_code=200 if is_connected else 503)

    @api.get("/account")
    def account() -> dict[str, str]:
        return app.account()

    @api.get("/positions")
    def positions() -> list[dict[str, Any]]:
        return app.positions()

    @api.get("/orders")
    def orders() -> list[dict[str, Any]]:
        return app.open_orders()

    @api.post("/orders", status_code=201)
    def place(order: OrderIn) -> dict[str, Any]:
        return {"client_order_id": order.client_order_id, **app.place(_stock(order.symbol), order.made())}

    @api.delete("/orders/{order_id}", status_code=202)
    def cancel(order_id: int) -> dict[str, Any]:
        return app.cancel(order_id)

    @api.get("/contracts/{symbol}")
    def contract(symbol: str) -> list[dict[str, Any]]:
        return app.ask(lambda request_id: app.reqContractDetails(request_id, _stock(symbol)))

    @api.get("/bars")
    def bars(symbol: str) -> list[dict[str, Any]]:
        return app.ask(
            lambda request_id: app.reqHistoricalData(
                request_id, _stock(symbol), "", "1 D", "1 hour", "TRADES", 1, 1, False, []
            )
        )

    @api.get("/quote")
    def quote(symbol: str) -> dict[str, Any]:
        ticks = app.ask(lambda request_id: app.reqMktData(request_id, _stock(symbol), "", True, False, []))
        return {"symbol": symbol, **dict(ticks)}

    return api


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    uvicorn.run(
        create_app(int(sys.argv[2])),
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        timeout_keep_alive=60,
    )
