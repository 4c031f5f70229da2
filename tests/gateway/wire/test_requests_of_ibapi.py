"""The gateway reads what IB's own client writes, at every version from 157 to 200."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.wire import samples
from trademind.gateway.handlers import HANDLERS
from trademind.gateway.wire.fields import decode_fields
from trademind.gateway.wire.frames import FrameBuffer
from trademind.gateway.wire.reading import read_request, request_id
from trademind.gateway.wire.requests.orders import CancelOrder
from trademind.gateway.wire.requests.session import StartApi

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

REQ = 77


class Wire(EWrapper):  # type: ignore[misc]
    """IB's client without a socket: what it would write."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.client = EClient(self)
        self.client.serverVersion_ = version
        self.client.connState = EClient.CONNECTED
        self.client.clientId = 5
        self.client.conn = self
        self._sent = FrameBuffer()
        self.errors: list[tuple[Any, ...]] = []

    def isConnected(self) -> bool:
        return True

    def sendMsg(self, data: bytes) -> None:
        self._sent.feed(data)

    def error(self, *args: Any) -> None:
        self.errors.append(args)

    def write(self, name: str, *args: Any) -> list[str]:
        getattr(self.client, name)(*args)
        assert not self.errors, self.errors
        payload = self._sent.next_frame()
        assert payload is not None
        return decode_fields(payload)


def aapl() -> Contract:
    contract = Contract()
    contract.conId, contract.symbol, contract.secType = 265598, "AAPL", "STK"
    contract.exchange, contract.primaryExchange, contract.currency = "SMART", "NASDAQ", "USD"
    return contract


def calls() -> Iterator[tuple[str, tuple[Any, ...], int]]:
    contract = aapl()
    yield "reqMktData", (REQ, contract, "", False, False, []), REQ
    yield "reqContractDetails", (REQ, contract), REQ
    yield "cancelOrder", (REQ, OrderCancel()), REQ
    yield "reqGlobalCancel", (OrderCancel(),), -1
    yield "reqHistoricalData", (REQ, contract, "", "1 D", "1 hour", "TRADES", 1, 1, False, []), REQ
    yield "reqHeadTimeStamp", (REQ, contract, "TRADES", 1, 1), REQ
    yield "reqExecutions", (REQ, ExecutionFilter()), REQ
    yield "reqMktDepth", (REQ, contract, 5, False, []), REQ
    yield "reqRealTimeBars", (REQ, contract, 5, "TRADES", True, []), REQ
    yield "reqTickByTickData", (REQ, contract, "Last", 0, False), REQ
    yield "reqHistoricalTicks", (REQ, contract, "", "", 10, "TRADES", 1, False, []), REQ
    yield "reqHistogramData", (REQ, contract, True, "1 day"), REQ
    yield "calculateImpliedVolatility", (REQ, contract, 1.0, 1.0, []), REQ
    yield "calculateOptionPrice", (REQ, contract, 1.0, 1.0, []), REQ
    yield "exerciseOptions", (REQ, contract, 1, 1, "DU1", 0, "", "", False), REQ
    yield "replaceFA", (REQ, 1, "<x/>"), REQ
    for name in (
        "cancelMktData", "cancelHistoricalData", "cancelAccountSummary", "cancelPositionsMulti",
        "cancelAccountUpdatesMulti", "cancelPnL", "cancelPnLSingle", "cancelHeadTimeStamp",
        "cancelRealTimeBars", "cancelScannerSubscription", "cancelTickByTickData", "cancelHistogramData",
        "cancelCalculateImpliedVolatility", "cancelCalculateOptionPrice", "queryDisplayGroups",
        "unsubscribeFromGroupEvents", "reqSoftDollarTiers",
    ):  # fmt: skip
        yield name, (REQ,), REQ
    for name in (
        "reqOpenOrders", "reqAllOpenOrders", "reqPositions", "cancelPositions", "reqManagedAccts",
        "reqCurrentTime", "reqFamilyCodes", "reqMktDepthExchanges", "reqNewsProviders",
        "reqScannerParameters", "cancelNewsBulletins",
    ):  # fmt: skip
        yield name, (), -1
    yield "reqPnL", (REQ, "DU1", ""), REQ
    yield "reqPnLSingle", (REQ, "DU1", "", 265598), REQ
    yield "reqAccountSummary", (REQ, "All", "NetLiquidation"), REQ
    yield "reqAccountUpdates", (True, "DU1"), -1
    yield "reqAccountUpdatesMulti", (REQ, "DU1", "", True), REQ
    yield "reqPositionsMulti", (REQ, "DU1", ""), REQ
    yield "reqMatchingSymbols", (REQ, "AAP"), REQ
    yield "reqMarketRule", (26,), -1
    yield "reqMarketDataType", (3,), -1
    yield "reqIds", (1,), -1
    yield "reqAutoOpenOrders", (True,), -1
    yield "reqCompletedOrders", (True,), -1
    yield "reqNewsBulletins", (True,), -1
    yield "reqSmartComponents", (REQ, "a6"), REQ
    yield "reqNewsArticle", (REQ, "BRFG", "1", []), REQ
    yield "reqSecDefOptParams", (REQ, "AAPL", "", "STK", 265598), REQ
    yield "setServerLogLevel", (1,), -1


@pytest.mark.parametrize(("name", "args", "req_id"), list(calls()), ids=[name for name, _, _ in calls()])
@pytest.mark.parametrize("version", [157, 178, 188, 192, 200])
def test_every_request_is_known_and_handled(
    version: int, name: str, args: tuple[Any, ...], req_id: int
) -> None:
    fields = Wire(version).write(name, *args)

    assert request_id(fields, version) == req_id
    assert type(read_request(fields, version)) in HANDLERS


def test_requests_that_came_with_a_version() -> None:
    wire = Wire(200)
    for name in ("reqWshMetaData", "cancelWshMetaData", "cancelWshEventData", "reqUserInfo"):
        fields = wire.write(name, REQ)
        assert request_id(fields, 200) == REQ
        assert type(read_request(fields, 200)) in HANDLERS
    assert type(read_request(wire.write("reqCurrentTimeInMillis"), 200)) in HANDLERS


@pytest.mark.parametrize("version", samples.VERSIONS)
def test_start_api(version: int) -> None:
    wire = Wire(version)
    wire.client.optCapab = "x"

    assert read_request(wire.write("startApi"), version) == StartApi(5, "x")


def test_executions_by_day() -> None:
    wanted = ExecutionFilter()
    wanted.lastNDays, wanted.specificDates = 3, ["20261120", "20261123"]

    request = read_request(Wire(200).write("reqExecutions", REQ, wanted), 200)

    assert (request.last_days, request.specific_dates) == (3, ("20261120", "20261123"))


def test_cancelling_with_tags() -> None:
    tags = OrderCancel()
    tags.manualOrderCancelTime, tags.extOperator = "20261123 10:00:00", "me"

    assert read_request(Wire(200).write("cancelOrder", REQ, tags), 200) == CancelOrder(REQ)
