"""Bars that IB keeps up to date, at a real gateway: over whatever interrupts them they are those of a later
download, each once and in their order. Each docstring says in its last half sentence what was taken out to
see the test fail.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.brokers.stage import Stage, open_stage, reconnected, round_trip, stands
from tests.gateway.bench import START, until
from trademind import ContractQuery, IBKRBroker
from trademind.brokers.ibkr import kept_bars, market_data
from trademind.clock import AcceleratedClock
from trademind.domain import (
    Bar,
    BarRequest,
    Channel,
    LiveBar,
    LiveBars,
    Missed,
    SecType,
    SessionState,
    Subject,
)
from trademind.errors import Invalid, TooManySubscriptions
from trademind.gateway.calendars import ExchangeHours
from trademind.gateway.faults import Delay, Disconnect, Drop, Fail, Notify, Step

AAPL = ContractQuery(symbol="AAPL")
EUR = ContractQuery(symbol="EUR", sec_type=SecType.CASH, exchange="IDEALPRO")
BTC = ContractQuery(symbol="BTC", sec_type=SecType.CRYPTO, exchange="PAXOS")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


def complete(seen: list[Any]) -> list[Bar]:
    return [each.bar for each in seen if isinstance(each, LiveBar) and each.complete]


def gaps(seen: list[Any]) -> list[Missed]:
    return [each for each in seen if isinstance(each, Missed)]


async def goes_on(stage: Stage, broker: IBKRBroker, seconds: float, step: float) -> None:
    """Let time pass, in steps of which the gateway tells one by one."""
    passed = 0.0
    while passed < seconds:
        stage.move(step)
        passed += step
        await stage.server.move()
        await round_trip(broker)


async def asked(stage: Stage, times: int) -> None:
    await until(lambda: len(kept(stage)) >= times)


def kept(stage: Stage) -> list[list[str]]:
    """The requests for bars that are kept up to date."""
    return [fields for fields in stage.asked("reqHistoricalData") if fields[-2] == "1"]


async def downloaded(
    broker: IBKRBroker, like: list[Bar], query: ContractQuery = AAPL, **terms: Any
) -> list[Bar]:
    """What a download of the same span gives."""
    request = BarRequest(duration="3 D", **terms)
    bars = await broker.get_bars(query, request)
    return [bar for bar in bars if like[0].time <= bar.time <= like[-1].time]


STEPS = {"1 min": 15.0, "5 mins": 60.0, "1 hour": 600.0}


@pytest.mark.parametrize("use_rth", [True, False])
@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT"])
@pytest.mark.parametrize("bar_size", STEPS)
async def test_over_an_interruption_bars_are_those_of_a_later_download(
    bar_size: str, what: str, use_rth: bool
) -> None:
    """From before the close to after the next opening, with the connection cut for three bars and a half;
    seen to fail with a new subscription that asks for the bar that forms only, with one that tells all that
    IB answers, and with bars told again."""
    begin = datetime(2026, 11, 23, 19, 30, tzinfo=UTC)
    async with open_stage(hours=ExchangeHours()) as stage:
        step = STEPS[bar_size]
        stage.move((begin - START).total_seconds() + 7)
        broker = await stage.connect()
        seen = stage.watch(broker.live_bars(AAPL, bar_size=bar_size, what_to_show=what, use_rth=use_rth))
        await asked(stage, 1)
        await goes_on(stage, broker, 10 * step, step)
        stage.play(Step(do=Disconnect()))
        stage.move(14 * step)
        await reconnected(broker)
        await asked(stage, 2)
        await goes_on(stage, broker, 40 * step, step)
        # To the next morning, in which there is nothing for a while.
        stage.move((begin + timedelta(hours=19, minutes=1) - stage.clock.now()).total_seconds())
        await stage.server.move()
        await goes_on(stage, broker, 30 * step, step)
        found = complete(seen)
        there = await downloaded(broker, found, bar_size=bar_size, what_to_show=what, use_rth=use_rth)
        assert found == there
        assert len(found) >= (12 if bar_size != "1 hour" else 6)
        assert found[0].time <= begin < found[0].time + timedelta(hours=1)
        assert found[-1].time.day == 24
        assert gaps(seen) == []


@pytest.mark.parametrize("bar_size", ["10 secs", "30 secs", "2 mins", "8 hours", "1 day"])
async def test_sizes_of_all_kinds(stage: Stage, bar_size: str) -> None:
    broker = await stage.connect()
    seconds = {"10 secs": 10, "30 secs": 30, "2 mins": 120, "8 hours": 28_800, "1 day": 86_400}[bar_size]
    seen = stage.watch(broker.live_bars(AAPL, bar_size=bar_size))
    await asked(stage, 1)
    await goes_on(stage, broker, 5 * seconds, seconds / 3)
    found = complete(seen)
    duration = "300 S" if seconds < 60 else "10 D"
    bars = await broker.get_bars(AAPL, BarRequest(bar_size=bar_size, duration=duration))
    assert found == [bar for bar in bars if found[0].time <= bar.time <= found[-1].time]
    assert len(found) in (4, 5)
    assert {each.bar_size for each in seen if isinstance(each, LiveBar)} == {bar_size}


async def test_a_bar_that_forms_is_told_to_those_who_want_it_and_to_nobody_else(stage: Stage) -> None:
    """Seen to fail with one line for both."""
    broker = await stage.connect()
    ended = stage.watch(broker.live_bars(AAPL, bar_size="1 min"))
    all_of_it = stage.watch(broker.live_bars(AAPL, bar_size="1 min", forming=True))
    await asked(stage, 2)
    await goes_on(stage, broker, 180, 10)
    assert complete(ended) == complete(all_of_it)
    assert len(complete(ended)) in (2, 3)
    told = [each for each in all_of_it if isinstance(each, LiveBar)]
    assert all(isinstance(each, LiveBar) and each.complete for each in ended)
    forming = [each for each in told if not each.complete]
    assert len(forming) >= 12
    order = [(each.bar.time, each.complete) for each in told]
    assert order == sorted(order)


@pytest.mark.parametrize("how", ["1102", "1101", "farm", "skipped"])
async def test_whatever_may_have_cost_an_update_is_made_up_for(
    stage: Stage, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link to IB was lost, with the data or without, a farm was broken, IB left bars out for minutes;
    seen to fail with no new subscription, and with updates that are believed while they are in doubt."""
    monkeypatch.setattr(market_data, "FARM_GRACE", 0.05)
    broker = await stage.connect()
    seen = stage.watch(broker.live_bars(AAPL, bar_size="1 min"))
    await asked(stage, 1)
    # What a bar is in the end is not told, and what follows it is the next one, unless bars are skipped.
    await goes_on(stage, broker, 165, 15)
    stage.play(Step(do=Drop(), message="historicalDataUpdate", times=None))
    if how == "farm":
        stage.play(Step(do=Notify(2103, "Market data farm connection is broken:usfarm")))
    elif how != "skipped":
        stage.play(Step(do=Notify(1100, "lost")))
        await stands(broker, SessionState.UPSTREAM_LOST)
        stage.move(30)
        await stage.server.move()
    if how in ("farm", "skipped"):
        await goes_on(stage, broker, 200 if how == "skipped" else 30, 15)
    else:
        stage.play(Step(do=Notify(int(how), "back")))
        await stands(broker, SessionState.READY)
        await asked(stage, 2)
    stage.timeline.clear()
    await goes_on(stage, broker, 15, 15)
    if how == "farm":
        stage.play(Step(do=Notify(2104, "Market data farm connection is OK:usfarm")))
    await asked(stage, 2)
    await goes_on(stage, broker, 150, 15)
    found = complete(seen)
    assert found == await downloaded(broker, found, bar_size="1 min", use_rth=False)
    assert len(found) >= 5
    assert len(kept(stage)) == 2
    assert gaps(seen) == []


async def test_a_farm_that_breaks_while_the_past_is_on_its_way_is_a_doubt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a doubt that ends with whatever comes."""
    monkeypatch.setattr(market_data, "FARM_GRACE", 0.05)
    broker = await stage.connect()
    stage.play(Step(do=Delay(timedelta(seconds=10)), request="reqHistoricalData"))
    stage.watch(broker.live_bars(AAPL, bar_size="1 min"))
    await asked(stage, 1)
    stage.play(Step(do=Notify(2103, "Market data farm connection is broken:usfarm")))
    await until(lambda: broker._market_data._broken_farms)
    stage.move(10)
    await until(lambda: all(line.as_of for line in broker._market_data._lines.values()))
    stage.play(Step(do=Notify(2104, "Market data farm connection is OK:usfarm")))
    await asked(stage, 2)


async def test_what_is_too_long_ago_for_one_request_is_missed_and_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with nothing told."""
    broker = await stage.connect()
    seen = stage.watch(broker.live_bars(AAPL, bar_size="10 secs"))
    await asked(stage, 1)
    await goes_on(stage, broker, 40, 5)
    stage.play(Step(do=Disconnect()))
    stage.move(5 * 3600)
    await reconnected(broker)
    await asked(stage, 2)
    await goes_on(stage, broker, 40, 5)
    assert [each.bar_size for each in gaps(seen)] == ["10 secs"], gaps(seen)
    assert "longer" in gaps(seen)[0].reason
    before, after = seen[: seen.index(gaps(seen)[0])], seen[seen.index(gaps(seen)[0]) + 1 :]
    assert complete(before)
    found = complete(after)
    assert found[0].time - complete(before)[-1].time > timedelta(seconds=10)
    assert found == sorted(found, key=lambda bar: bar.time)
    times = [bar.time for bar in found]
    assert all(later - one == timedelta(seconds=10) for one, later in pairwise(times))


async def test_the_last_bar_of_a_session_ends_without_a_next_one() -> None:
    """Nothing comes after it until the next morning; seen to fail with bars that end with the next only."""
    close = datetime(2026, 11, 23, 21, tzinfo=UTC)
    clock = AcceleratedClock(60, close - timedelta(minutes=3))
    async with open_stage(clock=clock, hours=ExchangeHours()) as stage:
        broker = await stage.connect()
        seen = stage.watch(broker.live_bars(AAPL, bar_size="1 min", use_rth=True))
        await until(lambda: complete(seen) and complete(seen)[-1].time == close - timedelta(minutes=1))
        assert clock.now() >= close + timedelta(seconds=kept_bars.QUIET)
        found = complete(seen)
        assert found == await downloaded(broker, found, bar_size="1 min")
        (line,) = broker._market_data._lines.values()
        assert isinstance(line, kept_bars.KeptBarLine)
        assert line._quiet is None


async def test_a_market_that_is_closed_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """IB has nothing of small bars then; seen to fail with a refusal that is told, and with what traded until
    IB was asked again left out."""
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.05)
    opening = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
    async with open_stage(hours=ExchangeHours()) as stage:
        stage.move((opening - timedelta(minutes=5) - START).total_seconds())
        broker = await stage.connect()
        seen = stage.watch(broker.live_bars(AAPL, bar_size="30 secs", use_rth=True))
        await asked(stage, 3)
        stage.move(300 + 100)
        await until(lambda: complete(seen))
        await goes_on(stage, broker, 60, 5)
        assert complete(seen)[0].time == opening
        assert gaps(seen) == []


async def test_what_ended_before_it_was_followed_does_not_form() -> None:
    """The last bar of a market that is closed; seen to fail with one that forms all night."""
    close = datetime(2026, 11, 23, 21, tzinfo=UTC)
    clock = AcceleratedClock(60, close + timedelta(minutes=2))
    async with open_stage(clock=clock, hours=ExchangeHours()) as stage:
        broker = await stage.connect()
        seen = stage.watch(broker.live_bars(AAPL, bar_size="1 min", use_rth=True, forming=True))
        await until(lambda: all(line.as_of for line in broker._market_data._lines.values()) and kept(stage))
        (line,) = broker._market_data._lines.values()
        assert isinstance(line, kept_bars.KeptBarLine)
        await until(lambda: line._last == close - timedelta(minutes=1))
        assert seen == []


async def test_the_kind_of_data_follows_the_instrument(stage: Stage) -> None:
    """Also of bars of five seconds; seen to fail with TRADES for all."""
    broker = await stage.connect()
    for bar_size in ("5 secs", "1 min"):
        for query, what in ((AAPL, "TRADES"), (EUR, "MIDPOINT"), (BTC, "AGGTRADES")):
            seen = stage.watch(broker.live_bars(query, bar_size=bar_size))
            for _ in range(200):
                if complete(seen):
                    break
                stage.move(5)
                await asyncio.sleep(0.02)
            told = [each.what_to_show for each in seen if isinstance(each, LiveBar)]
            assert set(told) == {what}, (bar_size, query.symbol, seen)


async def test_bars_take_a_line_and_a_place_of_history(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail with any number of them, and with a warning of each cancel that IB has heard."""
    monkeypatch.setattr("trademind.brokers.ibkr.line_limits.MAX_KEPT", 2)
    broker = await stage.connect()
    streams = [await broker.live_bars(AAPL, bar_size=size).__aenter__() for size in ("1 min", "5 mins")]
    with pytest.raises(TooManySubscriptions) as failure:
        await broker.live_bars(AAPL, bar_size="1 hour").__aenter__()
    assert failure.value.extra["limit"] == 2
    assert broker._market_data.kept() == 2
    assert [each.used for each in broker.line_usage() if each.channel is Channel.BARS] == [2]
    streams[0].close()
    streams.append(await broker.live_bars(AAPL, bar_size="1 hour").__aenter__())
    await asked(stage, 3)
    await until(lambda: len(stage.asked("cancelHistoricalData")) == 1)
    await round_trip(broker)
    assert len(stage.session().bars) == 2
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
    for stream in streams:
        stream.close()


async def test_a_refusal_is_told_and_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.05)
    broker = await stage.connect()
    stage.play(Step(do=Fail(354, "not subscribed"), request="reqHistoricalData"))
    seen = stage.watch(broker.live_bars(AAPL, bar_size="1 min"))
    await asked(stage, 2)
    await goes_on(stage, broker, 130, 10)
    assert [each.ib_code for each in gaps(seen)] == [354]
    assert len(complete(seen)) == 2


@pytest.mark.parametrize(
    "terms", [{"bar_size": "1 secs"}, {"bar_size": "1 week"}, {"bar_size": "7 mins"}, {"forming": True}]
)
def test_what_cannot_be_followed_is_refused_at_once(terms: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        LiveBars(**terms)


def test_only_bars_have_a_size() -> None:
    with pytest.raises(Invalid):
        Subject(channel=Channel.QUOTES, query=AAPL, bars=LiveBars())
