"""Apple's order book, its trades and a bar of five seconds as they come: python examples/market_data.py

In a notebook the same works without `asyncio.run`: `async for book in broker.depth("AAPL"): ...`
"""

import asyncio
import os

from trademind import IBKRBroker
from trademind.domain import Missed


async def main() -> None:
    port = int(os.environ.get("TRADEMIND_IBKR__PORT", "7497"))
    async with IBKRBroker(port=port, client_id=8) as broker:
        async for book in broker.depth("AAPL"):
            if book.bids and book.asks:
                bid, ask = book.bids[0], book.asks[0]
                print(f"book {bid.size:g} at {bid.price} | {ask.size:g} at {ask.price}")
                break
        async for tick in broker.ticks("AAPL"):
            if isinstance(tick, Missed):
                print(f"tick missed: {tick.reason}")
            else:
                print(f"tick {tick.time:%H:%M:%S} {tick.size} at {tick.price}")
                break
        async for live in broker.live_bars("AAPL"):
            if isinstance(live, Missed):
                print(f"bar missed: {live.reason}")
            else:
                bar = live.bar
                print(f"bar {bar.time:%H:%M:%S} {bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}")
                break


if __name__ == "__main__":
    asyncio.run(main())
