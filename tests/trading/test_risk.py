"""The risk desk with everything real: orders through entry, a journal on disk, a paper gateway over TCP."""

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.test_client import order, resting
from tests.brokers.test_faults import until
from tests.proxy import Proxy
from tests.trading.test_entry import BY, Desk, intent_of, open_desk, placed_at
from tests.trading.test_entry import gateway as gateway  # a fixture
from trademind import OrderChange, OrderStatus
from trademind.aio import Tasks
from trademind.clock import ManualClock, SystemClock
from trademind.domain import Order, OrderRequest, RiskLimits, TradingMode, bracket
from trademind.errors import (
    Conflict,
    ContractNotFound,
    OrderNotWorking,
    RiskLimitExceeded,
    StateNotKept,
    TradingHalted,
)
from trademind.gateway.faults import Delay, Step
from trademind.gateway.server import PaperGatewayServer
from trademind.journal import StateSet, open_journal
from trademind.trading.risk import Risk


def limits(**terms: Any) -> RiskLimits:
    return RiskLimits(**terms)


async def is_refused(desk: Desk, **terms: object) -> str | None:
    """Which limit refuses an order; None where it is placed."""
    try:
        await desk.place(order(**terms))
    except RiskLimitExceeded as error:
        return str(error.extra["limit"])
    return None


async def test_without_limits_nothing_is_asked_for(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order())
        await desk.risk.set_limits(limits(max_order_quantity=10, price_collar="0.1"), by=BY)
        await desk.place(order())  # at the market: no price to look at
        assert [usage.used for usage in desk.broker.line_usage()] == [0] * 4
        assert await is_refused(desk, order_type="LMT", limit_price=999) == "price_collar"
        assert desk.broker.line_usage()[0].used == 1


async def test_what_is_refused_is_not_written_down(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    async with open_desk(gateway.port, tmp_path, limits=limits(max_order_quantity=9)) as desk:
        with pytest.raises(RiskLimitExceeded):
            await desk.place(order(client_order_id="key"))
        assert await desk.journal.reading.intent("key") is None
        assert await desk.place(order(client_order_id="key", quantity=9)) == ("key", OrderStatus.FILLED, True)
    assert placed_at(gateway) == 1


async def test_of_orders_that_fit_one_by_one_and_not_together_one_passes(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Taken out: the lines of what is held; all of them pass."""
    async with open_desk(gateway.port, tmp_path, limits=limits(max_position_quantity=10)) as desk:
        answers = await asyncio.gather(
            *(desk.place(order(client_order_id=f"key-{n}")) for n in range(5)), return_exceptions=True
        )
        assert sum(isinstance(answer, RiskLimitExceeded) for answer in answers) == 4, answers
        (position,) = await desk.broker.get_positions()
        assert position.quantity == 10
    assert placed_at(gateway) == 1


async def test_orders_per_minute_are_those_that_were_sent(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path, limits=limits(max_orders_per_minute=2)) as desk:
        for symbol in ("NOSUCH", "NOSUCH", "AAPL"):
            with suppress(ContractNotFound):
                await desk.place(order(symbol=symbol))
        answers = await asyncio.gather(desk.place(order()), desk.place(order()), return_exceptions=True)
        (refused,) = [answer for answer in answers if isinstance(answer, RiskLimitExceeded)]
        assert refused.retry_after is not None
        assert 0 < refused.retry_after <= 60


async def test_a_minute_passes(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        clock = ManualClock(SystemClock().now())
        risk = Risk(desk.broker, desk.journal, clock, limits(max_orders_per_minute=1))
        with await risk.admit(order()) as admission:
            admission.confirm()
        with pytest.raises(RiskLimitExceeded):
            await risk.admit(order())
        clock.advance(timedelta(seconds=60))
        await risk.admit(order())


async def test_exposure_counts_what_is_held_and_priced_by_a_quote(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """The price of what was bought a moment ago is the market's."""
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order(symbol="MSFT", quantity=10))
        usage = await desk.risk.usage()
        assert usage.largest_position_quantity == 10
        assert usage.open_orders == 0
        quote = await desk.broker.get_quote(order(symbol="MSFT").query)
        assert quote.bid is not None
        worth = 10 * Decimal(str(quote.bid))
        await desk.risk.set_limits(limits(max_gross_exposure=worth), by=BY)
        assert await is_refused(desk, quantity=1) == "max_gross_exposure"
        assert await is_refused(desk, symbol="MSFT", side="SELL", quantity=10) is None


async def test_a_fill_counts_whichever_message_tells_of_it_first(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """The order is filled by its status, and neither fill nor position have come. Taken out: `_unseen`; the
    second order passes."""
    late = Delay(timedelta(minutes=1))
    for message in ("execDetails", "position", "updatePortfolio", "commissionReport"):
        gateway.core.timeline.add(Step(do=late, message=message, times=None))
    async with open_desk(gateway.port, tmp_path, limits=limits(max_position_quantity=10)) as desk:
        assert (await desk.place(order()))[1] is OrderStatus.FILLED
        assert await desk.broker.get_positions() == ()
        assert await is_refused(desk, quantity=1) == "max_position_quantity"


# The kill switch ---------------------------------------------------------------------------------


async def test_a_halt_stops_orders_and_no_answers(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    """A known key has its order, a new one is refused, and so is one that was never sent."""
    async with open_journal(tmp_path / "journal.db") as journal:
        await journal.accept(intent_of(order(client_order_id="unsent")))
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(order(client_order_id="before"))
        await until(lambda: desk.broker._book.order("unsent").status is OrderStatus.NEVER_SENT)  # type: ignore[union-attr]
        await desk.risk.halt("something is odd", by=BY)
        assert await desk.place(order(client_order_id="before")) == ("before", OrderStatus.FILLED, False)
        for key in ("new", "unsent"):
            with pytest.raises(TradingHalted, match="something is odd"):
                await desk.place(order(client_order_id=key))
        assert await desk.journal.reading.intent("new") is None
        await desk.risk.resume(by=BY)
        assert await desk.place(order(client_order_id="unsent")) == ("unsent", OrderStatus.FILLED, True)
    assert placed_at(gateway) == 2


async def test_a_halt_holds_over_a_restart_until_it_is_ended(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.risk.halt("something is odd", by=BY)
        halted = desk.risk.state
    async with open_desk(gateway.port, tmp_path) as desk:
        assert desk.risk.state == halted
        with pytest.raises(TradingHalted):
            await desk.place(order())
        await desk.risk.resume(by=BY)
    async with open_desk(gateway.port, tmp_path) as desk:
        assert desk.risk.state.mode is TradingMode.NORMAL
        await desk.place(order())


async def test_limits_that_were_set_hold_over_a_restart_whatever_the_settings_say(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    theirs, ours = limits(max_order_quantity=5), limits(max_order_quantity=7, denied_symbols=["GME"])
    async with open_desk(gateway.port, tmp_path, limits=theirs) as desk:
        assert (desk.risk.limits, desk.risk.is_from_settings) == (theirs, True)
        await desk.risk.set_limits(ours, by=BY)
    async with open_desk(gateway.port, tmp_path, limits=theirs) as desk:
        assert (desk.risk.limits, desk.risk.is_from_settings) == (ours, False)
        await desk.risk.set_limits(None, by=BY)
        assert desk.risk.limits == theirs
    async with open_desk(gateway.port, tmp_path, limits=theirs) as desk:
        assert (desk.risk.limits, desk.risk.is_from_settings) == (theirs, True)


async def test_what_cannot_be_read_halts(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    async with open_journal(tmp_path / "journal.db") as journal:
        journal.note(StateSet("risk.limits", {"max_order_quantity": 7}))
    async with open_desk(gateway.port, tmp_path) as desk:
        assert desk.risk.state.mode is TradingMode.HALTED
        assert "max_order_quantity" in desk.risk.state.reason


def meanwhile(patched: pytest.MonkeyPatch, owner: object, name: str, what: Callable[[], Any]) -> None:
    """Have `what` happen once, while the next call of a method is under way."""
    method = getattr(owner, name)

    async def with_something(*arguments: Any, **named: Any) -> Any:
        patched.setattr(owner, name, method)
        answer = await method(*arguments, **named)
        if inspect.isawaitable(done := what()):
            await done
        return answer

    patched.setattr(owner, name, with_something)


async def test_a_halt_between_the_journal_and_the_wire_is_in_time(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: `confirm` in `OrderEntry.place`; the order is sent."""
    async with open_desk(gateway.port, tmp_path) as desk:
        meanwhile(monkeypatch, desk.journal, "accept", lambda: desk.risk.halt("just now", by=BY))
        with pytest.raises(TradingHalted):
            await desk.place(order(client_order_id="key"))
        assert placed_at(gateway) == 0
        assert await desk.journal.reading.intent("key") is not None
        await desk.risk.resume(by=BY)
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, True)


async def test_a_mode_that_comes_between_the_journal_and_the_wire_is_in_time(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the look at the mode in `Admissions.confirm`; the order is sent."""
    async with open_desk(gateway.port, tmp_path) as desk:
        meanwhile(monkeypatch, desk.journal, "accept", lambda: desk.risk._enter_reducing(Decimal(-1)))
        assert await is_refused(desk) == "mode"
    assert placed_at(gateway) == 0


async def test_limits_that_are_set_while_an_order_is_checked_hold_for_it(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the second look at what holds in `Admissions.admit`; the order passes."""
    async with open_desk(gateway.port, tmp_path, limits=limits(max_order_notional=10_000)) as desk:
        stricter = limits(max_order_quantity=9)
        meanwhile(monkeypatch, desk.broker, "get_quote", lambda: desk.risk.set_limits(stricter, by=BY))
        assert await is_refused(desk) == "max_order_quantity"


async def test_a_halt_is_not_ended_by_who_asked_before_it_came(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.risk.halt("once", by=BY)
        meanwhile(monkeypatch, desk.broker, "get_pnl", lambda: desk.risk.halt("and again", by=BY))
        with pytest.raises(Conflict):
            await desk.risk.resume(by=BY)
        assert (desk.risk.state.mode, desk.risk.state.reason) == (TradingMode.HALTED, "and again")


async def test_what_is_being_handed_over_is_cancelled_too(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The halt comes when the broker has been given the order and no book has it yet."""
    async with open_desk(gateway.port, tmp_path) as desk:
        place_order, halting = desk.broker.place_order, Tasks()

        async def halt_and_place(request: OrderRequest) -> Order:
            halting.spawn(desk.risk.halt("now", by=BY, cancel_open=True), name="halt")
            return await place_order(request)

        monkeypatch.setattr(desk.broker, "place_order", halt_and_place)
        with suppress(OrderNotWorking):
            await desk.place(resting(client_order_id="key"))
        await halting.finish(grace=5)
        assert (await desk.broker.get_order("key")).status.is_done
        assert not gateway.core.exchange.orders()


async def test_what_waits_for_its_turn_is_withdrawn_by_a_halt(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Taken out: the withdrawal in `Risk.halt`; all of them are sent in the end."""
    async with open_desk(gateway.port, tmp_path, max_requests_per_second=10) as desk:
        await desk.broker.qualify(resting().query)
        tasks = Tasks()
        placing = [
            tasks.spawn(desk.place(resting(client_order_id=key)), name=key, expected=OrderNotWorking)
            for key in (f"key-{number}" for number in range(30))
        ]
        await until(lambda: sum(o.is_queued for o in desk.broker._book.orders()) > 10)
        done = await desk.risk.halt("now", by=BY)
        answers = await asyncio.gather(*placing, return_exceptions=True)
        withdrawn = [answer for answer in answers if isinstance(answer, OrderNotWorking)]
        assert len(withdrawn) == len(done.canceled) > 10
        sent = sum(isinstance(answer, tuple) for answer in answers)
        assert placed_at(gateway) == sent == 30 - len(withdrawn)
        assert (done.not_canceled, done.error) == ((), None)


async def test_cancels_pass_and_a_halt_may_cancel_everything(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        for key in ("one", "two", "three"):
            await desk.place(resting(client_order_id=key))
        assert (await desk.risk.halt("now", by=BY)).canceled == ()
        await desk.broker.cancel_order("one")
        done = await desk.risk.halt("all of it", by=BY, cancel_open=True)
        assert {each.id for each in done.canceled} == {"two", "three"}
        assert (done.not_canceled, done.error) == ((), None)
        await until(lambda: not gateway.core.exchange.orders())


async def test_a_halt_stands_while_the_gateway_is_away(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    async with open_desk(gateway.port, tmp_path) as desk:
        await desk.place(resting(client_order_id="one"))
        await desk.broker.disconnect()
        done = await desk.risk.halt("now", by=BY, cancel_open=True)
        assert done.error is not None
        assert (desk.risk.state.mode, desk.risk.is_kept) == (TradingMode.HALTED, True)


async def test_a_full_disk_stops_no_halt(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the watch's second try; it is never kept."""
    async with open_desk(gateway.port, tmp_path) as desk:

        def full(*_: object, **__: object) -> None:
            raise StateNotKept("no space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(desk.journal, "note", full)
            await desk.risk.halt("now", by=BY)
            assert not desk.risk.is_kept
            with pytest.raises(TradingHalted):
                await desk.place(order())
        await until(lambda: desk.risk.is_kept)
    async with open_desk(gateway.port, tmp_path) as desk:
        assert desk.risk.state.mode is TradingMode.HALTED


# The day's loss ----------------------------------------------------------------------------------


async def test_from_the_largest_loss_of_a_day_on_positions_may_only_shrink(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    async with open_desk(gateway.port, tmp_path, limits=limits(max_daily_loss=300)) as desk:
        await desk.place(order(quantity=100))
        gateway.core.control.set_price("AAPL", Decimal(200))
        await until(lambda: desk.risk.state.mode is TradingMode.REDUCING)
        assert desk.risk.state.by == "max_daily_loss"
        assert await is_refused(desk, quantity=1) == "mode"
        assert await is_refused(desk, side="SELL", quantity=101) == "mode"
        assert await is_refused(desk, side="SELL", quantity=40) is None
        with pytest.raises(Conflict, match="raise the limit"):
            await desk.risk.resume(by=BY)
        await desk.risk.halt("and by hand", by=BY)
        await desk.risk.resume(by=BY)
        assert desk.risk.state.mode is TradingMode.REDUCING
    async with open_desk(gateway.port, tmp_path, limits=limits(max_daily_loss=300)) as desk:
        assert desk.risk.state.mode is TradingMode.REDUCING
        await desk.risk.set_limits(limits(max_daily_loss=100_000), by=BY)
        assert await is_refused(desk, quantity=1) == "mode"
        await desk.risk.resume(by=BY)
        assert await is_refused(desk, quantity=1) is None


# Changes -----------------------------------------------------------------------------------------


async def test_changes_are_checked_and_lowering_always_passes(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    strict = limits(max_position_quantity=12, price_collar="0.5")
    async with open_desk(gateway.port, tmp_path, limits=strict) as desk:
        await desk.place(resting(client_order_id="key"))

        async def change(**terms: Any) -> Decimal:
            return (await desk.entry.modify("key", OrderChange(**terms), by=BY)).quantity

        assert await change(quantity=12) == 12  # the order itself does not count twice
        with pytest.raises(RiskLimitExceeded, match="max_position_quantity"):
            await change(quantity=13)
        with pytest.raises(RiskLimitExceeded, match="price_collar"):
            await change(limit_price=999)
        assert await is_refused(desk, quantity=1) == "max_position_quantity"
        await desk.risk.halt("now", by=BY)
        with pytest.raises(TradingHalted):
            await change(limit_price=2)
        assert await change(quantity=5) == 5


async def test_a_change_under_way_counts(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    """Taken out: the line of what the change adds; both pass."""
    async with open_desk(gateway.port, tmp_path, limits=limits(max_position_quantity=20)) as desk:
        await desk.place(resting(client_order_id="key", quantity=9))
        await desk.entry.modify("key", OrderChange(quantity=Decimal(10)), by=BY)
        answers = await asyncio.gather(
            desk.entry.modify("key", OrderChange(quantity=Decimal(20)), by=BY),
            desk.place(resting(client_order_id="other")),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, RiskLimitExceeded) for answer in answers) == 1, answers


async def test_hours_that_are_over_are_asked_for_again(gateway: PaperGatewayServer, tmp_path: Path) -> None:
    """Of days that IB does not tell of nothing is known, and nothing passes."""
    async with open_desk(gateway.port, tmp_path) as desk:
        known = await desk.broker.qualify(order().query)
        assert await desk.broker.qualify(order().query) is known
        assert await desk.broker.qualify(order().query, fresh=True) is not known
        market = ManualClock(gateway.core.clock.now())
        risk = Risk(desk.broker, desk.journal, SystemClock(), limits(trading_hours="extended"), market=market)
        await risk.admit(order())
        market.advance(timedelta(days=90))
        before = await desk.broker.qualify(order().query)
        with pytest.raises(RiskLimitExceeded, match="is not known"):
            await risk.admit(order())
        assert await desk.broker.qualify(order().query) is not before


async def test_a_halt_withdraws_a_group_that_is_held_back(
    gateway: PaperGatewayServer, tmp_path: Path
) -> None:
    """Taken out: groups in `_is_on_its_way`; the group is released after the halt was answered."""
    async with Proxy(gateway.port) as proxy, open_desk(proxy.port, tmp_path) as desk:
        held: list[list[str]] = []

        def hold_the_preview(fields: list[str]) -> list[str] | None:
            if any(field.startswith("b") for field in fields):
                return fields
            held.append(fields)
            return None

        proxy.from_gateway[5] = hold_the_preview
        group = bracket(order(client_order_id="b"), take_profit=Decimal(1000))
        placing = Tasks().spawn(desk.entry.place_group(group, by=BY), name="place", expected=Exception)
        await until(lambda: held)
        await desk.risk.halt("now", by=BY)
        proxy.say(*held[0])
        with pytest.raises(OrderNotWorking):
            await placing
        assert [desk.known(key).status for key in ("b", "b:tp")] == [OrderStatus.CANCELED] * 2
        await until(lambda: not gateway.core.exchange.staged())
        assert placed_at(gateway) == 0


async def test_limits_that_come_while_an_order_is_on_its_way_are_not_passed_by_it(
    gateway: PaperGatewayServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken out: the limits in `Admissions.check`; the order is sent."""
    async with open_desk(gateway.port, tmp_path) as desk:
        strict = limits(max_order_quantity=1)
        meanwhile(monkeypatch, desk.journal, "accept", lambda: desk.risk.set_limits(strict, by=BY))
        with pytest.raises(RiskLimitExceeded, match="changed"):
            await desk.place(order(client_order_id="key"))
        assert placed_at(gateway) == 0
        assert await is_refused(desk) == "max_order_quantity"
        await desk.risk.set_limits(None, by=BY)
        assert await desk.place(order(client_order_id="key")) == ("key", OrderStatus.FILLED, True)
