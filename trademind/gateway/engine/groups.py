"""Orders that depend on one another: OCA groups, and parents with their children.

One cancels all: a fill of one order of a group cancels the others (type 1) or reduces them by the share
of it that has filled (types 2 and 3; without a type IB takes 3). The exchange fills one order at a time and
settles the group before it looks at the next order, so no group ever overfills: with block or without, at
most one order of it is at the market at any moment. An order that comes into a group which has filled gets
what is left of it, and is cancelled at once where that is nothing.

The children of one parent on the same side of the same instrument are a group by themselves, as those of a
bracket are at IB, which makes them one of type 3.
"""

from decimal import Decimal

from trademind.gateway.engine.model import Ticket
from trademind.gateway.engine.working import WorkingOrder

CANCEL, REDUCE_WITH_BLOCK, REDUCE = 1, 2, 3
MAX_MEMBERS = 100
"""Of a group, and of all that wait below one order: what one fill or cancel may set off is bounded."""
MAX_GENERATIONS = 3
"""Of orders that wait for one another: an entry, its exits, and what is attached to an exit."""
_NOTHING = Decimal(0)
_EVEN = Decimal("0.00000001")

GroupKey = tuple[str, ...] | tuple[int, ...]


def group_of(ticket: Ticket) -> "GroupKey | None":
    """The group a ticket belongs to; None for an order that stands alone."""
    if ticket.oca_group:
        return (ticket.account, ticket.oca_group)
    if ticket.parent_id:
        return (ticket.client_id, ticket.parent_id, ticket.instrument.con_id, ticket.side.sign)
    return None


def cancels(ticket: Ticket) -> bool:
    """Whether a fill of an order ends all others of its group, however little it is."""
    return bool(ticket.oca_group) and ticket.oca_type == CANCEL


def reduced(remaining: Decimal, *, before: Decimal, after: Decimal, step: Decimal) -> Decimal:
    """What is left of an order when another one of its group went from `before` to `after` remaining."""
    return (remaining * after / before) // step * step


class Groups:
    """The groups that have orders, and what has filled of them.

    A group does not forget that it has filled when its orders have ended: an order that comes into it later
    gets what is left. What has filled is reckoned from the orders themselves, so it is the same after a
    restart that has the orders of the day.
    """

    def __init__(self) -> None:
        self._members: dict[GroupKey, dict[int, WorkingOrder]] = {}
        self._filled: dict[GroupKey, dict[int, WorkingOrder]] = {}
        """Those that have filled, wholly or in part, be they working or done."""

    def size(self, key: "GroupKey | None") -> int:
        """How many orders work in a group or have filled in it."""
        if key is None:
            return 0
        return len(self._members.get(key, {}).keys() | self._filled.get(key, {}).keys())

    def add(self, order: WorkingOrder) -> None:
        order.group = group_of(order.ticket)
        if order.group is not None:
            self._members.setdefault(order.group, {})[order.perm_id] = order

    def remove(self, order: WorkingOrder) -> None:
        if order.group is not None and (members := self._members.get(order.group)) is not None:
            members.pop(order.perm_id, None)
            if not members:
                del self._members[order.group]

    def note_fill(self, order: WorkingOrder) -> None:
        """Remember that an order has filled, as far as its group is concerned."""
        key = order.group if order.group is not None else group_of(order.ticket)
        if key is not None and order.filled:
            self._filled.setdefault(key, {})[order.perm_id] = order

    def forget_fills(self) -> None:
        """A trading day has ended: what has filled counts no more, but in groups that still work."""
        self._filled = {key: filled for key, filled in self._filled.items() if key in self._members}

    def left_for(self, ticket: Ticket) -> Decimal:
        """What of its quantity a new order may still fill, after the fills that its group has had.

        Of type 1 nothing. Of types 2 and 3 each order that has filled leaves the share that remains of it;
        where several have, that is at most what they left, never more.
        """
        key = group_of(ticket)
        filled = None if key is None else self._filled.get(key)
        if not filled:
            return ticket.quantity
        if cancels(ticket):
            return _NOTHING
        left = ticket.quantity
        for order in filled.values():
            if not order.remaining or cancels(order.ticket):
                return _NOTHING
            left = left * order.remaining / (order.filled + order.remaining)
        step = ticket.instrument.size_increment
        # Thirds do not come out even; rounded first, three of them are one again.
        return left.quantize(_EVEN) // step * step

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

    def descendants(self, ancestor: Name) -> list[Name]:
        """All that wait below an order, transmitted or not, generation by generation."""
        staged: dict[Name, list[Name]] = {}
        for name, ticket in self.staged.items():
            if ticket.parent_id:
                staged.setdefault(parent_of(ticket), []).append(name)
        found: list[Name] = []
        generation = [ancestor]
        while generation:
            below: list[Name] = []
            for name in generation:
                below += sorted(staged.get(name, ()))
                below += ((name[0], each.ticket.order_id) for each in self.waiting(name))
            found += below
            generation = below
        return found

    def staged_with(self, name: Name) -> list[Ticket]:
        """The tickets of a staged ticket's family, parents first.

        A family is what is below the highest ancestor that is staged, or below its parent where that has
        been transmitted already.
        """
        while self.staged[name].parent_id:
            name = parent_of(self.staged[name])
            if name not in self.staged:
                break
        family = (name, *self.descendants(name))
        return [self.staged[each] for each in family if each in self.staged]


def parent_of(ticket: Ticket) -> Name:
    return ticket.client_id, ticket.parent_id
