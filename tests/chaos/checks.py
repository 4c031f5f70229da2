"""The invariants: what TradeMind says, what the gateway says, and what everybody was told have to agree.

Pure: what each side says goes in, differences come out, in words.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tests.chaos.audit import GatewayFill, GatewayOrder, Statement
from tests.chaos.grammar import StreamState
from tests.chaos.ledger import Intent, Ledger
from tests.chaos.stranger import FOREIGN
from tests.chaos.world import CLIENT_ID

Json = Mapping[str, Any]

UNSETTLED: Final = frozenset({"unknown", "pending_submit"})
NOWHERE: Final = frozenset({"never_sent", "rejected"})
"""Statuses of orders that the gateway does not have."""
OPEN: Final = frozenset({"submitted", "partially_filled", "pending_cancel"})
ENDED: Final[Mapping[str, frozenset[str]]] = {
    "Filled": frozenset({"filled"}),
    "Cancelled": frozenset({"canceled", "expired", "rejected"}),
    "Inactive": frozenset({"rejected"}),
}
"""What the gateway calls the end of an order, and what TradeMind may call it."""


def book_differences(
    statement: Statement,
    orders: Sequence[Json],
    fills: Sequence[Json],
    positions: Sequence[Json],
    account: Json,
) -> Iterator[str]:
    """Where TradeMind's book is not what the gateway says."""
    yield from statement.problems
    yield from _order_differences(statement, orders)
    yield from _fill_differences(statement, fills)
    yield from _position_differences(statement, positions)
    cash = statement.values.get("TotalCashValue USD") or statement.values.get("TotalCashValue BASE")
    if _decimal(account["total_cash_value"]) != cash:
        yield f"cash is {account['total_cash_value']}, and {cash} at the gateway"


def _order_differences(statement: Statement, orders: Sequence[Json]) -> Iterator[str]:
    by_perm_id = {order["perm_id"]: order for order in orders if order["perm_id"] is not None}
    if len(by_perm_id) != sum(order["perm_id"] is not None for order in orders):
        yield "two orders of the book have the same perm id"
    for name, count in Counter(order["id"] for order in orders).items():
        if count > 1:
            yield f"the book lists {name} {count} times"
    for order in orders:
        if order["status"] in UNSETTLED:
            yield f"{_named(order)} is not settled"
    theirs = {order.perm_id: order for order in statement.orders}
    for perm_id, mine in by_perm_id.items():
        if perm_id not in theirs and mine["status"] not in NOWHERE:
            yield f"{_named(mine)} is none of the gateway's"
    for perm_id, other in theirs.items():
        if (found := by_perm_id.get(perm_id)) is not None:
            yield from _terms(found, other)
        elif not other.order_ref.startswith(FOREIGN):  # those are read when the session connects
            yield f"the gateway's {other.order_ref} ({other.status}, perm id {perm_id}) is not in the book"


def _terms(mine: Json, theirs: GatewayOrder) -> Iterator[str]:
    pairs = {
        "order_ref": (mine["order_ref"], theirs.order_ref),
        "con_id": (mine["con_id"], theirs.con_id),
        "side": (mine["side"], theirs.side),
        "order_type": (mine["order_type"], theirs.order_type),
        "filled_quantity": (Decimal(mine["filled_quantity"]), theirs.filled),
    }
    if theirs.is_open:
        pairs |= {
            "quantity": (Decimal(mine["quantity"]), theirs.quantity),
            "limit_price": (_decimal(mine["limit_price"]), theirs.limit_price),
            "stop_price": (_decimal(mine["stop_price"]), theirs.stop_price),
            "tif": (mine["tif"], theirs.tif),
        }
    for name, (ours, other) in pairs.items():
        if ours != other:
            yield f"{_named(mine)}: {name} is {ours}, and {other} at the gateway"
    allowed = OPEN if theirs.is_open else ENDED.get(theirs.status, frozenset())
    if mine["status"] not in allowed:
        yield f"{_named(mine)}: the gateway says {theirs.status}{' (open)' if theirs.is_open else ''}"


def _fill_differences(statement: Statement, fills: Sequence[Json]) -> Iterator[str]:
    mine = {fill["exec_id"]: fill for fill in fills}
    if len(mine) != len(fills):
        yield "an execution is in the book twice"
    own = {exec_id: fill for exec_id, fill in statement.fills.items() if fill.client_id == CLIENT_ID}
    for exec_id in mine.keys() - statement.fills.keys():
        yield f"execution {exec_id} of {mine[exec_id]['order_ref']} is none of the gateway's"
    for exec_id in own.keys() - mine.keys():
        yield f"the gateway's execution {exec_id} of {own[exec_id].order_ref} is not in the book"
    for exec_id in own.keys() & mine.keys():
        yield from _fill(mine[exec_id], own[exec_id])


def _fill(mine: Json, theirs: GatewayFill) -> Iterator[str]:
    pairs = {
        "quantity": (Decimal(mine["quantity"]), theirs.quantity),
        "price": (Decimal(mine["price"]), theirs.price),
        "side": (mine["side"], theirs.side),
        "perm_id": (mine["perm_id"], theirs.perm_id),
        "commission": (_decimal(mine["commission"]), theirs.commission),
        "order_id": (mine["order_id"], theirs.order_ref),
    }
    for name, (ours, other) in pairs.items():
        if ours != other:
            fill = f"execution {theirs.exec_id} of {theirs.order_ref}"
            yield f"{fill}: {name} is {ours}, and {other} at the gateway"


def _position_differences(statement: Statement, positions: Sequence[Json]) -> Iterator[str]:
    mine = {p["con_id"]: (Decimal(p["quantity"]), Decimal(p["avg_cost"])) for p in positions}
    for con_id in mine.keys() | statement.positions.keys():
        ours, theirs = mine.get(con_id), statement.positions.get(con_id)
        if ours != theirs:
            yield f"position of {con_id}: {ours}, and {theirs} at the gateway"


def broken_claims(ledger: Ledger, statement: Statement, orders: Sequence[Json]) -> Iterator[str]:
    """Where an answer to a POST has claimed what is not so."""
    at_gateway = Counter(order.order_ref for order in statement.orders)
    theirs = {order.order_ref: order for order in statement.orders}
    mine = {order["id"]: order for order in orders}
    for ref, count in at_gateway.items():
        if count > 1:
            yield f"{ref} is at the gateway {count} times"
    for intent in ledger.intents.values():
        for claim in _claims(intent, theirs.get(intent.key), mine.get(intent.key)):
            yield f"{intent.key} ({intent.told()}): {claim}"
    for name in ledger.nameless:
        if ledger.nameless[name].status == 201 and name not in theirs:
            yield f"{name} was answered 201, and is not at the gateway"
    claimed = ledger.intents.keys() | ledger.nameless.keys()
    unclaimed = {ref for ref in at_gateway if ref not in claimed and not ref.startswith(FOREIGN)}
    if len(unclaimed) > ledger.nameless_lost:
        yield f"at the gateway, and nobody was told of them: {sorted(unclaimed)}"


def _claims(intent: Intent, theirs: GatewayOrder | None, mine: Json | None) -> Iterator[str]:
    placed = intent.placed
    if len(placed) > 1:
        yield "was answered 201 more than once"
    if placed and theirs is None:
        yield "was answered 201, and is not at the gateway"
    if not intent.may_exist and theirs is not None:
        yield f"every answer says that nothing was sent, and it is at the gateway ({theirs.status})"
    if theirs is not None and mine is None:
        yield "is at the gateway, and not in the book"
    if mine is not None and mine["status"] in NOWHERE and theirs is not None and theirs.status != "Inactive":
        yield f"is {mine['status']} in the book, and {theirs.status} at the gateway"
    if mine is not None and theirs is None and mine["status"] not in NOWHERE | {"canceled"}:
        yield f"is {mine['status']} in the book, and not at the gateway"
    if theirs is not None and len(placed) == 1 and not intent.changes:
        wanted = Decimal(str(placed[0].body["quantity"]))
        if theirs.is_open and theirs.quantity != wanted:
            yield f"was placed for {wanted}, and is for {theirs.quantity} at the gateway"
    answers = [each.answer for each in intent.attempts if each.answer is not None]
    is_rejected = bool(answers) and all(each.code == "order_rejected" for each in answers)
    if theirs is not None and is_rejected and theirs.status not in ("Inactive", "Cancelled"):
        yield f"was rejected, and is {theirs.status} at the gateway"


def stream_differences(state: StreamState, orders: Sequence[Json], fills: Sequence[Json]) -> Iterator[str]:
    """Where the snapshot and the events of a stream do not add up to what the API says."""
    for name, kept, listed in (
        ("order", state.orders, {order["id"]: order for order in orders}),
        ("execution", state.executions, {fill["exec_id"]: fill for fill in fills}),
    ):
        for key in kept.keys() - listed.keys():
            yield f"{name} {key} is not listed by the API"
        for key in listed.keys() - kept.keys():
            yield f"{name} {key} was never told of"
        for key in kept.keys() & listed.keys():
            differing = {
                field: (kept[key].get(field), value)
                for field, value in listed[key].items()
                if kept[key].get(field) != value
            }
            if differing:
                yield f"{name} {key}, told and listed: {differing}"


def _named(order: Json) -> str:
    return f"{order['id']} ({order['status']}, perm id {order['perm_id']}, {order['filled_quantity']} filled)"


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
