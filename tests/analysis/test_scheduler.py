"""The watch list: looked at when a bar closes, by itself, once after a pause, and whatever fails."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tests.analysis.stage import AAPL, ENDLESS, EVERY, MSFT, every, signals_of
from tests.brokers.stage import open_stage
from tests.gateway.bench import until
from trademind import ContractQuery
from trademind.analysis.watchlist import Watch, Watchlist
from trademind.domain import TrackedSignal
from trademind.errors import Invalid, StrategyNotFound

MINUTE = timedelta(minutes=1)


def watching(*instruments: ContractQuery, **watch: object) -> Watchlist:
    return Watchlist(instruments=instruments, strategies=(every(**watch),))  # type: ignore[arg-type]


async def test_every_closed_bar_is_looked_at_once(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        await signals.service.watch(watching(AAPL, MSFT))
        await until(lambda: len(signals.service._ledger.open) == 2)
        for count in range(1, 4):
            await signals.scheduler.look()
            await signals.scheduler.look()
            new = [event.data for event in await signals.told() if event.name == "new"]
            assert len(new) == 2 * count
            signals.clock.advance(MINUTE)
            await signals.scheduler.look()


async def test_it_looks_by_itself(tmp_path: Path) -> None:
    """Nobody tells it to: the clock moves on, and half a minute after each bar there is a signal."""
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        await signals.service.watch(watching(AAPL))
        ledger = signals.service._ledger
        await until(lambda: ledger.open)
        (first,) = ledger.open
        signals.clock.advance(MINUTE)
        await until(lambda: ledger.open[0].id != first.id)
        (second,) = ledger.open
        assert second.signal.bar_time - first.signal.bar_time == MINUTE


async def test_what_was_asked_for_is_followed_by_itself(tmp_path: Path) -> None:
    """Nothing is on the watch list."""
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        await signals.say(stop=50, target=50)
        assert signals.service._ledger.open
        signals.clock.advance(10 * MINUTE)
        await until(lambda: not signals.service._ledger.open)
        assert await signals.names() == ["new", "expired"]


async def test_after_a_pause_there_is_one_look(tmp_path: Path) -> None:
    async with open_stage() as stage:
        async with signals_of(stage, tmp_path) as signals:
            await signals.service.watch(watching(AAPL, expiry=100))
            await until(lambda: signals.service._ledger.open)
            (first,) = signals.service._ledger.open
        stage.move(45 * 60)
        async with signals_of(stage, tmp_path) as signals:
            # The watch list is kept, and the server looks at it by itself.
            assert not signals.service.is_watchlist_from_settings
            await until(lambda: [each.id != first.id for each in signals.service._ledger.open] == [True])
            await signals.scheduler.look()
            events = await signals.told()
        assert sorted(event.name for event in events) in (
            ["new", "new", "superseded"],
            ["new", "new", "stopped"],
            ["new", "new", "target"],
        )
        made = [event.data for event in events if event.name == "new"]
        assert isinstance(made[0], TrackedSignal)
        assert isinstance(made[1], TrackedSignal)
        assert made[1].signal.bar_time - made[0].signal.bar_time == 45 * MINUTE


async def test_what_cannot_be_had_stays_due(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path) as signals:
        await signals.service.watch(watching(ContractQuery(symbol="NOSUCH"), AAPL))
        await until(lambda: signals.service._ledger.open)
        # There will be no such contract in five seconds either.
        assert await signals.scheduler.look()
        await signals.broker.disconnect()
        signals.clock.advance(MINUTE)
        assert not await signals.scheduler.look()
        assert [each.signal.symbol for each in signals.service._ledger.open] == ["AAPL"]
        await signals.broker.connect()
        assert await signals.scheduler.look()
        assert (await signals.names()).count("new") == 2


async def test_one_that_never_returns_holds_up_no_other(tmp_path: Path) -> None:
    files = {"every": EVERY, "endless": ENDLESS}
    async with open_stage() as stage, signals_of(stage, tmp_path, files=files) as signals:
        process = signals.opened.desk.strategies._process
        process._deadline = process._load_deadline = 0.5
        endless = Watch(strategy="endless", parameters={}, bar_size="1 min")
        await signals.service.watch(Watchlist(instruments=(AAPL, MSFT), strategies=(endless, every())))
        await until(lambda: len(signals.service._ledger.open) == 2)
        signals.clock.advance(MINUTE)
        await signals.scheduler.look()
        assert (await signals.names()).count("new") == 4
        assert "endless" in signals.opened.desk.strategies.off


async def test_looks_never_overlap(tmp_path: Path) -> None:
    """A strategy that takes longer than a bar: the next look begins when the one before is over."""
    # Longer than its bars are, by the clock of the market.
    slow = EVERY.replace("last = len", "import time; time.sleep(0.3); last = len")
    async with open_stage() as stage, signals_of(stage, tmp_path, files={"every": slow}) as signals:
        desk, under_way, most = signals.opened.desk, 0, 0
        look_at = desk.look_at

        async def counted(series, plan):  # type: ignore[no-untyped-def]
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await look_at(series, plan)
            finally:
                under_way -= 1

        desk.look_at = counted  # type: ignore[method-assign]
        await signals.service.watch(watching(AAPL, expiry=100))
        for _ in range(24):
            signals.clock.advance(MINUTE)
            await asyncio.sleep(0.15)
        await until(lambda: not under_way)
        assert most == 1
        assert 2 <= (await signals.names()).count("new") < 12


async def test_watch_lists_that_are_refused(tmp_path: Path) -> None:
    async with open_stage() as stage, signals_of(stage, tmp_path, watchlist="aapl, msft") as signals:
        service = signals.service
        assert [each.symbol for each in service.watchlist.instruments] == ["AAPL", "MSFT"]
        unknown = Watch(strategy="nope", parameters={}, bar_size="1 day")
        with pytest.raises(StrategyNotFound):
            await service.watch(Watchlist(strategies=(unknown,)))
        with pytest.raises(Invalid, match="expiry"):
            await service.watch(watching(AAPL, expiry=1000))
        with pytest.raises(Invalid, match=r"instruments\.1"):
            watching(AAPL, AAPL)
        assert service.is_watchlist_from_settings
        await service.watch(Watchlist())
        assert (service.is_watchlist_from_settings, service.watchlist) == (False, Watchlist())
        await service.watch(None)
        assert service.is_watchlist_from_settings
