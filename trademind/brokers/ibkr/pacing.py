"""Admission: who may send to the gateway when. Cancels first, then orders, then account, then data.

IB drops a client that sends more than 50 messages in a second, and ib_async's own throttle is one queue, in
which a cancel waits behind hundreds of requests for data. Here each kind of message has a queue of its own,
emptied in the order of priority, and the lower kinds leave a part of every second to the higher ones: with
nothing but data waiting, there is always room for a cancel at once. ib_async's throttle is switched off.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar

from trademind.errors import PacingViolation, TradeMindError

log = logging.getLogger(__name__)

T = TypeVar("T")

WINDOW: Final = 1.0
"""Seconds over which messages are counted, as IB does."""


class TurnExpired(Exception):
    """The turn did not come in time, and never will."""


class Priority(IntEnum):
    """The lower, the sooner."""

    CANCEL = 0
    ORDER = 1
    ACCOUNT = 2
    """Account, positions, orders and executions, and the heartbeat."""
    DATA = 3
    """Contracts, market data, history."""


_SHARE: Final[Mapping[Priority, float]] = {
    Priority.CANCEL: 1.0,
    Priority.ORDER: 0.95,
    Priority.ACCOUNT: 0.85,
    Priority.DATA: 0.75,
}
"""The part of a second's messages that a kind and those below it may use. A dozen cancels in a second find
room whatever else is going on; more of them go before everything else."""


@dataclass(slots=True, eq=False)
class Turn:
    """A message that waits for its turn."""

    priority: Priority
    act: Callable[[], None]
    messages: int = 1
    """How many messages it sends, all in one step."""
    is_over: bool = False
    """It has been sent, or never will be."""


class Pacer:
    """The one way to the gateway's socket.

    Args:
        rate: Messages in a second; 0 is no limit.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._limits = {priority: max(1, int(rate * share)) for priority, share in _SHARE.items()}
        self._queues: dict[Priority, deque[Turn]] = {priority: deque() for priority in Priority}
        self._count = dict.fromkeys(Priority, 0)
        """How many wait; turns that were given up stay in their queue until they come to its head."""
        self._sent: deque[float] = deque()
        """When messages of the last second were sent."""
        self._waiting: set[asyncio.Future[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: TradeMindError | None = None

    def post(self, priority: Priority, send: Callable[[], None], messages: int = 1) -> Turn:
        """Have `send` called when its turn comes: now, where there is room. Nobody waits for it.

        Raises:
            TradeMindError: what the connection has ended with.
        """
        if self._closed is not None:
            raise self._closed
        turn = Turn(priority, send, messages)
        self._queues[priority].append(turn)
        self._count[priority] += 1
        self._pump()
        return turn

    def give_up(self, turn: Turn) -> None:
        """Let `turn` not come: nothing is sent, unless it has been already."""
        if not turn.is_over:
            turn.is_over = True
            self._count[turn.priority] -= 1

    async def send(self, priority: Priority, send: Callable[[], T], *, until: float, messages: int = 1) -> T:
        """Call `send` when its turn comes, and return what it returns, or raise what it raises.

        Whether it was sent or came too late is decided in one place and once: a machine that was asleep, or a
        loop that was held up, must not send what its caller has been told was not sent.

        Args:
            until: The loop's time from which on nothing is sent any more.
            messages: How many messages it sends.

        Raises:
            TurnExpired: the turn did not come in time: nothing was sent.
            TradeMindError: the connection has ended, or ends before the turn has come: nothing was sent.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def expire() -> None:
            if not answer.done():
                answer.set_exception(TurnExpired())

        def act() -> None:
            if loop.time() >= until:
                expire()
            if answer.done():
                return
            try:
                answer.set_result(send())
            except Exception as error:  # noqa: BLE001 - it is for whoever waits
                answer.set_exception(error)

        turn = self.post(priority, act, messages)
        if answer.done():
            return answer.result()
        self._waiting.add(answer)
        timer = loop.call_at(until, expire)
        try:
            return await answer
        finally:
            timer.cancel()
            self.give_up(turn)
            self._waiting.discard(answer)

    def position(self, priority: Priority) -> int:
        """How many messages would be sent before one of `priority` that came now."""
        return sum(count for kind, count in self._count.items() if kind <= priority)

    def wait(self, priority: Priority) -> float:
        """Seconds until one of `priority` that came now would be sent, if nothing more urgent came."""
        return self.position(priority) / self._limits[priority] * WINDOW if self._rate else 0.0

    @property
    def queued(self) -> Mapping[str, int]:
        """How many messages wait, by priority."""
        return {kind.name.lower(): count for kind, count in self._count.items()}

    def close(self, reason: TradeMindError) -> None:
        """The connection has ended: what waits is never sent, and whoever waits for it is told."""
        self._closed = reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for queue in self._queues.values():
            for turn in queue:
                self.give_up(turn)
            queue.clear()
        self.fail_waiting(reason)

    def fail_waiting(self, reason: TradeMindError) -> None:
        """Whoever waits for a turn is told `reason` instead, and nothing of theirs is sent."""
        for answer in list(self._waiting):
            if not answer.done():
                answer.set_exception(reason)

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._sent and now - self._sent[0] >= WINDOW:
            self._sent.popleft()
        for queue in self._queues.values():
            while queue and (not self._rate or len(self._sent) < self._room_for(queue[0])):
                turn = queue.popleft()
                if not turn.is_over:
                    self.give_up(turn)
                    if self._rate:
                        self._sent.extend([loop.time()] * turn.messages)
                    self._act(turn)
        self._wake_when_there_is_room()

    def _room_for(self, turn: Turn) -> int:
        """Below how many messages within the last second there is room for it. One that takes more than its
        share of a second goes when nothing was sent in one."""
        return max(1, self._limits[turn.priority] - turn.messages + 1)

    def _act(self, turn: Turn) -> None:
        try:
            turn.act()
        except Exception:
            # The edge of one message: those behind it are other people's. The connection's end tells itself.
            log.exception("a message could not be sent")

    def _wake_when_there_is_room(self) -> None:
        first = next((queue[0] for queue in self._queues.values() if queue), None)
        if first is None:
            return
        # There is room for it once all but the last `room - 1` messages are a second old.
        frees = self._sent[len(self._sent) - self._room_for(first)] + WINDOW
        if self._timer is not None:
            if self._timer.when() <= frees:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(frees, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()


def too_many(what: str, position: int, wait: float) -> PacingViolation:
    """The refusal of what would have to wait for too long."""
    return PacingViolation(
        f"{what}: {position} requests wait before it for IB's limits, some {wait:.0f} s",
        extra={"position": position},
        retry_after=max(1, round(wait)),
    )
