"""Orders that depend on one another: OCA groups, and parents with their children.

One cancels all: a fill of one order of a group cancels the others (type 1) or reduces them by the share
of it that has filled (types 2 and 3; without a type IB takes 3). The exchange fills one order at a time and
settles the group before it looks at the next order, so no group ever overfills: with block or without, at
most one order of it is at the market at any moment.

The children of one parent on the same side of the same instrument are a group by themselves, as those of a
bracket are at IB, which makes them one of type 3.
"""

from decimal import Decimal

from trademind.gateway.engine.model import Ticket
from trademind.gateway.engine.working import WorkingOrder

CANCEL, REDUCE_WITH_BLOCK, REDUCE = 1, 2, 3
MAX_MEMBERS = 100
"""Of a group, and of a parent's children: what one fill may set off is bounded."""

GroupKey = tuple[str, ...] | tuple[int, ...]


def group_of(ticket: Ticket) -> "GroupKey | None":
    """The group a ticket belongs to; None for an order that stands alone."""
    if ticket.oca_group:
        return (ticket.account, ticket.oca_group)
    if ticket.parent_id:
        return (ticket.client_id, ticket.parent_id, ticket.instrument.con_id, ticket.side.sign)
    return None


def reduced(remaining: Decimal, *, before: Decimal, after: Decimal, step: Decimal) -> Decimal:
    """What is left of an order when another one of its group went from `before` to `after` remaining."""
    return (remaining * after / before) // step * step


class Groups:
    """The groups that have orders."""

    def __init__(self) -> None:
        self._members: dict[GroupKey, dict[int, WorkingOrder]] = {}

    def size(self, key: "GroupKey | None") -> int:
        return 0 if key is None else len(self._members.get(key, ()))

    def add(self, order: WorkingOrder) -> None:
        order.group = group_of(order.ticket)
        if order.group is not None:
            self._members.setdefault(order.group, {})[order.perm_id] = order

    def remove(self, order: WorkingOrder) -> None:
        if order.group is not None and (members := self._members.get(order.group)) is not None:
            members.pop(order.perm_id, None)
            if not members:
                del self._members[order.group]

    def others(self, order: WorkingOrder) -> list[WorkingOrder]:
        if order.group is None:
            return []
        return [each for each in self._members.get(order.group, {}).values() if each is not order]


Name = tuple[int, int]
"""Client id and order id."""


class Families:
    """Children that wait for their parents, and tickets that wait to be transmitted."""

    def __init__(self) -> None:
        self._children: dict[Name, dict[int, WorkingOrder]] = {}
        self.staged: dict[Name, Ticket] = {}
        """Tickets with transmit off. They are nowhere but here: like a real gateway's they are not part of
        the account, and are gone after a restart."""

    def add(self, child: WorkingOrder) -> None:
        self._children.setdefault(parent_of(child.ticket), {})[child.perm_id] = child

    def remove(self, child: WorkingOrder) -> None:
        children = self._children.get(parent_of(child.ticket))
        if children is not None:
            children.pop(child.perm_id, None)
            if not children:
                del self._children[parent_of(child.ticket)]

    def waiting(self, parent: Name) -> list[WorkingOrder]:
        """The children of a parent that have been transmitted and wait for it."""
        children = self._children.get(parent)
        return [] if children is None else list(children.values())

    def staged_with(self, ticket: Ticket) -> list[Ticket]:
        """The staged tickets of a ticket's family, parents first, without the ticket itself."""
        root = ticket.parent_id or ticket.order_id
        names = sorted(
            name
            for name, each in self.staged.items()
            if name[0] == ticket.client_id and root in (name[1], each.parent_id)
        )
        own = (ticket.client_id, ticket.order_id)
        found = [self.staged[name] for name in names if name != own]
        found.sort(key=lambda each: each.parent_id != 0)
        return found


def parent_of(ticket: Ticket) -> Name:
    return ticket.client_id, ticket.parent_id
