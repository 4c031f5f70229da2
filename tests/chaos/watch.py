"""What is looked at all the time: is the server ready, what does it use up, and is this program in time."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Final

from tests.chaos import calls
from tests.chaos.calls import MARGIN, Calls
from tests.chaos.faults import Played
from tests.chaos.plan import Kind
from tests.chaos.report import Findings
from tests.chaos.world import CONNECT_TIMEOUT, ORDER_TIMEOUT, SILENT_AFTER, Process, Usage, usage_of

EVERY: Final = 0.2
"""Seconds between two looks at readiness."""
LATE: Final = 0.2
"""Seconds by which this program may be late before it excuses a call with it."""
STALL: Final = 1.0
"""Seconds by which it is so late that a gateway may have been taken for silent meanwhile."""

FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0
"""Of the waits before another attempt (docs/session-contract.md), those after a taken client id."""
FIRST_WAIT_LINK, LONGEST_WAIT_LINK = 5.0, 60.0
"""Those after an attempt that found the link to IB lost."""
LASTED: Final = 30.0
"""Seconds after which a session has lasted."""
NOTICED_WITHIN: Final = 2 * SILENT_AFTER + 2 * ORDER_TIMEOUT
"""Seconds after which a fault has no more consequences: a silence is noticed late, and an order that was not
answered is looked for some time later."""
TOUCHES_SESSION: Final = frozenset({
    Kind.KILL, Kind.HANG, Kind.RESET, Kind.CUT, Kind.REFUSE, Kind.FREEZE, Kind.BLACK_HOLE, Kind.LINK,
    Kind.CLIENT_ID, Kind.NO_END, Kind.ROLL_BACK, Kind.MUTE, Kind.ORDER_LOST, Kind.SLEEP, Kind.ASK, Kind.SLOW,
    Kind.LATENCY, Kind.ORDER_LATE, Kind.BURST,
})  # fmt: skip


class Watch:
    def __init__(self, api: Calls, server: Process, findings: Findings) -> None:
        self._api = api
        self._server = server
        self._findings = findings
        self.losses: list[tuple[float, float]] = []
        """When the server was seen not to be ready: from and to."""
        self.lost_since: float | None = None
        self.ready_at: float | None = None
        """When it was last seen to be ready."""
        self.usages: list[Usage] = []
        self.worst_lag = 0.0
        self.stalls: list[tuple[float, float]] = []
        """From and to when the machine held this program up for long, and the others perhaps as well."""
        self.is_over = False

    def programs(self) -> list[tuple[str, Awaitable[None]]]:
        return [("readiness", self._readiness()), ("usage", self._usage()), ("lag", self._lag())]

    async def _readiness(self) -> None:
        while not self.is_over:
            answer = await self._api.call(calls.READY, "GET", "/readyz")
            if answer is not None and answer.status == 200:
                self.ready_at = self._findings.now
                if self.lost_since is not None:
                    self.losses.append((self.lost_since, self.ready_at))
                    self.lost_since = None
            elif answer is not None and self.lost_since is None:
                self.lost_since = self._findings.now
            await asyncio.sleep(EVERY)

    async def _usage(self) -> None:
        while not self.is_over and self._server.is_running:
            self.usages.append(usage_of(self._server.pid, self._findings.now))
            await asyncio.sleep(1)

    async def _lag(self) -> None:
        """This program, too, has to wait for the machine; what it sees late has not come late."""
        while True:
            due = time.monotonic() + EVERY
            await asyncio.sleep(EVERY)
            lag = time.monotonic() - due
            self.worst_lag = max(self.worst_lag, lag)
            if lag > LATE:
                self._api.excuses.append((due, due + lag))
            if lag > STALL:
                self.stalls.append((self._findings.now - lag, self._findings.now))

    def longest_recovery(self, lost_for: float, ready_for: float, *, link_was_lost: bool = False) -> float:
        """Seconds from the end of all faults in which the server has to be ready again.

        Waits between attempts double until a session has lasted. After one that has, the wait that is under
        way is no longer than twice the time that the session has been lost. Before it an attempt may have to
        run into its time-out, and one comes after it.
        """
        first = FIRST_WAIT_LINK if link_was_lost else FIRST_WAIT
        wait = LONGEST_WAIT_LINK if link_was_lost else LONGEST_WAIT
        if ready_for > LASTED:
            wait = min(wait, 2 * lost_for + first)
        return wait + 2 * CONNECT_TIMEOUT + MARGIN

    def recoveries(self, played: Sequence[Played]) -> list[tuple[Played, float, float]]:
        """Of each loss: the fault that was over last, the seconds from then on, and those allowed."""
        found = []
        before = 0.0
        for lost, ready in self.losses:
            ready_for, before = lost - before, ready
            about = [
                each
                for each in played
                if each.kind in TOUCHES_SESSION and each.begin < ready and each.end > lost - NOTICED_WITHIN
            ]
            if not about:
                told = f"not ready from {lost:.1f} s to {ready:.1f} s, and no fault was played"
                if any(begin < ready and end > lost - NOTICED_WITHIN for begin, end in self.stalls):
                    self._findings.note(f"{told}, but the machine stood still")
                else:
                    self._findings.violation("readiness", told)
                continue
            last = max(about, key=lambda each: each.end)
            over = min(last.end, ready)
            is_link = any(each.kind is Kind.LINK for each in about)
            allowed = self.longest_recovery(max(0.0, over - lost), ready_for, link_was_lost=is_link)
            found.append((last, ready - over, allowed))
        return found
