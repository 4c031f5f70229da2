"""Liveness and readiness, for whoever watches the process."""

from fastapi import APIRouter

import trademind
from trademind.api.deps import BrokerDep
from trademind.api.schemas.base import time
from trademind.api.schemas.problem import problems
from trademind.api.schemas.system import HealthOut, ReadyOut
from trademind.domain import SessionInfo, SessionState
from trademind.errors import NotConnected, NotSynchronised, Unavailable

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=problems())
async def healthz() -> HealthOut:
    """The process is alive. Says nothing about the session."""
    return HealthOut(version=trademind.__version__)


@router.get("/readyz", responses=problems(503))
async def readyz(broker: BrokerDep) -> ReadyOut:
    """The session is connected and synchronised: reads are true and orders are accepted."""
    session = broker.session
    if session.state is not SessionState.READY:
        raise _not_ready(session)
    return ReadyOut(account_id=session.account_id, source=session.source, since=time(session.since))


def _not_ready(session: SessionInfo) -> Unavailable:
    extra = {
        "state": session.state.value,
        "since": time(session.since),
        "missing": list(session.missing),
        "last_error": session.last_error,
    }
    where = f"{session.host}:{session.port}"
    reason = f"; last error: {session.last_error}" if session.last_error else ""
    match session.state:
        case SessionState.SYNCHRONISING:
            missing = ", ".join(session.missing) or "the first snapshots"
            return NotSynchronised(f"waiting for {missing} from {where}{reason}", extra=extra)
        case SessionState.UPSTREAM_LOST:
            return Unavailable(f"the gateway at {where} has lost its connection to IB{reason}", extra=extra)
        case _:
            return NotConnected(f"no session with {where}{reason}", extra=extra)
