"""What an earlier process has left: orders, and intents of which nobody knows what became.

They are handed to the broker before it connects, and IB's lists then tell what has become of each: it was
accepted, filled, cancelled, or never sent. A process may have died at any moment, so an intent without an
order is nothing unusual: it was written down, and the wire may or may not have seen it.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from trademind.domain import Contract, Order, OrderGroup, OrderStatus
from trademind.journal import Intent, Journal

RECENT = timedelta(days=1)
"""Orders that were done before are IB's no longer either: it lists those of a day."""


async def known_orders(journal: Journal, client_id: int, now: datetime) -> list[Order]:
    """Orders as they stood last: those that were working, whoever has placed them, and those of this client
    id that were done today. To another client id belongs what was placed before this one was set, too."""
    orders: list[Order] = []
    for working in (True, False):
        before = None
        while True:
            page = await journal.reading.orders(working=working, before=before)
            orders += [
                replace(order, external=order.external or order.client_id != client_id)
                for order in page.items
                if working or (order.client_id == client_id and now - order.updated_at < RECENT)
            ]
            before = page.next
            is_past = not working and page.items and now - page.items[-1].updated_at >= RECENT
            if before is None or is_past:
                break
    return orders


async def pending_orders(journal: Journal, client_id: int) -> list[Order]:
    """The orders that intents would have become of which nothing more is known."""
    found: dict[str, Intent] = {}
    since = None
    while True:
        page = await journal.reading.pending_intents(since=since)
        new = {intent.client_order_id: intent for intent in page if intent.client_order_id not in found}
        found |= new
        if not new:
            return [order for intent in found.values() for order in _orders_of(intent, client_id)]
        since = page[-1].accepted_at


def _orders_of(intent: Intent, client_id: int) -> list[Order]:
    """The orders an intent would have become."""
    asked = intent.asked
    legs, relations = (asked.legs, asked.relations) if isinstance(asked, OrderGroup) else ((asked,), ({},))
    return [
        Order.of_request(
            request,
            contract=Contract(
                con_id=request.con_id or 0,
                symbol=request.symbol,
                sec_type=request.sec_type,
                exchange=request.exchange,
                currency=request.currency,
            ),
            account_id=intent.account_id,
            client_id=client_id,
            at=intent.accepted_at,
            status=OrderStatus.UNKNOWN,
            **relation,
        )
        for request, relation in zip(legs, relations, strict=True)
    ]
