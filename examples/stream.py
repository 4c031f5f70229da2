"""Follow orders and a quote as they change, and see where something may have been missed.

Start a gateway first, for example TradeMind's own: trademind gateway start --port 7497
"""

import asyncio
import os
from decimal import Decimal

from trademind import Channel, Event, Gap, IBKRBroker, Order, OrderRequest, Side


async def main() -> None:
    port = int(os.environ.get("TRADEMIND_IBKR__PORT", "7497"))
    async with IBKRBroker(port=port, client_id=8) as broker, broker.stream(Channel.ORDERS) as stream:
        async for quote in broker.quotes("AAPL"):
            print(f"AAPL {quote.bid} {quote.ask} {'stale' if quote.stale else ''}")
            if quote.bid:
                break
        order = OrderRequest(symbol="AAPL", side=Side.BUY, quantity=Decimal(10), client_order_id="streamed")
        await broker.place_order(order)  # the same id never buys twice
        async for item in stream:
            match item:
                case Event(data=Order() as placed):
                    print(f"{placed.side} {placed.quantity} AAPL: {placed.status}")
                    if placed.status.is_done:
                        break
                case Gap():
                    print(f"nothing is certain since {item.since}: {item.reason}")


asyncio.run(main())
