"""The smallest program: connect, print the account, disconnect. Plain async code, one event loop.

Start a gateway first, for example TradeMind's own: trademind gateway start --port 7497
"""

import asyncio
import os

from trademind import IBKRBroker


async def main() -> None:
    port = int(os.environ.get("TRADEMIND_IBKR__PORT", "7497"))
    async with IBKRBroker(port=port, client_id=7) as broker:
        account = await broker.get_account()
        print(f"{account.account_id}: {account.net_liquidation} {account.currency} ({account.source})")


asyncio.run(main())
