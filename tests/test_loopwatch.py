"""The loop's lag, and the name of what holds it.

What must be seen is really done: callbacks sleep, count or stop for real. What must not be seen is shown with
hand-made time, in which a busy machine cannot add to what a callback takes.
"""

import asyncio
import functools
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from trademind import loopwatch
from trademind.loopwatch import BEAT, BOUNDS, THRESHOLD, LagSummary, LineLimit, Look, LoopWatch

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
NewLoop = Callable[[], asyncio.AbstractEventLoop]
MODULE = __name__
SETTLED = 3 * BEAT
"""Seconds until the loop has beaten again."""


def run(new_loop: NewLoop, main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def watchdogs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "trademind-loopwatch"]


class World:
    """Time that passes only where it is spent."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def spend(self, seconds: float) -> None:
        """Hold the thread that long, in small steps, so that the watchdog has its looks."""
        for _ in range(round(seconds / 0.005)):
            self.seconds += 0.005
            time.sleep(0.005)


# What a loop runs.


def blocks() -> None:
    time.sleep(0.3)


def calls_what_blocks() -> None:
    blocks()


async def waits_for_what_blocks() -> None:
    await asyncio.sleep(0)
    calls_what_blocks()


def keeps_the_lock(count: int) -> None:
    sum(range(count))


# A callback that holds the loop.


@LOOPS
def test_a_callback_that_holds_the_loop_is_logged_by_name(
    new_loop: NewLoop, caplog: pytest.LogCaptureFixture
) -> None:
    """One stall, one line. Without the watchdog's thread (its `start` taken out) all that is known is that
    nothing was seen: nothing is logged, and a pause is counted instead."""
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            asyncio.get_running_loop().call_soon(calls_what_blocks)
            await asyncio.sleep(SETTLED)

    before = datetime.now(UTC)
    run(new_loop, main())
    (stall,) = watch.stalls
    (line,) = warnings(caplog)
    assert stall.callback == f"{MODULE}.calls_what_blocks"
    assert 0.3 <= stall.seconds < 3
    assert before < stall.time <= datetime.now(UTC)
    assert stall.where.startswith(f"time.sleep(0.3) <- {MODULE}.blocks, line ")
    assert (
        stall.where.partition(" <- ")[2].partition(" <- ")[2].startswith(f"{MODULE}.calls_what_blocks, line ")
    )
    assert (
        line
        == str(stall)
        == f"{stall.callback} held the event loop for {stall.seconds:.2f} s (in {stall.where})"
    )
    assert (watch.stall_count, watch.pause_count) == (1, 0)


@LOOPS
@pytest.mark.parametrize("wrapped", [False, True], ids=["task", "wait_for"])
def test_so_is_a_coroutine(new_loop: NewLoop, wrapped: bool) -> None:
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            if wrapped:
                await asyncio.wait_for(waits_for_what_blocks(), 10)
            else:
                await asyncio.gather(waits_for_what_blocks())
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    (stall,) = watch.stalls
    # From Python 3.12 on `wait_for` runs what it waits for in the task that called it.
    assert stall.callback in (f"{MODULE}.waits_for_what_blocks", f"{MODULE}.{main.__qualname__}")
    assert f"{MODULE}.blocks, line " in stall.where


@LOOPS
def test_so_is_whoever_opened_the_watch(new_loop: NewLoop) -> None:
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            time.sleep(0.3)  # noqa: ASYNC251
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    assert [stall.callback for stall in watch.stalls] == [f"{MODULE}.{main.__qualname__}"]


@LOOPS
def test_a_loop_that_a_script_runs_itself(new_loop: NewLoop) -> None:
    """The callback is neither the script's function that runs the loop, nor anything outside of it.

    With "the outermost frame that is not asyncio's" it would be the test runner."""
    watch, loop = LoopWatch(), new_loop()

    async def main() -> None:
        async with watch:
            loop.call_soon(blocks)
            await asyncio.sleep(SETTLED)

    loop.run_until_complete(main())
    loop.close()
    assert [stall.callback for stall in watch.stalls] == [f"{MODULE}.blocks"]


@LOOPS
def test_a_callback_that_keeps_the_interpreters_lock(new_loop: NewLoop) -> None:
    """The watchdog sleeps through it, as it does on a machine that is suspended; but CPU time is used.

    Without that distinction (`ran` taken out of `_judge`) it is a pause, and none is named."""
    count = 1_000_000
    began = time.monotonic()
    while True:
        keeps_the_lock(count)
        now = time.monotonic()
        if now - began > 0.3:
            break
        count, began = 2 * count, now
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            asyncio.get_running_loop().call_soon(keeps_the_lock, count)
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    (stall,) = watch.stalls
    assert stall.callback == f"{MODULE}.keeps_the_lock"
    assert stall.where.startswith(f"sum(range(count)) <- {MODULE}.keeps_the_lock, line ")


@LOOPS
def test_a_callback_without_python_code(new_loop: NewLoop, caplog: pytest.LogCaptureFixture) -> None:
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            asyncio.get_running_loop().call_soon(functools.partial(time.sleep, 0.3))
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    (stall,) = watch.stalls
    # uvloop calls it from C, where the watchdog cannot see.
    assert stall.callback == ("time.sleep" if new_loop is asyncio.new_event_loop else loopwatch.IN_C)
    assert warnings(caplog) == [f"{stall.callback} held the event loop for {stall.seconds:.2f} s"]


def test_the_last_stalls_are_kept(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each until the limit; then the number of those left out, at the latest on closing.

    Without the limit (`allows` always true) there is a line for every stall."""
    monkeypatch.setattr(loopwatch, "LINES", 2)
    monkeypatch.setattr(loopwatch, "KEPT_STALLS", 4)
    watch = LoopWatch()
    stalls = 5

    async def main() -> None:
        async with watch:
            for _ in range(stalls):
                asyncio.get_running_loop().call_soon(time.sleep, THRESHOLD + 0.01)
                await asyncio.sleep(SETTLED)

    run(asyncio.new_event_loop, main())
    assert watch.stall_count == stalls
    assert len(watch.stalls) == 4
    lines = warnings(caplog)
    assert lines[0].startswith("time.sleep held")
    assert lines[2:] == [f"callbacks held the event loop {stalls - 2} more times within a minute"]


# What is no such callback.


@LOOPS
def test_a_short_callback_is_lag_and_no_more(new_loop: NewLoop, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    watch = LoopWatch(monotonic=world)

    async def main() -> None:
        async with watch:
            asyncio.get_running_loop().call_soon(world.spend, THRESHOLD - 0.02)
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    assert watch.lag.max == pytest.approx(THRESHOLD - 0.02 - BEAT)
    assert (watch.stalls, watch.pause_count, warnings(caplog)) == ((), 0, [])


@LOOPS
def test_many_short_callbacks_in_one_turn(new_loop: NewLoop, caplog: pytest.LogCaptureFixture) -> None:
    """The loop was held for 0.4 s, but no callback for more than 0.01 s.

    Without `longest`, or if equal names were taken for one call, the function would be blamed for 0.4 s."""
    world = World()
    watch = LoopWatch(monotonic=world)

    async def main() -> None:
        async with watch:
            for _ in range(40):
                asyncio.get_running_loop().call_soon(lambda: world.spend(0.01))
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    assert watch.lag.max == pytest.approx(0.4 - BEAT)
    assert (watch.stalls, watch.pause_count, warnings(caplog)) == ((), 0, [])


@LOOPS
def test_a_long_one_among_short_ones(new_loop: NewLoop) -> None:
    world = World()
    watch = LoopWatch(monotonic=world)

    def long() -> None:
        world.spend(0.3)

    async def main() -> None:
        async with watch:
            for number in range(20):
                asyncio.get_running_loop().call_soon(long if number == 10 else lambda: world.spend(0.01))
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    (stall,) = watch.stalls
    assert stall.callback == f"{MODULE}.{long.__qualname__}"
    assert 0.3 <= stall.seconds <= 0.4  # and not the 0.49 s that the loop was held


@LOOPS
def test_a_suspended_machine(new_loop: NewLoop, caplog: pytest.LogCaptureFixture) -> None:
    """Time jumps while nothing runs. Without the watchdog's look at its own sleep (`overslept`) it is a stall
    under uvloop, where an idle loop cannot be told from a callback in C."""
    asleep = 0.0
    watch = LoopWatch(monotonic=lambda: time.monotonic() + asleep)

    async def main() -> None:
        nonlocal asleep
        async with watch:
            await asyncio.sleep(SETTLED)
            asleep = 300.0
            await asyncio.sleep(SETTLED)

    run(new_loop, main())
    assert (watch.stalls, watch.stall_count, watch.pause_count) == ((), 0, 1)
    assert warnings(caplog) == []
    assert watch.lag.max is not None
    assert 299 < watch.lag.max < 301


STOPPED = f"""
import asyncio, json, uvloop
from trademind.loopwatch import LoopWatch

async def main():
    async with LoopWatch() as watch:
        await asyncio.sleep(0.1)
        print("ready", flush=True)
        while watch.lag.max < 0.3:
            await asyncio.sleep(0.01)
        await asyncio.sleep({SETTLED})
        print(json.dumps([[str(stall) for stall in watch.stalls], watch.pause_count, watch.lag.max]))

with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
    runner.run(main())
"""

NESTED = """
import asyncio, json, time, nest_asyncio
from trademind.loopwatch import LoopWatch

async def blocks():
    time.sleep(0.3)
    await asyncio.sleep(0.1)

def cell_that_runs_what_blocks():
    loop.run_until_complete(blocks())

def cell_that_blocks():
    loop.run_until_complete(asyncio.sleep(0.2))
    time.sleep(0.3)

async def main():
    watch = await LoopWatch().__aenter__()
    for cell in (cell_that_runs_what_blocks, cell_that_blocks):
        loop.call_soon(cell)
        await asyncio.sleep(0.7)
    return watch

loop = asyncio.new_event_loop()
nest_asyncio.apply(loop)
watch = loop.run_until_complete(main())
time.sleep(0.5)
loop.run_until_complete(asyncio.sleep(0.1))
watch.close()
loop.close()
print(json.dumps([[stall.callback for stall in watch.stalls], watch.pause_count, watch.lag.max]))
"""


def python(script: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )


@pytest.mark.parametrize("new_loop", ["asyncio.new_event_loop", "uvloop.new_event_loop"])
def test_a_process_that_was_stopped(new_loop: str) -> None:
    with python(STOPPED.replace("NEW_LOOP", new_loop)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.6)
        process.send_signal(signal.SIGCONT)
        stalls, pauses, longest = json.loads(process.communicate(timeout=20)[0])
    assert (stalls, pauses) == ([], 1)
    assert longest > 0.5


def test_a_notebook_that_runs_its_loop_from_inside() -> None:
    """nest_asyncio, and a loop that is not running between two cells: neither lag nor a stall.

    Without the watchdog's question whether the loop runs, the half second in between is a lag and a pause."""
    with python(NESTED) as process:
        stalls, pauses, longest = json.loads(process.communicate(timeout=20)[0])
    assert stalls == ["__main__.blocks", "__main__.cell_that_blocks"]
    assert pauses == 0
    assert longest < 0.45


# Opening, closing, and what it costs.


@LOOPS
def test_nothing_is_left_of_a_closed_watch(new_loop: NewLoop) -> None:
    """Neither thread nor timer: nobody refers to it. Without `cancel`, or `join`, in `close` it fails."""

    async def main() -> None:
        async with LoopWatch() as watch:
            await asyncio.sleep(SETTLED)
            assert len(watchdogs()) == 1
        assert watchdogs() == []
        watch.close()
        beats = watch.lag.count
        await asyncio.sleep(SETTLED)
        assert watch.lag.count == beats
        gone = weakref.ref(watch)
        del watch
        gc.collect()
        assert gone() is None

    run(new_loop, main())


@LOOPS
def test_a_loop_that_ends_without_closing_its_watch(new_loop: NewLoop) -> None:
    watch = LoopWatch()

    async def main() -> None:
        await watch.__aenter__()

    run(new_loop, main())
    deadline = time.monotonic() + 10
    while watchdogs() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert watchdogs() == []
    watch.close()


async def test_a_watch_is_opened_once() -> None:
    async with LoopWatch() as watch:
        with pytest.raises(RuntimeError, match="once"):
            await watch.__aenter__()
    with pytest.raises(RuntimeError, match="once"):
        await watch.__aenter__()


async def test_an_opening_that_is_cancelled_leaves_nothing() -> None:
    watch = LoopWatch()
    opening = asyncio.get_running_loop().create_task(watch.__aenter__())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.sleep(SETTLED)
    assert (watch.lag.count, watchdogs()) == (1, [])


@LOOPS
def test_an_idle_loop_wakes_seldom(new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheap, by count: for each beat the watchdog wakes once, and an idle machine has nothing else to do.

    Without the wait until a beat can be overdue (`LOOK_AGAIN` always) it wakes half as often again."""
    looks = 0
    look = LoopWatch._look

    def counted(self: LoopWatch, planned: float) -> Any:
        nonlocal looks
        looks += 1
        return look(self, planned)

    monkeypatch.setattr(LoopWatch, "_look", counted)
    watch = LoopWatch()

    async def main() -> None:
        async with watch:
            began, count = time.monotonic(), watch.lag.count
            await asyncio.sleep(2)
            # uvloop's timers may be a millisecond early.
            most = (time.monotonic() - began) / (BEAT - 0.001) + 2
            assert watch.lag.count - count <= most
            # A busy machine wakes late, and then the watchdog looks again sooner.
            assert looks <= most + 10

    run(new_loop, main())


# The pure parts.


def test_an_empty_summary_knows_nothing() -> None:
    summary = LagSummary()
    assert (summary.count, summary.sum) == (0, 0.0)
    assert (summary.last, summary.max, summary.p99) == (None, None, None)
    assert {count for _, count in summary.buckets} == {0}


def test_a_summary_counts_the_beats_that_did_not_come() -> None:
    summary = LagSummary(every=0.25, keep=100)
    for lag in (0.0, 0.001, 1.0):
        summary.add(lag)
    # The last stands for 1, 0.75, 0.5, 0.25 and 0.
    assert (summary.count, summary.sum) == (7, 2.501)
    assert (summary.last, summary.max) == (1.0, 1.0)
    assert dict(summary.buckets)[0.001] == 3  # a bound belongs to its bucket
    assert dict(summary.buckets)[0.5] == 5
    assert dict(summary.buckets)[float("inf")] == 7
    summary.add(0.5)
    assert (summary.last, summary.max) == (0.5, 1.0)


def test_the_percentile_is_of_the_latest() -> None:
    summary = LagSummary(every=10, keep=100)
    for number in range(100):
        summary.add(number / 1000)
    assert summary.p99 == 0.098
    for _ in range(100):
        summary.add(0.0)
    assert (summary.p99, summary.max) == (0.0, 0.099)


def test_an_hours_lag_is_counted_in_no_time() -> None:
    summary = LagSummary(every=0.05, keep=100)
    summary.add(3600.0)
    assert (summary.count, summary.max) == (100, 3600.0)


@given(st.lists(st.floats(0, 100), max_size=50))
def test_buckets_grow_up_to_the_count(lags: list[float]) -> None:
    summary = LagSummary(every=1, keep=20)
    for lag in lags:
        summary.add(lag)
    counts = [count for _, count in summary.buckets]
    assert counts == sorted(counts)
    assert counts[-1] == summary.count
    assert [bound for bound, _ in summary.buckets] == [*BOUNDS, float("inf")]


def look(name: str, first: float, last: float) -> Look:
    return Look(0.0, None, name, (), first, last)


@pytest.mark.parametrize(
    ("looks", "name", "seconds"),
    [
        ([look("a", 1.0, 5.0)], "a", 10.0),
        ([look("a", 1.0, 1.0), look("b", 2.0, 9.0)], "b", 9.0),
        ([look("a", 1.0, 1.0), look("b", 7.0, 7.0), look("c", 8.0, 8.0)], "a", 7.0),
        ([look("a", 1.0, 1.0), look("b", 2.0, 2.0), look("a", 3.0, 3.0)], "a", 8.0),
    ],
)
def test_the_longest(looks: list[Look], name: str, seconds: float) -> None:
    found, longest = loopwatch.longest(looks, 0.0, 10.0)
    assert (found.callback, longest) == (name, seconds)


def test_the_limit_of_lines() -> None:
    limit = LineLimit(2, 60)
    assert [limit.allows(now) for now in (0, 1, 2, 3)] == [True, True, False, False]
    assert [limit.left_out(now) for now in (59, 60, 61)] == [0, 2, 0]
    assert [limit.allows(now) for now in (61, 62, 63)] == [True, True, False]
    assert LineLimit(2, 60).left_out(1e9) == 0
