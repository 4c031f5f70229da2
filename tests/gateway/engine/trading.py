"""A small trading floor for the engine's tests: one account, quotes and tickets in a few words."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from trademind.clock import ManualClock
from trademind.domain import Side
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import (
    CommissionReported,
    Event,
    Executed,
    IBOrderType,
    IBTif,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    PaperExecution,
    Ticket,
)

UNIVERSE = Universe()
START = datetime(2026, 4, 15, 15, 0, tzinfo=UTC)


def listed(con_id: int) -> Instrument:
    found = UNIVERSE.by_con_id(con_id)
    assert found is not None
    return found


AAPL, MSFT, EURUSD = listed(265598), listed(272093), listed(12087792)


def market(
    bid: str,
    ask: str,
    *,
    last: str | None = None,
    size: int = 1000,
    of: Instrument = AAPL,
    close: str = "100",
    volume: int = 1_000_000,
) -> MarketQuote:
    """A quote with `size` shares on each side; the last trade is at the bid unless given."""
    price = Decimal(last or bid)
    return MarketQuote(
        con_id=of.con_id,
        time=START,
        bid=Decimal(bid),
        ask=Decimal(ask),
        last=price,
        bid_size=Decimal(size),
        ask_size=Decimal(size),
        last_size=Decimal(100),
        volume=Decimal(volume),
        open=price,
        high=price,
        low=price,
        close=Decimal(close),
    )


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


class Floor:
    """An exchange and its clock."""

    def __init__(self, cash: str = "100000", **settings: Any) -> None:
        self.clock = ManualClock(START)
        self.exchange = PaperExchange(accounts={"DU7654321": Decimal(cash)}, clock=self.clock, **settings)

    def place(
        self,
        order_id: int,
        side: str,
        quantity: str | int,
        kind: str = "MKT",
        *,
        limit: str | None = None,
        stop: str | None = None,
        tif: str = "DAY",
        of: Instrument = AAPL,
        client_id: int = 1,
        **attributes: Any,
    ) -> list[Event]:
        """Place an order; of the further attributes, texts are numbers."""
        return self.exchange.place(
            self.ticket(
                order_id, side, quantity, kind, limit=limit, stop=stop, tif=tif, of=of, client_id=client_id,
                **attributes,
            )
        )  # fmt: skip

    def ticket(
        self,
        order_id: int,
        side: str,
        quantity: str | int,
        kind: str = "MKT",
        *,
        limit: str | None = None,
        stop: str | None = None,
        tif: str = "DAY",
        of: Instrument = AAPL,
        client_id: int = 1,
        **attributes: Any,
    ) -> Ticket:
        numbers: dict[str, Any] = {
            name: Decimal(value) if isinstance(value, str) and name != "oca_group" else value
            for name, value in attributes.items()
        }
        return Ticket(
            client_id=client_id,
            order_id=order_id,
            account=self.exchange.account_id,
            instrument=of,
            side=Side(side),
            quantity=Decimal(quantity),
            order_type=IBOrderType(kind),
            tif=IBTif(tif),
            limit_price=_price(limit),
            stop_price=_price(stop),
            **numbers,
        )

    def quote(self, bid: str, ask: str, **more: object) -> list[Event]:
        return self.exchange.on_quote(market(bid, ask, **more))  # type: ignore[arg-type]

    def wait(self, **duration: int) -> list[Event]:
        """Let time pass."""
        return self.exchange.roll(self.clock.advance(timedelta(**duration)))

    def cancel(self, order_id: int, *, client_id: int = 1, by: int | None = None) -> list[Event]:
        by_client_id = client_id if by is None else by
        return self.exchange.cancel(client_id, order_id, by_client_id=by_client_id)


def story(events: Iterable[Event]) -> list[str]:
    """Events in one short line each, as a gateway would send them."""
    return [_line(event) for event in events]


def _line(event: Event) -> str:
    if isinstance(event, OrderReported):
        order = event.order
        held = f" held:{order.why_held}" if order.why_held else ""
        return f"{order.ticket.order_id} {order.status} {order.filled}/{order.ticket.quantity}{held}"
    if isinstance(event, Executed):
        return f"{event.execution.order_id} fill {event.execution.quantity} @ {event.execution.price}"
    if isinstance(event, CommissionReported):
        return f"{event.execution.order_id} commission {event.execution.commission}"
    if isinstance(event, OrderError):
        return f"{event.order_id} error {event.code}"
    return f"portfolio {event.instrument.symbol}"


def fills(events: Iterable[Event]) -> list[PaperExecution]:
    return [event.execution for event in events if isinstance(event, Executed)]


def errors(events: Iterable[Event]) -> list[int]:
    return [event.code for event in events if isinstance(event, OrderError)]
