"""Admission, second by second: who may send when, on a loop whose time is told and not waited for.

Strategy: `VirtualLoop` is asyncio's own loop with its clock taken out: where it would sleep until the next
timer, it jumps there. All moments are multiples of 1/128 s, which floats hold exactly, so that "a second
later" has one meaning. Where a timer and a sleeping test are due at the same moment, the timer comes first.

How the tests were seen to fail: limits and shares raised, priorities visited in the reverse order, `pop` for
`popleft`, turns sent though they were given up or their deadline had passed, the count left unchanged on
giving up, a message counted after it was sent, a timer that is not brought forward or not set again, a
failure that reaches those behind, and a `close` that forgets those who wait or the timer.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.aio import Tasks
from trademind.brokers.ibkr.pacing import Pacer, Priority, Turn, TurnExpired, too_many
from trademind.errors import ConnectionLost, GatewaySilent, TradeMindError

T = TypeVar("T")

SHARES = {Priority.CANCEL: 1.0, Priority.ORDER: 0.95, Priority.ACCOUNT: 0.85, Priority.DATA: 0.75}
"""What the module's docstring and comments promise, written down once more on purpose."""
TICK = 1 / 128
NEVER = float("inf")


class _NoWaiting(selectors.DefaultSelector):
    """Looks whether there is something to read; instead of waiting, it moves its loop's time."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for something that never comes"
            self.loop.seconds += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which nothing takes any time but waiting."""

    def __init__(self) -> None:
        selector = _NoWaiting()
        selector.loop = self
        self.seconds = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds


def in_virtual_time(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on a loop of its own, in no time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    return asyncio.get_running_loop().time()


def hold_up_until(until: float, *, at: float) -> None:
    """Have something hold up the loop from `at` on, so that it comes to all timers in between in one step."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.call_at(at, setattr, loop, "seconds", until)


def pending_timers() -> list[asyncio.TimerHandle]:
    """What the loop would still wait for."""
    scheduled: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [handle for handle in scheduled if not handle.cancelled()]


def limit(rate: int, priority: Priority) -> int:
    return max(1, int(rate * SHARES[priority]))


@dataclass(eq=False)
class Message:
    """What became of one message."""

    number: int
    priority: Priority
    posted_at: float
    sent_at: float | None = None
    gave_up_at: float | None = None
    turn: Turn | None = None
    caller: "asyncio.Task[int] | None" = None

    @property
    def waits(self) -> bool:
        return self.sent_at is None and self.gave_up_at is None


class Bench:
    """A pacer, and what it has sent."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.pacer = Pacer(rate)
        self.messages: list[Message] = []
        self.sent: list[Message] = []
        self.tasks = Tasks()

    def _new(self, priority: Priority) -> Message:
        message = Message(len(self.messages), priority, now())
        self.messages.append(message)
        return message

    def _note(self, message: Message) -> None:
        assert message.gave_up_at is None, "it was given up"
        assert message.sent_at is None, "it was sent before"
        message.sent_at = now()
        self.sent.append(message)

    def _send(self, message: Message) -> int:
        self._note(message)
        return message.number

    def post(self, priority: Priority, then: Callable[[], object] = lambda: None) -> Message:
        """Post a message, whose sending does `then` as well."""
        message = self._new(priority)

        def send() -> None:
            self._note(message)
            then()

        message.turn = self.pacer.post(priority, send)
        return message

    async def call(self, priority: Priority) -> Message:
        """Have somebody wait for it to be sent."""
        message = self._new(priority)
        message.caller = self.tasks.spawn(
            self.pacer.send(priority, lambda: self._send(message), until=NEVER), name="caller"
        )
        await asyncio.sleep(0)
        return message

    async def give_up(self, message: Message) -> None:
        if message.waits:
            message.gave_up_at = now()
            if message.turn is not None:
                self.pacer.give_up(message.turn)
            elif message.caller is not None:
                message.caller.cancel()
                with suppress(asyncio.CancelledError):
                    await message.caller

    def times(self, priority: Priority | None = None) -> list[float]:
        """When messages were sent, from the beginning of the loop's time."""
        wanted = [m for m in self.sent if priority in (None, m.priority)]
        return [(m.sent_at or 0.0) - 1000.0 for m in wanted]


def in_flight(sent: list[Message], at: float) -> int:
    """How many of `sent` were sent within the second that ends with `at`."""
    return sum(1 for m in sent if m.sent_at is not None and at - 1.0 < m.sent_at <= at)


def check_limits(bench: Bench) -> None:
    """No second has more than it may, whatever was sent last in it."""
    for index, message in enumerate(bench.sent):
        assert message.sent_at is not None
        already = sum(1 for m in bench.sent[: index + 1] if (m.sent_at or 0) > message.sent_at - 1.0)
        assert already <= limit(bench.rate, message.priority), (message, already)
        assert already <= bench.rate


def check_order(bench: Bench) -> None:
    """A message is sent before all that are less urgent, or as urgent and came later."""
    for index, message in enumerate(bench.sent):
        for other in bench.sent[index + 1 :]:
            assert message.sent_at is not None
            waited = other.posted_at <= message.sent_at and other.number < message.number
            assert not (waited and other.priority <= message.priority), (message, other)


def check_nothing_waits_in_vain(bench: Bench) -> None:
    """Whenever a message waited, there was no room for it."""
    instants = sorted({m.sent_at + 1.0 for m in bench.sent if m.sent_at is not None})
    for message in bench.messages:
        until = message.sent_at or message.gave_up_at
        assert until is not None, "it was never sent"
        for instant in (message.posted_at, *instants):
            if message.posted_at <= instant < until:
                assert in_flight(bench.sent, instant) >= limit(bench.rate, message.priority), message


priorities = st.sampled_from(list(Priority))
gaps = st.integers(0, 20).map(lambda sixteenths: sixteenths / 16)
events = st.tuples(
    gaps, st.sampled_from(["post", "post", "call", "give_up"]), priorities, st.integers(0, 10**6)
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([1, 2, 3, 4, 7, 10, 45]), st.lists(events, max_size=60))
def test_whatever_comes_whenever(rate: int, script: list[tuple[float, str, Priority, int]]) -> None:
    async def play() -> Bench:
        bench = Bench(rate)
        for gap, kind, priority, choice in script:
            await asyncio.sleep(gap)
            match kind:
                case "post":
                    bench.post(priority)
                case "call":
                    await bench.call(priority)
                case _ if bench.messages:
                    await bench.give_up(bench.messages[choice % len(bench.messages)])
            waiting = [m for m in bench.messages if m.waits]
            for each in Priority:
                assert bench.pacer.position(each) == sum(1 for m in waiting if m.priority <= each)
                assert bench.pacer.queued[each.name.lower()] == sum(1 for m in waiting if m.priority is each)
        await asyncio.sleep(len(script) + 2)
        assert sum(bench.pacer.queued.values()) == 0
        for message in bench.messages:
            if message.caller is not None and message.sent_at is not None:
                assert await message.caller == message.number
        return bench

    bench = in_virtual_time(play())
    check_limits(bench)
    check_order(bench)
    check_nothing_waits_in_vain(bench)
    assert {m.number for m in bench.sent} == {m.number for m in bench.messages if m.gave_up_at is None}


@pytest.mark.parametrize(("priority", "most"), [(0, 45), (1, 42), (2, 38), (3, 33)])
def test_what_each_kind_may_use_of_a_second(priority: int, most: int) -> None:
    async def play() -> None:
        bench = Bench(45)
        for _ in range(100):
            bench.post(Priority(priority))
        assert len(bench.sent) == most
        assert bench.pacer.position(Priority.DATA) == 100 - most
        for kind in Priority:  # there is room at once for whatever is more urgent, and for nothing else
            before = len(bench.sent)
            bench.post(kind)
            assert (len(bench.sent) > before) is (kind < priority)

    in_virtual_time(play())


def test_a_dozen_cancels_find_room_in_a_flood_of_data() -> None:
    async def play() -> None:
        bench = Bench(45)
        for _ in range(500):
            bench.post(Priority.DATA)
        await asyncio.sleep(3.5)
        cancels = [bench.post(Priority.CANCEL) for _ in range(12)]
        assert {m.sent_at for m in cancels} == {now()}

    in_virtual_time(play())


def test_a_timer_for_the_less_urgent_is_brought_forward() -> None:
    """Room for data comes when the second oldest message is a second old; for a cancel with the oldest."""

    async def play() -> None:
        bench = Bench(4)
        for kind in (Priority.DATA, Priority.DATA, Priority.DATA, Priority.CANCEL):
            bench.post(kind)
            await asyncio.sleep(0.125)
        bench.post(Priority.DATA)
        await asyncio.sleep(0.125)
        bench.post(Priority.CANCEL)
        await asyncio.sleep(5)
        assert bench.times(Priority.CANCEL) == [0.375, 1.0]
        assert bench.times(Priority.DATA) == [0.0, 0.125, 0.25, 1.25]

    in_virtual_time(play())


def test_a_timer_that_comes_for_nobody_is_set_again() -> None:
    """What it was set for has been given up; those behind are less urgent, and their room comes later."""

    async def play() -> None:
        bench = Bench(4)
        for kind in (Priority.DATA, Priority.DATA, Priority.DATA, Priority.CANCEL):
            bench.post(kind)
            await asyncio.sleep(0.125)
        urgent, patient = bench.post(Priority.CANCEL), bench.post(Priority.DATA)
        await bench.give_up(urgent)
        await asyncio.sleep(5)
        assert (patient.sent_at or 0) - 1000.0 == 1.125

    in_virtual_time(play())


@given(st.integers(1, 45), st.integers(0, 200), st.integers(1, 127))
@settings(max_examples=60, deadline=None)
def test_the_wait_that_is_told_is_right_within_a_second(rate: int, others: int, ticks: int) -> None:
    """Exact it cannot be: that would be counting on when the last second's messages were sent."""

    async def play() -> None:
        bench = Bench(rate)
        for _ in range(others):
            bench.post(Priority.DATA)
        await asyncio.sleep(ticks * TICK)
        told = bench.pacer.wait(Priority.DATA)
        asked_at = now()
        mine = bench.post(Priority.DATA)
        await asyncio.sleep(told + 3)
        assert mine.sent_at is not None
        assert abs(mine.sent_at - asked_at - told) <= 1.0

    in_virtual_time(play())


def test_the_wait_of_one_kind_counts_all_that_go_before_it() -> None:
    async def play() -> None:
        bench = Bench(10)
        for kind in (Priority.CANCEL, Priority.ORDER, Priority.ACCOUNT, Priority.DATA):
            for _ in range(20):
                bench.post(kind)
        assert bench.pacer.queued == {"cancel": 10, "order": 20, "account": 20, "data": 20}
        positions = [bench.pacer.position(kind) for kind in Priority]
        assert positions == [10, 30, 50, 70]
        waits = [bench.pacer.wait(kind) for kind in Priority]
        assert waits == [10 / 10, 30 / 9, 50 / 8, 70 / 7]

    in_virtual_time(play())


def test_without_a_rate_everything_is_sent_at_once() -> None:
    async def play() -> None:
        bench = Bench(0)
        for kind in reversed(Priority):
            for _ in range(300):
                bench.post(kind)
        assert await bench.pacer.send(Priority.DATA, lambda: "answer", until=NEVER) == "answer"
        assert len(bench.sent) == 1200
        assert set(bench.pacer.queued.values()) == {0}
        assert bench.pacer.wait(Priority.DATA) == 0

    in_virtual_time(play())


# Callers ---------------------------------------------------------------------------------------


def test_a_caller_who_is_cancelled_before_its_turn_has_sent_nothing() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)
        gone, stays = await bench.call(Priority.DATA), await bench.call(Priority.DATA)
        assert gone.caller is not None
        gone.caller.cancel()
        await asyncio.sleep(0)
        assert bench.pacer.position(Priority.DATA) == 1
        await asyncio.sleep(5)
        assert gone.sent_at is None
        assert stays.sent_at == 1001.0, "the place of the one that had gone was kept"

    in_virtual_time(play())


def test_a_caller_who_is_cancelled_in_the_step_of_its_turn_has_sent_nothing() -> None:
    """The turn comes between the cancellation and the caller's hearing of it."""

    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)
        gone = await bench.call(Priority.DATA)
        assert gone.caller is not None
        hold_up_until(1001.25, at=1000.75)
        asyncio.get_running_loop().call_at(1000.875, gone.caller.cancel)
        await asyncio.sleep(5)
        assert gone.sent_at is None
        assert gone.caller.cancelled()

    in_virtual_time(play())


def test_a_deadline_before_the_turn_sends_nothing() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.ORDER)
        sent: list[str] = []
        with pytest.raises(TurnExpired):
            await bench.pacer.send(Priority.ORDER, lambda: sent.append("late"), until=1000.5)
        assert now() == 1000.5
        assert bench.pacer.position(Priority.ORDER) == 0
        await asyncio.sleep(3)
        assert sent == []

    in_virtual_time(play())


@pytest.mark.parametrize(("until", "is_sent"), [(1000.875, False), (1001.125, False), (1001.5, True)])
def test_what_is_told_not_to_be_sent_is_not_sent_though_the_loop_was_held_up(
    until: float, is_sent: bool
) -> None:
    """The turn, at 1001, and the deadline come up in one step of the loop, at 1001.25."""

    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.ORDER)
        sent: list[str] = []
        hold_up_until(1001.25, at=1000.75)
        if is_sent:
            await bench.pacer.send(Priority.ORDER, lambda: sent.append("order"), until=until)
        else:
            with pytest.raises(TurnExpired):
                await bench.pacer.send(Priority.ORDER, lambda: sent.append("order"), until=until)
        await asyncio.sleep(5)
        assert sent == ["order"] * is_sent

    in_virtual_time(play())


def test_a_deadline_that_has_passed_already_sends_nothing() -> None:
    async def play() -> None:
        pacer, sent = Pacer(10), list[str]()
        with pytest.raises(TurnExpired):
            await pacer.send(Priority.ORDER, lambda: sent.append("order"), until=now())
        assert sent == []

    in_virtual_time(play())


def test_a_turn_leaves_no_deadline_behind() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)
        await bench.pacer.send(Priority.DATA, lambda: None, until=now() + 1000)
        await bench.pacer.send(Priority.DATA, lambda: None, until=now() + 1000)
        assert pending_timers() == []

    in_virtual_time(play())


def test_what_a_send_raises_is_for_its_caller_alone() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)

        def fail() -> None:
            raise ConnectionError("the socket is gone")

        first = bench.tasks.spawn(
            bench.pacer.send(Priority.DATA, fail, until=NEVER), name="fails", expected=ConnectionError
        )
        await asyncio.sleep(0)
        second = await bench.call(Priority.DATA)
        await asyncio.sleep(5)
        assert isinstance(first.exception(), ConnectionError)
        assert second.sent_at == 1002.0, "what was tried counts, and the next one has its turn"
        assert second.caller is not None
        assert await second.caller == second.number

    in_virtual_time(play())


def test_what_nobody_waits_for_may_fail_without_stopping_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        bench = Bench(2)

        def fail() -> None:
            raise ConnectionError("the socket is gone")

        for _ in range(3):
            bench.pacer.post(Priority.DATA, fail)
        last = bench.post(Priority.DATA)
        bench.post(Priority.CANCEL)
        await asyncio.sleep(10)
        assert last.sent_at == 1003.0

    in_virtual_time(play())
    assert caplog.messages == ["a message could not be sent"] * 3


@pytest.mark.parametrize("follower", list(Priority))
def test_a_send_may_post_more(follower: Priority) -> None:
    """As a question does whose answer is no longer wanted."""

    async def play() -> None:
        bench = Bench(4)

        def go_on(left: int) -> None:
            bench.post(Priority.ACCOUNT)
            if left:
                bench.post(follower, lambda: go_on(left - 1))

        bench.post(Priority.DATA, lambda: go_on(5))
        await asyncio.sleep(30)
        assert len(bench.sent) == 12
        assert sum(bench.pacer.queued.values()) == 0
        check_limits(bench)
        check_order(bench)
        check_nothing_waits_in_vain(bench)

    in_virtual_time(play())


# The end ---------------------------------------------------------------------------------------


def test_the_end_of_the_connection_is_told_to_all_who_wait_and_all_who_come() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)
        posted = bench.post(Priority.CANCEL)
        callers = [
            bench.tasks.spawn(
                bench.pacer.send(kind, lambda: None, until=2000.0), name="caller", expected=TradeMindError
            )
            for kind in Priority
        ]
        await asyncio.sleep(0)
        reason = ConnectionLost("it is over")
        bench.pacer.close(reason)
        assert set(bench.pacer.queued.values()) == {0}
        await asyncio.sleep(0)
        assert [caller.exception() for caller in callers] == [reason] * 4
        assert pending_timers() == []
        with pytest.raises(ConnectionLost):
            bench.pacer.post(Priority.CANCEL, lambda: None)
        with pytest.raises(ConnectionLost):
            await bench.pacer.send(Priority.CANCEL, lambda: None, until=NEVER)
        await asyncio.sleep(10)
        assert posted.sent_at is None
        bench.pacer.close(reason)

    in_virtual_time(play())


def test_a_silence_is_told_to_those_who_wait_and_ends_nothing_else() -> None:
    async def play() -> None:
        bench = Bench(1)
        bench.post(Priority.DATA)
        posted = bench.post(Priority.DATA)
        sent: list[str] = []
        caller = bench.tasks.spawn(
            bench.pacer.send(Priority.CANCEL, lambda: sent.append("cancel"), until=NEVER),
            name="caller",
            expected=TradeMindError,
        )
        await asyncio.sleep(0)
        bench.pacer.fail_waiting(GatewaySilent("nothing is heard"))
        await asyncio.sleep(5)
        assert isinstance(caller.exception(), GatewaySilent)
        assert sent == []
        assert posted.sent_at == 1001.0
        await bench.pacer.send(Priority.CANCEL, lambda: sent.append("later"), until=NEVER)
        assert sent == ["later"]

    in_virtual_time(play())


def test_a_connection_that_ends_in_the_middle_of_a_turn() -> None:
    """What is sent may be what notices the end: those behind it are not sent any more."""

    async def play() -> None:
        bench = Bench(10)
        pacer = bench.pacer
        for _ in range(10):
            bench.post(Priority.CANCEL)
        pacer.post(Priority.CANCEL, lambda: pacer.close(ConnectionLost("broken pipe")))
        behind = [bench.post(kind) for kind in Priority]
        await asyncio.sleep(5)
        assert [m.sent_at for m in behind] == [None] * 4
        assert set(pacer.queued.values()) == {0}

    in_virtual_time(play())


def test_a_refusal_says_how_many_wait_and_when_to_come_back() -> None:
    refusal = too_many("bars of SPY", 70, 23.4)
    assert (refusal.status, refusal.retry_after, refusal.extra) == (429, 23, {"position": 70})
    assert "bars of SPY" in refusal.detail
    assert too_many("bars", 0, 0.01).retry_after == 1
