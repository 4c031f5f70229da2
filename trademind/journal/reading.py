"""What can be asked of the journal. Answers come in pages of a bounded size.

A page's cursor names the last item that was given, so that what is written between two pages neither repeats
an item nor hides one.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Subquery, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from trademind.domain import Channel, Execution, Order, OrderStatus
from trademind.domain.orders import DONE
from trademind.journal import tables
from trademind.journal.entries import StoredEvent, with_commission
from trademind.journal.groups import intent_of
from trademind.journal.records import BODIES, EXECUTION, ORDER, from_text
from trademind.journal.writes import CommissionReported, Intent

T = TypeVar("T")

MAX_PAGE: Final = 1000
"""Items of one page: some megabytes, and some 30 ms until they are objects again."""
MAX_POINTS: Final = 5000
"""Points of an equity curve: more than a screen has columns."""

Cursor = tuple[int, str]
"""A number that says where an item stands, and a name unique among those at the same place."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_WORKING = sorted(status.value for status in OrderStatus if status not in DONE)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    next: Cursor | None
    """Where the next page begins; None on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The account's figures at one moment."""

    account_id: str
    time: datetime
    currency: str
    net_liquidation: Any
    total_cash_value: Any
    unrealized_pnl: Any
    realized_pnl: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A command that was given, and what came of it."""

    id: int
    time: datetime
    actor: str
    origin: str
    action: str
    subject: str | None
    request: Any
    outcome: str
    detail: str | None


class Reader:
    """Questions to one journal. Every method raises `JournalUnavailable` where it cannot be read at the
    moment, and `Unreadable` where a row is damaged."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._connect = connect

    async def last_seq(self) -> int:
        """The number of the last event; 0 where there is none."""
        async with self._connect() as connection:
            found = await connection.execute(select(func.coalesce(func.max(tables.events.c.seq), 0)))
            return int(found.scalar_one())

    async def events_since(
        self, seq: int, *, limit: int = MAX_PAGE, channels: Iterable[Channel] | None = None
    ) -> tuple[StoredEvent, ...]:
        """The events after number `seq`, oldest first; fewer than `limit` where there are no more."""
        event = tables.events.c
        query = select(tables.events).where(event.seq > seq).order_by(event.seq)
        if channels is not None:
            query = query.where(event.channel.in_([channel.value for channel in channels]))
        return tuple(_event(row) for row in await self._rows(query.limit(_bounded(limit))))

    async def order_events(
        self, order_id: str, *, since: int = 0, limit: int = MAX_PAGE
    ) -> tuple[StoredEvent, ...]:
        """The history of one order after event `since`, oldest first: its changes and its fills."""
        event = tables.events.c
        query = select(tables.events).where(event.order_id == order_id, event.seq > since)
        rows = await self._rows(query.order_by(event.seq).limit(_bounded(limit)))
        return tuple(_event(row) for row in rows)

    async def order(self, order_id: str) -> Order | None:
        """An order as it stood last, by its id."""
        query = select(tables.orders.c.body).where(tables.orders.c.id == order_id)
        rows = await self._rows(query)
        return ORDER.from_text(rows[0].body) if rows else None

    async def orders(
        self, *, working: bool | None = None, limit: int = MAX_PAGE, before: Cursor | None = None
    ) -> Page[Order]:
        """Orders as they stood last, the newest first; `working` as in `Broker.get_orders`."""
        order = tables.orders.c
        query = select(order.id, order.first_seq, order.body).order_by(order.first_seq.desc())
        if working is not None:
            is_working = order.status.in_(_WORKING)
            query = query.where(is_working if working else ~is_working)
        if before is not None:
            query = query.where(order.first_seq < before[0])
        rows = await self._rows(query.limit(_bounded(limit) + 1))
        return _page(rows, limit, lambda row: ORDER.from_text(row.body), lambda row: (row.first_seq, row.id))

    async def executions(
        self,
        *,
        order_id: str | None = None,
        account_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        with_corrected: bool = False,
        limit: int = MAX_PAGE,
        before: Cursor | None = None,
    ) -> Page[Execution]:
        """Fills of `since` to before `until`, the newest first, each with its commission and order where they
        are known. Those that were corrected later are left out unless asked for."""
        fill = tables.executions.c
        query = fills().where(*_between(fill.time, since, until))
        if account_id is not None:
            query = query.where(fill.account_id == account_id)
        if not with_corrected:
            later = tables.executions.alias()
            query = query.where(
                ~select(later.c.exec_id)
                .where(later.c.fill_key == fill.fill_key, later.c.revision > fill.revision)
                .exists()
            )
        if order_id is not None:
            perm_ids = select(tables.orders.c.perm_id).where(tables.orders.c.id == order_id)
            query = query.where(
                or_(fill.order_id == order_id, and_(fill.order_id.is_(None), fill.perm_id.in_(perm_ids)))
            )
        if before is not None:
            time, exec_id = _EPOCH + before[0] * (datetime.resolution), before[1]
            query = query.where(or_(fill.time < time, and_(fill.time == time, fill.exec_id < exec_id)))
        query = query.order_by(fill.time.desc(), fill.exec_id.desc()).limit(_bounded(limit) + 1)
        return _page(
            await self._rows(query),
            limit,
            execution_of,
            lambda row: ((row.time - _EPOCH) // datetime.resolution, row.exec_id),
        )

    async def account_history(
        self,
        account_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        max_points: int = 500,
    ) -> tuple[EquityPoint, ...]:
        """The equity curve of `since` to before `until`, oldest first.

        Where there are more snapshots than `max_points`, every so-manieth is taken, and the first and the
        last in any case.
        """
        snapshot = tables.account_snapshots
        wanted = and_(snapshot.c.account_id == account_id, *_between(snapshot.c.time, since, until))
        inner = (
            select(
                snapshot,
                func.row_number().over(order_by=(snapshot.c.time, snapshot.c.id)).label("place"),
                func.count().over().label("total"),
            )
            .where(wanted)
            .subquery()
        )
        query = select(inner).where(_is_kept(inner, max_points)).order_by(inner.c.place)
        fields = EquityPoint.__dataclass_fields__
        return tuple(
            EquityPoint(**{name: getattr(row, name) for name in fields}) for row in await self._rows(query)
        )

    async def audit(self, *, limit: int = MAX_PAGE, before: Cursor | None = None) -> Page[AuditEntry]:
        """Commands, the newest first."""
        query = select(tables.audit).order_by(tables.audit.c.id.desc())
        if before is not None:
            query = query.where(tables.audit.c.id < before[0])
        rows = await self._rows(query.limit(_bounded(limit) + 1))
        return _page(rows, limit, _audit_entry, lambda row: (row.id, ""))

    async def state(self, key: str) -> Any:
        """The value of a key; None where there is none."""
        rows = await self._rows(select(tables.state.c.value).where(tables.state.c.key == key))
        return from_text(rows[0].value) if rows else None

    async def intent(self, client_order_id: str) -> Intent | None:
        """The intent of a key."""
        query = select(tables.intents).where(tables.intents.c.client_order_id == client_order_id)
        rows = await self._rows(query)
        return intent_of(rows[0]) if rows else None

    async def pending_intents(
        self, *, since: datetime | None = None, limit: int = MAX_PAGE
    ) -> tuple[Intent, ...]:
        """Intents without an order, oldest first: whether they were sent is for reconciliation to say."""
        intent = tables.intents.c
        has_order = select(tables.orders.c.id).where(
            tables.orders.c.client_order_id == intent.client_order_id
        )
        query = select(tables.intents).where(~has_order.exists(), *_between(intent.accepted_at, since, None))
        query = query.order_by(intent.accepted_at, intent.client_order_id).limit(_bounded(limit))
        return tuple(intent_of(row) for row in await self._rows(query))

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        async with self._connect() as connection:
            return list((await connection.execute(query)).all())


def _bounded(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE))


def _between(
    column: ColumnElement[Any], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions


def _page(
    rows: list[Row[Any]], limit: int, read: Callable[[Row[Any]], T], at: Callable[[Row[Any]], Cursor]
) -> Page[T]:
    limit = _bounded(limit)
    items = tuple(read(row) for row in rows[:limit])
    return Page(items, at(rows[limit - 1]) if len(rows) > limit else None)


def _is_kept(curve: Subquery, max_points: int) -> ColumnElement[bool]:
    """Whether a point of the curve is one of `max_points`: where its share of them grows by one."""
    steps = max(2, min(max_points, MAX_POINTS)) - 1
    place, total = curve.c.place, curve.c.total
    # PostgreSQL may look at every condition, and a curve of one point has no steps.
    last = func.nullif(total - 1, 0)
    return or_(place == 1, place == total, (place - 1) * steps // last > (place - 2) * steps // last)


def fills() -> Select[Any]:
    """Fills, each with its commission and order where they are known, as rows for `execution_of`."""
    fill, report = tables.executions, tables.commission_reports
    order_id = (
        select(func.max(tables.orders.c.id))
        .where(tables.orders.c.perm_id == fill.c.perm_id)
        .scalar_subquery()
    )
    return select(
        fill.c.exec_id,
        fill.c.time,
        fill.c.body,
        func.coalesce(fill.c.order_id, order_id).label("order_id"),
        report.c.commission,
        report.c.currency,
        report.c.realized_pnl,
    ).select_from(fill.outerjoin(report, report.c.exec_id == fill.c.exec_id))


def execution_of(row: Row[Any]) -> Execution:
    """The fill in a row of `fills`."""
    execution = EXECUTION.from_text(row.body)
    if row.commission is not None:
        report = CommissionReported(
            exec_id=row.exec_id,
            commission=row.commission,
            currency=row.currency,
            realized_pnl=row.realized_pnl,
        )
        execution = with_commission(execution, report)
    return replace(execution, order_id=row.order_id)


def _event(row: Row[Any]) -> StoredEvent:
    channel = Channel(row.channel)
    return StoredEvent(
        seq=row.seq,
        channel=channel,
        order_id=row.order_id,
        name=row.name,
        time=row.time,
        data=BODIES[channel].from_text(row.body),
    )


def _audit_entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        time=row.time,
        actor=row.actor,
        origin=row.origin,
        action=row.action,
        subject=row.subject,
        request=None if row.request is None else from_text(row.request),
        outcome=row.outcome,
        detail=row.detail,
    )
