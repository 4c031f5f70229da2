"""Target positions on a real gateway, with its messages in another order."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.test_faults import until
from tests.proxy import Proxy
from tests.trading.test_entry import BY, Desk, open_desk
from trademind.aio import Tasks
from trademind.clock import SystemClock
from trademind.domain import OrderStatus, Target
from trademind.errors import Conflict, Invalid
from trademind.gateway.server import PaperGatewayServer
from trademind.trading.targets import Targets

FILL_MESSAGES = (11, 61, 7)
"""execDetails, position and portfolio value."""


@pytest.fixture
async def gateway() -> AsyncIterator[PaperGatewayServer]:
    async with PaperGatewayServer(cash=Decimal(100_000), seed=42) as server:
        yield server


@pytest.fixture
async def proxy(gateway: PaperGatewayServer) -> AsyncIterator[Proxy]:
    async with Proxy(gateway.port) as proxy:
        yield proxy


def targets_of(desk: Desk) -> Targets:
    return Targets(desk.broker, desk.journal, desk.entry, SystemClock())


def bought(gateway: PaperGatewayServer) -> Decimal:
    return sum((fill.quantity for fill in gateway.core.exchange.executions()), Decimal(0))


async def test_a_fill_that_is_told_after_its_status_is_waited_for(
    gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path
) -> None:
    """Taken out: `Targets._see_fills`; what has filled is neither working nor held, and is bought again."""
    async with open_desk(proxy.port, tmp_path) as desk:
        targets, target = targets_of(desk), Target.of(10, symbol="AAPL")
        late: list[list[str]] = []
        proxy.from_gateway |= dict.fromkeys(FILL_MESSAGES, late.append)
        first = await targets.reach(target, by=BY)
        assert first.placed is not None
        order_id = first.placed.order.id
        await until(lambda: desk.known(order_id).status is OrderStatus.FILLED)
        again = Tasks().spawn(targets.reach(target, by=BY), name="again")
        await asyncio.sleep(0.1)
        assert not again.done()
        proxy.from_gateway.clear()
        for fields in late:
            proxy.say(*fields)
        reached = await again
        assert reached.placed is None
        assert reached.standing.held == 10
        assert bought(gateway) == 10


async def test_a_fill_that_is_not_told_is_a_conflict(
    gateway: PaperGatewayServer, proxy: Proxy, tmp_path: Path
) -> None:
    async with open_desk(proxy.port, tmp_path) as desk:
        proxy.from_gateway |= dict.fromkeys(FILL_MESSAGES, lambda fields: None)
        placed = (await targets_of(desk).reach(Target.of(10, symbol="AAPL"), by=BY)).placed
        assert placed is not None
        await until(lambda: desk.known(placed.order.id).status is OrderStatus.FILLED)
        with pytest.raises(Conflict, match="not told of the fill of 10"):
            await targets_of(desk).reach(Target.of(10, symbol="AAPL"), by=BY)
        assert bought(gateway) == 10


async def test_a_target_that_was_refused_is_no_lost_order(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Seen to answer "there is no order key" to whoever asked again."""
    async with open_desk(gateway.port, tmp_path) as desk:
        targets = targets_of(desk)
        terms = {"symbol": "AAPL", "order_type": "LMT", "client_order_id": "key"}
        for _ in range(2):
            with pytest.raises(Invalid, match="steps of"):
                await targets.reach(Target.of(10, limit_price="1.00001", **terms), by=BY)
        assert (await targets.reach(Target.of(10, limit_price="1.00", **terms), by=BY)).placed is not None
