"""The few asyncio tools that all above share: tasks, single flight, locks by key, backoff, collections."""

import asyncio
import gc
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Tasks:
    """Background tasks that are referenced, named, logged when they fail, and cancelled together.

    The event loop holds tasks weakly and reports a failure only when the task is collected, so a bare
    task can vanish or fail in silence. Every background task of TradeMind is started here.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(
        self,
        coroutine: Coroutine[Any, Any, T],
        *,
        name: str,
        expected: type[Exception] | tuple[type[Exception], ...] = (),
    ) -> asyncio.Task[T]:
        """Start `coroutine` as a task called `name` and keep it until it is done.

        Args:
            expected: What whoever awaits the task deals with, and is therefore not logged.
        """
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, expected))
        return task

    def _done(self, task: asyncio.Task[Any], expected: type[Exception] | tuple[type[Exception], ...]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, expected):
            log.error("task %s failed", task.get_name(), exc_info=error)

    async def finish(self, grace: float) -> None:
        """Give every task `grace` seconds to end by itself, then cancel what is left."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=grace)
        await self.cancel_all()

    async def cancel_all(self) -> None:
        """Cancel every task and wait until each has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


class SingleFlight(Generic[K, T]):
    """The same question asked again while it is under way is one question, and all who ask get its answer.

    Whoever stops waiting stops only itself. The question goes on: another may have joined it.
    """

    def __init__(self, expected: type[Exception]) -> None:
        self._expected = expected
        self._under_way: dict[K, asyncio.Task[T]] = {}
        self._tasks = Tasks()

    async def ask(self, key: K, question: Callable[[], Coroutine[Any, Any, T]], *, name: str) -> T:
        """The answer to the question of that `key`; `question` is called where none is under way."""
        task = self._under_way.get(key)
        if task is None:
            task = self._tasks.spawn(question(), name=name, expected=self._expected)
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def finish(self, grace: float) -> None:
        """Give every question `grace` seconds to end by itself, then cancel what is left."""
        await self._tasks.finish(grace)


class KeyedLocks:
    """A lock for each key, which exists only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def holding(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of `key`."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)

    def __len__(self) -> int:
        return len(self._locks)


class Backoff:
    """Exponentially growing waits with jitter: `first`, then twice as long each time, up to `limit`.

    The jitter is "equal": half of the wait is fixed and half is random, so that clients that lost the
    same server do not return in step and no wait is ever zero.
    """

    def __init__(self, *, first: float, limit: float, rng: random.Random | None = None) -> None:
        self._first = first
        self._limit = limit
        self._rng = rng or random.Random()
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        # The exponent is capped so that an attempt counter that runs for days cannot overflow a float.
        wait: float = min(self._limit, self._first * 2 ** min(self._attempt, 32))
        self._attempt += 1
        return wait / 2 + self._rng.random() * wait / 2

    def reset(self) -> None:
        """Start over, after a success."""
        self._attempt = 0


@contextmanager
def short_collections() -> Iterator[None]:
    """Spare the garbage collector what is there already: a server's modules, routes and models.

    They live as long as the process, and looking through all of them holds the loop for some 60 ms each
    time. What is made inside the block is collected as ever.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
