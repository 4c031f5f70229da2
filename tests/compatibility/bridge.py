"""qx-ibbridge: a FastAPI server that keeps ib_async in a thread. Its routes, one after the other."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.compatibility.outcome import Outcome, shortened
from tests.processes import free_port

NAME = "qx-ibbridge"
REQUIREMENTS = ("qx-ibbridge==1.0.0", "ib_async==2.1.0", "fastapi", "uvicorn[standard]")

ENTITLEMENT = "needs a subscription at IB, too"
PROGRAM = """
import uvicorn
from ib_bridge_server.app import configure_environment, load_app
configure_environment(ib_host="127.0.0.1", ib_port={gateway}, ib_client_id=31)
uvicorn.run(load_app(), host="127.0.0.1", port={port}, log_level="warning", loop="asyncio")
"""

AAPL = {"secType": "STK", "symbol": "AAPL", "exchange": "SMART", "currency": "USD", "conId": 265598}


class Failed(Exception):
    pass


class Bridge:
    """The server's routes; the answers of some are needed for others."""

    def __init__(self, client: httpx.AsyncClient, stream: ClientConnection) -> None:
        self.client = client
        self.stream = stream
        self.option: dict[str, Any] = {}
        self.limit: dict[str, Any] = {}

    async def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        answer = await self.client.request(
            method, path, json=body, params={name: str(value) for name, value in query.items()}
        )
        if answer.status_code != 200:
            raise Failed(f"{answer.status_code} {answer.text}")
        return answer.json()

    async def post(self, path: str, **body: object) -> Any:
        return await self.call("POST", path, body)

    async def heard(self, event: str) -> None:
        """Wait for an event on the WebSocket. The bridge reads from the gateway only while it is asked."""
        async with asyncio.timeout(30):
            while True:
                await self.call("GET", "/current-time")
                try:
                    message = await asyncio.wait_for(self.stream.recv(), 0.1)
                except TimeoutError:
                    continue
                if json.loads(message)["event"] == event:
                    return

    async def order(self, **order: object) -> Any:
        return await self.post("/place-order", contract=AAPL, order={"tif": "DAY", **order})


def _expect(condition: object, answer: object) -> None:
    if not condition:
        raise Failed(f"answered {shortened(str(answer))}")


async def _details(bridge: Bridge) -> None:
    answer = await bridge.post("/req-contract-details", contract=AAPL)
    _expect(answer[0]["contract"]["conId"] == 265598, answer)


async def _account(bridge: Bridge) -> None:
    _expect(len(await bridge.call("GET", "/account-summary")) > 10, "too few values")
    _expect(len(await bridge.call("GET", "/account-values")) > 10, "too few values")


async def _history(bridge: Bridge) -> None:
    answer = await bridge.post(
        "/req-historical-data",
        contract=AAPL,
        durationStr="1 D",
        barSizeSetting="1 hour",
        whatToShow="TRADES",
        useRTH=False,
    )
    _expect(len(str(answer)) > 1000, answer)


async def _ticks(bridge: Bridge) -> None:
    answer = await bridge.post(
        "/req-historical-ticks", contract=AAPL, endDateTime="20261120 15:00:00 US/Eastern", numberOfTicks=50
    )
    _expect(len(answer) >= 50, answer)


async def _market_order(bridge: Bridge) -> None:
    await bridge.order(action="BUY", totalQuantity=10, orderType="MKT")
    await _until(bridge, "/fills", lambda fills: len(fills) >= 1)
    await _until(bridge, "/positions", lambda positions: positions[0]["position"] == 10)


async def _limit_order(bridge: Bridge) -> None:
    trade = await bridge.order(action="BUY", totalQuantity=5, orderType="LMT", lmtPrice=50.0)
    number = trade["order"]["orderId"]
    await _until(bridge, "/open-orders", lambda orders: any(each["orderId"] == number for each in orders))
    await bridge.post("/cancel-order", orderId=number)
    await _until(bridge, "/open-trades", lambda trades: not trades)


async def _what_if(bridge: Bridge) -> None:
    order = {"action": "BUY", "totalQuantity": 10, "orderType": "MKT", "tif": "DAY"}
    answer = await bridge.post("/what-if-order", contract=AAPL, order=order)
    _expect(float(answer["initMarginChange"]) > 0, answer)


async def _option_chain(bridge: Bridge) -> None:
    answer = await bridge.call(
        "GET",
        "/req-sec-def-opt-params",
        underlying_symbol="AAPL",
        fut_fop_exchange="",
        underlying_sec_type="STK",
        underlying_con_id=265598,
    )
    _expect(answer, answer)
    chain = answer[0]
    strikes = sorted(chain["strikes"])
    bridge.option = {
        "secType": "OPT",
        "symbol": "AAPL",
        "exchange": "SMART",
        "currency": "USD",
        "lastTradeDateOrContractMonth": sorted(chain["expirations"])[3],
        "strike": strikes[len(strikes) // 2],
        "right": "C",
    }
    details = await bridge.post("/req-contract-details", contract=bridge.option)
    _expect(len(details) == 1, details)
    bridge.option = details[0]["contract"]


async def _option_maths(bridge: Bridge) -> None:
    price = await bridge.post("/calc-option-price", contract=bridge.option, volatility=0.3, underPrice=230.0)
    value = price["optPrice"]
    _expect(value > 0, price)
    answer = await bridge.post(
        "/calc-implied-volatility", contract=bridge.option, optionPrice=value, underPrice=230.0
    )
    _expect(abs(answer["impliedVol"] - 0.3) < 0.01, answer)


async def _stream(bridge: Bridge) -> None:
    answer = await bridge.post("/req-mkt-data", contract=AAPL, genericTickList="233,236")
    await _until(bridge, "/tickers", lambda tickers: tickers[0]["bid"] and tickers[0]["bid"] > 0)
    await bridge.post("/cancel-mkt-data", subId=answer["subId"])


async def _headlines(bridge: Bridge) -> None:
    providers = await bridge.call("GET", "/req-news-providers")
    codes = "+".join(each["code"] for each in providers)
    answer = await bridge.post("/req-historical-news", conId=265598, providerCodes=codes)
    _expect(answer, answer)


async def _fundamentals(bridge: Bridge) -> None:
    answer = await bridge.post("/req-fundamental-data", contract=AAPL)
    _expect(answer["data"], "no report")


def _streams(event: str, path: str, **body: Any) -> Callable[[Bridge], Awaitable[None]]:
    async def run(bridge: Bridge) -> None:
        await bridge.post(path, **body)
        await bridge.heard(event)

    return run


def _routes(*routes: tuple[str, str, dict[str, Any]]) -> Callable[[Bridge], Awaitable[None]]:
    async def run(bridge: Bridge) -> None:
        for method, path, body in routes:
            answer = await bridge.call(method, path, body or None)
            _expect(answer, answer)

    return run


STEPS: tuple[tuple[str, Callable[[Bridge], Awaitable[None]], str], ...] = (
    (
        "health, accounts, current time",
        _routes(("GET", "/managed-accounts", {}), ("GET", "/current-time", {})),
        "",
    ),
    ("account summary and values", _account, ""),
    ("contract details", _details, ""),
    ("qualify contracts", _routes(("POST", "/qualify-contracts", {"contracts": [AAPL]})), ""),
    ("historical bars", _history, ""),
    ("historical ticks", _ticks, ""),
    ("head timestamp", _routes(("POST", "/req-head-timestamp", {"contract": AAPL})), ""),
    ("histogram", _routes(("POST", "/req-histogram-data", {"contract": AAPL})), ""),
    ("streaming market data", _stream, ""),
    ("snapshot", _routes(("POST", "/req-mkt-data", {"contract": AAPL, "snapshot": True})), ""),
    ("what-if order", _what_if, ""),
    ("market order, fill, position", _market_order, ""),
    ("limit order, open orders, cancel", _limit_order, ""),
    ("completed orders", _routes(("GET", "/completed-orders", {})), ""),
    ("option chain", _option_chain, ""),
    ("option price and implied volatility", _option_maths, ""),
    (
        "tick by tick",
        _streams("tickByTickEvent", "/req-tick-by-tick-data", contract=AAPL, tickType="Last"),
        "",
    ),
    ("market depth", _streams("mktDepthUpdateEvent", "/req-mkt-depth", contract=AAPL, numRows=5), ""),
    ("five-second bars", _streams("barUpdateEvent", "/req-real-time-bars", contract=AAPL, barSize=5), ""),
    ("scanner parameters", _routes(("GET", "/req-scanner-parameters", {})), ""),
    ("news providers", _routes(("GET", "/req-news-providers", {})), ""),
    ("news headlines", _headlines, ""),
    ("depth exchanges", _routes(("GET", "/req-mkt-depth-exchanges", {})), ""),
    ("fundamentals", _fundamentals, ENTITLEMENT),
    ("global cancel", _routes(("POST", "/req-global-cancel", {})), ""),
)


async def _until(bridge: Bridge, path: str, holds: Callable[[Any], object]) -> None:
    answer: Any = None
    for _ in range(100):
        # The bridge reads from the gateway only while it asks it something.
        await bridge.call("GET", "/current-time")
        answer = await bridge.call("GET", path)
        try:
            if holds(answer):
                return
        except (LookupError, TypeError):
            pass
        await asyncio.sleep(0.1)
    raise Failed(f"{path} stays {shortened(str(answer))}")


async def try_it(python: Path, port: int) -> list[Outcome]:
    own = free_port()
    process = await asyncio.create_subprocess_exec(python, "-c", PROGRAM.format(gateway=port, port=own))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}", timeout=30) as client:
            await _started(client)
            return await _all(client, own)
    finally:
        process.terminate()
        await process.wait()


async def _all(client: httpx.AsyncClient, port: int) -> list[Outcome]:
    async with connect(f"ws://127.0.0.1:{port}/ws", max_size=None, max_queue=None) as stream:
        client.headers["X-Session-Id"] = json.loads(await stream.recv())["sessionId"]
        bridge = Bridge(client, stream)
        return [await _try(bridge, tried, step, known) for tried, step, known in STEPS]


async def _started(client: httpx.AsyncClient) -> None:
    for _ in range(300):
        try:
            answer = await client.get("/health")
            if answer.status_code == 200 and answer.json().get("connected", True):
                return
        except httpx.HTTPError:
            pass
        await asyncio.sleep(0.1)
    raise RuntimeError("the bridge did not connect in 30 s")


async def _try(bridge: Bridge, tried: str, step: Callable[[Bridge], Awaitable[None]], known: str) -> Outcome:
    try:
        await step(bridge)
    except (Failed, httpx.HTTPError, LookupError, TypeError, ValueError, TimeoutError) as error:
        return Outcome(NAME, tried, shortened(f"{type(error).__name__} {error}"), known)
    return Outcome(NAME, tried)
