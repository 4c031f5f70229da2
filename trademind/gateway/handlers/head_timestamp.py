"""The first moment of an instrument's history, of each kind of data."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import TYPE_CHECKING

from trademind.gateway import codes
from trademind.gateway.handlers import bar_kinds
from trademind.gateway.handlers.bar_kinds import Kind
from trademind.gateway.handlers.bar_query import FORMAT_EPOCH, service_error
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import Session
from trademind.gateway.wire.history import head_timestamp
from trademind.gateway.wire.requests.history import CancelHeadTimestamp, HeadTimestampRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway


def head(gateway: "PaperGateway", session: Session, request: HeadTimestampRequest) -> None:
    instrument = find(gateway, session, request.req_id, request.contract)
    if instrument is None:
        return
    try:
        kind = Kind(request.what_to_show.strip().upper())
    except ValueError:
        session.error(request.req_id, codes.VALIDATING, codes.invalid("Invalid source price"))
        return
    if kind is Kind.SCHEDULE or not bar_kinds.exists(kind, instrument):
        text = service_error(bar_kinds.no_data(kind, instrument, "0"))
        session.error(request.req_id, codes.HISTORICAL, text)
        return
    first = gateway.feed.head(instrument).astimezone(UTC)
    epoch = request.format_date == FORMAT_EPOCH
    written = str(int(first.timestamp())) if epoch else f"{first:%Y%m%d-%H:%M:%S}"
    session.send(head_timestamp(request.req_id, written))


def cancel(gateway: "PaperGateway", session: Session, request: CancelHeadTimestamp) -> None:
    """Answers are sent at once, so there is never one to cancel; neither does IB confirm it."""


HANDLERS: Mapping[type, Callable[..., None]] = {
    HeadTimestampRequest: head,
    CancelHeadTimestamp: cancel,
}
