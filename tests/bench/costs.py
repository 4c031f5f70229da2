"""What streaming costs the server, by the number of instruments and of clients, as tables and pictures.

The market is another process, in which the prices, sizes and volume of every instrument change four times a
second, about as often as IB tells them. So it is TradeMind's own processor time that is told.
"""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from websockets.asyncio.client import connect

from tests.bench import plots
from tests.bench.processor import cpu_seconds, resident_mb
from tests.bench.report import show
from tests.bench.servers import Server, trademind
from tests.processes import free_port, running
from trademind.aio import Tasks
from trademind.domain import SecType
from trademind.gateway.engine.instruments import INSTRUMENTS

EVERY: Final = 0.25
"""Seconds between the market's moves: IB gathers what changes for about as long."""
INSTRUMENT_STEPS: Final = (1, 10, 30, 90)
CLIENT_STEPS: Final = (1, 10, 100, 300)
EACH: Final = 3
"""Instruments that each of many clients follows."""
STOCKS: Final = [one.con_id for one in INSTRUMENTS if one.sec_type is SecType.STOCK]
PATIENCE: Final = 120.0
"""Seconds for many clients to connect to a server that is busy telling others."""
_CON_ID: Final = re.compile(r'"con_id":(\d+)')


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step cost the server."""

    step: int
    cpu: float
    """Percent of a core."""
    updates: float
    """Frames per second, that all clients together were sent."""
    megabytes: float


class _Clients:
    """Clients of one server's stream, who count what they are told."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tasks = Tasks()
        self._told: list[int] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.cancel_all()

    async def follow(self, clients: int, instruments: Sequence[int]) -> None:
        """Have so many clients more follow these, and wait until each of them is told of all."""
        ready = [asyncio.Event() for _ in range(clients)]
        for event in ready:
            self._told.append(0)
            self._tasks.spawn(self._follow(len(self._told) - 1, instruments, event), name="client")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(event.wait() for event in ready))

    async def _follow(self, number: int, instruments: Sequence[int], ready: asyncio.Event) -> None:
        seen: set[str] = set()
        url = f"ws://127.0.0.1:{self._server.port}/api/stream"
        async with connect(url, compression=None, open_timeout=PATIENCE) as stream:
            command = {"action": "subscribe", "id": "1", "channels": {"quotes": instruments}}
            await stream.send(json.dumps(command))
            async for text in stream:
                self._told[number] += 1
                if not ready.is_set():
                    seen.update(_CON_ID.findall(str(text)))
                    if len(seen) == len(instruments):
                        ready.set()

    async def cost(self, step: int, seconds: float) -> Cost:
        """What the server uses and tells in so many seconds."""
        pid = self._server.process.pid
        used, told, began = cpu_seconds(pid), sum(self._told), time.perf_counter()
        await asyncio.sleep(seconds)
        took = time.perf_counter() - began
        cpu = 100 * (cpu_seconds(pid) - used) / took
        return Cost(step, cpu, (sum(self._told) - told) / took, resident_mb(pid))


async def by_instruments(gateway: int, steps: Sequence[int], seconds: float) -> list[Cost]:
    """One client, and more and more instruments."""
    costs = []
    for step in steps:
        with trademind(gateway=gateway) as server:
            async with _Clients(server) as clients:
                await clients.follow(1, STOCKS[:step])
                costs.append(await clients.cost(step, seconds))
    return costs


async def by_clients(gateway: int, steps: Sequence[int], seconds: float) -> list[Cost]:
    """More and more clients, who all follow the same instruments."""
    costs = []
    with trademind(gateway=gateway) as server:
        async with _Clients(server) as clients:
            for before, step in zip((0, *steps), steps, strict=False):
                await clients.follow(step - before, STOCKS[:EACH])
                costs.append(await clients.cost(step, seconds))
    return costs


async def table(quick: bool) -> None:
    seconds = 1.0 if quick else 5.0
    steps = 2 if quick else len(INSTRUMENT_STEPS)
    market = free_port()
    with running(["tests.bench.ticks", str(market), str(EVERY)], market):
        instruments = await by_instruments(market, INSTRUMENT_STEPS[:steps], seconds)
        clients = await by_clients(market, CLIENT_STEPS[:steps], seconds)
    title = "What {} cost a server, while each instrument moves four times a second"
    _show(title.format("the instruments of one client"), "instruments", instruments)
    _show(title.format(f"clients with {EACH} instruments each"), "clients", clients)
    with TemporaryDirectory() as aside:
        folder = Path(aside) if quick else plots.FOLDER
        _draw("instruments", "instruments streamed to one client", instruments, folder)
        _draw("clients", f"clients with {EACH} instruments each", clients, folder)


def _show(title: str, step: str, costs: Sequence[Cost]) -> None:
    show(
        title,
        (step, "CPU %", "updates/s", "MB"),
        ((f"{c.step:,}", f"{c.cpu:.1f}", f"{c.updates:,.0f}", f"{c.megabytes:.0f}") for c in costs),
    )


def _draw(name: str, x_label: str, costs: Sequence[Cost], folder: Path) -> None:
    plots.draw(
        name,
        x_label,
        [cost.step for cost in costs],
        plots.Panel("CPU of the server, % of a core", {"CPU": [cost.cpu for cost in costs]}),
        plots.Panel("updates told per second", {"updates": [cost.updates for cost in costs]}),
        folder=folder,
    )
