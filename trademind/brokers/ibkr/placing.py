"""Sending new orders: one, a group of which all are placed or none, or one that is only to be judged.

An order is in the book before it is sent, is given its id and sent in one step of the loop, and is waited for
until IB has acknowledged it. Without an answer by the deadline its outcome is unknown, and says so.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import ib_async

from trademind.brokers.base import AGE_FOR_ORDERS
from trademind.brokers.book import Book
from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.contracts import Contracts
from trademind.brokers.ibkr.order_terms import check_request
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.session import Session
from trademind.brokers.ibkr.waiting import CANCEL_REFUSES, Waiter, Waiters
from trademind.clock import Clock
from trademind.domain import (
    Contract,
    Order,
    OrderClass,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    OrderStatus,
)
from trademind.errors import (
    AccountNotFound,
    ConnectionLost,
    OrderNotWorking,
    OrderOutcomeUnknown,
    OrderRejected,
    ShuttingDown,
    TradeMindError,
)


class Placing:
    """See `Orders`, of which this is the part that sends what is new.

    Args:
        session: Gives a session that may be entrusted with a new order, or raises what there is to say
            instead.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        book: Book,
        contracts: Contracts,
        clock: Clock,
        own_client_id: int,
        waiters: Waiters,
    ) -> None:
        self._session = session
        self._book = book
        self._contracts = contracts
        self._clock = clock
        self._own_client_id = own_client_id
        self._waiters = waiters
        self._held: dict[str, bool] = {}
        """Orders of groups that the gateway holds back until the group is released, and whether a cancel of
        them was asked for."""
        self.is_draining = False
        """The program is about to end: nothing new is sent."""

    def check_taking(self) -> None:
        """Raises `ShuttingDown` where nothing new is sent any more."""
        if self.is_draining:
            raise ShuttingDown("the server is stopping and takes no new orders. Nothing was sent.")

    def withdraw(self, key: str) -> None:
        """A cancel of the order is on its way. Where its group is held back, it is not released any more: the
        release would overtake the answer to the cancel, and leave a part of the group working."""
        if key in self._held:
            self._held[key] = True

    def withdraw_all(self) -> None:
        """A cancel of everything is on its way: as `withdraw`, and what waits for its turn is not sent."""
        self._held = dict.fromkeys(self._held, True)
        for order in self._book.orders():
            if order.is_queued:
                self._book.give_reason(order, OrderStatus.NEVER_SENT, "withdrawn before it was sent")

    def check_session(self) -> Session:
        """The session, where it may be traded with. Raises what there is to say instead."""
        session = self._session()
        session.check_trading()
        return session

    # One ---------------------------------------------------------------------------------------

    async def place(self, request: OrderRequest) -> tuple[Order]:
        """See `Broker.place_order`. The request has a key."""
        contract = await self.check(request)
        session = self.check_session()
        key = str(request.client_order_id)
        self._enter(session, request, contract)
        answer = Waiter(key, _is_acknowledged)
        with self._waiters.listening(answer):
            try:
                await session.requests.command(Priority.ORDER, lambda: self._send(request, key))
            except TradeMindError as error:
                self._book.give_reason(self._known(key), OrderStatus.NEVER_SENT, error.detail)
                raise
            await self._acknowledged(session, answer)
        return (self._outcome(key),)

    async def preview(self, request: OrderRequest) -> OrderPreview:
        """See `Broker.preview_order`."""
        contract = await self.check(request)
        return await self._preview(self.check_session(), request, contract)

    async def _preview(self, session: Session, request: OrderRequest, contract: Contract) -> OrderPreview:
        assert session.account_id is not None
        assert session.source is not None
        order = convert.to_ib_order(request, account=session.account_id, order_ref="")
        order.whatIf = True
        state = await session.requests.ask(
            f"preview of {request.side} {request.quantity} {contract.symbol}",
            lambda order_id: session.ib.client.placeOrder(order_id, convert.to_ib_reference(contract), order),
            priority=Priority.ORDER,
            timeout=session.options.order_timeout,
        )
        return convert.to_preview(
            state, account_id=session.account_id, source=session.source, as_of=self._clock.now()
        )

    async def check(self, request: OrderRequest) -> Contract:
        """The contract that is to be traded. Raises what there is to say against the order.

        To find the contract may take a round trip: what is true of the session before it may be so no longer
        afterwards.
        """
        session = self.check_session()
        if request.account_id not in (None, session.account_id):
            raise AccountNotFound(f"this session trades {session.account_id}, not {request.account_id}")
        details = await self._contracts.qualify(request.query, max_age=AGE_FOR_ORDERS)
        check_request(details, request, self._clock.now())
        return details.contract

    def _send(self, request: OrderRequest, key: str) -> None:
        """The order's turn has come: give it its id and send it, both in one step of the loop."""
        self._check_turn(key)
        session = self._session()
        order = self._number(session, key)
        try:
            self._transmit(session, order, _ib_order(request, order))
        except ConnectionLost:
            self._book.number(order, None)
            raise

    def _check_turn(self, *keys: str) -> None:
        self.check_taking()
        for key in keys:
            if self._known(key).status.is_done:
                raise OrderNotWorking(f"order {key} was withdrawn before it was sent")

    def _number(self, session: Session, key: str) -> Order:
        self._book.number(self._known(key), session.new_order_id())
        return self._known(key)

    def _transmit(self, session: Session, order: Order, ib_order: ib_async.Order) -> None:
        try:
            session.ib.client.placeOrder(order.ib_order_id, convert.to_ib_reference(order.contract), ib_order)
        except ConnectionError as error:
            raise ConnectionLost("the connection to the gateway broke; nothing was placed") from error

    async def _acknowledged(self, session: Session, *answers: Waiter, entry: str | None = None) -> None:
        """Wait until IB has answered all of them, or refused one, or a bracket's entry has ended at once
        without a fill: then IB may say nothing of its exits. Raises `OrderOutcomeUnknown`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + session.options.order_timeout
        waiting = {answer.future: answer.order_id for answer in answers}
        while waiting and not self._refusal(answer.order_id for answer in answers):
            if entry is not None and self._has_ended_empty(entry):
                return
            done, _ = await asyncio.wait(
                waiting, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            for future in done:
                future.result()
                del waiting[future]
            if not done:
                break
        else:
            return
        for key in waiting.values():
            if (order := self._known(key)).status is OrderStatus.PENDING_SUBMIT:
                reason = f"no answer in {session.options.order_timeout:g} s"
                self._book.give_reason(order, OrderStatus.UNKNOWN, reason)
        session.doubt()
        order = self._known(next(iter(waiting.values())))
        what = f"{order.side} {order.quantity} {order.contract.symbol}"
        raise _outcome_unknown(order, f"IB gave no answer to {what}")

    def _outcome(self, key: str) -> Order:
        order = self._known(key)
        if order.status is OrderStatus.UNKNOWN:
            raise _outcome_unknown(order, "the connection broke before IB acknowledged it")
        if order.status is OrderStatus.REJECTED:
            raise OrderRejected(
                f"IB rejected the order: {order.reason}", ib_code=_code(order), extra={"order_id": order.id}
            )
        return order

    # Several -----------------------------------------------------------------------------------

    async def place_group(
        self, group: OrderGroup, before_release: Callable[[], None] | None
    ) -> tuple[Order, ...]:
        """All of them or none: see `Broker.place_group`. The group has a key.

        They are first staged, which is sent but held back at the gateway. When IB has taken all of them so
        and has judged the first, which follows them on the same way, one step of the loop gives the word.
        """
        contracts = [await self.check(leg) for leg in group.legs]
        session = self.check_session()
        keys = group.keys
        for leg, contract, relation in zip(group.legs, contracts, group.relations, strict=True):
            self._enter(session, leg, contract, **relation)
        answers = [Waiter(key, _is_acknowledged) for key in keys]
        with self._waiters.listening(*answers):
            try:
                await session.requests.command(Priority.ORDER, lambda: self._stage(group), messages=len(keys))
            except TradeMindError as error:
                self._give_up(keys, OrderStatus.NEVER_SENT, error.detail)
                raise
            # A bracket is released with its last exit, whose parent and sisters go with it.
            released = keys[-1:] if group.order_class is OrderClass.BRACKET else keys
            try:
                await self._preview(session, group.legs[0], contracts[0])
                await session.requests.command(
                    Priority.ORDER,
                    lambda: self._release(group, released, before_release),
                    messages=len(released),
                )
            except TradeMindError as error:
                reason = self._refusal(keys) or error
                self._withdraw(session, keys, reason)
                raise reason from None
            finally:
                for key in keys:
                    self._held.pop(key, None)
            is_bracket = group.order_class is OrderClass.BRACKET
            await self._acknowledged(session, *answers, entry=keys[0] if is_bracket else None)
        if is_bracket and self._has_ended_empty(keys[0]):
            await self._withdraw_rest(session, keys, "its entry has ended without a fill")
        if refusal := self._refusal(keys):
            await self._withdraw_rest(session, keys, "another order of its group was refused")
            if filled := [key for key in keys if self._known(key).filled_quantity]:
                refusal.detail += f" Of the others {', '.join(filled)} had filled before."
            raise refusal
        return tuple(self._outcome(key) for key in keys)

    def _stage(self, group: OrderGroup) -> None:
        """Their turn has come: each gets its id and is sent, all in one step of the loop."""
        self._check_turn(*group.keys)
        session = self._session()
        orders = [self._number(session, key) for key in group.keys]
        try:
            for order, leg in zip(orders, group.legs, strict=True):
                self._transmit(session, order, self._ib_leg(group, leg, order, is_held=True))
        except ConnectionLost:
            for order in orders:
                self._book.number(order, None)
            raise
        self._held |= dict.fromkeys(group.keys, False)

    def _release(
        self, group: OrderGroup, released: Sequence[str], before_release: Callable[[], None] | None
    ) -> None:
        """Every one has been taken: place them. Raises what has come between."""
        self._check_turn(*group.keys)
        if withdrawn := [key for key in group.keys if self._held[key]]:
            raise OrderNotWorking(f"order {withdrawn[0]} was withdrawn before it was placed")
        if before_release is not None:
            before_release()
        session = self._session()
        for key, leg in zip(group.keys, group.legs, strict=True):
            if key in released:
                order = self._known(key)
                self._transmit(session, order, self._ib_leg(group, leg, order, is_held=False))

    def _ib_leg(self, group: OrderGroup, leg: OrderRequest, order: Order, *, is_held: bool) -> ib_async.Order:
        ib_order = _ib_order(leg, order)
        ib_order.transmit = not is_held
        if order.parent_id is not None:
            ib_order.parentId = self._known(order.parent_id).ib_order_id or 0
        if group.order_class is OrderClass.OCA:
            ib_order.ocaGroup = str(order.oca_group)
            ib_order.ocaType = group.oca_type.ib_number
        return ib_order

    def _withdraw(self, session: Session, keys: Sequence[str], error: TradeMindError) -> None:
        """Take back what was staged, none of which has been placed. Where the connection is lost, so is what
        was staged in it, and the keys are free again."""
        status = OrderStatus.CANCELED if session.end_reason is None else OrderStatus.NEVER_SENT
        for key in keys:
            if self._known(key).status is not OrderStatus.REJECTED:
                self._post_cancel(session, key)
        self._give_up(keys, status, f"its group was not placed: {error.detail}")

    async def _withdraw_rest(self, session: Session, keys: Sequence[str], reason: str) -> None:
        """IB works one of them no more after all: cancel the others, and wait until they are, or IB says that
        there is none."""
        working = [key for key in keys if not self._known(key).status.is_done]
        answers = [Waiter(key, lambda order: order.status.is_done, CANCEL_REFUSES) for key in working]
        with self._waiters.listening(*answers):
            for key in working:
                self._post_cancel(session, key)
            if answers:
                futures = [answer.future for answer in answers]
                await asyncio.wait(futures, timeout=session.options.order_timeout)
        self._give_up(working, OrderStatus.CANCELED, reason)

    def _has_ended_empty(self, key: str) -> bool:
        order = self._known(key)
        return order.status.is_done and not order.filled_quantity

    def _post_cancel(self, session: Session, key: str) -> None:
        order_id = self._known(key).ib_order_id
        if session.end_reason is None:
            session.requests.post(Priority.CANCEL, lambda: session.ib.client.cancelOrder(order_id, ""))

    def _give_up(self, keys: Sequence[str], status: OrderStatus, reason: str) -> None:
        for key in keys:
            order = self._known(key)
            if order.status in (OrderStatus.PENDING_SUBMIT, OrderStatus.UNKNOWN):
                self._book.give_reason(order, status, reason)

    def _refusal(self, keys: Iterable[str]) -> OrderRejected | None:
        """What IB has refused of a group, if anything."""
        refused = next((o for o in map(self._known, keys) if o.status is OrderStatus.REJECTED), None)
        if refused is None:
            return None
        return OrderRejected(
            f"IB rejected {refused.id}, so the others of its group were withdrawn: {refused.reason}",
            ib_code=_code(refused),
            extra={"order_id": refused.id},
        )

    # What all need -----------------------------------------------------------------------------

    def _known(self, key: str) -> Order:
        order = self._book.order(key)
        assert order is not None  # it was entered here, and the book forgets none
        return order

    def _enter(
        self, session: Session, request: OrderRequest, contract: Contract, **relation: str | None
    ) -> None:
        """Put the order into the book, before it is sent: whoever cancels everything must find it."""
        assert session.account_id is not None
        order = Order.of_request(
            request,
            contract=contract,
            account_id=session.account_id,
            client_id=self._own_client_id,
            at=self._clock.now(),
            status=OrderStatus.PENDING_SUBMIT,
            **relation,
        )
        self._book.add_order(order)


def _ib_order(request: OrderRequest, order: Order) -> ib_async.Order:
    return convert.to_ib_order(request, account=order.account_id, order_ref=order.order_ref)


def _is_acknowledged(order: Order) -> bool:
    return order.status is not OrderStatus.PENDING_SUBMIT


def _code(order: Order) -> int | None:
    return order.notices[-1].ib_code if order.notices else None


def _outcome_unknown(order: Order, what: str) -> OrderOutcomeUnknown:
    return OrderOutcomeUnknown(
        f"{what}: order {order.id} may or may not exist. Read /api/orders/{order.id} first.",
        extra={"order_id": order.id},
    )
