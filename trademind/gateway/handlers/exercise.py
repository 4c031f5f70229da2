"""The request to exercise options, or to have them lapse."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.engine.exercise import processing
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import Session
from trademind.gateway.wire.requests.orders import ExerciseRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

EXERCISE: Final = 1


def exercise_options(gateway: "PaperGateway", session: Session, request: ExerciseRequest) -> None:
    """Exercise at once. To have options lapse is refused: that is decided at expiry, in other ways."""
    assert session.client_id is not None
    if gateway.cannot_write:
        session.error(request.req_id, codes.PROCESSING, f"Error processing request. {gateway.cannot_write}")
        return
    account = request.account or gateway.exchange.account_id
    if account not in gateway.exchange.accounts:
        session.error(request.req_id, codes.VALIDATING, codes.invalid(f"Invalid account code '{account}'"))
        return
    if request.action != EXERCISE:
        session.error(request.req_id, *processing("Only exercising is served, and no lapsing."))
        return
    option = find(gateway, session, request.req_id, request.contract)
    if option is None:
        return
    gateway.refresh(option)
    if option.underlying is not None:
        gateway.refresh(option.underlying)
    events = gateway.exchange.exercise(
        option,
        Decimal(request.quantity),
        account=account,
        client_id=session.client_id,
        order_id=request.req_id,
        override=request.override,
    )
    gateway.commit(events)


HANDLERS: Mapping[type, Callable[..., None]] = {
    ExerciseRequest: exercise_options,
}
