"""Bring positions to quantities, however often this runs: what is held and what is on its way counts.

Run it while `make start` runs. The second time nothing is missing, and nothing is placed.
"""

import asyncio
import os

import httpx

WANTED = {"AAPL": 20, "MSFT": 10}


async def main() -> None:
    port = os.environ.get("TRADEMIND_SERVER__PORT", "8000")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as server:
        for symbol, quantity in WANTED.items():
            target = {"symbol": symbol, "target_quantity": quantity}
            answer = await server.post("/api/orders/target", json=target)
            reached = answer.json()
            if not answer.is_success:
                print(f"{symbol}: {reached['detail']}")
            elif (order := reached["order"]) is None:
                print(f"{symbol}: {reached['position']} held, nothing is missing")
            else:
                print(f"{symbol}: {reached['position']} held, {order['side']} {order['quantity']} placed")


asyncio.run(main())
