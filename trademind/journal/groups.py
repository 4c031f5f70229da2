"""A group of entries as one transaction: what is known already, what is new, what follows from it.

Each kind of row is asked for and written once for the whole group, so a group of many costs hardly more than
a group of one. Entries are gone through in their order, and each sees what those before it in the group have
done. What the database and the entries say decides about every row: nothing is remembered between groups, so
a group that failed can be written again from the start.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, insert, select, update

from trademind.domain import Account, Channel, Execution, Order, SessionInfo, TrackedSignal
from trademind.journal import tables
from trademind.journal.bar_writes import (
    BarJobSet,
    BarJobsForgotten,
    BarsStored,
    BarWrite,
    SeriesAnchored,
    SeriesDropped,
)
from trademind.journal.bars import write_bars
from trademind.journal.entries import (
    Entry,
    StoredEvent,
    fill_key,
    is_assigned_now,
    is_same_order,
    with_commission,
)
from trademind.journal.records import EXECUTION, from_text
from trademind.journal.writes import (
    AccountChanged,
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Intent,
    OrderChanged,
    SessionChanged,
    SignalChanged,
    SignalTold,
    StateSet,
)

_INSERTED: Final = (
    tables.events,
    tables.intents,
    tables.orders,
    tables.executions,
    tables.commission_reports,
    tables.account_snapshots,
    tables.audit,
    tables.state,
    tables.signals,
)
"""In an order in which no row refers to a later one."""


@dataclass(slots=True)
class Known:
    """What the journal has of the things a group is about."""

    intents: dict[str, Intent] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    """Bodies by the orders' ids."""
    executions: dict[str, str] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    """Executions that came before their order, of which it was told later which one that is."""
    fills: set[str] = field(default_factory=set)
    """What fills and their corrections have in common."""
    commissions: dict[str, CommissionReported] = field(default_factory=dict)
    state: set[str] = field(default_factory=set)
    signals: dict[str, str] = field(default_factory=dict)
    """Bodies by the signals' ids."""


class Plan:
    """The rows that a group comes to. Making it says in each entry what becomes of it."""

    def __init__(self, known: Known, entries: Sequence[Entry], last_seq: int) -> None:
        self.last_seq = last_seq
        """The number of the last event there is when it has been written."""
        self._inserts: dict[Table, list[dict[str, Any]]] = {}
        self._updates: dict[Table, dict[str, dict[str, Any]]] = {}
        self._known = known
        self._new: dict[tuple[Table, str], dict[str, Any]] = {}
        """Rows of this group that later entries of it may change."""
        self._bars: list[BarWrite] = []
        for entry in entries:
            self._add(entry)

    def write(self, connection: Connection) -> None:
        """Write the rows, within the connection's transaction."""
        for table in _INSERTED:
            if rows := self._inserts.get(table):
                connection.execute(_INSERTS[table], rows)
        for table, changes in self._updates.items():
            connection.execute(_UPDATES[table], list(changes.values()))
        write_bars(connection, self._bars)

    def _add(self, entry: Entry) -> None:
        """One entry's rows."""
        entry.event, entry.earlier = None, None
        match entry.write:
            case Intent() as intent:
                self._intend(entry, intent)
            case OrderChanged() as change:
                self._change_order(entry, change)
            case ExecutionReported(execution):
                self._report_execution(entry, execution)
            case CommissionReported() as report:
                self._report_commission(entry, report)
            case SessionChanged(info):
                self._event(entry, Channel.SESSION, None, info.state.value, info, entry.text)
            case AccountChanged(account):
                self._event(entry, Channel.ACCOUNT, None, "changed", account, entry.text)
            case SignalTold(tracked):
                if tracked.id not in self._known.signals:
                    self._change_signal(entry, "new", tracked)
            case SignalChanged(name, tracked):
                if self._known.signals.get(tracked.id, entry.text) != entry.text:
                    self._change_signal(entry, name, tracked)
            case AccountSnapshot(account):
                self._insert(
                    tables.account_snapshots,
                    account_id=account.account_id,
                    time=account.as_of,
                    currency=account.currency,
                    net_liquidation=account.net_liquidation,
                    total_cash_value=account.total_cash_value,
                    unrealized_pnl=account.unrealized_pnl,
                    realized_pnl=account.realized_pnl,
                )
            case Audit() as command:
                self._insert(
                    tables.audit,
                    time=entry.time,
                    actor=command.actor,
                    origin=command.origin,
                    action=command.action,
                    subject=command.subject,
                    request=entry.text or None,
                    outcome=command.outcome,
                    detail=command.detail,
                )
            case StateSet(key):
                self._put(
                    tables.state,
                    "key",
                    key,
                    {"value": entry.text, "updated_at": entry.time},
                    self._known.state,
                )
            case BarsStored() | SeriesAnchored() | SeriesDropped() | BarJobSet() | BarJobsForgotten() as bars:
                self._bars.append(bars)

    def _intend(self, entry: Entry, intent: Intent) -> None:
        entry.earlier = self._known.intents.get(intent.client_order_id)
        if entry.earlier is None:
            self._known.intents[intent.client_order_id] = intent
            self._insert(
                tables.intents,
                client_order_id=intent.client_order_id,
                fingerprint=intent.fingerprint,
                body=entry.text,
                account_id=intent.account_id,
                accepted_at=intent.accepted_at,
                origin=intent.origin,
            )

    def _change_order(self, entry: Entry, change: OrderChanged) -> None:
        order = change.order
        stored = self._known.orders.get(order.id)
        if stored is not None and is_same_order(change, stored):
            return
        seq = self._event(entry, Channel.ORDERS, order.id, change.name, order, entry.text)
        row = {
            "client_order_id": order.client_order_id,
            "perm_id": order.perm_id,
            "ib_order_id": order.ib_order_id,
            "client_id": order.client_id,
            "account_id": order.account_id,
            "status": order.status.value,
            "external": order.external,
            "body": entry.text,
            "updated_at": order.updated_at,
            "last_seq": seq,
        }
        self._put(tables.orders, "id", order.id, row, self._known.orders, first_seq=seq)
        self._known.orders[order.id] = entry.text

    def _change_signal(self, entry: Entry, name: str, tracked: TrackedSignal) -> None:
        seq = self._event(entry, Channel.SIGNALS, None, name, tracked, entry.text)
        signal, outcome = tracked.signal, tracked.outcome
        row = {
            "outcome": outcome.value,
            "outcome_at": tracked.outcome_at,
            "order_key": tracked.order_key,
            "body": entry.text,
            "last_seq": seq,
        }
        first = {
            "strategy": signal.strategy,
            "con_id": signal.con_id,
            "symbol": signal.symbol,
            "bar_size": signal.bar_size,
            "bar_time": signal.bar_time,
            "action": signal.action.value,
            "first_seq": seq,
        }
        self._put(tables.signals, "id", tracked.id, row, self._known.signals, **first)
        self._known.signals[tracked.id] = entry.text

    def _report_execution(self, entry: Entry, execution: Execution) -> None:
        exec_id = execution.exec_id
        reported = self._known.commissions.get(exec_id)
        if reported is not None and execution.commission is None:
            execution = with_commission(execution, reported)
        if exec_id not in self._known.executions:
            key, revision = fill_key(exec_id)
            name = "correction" if key in self._known.fills else "fill"
            body = EXECUTION.to_text(execution)
            seq = self._event(entry, Channel.EXECUTIONS, execution.order_id, name, execution, body)
            self._insert(
                tables.executions,
                exec_id=exec_id,
                fill_key=key,
                revision=revision,
                order_id=execution.order_id,
                perm_id=execution.perm_id,
                account_id=execution.account_id,
                time=execution.time,
                body=body,
                first_seq=seq,
            )
            self._known.executions[exec_id] = body
            self._known.fills.add(key)
        else:
            self._report_execution_again(entry, execution, has_commission=reported is not None)
        if execution.commission is not None and reported is None:
            self._insert_commission(
                entry,
                CommissionReported(
                    exec_id=exec_id,
                    commission=execution.commission,
                    currency=execution.commission_currency or "",
                    realized_pnl=execution.realized_pnl,
                ),
            )

    def _report_execution_again(self, entry: Entry, execution: Execution, *, has_commission: bool) -> None:
        """A fill that is known: its commission may be new, or which order it is of."""
        known, exec_id = self._known, execution.exec_id
        is_assigned = exec_id not in known.assigned and is_assigned_now(execution, known.executions[exec_id])
        is_charged = execution.commission is not None and not has_commission
        if is_assigned or is_charged:
            name, body = "commission" if is_charged else "assigned", EXECUTION.to_text(execution)
            self._event(entry, Channel.EXECUTIONS, execution.order_id, name, execution, body)
        if is_assigned:
            known.assigned.add(exec_id)

    def _report_commission(self, entry: Entry, report: CommissionReported) -> None:
        if report.exec_id in self._known.commissions:
            return
        self._insert_commission(entry, report)
        if (stored := self._known.executions.get(report.exec_id)) is not None:
            execution = with_commission(EXECUTION.from_text(stored), report)
            body = EXECUTION.to_text(execution)
            self._event(entry, Channel.EXECUTIONS, execution.order_id, "commission", execution, body)

    def _insert_commission(self, entry: Entry, report: CommissionReported) -> None:
        self._insert(
            tables.commission_reports,
            exec_id=report.exec_id,
            commission=report.commission,
            currency=report.currency,
            realized_pnl=report.realized_pnl,
            time=entry.time,
        )
        self._known.commissions[report.exec_id] = report

    def _event(
        self,
        entry: Entry,
        channel: Channel,
        order_id: str | None,
        name: str,
        data: Order | Execution | SessionInfo | Account | TrackedSignal,
        body: str,
    ) -> int:
        self.last_seq += 1
        entry.event = StoredEvent(
            seq=self.last_seq, channel=channel, order_id=order_id, name=name, time=entry.time, data=data
        )
        self._insert(
            tables.events,
            seq=self.last_seq,
            channel=channel.value,
            order_id=order_id,
            name=name,
            time=entry.time,
            body=body,
        )
        return self.last_seq

    def _insert(self, table: Table, **row: Any) -> dict[str, Any]:
        self._inserts.setdefault(table, []).append(row)
        return row

    def _put(self, table: Table, key: str, value: str, row: dict[str, Any], known: Any, **first: Any) -> None:
        """A row that replaces the one of the same key; `first` is set when there is none."""
        if (new := self._new.get((table, value))) is not None:
            new.update(row)
        elif value in known:
            self._updates.setdefault(table, {})[value] = {f"its_{key}": value, **row}
        else:
            self._new[table, value] = self._insert(table, **{key: value}, **row, **first)


_INSERTS: Final = {table: insert(table) for table in _INSERTED}
_UPDATES: Final = {
    tables.orders: update(tables.orders)
    .where(tables.orders.c.id == bindparam("its_id"))
    .values(
        {
            column.name: bindparam(column.name)
            for column in tables.orders.c
            if column.name not in ("id", "first_seq")
        }
    ),
    tables.signals: update(tables.signals)
    .where(tables.signals.c.id == bindparam("its_id"))
    .values({name: bindparam(name) for name in ("outcome", "outcome_at", "order_key", "body", "last_seq")}),
    tables.state: update(tables.state)
    .where(tables.state.c.key == bindparam("its_key"))
    .values(value=bindparam("value"), updated_at=bindparam("updated_at")),
}


# What is known already -------------------------------------------------------------------------

_INTENTS = select(tables.intents).where(
    tables.intents.c.client_order_id.in_(bindparam("keys", expanding=True))
)
_ORDERS = select(tables.orders.c.id, tables.orders.c.body).where(
    tables.orders.c.id.in_(bindparam("keys", expanding=True))
)
_EXECUTIONS = select(
    tables.executions.c.exec_id, tables.executions.c.fill_key, tables.executions.c.body
).where(tables.executions.c.fill_key.in_(bindparam("keys", expanding=True)))
_TOLD_AGAIN = select(tables.events.c.body).where(
    tables.events.c.order_id.in_(bindparam("keys", expanding=True)),
    tables.events.c.channel == Channel.EXECUTIONS.value,
    tables.events.c.name.in_(("commission", "assigned")),
)
_COMMISSIONS = select(tables.commission_reports).where(
    tables.commission_reports.c.exec_id.in_(bindparam("keys", expanding=True))
)
_SIGNALS = select(tables.signals.c.id, tables.signals.c.body).where(
    tables.signals.c.id.in_(bindparam("keys", expanding=True))
)
_STATE = select(tables.state.c.key).where(tables.state.c.key.in_(bindparam("keys", expanding=True)))


def look_up(connection: Connection, entries: Sequence[Entry]) -> Known:
    """What the journal has of the things the entries are about."""
    known = Known()
    keys: set[str] = set()
    order_ids: set[str] = set()
    exec_ids: set[str] = set()
    names: set[str] = set()
    signals: set[str] = set()
    for entry in entries:
        match entry.write:
            case Intent(client_order_id=key):
                keys.add(key)
            case OrderChanged(_, order):
                order_ids.add(order.id)
            case ExecutionReported(Execution(exec_id=exec_id)) | CommissionReported(exec_id=exec_id):
                exec_ids.add(exec_id)
            case StateSet(key):
                names.add(key)
            case SignalTold(tracked) | SignalChanged(_, tracked):
                signals.add(tracked.id)
    if keys:
        for row in connection.execute(_INTENTS, {"keys": sorted(keys)}):
            known.intents[row.client_order_id] = intent_of(row)
    if order_ids:
        for row in connection.execute(_ORDERS, {"keys": sorted(order_ids)}):
            known.orders[row.id] = row.body
    if exec_ids:
        fills = sorted({fill_key(exec_id)[0] for exec_id in exec_ids})
        for row in connection.execute(_EXECUTIONS, {"keys": fills}):
            known.executions[row.exec_id] = row.body
            known.fills.add(row.fill_key)
        for row in connection.execute(_COMMISSIONS, {"keys": sorted(exec_ids)}):
            known.commissions[row.exec_id] = CommissionReported(
                exec_id=row.exec_id,
                commission=row.commission,
                currency=row.currency,
                realized_pnl=row.realized_pnl,
            )
    if late := _orders_of_late_fills(entries, known):
        for body in connection.execute(_TOLD_AGAIN, {"keys": late}).scalars():
            with suppress(ValueError, KeyError, TypeError):  # what cannot be read tells nothing
                known.assigned.add(from_text(body)["exec_id"])
    if signals:
        for row in connection.execute(_SIGNALS, {"keys": sorted(signals)}):
            known.signals[row.id] = row.body
    if names:
        known.state.update(connection.execute(_STATE, {"keys": sorted(names)}).scalars())
    return known


def _orders_of_late_fills(entries: Sequence[Entry], known: Known) -> list[str]:
    """The orders of fills that were written when it was not known which order they are of."""
    return sorted(
        {
            entry.write.execution.order_id or ""
            for entry in entries
            if isinstance(entry.write, ExecutionReported)
            and (stored := known.executions.get(entry.write.execution.exec_id)) is not None
            and is_assigned_now(entry.write.execution, stored)
        }
    )


def intent_of(row: Any) -> Intent:
    """The intent in a row of its table."""
    return Intent(
        client_order_id=row.client_order_id,
        fingerprint=row.fingerprint,
        body=from_text(row.body),
        account_id=row.account_id,
        accepted_at=row.accepted_at,
        origin=row.origin,
    )
