"""The gateway reads what ib_async's client writes: every request it has, orders at every version."""

from dataclasses import replace
from typing import Any

import ib_async
import pytest
from ib_async.client import Client
from ib_async.objects import ExecutionFilter, ScannerSubscription, WshEventData

from tests.gateway.wire import samples
from trademind.gateway.handlers import HANDLERS
from trademind.gateway.wire.fields import decode_fields
from trademind.gateway.wire.frames import FrameBuffer
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.reading import read_request, request_id
from trademind.gateway.wire.requests.orders import ExecutionsRequest
from trademind.gateway.wire.requests.session import StartApi

VERSIONS = [version for version in samples.VERSIONS if version <= 178]
REQ = 77
AAPL = ib_async.Stock("AAPL", "SMART", "USD", conId=265598, primaryExchange="NASDAQ", tradingClass="NMS")

CALLS: list[tuple[str, tuple[Any, ...], int]] = [
    ("reqMktData", (REQ, AAPL, "233", False, False, []), REQ),
    ("cancelMktData", (REQ,), REQ),
    ("placeOrder", (REQ, AAPL, ib_async.MarketOrder("BUY", 1)), REQ),
    ("cancelOrder", (REQ,), REQ),
    ("reqOpenOrders", (), -1),
    ("reqAccountUpdates", (True, "DU1"), -1),
    ("reqExecutions", (REQ, ExecutionFilter()), REQ),
    ("reqIds", (1,), -1),
    ("reqContractDetails", (REQ, AAPL), REQ),
    ("reqMktDepth", (REQ, AAPL, 5, False, []), REQ),
    ("cancelMktDepth", (REQ, False), REQ),
    ("reqNewsBulletins", (True,), -1),
    ("cancelNewsBulletins", (), -1),
    ("setServerLogLevel", (2,), -1),
    ("reqAutoOpenOrders", (True,), -1),
    ("reqAllOpenOrders", (), -1),
    ("reqManagedAccts", (), -1),
    ("requestFA", (1,), -1),
    ("replaceFA", (REQ, 1, "<x/>"), REQ),
    ("reqHistoricalData", (REQ, AAPL, "", "1 D", "1 hour", "TRADES", True, 1, False, []), REQ),
    ("exerciseOptions", (REQ, AAPL, 1, 1, "DU1", 0), REQ),
    ("reqScannerSubscription", (REQ, ScannerSubscription(), [], []), REQ),
    ("cancelScannerSubscription", (REQ,), REQ),
    ("reqScannerParameters", (), -1),
    ("cancelHistoricalData", (REQ,), REQ),
    ("reqCurrentTime", (), -1),
    ("reqRealTimeBars", (REQ, AAPL, 5, "TRADES", True, []), REQ),
    ("cancelRealTimeBars", (REQ,), REQ),
    ("reqFundamentalData", (REQ, AAPL, "ReportSnapshot", []), REQ),
    ("cancelFundamentalData", (REQ,), REQ),
    ("calculateImpliedVolatility", (REQ, AAPL, 1.5, 150.0, []), REQ),
    ("calculateOptionPrice", (REQ, AAPL, 0.5, 150.0, []), REQ),
    ("cancelCalculateImpliedVolatility", (REQ,), REQ),
    ("cancelCalculateOptionPrice", (REQ,), REQ),
    ("reqGlobalCancel", (), -1),
    ("reqMarketDataType", (1,), -1),
    ("reqPositions", (), -1),
    ("reqAccountSummary", (REQ, "All", "NetLiquidation"), REQ),
    ("cancelAccountSummary", (REQ,), REQ),
    ("cancelPositions", (), -1),
    ("verifyRequest", ("a", "1"), -1),
    ("verifyMessage", ("a",), -1),
    ("queryDisplayGroups", (REQ,), REQ),
    ("subscribeToGroupEvents", (REQ, 1), REQ),
    ("updateDisplayGroup", (REQ, "none"), REQ),
    ("unsubscribeFromGroupEvents", (REQ,), REQ),
    ("verifyAndAuthRequest", ("a", "1", "k"), -1),
    ("verifyAndAuthMessage", ("a", "x"), -1),
    ("reqPositionsMulti", (REQ, "DU1", ""), REQ),
    ("cancelPositionsMulti", (REQ,), REQ),
    ("reqAccountUpdatesMulti", (REQ, "DU1", "", False), REQ),
    ("cancelAccountUpdatesMulti", (REQ,), REQ),
    ("reqSecDefOptParams", (REQ, "AAPL", "", "STK", 265598), REQ),
    ("reqSoftDollarTiers", (REQ,), REQ),
    ("reqFamilyCodes", (), -1),
    ("reqMatchingSymbols", (REQ, "apple"), REQ),
    ("reqMktDepthExchanges", (), -1),
    ("reqSmartComponents", (REQ, "9c0001"), REQ),
    ("reqNewsArticle", (REQ, "BRFG", "1", []), REQ),
    ("reqNewsProviders", (), -1),
    ("reqHistoricalNews", (REQ, 265598, "BRFG", "", "", 10, []), REQ),
    ("reqHeadTimeStamp", (REQ, AAPL, "TRADES", True, 1), REQ),
    ("reqHistogramData", (REQ, AAPL, True, "1 day"), REQ),
    ("cancelHistogramData", (REQ,), REQ),
    ("cancelHeadTimeStamp", (REQ,), REQ),
    ("reqMarketRule", (26,), -1),
    ("reqPnL", (REQ, "DU1", ""), REQ),
    ("cancelPnL", (REQ,), REQ),
    ("reqPnLSingle", (REQ, "DU1", "", 265598), REQ),
    ("cancelPnLSingle", (REQ,), REQ),
    ("reqHistoricalTicks", (REQ, AAPL, "", "", 10, "TRADES", True, False, []), REQ),
    ("reqTickByTickData", (REQ, AAPL, "Last", 0, False), REQ),
    ("cancelTickByTickData", (REQ,), REQ),
    ("reqCompletedOrders", (True,), -1),
    ("reqWshMetaData", (REQ,), REQ),
    ("cancelWshMetaData", (REQ,), REQ),
    ("reqWshEventData", (REQ, WshEventData()), REQ),
    ("cancelWshEventData", (REQ,), REQ),
    ("reqUserInfo", (REQ,), REQ),
]


class Wire:
    """ib_async's client without a socket: what it would write."""

    def __init__(self, version: int) -> None:
        self.client = Client(object())
        self.client.connState = Client.CONNECTED
        self.client._serverVersion = version
        self.client.clientId = 5
        self.sent = FrameBuffer()
        self.client.conn.sendMsg = self.sent.feed  # type: ignore[method-assign]

    def write(self, name: str, *args: Any) -> list[str]:
        getattr(self.client, name)(*args)
        payload = self.sent.next_frame()
        assert payload is not None
        return decode_fields(payload)


def test_every_request_of_the_client_is_in_the_table() -> None:
    own = {
        name for name in vars(Client) if name.startswith(("req", "cancel", "place", "calculate", "verify"))
    }
    others = {"queryDisplayGroups", "replaceFA", "exerciseOptions", "setServerLogLevel", "requestFA"}

    assert own | others <= {name for name, _, _ in CALLS} | {"reqId"}


@pytest.mark.parametrize(("name", "args", "req_id"), CALLS, ids=[name for name, _, _ in CALLS])
@pytest.mark.parametrize("version", [157, 176, 178])
async def test_every_request_is_known_and_handled(
    version: int, name: str, args: tuple[Any, ...], req_id: int
) -> None:
    fields = Wire(version).write(name, *args)

    assert request_id(fields, version) == req_id
    assert type(read_request(fields, version)) in HANDLERS


async def test_start_api() -> None:
    assert read_request(Wire(178).write("startApi"), 178) == StartApi(5, "")


async def test_market_data() -> None:
    request = read_request(Wire(178).write("reqMktData", REQ, AAPL, "233", True, False, []), 178)

    assert (request.req_id, request.generic_ticks, request.snapshot) == (REQ, "233", True)
    assert request.contract.con_id == 265598
    assert (request.contract.symbol, request.contract.exchange) == ("AAPL", "SMART")
    assert (request.contract.primary_exchange, request.contract.trading_class) == ("NASDAQ", "NMS")


async def test_historical_data() -> None:
    args: tuple[Any, ...] = (REQ, AAPL, "20261123-15:00:00", "2 W", "5 mins", "MIDPOINT", False, 2, True, [])
    request = read_request(Wire(178).write("reqHistoricalData", *args), 178)

    assert (request.end, request.duration, request.bar_size) == ("20261123-15:00:00", "2 W", "5 mins")
    assert (request.what_to_show, request.use_rth, request.format_date) == ("MIDPOINT", False, 2)
    assert request.keep_up_to_date is True


async def test_executions() -> None:
    wanted = ExecutionFilter(3, "DU1", "20261123 09:30:00", "AAPL", "STK", "SMART", "BUY")
    request = read_request(Wire(178).write("reqExecutions", REQ, wanted), 178)

    assert request == ExecutionsRequest(
        req_id=REQ,
        client_id=3,
        account="DU1",
        time="20261123 09:30:00",
        symbol="AAPL",
        sec_type="STK",
        exchange="SMART",
        side="BUY",
    )


async def test_contract_details() -> None:
    request = read_request(Wire(176).write("reqContractDetails", REQ, AAPL), 176)

    assert (request.req_id, request.contract.con_id, request.sec_id_type) == (REQ, 265598, "")


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_order_as_it_came_back_from_the_gateway_can_be_sent_again(version: int) -> None:
    """To modify, clients send the order object that an open-order message has filled in."""
    from ib_async.decoder import Decoder

    received: list[ib_async.Order] = []

    class Wrapper:
        def openOrder(self, order_id: int, contract: Any, order: ib_async.Order, state: Any) -> None:
            received.append(order)

    Decoder(Wrapper(), version).interpret(decode_fields(samples.OPEN_ORDER.encode(version)))  # type: ignore[arg-type]

    request = read_request(Wire(version).write("placeOrder", 12, AAPL, received[0]), version)

    assert isinstance(request, PlaceOrder)
    assert request.attributes == ()
    # The group type of an order without a group is what all gateways show.
    assert replace(request.terms, oca_type=0, notes={}) == samples.STOP_LIMIT.terms
