"""Liveness, readiness and metrics, for whoever watches the process."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

import trademind
from trademind.api.deps import BrokerDep, JournalDep, MetricsDep
from trademind.api.metrics import CONTENT_TYPE
from trademind.api.schemas.base import time, time_or_none
from trademind.api.schemas.problem import problems
from trademind.api.schemas.system import HealthOut, ReadyOut, snapshots_of
from trademind.domain import SessionInfo, SessionState
from trademind.errors import (
    GatewaySilent,
    JournalUnavailable,
    NotConnected,
    NotSynchronised,
    Unavailable,
    UpstreamLost,
)

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=problems())
async def healthz() -> HealthOut:
    """The process is alive. Says nothing about the session."""
    return HealthOut(version=trademind.__version__)


@router.get("/readyz", responses=problems(503))
async def readyz(broker: BrokerDep, journal: JournalDep) -> ReadyOut:
    """The session is connected and synchronised, and the journal is written to: reads are true and orders are
    accepted."""
    session = broker.session
    missing = [*session.missing] if journal.is_available else [*session.missing, "journal"]
    if session.state is not SessionState.READY:
        raise _not_ready(session, missing)
    if not journal.is_available:
        raise JournalUnavailable(journal.last_error or "the journal is closed", extra={"missing": missing})
    return ReadyOut(account_id=session.account_id, source=session.source, since=time(session.since))


@router.get("/metrics", response_class=PlainTextResponse, responses=problems())
async def metrics(metrics: MetricsDep) -> Response:
    """The session, the journal, the event loop and the process, in the text format of Prometheus."""
    return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})


def _not_ready(session: SessionInfo, missing: list[str]) -> Unavailable:
    extra = {
        "state": session.state.value,
        "since": time(session.since),
        "missing": missing,
        "snapshots": [snapshot.model_dump() for snapshot in snapshots_of(session)],
        "last_error": session.last_error,
        "last_error_at": time_or_none(session.last_error_at),
        "advice": session.advice,
        "next_attempt_at": time_or_none(session.next_attempt_at),
    }
    where = f"{session.host}:{session.port}"
    reason = f"; last error: {session.last_error}" if session.last_error else ""
    match session.state:
        case SessionState.SYNCHRONISING:
            awaited = ", ".join(session.missing) or "the first snapshots"
            return NotSynchronised(f"waiting for {awaited} from {where}{reason}", extra=extra)
        case SessionState.UPSTREAM_LOST:
            return UpstreamLost(f"the gateway at {where} has lost its connection to IB{reason}", extra=extra)
        case SessionState.SILENT:
            return GatewaySilent(f"the gateway at {where} does not answer{reason}", extra=extra)
        case _:
            return NotConnected(f"no session with {where}{reason}", extra=extra)
