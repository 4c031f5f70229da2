"""Stored bars and live ones as one series, on the real paper gateway: over whatever interrupts it, it is what
a later download gives. Each docstring says in its last half sentence what was taken out to see the test fail.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.stage import reconnected, round_trip
from tests.gateway.bench import until
from tests.market.stage import AAPL, Bars, at, minutes, open_bars
from trademind import ContractQuery
from trademind.brokers.ibkr import market_data
from trademind.clock import AcceleratedClock
from trademind.domain import Bar, BarRequest, LiveBar, Missed, SecType
from trademind.errors import TradeMindError
from trademind.gateway.calendars import ExchangeHours
from trademind.gateway.faults import Disconnect, Drop, Fail, Notify, Step
from trademind.market.bars.archive import Source

EUR = ContractQuery(symbol="EUR", sec_type=SecType.CASH, exchange="IDEALPRO")


@pytest.fixture
async def bars(tmp_path: Path) -> AsyncIterator[Bars]:
    async with open_bars(tmp_path) as opened:
        yield opened


def follow(bars: Bars, source: Source, start: datetime, **terms: Any) -> list[LiveBar | Missed]:
    seen: list[LiveBar | Missed] = []

    async def read() -> None:
        async for each in bars.archive.follow(source, start, **terms):
            seen.append(each)

    bars.stage.tasks.spawn(read(), name="a follower of bars", expected=TradeMindError)
    return seen


def ended(seen: list[LiveBar | Missed]) -> list[Bar]:
    return [each.bar for each in seen if isinstance(each, LiveBar) and each.complete]


async def goes_on(bars: Bars, seconds: float, step: float) -> None:
    for _ in range(round(seconds / step)):
        bars.stage.move(step)
        await bars.stage.server.move()
        await round_trip(bars.broker)
        await asyncio.sleep(0.002)


async def is_quiet(seen: list[LiveBar | Missed]) -> None:
    """Wait until nothing more is read."""
    count = -1
    while count != len(seen):
        count = len(seen)
        await asyncio.sleep(0.1)


async def asked_to_keep(bars: Bars, times: int) -> None:
    await until(lambda: len([each for each in bars.requests if each[-2] == "1"]) >= times)


async def downloaded(bars: Bars, source: Source, start: datetime, last: datetime) -> list[Bar]:
    """What IB has now of the same span."""
    series = source.series
    request = BarRequest(
        bar_size=series.bar_size,
        duration="4 D",
        what_to_show=series.what_to_show,
        use_rth=series.use_rth,
    )
    found = await bars.broker.get_bars(source.query, request)
    return [bar for bar in found if start <= bar.time <= last]


@pytest.mark.parametrize("use_rth", [True, False])
@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT"])
@pytest.mark.parametrize("bar_size", ["1 min", "5 mins", "1 hour"])
async def test_history_and_live_bars_are_one_series(
    tmp_path: Path, bar_size: str, what: str, use_rth: bool
) -> None:
    """With the connection cut for a few bars, over a night; seen to fail with history that is read before the
    live bars are followed, with history up to the first of them told twice, and with bars missed while the
    connection was away."""
    length = {"1 min": 60, "5 mins": 300, "1 hour": 3600}[bar_size]
    async with open_bars(tmp_path, hours=ExchangeHours()) as bars:
        begin = at(23, 19, 30)
        bars.stage.move((begin - bars.stage.clock.now()).total_seconds() + 7)
        source = await bars.source(bar_size=bar_size, what_to_show=what, use_rth=use_rth)
        start = begin - timedelta(days=1.2)
        seen = follow(bars, source, start)
        await asked_to_keep(bars, 1)
        await until(lambda: len(ended(seen)) >= 2)
        await goes_on(bars, 3 * length, length / 4)
        bars.stage.play(Step(do=Disconnect()))
        bars.stage.move(3.5 * length)
        await reconnected(bars.broker)
        await asked_to_keep(bars, 2)
        await goes_on(bars, 3 * length, length / 4)
        bars.stage.move((at(24, 14, 31) - bars.stage.clock.now()).total_seconds())
        await goes_on(bars, 4 * length, length / 4)
        await is_quiet(seen)
        found = ended(seen)
        assert found == await downloaded(bars, source, start, found[-1].time)
        assert found[-1].time >= at(24, 14, 30)
        assert len(found) == len(seen)


async def test_a_fast_market_is_followed_in_the_same_way(tmp_path: Path) -> None:
    """An hour a minute, with the connection cut in the midst of it and nothing waited for."""
    async with open_bars(tmp_path, clock=AcceleratedClock(60, at(23, 15, 30))) as bars:
        source = await bars.source()
        start = at(23, 14)
        seen = follow(bars, source, start)
        await until(lambda: len(ended(seen)) >= 92)
        bars.stage.play(Step(do=Disconnect()))
        await reconnected(bars.broker)
        count = len(ended(seen))
        await until(lambda: len(ended(seen)) >= count + 6)
        found = ended(seen)
        assert [bar.time for bar in found] == [start + minutes(number) for number in range(len(found))]
        assert found == await downloaded(bars, source, start, found[-1].time)


async def test_the_bar_that_forms(bars: Bars) -> None:
    """Comes after all that have ended; seen to fail with those of the last half minute after it."""
    source = await bars.source()
    bars.stage.move(20)
    seen = follow(bars, source, at(23, 15), forming=True)
    await asked_to_keep(bars, 1)
    await goes_on(bars, 200, 10)
    await until(lambda: len(ended(seen)) >= 32)
    order = [(each.bar.time, each.complete) for each in seen if isinstance(each, LiveBar)]
    assert order == sorted(order)
    assert [each.time for each in ended(seen)] == [
        at(23, 15) + minutes(number) for number in range(len(ended(seen)))
    ]
    assert len(order) - len(ended(seen)) >= 10


async def test_bars_of_five_seconds_are_made_up_for_from_history(bars: Bars) -> None:
    """IB does not tell them again itself, and may have no history at first; seen to fail with a gap that is
    left, or told."""
    source = await bars.source(bar_size="5 secs", use_rth=False)
    seen = follow(bars, source, at(23, 15, 29))
    await until(lambda: bars.stage.asked("reqRealTimeBars"))
    await goes_on(bars, 60, 5)
    bars.stage.play(Step(do=Disconnect()))
    bars.stage.move(125)
    await reconnected(bars.broker)
    await until(lambda: len(bars.stage.asked("reqRealTimeBars")) == 2)
    bars.stage.play(Step(do=Fail(10182, "a data farm is away"), request="reqHistoricalData"))
    await goes_on(bars, 60, 5)
    await until(lambda: ended(seen)[-1].time >= at(23, 15, 33))
    await is_quiet(seen)
    found = ended(seen)
    times = [bar.time for bar in found]
    assert times == [at(23, 15, 29) + timedelta(seconds=5 * number) for number in range(len(times))]
    there = await bars.broker.get_bars(AAPL, BarRequest(bar_size="5 secs", duration="600 S", use_rth=False))
    assert found == [bar for bar in there if times[0] <= bar.time <= times[-1]]
    assert not [each for each in seen if isinstance(each, Missed)]


async def test_what_ib_says_against_it_is_told_and_then_made_up_for(
    bars: Bars, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.05)
    source = await bars.source()
    seen = follow(bars, source, at(23, 15, 20))
    await asked_to_keep(bars, 1)
    await goes_on(bars, 150, 10)
    (line,) = bars.broker._market_data._lines.values()
    assert line.subscription is not None
    number = line.subscription.req_id
    bars.stage.play(
        Step(do=Drop(), message="historicalDataUpdate", fields={1: str(number)}, times=None),
        Step(do=Notify(10197, "competing session", req_id=number)),
    )
    await asked_to_keep(bars, 2)
    await goes_on(bars, 150, 10)
    await is_quiet(seen)
    assert [each.ib_code for each in seen if isinstance(each, Missed)] == [10197]
    found = ended(seen)
    assert found == await downloaded(bars, source, at(23, 15, 20), found[-1].time)


async def test_history_that_cannot_be_had_is_missed_and_told(bars: Bars) -> None:
    """Seen to fail with a gap that nobody is told of, and with a series that ends."""
    source = await bars.source(bar_size="10 secs", use_rth=False)
    seen = follow(bars, source, at(23, 15, 29))
    await asked_to_keep(bars, 1)
    await goes_on(bars, 100, 5)
    await until(lambda: len(ended(seen)) > 12)
    await is_quiet(seen)
    before = len(ended(seen))
    # The archive asks for the past in windows of four hours; what is kept up to date was away for three.
    bars.stage.play(
        Step(do=Fail(162, "pacing violation"), request="reqHistoricalData", having=("14400 S",), times=None)
    )
    bars.stage.play(Step(do=Disconnect()))
    bars.stage.move(3 * 3600)
    await reconnected(bars.broker)
    await goes_on(bars, 100, 5)
    await until(lambda: len(ended(seen)) > before)
    assert [each for each in seen if isinstance(each, Missed)]


async def test_currencies(bars: Bars) -> None:
    source = await bars.source(EUR, what_to_show="MIDPOINT", use_rth=False)
    seen = follow(bars, source, at(23, 15))
    await asked_to_keep(bars, 1)
    await goes_on(bars, 200, 10)
    await until(lambda: len(ended(seen)) >= 32)
    found = ended(seen)
    assert found == await downloaded(bars, source, at(23, 15), found[-1].time)
