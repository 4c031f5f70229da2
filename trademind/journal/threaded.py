"""A connection to SQLite that lives in a thread of its own.

SQLite waits for the disk, so it must not be called on the loop. With a driver that goes to its thread and
back for every statement, and for the cursor of each, most of a small transaction's time is these ways. Here a
whole function goes there: `run_sync`, `invalidate` and `close` are those of SQLAlchemy's `AsyncConnection`,
so that whoever writes need not know which of the two it has.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class WritingConnection(Protocol):
    """What a connection that writes can do, in this process or over the network."""

    async def run_sync(self, fn: Callable[[Connection], T]) -> T:
        """Let a function work on the connection, which may wait in it."""
        ...

    async def invalidate(self) -> None:
        """Give up what it is connected to."""
        ...

    async def close(self) -> None: ...


class ThreadedConnection:
    """One connection, and the thread that makes, uses and closes it.

    The thread is a daemon: a disk that hangs for ever does not keep the process from ending.
    """

    def __init__(self, connection: Connection, thread: "_Thread") -> None:
        self._connection = connection
        self._thread = thread

    @classmethod
    async def open(cls, engine: Engine) -> "ThreadedConnection":
        """Connect. Raises what SQLAlchemy raises."""
        thread = _Thread()
        made: list[Connection] = []
        try:
            await thread.run(lambda: made.append(engine.connect()))
        except BaseException:
            # Who is cancelled does not wait for the connection, which may still be made.
            thread.end(lambda: _close(made))
            raise
        return cls(made[0], thread)

    async def run_sync(self, fn: Callable[[Connection], T]) -> T:
        return await self._thread.run(lambda: fn(self._connection))

    async def invalidate(self) -> None:
        await self._thread.run(self._connection.invalidate)

    async def close(self) -> None:
        try:
            await self._thread.run(self._connection.close)
        finally:
            self._thread.end()


class _Thread:
    """Does one piece of work after the other, in the order in which they come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        Thread(target=self._run, name="journal", daemon=True).start()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. Who is cancelled stops waiting; the work goes on."""
        answer: asyncio.Future[T] = self._loop.create_future()
        self._work.put((answer, work))
        return await answer

    def end(self, last: Callable[[], Any] | None = None) -> None:
        """Let the thread end after what it has been given, and after `last`, of which nobody is told."""
        if last is not None:
            self._work.put((self._loop.create_future(), last))
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            answer, work = item
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - the edge of the thread: it is whoever waits who is told
                self._tell(_fail, answer, error)
            else:
                self._tell(_fulfil, answer, result)

    def _tell(self, how: Callable[[asyncio.Future[Any], Any], None], answer: Any, what: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            self._loop.call_soon_threadsafe(how, answer, what)


def _close(made: list[Connection]) -> None:
    for connection in made:
        connection.close()


def _fulfil(answer: asyncio.Future[Any], result: Any) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
