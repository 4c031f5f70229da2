"""What goes wrong with market data lines, of all four kinds: who is told, and that the data come again.

Strategy: as in `test_ib_facts`, the gateway's timeline plays what IB does. Each docstring says in its last
half sentence what was taken out to see the test fail.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from tests.brokers.stage import Stage, open_stage, reconnected, round_trip, stands
from tests.brokers.test_lines import (
    AAPL,
    ALL,
    MSFT,
    REQUESTS,
    asked,
    cancelled,
    every_kind,
    lines_at,
    of,
    opened,
    values,
)
from tests.gateway.bench import PATIENCE, until
from trademind import ContractQuery, IBKRBroker
from trademind.brokers.ibkr import lines, market_data
from trademind.brokers.ibkr.pacing import Priority
from trademind.brokers.ibkr.quotes import QuoteLine
from trademind.brokers.topics import MarketStream
from trademind.domain import Channel, Depth, LiveBar, Missed, Quote, SessionState, Tick
from trademind.errors import NotSubscribed
from trademind.gateway.faults import (
    Disconnect,
    Drop,
    Fail,
    LoseLink,
    Notify,
    RestoreLink,
    Step,
)

MESSAGES = {
    Channel.QUOTES: ("tickPrice", "tickSize", "tickString", "tickGeneric"),
    Channel.DEPTH: ("updateMktDepth", "updateMktDepthL2"),
    Channel.BARS: ("realtimeBar",),
    Channel.TICKS: ("tickByTick",),
}
NUMBER_AT = {Channel.QUOTES: 2, Channel.DEPTH: 2, Channel.BARS: 2, Channel.TICKS: 1}
"""Where the request id stands in these messages, and in the requests for them."""
SEQUENCES = [Channel.BARS, Channel.TICKS]
LATEST = [Channel.QUOTES, Channel.DEPTH]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


def notices(seen: list[Any]) -> set[int | None]:
    """Which codes a reader has been told."""
    told: set[int | None] = {each.ib_code for each in gaps(seen)}
    for value in seen:
        if isinstance(value, Quote | Depth):
            told |= {notice.ib_code for notice in value.notices}
    return told


def gaps(seen: list[Any]) -> list[Missed]:
    """What a reader was told to be missing for another reason than that it was slow."""
    return [value for value in seen if isinstance(value, Missed) and value.count is None]


def data(seen: list[Any]) -> list[Any]:
    """What has come that is data."""
    return [
        value
        for value in seen
        if isinstance(value, LiveBar | Tick) or (isinstance(value, Quote | Depth) and value.as_of is not None)
    ]


async def flows(stage: Stage, seen: list[Any]) -> None:
    """Wait until data come, of now."""
    before = len(data(seen))
    async with asyncio.timeout(PATIENCE):
        while len(found := data(seen)) == before or getattr(found[-1], "stale", False):
            stage.move(5)
            await asyncio.sleep(0.02)  # no faster than readers read


def numbers(stage: Stage, channel: Channel) -> list[str]:
    """The request ids with which it was asked for, in their order."""
    place = {Channel.TICKS: 1, Channel.QUOTES: 2, Channel.DEPTH: 2, Channel.BARS: 2}[channel]
    return [fields[place] for fields in stage.asked(REQUESTS[channel][0])]


def silence(stage: Stage, channel: Channel, req_id: str) -> None:
    """Nothing more comes of that request."""
    for message in MESSAGES[channel]:
        stage.play(Step(do=Drop(), message=message, fields={NUMBER_AT[channel]: req_id}, times=None))


# What IB says of a line --------------------------------------------------------------------------

REFUSALS = [
    *((Channel.QUOTES, code) for code in (101, 354, 10168, 10197)),
    *((Channel.DEPTH, code) for code in (309, 354, 10092, 10197)),
    *((Channel.BARS, code) for code in (101, 354, 420, 10089)),
    *((Channel.TICKS, code) for code in (10089, 10189, 10190, 10197)),
]
ADVICE = [(Channel.QUOTES, 10167), (Channel.QUOTES, 10090), (Channel.DEPTH, 2152), (Channel.TICKS, 10090)]


@pytest.mark.parametrize(("channel", "code"), [*REFUSALS, *ADVICE])
async def test_what_is_said_of_a_line_reaches_those_who_hold_it_and_nobody_else(
    stage: Stage, channel: Channel, code: int
) -> None:
    """Seen to fail with a notice to all lines of an instrument, or to all of a kind, and with none at all."""
    broker = await stage.connect()
    is_refusal = (channel, code) in REFUSALS
    failure = Fail(code, "about it", instead=is_refusal)
    stage.play(Step(do=failure, request=REQUESTS[channel][0], having=("AAPL",)))
    holders = [stage.watch(broker.market(of(channel))) for _ in range(2)]
    others = [of(channel, MSFT), *(each for each in every_kind() if each.channel is not channel)]
    bystanders = [stage.watch(broker.market(each)) for each in others]
    await until(lambda: all(notices(seen) for seen in holders))
    for seen in bystanders:
        await flows(stage, seen)
    await round_trip(broker)
    assert [notices(seen) for seen in holders] == [{code}] * 2
    # On SMART a book's exchanges are told with it.
    assert [notices(seen) - {2152} for seen in bystanders] == [set()] * len(bystanders)
    if is_refusal:
        assert [data(seen) for seen in holders] == [[], []]
    else:
        for seen in holders:
            await flows(stage, seen)


@pytest.mark.parametrize("channel", ALL)
async def test_a_line_that_was_refused_comes_back_by_itself(
    stage: Stage, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice refused, and ended in the midst of it; seen to fail with nothing tried again."""
    monkeypatch.setattr(market_data, "REFUSED_RETRY", 0.05)
    broker = await stage.connect()
    stage.play(Step(do=Fail(10197, "competing session"), request=REQUESTS[channel][0], times=2))
    seen = stage.watch(broker.market(of(channel)))
    await until(lambda: asked(stage, channel) == 3)
    await flows(stage, seen)
    line = numbers(stage, channel)[-1]
    silence(stage, channel, line)
    stage.play(Step(do=Notify(10197, "competing session", req_id=int(line))))
    await until(lambda: asked(stage, channel) == 4)
    await flows(stage, seen)
    assert cancelled(stage, channel) == 1, "only of the one that was served there is something to cancel"


@pytest.mark.parametrize(("channel", "code"), [(Channel.BARS, 10225), (Channel.DEPTH, 316)])
async def test_a_line_that_ib_ends_for_a_new_start_is_asked_for_at_once(
    stage: Stage, channel: Channel, code: int
) -> None:
    """Seen to fail with the wait of half a minute that follows a refusal."""
    broker = await stage.connect()
    seen = stage.watch(broker.market(of(channel)))
    await until(lambda: numbers(stage, channel))
    await flows(stage, seen)
    (line,) = numbers(stage, channel)
    silence(stage, channel, line)
    stage.play(Step(do=Notify(code, "begin anew", req_id=int(line))))
    await until(lambda: asked(stage, channel) == 2)
    await flows(stage, seen)
    assert code in notices(seen)


async def test_data_that_come_after_an_error_have_the_last_word(stage: Stage) -> None:
    """As after 10089 where delayed data come; seen to fail with a line that stays refused."""
    broker = await stage.connect()
    stage.play(Step(do=Fail(10089, "not for the API", instead=False), request="reqMktData"))
    seen = stage.watch(broker.quotes(AAPL))
    await flows(stage, seen)
    assert notices(seen) == {10089}
    assert seen[-1].stale is False
    (line,) = broker._market_data._lines.values()
    assert line.timer is None


@pytest.mark.parametrize(
    ("req_id", "code", "text"),
    [(None, 10197, "competing"), (-1, 2103, "Market data farm connection is broken:usfarm")],
)
async def test_ticks_that_came_with_an_error_and_before_it_do_not_end_it(
    stage: Stage, req_id: int | None, code: int, text: str
) -> None:
    """Seen to fail with ticks that are handed on when all has been read that came with them."""
    broker = await stage.connect()
    seen = stage.watch(broker.quotes(AAPL))
    await flows(stage, seen)
    # The last price of a move, then the error, in one piece, and nothing more.
    stage.play(Step(do=Fail(code, text, instead=False, req_id=req_id), message="tickPrice"))
    for message in MESSAGES[Channel.QUOTES]:
        stage.play(Step(do=Drop(), message=message, skip=int(message == "tickPrice"), times=None))
    stage.move(5)
    await until(lambda: is_told_of_a_doubt(seen))
    await round_trip(broker)
    assert seen[-1].stale is True


async def test_a_line_that_was_served_is_cancelled_also_where_it_was_refused(stage: Stage) -> None:
    """For IB may go on with it; seen to fail with one that is taken for ended."""
    broker = await stage.connect()
    async with broker.quotes(AAPL) as stream:
        await until(lambda: bool(data(values(stream))))
        stage.play(Step(do=Notify(10197, "competing", req_id=int(numbers(stage, Channel.QUOTES)[-1]))))
        await until(lambda: any(value.stale for value in values(stream)))
    await round_trip(broker)
    assert lines_at(stage, Channel.QUOTES) == []


async def test_a_line_that_is_begun_while_a_farm_is_broken_is_in_doubt(stage: Stage) -> None:
    """Until something comes of it; seen to fail with one that is said to be good."""
    broker = await stage.connect()
    stage.play(Step(do=Notify(2103, "Market data farm connection is broken:usfarm")))
    await round_trip(broker)
    for message in MESSAGES[Channel.QUOTES]:
        stage.play(Step(do=Drop(), message=message, times=None))
    async with broker.quotes(AAPL) as stream:
        await round_trip(broker)
        assert [value.stale for value in values(stream)] == [True]
        stage.timeline.clear()
        stage.move(5)
        await until(lambda: any(not value.stale for value in values(stream)))


async def test_a_quote_that_was_waited_for_in_vain_does_not_hold_up_others(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with a wait for all where one of them is new."""
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 0.05)
    broker = await stage.connect()
    for message in MESSAGES[Channel.QUOTES]:
        stage.play(Step(do=Drop(), message=message, times=None))
    assert (await broker.get_quote(AAPL)).last is None
    stage.timeline.clear()
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 2 * PATIENCE)
    async with asyncio.timeout(PATIENCE):
        quotes = await broker.get_quotes([AAPL, MSFT])
    assert [quote.last is None for quote in quotes] == [True, False]


async def test_a_book_that_ib_has_reset_is_empty_and_filled_anew(stage: Stage) -> None:
    """Seen to fail with a book that keeps what was reset."""
    broker = await stage.connect()
    seen = stage.watch(broker.depth(AAPL))
    await flows(stage, seen)
    (line,) = numbers(stage, Channel.DEPTH)
    assert seen[-1].bids
    silence(stage, Channel.DEPTH, line)
    stage.play(Step(do=Notify(317, "Market depth data has been RESET", req_id=int(line))))
    await until(lambda: seen[-1].bids == seen[-1].asks == ())
    assert asked(stage, Channel.DEPTH) == 1
    assert 317 not in notices(seen)


# What becomes of the farm and the connection -----------------------------------------------------


@pytest.mark.parametrize("channel", ALL)
async def test_a_farm_flap_after_which_nothing_comes_is_recovered_from(
    stage: Stage, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data come again only of a new subscription; seen to fail with lines that are left alone."""
    monkeypatch.setattr(market_data, "FARM_GRACE", 0.05)
    broker = await stage.connect()
    seen = stage.watch(broker.market(of(channel)))
    others = stage.watch(broker.market(of(channel, MSFT)))
    for each in (seen, others):
        await flows(stage, each)
    line = numbers(stage, channel)[0]
    silence(stage, channel, line)
    stage.play(Step(do=Notify(2103, "Market data farm connection is broken:usfarm")))
    await until(lambda: is_told_of_a_doubt(seen))
    await flows(stage, others)
    stage.play(Step(do=Notify(2104, "Market data farm connection is OK:usfarm")))
    await until(lambda: cancelled(stage, channel))
    await flows(stage, seen)
    assert (asked(stage, channel), cancelled(stage, channel)) == (3, 1), "the other one is left alone"
    assert lines_at(stage, channel) == ["AAPL", "MSFT"]
    if channel in SEQUENCES:
        assert [each.ib_code for each in gaps(seen)] == [2103], "it is told once"


def all_are_asked_for(stage: Stage, times: int) -> bool:
    return all(asked(stage, channel) == times for channel in ALL)


def is_told_of_a_doubt(seen: list[Any]) -> bool:
    return bool(seen) and (isinstance(seen[-1], Missed) or getattr(seen[-1], "stale", False))


@pytest.mark.parametrize("how", ["a new connection", "1101"])
async def test_all_four_kinds_are_restored(stage: Stage, how: str) -> None:
    """Of several instruments, and each once; seen to fail with what is not asked for again, with lines that
    are not marked while they are away, and with what is missing told of one kind only."""
    broker = await stage.connect()
    subjects = [each for query in (AAPL, MSFT) for each in every_kind(query)]
    seen = [stage.watch(broker.market(each)) for each in subjects]
    for each in seen:
        await flows(stage, each)
    for times in (1, 2):
        if how == "1101":
            stage.play(Step(do=LoseLink()))
            await stands(broker, SessionState.UPSTREAM_LOST)
            stage.play(Step(do=RestoreLink(data_lost=True)))
        else:
            stage.play(Step(do=Disconnect()))
            await reconnected(broker, 1 + times)
        await until(partial(all_are_asked_for, stage, 2 + 2 * times))
        await stands(broker, SessionState.READY)
        for subject, each in zip(subjects, seen, strict=True):
            assert any(is_told_of_a_doubt([value]) for value in each), subject
            await flows(stage, each)
            if subject.channel in SEQUENCES:
                assert len(gaps(each)) == times
    assert [lines_at(stage, channel) for channel in ALL] == [["AAPL", "MSFT"]] * 4
    assert [cancelled(stage, channel) for channel in ALL] == [0] * 4


async def test_lines_that_somebody_uses_are_restored_first(stage: Stage) -> None:
    """Seen to fail with lines in the order in which they were used."""
    broker = await stage.connect()
    async with broker.quotes(AAPL):
        await broker.get_quotes([ContractQuery(symbol=symbol) for symbol in ("MSFT", "SPY", "TSLA")])
        await broker.get_quotes([AAPL])  # the one used last
        stage.play(Step(do=Disconnect()))
        await reconnected(broker, 2)
        await until(lambda: asked(stage, Channel.QUOTES) == 8)
        assert "AAPL" in stage.asked("reqMktData")[4]


async def test_what_waits_to_be_sent_when_ib_drops_the_lines_is_not_sent_twice(stage: Stage) -> None:
    """Seen to fail with a request that stays in the queue, of which nobody knows any more."""
    broker = await stage.connect(max_requests_per_second=45)
    await broker.qualify(AAPL)
    data_per_second = 33
    for _ in range(data_per_second):
        broker._session().requests.post(Priority.DATA, lambda: None)
    seen = stage.watch(broker.quotes(AAPL))
    await until(lambda: broker.session.queued["data"])
    stage.play(Step(do=Notify(1100, "lost")), Step(do=Notify(1101, "back, data lost")))
    await until(lambda: data(seen))
    await round_trip(broker)
    await until(lambda: not broker.session.queued["data"])
    await round_trip(broker)
    assert lines_at(stage, Channel.QUOTES) == ["AAPL"]
    assert asked(stage, Channel.QUOTES) == 1


@pytest.mark.parametrize("channel", ALL)
async def test_a_line_of_which_nothing_comes_is_asked_for_again(
    stage: Stage, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request got lost; seen to fail without a deadline for the first data."""
    for kind in lines.Line.__subclasses__():
        for each in kind.__subclasses__():
            monkeypatch.setattr(each, "PATIENCE", 0.1)
    broker = await stage.connect()
    stage.play(Step(do=Drop(), request=REQUESTS[channel][0]))
    seen = stage.watch(broker.market(of(channel)))
    await until(lambda: asked(stage, channel) == 2)
    await flows(stage, seen)
    if channel in SEQUENCES:
        assert isinstance(seen[0], Missed), "something may have been missed until then"


async def test_the_wait_for_what_does_not_come_grows_and_begins_when_it_was_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail with waits of the same length, and with a request that goes to the end of its queue again
    and again before its turn has come."""
    monkeypatch.setattr(QuoteLine, "PATIENCE", 0.1)
    broker = await stage.connect(max_requests_per_second=45)
    await broker.qualify(AAPL)
    while not broker.session.queued["data"]:
        broker._session().requests.post(Priority.DATA, lambda: None)
    stage.play(Step(do=Drop(), request="reqMktData", times=4))
    begun = asyncio.get_running_loop().time()
    seen = stage.watch(broker.quotes(AAPL))
    await until(lambda: broker._market_data._lines)
    (line,) = broker._market_data._lines.values()
    assert line.subscription is not None
    turn = line.subscription.turn
    await until(lambda: asked(stage, Channel.QUOTES))
    assert asyncio.get_running_loop().time() - begun > 0.5, "its turn came late"
    assert line.subscription.turn is turn
    await until(lambda: data(seen))
    assert asyncio.get_running_loop().time() - begun > 0.5 + 0.1 + 0.2 + 0.4
    assert line.attempt == 4


# What is left ------------------------------------------------------------------------------------


async def test_late_messages_of_a_line_that_is_gone_concern_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They cross its end; seen to fail with ib_async's own handling, which logs errors or fails."""
    monkeypatch.setattr(market_data, "GRACE", 0.01)
    broker = await stage.connect()
    for _, request in list(REQUESTS.values()):
        stage.play(Step(do=Drop(), request=request))
    stream = await opened(broker, *every_kind())
    stream.close()
    await until(lambda: all(cancelled(stage, channel) for channel in ALL))
    stage.move(10)
    await until(lambda: all(stage.clock.now() - each.since < timedelta(1) for _, each in bars_of(stage)))
    for _ in range(5):
        await round_trip(broker)
    errors = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert errors == []


def bars_of(stage: Stage) -> list[tuple[int, Any]]:
    return list(stage.session().real_time_bars.all())


async def test_a_line_that_was_refused_and_that_nobody_holds_takes_no_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its last holder goes, when nobody was there, when somebody only asked and is told at once; seen to
    fail with lines that are kept warm all the same, and with a wait for a first quote that does not come."""
    monkeypatch.setattr(market_data, "QUOTE_WAIT", 2 * PATIENCE)
    broker = await stage.connect()
    stage.play(Step(do=Fail(354, "refused"), request="reqMktData", times=None))
    with pytest.raises(NotSubscribed):
        async with asyncio.timeout(PATIENCE):
            await broker.get_quote(AAPL)
    assert broker.line_usage()[0].used == 0
    async with broker.quotes(AAPL) as stream:
        await until(lambda: any(value.notices for value in values(stream)))
        assert broker.line_usage()[0].used == 1
    assert broker.line_usage()[0].used == 0
    stage.timeline.clear()
    await broker.get_quote(AAPL)
    stage.play(Step(do=Notify(10197, "competing", req_id=int(numbers(stage, Channel.QUOTES)[-1]))))
    await until(lambda: broker.line_usage()[0].used == 0)
    assert (await broker.get_quote(AAPL)).last is not None


CYCLES = 1_000


async def test_a_thousand_subscriptions_leave_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of all kinds, in any order, closed or just forgotten; seen to fail with ib_async's own book-keeping of
    tickers, with no cancel, with request ids that stay, and with timers that are not stopped."""
    monkeypatch.setattr(market_data, "GRACE", 0.01)
    broker = await stage.connect()
    queries = [ContractQuery(symbol=symbol) for symbol in ("AAPL", "MSFT", "SPY")]
    for query in queries:
        await broker.qualify(query)
    rng = random.Random(5)
    tasks = len(asyncio.all_tasks())
    streams: list[MarketStream[Any]] = []
    for _ in range(CYCLES):
        subject = of(rng.choice(ALL), rng.choice(queries))
        stream = broker.market()
        await stream.follow(subject)
        streams.append(stream)
        if len(streams) > 5:
            gone = streams.pop(rng.randrange(len(streams)))
            if rng.random() < 0.8:
                gone.close()
            del gone
        if rng.random() < 0.1:
            await asyncio.sleep(rng.choice([0, 0.02]))
            stage.move(5)
    del stream
    while streams:
        streams.pop().close()
    await nothing_is_left(stage, broker)
    assert len(asyncio.all_tasks()) == tasks
    assert sum(asked(stage, channel) for channel in ALL) > CYCLES / 20


async def nothing_is_left(stage: Stage, broker: IBKRBroker) -> None:
    desk, wrapper = broker._market_data, broker._session().ib.wrapper
    await until(lambda: not desk._lines)
    await round_trip(broker)
    assert all(usage.used == usage.held == 0 for usage in broker.line_usage())
    assert (desk._by_req_id, desk._by_ticker, desk._sweeper, desk._farm_timer) == ({}, {}, None, None)
    assert len(broker._market) == 0
    kept: list[Any] = [
        wrapper.tickers, wrapper.reqId2Ticker, wrapper._reqId2Contract, wrapper.reqId2Subscriber,
        *wrapper.ticker2ReqId.values(),
    ]  # fmt: skip
    assert [len(each) for each in kept] == [0] * len(kept)
    timers = [
        handle
        for handle in asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        if not handle.cancelled() and "MarketData" in repr(handle)
    ]
    assert timers == []
    assert [lines_at(stage, channel) for channel in ALL] == [[]] * 4
    assert not {300, 310} & set(stage.timeline.told), "nothing is cancelled twice"


async def test_disconnecting_ends_streams_and_lines_and_connecting_begins_anew(stage: Stage) -> None:
    """Seen to fail with timers that go on, and with a broker that opens no stream any more."""
    broker = await stage.connect()
    stream = await opened(broker, *every_kind())
    await stage.leave(broker)
    assert stream.is_over
    assert [value async for value in stream] == []
    desk = broker._market_data
    assert (len(desk._lines), len(desk._by_req_id), desk._sweeper) == (0, 0, None)
    await broker.connect()
    seen = stage.watch(broker.quotes(AAPL))
    await until(lambda: data(seen))
