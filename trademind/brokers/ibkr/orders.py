"""Orders: placing, changing and cancelling them, each until IB has said what it made of it.

A command is sent once and never again on a guess: without an answer by the deadline its outcome is
unknown, and says so. The caller going away does not interrupt a command that is under way.
"""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import ib_async

from trademind.aio import Tasks
from trademind.brokers.book import Book
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.contracts import Contracts
from trademind.brokers.ibkr.order_terms import check_change, has_terms, same_terms
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.placing import Placing
from trademind.brokers.ibkr.requests import UNLISTED_CODE_GRACE
from trademind.brokers.ibkr.session import Session
from trademind.brokers.ibkr.waiting import CANCEL_REFUSES, Waiter, Waiters
from trademind.clock import Clock
from trademind.domain import (
    ContractQuery,
    Order,
    OrderChange,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    OrderStatus,
    OrderType,
)
from trademind.domain.orders import new_key
from trademind.errors import (
    CancelRejected,
    Conflict,
    DuplicateOrder,
    NoAnswer,
    OrderNotFound,
    OrderNotWorking,
    OrderRejected,
    TradeMindError,
)

_ASKED_LIMIT = 10_000
"""Requests kept for comparing with later ones of the same key; older ones go by the order's present terms."""

_REFUSES_CHANGE = frozenset({Severity.REJECTED, Severity.FAILURE, Severity.UNLISTED})
_SETTLED_BY_SIGNS = frozenset({Severity.FAILURE, Severity.SESSION, Severity.UNLISTED})
"""What says nothing certain of an order: it is refused unless a sign of life follows."""
_CANCEL_ANSWERED = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED, OrderStatus.FILLED})


Asked = OrderRequest | OrderGroup
Placed = Coroutine[Any, Any, tuple[Order, ...]]


class Orders:
    """The order desk.

    Args:
        session: Gives a session that is ready, or raises what there is to say instead.
        session_for_orders: The same, and it was heard of late: a new order is not entrusted to a gateway that
            may be dead, while a cancel does no harm there.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        session_for_orders: Callable[[], Session],
        book: Book,
        contracts: Contracts,
        clock: Clock,
        own_client_id: int,
    ) -> None:
        self._session = session
        self._session_for_orders = session_for_orders
        self._book = book
        self._contracts = contracts
        self._own_client_id = own_client_id
        self._waiters = Waiters()
        self._new = Placing(session_for_orders, book, contracts, clock, own_client_id, self._waiters)
        self._placing: dict[str, asyncio.Task[tuple[Order, ...]]] = {}
        self._asked: dict[str, Asked] = {}
        """What each key was first used for, as a modified order no longer shows it."""
        self._changing: dict[str, asyncio.Lock] = {}
        self._tasks = Tasks()
        book.watch_orders(self._waiters.on_order)

    # Placing -----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Order:
        """See `Broker.place_order`."""
        request = replace(request, client_order_id=request.client_order_id or new_key())
        keys = (str(request.client_order_id),)
        return (await self._once(request, keys, lambda: self._new.place(request)))[0]

    async def place_group(
        self, group: OrderGroup, *, before_release: Callable[[], None] | None = None
    ) -> tuple[Order, ...]:
        """See `Broker.place_group`."""
        group = group.with_key(group.client_order_id or new_key())
        return await self._once(group, group.keys, lambda: self._new.place_group(group, before_release))

    async def check(self, request: OrderRequest) -> None:
        """See `Broker.check_order`."""
        await self._new.check(request)

    async def preview(self, request: OrderRequest) -> OrderPreview:
        """See `Broker.preview_order`."""
        return await self._new.preview(request)

    async def _once(
        self, asked: Asked, keys: tuple[str, ...], place: Callable[[], Placed]
    ) -> tuple[Order, ...]:
        """Place what is asked for under these keys, or give back the orders they have made, if it was that.

        Raises:
            DuplicateOrder: one of the keys belongs to something else.
        """
        key, task = keys[0], self._placing.get(keys[0])
        found = [self._book.order(each) for each in keys]
        # What IB has never had leaves its key free.
        known = [order for order in found if order and order.status is not OrderStatus.NEVER_SENT]
        if task is not None or known:
            first = self._asked.get(key)
            is_same = isinstance(asked, OrderRequest) and known and same_terms(known[0], asked)
            if not (first == asked if first else is_same):
                raise DuplicateOrder(
                    f"client_order_id {key} belongs to an order with other terms; give a new order a new one"
                )
        if task is None:
            for order in known:
                if order.client_id != self._own_client_id:
                    raise DuplicateOrder(
                        f"IB lists an order with the reference {order.id} and does not say whose it is; give "
                        "a new order a new client_order_id"
                    )
            if known:
                return tuple(known)
            self._new.check_taking()
            self._asked[key] = asked
            if len(self._asked) > _ASKED_LIMIT:
                del self._asked[next(iter(self._asked))]
            task = self._placing[key] = self._tasks.spawn(
                place(), name=f"place {key}", expected=TradeMindError
            )
            task.add_done_callback(lambda _: self._placed(key))
        return await asyncio.shield(task)

    def _placed(self, key: str) -> None:
        del self._placing[key]
        order = self._book.order(key)
        if order is None or order.status is OrderStatus.NEVER_SENT:  # the key is free again
            self._asked.pop(key, None)

    def stop_taking(self) -> None:
        """Refuse new orders and changes from now on; cancels still pass."""
        self._new.is_draining = True

    def check_taking(self) -> None:
        """See `Broker.check_taking_orders`."""
        self._new.check_taking()
        self._new.check_session()

    # Changing ----------------------------------------------------------------------------------

    async def modify(
        self, order_id: str, change: OrderChange, *, before_send: Callable[[], None] | None = None
    ) -> Order:
        """See `Broker.modify_order`."""
        modifying = self._modify(order_id, change, before_send)
        return await asyncio.shield(self._command(modifying, f"modify {order_id}"))

    async def _modify(
        self, order_id: str, change: OrderChange, before_send: Callable[[], None] | None
    ) -> Order:
        self._working(order_id)
        # One change of an order at a time: the second has to start from what the first has made of it.
        async with self._changing.setdefault(order_id, asyncio.Lock()):
            try:
                return await self._modify_alone(order_id, change, before_send)
            finally:
                if self._known(order_id).status.is_done:
                    self._changing.pop(order_id, None)

    async def _modify_alone(
        self, order_id: str, change: OrderChange, before_send: Callable[[], None] | None
    ) -> Order:
        contract = self._working(order_id)[0].contract
        details = await self._contracts.qualify(
            ContractQuery(con_id=contract.con_id, exchange=contract.exchange)
        )
        order, session = self._working(order_id)
        self._new.check_taking()
        session.check_trading()
        session.check_heard()
        check_change(details, order, change)
        ib_contract, ib_order = self._on_record(session, order)
        _apply(change, order, ib_order)

        def is_changed(now: Order) -> bool:
            return now.status.is_done or has_terms(now, change)

        def send() -> None:
            # It may have ended while this waited for its turn; and one that is done must not be sent.
            self._working(order_id)
            if before_send is not None:
                before_send()
            session.ib.client.placeOrder(order.ib_order_id, ib_contract, ib_order)

        waiter = Waiter(order.id, is_changed, _REFUSES_CHANGE)
        with self._waiters.listening(waiter):
            await session.requests.command(Priority.ORDER, send)
            if is_changed(order):  # the terms are already these, so that no news will come of it
                return order
            if not await waiter.wait(session.options.order_timeout):
                session.doubt()
                raise NoAnswer(
                    f"IB did not confirm the change of {order.id}; read the order before trying again"
                )
        order = self._known(order_id)
        if not has_terms(order, change):
            raise OrderNotWorking(f"order {order_id} was {order.status} before the change reached it")
        return order

    def _on_record(self, session: Session, order: Order) -> tuple[ib_async.Contract, ib_async.Order]:
        """The order with everything IB has on it, to be sent back with a few fields changed."""
        listed = session.reports.on_record.get(order.ib_order_id or 0)
        if listed is None:
            raise Conflict(f"IB has not listed order {order.id} in this session; cancel and place it anew")
        contract, ib_order = listed
        return contract, copy.copy(ib_order)

    # Cancelling --------------------------------------------------------------------------------

    async def cancel(self, order_id: str) -> Order:
        """See `Broker.cancel_order`."""
        return await asyncio.shield(self._command(self._cancel(order_id), f"cancel {order_id}"))

    async def _cancel(self, order_id: str) -> Order:
        if (queued := self._known(order_id)).is_queued:
            return self._book.give_reason(queued, OrderStatus.NEVER_SENT, "withdrawn before it was sent")
        order, session = self._working(order_id)
        session.check_trading()
        self._new.withdraw(order_id)
        waiter = Waiter(order_id, lambda o: o.status in _CANCEL_ANSWERED or o.status.is_done, CANCEL_REFUSES)
        with self._waiters.listening(waiter):
            await session.requests.command(
                Priority.CANCEL, lambda: session.ib.client.cancelOrder(order.ib_order_id, "")
            )
            if not await waiter.wait(session.options.order_timeout):
                session.doubt()
                raise NoAnswer(f"IB did not answer the cancel of {order_id}; it may still be working")
        return self._known(order_id)

    async def cancel_all(self) -> tuple[Order, ...]:
        """See `Broker.cancel_all_orders`."""
        self._session().check_trading()
        working = [o for o in self._book.orders() if not o.status.is_done and not o.external]
        answers = await asyncio.gather(*(self.cancel(o.id) for o in working), return_exceptions=True)
        for order, answer in zip(working, answers, strict=True):
            # One that is done by now needed no cancel; anything else the caller must know.
            if isinstance(answer, BaseException) and not self._known(order.id).status.is_done:
                raise answer
        return tuple(self._known(o.id) for o in working)

    async def cancel_everything(self) -> None:
        """See `Broker.cancel_everything`."""
        session = self._session()
        session.check_trading()
        self._new.withdraw_all()
        await session.requests.command(Priority.CANCEL, lambda: session.ib.client.reqGlobalCancel())

    # What both need ----------------------------------------------------------------------------

    def _command(self, command: Coroutine[Any, Any, Order], name: str) -> asyncio.Task[Order]:
        return self._tasks.spawn(command, name=name, expected=TradeMindError)

    def _known(self, order_id: str) -> Order:
        if (order := self._book.order(order_id)) is None:
            raise OrderNotFound(f"there is no order {order_id}")
        return order

    def _working(self, order_id: str) -> tuple[Order, Session]:
        """An order of this client id that is working, and the session to say so to."""
        session = self._session()
        order = self._known(order_id)
        if order.status.is_done:
            raise OrderNotWorking(f"order {order_id} is {order.status} already")
        if order.is_queued:
            raise Conflict(f"order {order_id} waits to be sent; change it when it has been, or cancel it")
        # What was entered by hand and is bound to client 0 was not placed here, and can be changed here.
        if order.client_id != self._own_client_id or not order.ib_order_id:
            raise Conflict(
                f"order {order_id} was placed elsewhere (client id {order.client_id}); change it there"
            )
        return order, session

    def on_error(self, ib_order_id: int, code: int, message: str) -> bool:
        """An error message about an order. Returns whether it was one of ours.

        An order that IB has not acknowledged is refused by a code that says so. To one that is working the
        code is a notice: whether it lives on is for its status to say. A code that is in no table refuses
        only if no sign of life follows.
        """
        order = self._book.order_of(self._own_client_id, ib_order_id, 0) if ib_order_id > 0 else None
        if order is None:
            return False
        order = self._book.note(order, code, message)
        severity = code_of(code).severity
        if severity is Severity.CANCELED:
            self._book.give_reason(order, OrderStatus.CANCELED, message)
        elif severity in _SETTLED_BY_SIGNS:
            loop = asyncio.get_running_loop()
            loop.call_later(UNLISTED_CODE_GRACE, self._refuse, order.id, severity, code, message)
        elif severity is not Severity.NOTICE:
            self._refuse(order.id, severity, code, message)
        return True

    def _refuse(self, order_id: str, severity: Severity, code: int, message: str) -> None:
        order = self._known(order_id)
        is_unacknowledged = order.perm_id is None and not order.status.is_done
        # A refused cancel tells nothing of an order of unknown outcome: IB may not have taken it yet.
        if severity is not Severity.CANCEL_REFUSED and is_unacknowledged:
            self._book.reject(order, message)
        kind = CancelRejected if severity is Severity.CANCEL_REFUSED else OrderRejected
        detail = error_from(code, message, f"order {order_id}").detail
        error = kind(detail, ib_code=code, extra={"order_id": order_id})
        self._waiters.on_refusal(order_id, severity, error)

    def interrupted(self, error: TradeMindError) -> None:
        """Whoever waits for a change or a cancel is told; orders under way are unknown (see the book)."""
        self._waiters.fail(error)

    async def close(self) -> None:
        """Let the commands under way end: with the connection closed each has been told so."""
        await self._tasks.finish(grace=1)


def _apply(change: OrderChange, order: Order, ib_order: ib_async.Order) -> None:
    """Make of IB's record of an order what is to be sent to change it.

    Also the terms that stay are written as decimals: as ib_async's floats they would reach the wire as 1e-05.
    """
    ib_order.totalQuantity = convert.on_wire(order.quantity if change.quantity is None else change.quantity)
    if (limit := change.limit_price or order.limit_price) is not None:
        ib_order.lmtPrice = convert.on_wire(limit)
    trails = order.order_type == OrderType.TRAIL
    aux = change.trailing_amount or order.trailing_amount if trails else change.stop_price or order.stop_price
    if aux is not None:
        ib_order.auxPrice = convert.on_wire(aux)
    if (percent := change.trailing_percent or order.trailing_percent) is not None:
        ib_order.trailingPercent = convert.on_wire(percent)
    if trails:
        ib_order.trailStopPrice = ib_async.util.UNSET_DOUBLE  # or the stop would go back to where it began
    if change.tif is not None:
        ib_order.tif = change.tif.value
    ib_order.transmit = True
