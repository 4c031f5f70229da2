"""Target positions: what it takes to get there, once, however often it is asked for."""

import asyncio
from dataclasses import dataclass
from typing import Final

from trademind.aio import KeyedLocks
from trademind.brokers.base import AGE_FOR_ORDERS, Broker
from trademind.clock import Clock
from trademind.domain import Order, OrderRequest, OrderStatus, Standing, Target
from trademind.errors import Conflict, DuplicateOrder, OrderNotFound, TradeMindError
from trademind.journal import Intent, Journal
from trademind.trading.audit import Auditor, Caller
from trademind.trading.entry import OrderEntry, Placed
from trademind.trading.exposure import CROSSING, just_filled, untold

CANCELLED_WITHIN: Final = 5.0
"""Seconds in which orders that were asked to be cancelled have to be gone."""
LOOK: Final = 0.02
"""Seconds between two looks at them."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How things stood, and the order that was placed; None where nothing was missing."""

    target: Target
    standing: Standing
    placed: Placed | None


class Targets:
    """Places what is missing to a position. One at a time for each instrument: two who ask for the same
    position at the same time get it once.

    Args:
        clock: The broker's.
    """

    def __init__(self, broker: Broker, journal: Journal, entry: OrderEntry, clock: Clock) -> None:
        self._broker = broker
        self._journal = journal
        self._entry = entry
        self._clock = clock
        self._audit = Auditor(journal)
        self._locks = KeyedLocks()

    async def reach(self, target: Target, *, cancel_working: bool = False, by: Caller) -> Reached:
        """Bring the position of an instrument to the target.

        What is held, and what working market and limit orders will make of it, counts; stops, and orders of
        which one cancels another, do not. With a key, what it has placed once is given back as it stands.

        Args:
            cancel_working: Cancel this server's working orders in the instrument first, of whatever kind, and
                wait until they are gone.

        Raises:
            Conflict: an order of unknown outcome, one that leads beyond the target, or one that has filled
                and of whose fill IB has not told.
            TradeMindError: as `OrderEntry.place`.
        """
        with self._audit.command(
            by,
            "reach_target",
            target.terms.client_order_id,
            {
                "symbol": target.terms.symbol,
                "con_id": target.terms.con_id,
                "target_quantity": str(target.quantity),
            },
        ):
            return await self._reach(target, cancel_working, by)

    async def _reach(self, target: Target, cancel_working: bool, by: Caller) -> Reached:
        self._broker.check_taking_orders()
        contract = (await self._broker.qualify(target.terms.query, max_age=AGE_FOR_ORDERS)).contract
        async with self._locks.holding(str(contract.con_id)):
            key = target.terms.client_order_id
            if key is not None and (earlier := await self._journal.reading.intent(key)) is not None:
                return await self._again(target, key, earlier)
            if cancel_working:
                await self._cancel_working(contract.con_id, by)
            await self._see_fills(contract.con_id)
            standing = await self._standing(target)
            request = target.order_from(standing)
            placed = None if request is None else await self._entry.place(request, by=by)
            return Reached(target, standing, placed)

    async def _again(self, target: Target, key: str, earlier: Intent) -> Reached:
        """The key has placed something before: that is what it stands for.

        What was missing then may not be what is missing now, so an order that was never sent is not placed
        after all.
        """
        asked = earlier.asked
        if not isinstance(asked, OrderRequest) or not target.could_have_asked(asked):
            raise DuplicateOrder(
                f"client_order_id {key} belongs to something else; give a new target a new one"
            )
        try:
            order = await self._entry.find(key)
        except OrderNotFound:
            order = None
        if order is None or order.status is OrderStatus.NEVER_SENT:
            raise Conflict(f"order {key} was never sent; ask for the target with a new client_order_id")
        return Reached(target, await self._standing(target), Placed((order,), is_new=False))

    async def _standing(self, target: Target) -> Standing:
        contract = (await self._broker.qualify(target.terms.query, max_age=AGE_FOR_ORDERS)).contract
        return Standing.of(
            contract, await self._broker.get_positions(), await self._broker.get_orders(working=True)
        )

    async def _see_fills(self, con_id: int) -> None:
        """Wait until what orders have filled is in the position. IB tells of a fill in two messages, the
        order's status and the fill itself; between them it is neither working nor held. Raises `Conflict`."""
        orders = [o for o in await self._broker.get_orders() if o.contract.con_id == con_id]
        if not (fresh := just_filled(orders, self._clock.now())):
            return
        until = asyncio.get_running_loop().time() + CROSSING.total_seconds()
        while missing := untold(fresh, await self._broker.get_executions()):
            if asyncio.get_running_loop().time() > until:
                order, quantity = missing[0]
                raise Conflict(
                    f"order {order.id} has filled, and IB has not told of the fill of {quantity} yet; ask "
                    "again in a moment. Nothing was placed",
                    extra={"orders": [order.id]},
                )
            await asyncio.sleep(LOOK)

    async def _cancel_working(self, con_id: int, by: Caller) -> None:
        for order in await self._working(con_id):
            try:
                await self._entry.cancel(order.id, by=by)
            except TradeMindError:
                if not (await self._entry.find(order.id)).status.is_done:
                    raise
        until = asyncio.get_running_loop().time() + CANCELLED_WITHIN
        while working := await self._working(con_id):
            if asyncio.get_running_loop().time() > until:
                raise Conflict(
                    f"order {working[0].id} was asked to be cancelled and is {working[0].status}; nothing "
                    "was placed",
                    extra={"orders": [order.id for order in working]},
                )
            await asyncio.sleep(LOOK)

    async def _working(self, con_id: int) -> list[Order]:
        orders = await self._broker.get_orders(working=True)
        return [order for order in orders if order.contract.con_id == con_id and not order.external]
