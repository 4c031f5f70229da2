"""Average prices, commissions and realized profits are IB's to the cent.

What the gateway itself says of them, asked by ib_async, beside what the broker makes of fills and reports.
"""

import random
from decimal import Decimal

import ib_async

from tests.brokers.test_client import order
from tests.brokers.test_faults import until
from trademind import IBKRBroker
from trademind.gateway.server import PaperGatewayServer

CENT = Decimal("0.01")


async def test_figures_of_fifty_orders_are_the_gateways() -> None:
    """Positions grow, shrink, close and turn over, and large orders fill in parts at several prices."""
    rng = random.Random(11)
    async with (
        PaperGatewayServer(cash=Decimal(1_000_000_000), seed=42) as gateway,
        IBKRBroker(port=gateway.port, max_requests_per_second=0) as broker,
    ):
        for number in range(50):
            terms = {
                "symbol": rng.choice(["AAPL", "MSFT"]),
                "side": rng.choice(["BUY", "SELL"]),
                "quantity": rng.choice([1, 7, 133, 1700, 4300]),
            }
            await broker.place_order(order(client_order_id=f"k{number}", **terms))

        await until(lambda: all(o.filled_quantity == o.quantity for o in broker._book.orders()))
        await until(lambda: all(fill.commission is not None for fill in broker._book.executions()))
        other = ib_async.IB()
        await other.connectAsync("127.0.0.1", gateway.port, clientId=99)
        try:
            await until(lambda: all(fill.commissionReport.execId for fill in other.fills()))
            fills = other.fills()
            statuses = {trade.order.permId: trade for trade in await other.reqCompletedOrdersAsync(False)}
            assert len(statuses) == 50
            told = {fill.exec_id: fill for fill in await broker.get_executions()}
            assert told.keys() == {fill.execution.execId for fill in fills}
            for fill in fills:
                ours = told[fill.execution.execId]
                assert ours.price == Decimal(str(fill.execution.price))
                assert ours.commission == Decimal(str(fill.commissionReport.commission))
                realized = Decimal(str(fill.commissionReport.realizedPNL))
                assert abs((ours.realized_pnl or Decimal(0)) - (realized if realized < 10**300 else 0)) < CENT

            orders = await broker.get_orders()
            last = {
                fill.execution.permId: fill.execution
                for fill in sorted(fills, key=lambda f: f.execution.cumQty)
            }
            for each in orders:
                assert each.perm_id is not None
                average = Decimal(str(last[each.perm_id].avgPrice))
                assert each.avg_fill_price is not None
                assert abs(each.avg_fill_price - average) < CENT / 2, each
            assert len({each.price for each in told.values()}) > 10

            values = {(v.tag, v.currency): v.value for v in other.accountValues()}
            realized_by_ib = Decimal(values["RealizedPnL", "BASE"])
            ours_in_all = sum((f.realized_pnl or Decimal(0) for f in told.values()), Decimal(0))
            assert abs(ours_in_all - realized_by_ib) < CENT
        finally:
            other.disconnect()
