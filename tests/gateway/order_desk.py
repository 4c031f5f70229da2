"""A gateway whose market stands where a test puts it, and the client libraries that place orders in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import ib_async
import ibapi.order
import ibapi.order_cancel

from tests.gateway.conversation import AAPL_ID, NOW, Heard, LibraryClient
from trademind.clock import ManualClock
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.store import AccountStore, open_exchange

MSFT_ID = 272093
LIBRARIES = [("ib_async", 178), ("ibapi", 200)]
Story = list[tuple[Any, ...]]


class SetFeed(SyntheticFeed):
    """The synthetic market, but for the quotes that a test has set."""

    def __init__(self) -> None:
        super().__init__(7)
        self.quotes: dict[int, MarketQuote] = {}

    def quote(self, instrument: Instrument, at: datetime) -> MarketQuote:
        return self.quotes.get(instrument.con_id) or super().quote(instrument, at)


@dataclass
class Desk:
    core: PaperGateway
    feed: SetFeed
    clock: ManualClock

    def show(self, bid: str, ask: str, *, con_id: int = AAPL_ID, size: int = 1000) -> None:
        """Put a market there, with its last trade in the middle."""
        self.clock.advance(timedelta(seconds=1))
        instrument = self.core.universe.by_con_id(con_id)
        assert instrument is not None
        self.feed.quotes.pop(con_id, None)
        low, high = Decimal(bid), Decimal(ask)
        shown = replace(
            self.feed.quote(instrument, self.clock.now()),
            bid=low,
            ask=high,
            last=((low + high) / 2).quantize(instrument.min_tick),
            bid_size=Decimal(size),
            ask_size=Decimal(size),
        )
        self.feed.quotes[con_id] = shown
        self.core.refresh(instrument)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with the market where it is."""
        for _ in self.core.pump_steps(self.clock.advance(timedelta(seconds=seconds))):
            pass

    def client(self, library: str = "ibapi", version: int = 200, client_id: int = 1) -> "OrderClient":
        return OrderClient(self.core, library, version, client_id)


def open_desk(*, cash: int = 1_000_000) -> Desk:
    """A gateway where AAPL stands at 149.95 to 150.05 and MSFT at 399.90 to 400.10."""
    universe, clock, store, feed = Universe(), ManualClock(NOW), AccountStore(None), SetFeed()
    exchange = open_exchange(store, cash=Decimal(cash), clock=clock, universe=universe)
    core = PaperGateway(exchange=exchange, feed=feed, universe=universe, clock=clock, store=store)
    desk = Desk(core, feed, clock)
    desk.show("149.95", "150.05")
    desk.show("399.90", "400.10", con_id=MSFT_ID)
    return desk


class OrderClient(LibraryClient):
    """A client that places orders with a real library."""

    def order(self, action: str = "BUY", quantity: int = 10, kind: str = "MKT", **attributes: Any) -> Any:
        """An order as the library has them; attributes by the names that both libraries share."""
        order: Any = ibapi.order.Order() if self.library == "ibapi" else ib_async.Order()
        order.action, order.totalQuantity, order.orderType = action, Decimal(quantity), kind
        for name, value in attributes.items():
            assert hasattr(order, name), name
            setattr(order, name, value)
        return order

    def place(
        self, order_id: int, *order: Any, con_id: int = AAPL_ID, contract: Any = None, **attributes: Any
    ) -> Heard:
        """Place (or change) an order: action, quantity, type, and attributes by name."""
        made = self.order(*order, **attributes)
        return self.ask("placeOrder", order_id, contract or self.contract(con_id), made)

    def no_tags(self) -> Any:
        """What IB's own client wants with every cancel."""
        return ibapi.order_cancel.OrderCancel()

    def cancel(self, order_id: int) -> Heard:
        if self.library == "ibapi":
            return self.ask("cancelOrder", order_id, self.no_tags())
        return self.ask("cancelOrder", order_id)

    def open_orders(self) -> dict[int, Any]:
        """Own open orders by id."""
        return {order_id: order for order_id, _, order, _ in self.ask("reqOpenOrders").named("openOrder")}


def story(heard: Heard) -> Story:
    """What was heard of orders, in short: (what, order id, …) each."""
    told: Story = []
    for name, args in heard:
        match name:
            case "openOrder":
                told.append(("order", args[0], args[3].status))
            case "orderStatus":
                told.append(("status", args[0], args[1], *([args[9]] if args[9] else [])))
            case "execDetails":
                told.append(("fill", args[2].orderId, float(args[2].shares), args[2].price))
            case "commissionReport" | "commissionAndFeesReport":
                told.append(("commission",))
            case "error":
                told.append(("error", args[0], args[2] if len(args) == 5 else args[1]))
            case "completedOrder" | "openOrderEnd" | "completedOrdersEnd" | "execDetailsEnd" | "orderBound":
                told.append((name,))
    return told


def stands(order_id: int, *statuses: str, held: str = "") -> Story:
    """An open order and its status, as a pair, for each status."""
    return [
        each
        for status in statuses
        for each in (
            ("order", order_id, status),
            ("status", order_id, status, *([held] if held else [])),
        )
    ]


def cancelled(order_id: int) -> Story:
    return [("status", order_id, "Cancelled"), ("error", order_id, 202)]


def filled(order_id: int, quantity: float, price: float) -> Story:
    """A fill that ends the order."""
    return [
        ("fill", order_id, quantity, price),
        ("order", order_id, "Filled"),
        ("status", order_id, "Filled"),
        ("commission",),
    ]


def of(told: Sequence[tuple[Any, ...]], order_id: int) -> Story:
    """What was told of one order."""
    return [each for each in told if len(each) > 1 and each[1] == order_id]
