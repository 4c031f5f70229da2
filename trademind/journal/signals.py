"""What can be asked of the journal about signals."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.domain import SignalOutcome, TrackedSignal
from trademind.journal import tables
from trademind.journal.reading import Cursor, Page
from trademind.journal.records import SIGNAL

MAX_PAGE: Final = 500
MAX_OPEN: Final = 5000
"""Open signals that are followed: of 500 symbols, ten strategies with one each."""

_SIGNAL: Final = tables.signals.c


class SignalReader:
    """Questions about signals. Every method raises `JournalUnavailable` where the journal cannot be read, and
    `Unreadable` where a row is damaged."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._connect = connect

    async def get(self, signal_id: str) -> TrackedSignal | None:
        """One signal, as it stands."""
        found = await self._rows(select(tables.signals).where(_SIGNAL.id == signal_id))
        return SIGNAL.from_text(found[0].body) if found else None

    async def open(self) -> tuple[TrackedSignal, ...]:
        """Signals of which nothing has become yet, the newest first; at most `MAX_OPEN`."""
        query = select(tables.signals).where(_SIGNAL.outcome == SignalOutcome.OPEN.value)
        rows = await self._rows(query.order_by(_SIGNAL.first_seq.desc()).limit(MAX_OPEN))
        return tuple(SIGNAL.from_text(row.body) for row in rows)

    async def history(
        self,
        *,
        symbol: str | None = None,
        strategy: str | None = None,
        outcome: SignalOutcome | None = None,
        since: datetime | None = None,
        limit: int = MAX_PAGE,
        before: Cursor | None = None,
    ) -> Page[TrackedSignal]:
        """Signals in the order in which they were told, the newest first.

        Args:
            since: Only of bars that begin at or after it.
        """
        query = select(tables.signals).order_by(_SIGNAL.first_seq.desc())
        wanted = {"symbol": symbol, "strategy": strategy, "outcome": outcome}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(_SIGNAL[name] == str(value))
        if since is not None:
            query = query.where(_SIGNAL.bar_time >= since)
        if before is not None:
            query = query.where(_SIGNAL.first_seq < before[0])
        limit = max(1, min(limit, MAX_PAGE))
        rows = await self._rows(query.limit(limit + 1))
        items = tuple(SIGNAL.from_text(row.body) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(items, None if last is None else (last.first_seq, last.id))

    async def _rows(self, query: Select[Any]) -> list[Any]:
        async with self._connect() as connection:
            return list((await connection.execute(query)).all())
