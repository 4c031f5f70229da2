"""Requests that IB serves and the paper gateway does not: each gets the error IB gives without the data.

The error carries the request's id, so that the client's wait ends.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from trademind.gateway import codes
from trademind.gateway.session import Session
from trademind.gateway.wire.requests.spec import UnservedRequest

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

_NOT_AN_ADVISER = (codes.VALIDATING, codes.invalid("FA data operations ignored for non FA customers."))

ERRORS: Mapping[int, tuple[int, str]] = {
    18: _NOT_AN_ADVISER,
    19: _NOT_AN_ADVISER,
    106: (300, "Can't find EId with tickerId"),
    107: (300, "Can't find EId with tickerId"),
}
"""Code and text by message id, for every id of the text protocol that no handler serves."""


def refuse(gateway: "PaperGateway", session: Session, request: UnservedRequest) -> None:
    code, text = ERRORS[request.message_id]
    session.error(request.req_id, code, text)


HANDLERS: Mapping[type, Callable[..., None]] = {
    UnservedRequest: refuse,
}
