"""Order entry: an order is written down before the wire sees anything of it, and sent once.

The key is the caller's name for the order, and belongs to what it was first used for, for ever. Whoever asks
again with the same key, whatever happened in between, a restart included, gets the order that it made; only
one that IB never got is placed when it is asked for again. Nothing is ever placed again by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import uuid4

from trademind.brokers.base import Broker
from trademind.clock import Clock
from trademind.domain import Order, OrderRequest, OrderStatus
from trademind.errors import DuplicateOrder, OrderNotFound, TradeMindError, Unavailable
from trademind.journal import Intent, Journal, OrderChanged, StoredEvent


@dataclass(frozen=True, slots=True)
class Placed:
    """An order that was asked for."""

    order: Order
    is_new: bool
    """False where its key had made it before."""


class OrderEntry:
    """The desk that takes orders.

    Args:
        pending: What an earlier process has left without telling what became of it (see `earlier`).
    """

    def __init__(self, broker: Broker, journal: Journal, clock: Clock, pending: Iterable[Order] = ()) -> None:
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._pending = {order.id: order for order in pending}

    async def place(self, request: OrderRequest, *, origin: str) -> Placed:
        """Place an order, or find the one that its key has made.

        Raises:
            JournalUnavailable: the journal does not take it; nothing was sent.
            DuplicateOrder: the key belongs to other terms.
            TradeMindError: as `Broker.place_order`.
        """
        key = request.client_order_id or f"tm-{uuid4().hex[:24]}"
        request = replace(request, client_order_id=key)
        intent = Intent.to_place(
            request,
            key=key,
            account_id=request.account_id or self._broker.session.account_id or "",
            accepted_at=self._clock.now(),
            origin=origin,
        )
        await self._refuse_early(key)
        earlier = await self._journal.accept(intent)
        if earlier is not None:
            if earlier.fingerprint != intent.fingerprint:
                raise DuplicateOrder(
                    f"client_order_id {key} belongs to an order with other terms; give a new order a new one"
                )
            known = await self._known(key)
            if known is not None and known.status is not OrderStatus.NEVER_SENT:
                return Placed(known, is_new=False)
            if known is not None:
                await self._begin_anew(known)
        return Placed(await self._broker.place_order(request), is_new=True)

    async def _refuse_early(self, key: str) -> None:
        """Write nothing down of a new order that cannot be sent anyway, as while the gateway is away."""
        try:
            self._broker.check_taking_orders()
        except TradeMindError:
            if await self._journal.reading.intent(key) is None:
                raise

    async def _begin_anew(self, known: Order) -> None:
        """An order that was never sent is about to be: were this process to die now, that must no longer be
        believed of it."""
        begun = replace(known, status=OrderStatus.PENDING_SUBMIT, ib_order_id=None, reason=None)
        self._journal.note(OrderChanged("new", replace(begun, updated_at=self._clock.now())))
        await self._journal.flushed()

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
