"""Signals as orders: one for each, with its stop and target, and by themselves only where that is wanted."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.stage import AAPL, SOMEBODY, Signals, every, signals_of
from tests.brokers.stage import open_stage
from tests.gateway.bench import until
from trademind.analysis.execution import Wanted
from trademind.analysis.watchlist import Watchlist
from trademind.domain import DataSource, OrderStatus, RiskLimits, Side
from trademind.errors import Invalid, SignalNotFound, SignalOver, TradingHalted
from trademind.trading.risk import Risk

SMALL: dict[str, Any] = {"risk_per_trade": "0.001"}


async def until_held(signals: Signals, quantity: Any) -> None:
    positions = signals.broker._book.positions
    await until(lambda: sum(each.quantity for each in positions()) == quantity)


async def test_a_bracket_with_its_stop_and_target_and_only_one(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        signal = await signals.say()
        made = await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)
        again = await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)
        assert (made.is_new, again.is_new) == (True, False)
        assert [order.id for order in made.orders] == [order.id for order in again.orders]
        entry, profit, loss = made.orders
        assert entry.client_order_id == signal.id == made.tracked.order_key
        assert (entry.side, entry.quantity, entry.order_type) == (Side.BUY, signal.quantity, "MKT")
        assert signal.signal.target is not None
        assert signal.signal.stop is not None
        assert profit.limit_price == Decimal(f"{signal.signal.target:.2f}")
        assert loss.stop_price == Decimal(f"{signal.signal.stop:.2f}")
        assert (profit.tif, loss.tif) == ("GTC", "GTC")
        assert await signals.names() == ["new", "ordered"]
        assert len(await signals.broker.get_orders()) == 3
        # It is what its key has made, also when the signal is over by now.
        signals.clock.advance(timedelta(minutes=10))
        assert not (await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)).is_new


async def test_what_is_asked_for_beside_the_signal(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        signal = await signals.say(stop=0, target=0)
        with pytest.raises(Invalid, match="quantity"):
            await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)
        wanted = Wanted(quantity=Decimal(7), limit_price=Decimal("1.25"))
        made = await signals.opened.orders.order(signal.id, wanted, by=SOMEBODY)
        (order,) = made.orders
        assert (order.order_type, order.quantity, order.limit_price) == (
            "LMT",
            Decimal(7),
            Decimal("1.25"),
        )


async def test_what_is_refused(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        orders = signals.opened.orders
        with pytest.raises(SignalNotFound):
            await orders.order("sig-nope", Wanted(), by=SOMEBODY)
        old = await signals.say(stop=50, target=50)
        signals.clock.advance(timedelta(minutes=1))
        signal = await signals.say(stop=50, target=50)
        with pytest.raises(SignalOver, match="superseded"):
            await orders.order(old.id, Wanted(), by=SOMEBODY)
        signals.clock.advance(timedelta(minutes=4))
        with pytest.raises(SignalOver, match="expired"):
            await orders.order(signal.id, Wanted(), by=SOMEBODY)
        assert await signals.broker.get_orders() == ()


async def test_the_risk_desk_has_its_say(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        signal = await signals.say()
        risk: Risk = signals.orders._risk
        await risk.halt("a test", by=SOMEBODY)
        with pytest.raises(TradingHalted):
            await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)
        assert await signals.names() == ["new"]
        await risk.resume(by=SOMEBODY)
        assert risk.limits == RiskLimits()
        assert (await signals.opened.orders.order(signal.id, Wanted(), by=SOMEBODY)).is_new


async def test_close_closes_the_position_and_what_works_for_it(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        orders = signals.opened.orders
        nothing = await orders.order((await signals.say(action="close")).id, Wanted(), by=SOMEBODY)
        assert (nothing.orders, nothing.is_new) == ((), False)
        bought = await signals.say()
        await orders.order(bought.id, Wanted(), by=SOMEBODY)
        await until_held(signals, bought.quantity)
        signals.clock.advance(timedelta(minutes=1))
        closing = await signals.say(action="close")
        made = await orders.order(closing.id, Wanted(), by=SOMEBODY)
        assert [(order.side, order.quantity) for order in made.orders] == [(Side.SELL, bought.quantity)]
        await until_held(signals, 0)
        assert not (await orders.order(closing.id, Wanted(), by=SOMEBODY)).is_new
        assert await signals.broker.get_orders(working=True) == ()


async def test_by_itself_once_and_until_the_position_is_what_it_says(tmp_path: Path) -> None:
    async with open_stage() as stage:
        async with signals_of(stage, tmp_path, **SMALL) as signals:
            plan = Watchlist(instruments=(AAPL,), strategies=(every(auto=True, stop=20, target=20),))
            await signals.service.watch(plan)
            await until(lambda: any(each.order_key for each in signals.service._ledger.open))
            (bought,) = signals.service._ledger.open
            await until_held(signals, bought.quantity)
            signals.clock.advance(timedelta(minutes=1))
            await signals.scheduler.look()
            # It is held already: the next signal says nothing new.
            assert (await signals.names()).count("ordered") == 1
            assert len(await signals.broker.get_orders()) == 3
        async with signals_of(stage, tmp_path, **SMALL) as signals:
            await signals.scheduler.look()
            assert (await signals.names()).count("ordered") == 1
            assert len(await signals.broker.get_orders()) == 3
            # On the other side: what is held is sold, with what works for it, and then as much again.
            other = every(auto=True, action="sell", stop=20, target=20)
            await signals.service.watch(Watchlist(instruments=(AAPL,), strategies=(other,)))
            await until(lambda: any(each.order_key for each in signals.service._ledger.open))
            (sold,) = [each for each in signals.service._ledger.open if each.order_key]
            assert sold.quantity is not None
            await until_held(signals, -sold.quantity)
            working = await signals.broker.get_orders(working=True)
            assert {(order.side, order.parent_id) for order in working} == {(Side.BUY, sold.id)}


async def test_not_by_itself_unless_wanted(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, **SMALL) as signals:
        await signals.service.watch(Watchlist(instruments=(AAPL,), strategies=(every(),)))
        await until(lambda: signals.service._ledger.open)
        await signals.scheduler.look()
        assert await signals.broker.get_orders() == ()


@pytest.mark.parametrize(
    ("source", "live", "may"),
    [
        (DataSource.PAPER, False, True),
        (DataSource.IB_PAPER, False, True),
        (DataSource.IB_LIVE, False, False),
        (DataSource.IB_LIVE, True, True),
        (None, True, False),
    ],
)
async def test_in_a_live_account_only_where_that_is_allowed(
    tmp_path: Path, source: DataSource | None, live: bool, may: bool
) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, live=live, **SMALL) as signals:
        signal = await signals.say()
        session = replace(signals.broker.session, source=source)

        class Elsewhere:
            """The broker there is, in another kind of account."""

            def __getattr__(self, name: str) -> Any:
                return session if name == "session" else getattr(signals.broker, name)

        signals.opened.orders._broker = Elsewhere()
        made = await signals.opened.orders.automatically(signal)
        assert (made is not None) == may
        orders = await signals.broker.get_orders()
        assert bool(orders) == may
        assert all(order.status is not OrderStatus.REJECTED for order in orders)
