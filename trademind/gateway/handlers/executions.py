"""The request for today's executions, with its filter."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.domain import Side
from trademind.gateway import codes
from trademind.gateway.engine.model import PaperExecution
from trademind.gateway.handlers.order_reports import commission_message, execution_message
from trademind.gateway.handlers.orders import LISTED_PER_STEP
from trademind.gateway.session import Session
from trademind.gateway.wire.orders import executions_end
from trademind.gateway.wire.requests.orders import ExecutionsRequest
from trademind.gateway.wire.times import format_day, parse_moment

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_DAYS: Final = 7
"""How far back the executions of TWS go."""
_SIDES = {"BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL, "SSHORT": Side.SELL}


def executions(gateway: "PaperGateway", session: Session, request: ExecutionsRequest) -> None:
    """Today's fills that pass the filter, oldest first, each followed by its commission report.

    Of a combination the legs are charged for, and not the whole.
    """
    try:
        since = parse_moment(request.time) if request.time.strip() else None
    except ValueError as error:
        session.error(request.req_id, codes.VALIDATING, codes.invalid(f"Invalid time in filter: {error}"))
        return
    if request.side and request.side.upper() not in _SIDES:
        session.error(
            request.req_id, codes.VALIDATING, codes.invalid(f"Invalid side in filter: {request.side}")
        )
        return
    days = _days(request, gateway.clock.now())
    wanted = _filter(request, since, days)
    session.outbox.append(_list(gateway, session, request.req_id, gateway.exchange.executions(), wanted))


def _days(request: ExecutionsRequest, now: datetime) -> frozenset[str]:
    """The days that are asked for, as YYYYMMDD; empty for all there are."""
    recent = {format_day(now - timedelta(days=back)) for back in range(min(request.last_days or 0, MAX_DAYS))}
    return frozenset({*recent, *request.specific_dates})


def _list(
    gateway: "PaperGateway",
    session: Session,
    req_id: int,
    fills: Sequence[PaperExecution],
    wanted: Callable[[PaperExecution], bool],
) -> Iterator[None]:
    for number, execution in enumerate(fills, 1):
        if wanted(execution):
            session.send(execution_message(execution, gateway.by_hand.shown_id(execution.order_id), req_id))
            if not execution.instrument.legs:
                session.send(commission_message(execution))
        if number % LISTED_PER_STEP == 0:
            yield
    session.send(executions_end(req_id))


def _filter(
    request: ExecutionsRequest, since: datetime | None, days: frozenset[str]
) -> Callable[[PaperExecution], bool]:
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
            and (not days or format_day(execution.time) in days)
        )

    return wanted


HANDLERS: Mapping[type, Callable[..., None]] = {
    ExecutionsRequest: executions,
}
