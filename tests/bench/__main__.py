"""Measure TradeMind beside its peers, in one run on one machine, and print the tables.

    make bench

The figures in docs/benchmarks.md are this program's output. With QUICK=1 everything is measured, and too
little of it for figures that mean anything: to see that the benchmarks run.
"""

import asyncio
import logging
import os
import platform
from importlib.metadata import version

import httpx

from tests.bench import engine, fanout, load, orders, session, start, ticks, wire_orders
from tests.bench.load import quantile
from tests.processes import free_port, running

IS_QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if IS_QUICK else 3
"""Peers take turns, and each is given its best round: the machine's other work slows, it never speeds up."""
SECONDS = 0.5 if IS_QUICK else 4.0
CONNECTIONS = 16
ORDERS = 100 if IS_QUICK else 500
WIRE_ORDERS = 4000
ENGINE_ORDERS = 20_000
STARTS = 10 if IS_QUICK else 100
TICK_CLIENTS = 50
SESSIONS = 50
CANCELS = 30
QUESTIONS = 200 if IS_QUICK else 1000
CLIENTS = 12
LASTING = 2.0 if IS_QUICK else 12.0
"""Seconds: long enough that the journal's log is written back into its file several times."""
THREADS = "ibapi in a thread, no journal, POST /orders to 201"
TRADEMIND = "TradeMind, journal on SQLite, POST /api/orders to 201"
PACKAGES = ("ib_async", "sqlalchemy", "fastapi", "uvicorn", "uvloop", "pydantic")


async def account_reads(trademind_port: int, bare_port: int) -> None:
    best: dict[str, load.Load] = {}
    for _ in range(ROUNDS):
        for name, port, path in (
            ("bare FastAPI route, same model", bare_port, "/account"),
            ("TradeMind GET /api/portfolio/account", trademind_port, "/api/portfolio/account"),
        ):
            result = await load.get(port, path, seconds=SECONDS, connections=CONNECTIONS)
            if name not in best or result.requests_per_second > best[name].requests_per_second:
                best[name] = result
    bare = best["bare FastAPI route, same model"].requests_per_second
    print(f"\nAccount reads, one worker, {CONNECTIONS} connections\n")
    print("| server | requests/s | of bare | p50 ms | p99 ms |\n| --- | ---: | ---: | ---: | ---: |")
    for name, result in best.items():
        rate = result.requests_per_second
        print(f"| {name} | {rate:,.0f} | {rate / bare:.2f} | {result.p50:.2f} | {result.p99:.2f} |")


async def order_round_trips(port: int, bare_port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        gateway_port = (await client.get("/api/system/connection")).json()["port"]
    threads_port = free_port()
    with running(
        ["tests.bench.thread_server", str(threads_port), str(gateway_port)], threads_port, "/healthz"
    ):
        rows = {
            "bare ib_async, placeOrder to first status": await orders.over_ib_async(gateway_port, ORDERS),
            "bare FastAPI POST, same model, no broker": await orders.over_http(bare_port, "/orders", ORDERS),
            TRADEMIND: await orders.over_http(port, "/api/orders", ORDERS),
            THREADS: await orders.over_http(threads_port, "/orders", ORDERS),
        }
        print(
            f"\nOrder round trip, {ORDERS} resting limit orders one after the other, the same paper gateway\n"
        )
        print("| client | p50 ms | p99 ms |\n| --- | ---: | ---: |")
        for name, latencies in rows.items():
            print(f"| {name} | {quantile(latencies, 0.5):.2f} | {quantile(latencies, 0.99):.2f} |")
        print(f"\nOrders of {CLIENTS} clients for {LASTING:g} s, pacing off, looked for at the gateway\n")
        print("| server | orders/s | p50 ms | p99 ms | asked for | refused | there, once |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        # TradeMind goes first: it follows all orders of its account, and the other's are soon ten thousand.
        for name, its_port, path in ((TRADEMIND, port, "/api/orders"), (THREADS, threads_port, "/orders")):
            done = await orders.sustained(
                its_port, path, gateway_port, name=f"order{its_port}", seconds=LASTING, clients=CLIENTS
            )
            answered = done.load
            print(
                f"| {name} | {answered.requests_per_second:,.0f} | {answered.p50:.1f} | {answered.p99:.1f} "
                f"| {done.asked:,} | {answered.refused:,} | {done.found:,} |"
            )


async def sessions() -> None:
    port = free_port()
    with running(
        ["trademind", "gateway", "start", "--port", str(port)], port, TRADEMIND_SERVER__LOG_LEVEL="warning"
    ):
        ready = await session.ready_times(port, SESSIONS)
        print(f"\nA session on a paper gateway, from connecting to every snapshot in, {SESSIONS} times\n")
        print("| | p50 ms | p99 ms |\n| --- | ---: | ---: |")
        print(f"| connect() to ready | {quantile(ready, 0.5):.2f} | {quantile(ready, 0.99):.2f} |")
        cancels = await session.cancel_times(port, CANCELS, QUESTIONS)
        alone = await session.cancel_time_of_ib_async(port, QUESTIONS)
    print(
        f"\nA cancel while {QUESTIONS:,} questions wait for IB's 50 messages a second, to its confirmation\n"
    )
    print("| client | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    print(f"| bare ib_async, one cancel | {alone * 1000:,.0f} | |")
    print(f"| TradeMind, {CANCELS} cancels | {quantile(cancels, 0.5):.2f} | {quantile(cancels, 0.99):.2f} |")


def orders_in_the_engine() -> None:
    best = max(engine.orders_per_second(ENGINE_ORDERS) for _ in range(ROUNDS))
    print(
        f"\nThe matching engine alone, {ENGINE_ORDERS:,} limit orders that fill at once, the journal kept\n"
    )
    print("| orders | orders/s |\n| --- | ---: |")
    print(f"| placed, matched, booked | {best:,.0f} |")


async def orders_over_the_wire() -> None:
    port = free_port()
    print(f"\nOrders over the wire, {WIRE_ORDERS:,} at once from one bare socket, pacing off\n")
    print("| orders | orders/s |\n| --- | ---: |")
    with running(
        ["trademind", "gateway", "start", "--port", str(port), "--no-pacing", "--cash", "100000000"],
        port,
        TRADEMIND_SERVER__LOG_LEVEL="warning",
    ):
        for name, filling in (
            ("resting, to the acknowledgement", False),
            ("filling, to the commission", True),
        ):
            rate = await wire_orders.orders_per_second(port, WIRE_ORDERS, filling=filling)
            print(f"| {name} | {rate:,.0f} |")


def start_to_first_answer() -> None:
    took = start.first_answers(STARTS)
    print(f"\nA paper gateway in a test, from its start to the first answer, {STARTS} times\n")
    print("| | p50 ms | p99 ms |\n| --- | ---: | ---: |")
    print(f"| start to first answer | {quantile(took, 0.5):.2f} | {quantile(took, 0.99):.2f} |")


def market_data() -> None:
    print(f"\nMarket data from a feed that never rests, {ticks.LINES} lines for each client\n")
    print("| gateway | |\n| --- | ---: |")
    port = free_port()
    with running(["tests.bench.ticks", str(port), "0"], port):
        rate = ticks.ticks_per_second(port, SECONDS)
        print(f"| ticks/s to one client | {rate:,.0f} |")
    port = free_port()
    with running(["tests.bench.ticks", str(port), "1"], port) as process:
        before, after = ticks.memory(port, process.pid, TICK_CLIENTS, SECONDS)
        print(f"| MB before clients | {before:.0f} |\n| MB with {TICK_CLIENTS} clients | {after:.0f} |")


async def main() -> None:
    # Bare ib_async reports every cancelled order as an error.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    print(f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores; ", end="")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    trademind_port, bare_port = free_port(), free_port()
    with (
        running(
            ["trademind", "server", "start", "--port", str(trademind_port)],
            trademind_port,
            "/readyz",
            TRADEMIND_SERVER__LOG_LEVEL="warning",
            TRADEMIND_PAPER__PACING="false",
        ),
        running(["tests.bench.bare", str(bare_port)], bare_port, "/account"),
    ):
        await account_reads(trademind_port, bare_port)
        await order_round_trips(trademind_port, bare_port)
    await sessions()
    orders_in_the_engine()
    await orders_over_the_wire()
    start_to_first_answer()
    market_data()
    await fanout.table(IS_QUICK)


if __name__ == "__main__":
    asyncio.run(main())
