"""IB's own client, in its thread, against the real gateway: the session of a person who trades once."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.bench import ACCOUNT, Bench, open_bench

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")

from ibapi import client as ibapi_client
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

PATIENCE = 30.0


class App(EWrapper, EClient):  # type: ignore[misc]
    """Remembers every callback, by name."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.heard: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.news = threading.Condition()

    def __getattribute__(self, name: str) -> Any:
        # Every method of EWrapper, whatever its signature, is answered by noting the call.
        if name in _CALLBACKS:

            def note(*args: Any) -> None:
                with self.news:
                    self.heard[name].append(args)
                    self.news.notify_all()

            return note
        return super().__getattribute__(name)

    def wait(
        self, name: str, condition: Callable[[tuple[Any, ...]], bool] = lambda args: True
    ) -> tuple[Any, ...]:
        """The first call of a callback that meets the condition; fails after `PATIENCE`."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for args in self.heard[name]:
                    if condition(args):
                        return args
                left = deadline - time.monotonic()
                assert left > 0, f"no such {name} in {self.heard[name]}, errors {self.heard['error']}"
                self.news.wait(left)


_CALLBACKS = frozenset(
    name for name, value in vars(EWrapper).items() if callable(value) and not name.startswith("_")
) - {"logAnswer"}


@asynccontextmanager
async def connected(bench: Bench, client_id: int = 1) -> AsyncIterator[App]:
    app = App()
    await asyncio.to_thread(app.connect, "127.0.0.1", bench.server.port, client_id)
    thread = threading.Thread(target=app.run)
    thread.start()
    try:
        yield app
    finally:
        app.disconnect()
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(app.reader.join) if app.reader is not None else None


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened


def aapl() -> Contract:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "AAPL", "STK", "SMART", "USD"
    return contract


def order(action: str, quantity: int, kind: str = "MKT", price: float | None = None) -> Order:
    made = Order()
    made.action, made.totalQuantity, made.orderType = action, Decimal(quantity), kind
    if price is not None:
        made.lmtPrice = price
    return made


def trade(app: App, version: int) -> None:
    """Account, buy, position, execution, a limit order and its cancel, with everything asked for."""
    assert app.serverVersion() == version
    assert app.wait("managedAccounts") == (ACCOUNT,)
    (order_id,) = app.wait("nextValidId")
    assert order_id == 1
    app.wait("error", lambda args: args[2] == 2104)

    app.reqAccountSummary(9001, "All", "NetLiquidation,TotalCashValue")
    app.wait("accountSummaryEnd")
    assert (9001, ACCOUNT, "TotalCashValue", "100000.00", "USD") in app.heard["accountSummary"]
    app.reqAccountUpdates(True, ACCOUNT)
    assert app.wait("accountDownloadEnd") == (ACCOUNT,)
    app.reqPositions()
    app.wait("positionEnd")
    assert app.heard["position"] == []

    app.reqContractDetails(9002, aapl())
    (_, details) = app.wait("contractDetails")
    assert (details.contract.conId, details.longName) == (265598, "APPLE INC")
    app.wait("contractDetailsEnd")

    app.placeOrder(order_id, aapl(), order("BUY", 10))
    app.wait("orderStatus", lambda args: args[:2] == (order_id, "Filled"))
    (_, contract, execution) = app.wait("execDetails")
    assert (contract.conId, execution.side, execution.shares) == (265598, "BOT", Decimal(10))
    (report,) = app.wait("commissionAndFeesReport")
    assert (report.execId, report.commissionAndFees) == (execution.execId, 1.0)
    (_, contract, quantity, cost) = app.wait("position")
    assert (contract.symbol, quantity) == ("AAPL", Decimal(10))
    assert cost == pytest.approx(execution.price + 0.1)
    app.wait("updatePortfolio", lambda args: args[1] == Decimal(10))

    app.reqExecutions(9003, ExecutionFilter())
    app.wait("execDetailsEnd", lambda args: args == (9003,))
    (_, _, again) = app.wait("execDetails", lambda args: args[0] == 9003)
    assert (again.execId, again.price) == (execution.execId, execution.price)

    app.placeOrder(order_id + 1, aapl(), order("BUY", 5, "LMT", 50.0))
    app.wait("orderStatus", lambda args: args[:2] == (order_id + 1, "Submitted"))
    app.reqAllOpenOrders()
    app.wait("openOrderEnd")
    app.cancelOrder(order_id + 1, OrderCancel())
    app.wait("orderStatus", lambda args: args[:2] == (order_id + 1, "Cancelled"))
    app.wait("error", lambda args: (args[0], args[2]) == (order_id + 1, 202))
    app.reqCompletedOrders(True)
    app.wait("completedOrdersEnd")
    assert len(app.heard["completedOrder"]) == 2


def look(app: App) -> None:
    """Market data, history and the rest of what can be asked."""
    app.reqMktData(1, aapl(), "", True, False, [])
    app.wait("tickSnapshotEnd")
    ticks = {args[1]: args[2] for args in app.heard["tickPrice"]}
    assert 0 < ticks[1] < ticks[2]
    app.reqHistoricalData(2, aapl(), "", "1 D", "1 hour", "TRADES", 1, 1, False, [])
    app.wait("historicalDataEnd", lambda args: args[0] == 2)
    assert len(app.heard["historicalData"]) == 24
    app.reqPnL(3, ACCOUNT, "")
    app.wait("pnl")
    app.reqPnLSingle(4, ACCOUNT, "", 265598)
    assert app.wait("pnlSingle")[1] == Decimal(10)
    app.reqMatchingSymbols(5, "apple")
    assert [found.contract.symbol for found in app.wait("symbolSamples")[1]] == ["AAPL"]
    app.reqPositionsMulti(6, ACCOUNT, "")
    app.wait("positionMultiEnd")
    app.reqAccountUpdatesMulti(7, ACCOUNT, "", False)
    app.wait("accountUpdateMultiEnd")
    app.reqHeadTimeStamp(8, aapl(), "TRADES", 1, 1)
    assert app.wait("headTimestamp") == (8, "20000103-05:00:00")
    app.reqMarketRule(26)
    assert app.wait("marketRule")[1][0].increment == 0.01
    app.reqCurrentTime()
    app.wait("currentTime")
    nothing = aapl()
    nothing.symbol = "NOSUCH"
    app.reqContractDetails(9, nothing)
    app.wait("error", lambda args: (args[0], args[2]) == (9, 200))
    app.reqMktDepth(10, aapl(), 5, False, [])
    app.wait("error", lambda args: (args[0], args[2]) == (10, 10092))


@pytest.mark.parametrize("version", [157, 163, 170, 178, 187, 193, 196, 200])
async def test_a_session(bench: Bench, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what the client offers, 200 is agreed; older clients are played by lowering the offer."""
    if version < 200:
        monkeypatch.setattr(ibapi_client, "MAX_CLIENT_VER", version)
    async with connected(bench) as app:
        await asyncio.to_thread(trade, app, version)
        await asyncio.to_thread(look, app)


async def test_a_client_id_in_use_is_refused(bench: Bench) -> None:
    async with connected(bench) as first, connected(bench) as second:
        await asyncio.to_thread(first.wait, "nextValidId")
        await asyncio.to_thread(second.wait, "error", lambda args: args[2] == 326)


async def test_a_real_client_leaves_nothing_behind(bench: Bench) -> None:
    async with connected(bench) as app:
        await asyncio.to_thread(app.wait, "nextValidId")
        assert len(bench.server.core.sessions) == 1
    async with asyncio.timeout(PATIENCE):
        while bench.server.core.sessions:  # noqa: ASYNC110 - nothing tells when a socket was closed
            await asyncio.sleep(0.002)
