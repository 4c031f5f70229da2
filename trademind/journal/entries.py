"""What waits to be written: each write in the form in which it is stored, made when it is noted.

It is made at once, and not when its turn comes, so that a write that cannot be stored is an error of whoever
notes it, and nothing that is queued can hold up what is behind it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from trademind.domain import Account, Channel, Execution, Order, SessionInfo, TrackedSignal
from trademind.journal.bar_writes import (
    BarJobSet,
    BarJobsForgotten,
    BarsStored,
    SeriesAnchored,
    SeriesDropped,
)
from trademind.journal.records import (
    ACCOUNT,
    EXECUTION,
    ORDER,
    SESSION,
    SIGNAL,
    number_text,
    time_text,
    to_text,
)
from trademind.journal.writes import (
    AccountChanged,
    AccountSnapshot,
    Audit,
    CommissionReported,
    ExecutionReported,
    Intent,
    Marker,
    OrderChanged,
    SessionChanged,
    SignalChanged,
    SignalTold,
    StateSet,
    Write,
)

LARGEST: Final = 2**63 - 1
"""The largest whole number a column takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event, as it was written."""

    seq: int
    channel: Channel
    order_id: str | None
    name: str
    time: datetime
    data: Order | Execution | SessionInfo | Account | TrackedSignal


@dataclass(slots=True, eq=False)
class Entry:
    """One thing in the queue."""

    write: Intent | Write
    text: str
    """Its body, as stored."""
    time: datetime
    """When it was noted."""
    then: Callable[[int | None], None] | None = None
    """Called with its event's number, once it is on disk."""
    answer: "asyncio.Future[Intent | None] | None" = None
    """Who waits for it."""
    is_waiting: bool = True
    """Nothing of it has been said to the database yet."""
    is_withdrawn: bool = False
    """Nobody waits any more: where it is still waiting, it is passed over."""
    event: StoredEvent | None = None
    """What was written of it as an event."""
    earlier: Intent | None = None
    """Of an intent: the one that has its key already."""

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits until it is on disk."""
        return self.answer is not None or isinstance(self.write, Marker)


def entry_of(
    write: Intent | Write, time: datetime, then: Callable[[int | None], None] | None = None
) -> Entry:
    """A write as it waits in the queue.

    Raises:
        ValueError, TypeError: it has no form in which it could be stored.
    """
    return Entry(write=write, text=_body(write), time=time, then=then)


def _body(write: Intent | Write) -> str:
    match write:
        case OrderChanged(_, order):
            _named(order.id)
            _whole(order.perm_id, order.ib_order_id, order.client_id)
            return ORDER.to_text(order)
        case ExecutionReported(execution):
            _named(execution.exec_id)
            _whole(execution.perm_id)
            _amounts(execution.commission, execution.realized_pnl)
            return EXECUTION.to_text(execution)
        case CommissionReported():
            _named(write.exec_id)
            _amounts(write.commission, write.realized_pnl)
            return ""
        case SessionChanged(info):
            return SESSION.to_text(info)
        case AccountChanged(account) | AccountSnapshot(account):
            return ACCOUNT.to_text(account)
        case SignalTold(tracked) | SignalChanged(_, tracked):
            _named(tracked.id)
            _whole(tracked.signal.con_id)
            return SIGNAL.to_text(tracked)
        case Audit():
            return "" if write.request is None else to_text(dict(write.request))
        case StateSet():
            _named(write.key)
            return to_text(write.value)
        case Intent():
            _named(write.client_order_id)
            time_text(write.accepted_at)
            return to_text(dict(write.body))
        case BarJobSet():
            _named(write.id)
            return to_text(dict(write.body))
        case BarsStored() | SeriesAnchored() | SeriesDropped() | BarJobsForgotten() | Marker():
            return ""


def _named(key: str) -> None:
    # What is stored in another form than it has (see `tables.Line`) is not found again.
    if "\0" in key or any("\ud800" <= character <= "\udfff" for character in key):
        raise ValueError(f"{key!r:.40} is no key")


def _whole(*numbers: int | None) -> None:
    for number in numbers:
        if number is not None and not -LARGEST <= number <= LARGEST:
            raise ValueError(f"{number} is no id")


def _amounts(*numbers: Any) -> None:
    for number in numbers:
        if number is not None:
            number_text(number)


def fill_key(exec_id: str) -> tuple[str, int]:
    """What a fill and its corrections have in common, and which of them this is.

    Source: IB's TWS API documentation on executions: a correction has the id of what it corrects, but for
    the digits after the final period.
    """
    start, _, last = exec_id.rpartition(".")
    # No correction has a number of nineteen digits, which no column would take.
    is_number = last.isascii() and last.isdecimal() and len(last) <= 18
    return start or exec_id, int(last) if start and is_number else 0


def is_same_order(one: OrderChanged, text: str) -> bool:
    """Does the order stand as the stored one, but for the time at which it was looked at?"""
    try:
        stored = ORDER.from_text(text)
    except ValueError:
        return False  # what cannot be read is written anew
    return all(
        getattr(stored, name) == getattr(one.order, name)
        for name in type(stored).__slots__
        if name != "updated_at"
    )


def is_assigned_now(execution: Execution, text: str) -> bool:
    """Is it known which order the fill is of, and was not when it was stored?"""
    try:
        return execution.order_id is not None and EXECUTION.from_text(text).order_id is None
    except ValueError:
        return False  # what cannot be read is left as it is


def with_commission(execution: Execution, report: CommissionReported) -> Execution:
    """The fill with the figures of its report."""
    return replace(
        execution,
        commission=report.commission,
        commission_currency=report.currency,
        realized_pnl=report.realized_pnl,
    )
