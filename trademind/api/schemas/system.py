"""The state of the server and of its session."""

from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field

from trademind.api.schemas.base import Out, Time, time
from trademind.domain import DataSource, SessionInfo, SessionState


class HealthOut(Out):
    status: Literal["ok"] = "ok"
    version: str


class ReadyOut(Out):
    status: Literal["ready"] = "ready"
    account_id: str | None
    source: DataSource | None
    since: Time


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
                    "last_error": None,
                    "farms": {"usfarm": "ok"},
                    "event_loop": "uvloop",
                    "nest_asyncio": False,
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
    last_error: str | None
    farms: dict[str, str] = Field(description="Health of IB's data farms by name.")
    event_loop: str = Field(description="The event loop the server runs on: asyncio or uvloop.")
    nest_asyncio: bool = Field(description="Has something patched asyncio? It must not be.")
    as_of: Time

    @classmethod
    def of(
        cls,
        session: SessionInfo,
        *,
        broker: Literal["paper", "ibkr"],
        event_loop: str,
        nest_asyncio: bool,
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
            last_error=session.last_error,
            farms=dict(session.farms),
            event_loop=event_loop,
            nest_asyncio=nest_asyncio,
            as_of=time(as_of),
        )
