"""Orders that were entered by hand: shown with id 0 until client 0 binds them."""

from decimal import Decimal

import pytest

from tests.gateway.conversation import AAPL_ID
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
from trademind.gateway.engine.model import PaperOrder
from trademind.gateway.handlers.tickets import OrderRefused
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.order_terms import OrderTerms

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)
AAPL = WireContract(con_id=AAPL_ID)


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def zero(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version, 0)


@pytest.fixture
def other(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version, 7)


def enter(desk: Desk, price: str = "100") -> PaperOrder:
    terms = OrderTerms(action="BUY", quantity=Decimal(10), order_type="LMT", limit_price=Decimal(price))
    return desk.core.enter_by_hand(AAPL, terms)


def test_everybody_sees_it_without_an_id(desk: Desk, zero: OrderClient, other: OrderClient) -> None:
    order = enter(desk)

    # Nobody has asked for it.
    assert (zero.hear(), other.hear()) == ([], [])
    for client in (zero, other):
        heard = client.ask("reqAllOpenOrders")
        assert story(heard) == [*stands(0, "Submitted"), ("openOrderEnd",)]
        ((_, _, shown, _),) = heard.named("openOrder")
        assert (shown.permId, shown.clientId) == (order.perm_id, 0)
        # The id 0 names no order.
        assert story(client.cancel(0)) == [("error", 0, 10147)]
    assert story(other.ask("reqOpenOrders")) == [("openOrderEnd",)]


def test_open_orders_of_client_0_bind_it(desk: Desk, zero: OrderClient, other: OrderClient) -> None:
    order = enter(desk)

    heard = zero.ask("reqOpenOrders")

    assert story(heard) == [("orderBound",), *stands(-1, "Submitted"), ("openOrderEnd",)]
    assert heard.named("orderBound") == [(order.perm_id, 0, -1)]
    assert story(zero.ask("reqOpenOrders")) == [*stands(-1, "Submitted"), ("openOrderEnd",)]
    assert story(other.ask("reqAllOpenOrders")) == [*stands(-1, "Submitted"), ("openOrderEnd",)]


def test_a_bound_order_is_changed_and_cancelled(desk: Desk, zero: OrderClient, other: OrderClient) -> None:
    enter(desk)
    zero.ask("reqOpenOrders")

    changed = zero.place(-1, "BUY", 10, "LMT", lmtPrice=101.0)
    assert story(changed) == stands(-1, "Submitted")
    assert changed.named("openOrder")[0][2].lmtPrice == 101.0
    assert story(other.cancel(-1)) == [("error", -1, 10147)]
    assert story(zero.cancel(-1)) == cancelled(-1)


def test_an_unbound_order_cannot_be_changed(desk: Desk, zero: OrderClient) -> None:
    enter(desk)

    assert story(zero.cancel(-1)) == [("error", -1, 10147)]
    assert story(zero.place(-1, "BUY", 10, "LMT", lmtPrice=101.0)) == [("error", -1, 201)]


def test_orders_to_come_are_bound_on_request(desk: Desk, zero: OrderClient, other: OrderClient) -> None:
    assert story(other.ask("reqAutoOpenOrders", True)) == [("error", -1, 327)]
    assert zero.ask("reqAutoOpenOrders", True) == []

    order = enter(desk, "151")
    told = story(zero.hear())

    assert told == [("orderBound",), *stands(-1, "PreSubmitted"), *filled(-1, 10, 150.05)]
    assert other.hear() == []
    assert order.status == "Filled"
    zero.ask("reqAutoOpenOrders", False)
    enter(desk)
    assert zero.hear() == []


def test_fills_of_an_unbound_order(desk: Desk, zero: OrderClient, other: OrderClient) -> None:
    enter(desk)
    desk.show("99.90", "99.95")
    assert (zero.hear(), other.hear()) == ([], [])

    from tests.gateway.test_executions import ask_executions

    heard = ask_executions(zero)
    assert of(story(heard), 0) == [("fill", 0, 10, 100.0)]


def test_completed_orders_of_the_api_only(desk: Desk, other: OrderClient) -> None:
    enter(desk, "151")
    other.place(1, "BUY", 1, "MKT")

    assert len(other.ask("reqCompletedOrders", False).named("completedOrder")) == 2
    ((_, order, _),) = other.ask("reqCompletedOrders", True).named("completedOrder")
    assert order.totalQuantity == 1


def test_what_is_not_taken(desk: Desk, zero: OrderClient) -> None:
    with pytest.raises(OrderRefused, match="110"):
        enter(desk, "100.001")
    with pytest.raises(OrderRefused, match="200"):
        desk.core.enter_by_hand(
            WireContract(con_id=1), OrderTerms(action="BUY", quantity=Decimal(1), order_type="MKT")
        )

    assert zero.hear() == []
    assert zero.core.exchange.orders() == []


def test_orders_of_the_api_keep_their_ids(desk: Desk, zero: OrderClient) -> None:
    enter(desk)
    zero.ask("reqOpenOrders")

    assert zero.ask("reqIds", 1).named("nextValidId") == [(1,)]
    assert story(zero.place(1, "BUY", 1, "LMT", lmtPrice=50.0)) == stands(1, "PreSubmitted", "Submitted")
