"""A test of somebody's ib_async code against the paper gateway.

.venv/bin/pip install -c .ci/constraints.txt -e '.[testing]'
.venv/bin/pytest examples/test_my_strategy.py
"""

import pytest
from ib_async import IB, LimitOrder, Stock, Trade

from trademind.gateway.faults import Disconnect, Step
from trademind.testing import Market, PaperAccount, PaperGateway


def buy_the_dip(ib: IB, symbol: str, below: float) -> Trade:
    """The code under test: an order that waits for a lower price."""
    (contract,) = ib.qualifyContracts(Stock(symbol, "SMART", "USD"))
    return ib.placeOrder(contract, LimitOrder("BUY", 10, below))


def test_it_buys_when_the_price_falls(
    paper_gateway: PaperGateway, paper_account: PaperAccount, market: Market
) -> None:
    market.set_price("AAPL", 100)
    ib = IB()
    ib.connect(paper_gateway.host, paper_gateway.port, clientId=1)

    trade = buy_the_dip(ib, "AAPL", below=95)
    paper_account.wait_for(lambda account: account.orders)
    assert paper_account.position("AAPL") == 0

    market.set_price("AAPL", 94.5)
    while not trade.isDone():
        ib.sleep(0.01)
    assert trade.orderStatus.avgFillPrice == 95
    assert paper_account.position("AAPL") == 10
    ib.disconnect()


def test_an_order_survives_a_lost_connection(
    paper_gateway: PaperGateway, paper_account: PaperAccount, market: Market
) -> None:
    market.set_price("AAPL", 100)
    market.script(Step(do=Disconnect(after=True), request="placeOrder"))
    ib = IB()
    ib.connect(paper_gateway.host, paper_gateway.port, clientId=1)

    buy_the_dip(ib, "AAPL", below=95)
    paper_account.wait_for(lambda account: account.orders)
    with pytest.raises(ConnectionError):  # ib_async's word for a connection that the gateway ended
        ib.sleep(5)

    ib.connect(paper_gateway.host, paper_gateway.port, clientId=1)
    assert [trade.order.lmtPrice for trade in ib.openTrades()] == [95]
    ib.disconnect()
