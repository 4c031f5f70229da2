"""Orders matched per second by the engine alone: no wire, no store, the journal kept."""

import time
from datetime import UTC, datetime
from decimal import Decimal

from tests.bench.report import rounds, show
from trademind.clock import ManualClock
from trademind.domain import Side
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import IBOrderType, IBTif, MarketQuote, Ticket

BID, ASK = Decimal("99.99"), Decimal("100.01")
_DEEP = Decimal(10**9)
ORDERS = 20_000


async def table(quick: bool) -> None:
    best = max(orders_per_second(ORDERS) for _ in range(rounds(quick)))
    show(
        f"The matching engine alone, {ORDERS:,} limit orders that fill at once, the journal kept",
        ("orders", "orders/s"),
        [("placed, matched, booked", f"{best:,.0f}")],
    )


def orders_per_second(count: int) -> float:
    """Place `count` limit orders, purchases and sales in turn, each of which fills at once and in full."""
    clock = ManualClock(datetime(2026, 4, 15, 15, tzinfo=UTC))
    exchange = PaperExchange(accounts={"DU1": Decimal(10**9)}, clock=clock)
    instrument = Universe().instruments[0]
    exchange.on_quote(
        MarketQuote(
            con_id=instrument.con_id,
            time=clock.now(),
            bid=BID,
            ask=ASK,
            last=BID,
            bid_size=_DEEP,
            ask_size=_DEEP,
            last_size=Decimal(100),
            volume=_DEEP,
            open=BID,
            high=BID,
            low=BID,
            close=BID,
        )
    )
    tickets = [
        Ticket(
            client_id=1,
            order_id=number,
            account="DU1",
            instrument=instrument,
            side=Side.BUY if number % 2 else Side.SELL,
            quantity=Decimal(10),
            order_type=IBOrderType.LIMIT,
            tif=IBTif.DAY,
            limit_price=ASK if number % 2 else BID,
        )
        for number in range(1, count + 1)
    ]
    start = time.perf_counter()
    for ticket in tickets:
        exchange.place(ticket)
    took = time.perf_counter() - start
    if len(exchange.executions()) != count:
        raise RuntimeError("not every order has filled")
    return count / took
