"""The server, made to die by its own hand at an await: `python -m tests.kill.server`, then as `trademind`.

Between a request for an order and its acknowledgement there are some dozens of points at which the program
waits: for the journal, for its turn to send, for IB. On SIGUSR1 it reads from the file that
`KILL_FILE` names at which of them it is to die, counted over all of its tasks and while an order is
under way, and before that point leaves a note of where it was.
"""

import os
import signal
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

from trademind import cli
from trademind.aio import Tasks
from trademind.trading.entry import OrderEntry

FILE = Path(os.environ.pop("KILL_FILE"))
ROOT = Path(__file__).resolve().parents[2]


class Fate:
    """At which step the process dies."""

    def __init__(self) -> None:
        self.orders = 0
        """Requests for orders that are under way."""
        self.left: int | None = None

    def arm(self, *_: object) -> None:
        self.left = int(FILE.read_text())

    def step(self, where: Coroutine[Any, Any, Any]) -> None:
        """One of the tasks has come to an await, or goes on from one."""
        if self.left is None or not self.orders:
            return
        self.left -= 1
        if self.left <= 0:
            FILE.write_text(_place(where))
            os.kill(os.getpid(), signal.SIGKILL)


FATE = Fate()


class Stepped:
    """A coroutine that tells each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, value = self._coroutine, None
        error: BaseException | None = None
        while True:
            try:
                waits_for = coroutine.throw(error) if error is not None else coroutine.send(value)
            except StopIteration as end:
                FATE.step(coroutine)
                return end.value
            error = value = None
            FATE.step(coroutine)
            try:
                value = yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - it is the coroutine's, also where it ends the task
                error = thrown
            FATE.step(coroutine)


async def stepped(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return await Stepped(coroutine)


def _place(coroutine: Any) -> str:
    """The innermost line of the program at which the coroutine waits."""
    place = f"the end of {coroutine.__qualname__}"
    while coroutine is not None and (frame := getattr(coroutine, "cr_frame", None)) is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT / "trademind"):
            place = f"{path.relative_to(ROOT)}:{frame.f_lineno} {frame.f_code.co_name}"
        coroutine = coroutine.cr_await
    return place


def main() -> None:
    spawn, place, place_group = Tasks.spawn, OrderEntry.place, OrderEntry.place_group

    def spawn_stepped(self: Tasks, coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        return spawn(self, stepped(coroutine), **options)

    async def counted(coroutine: Coroutine[Any, Any, Any]) -> Any:
        FATE.orders += 1
        try:
            return await stepped(coroutine)
        finally:
            FATE.orders -= 1

    Tasks.spawn = spawn_stepped  # type: ignore[method-assign]
    OrderEntry.place = lambda *a, **k: counted(place(*a, **k))  # type: ignore[method-assign]
    OrderEntry.place_group = lambda *a, **k: counted(place_group(*a, **k))  # type: ignore[method-assign]
    signal.signal(signal.SIGUSR1, FATE.arm)
    cli.main()


if __name__ == "__main__":
    main()
