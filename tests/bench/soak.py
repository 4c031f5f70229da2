"""A soak: what a server holds in memory while it streams, answers and trades, and whether that stays so.

    python -m tests.bench soak                             a minute, in which the market has an hour
    python -m tests.bench soak --minutes 60 --speed 1      an hour of the world's

At 60 times its speed the paper market moves as often as it can, twenty times a second: more often than at its
own, though not sixty times as often.
"""

import asyncio
import itertools
import json
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from websockets.asyncio.client import connect

from tests.bench.processor import resident_mb
from tests.bench.report import show
from tests.bench.servers import trademind

CLIENTS: Final = 20
SYMBOLS: Final = ("AAPL", "MSFT", "SPY", "QQQ", "IBM", "KO", "AMZN", "NVDA", "TSLA", "AMD")
READ_EVERY: Final = 0.05
ORDER_EVERY: Final = 2.0
READS: Final = ("/api/portfolio/account", "/api/portfolio/positions", "/api/market/quotes?symbols=AAPL,MSFT")
SAMPLES: Final = 12
WARM_UP: Final = 1 / 3
"""Of the time: until then code is compiled, caches and pools fill up."""
FLAT: Final = 3.0
"""Megabytes an hour of the market that still count as flat. Python takes memory by the megabyte, and every
order is remembered."""
MEANINGFUL: Final = 30.0
"""Seconds below which one megabyte more or less decides on the slope, so that it says nothing."""


@dataclass(slots=True)
class _Done:
    """What was asked of the server so far."""

    frames: int = 0
    reads: int = 0
    orders: int = 0


@dataclass(frozen=True, slots=True)
class _Sample:
    seconds: float
    resident: float
    frames: int
    reads: int
    orders: int


@dataclass(slots=True)
class _Soak:
    """A server's port and process, and everybody who uses it."""

    port: int
    pid: int
    done: _Done = field(default_factory=_Done)

    async def run(self, seconds: float) -> list[_Sample]:
        """Samples of so long, in even steps, the first one at the beginning."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as users:
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
            )
            tasks = [users.create_task(self._stream()) for _ in range(CLIENTS)]
            tasks += [users.create_task(self._read(client)), users.create_task(self._trade(client))]
            began = time.monotonic()
            samples = []
            for number in range(SAMPLES + 1):
                await asyncio.sleep(began + seconds * number / SAMPLES - time.monotonic())
                done = self.done
                now = time.monotonic() - began
                samples.append(_Sample(now, resident_mb(self.pid), done.frames, done.reads, done.orders))
            for task in tasks:
                task.cancel()
        return samples

    async def _stream(self) -> None:
        channels = {"quotes": SYMBOLS, "orders": True, "executions": True, "account": True}
        async with connect(f"ws://127.0.0.1:{self.port}/api/stream", compression=None) as stream:
            await stream.send(json.dumps({"action": "subscribe", "id": "1", "channels": channels}))
            async for _ in stream:
                self.done.frames += 1

    async def _read(self, client: httpx.AsyncClient) -> None:
        for path in itertools.cycle(READS):
            (await client.get(path)).raise_for_status()
            self.done.reads += 1
            await asyncio.sleep(READ_EVERY)

    async def _trade(self, client: httpx.AsyncClient) -> None:
        """What is bought is sold again, and what rests is cancelled."""
        order: dict[str, Any] = {"symbol": "AAPL", "quantity": "1"}
        resting = {"order_type": "LMT", "limit_price": "1.00", "side": "BUY"}
        for wanted in itertools.cycle(({"side": "BUY"}, {"side": "SELL"}, resting)):
            placed = await client.post("/api/orders", json=order | wanted)
            placed.raise_for_status()
            if wanted is resting:
                (await client.delete(f"/api/orders/{placed.json()['id']}")).raise_for_status()
            self.done.orders += 1
            await asyncio.sleep(ORDER_EVERY)


def slope(samples: list[_Sample]) -> float:
    """Megabytes per second, by least squares."""
    mean_time = sum(sample.seconds for sample in samples) / len(samples)
    mean_held = sum(sample.resident for sample in samples) / len(samples)
    over = sum((sample.seconds - mean_time) * (sample.resident - mean_held) for sample in samples)
    return over / sum((sample.seconds - mean_time) ** 2 for sample in samples)


async def table(quick: bool, *, minutes: float = 1, speed: float = 60) -> None:
    seconds = minutes * (6 if quick else 60)
    with trademind("--speed", f"{speed:g}") as server:
        samples = await _Soak(server.port, server.process.pid).run(seconds)
    show(
        f"Memory of a server, {CLIENTS} clients of {len(SYMBOLS)} quotes each, the market at {speed:g} times "
        "its speed",
        ("seconds", "minutes of the market", "MB", "frames told", "reads", "orders"),
        (
            (
                f"{sample.seconds:.1f}",
                f"{sample.seconds * speed / 60:.1f}",
                f"{sample.resident:.1f}",
                f"{sample.frames:,}",
                f"{sample.reads:,}",
                f"{sample.orders:,}",
            )
            for sample in samples
        ),
    )
    warm = [sample for sample in samples if sample.seconds >= seconds * WARM_UP]
    per_hour = slope(warm) * 3600 / speed
    if warm[-1].seconds - warm[0].seconds < MEANINGFUL:
        verdict = "too short a time to say more"
    else:
        verdict = f"{'flat' if per_hour <= FLAT else 'NOT FLAT'}, the bound being {FLAT:g}"
    print(f"\nAfter the first third: {per_hour:+.1f} MB an hour of the market; {verdict}.")
