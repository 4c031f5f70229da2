"""Signals as orders: by one explicit call, or by themselves where the watch list says so.

The order's key is the signal's id, so a signal makes one order, however often it is asked for and whatever
happened in between. All of it goes through order entry and its risk limits.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from trademind.analysis.ledger import Ledger
from trademind.brokers.base import AGE_FOR_ORDERS, Broker
from trademind.clock import Clock
from trademind.domain import (
    ContractQuery,
    DataSource,
    Order,
    OrderGroup,
    OrderRequest,
    OrderType,
    Side,
    StopLoss,
    Target,
    TimeInForce,
    TrackedSignal,
    bracket,
)
from trademind.domain.signals import Action
from trademind.errors import Invalid, SignalOver, TradeMindError
from trademind.journal import Journal
from trademind.trading.audit import Caller
from trademind.trading.entry import OrderEntry, Placed
from trademind.trading.targets import Targets

log = logging.getLogger(__name__)

_SIDES: Final = {Action.BUY: Side.BUY, Action.SELL: Side.SELL}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for beside the signal."""

    quantity: Decimal | None = None
    """The signal's own, unless given."""
    limit_price: Decimal | None = None
    """At the market, unless given."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of a signal."""

    tracked: TrackedSignal
    orders: tuple[Order, ...]
    """None where there was nothing to close."""
    is_new: bool


class SignalOrders:
    """Makes orders of signals.

    Args:
        market: The time by which signals expire.
        live: Whether orders may be made by themselves in a live account.
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        ledger: Ledger,
        entry: OrderEntry,
        targets: Targets,
        market: Clock,
        *,
        live: bool,
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._ledger = ledger
        self._entry = entry
        self._targets = targets
        self._market = market
        self._live = live

    async def order(self, signal_id: str, wanted: Wanted, *, by: Caller) -> Made:
        """Place what a signal says: an entry with its stop and target, or what closes the position.

        Raises:
            SignalNotFound: there is no such signal.
            SignalOver: it has expired, was superseded, or has come to its stop or target.
            Invalid: it has no quantity of its own, and none was given.
            TradeMindError: as `OrderEntry.place` and `Targets.reach`.
        """
        tracked = await self._ledger.get(signal_id)
        earlier = await self._journal.reading.intent(tracked.id)
        if tracked.signal.action is Action.CLOSE:
            if earlier is None:
                self._check_open(tracked)
            return await self._close(tracked, by)
        if earlier is not None and wanted == Wanted():
            asked = earlier.asked
        else:
            if earlier is None:
                self._check_open(tracked)
            asked = await self._request(tracked, wanted)
        if isinstance(asked, OrderGroup):
            placed = await self._entry.place_group(asked, by=by)
        else:
            placed = await self._entry.place(asked, by=by)
        return await self._made(tracked, placed)

    def is_automatic(self) -> bool:
        """Whether orders may be made by themselves in the account there is."""
        source = self._broker.session.source
        return source in (DataSource.PAPER, DataSource.IB_PAPER) or (
            source is DataSource.IB_LIVE and self._live
        )

    async def automatically(self, tracked: TrackedSignal) -> Made | None:
        """Place what a signal says, so that the position is then what it says; None where nothing was done.

        Where the position is on the signal's side already nothing is done, and one on the other side is
        closed first. What is refused is logged, and not tried again.
        """
        signal = tracked.signal
        if not self.is_automatic() or tracked.order_key is not None or tracked.outcome.is_over:
            return None
        by = Caller("automatic execution", f"strategy {signal.strategy}")
        try:
            if signal.action is not Action.CLOSE:
                held = await self._held(signal.con_id)
                side = _SIDES[signal.action]
                if held * side.sign > 0 or not tracked.quantity:
                    log.info("signal %s makes no order: %s are held", tracked.id, held)
                    return None
                if held:
                    key = f"{tracked.id}:close"
                    target = Target.of(0, con_id=signal.con_id, client_order_id=key)
                    await self._targets.reach(target, cancel_working=True, by=by)
            return await self.order(tracked.id, Wanted(), by=by)
        except TradeMindError as error:
            log.warning("no order was made of signal %s: %s", tracked.id, error.detail)
            return None

    # What is placed ------------------------------------------------------------------------------

    def _check_open(self, tracked: TrackedSignal) -> None:
        expires_at = tracked.signal.expires_at
        if tracked.outcome.is_over:
            raise SignalOver(f"signal {tracked.id} is over: {tracked.outcome}")
        if expires_at is not None and expires_at <= self._market.now():
            raise SignalOver(f"signal {tracked.id} has expired at {expires_at:%F %H:%M} UTC")

    async def _request(self, tracked: TrackedSignal, wanted: Wanted) -> OrderRequest | OrderGroup:
        signal = tracked.signal
        quantity = tracked.quantity if wanted.quantity is None else wanted.quantity
        if not quantity:
            raise Invalid([("quantity", "say how much: by the risk of a trade it is none, or not known")])
        query = ContractQuery(con_id=signal.con_id)
        tick = (await self._broker.qualify(query, max_age=AGE_FOR_ORDERS)).min_tick
        entry = OrderRequest(
            side=_SIDES[signal.action],
            quantity=quantity,
            con_id=signal.con_id,
            order_type=OrderType.MARKET if wanted.limit_price is None else OrderType.LIMIT,
            limit_price=wanted.limit_price,
            client_order_id=tracked.id,
        )
        if signal.stop is None and signal.target is None:
            return entry
        return bracket(
            entry,
            take_profit=None if signal.target is None else _to_tick(signal.target, tick),
            stop_loss=None if signal.stop is None else StopLoss(stop_price=_to_tick(signal.stop, tick)),
            # The position is there longer than a day, and so must be what protects it.
            exit_tif=TimeInForce.GTC,
        )

    async def _close(self, tracked: TrackedSignal, by: Caller) -> Made:
        target = Target.of(0, con_id=tracked.signal.con_id, client_order_id=tracked.id)
        reached = await self._targets.reach(target, cancel_working=True, by=by)
        if reached.placed is None:
            return Made(tracked, (), is_new=False)
        return await self._made(tracked, reached.placed)

    async def _made(self, tracked: TrackedSignal, placed: Placed) -> Made:
        tracked = await self._ledger.ordered(tracked.id, placed.order.client_order_id)
        return Made(tracked, placed.orders, placed.is_new)

    async def _held(self, con_id: int | None) -> Decimal:
        held: Sequence[Decimal] = [
            position.quantity
            for position in await self._broker.get_positions()
            if position.contract.con_id == con_id
        ]
        return sum(held, Decimal(0))


def _to_tick(price: float, tick: Decimal) -> Decimal:
    """The price that can be traded which is nearest to a measured one."""
    return (Decimal(repr(price)) / tick).to_integral_value(ROUND_HALF_EVEN) * tick
