"""The thread that has SQLite's connection: what it is asked for, what goes wrong in it, and its end."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from trademind.journal.threaded import ThreadedConnection


def threads() -> int:
    return sum(thread.name == "journal" for thread in threading.enumerate())


async def ended(before: int) -> None:
    async with asyncio.timeout(5):
        while threads() != before:  # noqa: ASYNC110 - a thread's end is no event
            await asyncio.sleep(0.01)


async def test_everything_is_done_in_one_thread_and_in_order(tmp_path: Path) -> None:
    before = threads()
    connection = await ThreadedConnection.open(create_engine(f"sqlite:///{tmp_path / 'a.db'}"))
    where: list[tuple[int, int]] = []

    def work(number: int) -> None:
        where.append((number, threading.get_ident()))

    await asyncio.gather(*(connection.run_sync(lambda _, n=n: work(n)) for n in range(20)))  # type: ignore[misc]
    assert [number for number, _ in where] == list(range(20))
    assert len({thread for _, thread in where}) == 1
    assert where[0][1] != threading.get_ident()
    await connection.close()
    await ended(before)


async def test_what_goes_wrong_is_the_callers(tmp_path: Path) -> None:
    before = threads()
    with pytest.raises(OperationalError):
        await ThreadedConnection.open(create_engine(f"sqlite:///{tmp_path / 'none' / 'a.db'}"))
    await ended(before)
    connection = await ThreadedConnection.open(create_engine(f"sqlite:///{tmp_path / 'a.db'}"))
    with pytest.raises(OperationalError, match="no such table"):
        await connection.run_sync(lambda sync: sync.execute(text("SELECT * FROM missing")))
    with pytest.raises(ZeroDivisionError):
        await connection.run_sync(lambda _: 1 // 0)
    assert await connection.run_sync(lambda sync: sync.execute(text("SELECT 1")).scalar()) == 1
    await connection.invalidate()
    await connection.close()
    await ended(before)


async def test_a_caller_that_goes_away_leaves_nothing_open(tmp_path: Path) -> None:
    """Taken out: `_close` in `ThreadedConnection.open`; the connection is never closed."""
    before = threads()
    made: list[Connection] = []
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}", poolclass=NullPool)
    connect = engine.connect

    def slowly() -> Connection:
        time.sleep(0.2)  # work that takes its time, in the thread and not on the loop
        made.append(connect())
        return made[0]

    engine.connect = slowly  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ThreadedConnection.open(engine), 0.05)
    await ended(before)
    assert made[0].closed
    # The same while it works: the work is done, and the next one after it.
    engine.connect = connect  # type: ignore[method-assign]
    connection = await ThreadedConnection.open(engine)
    done: list[str] = []

    def work_slowly(_: Connection) -> None:
        time.sleep(0.2)  # work that takes its time, in the thread and not on the loop
        done.append("slow")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.run_sync(work_slowly), 0.05)
    await connection.run_sync(lambda _: done.append("next"))
    assert done == ["slow", "next"]
    await connection.close()
    await ended(before)
