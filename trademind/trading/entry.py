"""Order entry: an order is written down before the wire sees anything of it, and sent once.

The key is the caller's name for the order, and belongs to what it was first used for, for ever. Whoever asks
again with the same key, whatever happened in between, a restart included, gets the order that it made; only
one that IB never got is placed when it is asked for again. Nothing is ever placed again by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trademind.aio import KeyedLocks
from trademind.brokers.base import Broker
from trademind.clock import Clock
from trademind.domain import (
    Order,
    OrderChange,
    OrderClass,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    OrderStatus,
)
from trademind.domain.orders import new_key
from trademind.errors import DuplicateOrder, OrderNotFound, TradeMindError, Unavailable
from trademind.journal import Intent, Journal, OrderChanged, StoredEvent
from trademind.journal.records import ORDER_CHANGE
from trademind.trading.admission import Admission
from trademind.trading.audit import Auditor, Caller
from trademind.trading.risk import Risk


@dataclass(frozen=True, slots=True)
class Placed:
    """What was asked for: one order, or all of a group."""

    orders: tuple[Order, ...]
    is_new: bool
    """False where its key had made it before."""

    @property
    def order(self) -> Order:
        """The order, or the first of the group."""
        return self.orders[0]


class OrderEntry:
    """The desk that takes orders.

    Args:
        pending: What an earlier process has left without telling what became of it (see `earlier`).
    """

    def __init__(
        self,
        broker: Broker,
        journal: Journal,
        risk: Risk,
        clock: Clock,
        pending: Iterable[Order] = (),
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._risk = risk
        self._clock = clock
        self._audit = Auditor(journal)
        self._pending = {order.id: order for order in pending}
        self._keys = KeyedLocks()

    # Placing -----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest, *, by: Caller) -> Placed:
        """Place an order, or find the one that its key has made.

        Raises:
            TradingHalted, RiskLimitExceeded: the risk desk does not let it pass; nothing was sent.
            JournalUnavailable: the journal does not take it; nothing was sent.
            DuplicateOrder: the key belongs to other terms.
            TradeMindError: as `Broker.place_order`.
        """
        return await self._once(replace(request, client_order_id=request.client_order_id or new_key()), by)

    async def place_group(self, group: OrderGroup, *, by: Caller) -> Placed:
        """Place a group, all of it or nothing, or find the one that its key has made. Raises as `place`."""
        return await self._once(group.with_key(group.client_order_id or new_key()), by)

    async def preview(self, request: OrderRequest) -> OrderPreview:
        """See `Broker.preview_order`."""
        return await self._broker.preview_order(request)

    async def _once(self, asked: OrderRequest | OrderGroup, by: Caller) -> Placed:
        intent = Intent.to_place(
            asked,
            account_id=asked.account_id or self._broker.session.account_id or "",
            accepted_at=self._clock.now(),
            origin=by.origin,
        )
        key = intent.client_order_id
        with self._audit.command(by, "place_order", key, intent.body):
            # Whoever asks with the same key at the same time waits, and then finds what the first has made.
            async with self._keys.holding(key):
                return await self._place(asked, intent)

    async def _place(self, asked: OrderRequest | OrderGroup, intent: Intent) -> Placed:
        try:
            self._broker.check_taking_orders()
            for request in asked.requests:
                await self._broker.check_order(request)
            admission = await self._admit(asked)
        except TradeMindError:
            # Nothing is written down of what cannot be sent; but the key may have made its order before.
            earlier = await self._journal.reading.intent(intent.client_order_id)
            if earlier is None or not (made := await self._made_by(asked, intent, earlier)):
                raise
            return Placed(made, is_new=False)
        with admission:
            if (earlier := await self._journal.accept(intent)) is not None:
                if made := await self._made_by(asked, intent, earlier):
                    return Placed(made, is_new=False)
                await self._begin_anew(asked.keys)
            admission.confirm()
            if isinstance(asked, OrderGroup):
                return Placed(await self._broker.place_group(asked), is_new=True)
            return Placed((await self._broker.place_order(asked),), is_new=True)

    async def _admit(self, asked: OrderRequest | OrderGroup) -> Admission:
        """Have the risk desk let it pass. Of a one-cancels-all group it takes every order to fill."""
        if isinstance(asked, OrderRequest):
            return await self._risk.admit(asked)
        if asked.order_class is OrderClass.BRACKET:
            return await self._risk.admit(asked.legs[0], exits=asked.legs[1:])
        return await self._risk.admit(asked.legs)

    async def _made_by(
        self, asked: OrderRequest | OrderGroup, intent: Intent, earlier: Intent
    ) -> tuple[Order, ...]:
        """The orders that the key of an earlier intent has made; none where IB never got one.

        Raises:
            DuplicateOrder: the key belongs to other terms.
        """
        if earlier.fingerprint != intent.fingerprint:
            raise DuplicateOrder(
                f"client_order_id {intent.client_order_id} belongs to an order with other terms; give a new "
                "order a new one"
            )
        found = [await self._known(key) for key in asked.keys]
        known = tuple(order for order in found if order is not None)
        return known if any(order.status is not OrderStatus.NEVER_SENT for order in known) else ()

    async def _begin_anew(self, keys: Iterable[str]) -> None:
        """What was never sent is about to be: were this process to die now, that must no longer be believed
        of it."""
        for key in keys:
            if (order := await self._known(key)) is not None:
                begun = replace(order, status=OrderStatus.PENDING_SUBMIT, ib_order_id=None, reason=None)
                self._journal.note(OrderChanged("new", replace(begun, updated_at=self._clock.now())))
        await self._journal.flushed()

    # Changing ----------------------------------------------------------------------------------

    async def modify(self, order_id: str, change: OrderChange, *, by: Caller) -> Order:
        """Change a working order. Raises as `place`, and as `Broker.modify_order`."""
        with self._audit.command(by, "modify_order", order_id, ORDER_CHANGE.dump(change)):
            order = await self._broker.get_order(order_id)
            self._broker.check_taking_orders()
            with await self._risk.admit_change(order, change) as admission:
                admission.confirm()
                return await self._broker.modify_order(order_id, change)

    async def cancel(self, order_id: str, *, by: Caller) -> Order:
        """See `Broker.cancel_order`."""
        with self._audit.command(by, "cancel_order", order_id):
            return await self._broker.cancel_order(order_id)

    async def cancel_all(self, *, by: Caller) -> tuple[Order, ...]:
        """See `Broker.cancel_all_orders`."""
        with self._audit.command(by, "cancel_all_orders"):
            return await self._broker.cancel_all_orders()

    async def cancel_everything(self, *, by: Caller) -> tuple[Order, ...]:
        """IB's global cancel: see `Broker.cancel_everything`. Returns the orders that were working."""
        with self._audit.command(by, "cancel_everything"):
            working = await self._broker.get_orders(working=True)
            await self._broker.cancel_everything()
            return working

    async def reconcile(self, *, by: Caller) -> tuple[Order, ...]:
        """Have IB list all orders and fills now; returns the orders. Raises as `Broker.reconcile`."""
        with self._audit.command(by, "reconcile"):
            await self._broker.reconcile()
            return await self._broker.get_orders()

    async def reconnect(self, *, by: Caller) -> None:
        """See `Broker.reconnect`."""
        with self._audit.command(by, "reconnect"):
            await self._broker.reconnect()

    # Looking -----------------------------------------------------------------------------------

    async def find(self, order_id: str) -> Order:
        """One order, of today or of any day before. Raises `OrderNotFound`."""
        if (known := await self._known(order_id)) is None:
            raise OrderNotFound(f"there is no order {order_id}")
        return known

    async def events(self, order_id: str) -> tuple[StoredEvent, ...]:
        """What has happened to an order, oldest first. Raises `OrderNotFound`."""
        await self.find(order_id)
        return await self._journal.reading.order_events(order_id)

    async def _known(self, order_id: str) -> Order | None:
        reading = self._journal.reading
        try:
            return await self._broker.get_order(order_id)
        except OrderNotFound:
            return await reading.order(order_id)
        except Unavailable:
            # Nobody knows more than the journal until IB's lists are in.
            known = await reading.order(order_id) or self._pending.get(order_id)
            if known is None:
                raise
            is_open = known.perm_id is None and not known.status.is_done
            return replace(known, status=OrderStatus.UNKNOWN) if is_open else known
