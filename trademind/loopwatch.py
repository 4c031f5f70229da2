"""How promptly the event loop turns, and which callback is to blame when it does not.

A beat is due every `BEAT` seconds. How late it comes is how long anything else would have had to wait: that
is the loop's lag, and `LagSummary` adds it up. The beat cannot say why it was late, because by then the
culprit is gone. So a second thread, the watchdog, looks on: when a beat is overdue it takes the stack of the
loop's thread and finds the callback in it. It is the one exception to "no threads". It only looks: it
touches nothing of the loop's, and what it has seen is judged, counted and logged by the next beat, on the
loop.

Which frame of a stack is the callback? The beat is a callback itself, so whatever called the beat calls the
others: asyncio's `Handle._run`, with or without nest_asyncio; under uvloop, whose own frames are not
Python's, the function that runs the loop. The callback is the frame inside the innermost of those.

Three things look like a callback that takes too long, and none is named for them:

- Many short callbacks in one turn of the loop. The looks see different ones.
- A machine that was suspended, or a process that was stopped: the watchdog overslept as well, and the
  process used no CPU. (While a callback in C keeps the interpreter's lock the watchdog oversleeps, too; but
  that uses CPU.)
- A loop that is not running, between two `run_until_complete` of a script or a notebook.
"""

import asyncio
import functools
import linecache
import logging
import math
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from types import CodeType, FrameType, TracebackType
from typing import Final, Self

log = logging.getLogger(__name__)

BEAT: Final = 0.03
"""Seconds between beats. A callback begins anywhere between two of them, so its length is known to within
one: as few as leave that well below the threshold, for each of them wakes an idle machine."""

THRESHOLD: Final = 0.1
"""Seconds from one beat to the next above which a callback is named. None that takes longer is missed; one
that takes up to a beat less may be named as well."""

FIRST_LOOK: Final = 0.02
"""Seconds a beat is overdue when the watchdog first looks: early enough to look twice before the threshold,
also when it wakes late, and so to tell one callback that goes on from several."""

LOOK_AGAIN: Final = 0.02
"""Seconds between its looks from then on. Twice that is well below the threshold: of three looks in a row,
what only the second has seen was short."""

KEPT_LAGS: Final = round(60 / BEAT)
"""A minute's, for the percentile."""

KEPT_STALLS: Final = 20
"""To be shown. The log has the others."""

KEPT_LOOKS: Final = 1000
"""Different callbacks seen between two beats: twenty seconds of them, in a loop that is beyond help."""

LINES: Final = 10
LINES_PERIOD: Final = 60.0
"""At most so many lines in the log in so many seconds. A program that stalls all day has said it by then."""

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, in seconds: from a timer's resolution to a long hang."""

FRAMES_SHOWN: Final = 4
SOURCE_SHOWN: Final = 80
"""Characters of the source line in the log."""

IN_C: Final = "a callback without Python code"


class LagSummary:
    """What the lags have been, in bounded memory.

    A beat that comes a second late stands for those that did not come meanwhile: they count, too, with what
    each would have waited. Otherwise a loop that hangs one second in ten would have a splendid 99th
    percentile. So `count` grows by one in `every` seconds, come what may, and shares are shares of time.

    Args:
        every: Seconds between beats.
        keep: How many lags the percentile is taken of.
    """

    def __init__(self, *, every: float = BEAT, keep: int = KEPT_LAGS) -> None:
        self.count = 0
        self.sum = 0.0
        self.last: float | None = None
        self.max: float | None = None
        self._every = every
        self._recent: deque[float] = deque(maxlen=keep)
        self._keep = keep
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, lag: float) -> None:
        """Count a beat that came `lag` seconds late."""
        self.last = lag
        self.max = lag if self.max is None else max(self.max, lag)
        # More than are kept would change no percentile, and an hour's would take long in their turn.
        for missed in range(min(int(lag / self._every), self._keep - 1), -1, -1):
            wait = max(lag - missed * self._every, 0.0)
            self.count += 1
            self.sum += wait
            self._counts[bisect_left(BOUNDS, wait)] += 1
            self._recent.append(wait)

    @property
    def buckets(self) -> tuple[tuple[float, int], ...]:
        """How many lags were at most so long, for each of `BOUNDS` and for infinity."""
        return tuple(zip((*BOUNDS, math.inf), accumulate(self._counts), strict=True))

    @property
    def p99(self) -> float | None:
        """What 99 % of the last `keep` lags did not exceed; None before the first."""
        if not self._recent:
            return None
        return sorted(self._recent)[math.ceil(0.99 * len(self._recent)) - 1]


@dataclass(frozen=True, slots=True)
class Stall:
    """A callback that held the event loop."""

    time: datetime
    """When it was over."""
    seconds: float
    """How long the loop was held: at most `BEAT` more than the callback took."""
    callback: str
    """The function or coroutine that the loop ran."""
    where: str
    """Where in it: the source line, and the calls that led there from inside out. Empty, where it is C."""

    def __str__(self) -> str:
        where = f" (in {self.where})" if self.where else ""
        return f"{self.callback} held the event loop for {self.seconds:.2f} s{where}"


@dataclass(frozen=True, slots=True)
class Call:
    """A function under way, without its frame: that would keep its variables alive."""

    name: str
    file: str
    line: int

    @classmethod
    def of(cls, frame: FrameType) -> Self:
        code = frame.f_code
        name = f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}"
        return cls(name, code.co_filename, frame.f_lineno or code.co_firstlineno)

    @property
    def source(self) -> str:
        return linecache.getline(self.file, self.line).strip()


@dataclass(slots=True)
class Look:
    """The same callback seen once, or several times in a row."""

    due: float
    """The beat that was overdue; a look that comes too late for it is thereby recognised."""
    frame: FrameType | None
    """The callback itself: an equal name may be another call of the same function."""
    callback: str | None
    """None while the loop was in no callback."""
    calls: tuple[Call, ...]
    """From inside out, as they were last."""
    first: float
    last: float
    overslept: float = 0.0
    """Seconds by which the watchdog woke too late since the beat was due."""
    running: bool = True
    """Was the loop?"""


def longest(looks: Sequence[Look], began: float, ended: float) -> tuple[Look, float]:
    """Of what was seen between `began` and `ended`, what may have taken the longest; and how long at most."""
    starts = [began, *(look.last for look in looks[:-1])]
    ends = [*(look.first for look in looks[1:]), ended]
    spans = [end - start for start, end in zip(starts, ends, strict=True)]
    most = max(range(len(looks)), key=spans.__getitem__)
    return looks[most], spans[most]


class LineLimit:
    """Lets `lines` through in each `period` seconds, and counts the rest."""

    def __init__(self, lines: int, period: float) -> None:
        self._lines = lines
        self._period = period
        self._ends = -math.inf
        self._used = 0

    def allows(self, now: float) -> bool:
        """May one more line be written? Ask `left_out` first: a new period begins the count anew."""
        if now >= self._ends:
            self._ends, self._used = now + self._period, 0
        self._used += 1
        return self._used <= self._lines

    def left_out(self, now: float) -> int:
        """How many lines the last period left out: once, when it is over."""
        if self._used <= self._lines or now < self._ends:
            return 0
        count, self._used = self._used - self._lines, 0
        return count


class LoopWatch:
    """Watches the event loop it is opened on, until it is closed: `async with LoopWatch() as watch:`.

    Args:
        monotonic: Seconds from any origin, which never go back.
        cpu: CPU seconds of this process.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self.lag = LagSummary()
        self.stall_count = 0
        self.pause_count = 0
        """How often the loop stood still and no callback was the reason."""
        self._stalls: deque[Stall] = deque(maxlen=KEPT_STALLS)
        self._monotonic = monotonic
        self._cpu = cpu
        self._limit = LineLimit(LINES, LINES_PERIOD)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.Handle | None = None
        self._watchdog: threading.Thread | None = None
        self._closing = threading.Event()
        # Written by the beat, read by the watchdog. Each is replaced as a whole.
        self._due = 0.0
        self._runner: CodeType | None = None
        self._thread_id = 0
        # Written by the watchdog, taken by the beat.
        self._looks: list[Look] = []
        self._cpu_at_beat = 0.0

    @property
    def stalls(self) -> tuple[Stall, ...]:
        """The last stalls, oldest first; at most `KEPT_STALLS`."""
        return tuple(self._stalls)

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise RuntimeError("a LoopWatch is opened once")
        self._loop = asyncio.get_running_loop()
        self._due = self._monotonic()
        self._cpu_at_beat = self._cpu()
        self._handle = self._loop.call_soon(self._beat)
        try:
            # The first beat shows who calls the callbacks: before that the watchdog could name none.
            await asyncio.sleep(0)
            self._watchdog = threading.Thread(target=self._watch, name="trademind-loopwatch", daemon=True)
            self._watchdog.start()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the timer and the watchdog, at once. Again: does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._watchdog is not None and self._watchdog.is_alive():
            self._watchdog.join()
        self._looks = []
        self._say_what_was_left_out(math.inf)

    # On the loop.

    def _beat(self) -> None:
        assert self._loop is not None
        now, ran = self._monotonic(), self._cpu() - self._cpu_at_beat
        due, looks = self._due, self._looks
        if looks:
            self._looks = []
            looks = [look for look in looks if look.due == due]
        self._say_what_was_left_out(now)
        # uvloop's timers are in whole milliseconds and can be a little early.
        lag = max(now - due, 0.0)
        if all(look.running for look in looks):
            self.lag.add(lag)
            if lag + BEAT > THRESHOLD:
                self._judge(now - lag - BEAT, now, ran, looks)

        caller = sys._getframe().f_back
        self._runner = None if caller is None else caller.f_code
        self._thread_id = threading.get_ident()
        self._cpu_at_beat = self._cpu()
        self._due = self._monotonic() + BEAT
        self._handle = self._loop.call_later(BEAT, self._beat)

    def _judge(self, began: float, now: float, ran: float, looks: Sequence[Look]) -> None:
        """Find out why there was no beat from `began` until `now`, and say so."""
        held = now - began
        # One that has not looked at all overslept all the time.
        overslept = sum(look.overslept for look in looks) if looks else held
        # An eighth, because a callback in C may have to share the machine with others.
        if overslept > held / 2 and ran < held / 8:
            self._pause(held)
            return
        if not looks:
            self._stall(IN_C, "", held, now)
            return
        look, seconds = longest(looks, began, now)
        if seconds <= THRESHOLD:
            log.debug("many callbacks, none of them for long, held the event loop for %.2f s", held)
        elif look.callback is None:
            self._pause(held)
        else:
            self._stall(look.callback, _where(look.calls), seconds, now)

    def _stall(self, callback: str, where: str, seconds: float, now: float) -> None:
        stall = Stall(datetime.now(UTC), seconds, callback, where)
        self.stall_count += 1
        self._stalls.append(stall)
        if self._limit.allows(now):
            log.warning("%s", stall)

    def _pause(self, seconds: float) -> None:
        self.pause_count += 1
        log.info(
            "the event loop stood still for %.2f s, in no callback: the machine slept or was busy", seconds
        )

    def _say_what_was_left_out(self, now: float) -> None:
        if count := self._limit.left_out(now):
            log.warning("callbacks held the event loop %d more times within a minute", count)

    # On the watchdog's thread.

    def _watch(self) -> None:
        assert self._loop is not None
        while not self._loop.is_closed():
            now = self._monotonic()
            until_look = self._due + FIRST_LOOK - now
            wait = until_look if until_look > 0 else LOOK_AGAIN
            if self._closing.wait(wait):
                return
            calls = self._look(planned=now + wait)
            if calls:
                # The beat will show the source. It is read here, and not in the look: reading a file lets the
                # loop go on, and a look that holds a frame by then may be the one to free its variables.
                _ = calls[0].source

    def _look(self, planned: float) -> tuple[Call, ...]:
        """See which callback holds the loop, and its calls, unless it has beaten meanwhile."""
        assert self._loop is not None
        due, looks, now = self._due, self._looks, self._monotonic()
        if now - due < FIRST_LOOK:
            return ()
        overslept = max(now - max(planned, due), 0.0)
        running = self._loop.is_running()
        frame, callback, calls = self._seen() if running else (None, None, ())
        before = looks[-1] if looks else None
        if before is not None and (before.due, before.frame, before.running) == (due, frame, running):
            before.last, before.calls = now, calls
            before.overslept += overslept
        elif len(looks) < KEPT_LOOKS:
            looks.append(Look(due, frame, callback, calls, now, now, overslept, running))
        return calls

    def _seen(self) -> tuple[FrameType | None, str | None, tuple[Call, ...]]:
        """The callback's frame and name, and its calls; no name, if the loop is in no callback."""
        stack: list[FrameType] = []
        innermost = frame = sys._current_frames().get(self._thread_id)
        while frame is not None and frame.f_code is not self._runner:
            stack.append(frame)
            frame = frame.f_back
        if frame is None and self._runner is not None:
            return None, None, ()
        if not stack or stack[-1].f_code is LoopWatch._beat.__code__:
            # Either it has no frame, or it had none and the beat, which is next, has just begun.
            return None, (_called_by(innermost) if not stack else None) or IN_C, ()
        # asyncio's own frames around it say nothing: the steps of a task written in Python, `wait_for`.
        while len(stack) > 1 and _is_asyncio(stack[-1]):
            stack.pop()
        return stack[-1], Call.of(stack[-1]).name, tuple(Call.of(frame) for frame in stack[:FRAMES_SHOWN])


def _is_asyncio(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("asyncio.")


def _where(calls: Sequence[Call]) -> str:
    """`time.sleep(1) <- shop.work, line 12 <- shop.main, line 20`."""
    if not calls:
        return ""
    source = calls[0].source[:SOURCE_SHOWN]
    shown = [f"{call.name}, line {call.line}" for call in calls]
    return " <- ".join([source, *shown] if source else shown)


def _called_by(frame: FrameType | None) -> str | None:
    """The name of what asyncio's `Handle._run` calls in `frame`, such as `time.sleep`."""
    handle = None if frame is None else frame.f_locals.get("self")
    callback = getattr(handle, "_callback", None) if isinstance(handle, asyncio.Handle) else None
    while isinstance(callback, functools.partial):
        callback = callback.func
    name = getattr(callback, "__qualname__", None)
    return f"{getattr(callback, '__module__', '?')}.{name}" if name else None
