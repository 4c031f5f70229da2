"""The signals that were told, and what becomes of them: in memory while open, in the journal for good.

Whatever is told is on disk first, and the stream tells it from there.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from trademind.aio import KeyedLocks
from trademind.domain import SignalOutcome, TrackedSignal
from trademind.domain.signals import Signal
from trademind.errors import SignalNotFound
from trademind.journal import Journal, SignalChanged, SignalTold
from trademind.trading.feed import Feed


def signal_id(signal: Signal, parameters: Mapping[str, int | float | str]) -> str:
    """The same for the same strategy with the same parameters at the same bar, on any server."""
    made_of = [
        signal.strategy,
        sorted(parameters.items()),
        signal.con_id,
        signal.bar_size,
        signal.bar_time.isoformat(),
    ]
    return f"sig-{hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:24]}"


class Ledger:
    """All signals of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[str, TrackedSignal] = {}
        self._by_series: dict[tuple[int | None, str], set[str]] = {}
        self._locks = KeyedLocks()

    async def load(self, feed: Feed | None) -> None:
        """Take up the open signals of before, and have them told to whoever asks how signals stand."""
        for tracked in reversed(await self._journal.signals.open()):
            self._keep(tracked)
            if feed is not None:
                feed.keep(tracked)

    @property
    def open(self) -> tuple[TrackedSignal, ...]:
        """Signals of which nothing has become yet."""
        return tuple(self._open.values())

    @property
    def bar_sizes(self) -> set[str]:
        """Of which bars the open ones are."""
        return {bar_size for _, bar_size in self._by_series}

    def open_of(self, con_id: int | None, bar_size: str) -> list[TrackedSignal]:
        """Those of an instrument's bars."""
        return [self._open[each] for each in self._by_series.get((con_id, bar_size), ())]

    async def get(self, signal_id: str) -> TrackedSignal:
        """A signal, as it stands. Raises `SignalNotFound`."""
        if (found := self._open.get(signal_id)) is None:
            found = await self._journal.signals.get(signal_id)
        if found is None:
            raise SignalNotFound(f"there is no signal {signal_id[:40]!r}")
        return found

    async def tell(self, tracked: TrackedSignal) -> TrackedSignal:
        """A signal has been made; what the same strategy has told before of the instrument is superseded.

        Returns:
            It, or the one of its id that was told before, as it stands.

        Raises:
            JournalUnavailable: it is not known whether it is kept.
        """
        async with self._locks.holding(tracked.id):
            known = self._open.get(tracked.id) or await self._journal.signals.get(tracked.id)
            if known is not None:
                return known
            await self._journal.written(SignalTold(tracked))
            self._keep(tracked)
        signal = tracked.signal
        for other in self.open_of(signal.con_id, signal.bar_size):
            is_alike = (other.signal.strategy, other.parameters) == (signal.strategy, tracked.parameters)
            if is_alike and other.signal.bar_time < signal.bar_time:
                await self.settle(other.id, SignalOutcome.SUPERSEDED, signal.bar_time)
        return tracked

    async def settle(
        self, signal_id: str, outcome: SignalOutcome, at: datetime | None, price: float | None = None
    ) -> None:
        """Something has become of a signal; nothing else becomes of it then. Raises as `tell`."""
        async with self._locks.holding(signal_id):
            tracked = await self.get(signal_id)
            if not tracked.outcome.is_over:
                tracked = replace(tracked, outcome=outcome, outcome_at=at, outcome_price=price)
                await self._change(outcome.value, tracked)

    async def ordered(self, signal_id: str, order_key: str | None) -> TrackedSignal:
        """An order was made of a signal, which may be over by now. Raises as `tell`."""
        async with self._locks.holding(signal_id):
            tracked = await self.get(signal_id)
            if tracked.order_key is None:
                tracked = replace(tracked, order_key=order_key)
                await self._change("ordered", tracked)
            return tracked

    async def _change(self, name: str, tracked: TrackedSignal) -> None:
        await self._journal.written(SignalChanged(name, tracked))
        self._keep(tracked)

    def _keep(self, tracked: TrackedSignal) -> None:
        series = (tracked.signal.con_id, tracked.signal.bar_size)
        if not tracked.outcome.is_over:
            self._open[tracked.id] = tracked
            self._by_series.setdefault(series, set()).add(tracked.id)
        elif self._open.pop(tracked.id, None) is not None:
            self._by_series[series].discard(tracked.id)
            if not self._by_series[series]:
                del self._by_series[series]
