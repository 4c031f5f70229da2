"""Waiting for what becomes of an order: until it stands as is wanted, or an error ends the wait."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trademind.brokers.ibkr.codes import Severity
from trademind.domain import Order
from trademind.errors import TradeMindError

NOTHING_REFUSES = frozenset[Severity]()
CANCEL_REFUSES = frozenset({Severity.CANCEL_REFUSED})


class Waiter:
    """Someone waiting for news of one order: until `condition` holds for it, or an error ends the wait.

    `refused_by` are the severities that are the answer to this wait, so that a refused change does not fail
    a cancel of the same order.
    """

    def __init__(
        self,
        order_id: str,
        condition: Callable[[Order], bool],
        refused_by: frozenset[Severity] = NOTHING_REFUSES,
    ) -> None:
        self.order_id = order_id
        self.condition = condition
        self.refused_by = refused_by
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, seconds: float) -> bool:
        """Wait for the news. Returns whether it came; raises the error that ended the wait.

        News that come together with the deadline, as after this side was held up, have come.
        """
        await asyncio.wait({self.future}, timeout=seconds)
        if self.future.done():
            self.future.result()
        return self.future.done()

    def fulfil(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: TradeMindError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Waiters:
    """All who wait for news of orders."""

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []

    @contextmanager
    def listening(self, *waiters: Waiter) -> Iterator[None]:
        """They are told the news for as long as the `with` block lasts."""
        self._waiters.extend(waiters)
        try:
            yield
        finally:
            for waiter in waiters:
                self._waiters.remove(waiter)
                if waiter.future.done() and not waiter.future.cancelled():
                    waiter.future.exception()  # it has been dealt with, or nobody is there to hear it

    def on_order(self, order: Order) -> None:
        """An order has changed."""
        for waiter in self._waiters:
            if waiter.order_id == order.id and waiter.condition(order):
                waiter.fulfil()

    def on_refusal(self, order_id: str, severity: Severity, error: TradeMindError) -> None:
        """IB has refused something that was asked of an order."""
        for waiter in self._waiters:
            if waiter.order_id == order_id and severity in waiter.refused_by:
                waiter.fail(error)

    def fail(self, error: TradeMindError) -> None:
        """The connection has ended: whoever waits for a change or a cancel is told."""
        for waiter in self._waiters:
            waiter.fail(error)
