"""Orders that depend on one another, placed with the client libraries: brackets and OCA groups."""

import pytest

from tests.gateway.conversation import Heard
from tests.gateway.order_desk import (
    LIBRARIES,
    Desk,
    OrderClient,
    cancelled,
    filled,
    of,
    open_desk,
    stands,
    story,
)

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


def place_bracket(client: OrderClient, entry: float = 149.0) -> Heard:
    """Entry, profit taker and stop loss, as IB's own examples place them."""
    assert client.place(1, "BUY", 10, "LMT", lmtPrice=entry, transmit=False) == []
    assert client.place(2, "SELL", 10, "LMT", lmtPrice=155.0, parentId=1, transmit=False) == []
    return client.place(3, "SELL", 10, "STP", auxPrice=145.0, parentId=1)


def test_a_bracket_is_transmitted_together_and_its_children_wait(client: OrderClient) -> None:
    heard = place_bracket(client)
    told = story(heard)

    assert of(told, 1) == stands(1, "PreSubmitted", "Submitted")
    assert of(told, 2) == stands(2, "PreSubmitted", held="child")
    assert of(told, 3) == stands(3, "PreSubmitted", held="child,trigger")
    # The parent's id is in the orders and in their statuses.
    parents = {args[0]: args[6] for args in heard.named("orderStatus")}
    assert parents == {1: 0, 2: 1, 3: 1}
    orders = client.open_orders()
    assert {order_id: order.parentId for order_id, order in orders.items()} == {1: 0, 2: 1, 3: 1}


def test_a_filled_parent_lets_its_children_work(client: OrderClient, desk: Desk) -> None:
    place_bracket(client)

    desk.show("148.80", "148.90")
    told = story(client.hear())

    assert of(told, 1) == of(filled(1, 10, 149.0), 1)
    assert told.index(("status", 1, "Filled")) < told.index(("status", 2, "Submitted"))
    assert of(told, 2)[-1] == ("status", 2, "Submitted")
    assert of(told, 3)[-1] == ("status", 3, "PreSubmitted", "trigger")


@pytest.mark.parametrize(
    ("bid", "ask", "winner", "loser"), [("155.10", "155.20", 2, 3), ("144.80", "144.90", 3, 2)]
)
def test_a_filled_child_cancels_the_other(
    client: OrderClient, desk: Desk, bid: str, ask: str, winner: int, loser: int
) -> None:
    place_bracket(client, entry=151.0)
    client.hear()

    desk.show(bid, ask)
    told = story(client.hear())

    assert ("status", winner, "Filled") in told
    assert of(told, loser)[-2:] == cancelled(loser)
    assert client.open_orders() == {}


def test_a_cancelled_parent_takes_its_children_along(client: OrderClient) -> None:
    place_bracket(client)

    told = story(client.cancel(1))

    assert {each for each in told if each[0] == "status"} == {
        ("status", order_id, "Cancelled") for order_id in (1, 2, 3)
    }
    assert client.open_orders() == {}


def test_a_child_can_be_revised_but_not_given_away(client: OrderClient) -> None:
    place_bracket(client)

    revised = client.place(2, "SELL", 10, "LMT", lmtPrice=156.0, parentId=1)
    assert revised.named("openOrder")[-1][2].lmtPrice == 156.0
    assert story(client.place(2, "SELL", 10, "LMT", lmtPrice=156.0)) == [("error", 2, 10341)]
    assert client.open_orders()[2].parentId == 1


def test_a_parent_that_is_not_there(client: OrderClient) -> None:
    assert story(client.place(5, "SELL", 10, "LMT", lmtPrice=155.0, parentId=4)) == [("error", 5, 135)]


def test_completed_children_name_their_parent(client: OrderClient) -> None:
    place_bracket(client, entry=151.0)
    client.cancel(2)

    completed = [args[1] for args in client.ask("reqCompletedOrders", True).named("completedOrder")]
    parent, *children = completed
    assert (parent.action, parent.parentPermId) == ("BUY", 0)
    assert len(children) > 0
    assert {child.parentPermId for child in children} == {parent.permId}


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_one_of_a_group_fills_and_the_others_go(client: OrderClient, desk: Desk, oca_type: int) -> None:
    for order_id, price in ((1, 149.0), (2, 148.0)):
        client.place(order_id, "BUY", 10, "LMT", lmtPrice=price, ocaGroup="g", ocaType=oca_type)
    assert {order.ocaGroup for order in client.open_orders().values()} == {"g"}
    assert {order.ocaType for order in client.open_orders().values()} == {oca_type}

    desk.show("148.80", "148.90")
    told = story(client.hear())

    assert of(told, 1) == of(filled(1, 10, 149.0), 1)
    assert of(told, 2)[-1:] == [("error", 2, 202)]
    assert client.open_orders() == {}


def test_a_partial_fill_reduces_the_rest_of_its_group(client: OrderClient, desk: Desk) -> None:
    for order_id, price in ((1, 149.0), (2, 148.0)):
        client.place(order_id, "BUY", 10, "LMT", lmtPrice=price, ocaGroup="g", ocaType=3)

    desk.show("148.90", "149.00", size=4)
    client.hear()

    statuses = {args[0]: args[2:4] for args in client.ask("reqOpenOrders").named("orderStatus")}
    first, second = statuses[1], statuses[2]
    assert (first, second) == ((4, 6), (0, 6))


def test_a_group_is_not_revised(client: OrderClient) -> None:
    client.place(1, "BUY", 10, "LMT", lmtPrice=149.0, ocaGroup="g", ocaType=1)

    other = client.place(1, "BUY", 10, "LMT", lmtPrice=149.0, ocaGroup="h", ocaType=1)
    assert story(other) == [("error", 1, 10326)]
    kind = client.place(1, "BUY", 10, "LMT", lmtPrice=149.0, ocaGroup="g", ocaType=2)
    assert story(kind) == [("error", 1, 10327)]
