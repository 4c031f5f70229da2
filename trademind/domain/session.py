"""The session with the gateway, as its users see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trademind.domain.account import DataSource


class SessionState(StrEnum):
    DISCONNECTED = "disconnected"
    """No connection; the supervisor is waiting before it tries again, or has not begun."""
    CONNECTING = "connecting"
    """Socket and handshake are under way."""
    SYNCHRONISING = "synchronising"
    """Logged on; the first snapshots are on their way."""
    READY = "ready"
    """Every snapshot is in: reads are true and orders are accepted."""
    UPSTREAM_LOST = "upstream_lost"
    """The gateway is there, but has lost IB (error 1100): reads are stale, orders are refused."""
    STOPPED = "stopped"
    """Closed on purpose, or given up for a reason that waiting does not mend."""


TRANSITIONS: Mapping[SessionState, frozenset[SessionState]] = {
    SessionState.DISCONNECTED: frozenset({SessionState.CONNECTING, SessionState.STOPPED}),
    SessionState.CONNECTING: frozenset(
        {SessionState.SYNCHRONISING, SessionState.DISCONNECTED, SessionState.STOPPED}
    ),
    SessionState.SYNCHRONISING: frozenset(
        {
            SessionState.READY,
            SessionState.UPSTREAM_LOST,
            SessionState.DISCONNECTED,
            SessionState.STOPPED,
        }
    ),
    SessionState.READY: frozenset(
        {
            SessionState.UPSTREAM_LOST,
            SessionState.SYNCHRONISING,
            SessionState.DISCONNECTED,
            SessionState.STOPPED,
        }
    ),
    SessionState.UPSTREAM_LOST: frozenset(
        {
            SessionState.READY,
            SessionState.SYNCHRONISING,
            SessionState.DISCONNECTED,
            SessionState.STOPPED,
        }
    ),
    SessionState.STOPPED: frozenset({SessionState.CONNECTING}),
}


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
    missing: tuple[str, ...]
    """The snapshots that are not in yet; empty when ready."""
    last_error: str | None
    farms: Mapping[str, str]
    """Health of IB's data farms by name, as their notices say: ok, inactive, broken."""
