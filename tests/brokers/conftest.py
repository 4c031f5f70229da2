"""A real paper gateway over TCP, with a proxy in front of it that can spoil the conversation."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.proxy import Proxy
from trademind.gateway.server import PaperGatewayServer


@pytest.fixture
async def gateway() -> AsyncIterator[PaperGatewayServer]:
    async with PaperGatewayServer(cash=Decimal(100_000), seed=42) as server:
        yield server


@pytest.fixture
async def proxy(gateway: PaperGatewayServer) -> AsyncIterator[Proxy]:
    async with Proxy(gateway.port) as proxy:
        yield proxy
