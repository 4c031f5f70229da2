"""What happens to orders by the clock: expiring, and going on to the next stage.

A heap of moments, oldest first. An order that has been changed or has ended leaves its entries behind; they
are known by no longer being the order's own moments, and are swept out when they are most of the heap.
"""

from datetime import datetime
from heapq import heapify, heappop, heappush

from trademind.gateway.engine.working import WorkingOrder

_SLACK = 1024
"""So many dead entries are kept before the heap is swept."""


class Agenda:
    """Moments at which orders expire or wake up."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, bool, int, WorkingOrder]] = []
        self._count = 0
        self._swept_at = _SLACK

    @property
    def next(self) -> datetime | None:
        """When there may be something to do."""
        return self._heap[0][0] if self._heap else None

    def expire(self, order: WorkingOrder, moment: datetime) -> None:
        if order.expires_at != moment:
            order.expires_at = moment
            self._push(order, moment, wakes=False)

    def wake(self, order: WorkingOrder, moment: datetime) -> None:
        if order.wakes_at != moment:
            order.wakes_at = moment
            self._push(order, moment, wakes=True)

    def due(self, now: datetime) -> tuple[WorkingOrder, datetime, bool] | None:
        """The next order whose moment has come, that moment, and whether it wakes; otherwise it expires.

        What wakes does so before anything expires at the same moment, such as the close.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            moment, expires, _, order = heappop(heap)
            wakes = not expires
            if self._is_live(order, moment, wakes):
                if wakes:
                    order.wakes_at = None
                else:
                    order.expires_at = None
                return order, moment, wakes
        return None

    def _push(self, order: WorkingOrder, moment: datetime, *, wakes: bool) -> None:
        self._count += 1
        heappush(self._heap, (moment, not wakes, self._count, order))
        if len(self._heap) > self._swept_at:
            self._heap = [each for each in self._heap if self._is_live(each[3], each[0], not each[1])]
            heapify(self._heap)
            self._swept_at = 2 * len(self._heap) + _SLACK

    @staticmethod
    def _is_live(order: WorkingOrder, moment: datetime, wakes: bool) -> bool:
        return order.completed_at is None and moment == (order.wakes_at if wakes else order.expires_at)
