"""Orders: how long each takes to be acknowledged, and how many there can be in a second."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
import ib_async

from tests.bench.load import Load, post
from tests.bench.report import percentiles, show
from tests.bench.servers import bare_fastapi, gateway_port, threads_and_queues, trademind

ORDER = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "1.00"}
"""It rests: what is measured is the acknowledgement, not a fill."""
CLIENTS = 12
TRADEMIND = "TradeMind, journal on SQLite, POST /api/orders to 201"
THREADS = "ibapi in a thread, no journal, POST /orders to 201"


async def table(quick: bool) -> None:
    count = 100 if quick else 500
    # Long enough that the journal's log is written back into its file several times.
    lasting = 2.0 if quick else 12.0
    with trademind() as ours, bare_fastapi() as bare, threads_and_queues(gateway_port(ours)) as threads:
        gateway = gateway_port(ours)
        alone = {
            "bare ib_async, placeOrder to first status": await over_ib_async(gateway, count),
            "bare FastAPI POST, same model, no broker": await over_http(bare.port, "/orders", count),
            TRADEMIND: await over_http(ours.port, "/api/orders", count),
            THREADS: await over_http(threads.port, "/orders", count),
        }
        show(
            f"Order round trip, {count} resting limit orders one after the other, the same paper gateway",
            ("client", "p50 ms", "p99 ms"),
            ((name, *percentiles(latencies)) for name, latencies in alone.items()),
        )
        # TradeMind goes first: it follows all orders of its account, and the other's are soon ten thousand.
        together = [
            (
                name,
                await sustained(port, path, gateway, name=f"order{port}", seconds=lasting, clients=CLIENTS),
            )
            for name, port, path in (
                (TRADEMIND, ours.port, "/api/orders"),
                (THREADS, threads.port, "/orders"),
            )
        ]
    show(
        f"Orders of {CLIENTS} clients for {lasting:g} s, pacing off, looked for at the gateway",
        ("server", "orders/s", "p50 ms", "p99 ms", "asked for", "refused", "there, once"),
        (
            (
                name,
                f"{done.load.requests_per_second:,.0f}",
                f"{done.load.p50:.1f}",
                f"{done.load.p99:.1f}",
                f"{done.asked:,}",
                f"{done.load.refused:,}",
                f"{done.found:,}",
            )
            for name, done in together
        ),
    )


async def over_http(port: int, path: str, count: int) -> list[float]:
    """Seconds per POST of an order, one after the other."""
    latencies = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=15) as client:
        for _ in range(count):
            start = time.perf_counter()
            answer = await client.post(path, json=ORDER)
            latencies.append(time.perf_counter() - start)
            assert answer.status_code == 201, answer.text
    return latencies


async def over_ib_async(port: int, count: int) -> list[float]:
    """Seconds per `placeOrder` of bare ib_async, until its first status from the gateway."""
    ib = ib_async.IB()
    ib.client.MaxRequests = 0  # the throttle is for IB's limit, and is off on TradeMind's side, too
    await ib.connectAsync("127.0.0.1", port, clientId=31)
    latencies = []
    try:
        contract = ib_async.Stock("AAPL", "SMART", "USD")
        await ib.qualifyContractsAsync(contract)
        for _ in range(count):
            start = time.perf_counter()
            trade = ib.placeOrder(contract, ib_async.LimitOrder("BUY", 1, 1.0, tif="DAY"))
            acknowledged = asyncio.Event()
            trade.statusEvent += lambda _, told=acknowledged: told.set()
            await asyncio.wait_for(acknowledged.wait(), 5)
            latencies.append(time.perf_counter() - start)
        for trade in ib.openTrades():
            ib.cancelOrder(trade.order)
        async with asyncio.timeout(30):
            while ib.openTrades():  # noqa: ASYNC110 - an event that comes before it is awaited is missed
                await asyncio.sleep(0.01)
    finally:
        ib.disconnect()
    return latencies


@dataclass(frozen=True, slots=True)
class Sustained:
    """Orders of several clients at once."""

    load: Load
    asked: int
    found: int
    """Of these, how many the gateway has, each once."""


async def sustained(
    port: int, path: str, gateway_port: int, *, name: str, seconds: float, clients: int
) -> Sustained:
    """Each client sends its next order, under a key of its own, when the last one is answered."""
    asked: set[str] = set()

    def body() -> Mapping[str, str]:
        key = f"{name}-{len(asked)}"
        asked.add(key)
        return ORDER | {"client_order_id": key}

    load = await post(port, path, body, seconds=seconds, connections=clients)
    found = {key: count for key, count in (await _references(gateway_port)).items() if key in asked}
    assert set(found.values()) == {1}, "an order was placed twice"
    return Sustained(load, len(asked), len(found))


async def _references(gateway_port: int) -> Counter[str]:
    """How many working orders the gateway has under each reference, as an independent client is told."""
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", gateway_port, clientId=32, timeout=30)
    try:
        return Counter(trade.order.orderRef for trade in await ib.reqAllOpenOrdersAsync())
    finally:
        ib.disconnect()
