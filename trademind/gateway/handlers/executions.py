"""The request for today's executions, with its filter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from trademind.domain import Side
from trademind.gateway import codes
from trademind.gateway.engine.model import PaperExecution
from trademind.gateway.handlers.orders import LISTED_PER_STEP, commission_message, execution_message
from trademind.gateway.session import Session
from trademind.gateway.wire.orders import executions_end
from trademind.gateway.wire.requests.orders import ExecutionsRequest
from trademind.gateway.wire.times import format_day, parse_moment

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

_SIDES = {"BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL, "SSHORT": Side.SELL}


def executions(gateway: "PaperGateway", session: Session, request: ExecutionsRequest) -> None:
    """Today's fills that pass the filter, oldest first, each followed by its commission report."""
    try:
        since = parse_moment(request.time) if request.time.strip() else None
    except ValueError as error:
        session.error(request.req_id, codes.VALIDATING, codes.invalid(f"Invalid time in filter: {error}"))
        return
    wanted = _filter(request, since)
    session.outbox.append(_list(session, request.req_id, gateway.exchange.executions(), wanted))


def _list(
    session: Session,
    req_id: int,
    fills: Sequence[PaperExecution],
    wanted: Callable[[PaperExecution], bool],
) -> Iterator[None]:
    for number, execution in enumerate(fills, 1):
        if wanted(execution):
            session.send(execution_message(execution, req_id))
            session.send(commission_message(execution))
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(executions_end(req_id))


def _filter(request: ExecutionsRequest, since: datetime | None) -> Callable[[PaperExecution], bool]:
    side = _SIDES.get(request.side.upper())

    def wanted(execution: PaperExecution) -> bool:
        instrument = execution.instrument
        exchanges = (execution.exchange, instrument.exchange, instrument.primary_exchange)
        return (
            request.client_id in (0, execution.client_id)
            and request.account in ("", execution.account)
            and (since is None or execution.time >= since)
            and request.symbol.upper() in ("", instrument.symbol)
            and request.sec_type.upper() in ("", instrument.sec_type)
            and request.exchange.upper() in ("", *exchanges)
            and side in (None, execution.side)
            and (not request.specific_dates or format_day(execution.time) in request.specific_dates)
        )

    return wanted


HANDLERS: Mapping[type, Callable[..., None]] = {
    ExecutionsRequest: executions,
}
