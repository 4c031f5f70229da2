"""What can be written down: an intent, before the wire sees anything, and everything that has happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from trademind.domain import (
    Account,
    Execution,
    Order,
    OrderGroup,
    OrderRequest,
    SessionInfo,
    TrackedSignal,
)
from trademind.journal.bar_writes import BarWrite
from trademind.journal.records import ORDER_GROUP, ORDER_REQUEST, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """That something is going to be asked of the broker, under a key that is never used for anything else."""

    client_order_id: str
    fingerprint: str
    """Equal for two requests that ask for the same."""
    body: Mapping[str, Any]
    """The request, JSON-ready."""
    account_id: str
    accepted_at: datetime
    origin: str
    """Where it came from: an address, a command, a strategy."""

    @classmethod
    def to_place(
        cls, asked: OrderRequest | OrderGroup, *, account_id: str, accepted_at: datetime, origin: str
    ) -> "Intent":
        """The intent to place an order, or a group. It has its key."""
        body = ORDER_GROUP.dump(asked) if isinstance(asked, OrderGroup) else ORDER_REQUEST.dump(asked)
        return cls(
            client_order_id=asked.keys[0],
            fingerprint=fingerprint(asked),
            body=body,
            account_id=account_id,
            accepted_at=accepted_at,
            origin=origin,
        )

    @property
    def asked(self) -> OrderRequest | OrderGroup:
        """What is to be placed. Raises `Unreadable`."""
        codec = ORDER_GROUP if "legs" in self.body else ORDER_REQUEST
        return codec.load(dict(self.body))


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order stands differently: an event, and the order's latest state. Where it stands as it did, but for
    the time, nothing is written."""

    name: str
    """What happened, as the stream calls it: new, accepted, fill …"""
    order: Order


@dataclass(frozen=True, slots=True)
class ExecutionReported:
    """A fill, or the same fill with its commission, or with its order where that was not known. What is known
    of it already is not written again."""

    execution: Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionReported:
    """A commission report on its own; it may come before its fill."""

    exec_id: str
    commission: Decimal
    currency: str
    realized_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """The session's state is another one: an event, called by the state."""

    info: SessionInfo


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """The account's figures, as an event."""

    account: Account


@dataclass(frozen=True, slots=True)
class SignalTold:
    """A strategy has made a signal: an event. Where one of its id is known, nothing is written."""

    tracked: TrackedSignal


@dataclass(frozen=True, slots=True)
class SignalChanged:
    """Something has become of a signal: an event, and how it stands. Where it stands so already, or was never
    told, nothing is written."""

    name: str
    """As the outcome, or ordered."""
    tracked: TrackedSignal


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """A point of the account's equity curve. No event."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A command that somebody gave, and what came of it. No event."""

    actor: str
    origin: str
    action: str
    subject: str | None
    request: Mapping[str, Any] | None
    outcome: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class StateSet:
    """A value that is to survive a restart, such as the risk limits. No event."""

    key: str
    value: Any
    """JSON-ready."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Writes nothing, but keeps its place: what is called after it is called after all that came before."""


Write = (
    OrderChanged
    | ExecutionReported
    | CommissionReported
    | SessionChanged
    | AccountChanged
    | AccountSnapshot
    | SignalTold
    | SignalChanged
    | Audit
    | StateSet
    | BarWrite
    | Marker
)
