"""A paper gateway for tests: a market that moves when the test says so, and clients that connect to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ib_async

from trademind.clock import ManualClock
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.server import PaperGatewayServer
from trademind.gateway.store import ACCOUNT_ID

START = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""A Monday, half past ten in New York."""
ACCOUNT = ACCOUNT_ID
PATIENCE = 30.0
"""Seconds until something that should have happened counts as missing."""


@dataclass
class Bench:
    server: PaperGatewayServer
    clock: ManualClock
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    """(request id, code, text) of all errors that `client` connections have received, notices left out."""

    @asynccontextmanager
    async def client(self, client_id: int = 1) -> AsyncIterator[ib_async.IB]:
        """ib_async, connected and fully synchronised."""
        ib = ib_async.IB()

        def note(req_id: int, code: int, text: str, contract: Any) -> None:
            if not 2100 <= code < 2200:
                self.errors.append((req_id, code, text))

        ib.errorEvent += note
        await ib.connectAsync(
            "127.0.0.1", self.server.port, clientId=client_id, timeout=PATIENCE, raiseSyncErrors=True
        )
        try:
            yield ib
        finally:
            ib.disconnect()

    def move(self, seconds: float = 1.0) -> None:
        """Let time pass in the market; the gateway notices with its next pump."""
        self.clock.advance(timedelta(seconds=seconds))


@asynccontextmanager
async def open_bench(
    *,
    cash: Decimal = Decimal(100_000),
    accounts: Mapping[str, Decimal] | None = None,
    data_dir: Path | None = None,
) -> AsyncIterator[Bench]:
    clock = ManualClock(START)
    feed = SyntheticFeed(7)
    feed.interval = 0.005
    async with PaperGatewayServer(
        cash=cash, accounts=accounts, clock=clock, feed=feed, data_dir=data_dir
    ) as server:
        yield Bench(server, clock)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something to become true. Fails after `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)
