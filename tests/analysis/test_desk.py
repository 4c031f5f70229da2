"""Signals on demand, followed up, and kept: a real paper gateway, a real journal, real processes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.analysis.stage import AAPL, ENDLESS, EVERY, MSFT, every, signals_of
from tests.brokers.stage import open_stage
from trademind import ContractQuery
from trademind.analysis.watchlist import Watch
from trademind.domain import Channel, SecType, SignalOutcome, State
from trademind.domain.signals import Action
from trademind.errors import ContractNotFound, Invalid, StrategyNotFound
from trademind.journal import BarsStored
from trademind.signals import BUILT_IN, BarArrays, Outcome


async def test_every_strategy_says_how_an_instrument_stands(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        desk = signals.opened.desk
        looks = await desk.look(AAPL, desk.every_plan("1 hour"))
        assert [look.plan.strategy for look in looks] == [*BUILT_IN, "every"]
        for look in looks:
            assert (look.outcome, look.error, look.symbol) == (Outcome.DONE, None, "AAPL")
            assert look.bars >= 250
            assert look.signal is not None
            assert look.signal.reasons
            # The last bar that is closed at 15:30, half a minute later.
            assert look.signal.bar_time <= signals.clock.now() - timedelta(hours=1, seconds=30)
            is_due = look.signal.action is not Action.HOLD
            assert (look.tracked is not None) == is_due


async def test_a_signal_is_told_once_whoever_asks_and_however_often(tmp_path: Path) -> None:
    async with open_stage() as stage:
        async with signals_of(stage, tmp_path) as signals:
            first, second = await asyncio.gather(signals.say(), signals.say())
            again = await signals.say()
            assert first.id == second.id == again.id
            assert await signals.names() == ["new"]
            other = await signals.say(expiry=4)
            assert other.id != first.id
        async with signals_of(stage, tmp_path) as signals:
            assert (await signals.say()).id == first.id
            assert await signals.names() == ["new", "new"]
            # Who follows the channel is told how signals stand, from before the restart, too.
            async with signals.feed.stream(Channel.SIGNALS) as stream:
                state = await anext(stream)
            assert isinstance(state, State)
            assert [each.id for each in state.values] == [other.id, first.id]  # type: ignore[union-attr]


async def test_its_size_is_by_the_risk_of_a_trade(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, risk_per_trade="0.001") as signals:
        signal = await signals.say()
        equity = (await signals.broker.get_account()).net_liquidation
        entry, stop = signal.signal.entry, signal.signal.stop
        assert equity is not None
        assert entry is not None
        assert stop is not None
        assert signal.quantity == int(float(equity) * 0.001 / (entry - stop))
        assert (await signals.say(stop=0)).quantity is None


async def test_what_becomes_of_it(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        first = await signals.say(stop=50, target=50)
        signals.clock.advance(timedelta(minutes=1))
        second = await signals.say(stop=50, target=50)
        assert await signals.names() == ["new", "new", "superseded"]
        signals.clock.advance(timedelta(minutes=30))
        await signals.scheduler.look()  # it is followed, although it is not watched
        kept = await signals.journal.signals.history()
        assert [(each.id, each.outcome) for each in kept.items] == [
            (second.id, SignalOutcome.EXPIRED),
            (first.id, SignalOutcome.SUPERSEDED),
        ]
        assert kept.items[0].outcome_at == second.signal.expires_at
        assert signals.service._ledger.open == ()
        narrow = await signals.say(stop=0.01, target=0.01, expiry=100)
        signals.clock.advance(timedelta(minutes=60))
        await signals.scheduler.look()
        over = await signals.journal.signals.get(narrow.id)
        assert over is not None
        assert over.outcome in (SignalOutcome.STOPPED, SignalOutcome.TARGET)
        assert over.outcome_price is not None
        assert (await signals.told())[-1].data == over


async def test_a_signal_of_a_bar_long_past_is_not_told(tmp_path: Path) -> None:
    """As of an instrument that is halted: its last bar is old."""
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        desk = signals.opened.desk
        plan = desk.plan(every(expiry=1))
        series = await desk.series(AAPL, "1 min")
        signals.clock.advance(timedelta(minutes=10))
        look = await desk.look_at(series, plan)
        assert look.signal is not None
        assert (look.signal.action, look.tracked) == (Action.BUY, None)
        assert await signals.names() == []


async def test_a_series_grows_by_its_new_bars(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        desk = signals.opened.desk
        before = await desk.series(AAPL, "1 min")
        asked = len(stage.asked("reqHistoricalData"))
        assert await desk.series(AAPL, "1 min") is before
        assert len(stage.asked("reqHistoricalData")) == asked
        signals.clock.advance(timedelta(minutes=3))
        after = await desk.series(AAPL, "1 min")
        assert len(after.bars) == len(before.bars)
        assert after.bars.time[-1] - before.bars.time[-1] == 180
        assert (after.bars.close[:-3] == before.bars.close[3:]).all()
        # The past has become another one: all is read anew.
        desk._series._kept[AAPL, "1 min"] = replace(after, bars=_doubled(after.bars))
        signals.clock.advance(timedelta(minutes=1))
        adjusted = await desk.series(AAPL, "1 min")
        assert (adjusted.bars.close[:-1] == after.bars.close[1:]).all()


def _doubled(bars: BarArrays) -> BarArrays:
    return replace(bars, **{name: 2 * getattr(bars, name) for name in ("open", "high", "low", "close")})


async def test_what_is_refused(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        desk = signals.opened.desk
        with pytest.raises(StrategyNotFound, match="every"):
            desk.plan(Watch(strategy="nope", parameters={}, bar_size="1 day"))
        with pytest.raises(Invalid, match="bar_size"):
            desk.plan(every(bar_size="5 secs"))
        with pytest.raises(Invalid, match="expiry"):
            desk.plan(every(expiry=0))
        with pytest.raises(ContractNotFound):
            await desk.look(ContractQuery(symbol="NOSUCH"), [desk.plan(every())])


async def test_a_scan_says_of_each_what_went_wrong(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        desk = signals.opened.desk
        looks = await desk.scan([AAPL, ContractQuery(symbol="NOSUCH"), MSFT], [desk.plan(every())])
        assert [(look.symbol, look.code, look.tracked is not None) for look in looks] == [
            ("AAPL", None, True),
            ("NOSUCH", "contract_not_found", False),
            ("MSFT", None, True),
        ]


async def test_one_that_never_returns_disturbs_no_other(tmp_path: Path) -> None:
    files = {"every": EVERY, "endless": ENDLESS}
    async with open_stage() as stage, signals_of(stage, tmp_path, files=files) as signals:
        desk = signals.opened.desk
        desk.strategies._process._deadline = desk.strategies._process._load_deadline = 0.5
        looks = {look.plan.strategy: look for look in await desk.look(AAPL, desk.every_plan("1 hour"))}
        assert (looks["endless"].code, looks["endless"].signal) == ("timed_out", None)
        assert looks["endless"].error == "It did not return within 0.5 s, and was ended."
        assert all(look.error is None for name, look in looks.items() if name != "endless")
        again = {look.plan.strategy: look for look in await desk.look(AAPL, desk.every_plan("1 hour"))}
        assert list(again)[-1] == "endless"
        assert again["endless"].code == "switched_off"


async def test_a_bar_without_a_price_is_said_and_no_strategy_sees_it(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        archive, now = signals.archive, signals.clock.now()
        source = await archive.source(AAPL, bar_size="1 min", what_to_show="TRADES", use_rth=True)
        await archive.page(source, now - timedelta(hours=3), now, limit=500)
        at = int((now - timedelta(hours=1)).timestamp())
        nothing = (at, None, None, None, None, None, None, None)
        await signals.journal.written(
            BarsStored(series=source.series, rows=(nothing,), since=at, until=at + 60)
        )
        desk = signals.opened.desk
        looks = await desk.scan([AAPL, MSFT], [desk.plan(every())])
        assert [(look.symbol, look.code) for look in looks] == [("AAPL", "invalid"), ("MSFT", None)]
        assert "open: is no number in the bar of 2026-11-23 14:30" in str(looks[0].error)


async def test_currencies_are_followed_by_their_midpoints(tmp_path: Path) -> None:
    """Whether they are asked for by their symbol or, as what was told is followed, by their con id."""
    euro = ContractQuery(symbol="EUR", sec_type=SecType.CASH)
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        signal = await signals.say(euro, stop=50, target=50)
        by_con_id = await signals.opened.desk.series(ContractQuery(con_id=signal.signal.con_id), "1 min")
        assert by_con_id.source.series.what_to_show == "MIDPOINT"
        assert by_con_id.bars.moment(len(by_con_id.bars) - 1) == signal.signal.bar_time


async def test_an_order_and_an_outcome_at_the_same_time_are_both_kept(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        signal, ledger = await signals.say(), signals.service._ledger
        await asyncio.gather(
            ledger.ordered(signal.id, signal.id),
            ledger.settle(signal.id, SignalOutcome.EXPIRED, signal.signal.expires_at),
            ledger.settle(signal.id, SignalOutcome.SUPERSEDED, signal.signal.expires_at),
            ledger.ordered(signal.id, "another"),
        )
        kept = await signals.journal.signals.get(signal.id)
        assert kept is not None
        assert (kept.order_key, kept.outcome) == (signal.id, SignalOutcome.EXPIRED)
        assert await signals.names() == ["new", "ordered", "expired"]
