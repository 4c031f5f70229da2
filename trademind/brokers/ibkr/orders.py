"""Orders: placing, changing and cancelling them, each until IB has said what it made of it.

A command is sent once and never again on a guess: without an answer by the deadline its outcome is
unknown, and says so. The caller going away does not interrupt a command that is under way.
"""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any
from uuid import uuid4

import ib_async

from trademind.aio import Tasks
from trademind.brokers.book import Book
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.contracts import Contracts
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.requests import UNLISTED_CODE_GRACE
from trademind.brokers.ibkr.session import Session
from trademind.clock import Clock
from trademind.domain import (
    Contract,
    ContractDetails,
    ContractQuery,
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
)
from trademind.errors import (
    AccountNotFound,
    CancelRejected,
    Conflict,
    ConnectionLost,
    DuplicateOrder,
    Invalid,
    NoAnswer,
    OrderNotFound,
    OrderNotWorking,
    OrderOutcomeUnknown,
    OrderRejected,
    ShuttingDown,
    TradeMindError,
)

_ASKED_LIMIT = 10_000
"""Requests kept for comparing with later ones of the same key; older ones go by the order's present terms."""

_REFUSES_CHANGE = frozenset({Severity.REJECTED, Severity.FAILURE, Severity.UNLISTED})
_SETTLED_BY_SIGNS = frozenset({Severity.FAILURE, Severity.SESSION, Severity.UNLISTED})
"""What says nothing certain of an order: it is refused unless a sign of life follows."""
_REFUSES_CANCEL = frozenset({Severity.CANCEL_REFUSED})
_CANCEL_ANSWERED = frozenset({OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED, OrderStatus.FILLED})


class _Waiter:
    """Someone waiting for news of one order: until `condition` holds for it, or an error ends the wait.

    `refused_by` are the severities that are the answer to this wait, so that a refused change does not fail
    a cancel of the same order.
    """

    def __init__(
        self, order_id: str, condition: Callable[[Order], bool], refused_by: frozenset[Severity]
    ) -> None:
        self.order_id = order_id
        self.condition = condition
        self.refused_by = refused_by
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, seconds: float) -> bool:
        """Wait for the news. Returns whether it came; raises the error that ended the wait.

        News that come together with the deadline, as after this side was held up, have come.
        """
        await asyncio.wait({self.future}, timeout=seconds)
        if self.future.done():
            self.future.result()
        return self.future.done()

    def fulfil(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: TradeMindError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


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
        self._is_draining = False
        self._book = book
        self._contracts = contracts
        self._clock = clock
        self._own_client_id = own_client_id
        self._waiters: list[_Waiter] = []
        self._placing: dict[str, asyncio.Task[Order]] = {}
        self._asked: dict[str, OrderRequest] = {}
        """What each key was first used for, as a modified order no longer shows it."""
        self._changing: dict[str, asyncio.Lock] = {}
        self._tasks = Tasks()
        book.watch_orders(self._on_order)

    # Placing -----------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> Order:
        """See `Broker.place_order`."""
        key = request.client_order_id or f"tm-{uuid4().hex[:24]}"
        task = self._placing.get(key)
        known = self._book.order(key)
        if known is not None and known.status is OrderStatus.NEVER_SENT and task is None:
            known = None  # IB has never had it, which leaves its key free
        if task is not None or known is not None:
            first = self._asked.get(key)
            if not (first == request if first else known and _same_terms(known, request)):
                raise DuplicateOrder(
                    f"client_order_id {key} belongs to an order with other terms; give a new order a new one"
                )
        if task is None:
            if known is not None:
                if known.client_id != self._own_client_id:
                    raise DuplicateOrder(
                        f"IB lists an order with the reference {key} and does not say whose it is; give a "
                        "new order a new client_order_id"
                    )
                return known
            self._check_taking()
            self._asked[key] = request
            if len(self._asked) > _ASKED_LIMIT:
                del self._asked[next(iter(self._asked))]
            task = self._placing[key] = self._command(self._place(request, key), f"place {key}")
            task.add_done_callback(lambda _: self._placed(key))
        return await asyncio.shield(task)

    def _placed(self, key: str) -> None:
        del self._placing[key]
        order = self._book.order(key)
        if order is None or order.status is OrderStatus.NEVER_SENT:  # the key is free again
            self._asked.pop(key, None)

    async def _place(self, request: OrderRequest, key: str) -> Order:
        session = self._session_for_orders()
        session.check_trading()
        assert session.account_id is not None
        if request.account_id not in (None, session.account_id):
            raise AccountNotFound(f"this session trades {session.account_id}, not {request.account_id}")
        details = await self._contracts.qualify(request.query)
        _check_increments(details, request.quantity, request.limit_price, request.stop_price)
        # Qualifying may have taken a round trip: what was true before it may be so no longer.
        session = self._session_for_orders()
        session.check_trading()
        assert session.account_id is not None
        # In the book before it is sent: whoever cancels everything must find it.
        order = self._new_order(request, key, details.contract, session.account_id)
        self._book.add_order(order)
        is_answered = _Waiter(key, lambda o: o.status is not OrderStatus.PENDING_SUBMIT, frozenset())
        with self._waiting(is_answered) as waiter:
            try:
                await session.requests.command(Priority.ORDER, lambda: self._send(request, key))
            except TradeMindError as error:
                self._book.give_reason(self._known(key), OrderStatus.NEVER_SENT, error.detail)
                raise
            what = f"{request.side} {request.quantity} {request.symbol}"
            if not await waiter.wait(session.options.order_timeout):
                order = self._known(key)
                if order.status is OrderStatus.PENDING_SUBMIT:
                    reason = f"no answer in {session.options.order_timeout:g} s"
                    order = self._book.give_reason(order, OrderStatus.UNKNOWN, reason)
                session.doubt()
                raise _outcome_unknown(order, f"IB gave no answer to {what}")
        return self._outcome(key)

    def _send(self, request: OrderRequest, key: str) -> None:
        """The order's turn has come: give it its id and send it, both in one step of the loop."""
        self._check_taking()
        order = self._known(key)
        if order.status.is_done:
            raise OrderNotWorking(f"order {key} was withdrawn before it was sent")
        session = self._session_for_orders()
        ib_order = convert.to_ib_order(request, account=order.account_id, order_ref=key)
        order_id = session.new_order_id()
        self._book.number(order, order_id)
        try:
            session.ib.client.placeOrder(order_id, convert.to_ib_reference(order.contract), ib_order)
        except ConnectionError as error:
            self._book.number(order, None)
            raise ConnectionLost("the connection to the gateway broke; nothing was sent") from error

    def stop_taking(self) -> None:
        """Refuse new orders and changes from now on; cancels still pass."""
        self._is_draining = True

    def check_taking(self) -> None:
        """See `Broker.check_taking_orders`."""
        self._check_taking()
        self._session_for_orders().check_trading()

    def _check_taking(self) -> None:
        if self._is_draining:
            raise ShuttingDown("the server is stopping and takes no new orders. Nothing was sent.")

    def _outcome(self, order_id: str) -> Order:
        order = self._known(order_id)
        if order.status is OrderStatus.UNKNOWN:
            raise _outcome_unknown(order, "the connection broke before IB acknowledged it")
        if order.status is OrderStatus.REJECTED:
            code = order.notices[-1].ib_code if order.notices else None
            raise OrderRejected(
                f"IB rejected the order: {order.reason}", ib_code=code, extra={"order_id": order.id}
            )
        return order

    def _new_order(self, request: OrderRequest, key: str, contract: Contract, account_id: str) -> Order:
        now = self._clock.now()
        return Order(
            id=key,
            client_order_id=key,
            perm_id=None,
            ib_order_id=None,
            client_id=self._own_client_id,
            account_id=account_id,
            contract=contract,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            tif=request.tif,
            outside_rth=request.outside_rth,
            order_ref=key,
            status=OrderStatus.PENDING_SUBMIT,
            filled_quantity=Decimal(0),
            remaining_quantity=request.quantity,
            avg_fill_price=None,
            commission=None,
            created_at=now,
            updated_at=now,
            external=False,
        )

    # Changing ----------------------------------------------------------------------------------

    async def modify(self, order_id: str, change: OrderChange) -> Order:
        """See `Broker.modify_order`."""
        return await asyncio.shield(self._command(self._modify(order_id, change), f"modify {order_id}"))

    async def _modify(self, order_id: str, change: OrderChange) -> Order:
        self._working(order_id)
        # One change of an order at a time: the second has to start from what the first has made of it.
        async with self._changing.setdefault(order_id, asyncio.Lock()):
            try:
                return await self._modify_alone(order_id, change)
            finally:
                if self._known(order_id).status.is_done:
                    self._changing.pop(order_id, None)

    async def _modify_alone(self, order_id: str, change: OrderChange) -> Order:
        contract = self._working(order_id)[0].contract
        details = await self._contracts.qualify(
            ContractQuery(con_id=contract.con_id, exchange=contract.exchange or "SMART")
        )
        order, session = self._working(order_id)
        self._check_taking()
        session.check_trading()
        session.check_heard()
        _check_change(order, change)
        quantity = order.quantity if change.quantity is None else change.quantity
        _check_increments(details, quantity, change.limit_price, change.stop_price)
        if quantity < order.filled_quantity:
            raise Invalid([("quantity", f"{order.filled_quantity} are filled already; it cannot be less")])
        ib_contract, ib_order = self._on_record(session, order)
        ib_order.totalQuantity = convert.on_wire(quantity)
        # Also those that stay: as ib_async's floats they would reach the wire as 1e-05.
        if (limit := change.limit_price or order.limit_price) is not None:
            ib_order.lmtPrice = convert.on_wire(limit)
        if (stop := change.stop_price or order.stop_price) is not None:
            ib_order.auxPrice = convert.on_wire(stop)
        if change.tif is not None:
            ib_order.tif = change.tif.value
        ib_order.transmit = True

        def has_terms(now: Order) -> bool:
            return (
                now.quantity == quantity
                and (change.limit_price is None or now.limit_price == change.limit_price)
                and (change.stop_price is None or now.stop_price == change.stop_price)
                and (change.tif is None or now.tif == change.tif)
            )

        def is_changed(now: Order) -> bool:
            return now.status.is_done or has_terms(now)

        def send() -> None:
            # It may have ended while this waited for its turn; and one that is done must not be sent.
            self._working(order_id)
            session.ib.client.placeOrder(order.ib_order_id, ib_contract, ib_order)

        with self._waiting(_Waiter(order.id, is_changed, _REFUSES_CHANGE)) as waiter:
            await session.requests.command(Priority.ORDER, send)
            if is_changed(order):  # the terms are already these, so that no news will come of it
                return order
            if not await waiter.wait(session.options.order_timeout):
                session.doubt()
                raise NoAnswer(
                    f"IB did not confirm the change of {order.id}; read the order before trying again"
                )
        order = self._known(order_id)
        if not has_terms(order):
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
        is_answered = _Waiter(
            order_id, lambda o: o.status in _CANCEL_ANSWERED or o.status.is_done, _REFUSES_CANCEL
        )
        with self._waiting(is_answered) as waiter:
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

    def _waiting(self, waiter: _Waiter) -> "_Listening":
        return _Listening(self._waiters, waiter)

    def _on_order(self, order: Order) -> None:
        for waiter in self._waiters:
            if waiter.order_id == order.id and waiter.condition(order):
                waiter.fulfil()

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
        for waiter in self._waiters:
            if waiter.order_id == order_id and severity in waiter.refused_by:
                waiter.fail(kind(detail, ib_code=code, extra={"order_id": order_id}))

    def interrupted(self, error: TradeMindError) -> None:
        """Whoever waits for a change or a cancel is told; orders under way are unknown (see the book)."""
        for waiter in self._waiters:
            waiter.fail(error)

    async def close(self) -> None:
        """Let the commands under way end: with the connection closed each has been told so."""
        await self._tasks.finish(grace=1)


class _Listening:
    """A waiter, listed for as long as the `with` block lasts."""

    def __init__(self, waiters: list[_Waiter], waiter: _Waiter) -> None:
        self._waiters, self._waiter = waiters, waiter

    def __enter__(self) -> _Waiter:
        self._waiters.append(self._waiter)
        return self._waiter

    def __exit__(self, *_: object) -> None:
        self._waiters.remove(self._waiter)
        if self._waiter.future.done() and not self._waiter.future.cancelled():
            self._waiter.future.exception()  # it has been dealt with, or nobody is there to hear it


def _same_terms(order: Order, request: OrderRequest) -> bool:
    """Is `order` what `request` asks for? The order may have been modified since; then it is not."""
    wanted = request.con_id or request.symbol
    return (
        wanted in (order.contract.con_id, order.contract.symbol)
        and order.side is request.side
        and order.quantity == request.quantity
        and order.order_type == request.order_type
        and order.limit_price == request.limit_price
        and order.stop_price == request.stop_price
        and order.tif == request.tif
    )


def _outcome_unknown(order: Order, what: str) -> OrderOutcomeUnknown:
    return OrderOutcomeUnknown(
        f"{what}: order {order.id} may or may not exist. Read /api/orders/{order.id} first.",
        extra={"order_id": order.id},
    )


def _check_increments(
    details: ContractDetails, quantity: Decimal, limit_price: Decimal | None, stop_price: Decimal | None
) -> None:
    """Refuse what IB would refuse (110, 10243 …) before it is sent, field by field."""
    symbol, errors = details.contract.symbol, []
    if quantity % details.size_increment:
        errors.append(("quantity", f"{symbol} trades in steps of {details.size_increment}"))
    for name, price in (("limit_price", limit_price), ("stop_price", stop_price)):
        if price is not None and price % details.min_tick:
            errors.append((name, f"{symbol} is priced in steps of {details.min_tick}"))
    if errors:
        raise Invalid(errors)


def _check_change(order: Order, change: OrderChange) -> None:
    errors = []
    if change.limit_price is not None and order.limit_price is None:
        errors.append(("limit_price", f"a {order.order_type} order has none"))
    if change.stop_price is not None and order.stop_price is None:
        errors.append(("stop_price", f"a {order.order_type} order has none"))
    if errors:
        raise Invalid(errors)
