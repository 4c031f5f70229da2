"""Ticks from the wire into the book: how many one session takes in a second, and what each costs it.

A burst of ticks is recorded as a paper gateway tells them, with the session's own request ids, and played to
it over and over: at a given pace, and as fast as the socket takes it. The time is over when the taker has the
answer to a question that it asked last: that comes behind all ticks, so they have been worked off. In the end
the quotes that it holds must be those that were played.
"""

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.bench.processor import cpu_seconds
from tests.bench.report import rounds, show
from tests.bench.ticks import RestlessFeed
from tests.proxy import Proxy, frame_of, withhold
from trademind.gateway.server import PaperGatewayServer

LINES: Final = 90
"""As many as TradeMind uses of IB's hundred."""
TICKS: Final = (1, 2, 46)
"""The messages that are ticks: prices, sizes, the time of the last trade."""
TICK_PRICE: Final = "1"
BID: Final = "1"
RECORDED: Final = 20_000
"""Ticks in the burst: each instrument's fifty prices about once."""
EVERY: Final = 0.05
"""Seconds between the recorded market's moves."""
SLICE: Final = 500
"""Ticks that are written at a time: what a move of the market brings for all lines, about."""
PACE: Final = 10_000
"""Ticks per second, for the cost of each at a pace that leaves both takers time to rest."""
PATIENCE: Final = 60.0
NAMES: Final = {
    "bare": "bare ib_async, a handler that counts",
    "ours": "TradeMind's broker, a stream that holds all",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a taker took in a while."""

    ticks: int
    seconds: float
    cpu: float
    """Seconds of its processor's time."""

    @property
    def per_second(self) -> float:
        return self.ticks / self.seconds

    @property
    def cost(self) -> float:
        """Microseconds of processor time for a tick."""
        return self.cpu / self.ticks * 1e6


class Burst:
    """Ticks as they come from the gateway, until there are enough; from then on nothing of it passes."""

    def __init__(self, proxy: Proxy) -> None:
        self._req_ids: set[str] = set()
        self._frames: list[bytes] = []
        self.bids: set[float] = set()
        self.is_complete = asyncio.Event()
        self._proxy = proxy
        proxy.from_gateway.update(dict.fromkeys(TICKS, self._record))

    def _record(self, fields: list[str]) -> list[str]:
        self._req_ids.add(fields[2])
        if len(self._req_ids) == LINES:
            self._frames.append(frame_of(fields))
            if fields[0] == TICK_PRICE and fields[3] == BID:
                self.bids.add(float(fields[4]))
            if len(self._frames) == RECORDED:
                self._proxy.from_gateway.update(dict.fromkeys(TICKS, withhold))
                self.is_complete.set()
        return fields

    @property
    def slices(self) -> list[bytes]:
        return [b"".join(self._frames[at : at + SLICE]) for at in range(0, RECORDED, SLICE)]


class Player:
    """Plays a burst to one taker."""

    def __init__(self, proxy: Proxy, burst: Burst, taker: asyncio.subprocess.Process) -> None:
        self._proxy = proxy
        self._slices = itertools.cycle(burst.slices)
        assert taker.stdin is not None
        assert taker.stdout is not None
        self._commands, self._answers = taker.stdin, taker.stdout
        self._pid = taker.pid

    async def play(self, ticks: int, pace: float | None = None) -> Taken:
        """So many ticks, at `pace` in a second or as fast as they are taken, until all are worked off."""
        await self._all_are_taken()
        before, began = cpu_seconds(self._pid), time.perf_counter()
        for played in range(0, ticks, SLICE):
            if pace is not None and (ahead := began + played / pace - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            await self._proxy.pour(next(self._slices))
        await self._all_are_taken()
        return Taken(ticks, time.perf_counter() - began, cpu_seconds(self._pid) - before)

    async def _all_are_taken(self) -> None:
        self._commands.write(b"\n")
        await self._answers.readline()

    async def end(self) -> dict[str, float | None]:
        """The bids that the taker holds, by con id."""
        self._commands.close()
        held: dict[str, float | None] = json.loads(await self._answers.read())
        return held


@asynccontextmanager
async def _taker(kind: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.tick_takers", kind, str(port), str(LINES)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()  # which it ends at, unless it hangs
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _measured(kind: str, ticks: int) -> tuple[Taken, Taken]:
    """As fast as it goes, and paced."""
    async with PaperGatewayServer(feed=RestlessFeed(EVERY)) as gateway, Proxy(gateway.port) as proxy:
        burst = Burst(proxy)
        async with asyncio.timeout(PATIENCE), _taker(kind, proxy.port) as process:
            await burst.is_complete.wait()
            player = Player(proxy, burst, process)
            paced = await player.play(ticks // 10, PACE)
            fast = await player.play(ticks)
            held = await player.end()
    if len(held) != LINES or not burst.bids.issuperset(held.values()):
        raise RuntimeError(f"the quotes of {kind} are not those that were played: {held}")
    return fast, paced


async def table(quick: bool) -> None:
    ticks = 50_000 if quick else 500_000
    fast: dict[str, Taken] = {}
    paced: dict[str, Taken] = {}
    for _ in range(rounds(quick)):
        for kind in NAMES:
            at_full_speed, at_a_pace = await _measured(kind, ticks)
            fast[kind] = max(fast.get(kind, at_full_speed), at_full_speed, key=lambda t: t.per_second)
            paced[kind] = min(paced.get(kind, at_a_pace), at_a_pace, key=lambda t: t.cost)
    show(
        f"Ticks from the wire into the book, {LINES} lines, {ticks:,} of a recorded burst",
        ("client", "ticks/s", "of bare", "CPU µs per tick", f"CPU µs per tick at {PACE:,}/s"),
        (
            (
                name,
                f"{fast[kind].per_second:,.0f}",
                f"{fast[kind].per_second / fast['bare'].per_second:.2f}",
                f"{fast[kind].cost:.1f}",
                f"{paced[kind].cost:.1f}",
            )
            for kind, name in NAMES.items()
        ),
    )
