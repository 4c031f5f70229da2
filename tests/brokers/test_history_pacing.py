"""Requests for history: our count of them against the gateway's, and the desk against a real paper gateway.

Strategy: two parties count by IB's rules here, ours before asking and the paper gateway's on being asked, and
neither knows the other's code. So the gateway judges: whatever is asked, and whenever, what ours lets through
is never one too many for it; and what ours holds back would have been, within the margin ours keeps.

Times are multiples of 1/64 s, which floats and datetimes both hold exactly. `BID_ASK` is left out, as
`BarRequest` does not offer it.

How the tests were seen to fail: each of the numbers of `history_pacing` changed by one or halved, each of the
three rules left out, requests forgotten too early, `ahead` left out; on the desk: nothing shared or kept,
errors kept, a caller's cancellation handed on, one request more in flight, a limit that is not freed after a
failure, no `give_up`, no penalty.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.bench import until
from tests.proxy import Proxy, Rewrite, withhold
from trademind import BarRequest, ContractQuery, IBKRBroker
from trademind.aio import Tasks
from trademind.brokers.ibkr import history
from trademind.brokers.ibkr.history_pacing import (
    IDENTICAL_WITHIN,
    MARGIN,
    MOST,
    MOST_WITHIN,
    PENALTY,
    HistoryPacing,
    Wanted,
    is_limited,
    weight_of,
)
from trademind.domain import Bar
from trademind.domain.market import BAR_SIZES, WHAT_TO_SHOW
from trademind.errors import (
    ConnectionLost,
    NoAnswer,
    NotConnected,
    PacingViolation,
    Refused,
    TradeMindError,
)
from trademind.gateway.pacing import HistoricalPacing, Pacing
from trademind.gateway.server import PaperGatewayServer

HISTORY, ASK, CANCEL = 17, 20, 25
"""The gateway's message with bars, and a client's with a question for them and its end."""
START = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
TICK = 1 / 64
HALF_A_MINUTE = timedelta(seconds=30)

# The count ---------------------------------------------------------------------------------------


class Asker:
    """Somebody who asks when ours says so, of a gateway that counts for itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ours = HistoryPacing()
        self.judge = HistoricalPacing(Pacing())
        self.arrived: list[tuple[float, Wanted]] = []

    def ask(self, wanted: Wanted, *, on_its_way: float = 0.0) -> float:
        """Wait as long as it says, then ask. Returns the seconds of waiting."""
        began = self.now
        while (wait := self.ours.wait(self.now, wanted)) > 0:
            self.now += wait
        self.ours.count(self.now, wanted)
        # Nothing overtakes on one connection.
        at = max(self.now + on_its_way, self.arrived[-1][0] if self.arrived else 0.0)
        assert violation(self.judge, at, wanted) is None, "one too many was let through"
        self.arrived.append((at, wanted))
        return self.now - began

    def would_be_too_many(self, at: float, wanted: Wanted) -> bool:
        """What a gateway that has been asked the same until now would say of it."""
        judge = HistoricalPacing(Pacing())
        for when, earlier in self.arrived:
            assert violation(judge, when, earlier) is None
        return violation(judge, at, wanted) is not None


def violation(judge: HistoricalPacing, at: float, wanted: Wanted) -> str | None:
    return judge.violation(
        START + timedelta(seconds=at),
        request=wanted.identity,
        subject=wanted.subject,
        bar=HALF_A_MINUTE,
        weight=wanted.weight,
    )


def make_wanted(con_id: int, what: str, variant: int) -> Wanted:
    return Wanted((con_id, what, variant), (con_id, "SMART", what), weight_of(what))


def make_script(seed: int, length: int) -> list[tuple[float, Wanted]]:
    """Seconds of doing nothing and then a request, many times: now in bursts, now spread over minutes.

    Of few contracts and kinds, so that they meet the limits of one, and often the same again.
    """
    rng = random.Random(seed)
    script = []
    for _ in range(length):
        gap = rng.choice([0, 0, 0, 1, 16, 64, 64 * 5, 64 * 20]) * rng.random()
        wanted = make_wanted(rng.randint(1, 4), rng.choice(WHAT_TO_SHOW[:2]), rng.randint(0, 40))
        script.append((int(gap) * TICK, wanted))
    return script


@given(st.integers(), st.integers(0, 200), st.integers(0, 16))
@settings(max_examples=60, deadline=None)
def test_the_gateway_never_finds_one_too_many(seed: int, length: int, latest: int) -> None:
    """Even where each arrives up to a quarter of a second later than it was sent."""
    asker, rng = Asker(), random.Random(seed)
    for gap, wanted in make_script(seed, length):
        asker.now += gap
        asker.ask(wanted, on_its_way=rng.randint(0, latest) * TICK)


@given(st.integers(), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_what_may_be_asked_and_waits_to_be_sent_counts_already(seed: int, length: int) -> None:
    """Messages have turns of their own, so that some time may pass between the two, or it is given up."""
    ours, judge, rng = HistoryPacing(), HistoricalPacing(Pacing()), random.Random(seed)
    waiting: list[Wanted] = []
    now = 0.0
    for gap, wanted in make_script(seed, length):
        now += gap
        if ours.wait(now, wanted) == 0:
            ours.reserve(wanted)
            waiting.append(wanted)
        while waiting and rng.random() < 0.5:
            chosen = waiting.pop(rng.randrange(len(waiting)))
            if rng.random() < 0.1:
                ours.release(chosen)
                continue
            ours.count(now, chosen)
            assert violation(judge, now, chosen) is None, "one too many was let through"
    for chosen in waiting:
        ours.release(chosen)
    # What was given up counts no longer, and what was sent not for ever.
    assert ours.wait(now + MOST_WITHIN + MARGIN, make_wanted(1, "TRADES", 0)) == 0


@given(st.integers(), st.integers(0, 120))
@settings(max_examples=15, deadline=None)
def test_nobody_waits_longer_than_the_gateway_would_make_him(seed: int, length: int) -> None:
    """But for the margin: up to then the gateway would have refused."""
    asker = Asker()
    for gap, wanted in make_script(seed, length):
        asker.now += gap
        wait = asker.ours.wait(asker.now, wanted)
        if wait > MARGIN:
            assert asker.would_be_too_many(asker.now + wait - MARGIN - TICK, wanted)
        asker.ask(wanted)


def test_sixty_at_once_and_then_one_after_the_other() -> None:
    asker = Asker()
    waits = [asker.ask(make_wanted(n, "TRADES", 0)) for n in range(61)]
    assert waits == [0.0] * MOST + [MOST_WITHIN + MARGIN]
    assert asker.ask(make_wanted(100, "TRADES", 0)) == 0


def test_what_was_asked_ten_minutes_ago_counts_for_a_moment_longer() -> None:
    asker = Asker()
    for n in range(MOST):
        asker.ask(make_wanted(n, "TRADES", 0))
    assert asker.ours.wait(MOST_WITHIN, make_wanted(100, "TRADES", 0)) == MARGIN


def test_six_of_one_contract_and_kind() -> None:
    asker = Asker()
    waits = [asker.ask(make_wanted(1, "TRADES", n)) for n in range(11)]
    assert waits == [0.0] * 5 + [2.25] + [0.0] * 4 + [2.25]
    assert asker.ask(make_wanted(1, "MIDPOINT", 0)) == 0, "another kind counts for itself"


def test_the_same_again() -> None:
    asker = Asker()
    same = make_wanted(1, "TRADES", 0)
    asker.ask(same)
    asker.now += 5
    assert asker.ask(same) == IDENTICAL_WITHIN + MARGIN - 5
    assert asker.ask(same) == IDENTICAL_WITHIN + MARGIN


@pytest.mark.parametrize("ahead", [0, 1, 4, 40, 59, 60, 61, 500])
def test_what_waits_before_it_counts(ahead: int) -> None:
    """As if each of those had been asked for by the time that there was room for it."""
    asker = Asker()
    for n in range(56):
        asker.ask(make_wanted(n, "TRADES", 0))
        asker.now += 1
    wait = asker.ours.wait(asker.now, make_wanted(1000, "TRADES", 0), ahead)
    if ahead < 60:
        for n in range(ahead):
            asker.ask(make_wanted(2000 + n, "TRADES", 0))
        began = 56.0
        asker.ask(make_wanted(1000, "TRADES", 0))
        assert wait == asker.now - began
    else:
        assert wait >= MOST_WITHIN, "it is known only that there is no room within this window"


def test_a_complaint_of_the_gateway_is_heeded() -> None:
    pacing, wanted = HistoryPacing(), make_wanted(1, "TRADES", 0)
    assert pacing.wait(100.0, wanted) == 0
    pacing.penalise(100.0)
    assert pacing.wait(100.0, wanted) == PENALTY
    assert pacing.wait(110.0, wanted) == PENALTY - 10
    assert pacing.wait(100.0 + PENALTY, wanted) == 0


def test_a_count_of_weeks_does_not_grow() -> None:
    pacing = HistoryPacing()
    for n in range(5000):
        wanted, at = make_wanted(n, "TRADES", 0), n * 10.25
        assert pacing.wait(at, wanted) == 0
        pacing.count(at, wanted)
    assert len(pacing._asked) <= MOST


@pytest.mark.parametrize("size", BAR_SIZES)
def test_bars_of_up_to_thirty_seconds_are_limited(size: str) -> None:
    number, unit = size.split()
    assert is_limited(size) is (unit == "secs" and int(number) <= 30)


def test_quotes_of_both_sides_count_twice() -> None:
    assert {what: weight_of(what) for what in ("TRADES", "BID", "BID_ASK")} == {
        "TRADES": 1,
        "BID": 1,
        "BID_ASK": 2,
    }


# The desk ----------------------------------------------------------------------------------------

SPY = ContractQuery(symbol="SPY")
SMALL = "1 secs"


def bars(number: int = 0, *, bar_size: str = "1 hour") -> BarRequest:
    """Requests that differ by their duration."""
    return BarRequest(bar_size=bar_size, duration=f"{3600 + number} S", use_rth=False)


def error_162(text: str) -> Rewrite:
    """In place of an answer, that error."""
    message = f"Historical Market Data Service error message:{text}"
    return lambda fields: ["4", "2", fields[1], "162", message, ""]


class Desk:
    """A broker, and what passes between it and the gateway."""

    def __init__(self, broker: IBKRBroker, proxy: Proxy) -> None:
        self.broker = broker
        self.proxy = proxy
        self.tasks = Tasks()
        self.held: list[list[str]] = []

    def ask(self, request: BarRequest, query: ContractQuery = SPY) -> "asyncio.Task[tuple[Bar, ...]]":
        return self.tasks.spawn(self.broker.get_bars(query, request), name="asker", expected=TradeMindError)

    @property
    def asked(self) -> int:
        """How many questions for bars have gone over the wire."""
        return self.proxy.count(ASK)

    def hold_answers(self) -> None:
        """Keep the gateway's answers for now."""

        def hold(fields: list[str]) -> None:
            self.held.append(fields)

        self.proxy.from_gateway[HISTORY] = hold

    def give_answers(self) -> None:
        del self.proxy.from_gateway[HISTORY]
        for fields in self.held:
            self.proxy.say(*fields)
        self.held.clear()

    async def settle(self) -> None:
        """Everything that was said has been heard: the gateway answers in order."""
        await self.broker.search_contracts("settle")

    def check_that_ib_has_no_complaint(self) -> None:
        assert self.broker.session.notices == ()


@asynccontextmanager
async def open_desk(**options: Any) -> AsyncIterator[Desk]:
    """A desk whose messages are not paced, on neither side, so that only the limits on history hold."""
    options = {"max_requests_per_second": 100_000, **options}
    pacing = Pacing(messages_per_second=None)
    async with (
        PaperGatewayServer(cash=Decimal(100_000), seed=42, pacing=pacing) as gateway,
        Proxy(gateway.port) as proxy,
        IBKRBroker(port=proxy.port, **options) as broker,
    ):
        await broker.qualify(SPY)
        yield Desk(broker, proxy)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as desk:
        yield desk


async def test_the_same_question_at_the_same_time_is_one(desk: Desk) -> None:
    desk.hold_answers()
    askers = [desk.ask(bars()) for _ in range(20)]
    others = [desk.ask(bars(1)), desk.ask(bars(), ContractQuery(symbol="AAPL"))]
    await until(lambda: len(desk.held) == 3)
    desk.give_answers()
    answers = await asyncio.gather(*askers)
    assert len(answers[0]) > 0
    assert all(answer is answers[0] for answer in answers)
    assert len({id(answer) for answer in await asyncio.gather(*others)}) == 2
    assert desk.asked == 3


async def test_an_answer_is_good_for_fifteen_seconds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await desk.broker.get_bars(SPY, bars())
    assert await desk.broker.get_bars(SPY, bars()) is first
    assert desk.asked == 1
    assert history.FRESH_FOR == IDENTICAL_WITHIN, "within which IB would refuse the same question"
    monkeypatch.setattr(history, "FRESH_FOR", 0.0)
    assert await desk.broker.get_bars(SPY, bars()) is not first
    assert desk.asked == 2


async def test_answers_are_not_kept_without_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    with monkeypatch.context() as patched:
        patched.setattr(history, "FRESH_FOR", 0.0)
        for number in (0, 1, 2, 0, 3):
            await desk.broker.get_bars(SPY, bars(number))
    assert (desk.asked, len(desk.broker._history._answers)) == (5, 3)
    for number in (0, 2, 3):
        await desk.broker.get_bars(SPY, bars(number))
    assert desk.asked == 5
    await desk.broker.get_bars(SPY, bars(1))
    assert desk.asked == 6, "the oldest answer had made room"


async def test_an_error_is_told_to_all_who_asked_and_not_kept(desk: Desk) -> None:
    desk.proxy.from_gateway[HISTORY] = error_162("No market data permissions")
    answers = await asyncio.gather(*(desk.ask(bars()) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(answer, Refused) for answer in answers)
    assert desk.asked == 1
    del desk.proxy.from_gateway[HISTORY]
    assert len(await desk.broker.get_bars(SPY, bars())) > 0
    assert desk.asked == 2


async def test_that_there_are_none_is_an_answer_too(desk: Desk) -> None:
    desk.proxy.from_gateway[HISTORY] = error_162("HMDS query returned no data")
    assert await desk.broker.get_bars(SPY, bars()) == ()
    assert await desk.broker.get_bars(SPY, bars()) == ()
    assert desk.asked == 1


async def test_a_caller_who_goes_takes_nobody_along(desk: Desk) -> None:
    desk.hold_answers()
    gone, stays = desk.ask(bars()), desk.ask(bars())
    await until(lambda: desk.held)
    gone.cancel()
    await asyncio.sleep(0)
    assert gone.cancelled()
    late = desk.ask(bars())
    desk.give_answers()
    assert await stays is await late
    assert desk.asked == 1


async def test_a_question_whose_callers_have_all_gone_is_asked_to_its_end(desk: Desk) -> None:
    desk.hold_answers()
    gone = desk.ask(bars())
    await until(lambda: desk.held)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    desk.give_answers()
    await desk.settle()
    assert len(await desk.broker.get_bars(SPY, bars())) > 0
    assert desk.asked == 1
    assert desk.proxy.count(CANCEL) == 0


async def test_no_more_than_48_are_under_way(desk: Desk) -> None:
    """The gateway would take 50 of them, and refuse the rest."""
    desk.hold_answers()
    askers = [desk.ask(bars(number)) for number in range(120)]
    await until(lambda: len(desk.held) == 48)
    await desk.settle()
    assert desk.asked == 48
    for _ in range(2):
        desk.give_answers()
        desk.hold_answers()
        await until(lambda: len(desk.held) >= 24)
        await desk.settle()
        assert len(desk.held) <= 48
    desk.give_answers()
    assert all(len(answer) > 0 for answer in await asyncio.gather(*askers))
    assert desk.asked == 120
    desk.check_that_ib_has_no_complaint()


async def test_a_failure_makes_room_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, or without an answer, or given up by nobody's fault: each lets another one go."""
    monkeypatch.setattr(history, "IN_FLIGHT", 2)
    async with open_desk(request_timeout=0.4) as desk:
        desk.proxy.from_gateway[HISTORY] = error_162("no permissions")
        answers = await asyncio.gather(*(desk.ask(bars(n)) for n in range(6)), return_exceptions=True)
        assert all(isinstance(answer, Refused) for answer in answers)
        desk.proxy.from_gateway[HISTORY] = withhold
        answers = await asyncio.gather(*(desk.ask(bars(n)) for n in range(2)), return_exceptions=True)
        assert all(isinstance(answer, NoAnswer) for answer in answers)
        del desk.proxy.from_gateway[HISTORY]
        assert await asyncio.gather(*(desk.ask(bars(n)) for n in range(6)))


async def test_one_without_an_answer_is_given_up_at_the_gateway_too() -> None:
    async with open_desk(request_timeout=0.3) as desk:
        desk.proxy.from_gateway[HISTORY] = withhold
        with pytest.raises(NoAnswer):
            await desk.broker.get_bars(SPY, bars())
        await until(lambda: desk.proxy.count(CANCEL) == 1)
        (question,) = [f for f in desk.proxy.sent_by_client if f[0] == str(ASK)]
        (cancel,) = [f for f in desk.proxy.sent_by_client if f[0] == str(CANCEL)]
        assert cancel[2] == question[1]
        del desk.proxy.from_gateway[HISTORY]
        assert len(await desk.broker.get_bars(SPY, bars())) > 0
        assert desk.proxy.count(CANCEL) == 1


async def test_what_the_limits_hold_back_waits_and_is_answered(desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    askers = [desk.ask(bars(number, bar_size=SMALL)) for number in range(6)]
    await asyncio.gather(*askers[:5])
    # Bars that IB does not limit are not held up by those that it does.
    assert len(await desk.broker.get_bars(SPY, bars())) > 0
    assert not askers[5].done()
    assert desk.asked == 6
    await askers[5]
    assert 2.25 <= loop.time() - began < 8
    desk.check_that_ib_has_no_complaint()


@pytest.mark.parametrize(("by_peer", "error"), [(True, ConnectionLost), (False, NotConnected)])
async def test_what_is_held_back_is_told_of_the_end_at_once(
    desk: Desk, by_peer: bool, error: type[TradeMindError]
) -> None:
    """Whether it waits for IB's limits or for room among those in flight."""
    desk.hold_answers()
    askers = [desk.ask(bars(number, bar_size=SMALL)) for number in range(7)]
    askers += [desk.ask(bars(number)) for number in range(60)]
    await until(lambda: desk.asked == 48)
    loop = asyncio.get_running_loop()
    began = loop.time()
    if by_peer:
        desk.proxy.cut()
    else:
        await desk.broker.disconnect()
    answers = await asyncio.gather(*askers, return_exceptions=True)
    assert loop.time() - began < 1
    assert {type(answer) for answer in answers} == {error}


async def test_a_new_connection_is_asked_as_if_nothing_had_been_held(desk: Desk) -> None:
    desk.hold_answers()
    askers = [desk.ask(bars(number)) for number in range(60)]
    await until(lambda: desk.asked == 48)
    desk.proxy.cut()
    await asyncio.gather(*askers, return_exceptions=True)
    desk.held.clear()
    del desk.proxy.from_gateway[HISTORY]
    await until(lambda: desk.broker.session.connection_number == 2)
    assert all(await asyncio.gather(*(desk.ask(bars(number)) for number in range(60))))


async def test_whoever_would_wait_too_long_is_told_his_place_and_when_to_come_back(desk: Desk) -> None:
    symbols = ["AAPL", "MSFT", "SPY", "QQQ", "IBM", "KO", "AMZN", "NVDA", "TSLA", "AMD", "GOOGL", "META"]
    queries = [ContractQuery(symbol=symbol) for symbol in symbols]
    allowed = [(query, bars(n, bar_size="30 secs")) for query in queries for n in range(5)]
    assert len(allowed) == MOST
    answers = await asyncio.gather(*(desk.ask(request, query) for query, request in allowed))
    assert all(len(answer) > 0 for answer in answers)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(PacingViolation) as refusal:
        await desk.broker.get_bars(SPY, bars(99, bar_size=SMALL))
    assert loop.time() - began < 5, "it is known at once"
    assert refusal.value.extra == {"position": 0}
    assert refusal.value.ib_code is None, "it was IB who was asked"
    assert refusal.value.retry_after is not None
    assert MOST_WITHIN - 60 < refusal.value.retry_after <= MOST_WITHIN + 1
    assert desk.asked == MOST
    # What needs no asking, and what is not limited, is answered all the same.
    assert await desk.broker.get_bars(*allowed[0]) is answers[0]
    assert len(await desk.broker.get_bars(SPY, bars(98))) > 0
    desk.check_that_ib_has_no_complaint()


async def test_ibs_own_complaint_keeps_the_desk_from_asking(desk: Desk) -> None:
    """Another program of the login asks as well, so that our count is not all."""
    desk.proxy.from_gateway[HISTORY] = error_162("Historical data request pacing violation")
    with pytest.raises(PacingViolation) as complaint:
        await desk.broker.get_bars(SPY, bars(0, bar_size=SMALL))
    assert complaint.value.ib_code == 162
    del desk.proxy.from_gateway[HISTORY]
    held = desk.ask(bars(1, bar_size=SMALL))
    assert len(await desk.broker.get_bars(SPY, bars(1))) > 0, "longer bars are not limited"
    assert not held.done()
    assert desk.asked == 2
    held.cancel()


async def test_without_pacing_nothing_is_held_back() -> None:
    async with open_desk(max_requests_per_second=0) as desk:
        answers = await asyncio.gather(
            *(desk.ask(bars(n, bar_size=SMALL)) for n in range(8)), return_exceptions=True
        )
        # This gateway has the limits all the same, and says so: that was the setting's business.
        assert sum(isinstance(answer, PacingViolation) for answer in answers) == 3
