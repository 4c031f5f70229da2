"""What clients are told of the exchange's events.

Strategy: a commit makes one `Telling` of its events, for all clients; a client that may know of it is told
in its own time, out of its outbox. Messages are made when the first client is told and laid out once for
each version, so many clients cost little more than one, and a burst of events holds nobody up.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from trademind.gateway.engine.model import (
    CommissionReported,
    Event,
    Executed,
    OrderError,
    OrderReported,
    PortfolioChanged,
)
from trademind.gateway.handlers import account
from trademind.gateway.handlers import order_reports as reports
from trademind.gateway.session import Session
from trademind.gateway.wire.messages import Message, Shared

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

TOLD_PER_STEP: Final = 25
"""Events told in one step: a few milliseconds of work."""


class Telling:
    """Events in their order, and the messages that tell of them."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._messages: dict[int, tuple[Message, ...]] = {}

    def messages(self, gateway: "PaperGateway", index: int) -> tuple[Message, ...]:
        """What tells of one event; nothing for events that are told in other ways."""
        made = self._messages.get(index)
        if made is None:
            made = self._messages[index] = tuple(
                Shared(each) for each in _messages(gateway, self.events[index])
            )
        return made

    def concerns(self, gateway: "PaperGateway", session: Session) -> bool:
        """Whether a client may know of any of it."""
        return any(_concerns(gateway, session, event) for event in self.events)


def _messages(gateway: "PaperGateway", event: Event) -> tuple[Message, ...]:
    match event:
        case OrderReported(order=order):
            return reports.order_messages(order, gateway.by_hand.shown_id(order.ticket.order_id))
        case Executed(execution=execution):
            return (reports.execution_message(execution, gateway.by_hand.shown_id(execution.order_id)),)
        case CommissionReported(execution=execution):
            return (reports.commission_message(execution),)
    return ()


def _concerns(gateway: "PaperGateway", session: Session, event: Event) -> bool:
    match event:
        case OrderReported(order=order):
            return _sees(gateway, session, order.ticket.client_id, order.ticket.order_id)
        case Executed(execution=execution) | CommissionReported(execution=execution):
            return _sees(gateway, session, execution.client_id, execution.order_id)
        case OrderError(client_id=client_id, order_id=order_id):
            return session.client_id == client_id and not gateway.by_hand.is_hidden(order_id)
    return True


def _sees(gateway: "PaperGateway", session: Session, client_id: int, order_id: int) -> bool:
    """Whether a client is told of an order; nobody is of one that was entered by hand and is not bound."""
    return session.sees_orders_of(client_id) and not gateway.by_hand.is_hidden(order_id)


def tell(gateway: "PaperGateway", session: Session, telling: Telling) -> Iterator[None]:
    """Tell one client of events, as far as they are its business; of the account as it then is, at last."""
    changed: dict[tuple[str, int], None] = {}
    for index, event in enumerate(telling.events):
        if index and index % TOLD_PER_STEP == 0:
            yield
        if not _concerns(gateway, session, event):
            continue
        if isinstance(event, OrderError):
            session.error(event.order_id, event.code, event.message)
        elif isinstance(event, PortfolioChanged):
            changed[event.account, event.instrument.con_id] = None
        else:
            for message in telling.messages(gateway, index):
                session.send(message)
    if changed:
        account.portfolio_changed(gateway, session, changed)
