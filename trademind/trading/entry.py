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
from trademind.domain import Order, OrderChange, OrderRequest, OrderStatus
from trademind.errors import DuplicateOrder, OrderNotFound, TradeMindError, Unavailable
from trademind.journal import Intent, Journal, OrderChanged, StoredEvent
from trademind.trading.risk import Risk


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

    def __init__(
        self, broker: Broker, journal: Journal, risk: Risk, clock: Clock, pending: Iterable[Order] = ()
    ) -> None:
        self._broker = broker
        self._journal = journal
        self._risk = risk
        self._clock = clock
        self._pending = {order.id: order for order in pending}

    async def place(self, request: OrderRequest, *, origin: str) -> Placed:
        """Place an order, or find the one that its key has made.

        Raises:
            TradingHalted, RiskLimitExceeded: the risk desk does not let it pass; nothing was sent.
            StateNotKept: the journal does not take it; nothing was sent.
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
        try:
            self._broker.check_taking_orders()
            admission = await self._risk.admit(request)
        except TradeMindError:
            # Nothing is written down of what cannot be sent; but the key may have made its order before.
            earlier = await self._journal.reading.intent(key)
            if earlier is None or (made := await self._made_by(intent, earlier)) is None:
                raise
            return Placed(made, is_new=False)
        with admission:
            if (earlier := await self._journal.accept(intent)) is not None:
                if (made := await self._made_by(intent, earlier)) is not None:
                    return Placed(made, is_new=False)
                await self._begin_anew(key)
            # What else may take its time comes before the last look at the mode: from here it is only sent.
            await self._broker.qualify(request.query)
            admission.confirm()
            return Placed(await self._broker.place_order(request), is_new=True)

    async def change(self, order_id: str, change: OrderChange) -> Order:
        """Change a working order. Raises as `place`, and as `Broker.modify_order`."""
        order = await self._broker.get_order(order_id)
        self._broker.check_taking_orders()
        with await self._risk.admit_change(order, change) as admission:
            admission.confirm()
            return await self._broker.modify_order(order_id, change)

    async def _made_by(self, intent: Intent, earlier: Intent) -> Order | None:
        """The order that the key of an earlier intent has made; None where IB never got one.

        Raises:
            DuplicateOrder: the key belongs to other terms.
        """
        if earlier.fingerprint != intent.fingerprint:
            raise DuplicateOrder(
                f"client_order_id {intent.client_order_id} belongs to an order with other terms; give a new "
                "order a new one"
            )
        known = await self._known(intent.client_order_id)
        return None if known is None or known.status is OrderStatus.NEVER_SENT else known

    async def _begin_anew(self, key: str) -> None:
        """An order that was never sent is about to be: were this process to die now, that must no longer be
        believed of it."""
        if (known := await self._known(key)) is None:
            return
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
