"""What the log-in is not entitled to: fundamentals and the calendar of corporate events."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trademind.gateway import codes
from trademind.gateway.handlers.contracts import find
from trademind.gateway.session import Session
from trademind.gateway.wire.requests.reference import (
    CancelFundamentalData,
    CancelWshEventData,
    CancelWshMetaData,
    FundamentalDataRequest,
    WshEventDataRequest,
    WshMetaDataRequest,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway


def fundamentals(gateway: "PaperGateway", session: Session, request: FundamentalDataRequest) -> None:
    if find(gateway, session, request.req_id, request.contract) is not None:
        session.error(request.req_id, codes.FUNDAMENTALS, codes.FUNDAMENTALS_TEXT)


def cancel_fundamentals(gateway: "PaperGateway", session: Session, request: CancelFundamentalData) -> None:
    text = f"Can't find EId with tickerId:{request.number}"
    session.error(request.number, codes.UNKNOWN_TICKER_ID, text)


def corporate_events(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.error(request.number, codes.NEWS_NOT_ALLOWED, codes.NEWS_NOT_ALLOWED_TEXT)


def cancel_meta_data(gateway: "PaperGateway", session: Session, request: CancelWshMetaData) -> None:
    session.error(request.number, codes.WSH_META_DATA, codes.WSH_META_DATA_TEXT)


def cancel_event_data(gateway: "PaperGateway", session: Session, request: CancelWshEventData) -> None:
    session.error(request.number, codes.WSH_EVENT_DATA, codes.WSH_EVENT_DATA_TEXT)


HANDLERS: Mapping[type, Callable[..., None]] = {
    FundamentalDataRequest: fundamentals,
    CancelFundamentalData: cancel_fundamentals,
    WshMetaDataRequest: corporate_events,
    WshEventDataRequest: corporate_events,
    CancelWshMetaData: cancel_meta_data,
    CancelWshEventData: cancel_event_data,
}
