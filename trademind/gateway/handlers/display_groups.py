"""Display groups: windows that show the same contract.

The paper gateway has no windows, and keeps the groups: what one client puts into a group, every client that
has subscribed to it is told.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.session import Session
from trademind.gateway.wire.reference import display_group_list, display_group_updated
from trademind.gateway.wire.requests.session import (
    QueryDisplayGroups,
    SubscribeToGroup,
    UnsubscribeFromGroup,
    UpdateDisplayGroup,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

GROUPS: Final = range(1, 8)
EMPTY: Final = "none"
_CONTRACT = re.compile(r"none|combo|\d{1,10}@[A-Z0-9.]{1,20}")
MAX_SUBSCRIPTIONS: Final = 50
"""Of one client; TWS has seven groups."""


def query(gateway: "PaperGateway", session: Session, request: QueryDisplayGroups) -> None:
    session.send(display_group_list(request.number, GROUPS))


def subscribe(gateway: "PaperGateway", session: Session, request: SubscribeToGroup) -> None:
    if request.group_id not in GROUPS:
        text = codes.invalid(f"Invalid display group: {request.group_id}")
    elif request.req_id not in session.groups and len(session.groups) >= MAX_SUBSCRIPTIONS:
        text = codes.invalid("Too many display group subscriptions")
    else:
        session.groups[request.req_id] = request.group_id
        shown = gateway.display_groups.get(request.group_id, EMPTY)
        session.send(display_group_updated(request.req_id, shown))
        return
    session.error(request.req_id, codes.VALIDATING, text)


def update(gateway: "PaperGateway", session: Session, request: UpdateDisplayGroup) -> None:
    group_id = session.groups.get(request.req_id)
    if group_id is None:
        text = f"Can't find EId with tickerId:{request.req_id}"
        session.error(request.req_id, codes.UNKNOWN_TICKER_ID, text)
        return
    if not _CONTRACT.fullmatch(request.contract_info):
        cause = f"Invalid contract of a display group: {request.contract_info[:40]}"
        session.error(request.req_id, codes.VALIDATING, codes.invalid(cause))
        return
    gateway.display_groups[group_id] = request.contract_info
    for other in gateway.sessions:
        for req_id, followed in other.groups.items():
            if followed == group_id:
                other.send(display_group_updated(req_id, request.contract_info))


def unsubscribe(gateway: "PaperGateway", session: Session, request: UnsubscribeFromGroup) -> None:
    """IB does not confirm it."""
    if session.groups.pop(request.number, None) is None:
        text = f"Can't find EId with tickerId:{request.number}"
        session.error(request.number, codes.UNKNOWN_TICKER_ID, text)


HANDLERS: Mapping[type, Callable[..., None]] = {
    QueryDisplayGroups: query,
    SubscribeToGroup: subscribe,
    UpdateDisplayGroup: update,
    UnsubscribeFromGroup: unsubscribe,
}
