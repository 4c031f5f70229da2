"""Letting orders pass: the facts are gathered, the limits are asked, and what passes is held.

An order that has passed counts as working from then on, before any book has it: of two orders that fit one by
one and not together, only one passes, whenever they come. What takes time (contracts, quotes) is asked first;
then the book is read, checked against and held as one step.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

from trademind.brokers.base import AGE_FOR_ORDERS, Broker
from trademind.clock import Clock
from trademind.domain import (
    Contract,
    ContractDetails,
    ContractQuery,
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    Quote,
    RiskLimits,
    TradingMode,
    TradingState,
)
from trademind.errors import RiskLimitExceeded, TradeMindError, Unavailable
from trademind.trading import limits as rules
from trademind.trading.exposure import Candidate, Facts, Line, just_filled, untold, without_price
from trademind.trading.hours import trades

MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds at the moment."""

    limits: RiskLimits
    state: TradingState

    @property
    def is_free(self) -> bool:
        """Does everything pass?"""
        return self.state.mode is TradingMode.NORMAL and not self.limits.any_set

    @property
    def need_positions(self) -> bool:
        return rules.needs_positions(self.limits, self.state)

    @property
    def need_contract(self) -> bool:
        limits = self.limits
        return (
            self.need_positions
            or limits.max_order_notional is not None
            or limits.price_collar is not None
            or limits.trading_hours is not None
            or limits.allowed_symbols is not None
            or bool(limits.denied_symbols)
        )

    @property
    def need_value(self) -> bool:
        """Is anything reckoned in money?"""
        limits = self.limits
        amounts = (limits.max_order_notional, limits.max_position_notional, limits.max_gross_exposure)
        return any(amount is not None for amount in amounts)

    def need_quote(self, order: Candidate) -> bool:
        limits = self.limits
        return (
            (limits.price_collar is not None and order.own_price is not None)
            or (limits.max_order_notional is not None and not order.is_capped)
            or limits.max_position_notional is not None
            or limits.max_gross_exposure is not None
        )


class Admission:
    """Orders that have passed, until they are in the broker's book or were not sent. A context manager: they
    are held inside its block."""

    def __init__(
        self,
        desk: "Admissions",
        lines: Sequence[tuple[str | None, Line]] = (),
        *,
        count: int = 0,
        shrinks: bool = False,
        is_cancel: bool = False,
    ) -> None:
        self._desk = desk
        self.limits = desk.limits
        """Those by which they have passed."""
        self.lines = tuple(lines)
        """What may fill, with the key of the order it is of."""
        self.count = count
        """How many new orders they are."""
        self.shrinks = shrinks
        self.is_cancel = is_cancel
        """It passes whatever the mode is."""
        self.is_confirmed = False

    def confirm(self) -> None:
        """Call it right before sending. The mode, or the limits, may have changed since they passed.

        Raises:
            TradingHalted, RiskLimitExceeded: nothing must be sent.
        """
        self._desk.confirm(self)

    def check(self) -> None:
        """Call it where sending takes a second step. Raises as `confirm`, and counts nothing again."""
        self._desk.check(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._desk.release(self)


class Admissions:
    """Everything that has passed and is on its way, and how much has passed of late.

    Args:
        clock: The time by which orders per minute are counted.
        market: The market's time, for trading hours.
        holding: What holds at the moment.
    """

    def __init__(self, broker: Broker, clock: Clock, market: Clock, holding: Callable[[], Rules]) -> None:
        self._broker = broker
        self._clock = clock
        self._market = market
        self._holding = holding
        self._held: dict[Admission, None] = {}
        self._recent: deque[datetime] = deque()
        self._one_at_a_time = asyncio.Lock()

    @property
    def limits(self) -> RiskLimits:
        """Those that hold."""
        return self._holding().limits

    async def admit(self, requests: Sequence[OrderRequest], exits: Sequence[OrderRequest]) -> Admission:
        """See `Risk.admit`."""
        while True:
            holding = self._holding()
            rules.check_halted(holding.state)
            every = (*requests, *exits)
            if holding.is_free:
                # Nothing is held: until a limit is set, nothing is counted against it.
                return self._hold(Admission(self, count=len(every)))
            orders = [Candidate.asked(each, await self._details(each.query, holding)) for each in every]
            queries = [each.query for each in every]
            quotes = await self._quotes(zip(orders, queries, strict=True), holding)
            async with self._one_at_a_time:
                facts = await self._facts(holding, quotes)
                if holding != self._holding():
                    continue  # other figures are needed than were asked for
                split = len(requests)
                shrinks = rules.check(
                    orders[:split], holding.limits, holding.state, facts, exits=orders[split:]
                )
                lines = [
                    (request.client_order_id, order.line(facts))
                    for request, order in zip(every, orders, strict=True)
                    if order.known is not None
                ]
                return self._hold(Admission(self, lines, count=len(every), shrinks=shrinks))

    async def admit_change(self, order: Order, change: OrderChange) -> Admission:
        """See `Risk.admit_change`."""
        while True:
            holding = self._holding()
            if order.status.is_done or _only_lowers(order, change):
                return Admission(self, is_cancel=True)
            rules.check_halted(holding.state)
            if holding.is_free:
                return Admission(self)
            contract, query = order.contract, _query(order.contract)
            changed = Candidate.changed(order, change, await self._details(query, holding))
            quotes = await self._quotes([(changed, query)], holding)
            async with self._one_at_a_time:
                facts = await self._facts(holding, quotes, without=order.id)
                if holding != self._holding():
                    continue
                shrinks = rules.check_change(changed, holding.limits, holding.state, facts)
                # The book has the order as it was until IB confirms the change.
                more = changed.quantity - order.remaining_quantity
                lines = [
                    (None, Line(contract=contract, side=order.side, quantity=more, price=changed.own_price))
                ]
                return self._hold(Admission(self, lines if more > 0 else (), shrinks=shrinks))

    def _hold(self, admission: Admission) -> Admission:
        self._held[admission] = None
        return admission

    def release(self, admission: Admission) -> None:
        self._held.pop(admission, None)

    def confirm(self, admission: Admission) -> None:
        """See `Admission.confirm`."""
        if admission.is_cancel:
            return
        self.check(admission)
        admission.is_confirmed = True
        self.recent()  # so that no more is kept than of one minute
        self._recent.extend([self._clock.now()] * admission.count)

    def check(self, admission: Admission) -> None:
        """See `Admission.check`."""
        if admission.is_cancel:
            return
        state = self._holding().state
        rules.check_halted(state)
        if admission.limits != self.limits:
            raise RiskLimitExceeded(
                "the limits have changed while the order was on its way. Nothing was sent; ask again",
                limit="changed",
                allowed=None,
                would_be=None,
            )
        if state.mode is TradingMode.REDUCING and not admission.shrinks:
            raise RiskLimitExceeded(
                "only orders that shrink a position are taken since a moment ago. Nothing was sent",
                limit="mode",
                allowed=state.mode,
                would_be=None,
            )

    def recent(self) -> int:
        """How many orders have passed in the last minute, or are about to."""
        start = self._clock.now() - MINUTE
        while self._recent and self._recent[0] <= start:
            self._recent.popleft()
        return len(self._recent) + sum(each.count for each in self._held if not each.is_confirmed)

    # Facts -------------------------------------------------------------------------------------

    async def _details(self, query: ContractQuery, holding: Rules) -> ContractDetails | None:
        if not holding.need_contract:
            return None
        details = await self._broker.qualify(query, max_age=AGE_FOR_ORDERS)
        wanted = holding.limits.trading_hours
        if wanted is not None and trades(details, wanted, self._market.now()) is None:
            # What the broker remembers tells of the days after it was asked, and those may be over.
            return await self._broker.qualify(query, fresh=True)
        return details

    async def _quotes(
        self, orders: Iterable[tuple[Candidate, ContractQuery]], holding: Rules
    ) -> dict[int, Quote]:
        """Quotes of what is ordered, and of what counts for the exposure and has no price yet."""
        wanted = {order.contract.con_id: query for order, query in orders if holding.need_quote(order)}
        if holding.limits.max_gross_exposure is not None:
            for contract in without_price(await self._facts(holding, {})):
                wanted.setdefault(contract.con_id, _query(contract))
        asked = await asyncio.gather(*map(self._quote, wanted.values()))
        return {con_id: quote for con_id, quote in zip(wanted, asked, strict=True) if quote is not None}

    async def _quote(self, query: ContractQuery) -> Quote | None:
        try:
            return await self._broker.get_quote(query)
        except Unavailable:
            raise
        except TradeMindError:
            return None  # a limit that needs it says that there is none

    async def _facts(self, holding: Rules, quotes: dict[int, Quote], *, without: str | None = None) -> Facts:
        """How things stand, as far as the limits need it. `without` is an order that does not count."""
        limits = holding.limits
        lines, open_orders = await self._working(holding, without)
        currency, daily_pnl = "", None
        if holding.need_value:
            account = await self._broker.get_account()
            currency = account.currency
        if limits.max_daily_loss is not None:
            pnl = await self._broker.get_pnl()
            daily_pnl = None if pnl.stale else pnl.daily_pnl
        recent = self.recent()
        free_at = self._recent[0] + MINUTE if self._recent else None
        return Facts(
            now=self._market.now(),
            currency=currency,
            positions=await self._broker.get_positions() if holding.need_positions else (),
            lines=tuple(lines),
            quotes=quotes,
            daily_pnl=daily_pnl,
            open_orders=open_orders,
            recent_orders=recent,
            free_in=(free_at - self._clock.now()).total_seconds() if free_at else None,
        )

    async def _working(self, holding: Rules, without: str | None) -> tuple[list[Line], int]:
        """What is working, and how many orders that is."""
        if not holding.need_positions and holding.limits.max_open_orders is None:
            return [], 0
        orders = await self._broker.get_orders()
        working = [order for order in orders if not order.status.is_done and order.id != without]
        # One of the same key that IB never got is not the one that is on its way.
        there = {order.client_order_id for order in orders if order.status is not OrderStatus.NEVER_SENT}
        coming = [line for each in self._held for key, line in each.lines if key is None or key not in there]
        new = sum(key is not None and key not in there for each in self._held for key, _ in each.lines)
        return [*map(Line.of, working), *coming, *await self._unseen(orders)], len(working) + new

    async def _unseen(self, orders: Iterable[Order]) -> list[Line]:
        """What has filled by an order's status, and is in no position yet: IB tells of the fill itself in
        another message, and either may come first."""
        fresh = just_filled(orders, self._clock.now())
        fills = await self._broker.get_executions() if fresh else ()
        return [
            Line(contract=order.contract, side=order.side, quantity=quantity, price=order.avg_fill_price)
            for order, quantity in untold(fresh, fills)
        ]

    async def facts(self) -> Facts:
        """How things stand, for whoever looks at them; nothing is asked of the market."""
        return await self._facts(Rules(_EVERYTHING, self._holding().state), {})


_EVERYTHING: Final = RiskLimits(max_gross_exposure=Decimal(1), max_daily_loss=Decimal(1))
"""Limits that need every figure."""


def _query(contract: Contract) -> ContractQuery:
    """The contract, as the broker is asked for it."""
    return ContractQuery(
        symbol=contract.symbol,
        con_id=contract.con_id or None,
        sec_type=contract.sec_type,
        exchange=contract.exchange,
        currency=contract.currency,
    )


def _only_lowers(order: Order, change: OrderChange) -> bool:
    """Is the change a cancel of a part, and nothing else?"""
    quantity = change.quantity
    return quantity is not None and quantity <= order.quantity and change == OrderChange(quantity=quantity)
