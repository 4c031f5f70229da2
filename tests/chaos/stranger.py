"""Another program at the same gateway, with a client id of its own: what it trades moves the account, too.

It goes past the proxy, so that its orders and fills happen also while TradeMind has no connection.
"""

import asyncio
import random
from contextlib import suppress
from typing import Any, Final

import ib_async
from ib_async.client import Client

from tests.chaos.plan import SYMBOLS

STRANGER: Final = 7
"""Its client id."""
FOREIGN: Final = "stranger-"
"""How its order references begin."""
EVERY: Final = 4.0
"""Seconds between two of its orders, on average."""


class _Silent:
    """What the gateway says is of no interest here."""

    defaultTimezone = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_: None


class Stranger:
    def __init__(self, gateway_port: int, seed: int) -> None:
        self._port = gateway_port
        self._rng = random.Random(f"{seed}-stranger")
        self.is_trading = True
        self.orders = 0

    async def trade_on(self) -> None:
        """Buy and sell a little, for as long as it is let; a gateway that is gone is waited for."""
        while True:
            client = Client(_Silent())
            with suppress(OSError, TimeoutError):
                await client.connectAsync("127.0.0.1", self._port, STRANGER, 5)
                while client.isConnected():
                    await asyncio.sleep(self._rng.expovariate(1 / EVERY))
                    if self.is_trading:
                        self._place(client)
            client.disconnect()
            await asyncio.sleep(1)

    def _place(self, client: Client) -> None:
        self.orders += 1
        contract = ib_async.Stock(self._rng.choice(SYMBOLS), "SMART", "USD")
        is_resting = self._rng.random() < 0.3
        order = ib_async.Order(
            action="BUY" if is_resting else self._rng.choice(("BUY", "SELL")),
            totalQuantity=self._rng.randint(1, 5),
            orderType="LMT" if is_resting else "MKT",
            orderRef=f"{FOREIGN}{self.orders}",
            tif="DAY",
        )
        if is_resting:
            order.lmtPrice = 1.0
        client.placeOrder(client.getReqId(), contract, order)
