"""Work spread over processes, one piece at a time to each, so that it is known which piece a process was at
when it died or took too long.

Processes are started anew and not forked, since a server has threads and locks that a fork would copy. What
all pieces have in common is handed to each process once.
"""

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, Generic, TypeVar

from trademind.errors import Invalid

T = TypeVar("T")

MAX_PROCESSES: Final = 64
"""More than most machines have cores."""
STARTING: Final = 60.0
"""Seconds that a process has for its start, in which it imports the libraries, on a busy machine."""


class Failure(StrEnum):
    """Why a piece of work has no result."""

    RAISED = "raised"
    DIED = "died"
    """Its process ended: out of memory, killed, or by its own doing."""
    TIMED_OUT = "timed_out"
    """It took longer than a piece may; its process was ended."""
    NOT_REACHED = "not_reached"
    """All time was used up before its turn, or before its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """What came of a piece of work: a result, or why there is none."""

    result: T | None = None
    failure: Failure | None = None
    error: str = ""
    """What went wrong, in a line or, of what was raised, its traceback."""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: "Connection[Any, Any]"
    since: float
    """When it was started, or given its piece."""
    is_ready: bool = False
    piece: int | None = None
    """Which it is at."""


def spread(
    work: Callable[[Any, Any], T],
    common: Any,
    pieces: Sequence[Any],
    *,
    processes: int | None = None,
    seconds_each: float,
    seconds: float,
    progress: Callable[[int, int], None] | None = None,
) -> list[Done[T]]:
    """`work(common, piece)` for every piece, in other processes. In the order of the pieces.

    Args:
        work: A function of a module; it, `common` and the pieces are pickled.
        processes: At a time; the machine's cores, unless given.
        seconds_each: How long a piece may take.
        seconds: How long all of it may take.
        progress: Is told how many pieces, of how many, are done.

    Raises:
        Invalid: what is to be handed to the processes cannot be.
    """
    count = max(1, min(processes or os.cpu_count() or 1, MAX_PROCESSES, len(pieces)))
    return _Crew(work, common, pieces, seconds_each, progress).run(count, seconds)


class _Crew(Generic[T]):
    """The processes of one call, and what is left for them."""

    def __init__(
        self,
        work: Callable[[Any, Any], T],
        common: Any,
        pieces: Sequence[Any],
        seconds_each: float,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._context = multiprocessing.get_context("spawn")
        try:
            self._job = pickle.dumps((work, common))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            words = f"cannot be handed to another process: {error}; make strategies by a function of a module"
            raise Invalid([("strategy", words)]) from error
        self._pieces = pieces
        self._each = seconds_each
        self._progress = progress
        self._results: dict[int, Done[T]] = {}
        self._left = list(range(len(pieces)))[::-1]
        self._workers: list[_Worker] = []

    def run(self, count: int, seconds: float) -> list[Done[T]]:
        ends = time.monotonic() + seconds
        try:
            while len(self._results) < len(self._pieces):
                if time.monotonic() >= ends:
                    self._give_up()
                    break
                while len(self._workers) < min(count, len(self._pieces) - len(self._results)):
                    self._workers.append(self._start())
                self._listen(min(ends, *(self._deadline(each) for each in self._workers)))
        finally:
            for each in list(self._workers):
                self._end(each)
        return [self._results[index] for index in range(len(self._pieces))]

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._job), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, time.monotonic())

    def _deadline(self, worker: _Worker) -> float:
        if worker.is_ready and worker.piece is None:
            return inf
        return worker.since + (self._each if worker.is_ready else STARTING)

    def _listen(self, until: float) -> None:
        """Take what the next processes have to say, up to some moment; end those that are late."""
        ready = wait([each.pipe for each in self._workers], max(until - time.monotonic(), 0.0))
        for worker in list(self._workers):
            if worker.pipe in ready:
                self._take(worker)
            elif time.monotonic() >= self._deadline(worker):
                self._lose(worker, Failure.TIMED_OUT, f"It took more than {self._each:g} s.")

    def _take(self, worker: _Worker) -> None:
        try:
            done: Done[T] | None = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            words = f"Its process ended, with exit status {worker.process.exitcode}."
            self._lose(worker, Failure.DIED, words)
            return
        if done is not None and worker.piece is not None:
            self._note(worker.piece, done)
        worker.is_ready, worker.piece = True, None
        if self._left:
            worker.piece, worker.since = self._left.pop(), time.monotonic()
            with suppress(OSError):  # it has died since, which is noticed with the next look
                worker.pipe.send(self._pieces[worker.piece])

    def _lose(self, worker: _Worker, failure: Failure, error: str) -> None:
        """A process is no more, or shall be: so is its piece. One that has not even started takes the next
        piece with it, so that there is an end to starting."""
        if worker.piece is None and not worker.is_ready and self._left:
            worker.piece, error = self._left.pop(), f"It did not start. {error}"
        if worker.piece is not None:
            self._note(worker.piece, Done(failure=failure, error=error))
        self._end(worker)

    def _note(self, piece: int, done: Done[T]) -> None:
        self._results[piece] = done
        if self._progress is not None:
            self._progress(len(self._results), len(self._pieces))

    def _give_up(self) -> None:
        for index in range(len(self._pieces)):
            self._results.setdefault(
                index, Done(failure=Failure.NOT_REACHED, error="All time was used up before it was done.")
            )

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        worker.process.close()


def _serve(pipe: "Connection[Any, Any]", job: bytes) -> None:
    """The life of a process: pieces in, results out, until nobody is there."""
    # An interrupt from the keyboard goes to all; who started this process ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work, common = pickle.loads(job)
    pipe.send(None)
    while True:
        try:
            piece = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            done: Done[Any] = Done(result=work(common, piece))
        except Exception:  # noqa: BLE001 - whatever it raises is what came of the piece
            done = Done(failure=Failure.RAISED, error=traceback.format_exc())
        try:
            pipe.send(done)
        except OSError:
            return
