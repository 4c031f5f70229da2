"""The session: from nothing to ready, and a cancel while a thousand questions wait."""

import asyncio
import time
from contextlib import suppress
from decimal import Decimal

import ib_async

from tests.bench.orders import ORDER
from tests.bench.report import percentiles, show
from tests.bench.servers import paper_gateway
from trademind import IBKRBroker, OrderRequest
from trademind.errors import TradeMindError

ALL_OF_THEM = 120.0
"""Seconds that suffice for a thousand questions at IB's pace: none may be refused, or it would not wait."""
BETWEEN = 0.1
"""Seconds between two cancels, as somebody who trades sends them."""


SESSIONS = 50
CANCELS = 30


async def table(quick: bool) -> None:
    questions = 200 if quick else 1000
    with paper_gateway() as gateway:
        ready = await ready_times(gateway.port, SESSIONS)
        cancels = await cancel_times(gateway.port, CANCELS, questions)
        alone = await cancel_time_of_ib_async(gateway.port, questions)
    show(
        f"A session on a paper gateway, from connecting to every snapshot in, {SESSIONS} times",
        ("", "p50 ms", "p99 ms"),
        [("connect() to ready", *percentiles(ready))],
    )
    show(
        f"A cancel while {questions:,} questions wait for IB's 50 messages a second, to its confirmation",
        ("client", "p50 ms", "p99 ms"),
        [
            ("bare ib_async, one cancel", f"{alone * 1000:,.0f}", ""),
            (f"TradeMind, {CANCELS} cancels", *percentiles(cancels)),
        ],
    )


async def ready_times(port: int, count: int) -> list[float]:
    """Seconds from `connect()` to a session with every snapshot in."""
    took = []
    for _ in range(count):
        broker = IBKRBroker(port=port, client_id=41)
        start = time.perf_counter()
        await broker.connect()
        took.append(time.perf_counter() - start)
        await broker.disconnect()
    return took


async def cancel_times(port: int, orders: int, questions: int) -> list[float]:
    """Seconds from asking TradeMind for a cancel to IB's confirmation, while `questions` wait before it."""
    took = []
    async with IBKRBroker(port=port, client_id=42, request_timeout=ALL_OF_THEM) as broker:
        placed = [await broker.place_order(OrderRequest(**ORDER)) for _ in range(orders)]  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(_ask(broker, f"A{number}")) for number in range(questions)]
            await asyncio.sleep(0.5)
            for order in placed:
                start = time.perf_counter()
                await broker.cancel_order(order.id)
                took.append(time.perf_counter() - start)
                await asyncio.sleep(BETWEEN)
            waiting = broker.session.queued["data"]
            assert waiting > questions // 2, f"only {waiting} questions still waited: nothing was measured"
            for task in asked:
                task.cancel()
    return took


async def _ask(broker: IBKRBroker, text: str) -> None:
    with suppress(TradeMindError):
        await broker.search_contracts(text)


async def cancel_time_of_ib_async(port: int, questions: int) -> float:
    """The same with bare ib_async, once: its cancel waits behind every question."""
    ib = ib_async.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=43)
    try:
        contract = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)
        trade = ib.placeOrder(contract, ib_async.LimitOrder("BUY", 1, float(Decimal("1")), tif="DAY"))
        async with asyncio.timeout(30):
            while trade.orderStatus.status not in ("PreSubmitted", "Submitted"):  # noqa: ASYNC110 - polled alike
                await asyncio.sleep(0.001)
        for number in range(questions):
            ib.client.reqMatchingSymbols(ib.client.getReqId(), f"A{number}")
        start = time.perf_counter()
        ib.cancelOrder(trade.order)
        async with asyncio.timeout(ALL_OF_THEM):
            while trade.orderStatus.status != "Cancelled":  # noqa: ASYNC110 - polled alike
                await asyncio.sleep(0.001)
        return time.perf_counter() - start
    finally:
        ib.disconnect()
