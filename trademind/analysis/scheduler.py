"""Looks at the watch list whenever a bar is closed, and follows up what was told.

After a pause, however long, every instrument is looked at once, at its last closed bar: what the bars between
would have said is past. One look is over before the next begins. What cannot be had at the moment, because
the gateway is away or IB's limits are used up, stays due and is tried again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from trademind.analysis.closes import next_look
from trademind.analysis.desk import LEAST_BARS, Plan, SignalDesk
from trademind.analysis.execution import SignalOrders
from trademind.analysis.ledger import Ledger
from trademind.clock import Clock, speed_of
from trademind.domain import ContractQuery
from trademind.errors import NoAnswer, PacingViolation, TradeMindError, Unavailable

log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Instruments at a time: half of what IB answers at once is left to whoever waits."""
AGAIN_AFTER: Final = 5.0
"""Seconds until it is tried again what could not be had."""
SHORTEST: Final = 0.1
"""Seconds between two looks, however fast a paper market's clock runs."""
LONGEST: Final = 1.0
"""Seconds without a look at the clock, which may have been put forward."""

Wanted = Callable[[], tuple[Sequence[ContractQuery], Sequence[Plan]]]
"""What is on the watch list."""


class Scheduler:
    """`await Scheduler(…).run()` until it is cancelled."""

    def __init__(
        self, desk: SignalDesk, orders: SignalOrders, ledger: Ledger, market: Clock, wanted: Wanted
    ) -> None:
        self._desk = desk
        self._orders = orders
        self._ledger = ledger
        self._market = market
        self._wanted = wanted
        self._seen: dict[tuple[ContractQuery, str], int] = {}
        """Until when each was looked at, as `Series.closed`."""
        self._con_ids: dict[ContractQuery, int] = {}
        self._failing: dict[ContractQuery, str] = {}
        self._sizes: set[str] = set()
        """Of the bars of the watch list."""
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """There is something else to look at."""
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            began = self._market.now()
            again_at = None if await self._is_done() else _now() + AGAIN_AFTER
            await self._pause(SHORTEST)
            while not self._changed.is_set() and (again_at is None or _now() < again_at):
                if (left := self._left(began)) is not None and left <= 0:
                    break
                await self._pause(LONGEST if left is None else min(max(left, SHORTEST), LONGEST))

    def _left(self, began: datetime) -> float | None:
        """Seconds until another bar may be closed than at the beginning of the last look; None where there is
        nothing to look at."""
        due = min((next_look(size, began) for size in self._sizes | self._ledger.bar_sizes), default=None)
        return None if due is None else (due - self._market.now()).total_seconds() / speed_of(self._market)

    async def _is_done(self) -> bool:
        try:
            return await self.look()
        except Exception:  # one look that fails, for whatever reason, must not end all later ones
            log.exception("the look at the watch list failed")
            return False

    async def look(self) -> bool:
        """Look at all that is due. Whether all of it could be had."""
        queries, plans = self._wanted()
        self._sizes = {plan.bar_size for plan in plans}
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(query: ContractQuery, bar_size: str, these: Sequence[Plan]) -> bool:
            async with turn:
                return await self._look_at(query, bar_size, these)

        sizes = {
            size: [plan for plan in plans if plan.bar_size == size]
            for size in dict.fromkeys(plan.bar_size for plan in plans)
        }
        done = await asyncio.gather(
            *(one(query, size, these) for query in queries for size, these in sizes.items())
        )
        # What was told of instruments that are not watched is followed as well.
        watched = {(self._con_ids.get(query), size) for query in queries for size in sizes}
        others = {(each.signal.con_id, each.signal.bar_size) for each in self._ledger.open} - watched
        done += await asyncio.gather(
            *(one(ContractQuery(con_id=con_id), size, ()) for con_id, size in others if con_id)
        )
        return all(done)

    async def _look_at(self, query: ContractQuery, bar_size: str, plans: Sequence[Plan]) -> bool:
        try:
            series = await self._desk.series(
                query, bar_size, max((plan.bars for plan in plans), default=LEAST_BARS)
            )
            self._con_ids[query] = series.source.contract.con_id
            for plan in plans:
                if self._seen.get((query, plan.key)) == series.closed:
                    continue
                look = await self._desk.look_at(series, plan)
                self._seen[query, plan.key] = series.closed
                if plan.auto and look.tracked is not None:
                    await self._orders.automatically(look.tracked)
                await asyncio.sleep(0)
        except TradeMindError as error:
            if self._failing.get(query) != error.code:
                log.warning("%s is on the watch list and cannot be looked at: %s", query.name, error.detail)
                self._failing[query] = error.code
            return not isinstance(error, (Unavailable, NoAnswer, PacingViolation))
        self._failing.pop(query, None)
        return True

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _now() -> float:
    return asyncio.get_running_loop().time()
