"""Order entry with everything real: a journal on disk, a broker, and a paper gateway over TCP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.test_client import order, resting
from tests.brokers.test_faults import until
from trademind import IBKRBroker, OrderChange, OrderStatus
from trademind.aio import Tasks
from trademind.clock import SystemClock
from trademind.domain import Order, OrderRequest, RiskLimits, SessionState, bracket
from trademind.errors import (
    Conflict,
    ContractNotFound,
    DuplicateOrder,
    NotConnected,
    OrderNotFound,
    OrderRejected,
    StateNotKept,
)
from trademind.gateway.server import PaperGatewayServer
from trademind.journal import Intent, Journal, open_journal, verify
from trademind.trading.audit import Caller
from trademind.trading.earlier import known_orders, pending_orders
from trademind.trading.entry import OrderEntry
from trademind.trading.feed import Feed
from trademind.trading.recorder import Recorder
from trademind.trading.risk import Risk

CLIENT_ID = 5
BY = Caller("a test", "here")


@dataclass
class Desk:
    entry: OrderEntry
    broker: IBKRBroker
    journal: Journal
    risk: Risk
    feed: Feed

    async def place(self, request: OrderRequest) -> tuple[str, OrderStatus, bool]:
        placed = await self.entry.place(request, by=BY)
        return placed.order.id, placed.order.status, placed.is_new

    def known(self, order_id: str) -> Order:
        """How the broker's book has it."""
        order = self.broker._book.order(order_id)
        assert order is not None
        return order


@asynccontextmanager
async def open_desk(
    port: int, folder: Path, *, limits: RiskLimits | None = None, **options: Any
) -> AsyncIterator[Desk]:
    """What a server process has, from its start to its end."""
    clock = SystemClock()
    async with open_journal(folder / "journal.db", clock=clock) as journal:
        broker = IBKRBroker(port=port, client_id=CLIENT_ID, settle_after=0.3, **options)
        known = await known_orders(journal, CLIENT_ID, clock.now())
        pending = await pending_orders(journal, CLIENT_ID)
        broker.remember([*known, *pending])
        async with (
            Recorder(broker, journal, known) as recorder,
            Risk(broker, journal, clock, limits) as risk,
        ):
            await broker.start()
            await until(lambda: broker.session.state is SessionState.READY)
            entry = OrderEntry(broker, journal, risk, clock, pending)
            try:
                yield Desk(entry, broker, journal, risk, recorder.feed)
            finally:
                await broker.disconnect()


@pytest.fixture
async def gateway() -> AsyncIterator[PaperGatewayServer]:
    async with PaperGatewayServer(cash=Decimal(100_000), seed=42) as server:
        yield server


def placed_at(gateway: PaperGatewayServer) -> int:
    """How many orders the gateway has ever been sent."""
    exchange = gateway.core.exchange
    return len({*(o.perm_id for o in exchange.orders()), *(f.perm_id for f in exchange.executions())})


async def test_a_key_makes_one_order_also_over_a_restart(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    """Seen to fail without the journal's answer in `OrderEntry.place`."""
    async with open_desk(gateway.port, tmp_path) as desk:
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, True)
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, False)
    async with open_desk(gateway.port, tmp_path) as desk:
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, False)
        with pytest.raises(DuplicateOrder):
            await desk.place(order(client_order_id="key", quantity=11))
    assert placed_at(gateway) == 1
    assert (await verify(tmp_path / "journal.db")).is_sound


async def test_an_order_of_which_ib_no_longer_tells_is_known_by_the_journal(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Another gateway has never heard of it, as IB has not of last week's orders."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order(client_order_id="key"))
    async with PaperGatewayServer(cash=Decimal(1), seed=1) as other:
        async with open_desk(other.port, tmp_path) as desk:
            assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, False)
            assert (await desk.entry.find("key")).filled_quantity == 10
            with pytest.raises(OrderNotFound):
                await desk.entry.find("nothing")
        assert placed_at(other) == 0


async def test_nothing_is_sent_that_is_not_written_down(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    """Taken out: the wait for `accept`; the order is at the gateway."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.journal.flushed()
        broken = OrderEntry(desk.broker, Broken(tmp_path / "journal.db"), desk.risk, SystemClock())
        with pytest.raises(StateNotKept):
            await broken.place(order(client_order_id="key"), by=BY)
        with pytest.raises(OrderNotFound):
            await desk.broker.get_order("key")
    assert placed_at(gateway) == 0


class Broken(Journal):
    """One whose disk is full."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_journal(path).location)

    async def accept(self, intent: Intent) -> Intent | None:
        raise StateNotKept("no space left on device")


async def test_what_was_refused_before_it_was_sent_may_be_asked_for_again(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        with pytest.raises(ContractNotFound):
            await desk.place(order(symbol="NOSUCH", client_order_id="wrong"))
        assert await desk.place(order(client_order_id="wrong")) == ("wrong", OrderStatus.FILLED, True)
        gateway.core.timeline.clear()
        await desk.broker.disconnect()
        with pytest.raises(NotConnected):
            await desk.place(order(client_order_id="early"))
        await desk.broker.connect()
        assert await desk.place(order(client_order_id="early")) == ("early", OrderStatus.FILLED, True)


def intent_of(request: OrderRequest) -> Intent:
    assert request.client_order_id is not None
    return Intent.to_place(
        request,
        account_id="DUTM00001",
        accepted_at=datetime.now(UTC),
        origin="test",
    )


async def test_an_intent_that_the_wire_has_not_seen_is_never_sent_and_can_be_placed(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """The process died between the journal and the wire. Taken out: `pending_orders`; nothing tells of it."""
    async with open_journal(tmp_path / "journal.db") as journal:
        await journal.accept(intent_of(order(client_order_id="key")))
    async with open_desk(gateway.port, tmp_path) as desk:
        assert (await desk.entry.find("key")).status is OrderStatus.UNKNOWN
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.UNKNOWN, False)
        await until(lambda: desk.broker._book.order("key").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        assert placed_at(gateway) == 0, "it was placed by itself"
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, True)
        assert placed_at(gateway) == 1
        await desk.journal.flushed()
        names = [event.name for event in await desk.entry.events("key")]
    assert names[:2] == ["unknown", "reconciled"]
    assert "fill" in names
    assert (await verify(tmp_path / "journal.db")).is_sound


@pytest.mark.parametrize("is_resting", [True, False])
async def test_an_intent_that_the_wire_has_seen_is_what_ib_says_it_is(
    gateway: PaperGatewayServer, tmp_path: Path, is_resting: bool
) -> None:
    """The process died between the wire and the journal: IB's lists have the order by its reference."""
    request = resting(client_order_id="key") if is_resting else order(client_order_id="key")
    async with open_journal(tmp_path / "journal.db") as journal:
        await journal.accept(intent_of(request))
    async with IBKRBroker(port=gateway.port, client_id=CLIENT_ID) as died:
        await died.place_order(request)
    expected = OrderStatus.SUBMITTED if is_resting else OrderStatus.FILLED
    async with open_desk(gateway.port, tmp_path) as desk:
        assert await desk.place(request) == ("key", expected, False)
        found = await desk.entry.find("key")
        assert (found.contract.con_id, found.external) == (265598, False)
        if is_resting:
            changed = await desk.broker.modify_order("key", OrderChange(quantity=Decimal(20)))
            assert changed.quantity == 20
    assert placed_at(gateway) == 1
    assert (await verify(tmp_path / "journal.db")).is_sound


async def test_the_history_of_an_order_is_told_once_and_in_order(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Over a restart, too: what IB tells again is no event."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(resting(client_order_id="key"))
        await desk.broker.modify_order("key", OrderChange(limit_price=Decimal("1.05")))
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.broker.cancel_order("key")
        await until(lambda: desk.broker._book.order("key").status is OrderStatus.CANCELED)  # type: ignore[union-attr]
        await desk.journal.flushed()
        events = await desk.entry.events("key")
    names = [event.name for event in events if event.name != "updated"]
    assert names[0] == "new"
    assert names.index("accepted") < names.index("replaced") < names.index("canceled") == len(names) - 1
    assert names.count("accepted") == names.count("replaced") == names.count("canceled") == 1
    assert [event.seq for event in events] == sorted({event.seq for event in events})


async def test_an_order_that_is_begun_anew_is_not_taken_for_unsent_after_a_crash(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """It is placed again as `never_sent`, and the process dies as it is being sent. Taken out: `_begin_anew`;
    it is `never_sent` at once, and would be placed a second time."""
    async with open_journal(tmp_path / "journal.db") as journal:
        await journal.accept(intent_of(order(client_order_id="key")))
    async with open_desk(gateway.port, tmp_path) as desk:
        await until(lambda: desk.broker._book.order("key").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        await desk.journal.flushed()
        await desk.entry._begin_anew(["key"])
    async with open_desk(gateway.port, tmp_path) as desk:
        assert (await desk.entry.find("key")).status is OrderStatus.UNKNOWN
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.UNKNOWN, False)
    assert placed_at(gateway) == 0


async def test_while_there_is_no_gateway_the_journal_answers_and_takes_no_new_intents(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "journal.db") as journal:
        await journal.accept(intent_of(order(client_order_id="open")))
        broker = IBKRBroker(port=1, client_id=CLIENT_ID)
        clock = SystemClock()
        risk = Risk(broker, journal, clock)
        entry = OrderEntry(broker, journal, risk, clock, await pending_orders(journal, CLIENT_ID))
        assert (await entry.find("open")).status is OrderStatus.UNKNOWN
        assert (await entry.place(order(client_order_id="open"), by=BY)).is_new is False
        with pytest.raises(NotConnected):
            await entry.place(order(client_order_id="new"), by=BY)
        assert await journal.reading.intent("new") is None
        with pytest.raises(NotConnected):
            await entry.find("new")
        # What this process has refused after writing it down has not been sent, and is of no unknown outcome.
        await journal.accept(intent_of(order(client_order_id="refused")))
        with pytest.raises(NotConnected):
            await entry.place(order(client_order_id="refused"), by=BY)


async def test_more_intents_than_a_page_are_remembered(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "journal.db") as journal:
        for number in range(1200):
            intent = intent_of(order(client_order_id=f"key-{number}"))
            await journal.accept(intent)
        assert len(await pending_orders(journal, CLIENT_ID)) == 1200


A_BRACKET = bracket(resting(client_order_id="b"), take_profit=Decimal(1000))


async def test_a_group_that_the_wire_has_not_seen_is_never_sent_and_can_be_placed(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """The process died between the journal and the wire."""
    async with open_journal(tmp_path / "journal.db") as journal:
        intent = Intent.to_place(
            A_BRACKET.with_key("b"), account_id="DUTM00001", accepted_at=datetime.now(UTC), origin="test"
        )
        assert await journal.accept(intent) is None
    async with open_desk(gateway.port, tmp_path) as desk:
        await until(lambda: desk.broker._book.order("b:tp").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        placed = await desk.entry.place_group(A_BRACKET, by=BY)
        assert placed.is_new
        assert [order.status for order in placed.orders] == [OrderStatus.SUBMITTED] * 2
    async with open_desk(gateway.port, tmp_path) as desk:
        again = await desk.entry.place_group(A_BRACKET, by=BY)
        assert not again.is_new
        assert [(order.id, order.parent_id) for order in again.orders] == [("b", None), ("b:tp", "b")]
    assert placed_at(gateway) == 2


async def test_a_group_that_was_refused_has_used_its_key(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    too_much = bracket(order(quantity=100_000, client_order_id="b"), take_profit=Decimal(1000))
    async with open_desk(gateway.port, tmp_path) as desk:
        with pytest.raises(OrderRejected):
            await desk.entry.place_group(too_much, by=BY)
        again = await desk.entry.place_group(too_much, by=BY)
        assert not again.is_new
        assert [order.status for order in again.orders] == [OrderStatus.REJECTED, OrderStatus.CANCELED]


async def test_a_command_that_is_cut_short_is_in_the_audit(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        placing = Tasks().spawn(desk.entry.place(order(client_order_id="key"), by=BY), name="place")
        await asyncio.sleep(0)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        await desk.journal.flushed()
        (command,) = (await desk.journal.reading.audit()).items
        assert (command.actor, command.origin, command.subject) == ("a test", "here", "key")
        assert command.outcome == "cut_short"


async def test_what_became_of_another_clients_order_is_not_known_when_ib_no_longer_lists_it(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Taken out: orders of other clients in `known_orders`; it is said to be working for ever."""
    async with open_desk(gateway.port, tmp_path) as desk:
        async with IBKRBroker(port=gateway.port, client_id=77) as other:
            theirs = await other.place_order(resting())
        await desk.broker.reconcile()
        key = f"ib-{theirs.perm_id}"
        assert desk.known(key).external
        await desk.journal.flushed()
    async with (
        PaperGatewayServer(cash=Decimal(100_000), seed=42) as next_day,
        open_desk(next_day.port, tmp_path) as desk,
    ):
        await until(lambda: desk.broker._book.order(key) is not None)
        found = await desk.entry.find(key)
        assert (found.status, found.external) == (OrderStatus.UNKNOWN, True)
        with pytest.raises(Conflict):
            await desk.entry.cancel(key, by=BY)
