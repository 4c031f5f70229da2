"""Ticks over the wire: as many as the gateway can tell one client, and what many clients cost it in memory.

    python -m tests.bench.ticks PORT INTERVAL    serves, until it is ended

The feed moves all prices whenever it is looked at and costs next to nothing, the client only counts frames:
so it is the gateway that is measured, in a process of its own.
"""

import asyncio
import itertools
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tests.bench.processor import resident_mb
from tests.bench.report import show
from tests.processes import free_port, running
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.server import PaperGatewayServer

VERSION: Final = 178
LINES: Final = 100
MAX_CLIENTS: Final = 64
_START: Final = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
_PRICES: Final = 50
"""Different quotes of an instrument, which come one after the other, over and over."""


CLIENTS: Final = 50


async def table(quick: bool) -> None:
    seconds = 0.5 if quick else 4.0
    port = free_port()
    with running(["tests.bench.ticks", str(port), "0"], port):
        rate = ticks_per_second(port, seconds)
    port = free_port()
    with running(["tests.bench.ticks", str(port), "1"], port) as process:
        before, after = memory(port, process.pid, CLIENTS, seconds)
    show(
        f"Market data from a feed that never rests, {LINES} lines for each client",
        ("gateway", ""),
        [
            ("ticks/s to one client", f"{rate:,.0f}"),
            ("MB before clients", f"{before:.0f}"),
            (f"MB with {CLIENTS} clients", f"{after:.0f}"),
        ],
    )


class RestlessFeed:
    """Another quote whenever one looks: prices, sizes and volume have changed each time."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._quotes: dict[int, Iterator[MarketQuote]] = {}

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        quotes = self._quotes.get(instrument.con_id)
        if quotes is None:
            quotes = self._quotes[instrument.con_id] = itertools.cycle(_moves(instrument))
        return next(quotes)

    def bars(self, instrument: Instrument, *, start: datetime, end: datetime, bar_size: str) -> list[FeedBar]:
        return []

    def head(self, instrument: Instrument) -> datetime:
        return _START


def _moves(instrument: Instrument) -> list[MarketQuote]:
    tick = instrument.min_tick
    first = Decimal(int(instrument.reference_price / float(tick))) * tick
    made = []
    for number in range(_PRICES):
        last = first + number * tick
        made.append(
            MarketQuote(
                con_id=instrument.con_id,
                time=_START,
                bid=last - tick,
                ask=last + tick,
                last=last,
                bid_size=Decimal(100 + number),
                ask_size=Decimal(200 + number),
                last_size=Decimal(1 + number),
                volume=Decimal(10_000 + number),
                open=first,
                high=first + _PRICES * tick,
                low=first,
                close=first,
            )
        )
    return made


class Counting:
    """A client that subscribes to quotes and counts what comes."""

    def __init__(self, port: int, client_id: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._rest = b""
        self._socket.sendall(b"API\0" + _frame(f"v157..{VERSION}".encode()))
        self._receive()
        self._socket.sendall(_frame(b"71\0" + b"2\0%d\0\0" % client_id))

    def subscribe(self, lines: int) -> None:
        """Ask for the quotes of so many instruments; of some twice, if there are not as many."""
        for number, instrument in zip(range(lines), itertools.cycle(INSTRUMENTS)):
            fields = ("1", "11", str(number), str(instrument.con_id), *[""] * 11, "0", "", "0", "0", "")
            self._socket.sendall(_frame("".join(f"{field}\0" for field in fields).encode()))

    def count(self, seconds: float) -> float:
        """Messages per second, over so many seconds."""
        frames, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            frames += self._receive()
        return frames / elapsed

    def _receive(self) -> int:
        data = self._socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the gateway hung up")
        data = self._rest + data
        at = frames = 0
        while at + 4 <= len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if end > len(data):
                break
            at, frames = end, frames + 1
        self._rest = data[at:]
        return frames

    def drain(self) -> None:
        """Read what has come, without waiting for more."""
        self._socket.settimeout(0)
        try:
            while True:
                self._receive()
        except BlockingIOError:
            self._socket.settimeout(30)

    def close(self) -> None:
        self._socket.close()


def _frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def ticks_per_second(port: int, seconds: float) -> float:
    """What one client with a hundred lines is told."""
    client = Counting(port, 1)
    try:
        client.subscribe(LINES)
        client.count(0.5)
        return client.count(seconds)
    finally:
        client.close()


def memory(port: int, pid: int, clients: int, seconds: float) -> tuple[float, float]:
    """Megabytes that the gateway `pid` holds before, and with so many clients of a hundred lines each."""
    before = resident_mb(pid)
    with ExitStack() as stack:
        connected = []
        for client_id in range(1, clients + 1):
            client = Counting(port, client_id)
            stack.callback(client.close)
            client.subscribe(LINES)
            connected.append(client)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for client in connected:
                client.drain()
            time.sleep(0.01)  # nothing to wait for: the clients are drained until the time is over
        return before, resident_mb(pid)


async def _serve(port: int, interval: float) -> None:
    async with PaperGatewayServer(port=port, feed=RestlessFeed(interval), max_clients=MAX_CLIENTS):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
