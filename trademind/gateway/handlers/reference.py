"""What is not a market: news, scanners, fundamentals, corporate calendars."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trademind.gateway.session import Session
from trademind.gateway.wire import messages
from trademind.gateway.wire.requests.reference import (
    NewsBulletins,
    NewsProvidersRequest,
    ScannerParametersRequest,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

NO_SCANNERS = "<?xml version='1.0' encoding='UTF-8'?><ScanParameterResponse></ScanParameterResponse>"


def news_bulletins(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """Wanted or not: there are none, and IB does not answer either."""


def no_news_providers(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.no_news_providers())


def no_scanner_parameters(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.scanner_parameters(NO_SCANNERS))


HANDLERS: Mapping[type, Callable[..., None]] = {
    NewsBulletins: news_bulletins,
    NewsProvidersRequest: no_news_providers,
    ScannerParametersRequest: no_scanner_parameters,
}
