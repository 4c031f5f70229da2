"""Buy with a profit to take and a loss to end: a bracket, of which all three orders are placed, or none.

Start a gateway first, for example TradeMind's own: trademind gateway start --port 7497
"""

import asyncio
import os
from decimal import Decimal

from trademind import ContractQuery, IBKRBroker, OrderRequest, Side
from trademind.domain import StopLoss, bracket


async def main() -> None:
    port = int(os.environ.get("TRADEMIND_IBKR__PORT", "7497"))
    async with IBKRBroker(port=port, client_id=9) as broker:
        quote = await broker.get_quote(ContractQuery(symbol="AAPL"))
        if quote.last is None:
            raise SystemExit("AAPL has no price at the moment")
        entry = OrderRequest(symbol="AAPL", side=Side.BUY, quantity=Decimal(10))
        placed = await broker.place_group(
            bracket(
                entry,
                take_profit=Decimal(round(quote.last * 1.1)),
                stop_loss=StopLoss(trailing_percent=Decimal(5)),
            )
        )
        for order in placed:  # the exits work on at IB when this program has ended
            print(f"{order.side} {order.quantity} AAPL {order.order_type}: {order.status}")


asyncio.run(main())
