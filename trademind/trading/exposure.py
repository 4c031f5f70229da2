"""What an account may come to hold, in the worst case: every working order of a side fills, and none of the
other side does.

Pure: facts in, figures out. A figure that cannot be had is never taken for zero: asking for it raises
`NotKnown`, which says what is missing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, Self

from trademind.domain import (
    Contract,
    ContractDetails,
    Execution,
    Order,
    OrderChange,
    OrderRequest,
    Position,
    Quote,
    SecType,
    Side,
)

_WITHOUT_MULTIPLIER: Final = frozenset(
    {SecType.STOCK, SecType.CASH, SecType.CRYPTO, SecType.CFD, SecType.FUND, SecType.COMMODITY}
)
"""What is worth its quantity times its price where IB states no multiplier."""
_WITH_MULTIPLIER: Final = frozenset(
    {SecType.FUTURE, SecType.OPTION, SecType.FUTURE_OPTION, SecType.WARRANT, SecType.STRUCTURED}
)

CROSSING: Final = timedelta(seconds=2)
"""How long after an order's status its fill may come: two messages of one event lie closer."""


class NotKnown(Exception):
    """A figure cannot be had. The text says which, as in `the price of AAPL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What may still be bought or sold by one order."""

    contract: Contract
    side: Side
    quantity: Decimal
    price: Decimal | None
    """What a unit may cost; None where the order says nothing of it."""

    @classmethod
    def of(cls, order: Order) -> Self:
        """What is left of a working order."""
        return cls(
            contract=order.contract,
            side=order.side,
            quantity=order.remaining_quantity,
            price=max(filter(None, (order.limit_price, order.stop_price)), default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An order that is looked at: one that is asked for, or one as a change would make it."""

    name: str
    side: Side
    size: Decimal
    """Its whole quantity."""
    quantity: Decimal
    """What of it can still fill."""
    order_type: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    outside_rth: bool = False
    known: ContractDetails | None = None
    """Its contract; None where no limit that is set needs it."""

    @classmethod
    def asked(cls, request: OrderRequest, known: ContractDetails | None) -> Self:
        return cls(
            name=request.symbol or f"contract {request.con_id}",
            side=request.side,
            size=request.quantity,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            outside_rth=request.outside_rth,
            known=known,
        )

    @classmethod
    def changed(cls, order: Order, change: OrderChange, known: ContractDetails | None) -> Self:
        size = order.quantity if change.quantity is None else change.quantity
        return cls(
            name=order.contract.symbol,
            side=order.side,
            size=size,
            quantity=max(size - order.filled_quantity, Decimal(0)),
            order_type=order.order_type,
            limit_price=change.limit_price or order.limit_price,
            stop_price=change.stop_price or order.stop_price,
            outside_rth=order.outside_rth,
            known=known,
        )

    @property
    def details(self) -> ContractDetails:
        """Raises `NotKnown`."""
        if self.known is None:
            raise NotKnown(f"the contract of {self.name}")
        return self.known

    @property
    def contract(self) -> Contract:
        """Raises `NotKnown`."""
        return self.details.contract

    @property
    def own_price(self) -> Decimal | None:
        return self.stop_price if self.limit_price is None else self.limit_price

    @property
    def is_capped(self) -> bool:
        """Does the order itself say the most that a unit can come to?

        A limit is the most that a buyer pays, and a stop about the most that a seller gets. A seller's limit
        and a buyer's stop are the least: where the market is higher, they fill at its price.
        """
        if self.side is Side.BUY:
            return self.limit_price is not None
        return self.limit_price is None and self.stop_price is not None

    def line(self, facts: "Facts") -> "Line":
        """The order as one that is working. Raises `NotKnown` where its contract is not."""
        try:
            price: Decimal | None = self.cost(facts)
        except NotKnown:
            price = self.own_price
        return Line(contract=self.contract, side=self.side, quantity=self.quantity, price=price)

    def cost(self, facts: "Facts") -> Decimal:
        """The most that a unit of it may come to, as far as the market now tells. Raises `NotKnown`."""
        own = self.own_price
        if own is not None and self.is_capped:
            return own
        at_market = far_side(facts.quotes.get(self.contract.con_id), self.side)
        if at_market is None:
            raise NotKnown(f"a quote of {self.name}")
        return at_market if own is None else max(own, at_market)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is so at one moment, as far as the limits that are set need it."""

    now: datetime
    """The market's time."""
    currency: str = ""
    """The account's; empty where it is not known."""
    positions: tuple[Position, ...] = ()
    lines: tuple[Line, ...] = ()
    """Of all working orders, and of those that are on their way."""
    quotes: Mapping[int, Quote] = field(default_factory=dict)
    """By con id."""
    daily_pnl: Decimal | None = None
    open_orders: int = 0
    recent_orders: int = 0
    """Accepted in the last minute."""
    free_in: float | None = None
    """Seconds until the oldest of them is a minute ago; None where there is none."""

    def with_order(self, order: Candidate) -> "Facts":
        """The facts when an order is working, too."""
        return replace(
            self,
            lines=self.lines if order.known is None else (*self.lines, order.line(self)),
            open_orders=self.open_orders + 1,
            recent_orders=self.recent_orders + 1,
        )

    def worst(self, contract: Contract, side: Side) -> Decimal:
        """How much of a contract may come to be held on a side: below zero where it stays on the other."""
        held = sum((p.quantity for p in self.positions if is_same(p.contract, contract)), Decimal(0))
        working = (each.quantity for each in self.of(contract) if each.side is side)
        return side.sign * held + sum(working, Decimal(0))

    def of(self, contract: Contract) -> list[Line]:
        """What is working of a contract."""
        return [each for each in self.lines if is_same(each.contract, contract)]

    def largest(self, contract: Contract) -> Decimal:
        """The largest holding of a contract there may be, long or short."""
        return max(self.worst(contract, Side.BUY), self.worst(contract, Side.SELL), Decimal(0))

    def unit_value(self, contract: Contract) -> Decimal:
        """What one of a contract is worth at most, in the account's currency: by the market, or by an order.

        Raises:
            NotKnown: neither says anything, or it is not money of the account's.
        """
        known = [self.mark(contract), *(each.price for each in self.of(contract))]
        prices = [price for price in known if price is not None]
        if not prices:
            raise NotKnown(f"the price of {contract.symbol}")
        return max(map(abs, prices)) * self.multiplier(contract)

    def mark(self, contract: Contract) -> Decimal | None:
        """The market's price of a contract: its quote's, or where there is none, its position's."""
        quoted = reference(self.quotes.get(contract.con_id))
        if quoted is not None:
            return quoted
        held = (p.market_price for p in self.positions if is_same(p.contract, contract))
        return next((price for price in held if price is not None), None)

    def multiplier(self, contract: Contract) -> Decimal:
        """What a price of the contract is multiplied with to be money of the account's. Raises `NotKnown`."""
        if not self.currency:
            raise NotKnown("the account's currency")
        if contract.currency != self.currency:
            raise NotKnown(
                f"what {contract.symbol} in {contract.currency} is worth in {self.currency} (limits in money "
                "are for contracts in the account's currency)"
            )
        if not contract.multiplier and contract.sec_type in _WITHOUT_MULTIPLIER:
            return Decimal(1)
        try:
            number = Decimal(contract.multiplier)
        except InvalidOperation:
            number = Decimal(0)
        is_usual = contract.sec_type in _WITHOUT_MULTIPLIER | _WITH_MULTIPLIER
        if not (is_usual and number.is_finite() and number > 0):
            raise NotKnown(f"the multiplier of {contract.symbol} ({contract.sec_type})")
        return number

    def gross_exposure(self) -> Decimal:
        """Every contract's largest holding, at its price. Raises `NotKnown`."""
        largest = ((contract, self.largest(contract)) for contract in self.contracts())
        return sum((size * self.unit_value(contract) for contract, size in largest if size), Decimal(0))

    def contracts(self) -> list[Contract]:
        """Every contract that is held or may be."""
        found: dict[tuple[int, str], Contract] = {}
        every = [*(each.contract for each in self.positions), *(each.contract for each in self.lines)]
        for contract in every:
            found.setdefault((contract.con_id, "" if contract.con_id else contract.symbol), contract)
        return list(found.values())


def just_filled(orders: Iterable[Order], now: datetime) -> list[Order]:
    """Orders that have filled of late, by their status; their fills may not have been told yet."""
    start = now - CROSSING
    return [o for o in orders if o.filled_quantity and o.commission is None and o.updated_at > start]


def untold(orders: Iterable[Order], fills: Iterable[Execution]) -> list[tuple[Order, Decimal]]:
    """How much of orders has filled by their status and by no fill yet, and is in no position therefore."""
    told: dict[str | None, Decimal] = {}
    for fill in fills:
        told[fill.order_id] = told.get(fill.order_id, Decimal(0)) + fill.quantity
    missing = [(order, order.filled_quantity - told.get(order.id, Decimal(0))) for order in orders]
    return [(order, quantity) for order, quantity in missing if quantity > 0]


def is_same(one: Contract, other: Contract) -> bool:
    """Do both mean one contract? What an earlier process has left unsettled has no con id yet."""
    if one.con_id and other.con_id:
        return one.con_id == other.con_id
    return (one.symbol, one.sec_type) == (other.symbol, other.sec_type)


def without_price(facts: Facts) -> Iterable[Contract]:
    """Contracts that count for the exposure and of whose price nothing is known yet."""
    for contract in facts.contracts():
        is_offered = any(each.price is not None for each in facts.of(contract))
        if contract.con_id and facts.mark(contract) is None and not is_offered:
            yield contract


def reference(quote: Quote | None) -> Decimal | None:
    """The price a quote stands for: the middle of bid and ask, else the last trade's. None of a stale one."""
    if quote is None or quote.stale:
        return None
    if quote.bid is not None and quote.ask is not None:
        return (exactly(quote.bid) + exactly(quote.ask)) / 2
    return None if quote.last is None else exactly(quote.last)


def far_side(quote: Quote | None, side: Side) -> Decimal | None:
    """What an order pays that takes from the market: the other side of the quote, else the last trade, else
    the close of the day before."""
    if quote is None or quote.stale:
        return None
    for price in (quote.ask if side is Side.BUY else quote.bid, quote.last, quote.close):
        if price is not None:
            return exactly(price)
    return None


def exactly(price: float) -> Decimal:
    """A measured price as the decimal that it was written as."""
    return Decimal(repr(price))
