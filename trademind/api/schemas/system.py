"""The state of the server and of its session."""

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field

from trademind.api.schemas.base import Out, Time, time, time_or_none
from trademind.api.schemas.notices import NoticeOut
from trademind.api.schemas.portfolio import SnapshotOut
from trademind.domain import DataSource, SessionInfo, SessionState
from trademind.journal import AuditEntry
from trademind.loopwatch import LoopWatch


class HealthOut(Out):
    status: Literal["ok"] = "ok"
    version: str


class ReadyOut(Out):
    status: Literal["ready"] = "ready"
    account_id: str | None
    source: DataSource | None
    since: Time


class SessionSnapshotOut(Out):
    """One of the things that must be in before the session is ready."""

    name: str
    arrived: bool
    since: Time = Field(description="When it arrived, or since when it is waited for.")


def snapshots_of(session: SessionInfo) -> list[SessionSnapshotOut]:
    return [
        SessionSnapshotOut(name=snapshot.name, arrived=snapshot.arrived, since=time(snapshot.since))
        for snapshot in session.snapshots
    ]


class LoopLagOut(Out):
    """How late the event loop is."""

    last_ms: float | None
    p99_ms: float | None = Field(description="Of the last minute.")
    max_ms: float | None = Field(description="Since the server started.")
    stalls: int = Field(description="Callbacks that held the loop for more than 100 ms; the log names them.")

    @classmethod
    def of(cls, watch: LoopWatch) -> Self:
        lag = watch.lag
        return cls(
            last_ms=_milliseconds(lag.last),
            p99_ms=_milliseconds(lag.p99),
            max_ms=_milliseconds(lag.max),
            stalls=watch.stall_count,
        )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


class ConnectionOut(Out):
    """The session with the gateway."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "broker": "paper",
                    "state": "ready",
                    "ready": True,
                    "since": "2026-01-30T15:29:59Z",
                    "host": "127.0.0.1",
                    "port": 7497,
                    "client_id": 1,
                    "account_id": "DU1234567",
                    "accounts": ["DU1234567"],
                    "source": "paper",
                    "trading_allowed": True,
                    "server_version": 178,
                    "connection_number": 1,
                    "missing": [],
                    "snapshots": [
                        {"name": "account", "arrived": True, "since": "2026-01-30T15:29:59Z"},
                        {"name": "positions", "arrived": True, "since": "2026-01-30T15:29:59Z"},
                        {"name": "open_orders", "arrived": True, "since": "2026-01-30T15:29:59Z"},
                        {"name": "executions", "arrived": True, "since": "2026-01-30T15:29:59Z"},
                        {"name": "completed_orders", "arrived": True, "since": "2026-01-30T15:29:59Z"},
                    ],
                    "last_error": None,
                    "last_error_at": None,
                    "advice": None,
                    "next_attempt_at": None,
                    "last_heard_at": "2026-01-30T15:29:59Z",
                    "farms": {"usfarm": "ok"},
                    "queued": {"cancel": 0, "order": 0, "account": 0, "data": 0},
                    "notices": [],
                    "event_loop": "uvloop",
                    "nest_asyncio": False,
                    "loop_lag": {"last_ms": 0.214, "p99_ms": 1.37, "max_ms": 12.805, "stalls": 0},
                    "as_of": "2026-01-30T15:30:00Z",
                }
            ]
        }
    )

    broker: Literal["paper", "ibkr"]
    state: SessionState
    ready: bool
    since: Time
    host: str
    port: int
    client_id: int
    account_id: str | None
    accounts: list[str]
    source: DataSource | None
    trading_allowed: bool
    server_version: int | None
    connection_number: int
    missing: list[str] = Field(description="The snapshots that are not in yet.")
    snapshots: list[SessionSnapshotOut]
    last_error: str | None
    last_error_at: Time | None
    advice: str | None = Field(description="What you can do about the last error.")
    next_attempt_at: Time | None = Field(description="When a connection is tried next.")
    last_heard_at: Time | None = Field(description="When the gateway last sent anything.")
    farms: dict[str, str] = Field(description="Health of IB's data farms by name.")
    queued: dict[str, int] = Field(
        description="Messages that wait for their turn within IB's 50 a second, by priority."
    )
    notices: list[NoticeOut] = Field(description="What IB said of late about no request and no order.")
    event_loop: str = Field(description="The event loop the server runs on: asyncio or uvloop.")
    nest_asyncio: bool = Field(description="Has something patched asyncio? It must not be.")
    loop_lag: LoopLagOut
    as_of: Time

    @classmethod
    def of(
        cls,
        session: SessionInfo,
        *,
        broker: Literal["paper", "ibkr"],
        event_loop: str,
        nest_asyncio: bool,
        loop_lag: LoopLagOut,
        as_of: datetime,
    ) -> Self:
        return cls(
            broker=broker,
            state=session.state,
            ready=session.state is SessionState.READY,
            since=time(session.since),
            host=session.host,
            port=session.port,
            client_id=session.client_id,
            account_id=session.account_id,
            accounts=list(session.accounts),
            source=session.source,
            trading_allowed=session.trading_allowed,
            server_version=session.server_version,
            connection_number=session.connection_number,
            missing=list(session.missing),
            snapshots=snapshots_of(session),
            last_error=session.last_error,
            last_error_at=time_or_none(session.last_error_at),
            advice=session.advice,
            next_attempt_at=time_or_none(session.next_attempt_at),
            last_heard_at=time_or_none(session.last_heard_at),
            farms=dict(session.farms),
            queued=dict(session.queued),
            notices=[NoticeOut.of(notice) for notice in session.notices],
            event_loop=event_loop,
            nest_asyncio=nest_asyncio,
            loop_lag=loop_lag,
            as_of=time(as_of),
        )


class ReconciledOut(SnapshotOut):
    """How orders stand after IB has listed them."""

    working: int = Field(description="Orders that may still fill.")
    external: int = Field(description="Orders of today that were placed elsewhere.")
    unknown: list[str] = Field(description="Orders of which IB does not say what became of them.")


class CommandOut(Out):
    """A command that somebody gave."""

    time: Time
    actor: str = Field(description="What the caller says it is.", examples=["trademind-cli/0.1.0"])
    origin: str = Field(description="Where it came from.", examples=["http 127.0.0.1"])
    action: str = Field(examples=["place_order"])
    subject: str | None = Field(description="What it was done to, such as an order's id.")
    request: dict[str, object] | None
    outcome: str = Field(
        description="`done`, or the code of the error; `cut_short` where whoever asked was gone, or the "
        "server stopped, before it was known, and `failed` for a fault of TradeMind's own."
    )
    detail: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            time=time(entry.time),
            actor=entry.actor,
            origin=entry.origin,
            action=entry.action,
            subject=entry.subject,
            request=entry.request,
            outcome=entry.outcome,
            detail=entry.detail,
        )


class AuditPage(Out):
    commands: list[CommandOut]
    next_page_token: str | None = Field(description="Give it back as `page_token`; null on the last page.")
