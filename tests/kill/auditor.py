"""What there is, asked of nobody who could be mistaken: the gateway by another client, the journal's file."""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import ib_async

CLIENT_ID = 99
"""Of the auditor, who has no orders of his own."""


@dataclass(slots=True)
class Seen:
    """The gateway's side of things."""

    orders: dict[str, list[tuple[int, str, Decimal]]] = field(default_factory=lambda: defaultdict(list))
    """By order_ref: perm id, IB's status and quantity of every order that has it, each listed once."""
    fills: dict[str, tuple[str, int, Decimal, float]] = field(default_factory=dict)
    """By exec id: the order_ref, the perm id, the quantity and the commission."""

    def perm_ids(self, ref: str) -> set[int]:
        """Of every order and fill that has this order_ref."""
        of_fills = {perm_id for its_ref, perm_id, _, _ in self.fills.values() if its_ref == ref}
        return {perm_id for perm_id, _, _ in self.orders.get(ref, [])} | of_fills

    @property
    def refs(self) -> set[str]:
        """Every order_ref there is."""
        return set(self.orders) | {ref for ref, _, _, _ in self.fills.values()}


async def look(port: int) -> Seen:
    """Everything the gateway lists of all clients."""
    ib, seen = ib_async.IB(), Seen()
    await ib.connectAsync("127.0.0.1", port, CLIENT_ID, timeout=20)
    try:
        working = await ib.reqAllOpenOrdersAsync()
        done = await ib.reqCompletedOrdersAsync(False)
        for is_done, trades in ((False, working), (True, done)):
            for trade in trades:
                order = trade.order
                quantity = order.filledQuantity if is_done else order.totalQuantity
                seen.orders[order.orderRef].append(
                    (order.permId, trade.orderStatus.status, Decimal(str(quantity)))
                )
        await ib.reqExecutionsAsync(ib_async.ExecutionFilter())
        await asyncio.sleep(0.1)  # commissions may follow the list's end
        for fill in ib.fills():
            report, execution = fill.commissionReport, fill.execution
            shares = Decimal(str(execution.shares))
            seen.fills[execution.execId] = execution.orderRef, execution.permId, shares, report.commission
    finally:
        ib.disconnect()
    return seen


def written(journal: Path) -> tuple[set[str], dict[str, str]]:
    """The keys of the intents, and the statuses of the orders, in a copy of a journal that nobody writes."""
    if not journal.exists():
        return set(), {}
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            if (file := journal.with_name(journal.name + ending)).exists():
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / journal.name)) as database:
            try:
                intents = {row[0] for row in database.execute("SELECT client_order_id FROM intents")}
                orders = dict(database.execute("SELECT id, status FROM orders"))
            except sqlite3.OperationalError:  # killed before it had tables
                return set(), {}
    return intents, orders
