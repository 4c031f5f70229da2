"""An app over a broker in memory, and a client of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.api.memory import MemoryBroker, runtime_of, served
from trademind.api import create_app
from trademind.settings import Settings, load_settings


@pytest.fixture
def settings() -> Settings:
    return load_settings(_env_file=None, server={"allowed_hosts": "localhost,127.0.0.1,[::1]"})


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def client(settings: Settings, broker: MemoryBroker) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(settings, open_runtime=runtime_of(broker))) as client:
        yield client
