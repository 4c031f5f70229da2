"""Is the gateway still there? A pulse tells a dead connection from a quiet market. Pure: time is passed in.

A socket whose other end has died, or hangs, looks like one on which nothing happens. So whenever nothing has
come for a while, the gateway is asked for its time, which every gateway answers in a quiet market, too.
Anything at all that comes counts as a sign of life, as an answer may wait behind other messages.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

LATE: Final = 1.0
"""Seconds by which a look may come late. If it comes later, this side has slept (a suspended machine, a
blocked loop) and has not listened: then the silence says nothing about the gateway."""

SUSPECT_AFTER: Final = 2.0
"""Seconds without an answer to the heartbeat after which no order is entrusted to the gateway."""


class Finding(Enum):
    """What a look at the pulse has found."""

    ALIVE = auto()
    SILENT = auto()
    """It was asked, and nothing has come for too long."""
    DEAD = auto()
    """Silent for so long again that waiting makes no sense: connect anew."""


class Pulse:
    """The pulse of one connection.

    Args:
        heartbeat: Seconds without a message after which the gateway is asked, and asked again.
        silent_after: Seconds without a message after which it counts as silent; above `heartbeat`.
        now: The present, by a clock that never goes back.
    """

    def __init__(self, *, heartbeat: float, silent_after: float, now: float) -> None:
        self._heartbeat = heartbeat
        self._silent_after = silent_after
        self.heard_at = now
        self._asked_at: float | None = None
        """When it was last asked, if it has said nothing since."""
        self._unanswered_since: float | None = None
        """When it was first asked, if it has said nothing since."""
        self.due = now + heartbeat
        """When to look next."""

    def heard(self, now: float) -> None:
        """Something has come."""
        self.heard_at = now
        self._asked_at = self._unanswered_since = None

    def look(self, now: float, ask: Callable[[], None]) -> Finding:
        """Look at the pulse, at the time it is `due` or whenever there is a reason to.

        Args:
            ask: Called where the gateway has to be asked whether it is there.
        """
        if now - self.due > LATE:
            self.heard(now - self._heartbeat)
        if self._unanswered_since is not None and now >= self.heard_at + 2 * self._silent_after:
            return Finding.DEAD
        if now >= self.heard_at + self._heartbeat and (
            self._asked_at is None or now >= self._asked_at + self._heartbeat
        ):
            self._asked_at = now
            self._unanswered_since = self._unanswered_since or now
            ask()
        self.due = self._next(now)
        is_silent = now >= self.heard_at + self._silent_after
        return Finding.SILENT if is_silent else Finding.ALIVE

    def is_suspect(self, now: float) -> bool:
        """Was the gateway asked whether it is there, and has not answered as fast as it should?"""
        return self._unanswered_since is not None and now - self._unanswered_since > SUSPECT_AFTER

    def _next(self, now: float) -> float:
        if self._asked_at is None:
            return self.heard_at + self._heartbeat
        moments = (
            self._asked_at + self._heartbeat,
            self.heard_at + self._silent_after,
            self.heard_at + 2 * self._silent_after,
        )
        return min(moment for moment in moments if moment > now)
