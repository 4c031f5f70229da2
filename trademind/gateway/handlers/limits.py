"""What IB's limits say of a request, before anything is done about it: errors 100 and 162."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trademind.gateway import codes
from trademind.gateway.pacing import VIOLATION_TEXT
from trademind.gateway.session import Session
from trademind.gateway.wire.requests.history import HistoricalDataRequest, HistoricalTicksRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

_SECONDS = {"sec": 1, "secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600}
_LONG = timedelta(days=1)


def is_too_fast(gateway: "PaperGateway", session: Session) -> bool:
    """Count a message. Tells the client when it was one too many; ends it when it was told often enough.

    A message too many is served all the same: nothing that was asked goes without an answer.
    """
    excess = session.rate.count(gateway.clock.now())
    if excess is None:
        return False
    session.error(-1, codes.TOO_FAST, excess.text)
    if excess.is_last:
        session.connection.close()
    return excess.is_last


def is_too_often(gateway: "PaperGateway", session: Session, request: Any) -> bool:
    """Whether a request for history is one too many. If so, the client is told."""
    if not isinstance(request, HistoricalDataRequest | HistoricalTicksRequest):
        return False
    in_flight = gateway.pacing.in_flight
    if in_flight is not None and len(session.jobs) + len(session.bars) >= in_flight:
        rule: str | None = f"more than {in_flight} requests at the same time"
    else:
        what = request.what_to_show.upper()
        rule = gateway.historical_pacing.violation(
            gateway.clock.now(),
            request=replace(request, req_id=0),
            subject=(request.contract, what),
            bar=_length(request.bar_size) if isinstance(request, HistoricalDataRequest) else None,
            weight=2 if what == "BID_ASK" else 1,
        )
    if rule is not None:
        session.error(request.req_id, codes.HISTORICAL, VIOLATION_TEXT.format(rule=rule))
    return rule is not None


def _length(bar_size: str) -> timedelta:
    """The length of a bar of up to an hour; anything else, nonsense included, is long."""
    number, _, unit = bar_size.strip().partition(" ")
    seconds = _SECONDS.get(unit.strip())
    return timedelta(seconds=int(number) * seconds) if seconds and number.isdecimal() else _LONG
