"""Any IB client can join the paper gateway of a running server. This one is plain ib_async.

Run it while `make start` runs: it asks the server for the gateway's port, connects with a client id of its
own and prints the orders that the server has placed.
"""

import asyncio

import httpx
from ib_async import IB


async def main() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:8000") as server:
        port = (await server.get("/api/system/connection")).json()["port"]
    ib = IB()
    await ib.connectAsync("127.0.0.1", port, clientId=99)
    for trade in await ib.reqAllOpenOrdersAsync() + await ib.reqCompletedOrdersAsync(apiOnly=False):
        order = trade.order
        print(
            f"{order.action} {order.totalQuantity:g} {trade.contract.symbol}, "
            f"reference {order.orderRef}: {trade.orderStatus.status}"
        )
    ib.disconnect()


asyncio.run(main())
