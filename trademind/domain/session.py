"""The session with the gateway, as its users see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trademind.domain.account import DataSource
from trademind.domain.notices import Notice


class SessionState(StrEnum):
    DISCONNECTED = "disconnected"
    """No connection; the supervisor is waiting before it tries again, or has not begun."""
    CONNECTING = "connecting"
    """Socket and handshake are under way."""
    SYNCHRONISING = "synchronising"
    """Logged on; the snapshots are on their way."""
    READY = "ready"
    """Every snapshot is in: reads are true and orders are accepted."""
    UPSTREAM_LOST = "upstream_lost"
    """The gateway is there, but has lost IB (error 1100): reads are stale, orders are refused."""
    SILENT = "silent"
    """The socket is up, but nothing has come over it for too long: reads are stale, orders are refused."""
    STOPPED = "stopped"
    """Closed on purpose, or given up for a reason that waiting does not mend."""


_FROM_ANY_CONNECTION = frozenset({SessionState.DISCONNECTED, SessionState.STOPPED})

TRANSITIONS: Mapping[SessionState, frozenset[SessionState]] = {
    SessionState.DISCONNECTED: frozenset({SessionState.CONNECTING, SessionState.STOPPED}),
    SessionState.CONNECTING: frozenset({SessionState.SYNCHRONISING}) | _FROM_ANY_CONNECTION,
    SessionState.SYNCHRONISING: frozenset({SessionState.READY, SessionState.UPSTREAM_LOST})
    | _FROM_ANY_CONNECTION,
    SessionState.READY: frozenset(
        {SessionState.UPSTREAM_LOST, SessionState.SILENT, SessionState.SYNCHRONISING}
    )
    | _FROM_ANY_CONNECTION,
    SessionState.UPSTREAM_LOST: frozenset({SessionState.SYNCHRONISING, SessionState.SILENT})
    | _FROM_ANY_CONNECTION,
    # Whatever was said while nothing was heard is missing, so the way back leads through the snapshots.
    SessionState.SILENT: frozenset({SessionState.SYNCHRONISING, SessionState.UPSTREAM_LOST})
    | _FROM_ANY_CONNECTION,
    SessionState.STOPPED: frozenset({SessionState.CONNECTING}),
}
"""Where each state may lead. `brokers.ibkr.supervisor` is the only one who changes the state."""

READABLE = frozenset({SessionState.READY, SessionState.UPSTREAM_LOST, SessionState.SILENT})
"""States in which the book holds a complete set of snapshots, fresh or stale."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One of the things that must have come in before the session is ready."""

    name: str
    arrived: bool
    since: datetime
    """When it arrived, or since when it is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """What there is to know about the session."""

    state: SessionState
    since: datetime
    host: str
    port: int
    client_id: int
    account_id: str | None
    accounts: tuple[str, ...]
    source: DataSource | None
    trading_allowed: bool
    """False for a live account without ALLOW_LIVE: everything is readable, no order is sent."""
    server_version: int | None
    connection_number: int
    """How many connections have been made; it grows with every reconnect."""
    snapshots: tuple[Snapshot, ...] = ()
    """What must be in, in the order in which it is asked for."""
    last_error: str | None
    last_error_at: datetime | None = None
    advice: str | None = None
    """What the user can do about the last error; None when ready."""
    next_attempt_at: datetime | None = None
    """When a connection is tried next, while there is none."""
    last_heard_at: datetime | None = None
    """When the gateway last sent anything."""
    farms: Mapping[str, str]
    """Health of IB's data farms by name, as their notices say: ok, inactive, broken, connecting."""
    queued: Mapping[str, int] = field(default_factory=dict)
    """Messages that wait for their turn within IB's limit of 50 a second, by priority."""
    notices: tuple[Notice, ...] = ()
    """What IB last said about no request and no order, the newest last."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The snapshots that are not in; without a connection that is all there is to say."""
        if not self.snapshots:
            return () if self.state in READABLE else ("connection",)
        return tuple(snapshot.name for snapshot in self.snapshots if not snapshot.arrived)
