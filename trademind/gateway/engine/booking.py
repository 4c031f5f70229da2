"""From a match to the books: execution ids, commissions, and what a fill means for its account.

A combination is one execution at its own price and one for each leg. Only the legs are booked: there is no
position in a combination. The legs' prices are those of their own markets; what their sum differs from the
combination's price goes to the dearest leg, so that together they cost exactly what was agreed.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.model import Instrument, Leg, MarketQuote, PaperExecution
from trademind.gateway.engine.working import WorkingOrder

QuoteOf = Callable[[int], MarketQuote | None]
_PRICE_DIGITS = Decimal("0.00000001")


class Ids:
    """Perm ids and execution ids. They carry the accounts' birth, so that accounts that were reset do not
    repeat them."""

    def __init__(self, created_at: datetime, next_perm: int, next_exec: int) -> None:
        self.next_perm = next_perm
        self.next_exec = next_exec
        self._base = int(created_at.timestamp())
        self._origin = f"{int(created_at.timestamp() * 1_000_000) & 0xFFFFFFFF:08x}"

    def perm_id(self) -> int:
        self.next_perm += 1
        return self._base + self.next_perm - 1

    def execution_id(self) -> str:
        """The first part of it, without the leg and the revision."""
        self.next_exec += 1
        return f"{self._origin}.{self._base + self.next_exec - 1:08x}"

    def seen_execution(self, exec_id: str) -> None:
        """A stored execution has an id. The legs of a combination share its."""
        if exec_id.endswith(".01.01"):
            self.next_exec += 1

    def seen(self, perm_id: int) -> None:
        """A perm id is in use."""
        self.next_perm = max(self.next_perm, perm_id - self._base + 1)


def leg_side(order_side: Side, leg: Leg) -> Side:
    """What an order for a combination does with one part of it."""
    return Side.BUY if order_side is leg.side else Side.SELL


def legs_are_quoted(instrument: Instrument, quote_of: QuoteOf) -> bool:
    return all(quote_of(leg.instrument.con_id) is not None for leg in instrument.legs)


def book_fill(
    account: PaperAccount,
    order: WorkingOrder,
    price: Decimal,
    quantity: Decimal,
    quote_of: QuoteOf,
    ids: Ids,
    now: datetime,
) -> list[PaperExecution]:
    """Book a fill that the order has in it already, and give back what was reserved for it."""
    instrument = order.ticket.instrument
    if instrument.legs:
        return _book_combination(account, order, price, quantity, quote_of, ids, now)
    due = account.commission(instrument, order.filled, order.filled_value)
    # Rounding of the whole keeps the sum exact; a cheap first fill may have been charged its maximum.
    commission = max(due - order.commission, ZERO)
    order.commission += commission
    realized = account.book(
        instrument, order.ticket.side, quantity, price, commission, reserved_at=order.reserved_at
    )
    quote = quote_of(instrument.con_id)
    assert quote is not None
    account.mark(instrument, quote)
    return [
        _execution(
            order, f"{ids.execution_id()}.01.01", now, instrument, order.ticket.side, quantity, price,
            order.filled, order.avg_fill_price, commission, realized,
        )
    ]  # fmt: skip


def _book_combination(
    account: PaperAccount,
    order: WorkingOrder,
    price: Decimal,
    quantity: Decimal,
    quote_of: QuoteOf,
    ids: Ids,
    now: datetime,
) -> list[PaperExecution]:
    ticket = order.ticket
    exec_id = ids.execution_id()
    if order.reserved_at is not None:
        account.release(ticket.instrument, ticket.side, quantity, order.reserved_at)
    executions = [
        _execution(
            order, f"{exec_id}.01.01", now, ticket.instrument, ticket.side, quantity, price,
            order.filled, order.avg_fill_price, ZERO, None,
        )
    ]  # fmt: skip
    prices = leg_prices(ticket.instrument, ticket.side, price, quote_of)
    for number, (leg, leg_price) in enumerate(zip(ticket.instrument.legs, prices, strict=True), 2):
        side, size, total = leg_side(ticket.side, leg), quantity * leg.ratio, order.filled * leg.ratio
        # The commission of all that has filled of the leg, less that of what had filled before.
        before = total - size
        commission = account.commission(leg.instrument, total, total * leg_price)
        if before:
            commission -= account.commission(leg.instrument, before, before * leg_price)
        commission = max(commission, ZERO)
        order.commission += commission
        realized = account.book(leg.instrument, side, size, leg_price, commission)
        quote = quote_of(leg.instrument.con_id)
        assert quote is not None
        account.mark(leg.instrument, quote)
        executions.append(
            _execution(
                order, f"{exec_id}.{number:02x}.01", now, leg.instrument, side, size, leg_price,
                total, leg_price, commission, realized,
            )
        )  # fmt: skip
    return executions


def leg_prices(instrument: Instrument, side: Side, price: Decimal, quote_of: QuoteOf) -> list[Decimal]:
    """What the legs cost in a combination that trades at `price`."""
    prices: list[Decimal] = []
    total = ZERO
    for leg in instrument.legs:
        quote = quote_of(leg.instrument.con_id)
        assert quote is not None
        own = quote.ask if leg_side(side, leg) is Side.BUY else quote.bid
        prices.append(own)
        total += leg.side.sign * leg.ratio * own
    dearest = max(range(len(prices)), key=lambda index: (prices[index], -index))
    leg = instrument.legs[dearest]
    prices[dearest] += ((price - total) * leg.side.sign / leg.ratio).quantize(_PRICE_DIGITS).normalize()
    return prices


def _execution(
    order: WorkingOrder,
    exec_id: str,
    now: datetime,
    instrument: Instrument,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    cumulative_quantity: Decimal,
    avg_price: Decimal,
    commission: Decimal,
    realized_pnl: Decimal | None,
) -> PaperExecution:
    ticket = order.ticket
    return PaperExecution(
        exec_id,
        now,
        order.perm_id,
        ticket.client_id,
        ticket.order_id,
        ticket.account,
        instrument,
        side,
        quantity,
        price,
        cumulative_quantity,
        avg_price,
        ticket.exchange or instrument.primary_exchange or instrument.exchange,
        ticket.order_ref,
        commission,
        realized_pnl,
    )
