"""Orders that were entered by hand, in TWS or for a test, and not by a client of the API.

Such an order belongs to client 0. Clients see it with the order id 0, which names no order, until client 0
binds it: from then on it has a negative id, by which client 0 can change and cancel it. The exchange knows
it by that id from the beginning. Bindings are forgotten when the gateway stops, the ids are not.
"""

from collections.abc import Iterable

UNBOUND_ID = 0


class ByHand:
    """The ids of orders entered by hand.

    Args:
        order_ids: Of all orders that the exchange knows.
    """

    def __init__(self, order_ids: Iterable[int] = ()) -> None:
        self._last = min([0, *order_ids])
        self._bound: set[int] = set()

    def next_id(self) -> int:
        """An id for a further order."""
        self._last -= 1
        return self._last

    def is_bound(self, order_id: int) -> bool:
        return order_id in self._bound

    def bind(self, order_id: int) -> bool:
        """Bind an order; returns whether that is news."""
        if order_id >= 0 or order_id in self._bound:
            return False
        self._bound.add(order_id)
        return True

    def shown_id(self, order_id: int) -> int:
        """The id under which clients see an order of this id."""
        return UNBOUND_ID if order_id < 0 and order_id not in self._bound else order_id

    def is_hidden(self, order_id: int) -> bool:
        """Whether nobody is told of what becomes of the order."""
        return order_id < 0 and order_id not in self._bound
