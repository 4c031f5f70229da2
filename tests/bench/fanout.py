"""Quotes to many clients: how many values are delivered, how old they are, and what they cost.

    python -m tests.bench.fanout gateway PORT      the gateway of the measurement, until it is ended
    python -m tests.bench.fanout                   the table

A hundred instruments change ten times a second each, and every change carries when the gateway sent it.
Gateway, server and clients are processes of their own. The peer is the stream that one writes first
(`naive_stream`), on the same feed.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import httpx

from tests.bench.load import quantile
from tests.bench.stream_clients import stamp
from tests.processes import free_port, running
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.server import PaperGatewayServer

LINES: Final = 100
INTERVAL: Final = 0.1
"""Seconds between two changes of an instrument."""
FLUSH_MS: Final = 100
CLIENTS: Final = (1, 10, 100, 1000)
SECONDS: Final = 10.0
WARM_UP: Final = 4.0
SUBSCRIBED: Final = 6.0
"""Seconds after which all lines are there."""
ORDERS_EVERY: Final = 0.05
"""Seconds between two orders that are placed meanwhile."""
_START: Final = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


class StampedFeed:
    """Of every quote one thing has changed, the bid, and the size of it is when."""

    interval = INTERVAL

    def __init__(self) -> None:
        self._is_up = False

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        self._is_up = not self._is_up
        tick = instrument.min_tick
        last = Decimal(int(instrument.reference_price / float(tick))) * tick
        return MarketQuote(
            con_id=instrument.con_id,
            time=_START,
            bid=last - tick * (1 if self._is_up else 2),
            ask=last + tick,
            last=last,
            bid_size=Decimal(stamp()),
            ask_size=Decimal(200),
            last_size=Decimal(100),
            volume=Decimal(1_000_000),
            open=last,
            high=last,
            low=last,
            close=last,
        )

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        return []

    def head(self, instrument: Instrument) -> datetime:
        return _START


@dataclass(frozen=True)
class Row:
    """What so many clients of a server were told, and what it cost."""

    clients: int
    values_per_second: float
    p50: float
    p99: float
    cpu: float
    """Of one core, in per cent."""
    megabytes: float
    """Resident, for each client."""
    order_p99: float | None = None
    """Milliseconds of an order that was placed meanwhile."""


async def row(port: int, pid: int, clients: int, seconds: float, *, with_orders: bool) -> Row:
    """Have so many clients listen to the server `pid`."""
    memory = _resident(pid)
    listening = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.stream_clients",
        str(port), str(clients), str(seconds), str(WARM_UP), _subscription(),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert listening.stdout is not None
    took: list[float] = []
    try:
        await listening.stdout.readline()  # all are there
        began, cpu = time.monotonic(), _cpu_seconds(pid)
        if with_orders:
            took = await _orders(port, seconds * 0.8)
        else:
            await asyncio.sleep(seconds * 0.8)
        used = (_cpu_seconds(pid) - cpu) / (time.monotonic() - began)
        grown = _resident(pid) - memory
        out, _ = await listening.communicate()
    finally:
        if listening.returncode is None:
            listening.kill()
            await listening.wait()
    heard = json.loads(out)
    return Row(
        clients,
        heard["values_per_second"],
        heard["p50"],
        heard["p99"],
        used * 100,
        grown / clients,
        quantile(took, 0.99) if took else None,
    )


async def _orders(port: int, seconds: float) -> list[float]:
    """What orders that rest far from the market took, in seconds."""
    took: list[float] = []
    until = time.monotonic() + seconds
    order = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "1.00"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = await client.post("/api/orders", json=order)
            answer.raise_for_status()
            took.append(time.perf_counter() - began)
            await asyncio.sleep(ORDERS_EVERY)
        await client.delete("/api/orders")
    return took


def _subscription() -> str:
    con_ids = [instrument.con_id for instrument in INSTRUMENTS[:LINES]]
    return json.dumps({"action": "subscribe", "interval_ms": FLUSH_MS, "channels": {"quotes": con_ids}})


def _resident(pid: int) -> float:
    """Megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def gateway() -> Iterator[int]:
    port = free_port()
    with running(["tests.bench.fanout", "gateway", str(port)], port):
        yield port


async def table(is_quick: bool) -> None:
    """Measure, and print the table."""
    counts, seconds = ((1, 10), 2.0) if is_quick else (CLIENTS, SECONDS)
    print(
        f"\nQuotes to many clients: {LINES} instruments, each changing {1 / INTERVAL:g} times a second; "
        f"TradeMind flushes every {FLUSH_MS} ms\n"
    )
    print("| server | clients | values/s | p50 ms | p99 ms | CPU % | MB a client | order p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with gateway() as gateway_port:
        for clients in counts:
            port = free_port()
            with running(
                ["tests.bench.naive_stream", str(port), str(gateway_port), str(LINES)], port, "/readyz"
            ) as server:
                _print("naive", await row(port, server.pid, clients, seconds, with_orders=False))
                server.kill()  # with a queue full of ticks it does not come to hear of a signal
        for clients in counts:
            port = free_port()
            with running(
                ["trademind", "server", "start", "--port", str(port)],
                port,
                "/readyz",
                TRADEMIND_BROKER="ibkr",
                TRADEMIND_IBKR__PORT=str(gateway_port),
                TRADEMIND_IBKR__MARKET_DATA_LINES=str(LINES),
                TRADEMIND_SERVER__LOG_LEVEL="warning",
            ) as server:
                # IB's 50 messages a second hold here, too: contracts and lines take some seconds.
                await row(port, server.pid, 1, SUBSCRIBED, with_orders=True)
                _print("TradeMind", await row(port, server.pid, clients, seconds, with_orders=True))


def _print(name: str, row: Row) -> None:
    orders = "" if row.order_p99 is None else f"{row.order_p99:.1f}"
    print(
        f"| {name} | {row.clients:,} | {row.values_per_second:,.0f} | {row.p50:,.0f} | {row.p99:,.0f} "
        f"| {row.cpu:.0f} | {row.megabytes:.2f} | {orders} |",
        flush=True,
    )


async def _serve(port: int) -> None:
    async with PaperGatewayServer(port=port, feed=StampedFeed()):
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["gateway"]:
        asyncio.run(_serve(int(sys.argv[2])))
    else:
        asyncio.run(table(is_quick="quick" in sys.argv))
