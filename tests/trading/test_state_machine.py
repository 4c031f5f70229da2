"""Order entry against a model: random orders, groups, changes, cancels, cuts, lost answers and restarts.

Everything is real: the journal on disk, the broker, TCP, the paper gateway. The model knows only what was
asked for under which key and what was answered, and in the end IB's account has to be what follows from that.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.brokers.test_faults import until
from tests.proxy import Proxy, withhold
from tests.trading.test_entry import BY, Desk, open_desk
from trademind.domain import Order, OrderChange, OrderGroup, OrderRequest, OrderStatus, SessionState, bracket
from trademind.domain.orders import TRANSITIONS
from trademind.errors import DuplicateOrder, OrderOutcomeUnknown, TradeMindError
from trademind.gateway.server import PaperGatewayServer

KEYS = st.sampled_from([f"k{number}" for number in range(6)])
QUANTITIES = st.sampled_from([1, 10, 100])
PRICES = st.sampled_from([Decimal(1), Decimal(2), Decimal(900)])
ANSWERS = {"5": "openOrder", "3": "orderStatus", "11": "execDetails"}


class OrderEntryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.asked: dict[str, OrderRequest | OrderGroup] = {}
        """What each key was first used for."""
        self.exists: set[str] = set()
        """Keys of which somebody was told that their order is there."""
        self.statuses: dict[str, OrderStatus] = {}
        self.stack = AsyncExitStack()
        self.desk_stack = AsyncExitStack()

    def run_now(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    # Beginning and end -------------------------------------------------------------------------

    @initialize()
    def open(self) -> None:
        async def begin() -> None:
            self.folder = Path(self.stack.enter_context(TemporaryDirectory()))
            self.gateway = await self.stack.enter_async_context(
                PaperGatewayServer(cash=Decimal(100_000_000), seed=42)
            )
            self.proxy = await self.stack.enter_async_context(Proxy(self.gateway.port))
            await self._open_desk()

        self.run_now(begin())

    async def _open_desk(self) -> None:
        self.desk: Desk = await self.desk_stack.enter_async_context(
            open_desk(self.proxy.port, self.folder, order_timeout=0.1, max_requests_per_second=0)
        )
        self.desk.broker._book.watch_orders(self._follow)

    def _follow(self, order: Order) -> None:
        """No status follows another that must not."""
        before = self.statuses.get(order.id, order.status)
        assert order.status is before or order.status in TRANSITIONS[before], (order, before)
        self.statuses[order.id] = order.status
        assert order.filled_quantity + order.remaining_quantity == order.quantity

    def teardown(self) -> None:
        async def end() -> None:
            try:
                if hasattr(self, "desk"):
                    await self._settle()
                    self._compare()
            finally:
                await self.desk_stack.aclose()
                await self.stack.aclose()

        try:
            self.run_now(end())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    # What is done ------------------------------------------------------------------------------

    @rule(
        key=KEYS, quantity=QUANTITIES, is_buy=st.booleans(), price=st.none() | PRICES, in_group=st.booleans()
    )
    def place(self, key: str, quantity: int, is_buy: bool, price: Decimal | None, in_group: bool) -> None:
        request = OrderRequest(
            symbol="AAPL",
            side="BUY" if is_buy else "SELL",  # type: ignore[arg-type]
            quantity=Decimal(quantity),
            order_type="MKT" if price is None else "LMT",  # type: ignore[arg-type]
            limit_price=price,
            client_order_id=key,
        )
        exit_at = Decimal(1000) if is_buy else Decimal("0.5")
        asked = bracket(request, take_profit=exit_at) if in_group else request
        self.run_now(self._place(key, asked))

    async def _place(self, key: str, asked: OrderRequest | OrderGroup) -> None:
        is_same = self.asked.setdefault(key, asked) == asked
        entry = self.desk.entry
        refused: TradeMindError | None = None
        try:
            if isinstance(asked, OrderGroup):
                placed = await entry.place_group(asked, by=BY)
            else:
                placed = await entry.place(asked, by=BY)
        except DuplicateOrder:
            assert not is_same
        except OrderOutcomeUnknown:
            assert is_same
        except TradeMindError as error:
            # Refused before it was written down leaves the key free.
            refused = error
        else:
            assert is_same
            assert not (placed.is_new and key in self.exists)
            assert [order.id for order in placed.orders] == list(_keys(key, asked))
            if placed.order.perm_id is not None:
                self.exists.add(key)
        if refused is not None:
            assert key not in self.exists, refused
            # What is refused before it was written down leaves the key free.
            if await self.desk.journal.reading.intent(key) is None:
                del self.asked[key]

    @rule(key=KEYS, price=PRICES)
    def modify(self, key: str, price: Decimal) -> None:
        self.run_now(self._try(self.desk.entry.modify(key, OrderChange(limit_price=price), by=BY)))

    @rule(key=KEYS)
    def cancel(self, key: str) -> None:
        self.run_now(self._try(self.desk.entry.cancel(key, by=BY)))

    @rule()
    def cancel_all(self) -> None:
        self.run_now(self._try(self.desk.entry.cancel_all(by=BY)))

    async def _try(self, command: Coroutine[Any, Any, Any]) -> None:
        with suppress(TradeMindError):  # whatever is refused is refused with an error of ours
            await command

    # What happens ------------------------------------------------------------------------------

    @rule(message=st.sampled_from(sorted(ANSWERS)))
    def lose_answers(self, message: str) -> None:
        self.proxy.from_gateway[int(message)] = withhold

    @rule()
    def find_answers(self) -> None:
        self.proxy.from_gateway.clear()

    @rule()
    def cut(self) -> None:
        async def cut() -> None:
            await self._cut()
            await until(lambda: self.desk.broker.session.state is SessionState.READY)

        self.run_now(cut())

    async def _cut(self) -> None:
        """The connection breaks, and somebody has it made anew at once: by itself it would wait longer each
        time."""
        self.proxy.from_gateway.clear()
        self.proxy.cut()
        await until(lambda: self.desk.broker.session.state is not SessionState.READY)
        await self.desk.broker.reconnect()

    @rule()
    def restart(self) -> None:
        async def restart() -> None:
            self.proxy.from_gateway.clear()
            await self.desk_stack.aclose()
            self.desk_stack = AsyncExitStack()
            # What another process would be told, it is told from the journal: nothing older than that counts.
            self.statuses.clear()
            await self._open_desk()

        self.run_now(restart())

    @rule()
    def settle(self) -> None:
        self.run_now(self._settle())
        self._compare()

    async def _settle(self) -> None:
        """Everything is heard again, and IB has listed all there is."""
        if self.proxy.from_gateway:
            await self._cut()
        broker = self.desk.broker
        await until(lambda: broker.session.state is SessionState.READY)
        await until(lambda: not broker._book.has_unsettled_orders)
        await broker.reconcile()
        await self.desk.journal.flushed()

    # What must be true -------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_twice(self) -> None:
        if hasattr(self, "gateway"):
            refs = [order.ticket.order_ref for order in self._at_the_gateway()]
            assert len(refs) == len(set(refs)), refs

    def _at_the_gateway(self) -> list[Any]:
        exchange = self.gateway.core.exchange
        return [*exchange.orders(), *exchange.completed_orders()]

    def _compare(self) -> None:
        theirs = {order.ticket.order_ref: order for order in self._at_the_gateway()}
        wanted = {each for key, asked in self.asked.items() for each in _keys(key, asked)}
        assert theirs.keys() <= wanted
        assert self.exists <= theirs.keys() | self._refused()
        for order in self.desk.broker._book.orders():
            at_ib = theirs.get(order.id)
            if at_ib is None:
                assert order.status in (OrderStatus.NEVER_SENT, OrderStatus.CANCELED, OrderStatus.REJECTED), (
                    order
                )
                continue
            assert order.status.is_done is at_ib.status.is_done, (order, at_ib)
            assert order.perm_id == at_ib.perm_id
            assert order.filled_quantity == at_ib.filled
            assert (order.status is OrderStatus.FILLED) is (at_ib.filled == order.quantity)

    def _refused(self) -> set[str]:
        return {key for key, status in self.statuses.items() if status is OrderStatus.REJECTED}


def _keys(key: str, asked: OrderRequest | OrderGroup) -> tuple[str, ...]:
    return asked.with_key(key).keys if isinstance(asked, OrderGroup) else (key,)


def test_order_entry_does_what_the_model_says() -> None:
    run_state_machine_as_test(
        OrderEntryMachine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            # What takes real time is not made smaller in any time one would wait for.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
