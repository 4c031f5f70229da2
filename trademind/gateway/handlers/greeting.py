"""The session itself: what a client is told at the start, ids, time, who it is, verification."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trademind.gateway.session import MASTER_CLIENT_ID, Session
from trademind.gateway.wire import messages
from trademind.gateway.wire.reference import verify_and_auth_completed, verify_completed
from trademind.gateway.wire.requests.session import (
    CurrentTimeMillisRequest,
    CurrentTimeRequest,
    ManagedAccountsRequest,
    NextIdRequest,
    ServerLogLevel,
    StartApi,
    UserInfoRequest,
    Verify,
    VerifyAndAuthenticate,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway


def greet(gateway: "PaperGateway", session: Session) -> None:
    """Accounts, the first free order id, and the state of the data farms."""
    managed_accounts(gateway, session, None)
    next_id(gateway, session, None)
    for code, text in gateway.connectivity.greeting():
        session.error(-1, code, text)


def managed_accounts(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.managed_accounts(gateway.exchange.accounts))


def next_id(gateway: "PaperGateway", session: Session, request: Any) -> None:
    assert session.client_id is not None
    following = gateway.exchange.next_order_id(session.client_id)
    if session.client_id == MASTER_CLIENT_ID:
        # It is shown the others' orders under their ids, which its own should not be mistaken for.
        following = max(following, max(gateway.working, default=0) + 1)
    session.send(messages.next_valid_id(following))


def current_time(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.current_time(int(gateway.clock.now().timestamp())))


def current_time_millis(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.current_time_millis(int(gateway.clock.now().timestamp() * 1000)))


def nothing_to_do(gateway: "PaperGateway", session: Session, request: Any) -> None:
    """For what IB does not answer either: the log level."""


def already_started(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.error(-1, 501, "Already connected.")


def user_info(gateway: "PaperGateway", session: Session, request: UserInfoRequest) -> None:
    session.send(messages.user_info(request.number, ""))


NOT_VERIFIED = "Third-party verification is not available on this gateway."


def verify(gateway: "PaperGateway", session: Session, request: Verify) -> None:
    session.send(verify_completed(successful=False, text=NOT_VERIFIED))


def verify_and_authenticate(
    gateway: "PaperGateway", session: Session, request: VerifyAndAuthenticate
) -> None:
    session.send(verify_and_auth_completed(successful=False, text=NOT_VERIFIED))


HANDLERS: Mapping[type, Callable[..., None]] = {
    StartApi: already_started,
    ManagedAccountsRequest: managed_accounts,
    NextIdRequest: next_id,
    CurrentTimeRequest: current_time,
    CurrentTimeMillisRequest: current_time_millis,
    ServerLogLevel: nothing_to_do,
    UserInfoRequest: user_info,
    Verify: verify,
    VerifyAndAuthenticate: verify_and_authenticate,
}
