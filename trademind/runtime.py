"""The composition root: builds the object graph from the settings, opens it in order, closes it in reverse.

The only place that knows whether the gateway is TradeMind's own.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from trademind.brokers.base import Broker
from trademind.brokers.ibkr.client import IBKRBroker
from trademind.gateway.assembly import paper_gateway
from trademind.gateway.server import PaperGatewayServer
from trademind.settings import BrokerKind, Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a running server is made of."""

    settings: Settings
    broker: Broker
    gateway: PaperGatewayServer | None
    """The embedded paper gateway, where there is one."""


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything the settings ask for.

    The broker connects in the background, so that the server also starts while its gateway is down.

    Raises:
        SettingsError: the paper account cannot be opened as the settings say.
    """
    async with AsyncExitStack() as stack:
        ibkr = settings.ibkr
        host, port, gateway = ibkr.host, ibkr.port, None
        if settings.broker is BrokerKind.PAPER:
            gateway = await stack.enter_async_context(
                paper_gateway(settings.paper, data_dir=settings.data_dir)
            )
            host, port = gateway.host, gateway.port
        broker = IBKRBroker(
            host,
            port,
            ibkr.client_id,
            account=settings.account,
            allow_live=ibkr.allow_live,
            require_paper=gateway is not None,
            connect_timeout=ibkr.connect_timeout,
            request_timeout=ibkr.request_timeout,
            order_timeout=ibkr.order_timeout,
            # The limit is IB's; the paper gateway has it unless it is told not to.
            max_requests_per_second=45 if gateway is None or settings.paper.pacing else 0,
        )
        await broker.start()
        stack.push_async_callback(broker.disconnect)
        yield Runtime(settings=settings, broker=broker, gateway=gateway)
