"""What a real gateway was recorded to say of orders, message by message, is what this one says."""

import pytest

from tests.gateway.order_desk import (
    LIBRARIES,
    MSFT_ID,
    Desk,
    OrderClient,
    cancelled,
    filled,
    of,
    open_desk,
    stands,
    story,
)
from trademind.gateway.store import ACCOUNT_ID

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


def test_a_market_order_fills(client: OrderClient) -> None:
    heard = client.place(1, "BUY", 1, "MKT")

    assert story(heard) == [*stands(1, "PreSubmitted"), *filled(1, 1, 150.05)]
    statuses = heard.named("orderStatus")
    # Filled, remaining, average price; the last price, client id, why held.
    assert [args[2:5] for args in statuses] == [(0, 1, 0.0), (1, 0, 150.05)]
    assert [args[7:10] for args in statuses] == [(0.0, 1, ""), (150.05, 1, "")]
    (fill,) = [args[2] for args in heard.named("execDetails")]
    assert (fill.side, fill.acctNumber, fill.clientId, fill.cumQty) == ("BOT", ACCOUNT_ID, 1, 1)


def test_a_limit_order_rests_and_is_cancelled(client: OrderClient) -> None:
    assert story(client.place(1, "BUY", 10, "LMT", lmtPrice=13.27)) == stands(1, "PreSubmitted", "Submitted")
    heard = client.cancel(1)

    assert story(heard) == cancelled(1)
    assert heard.named("orderStatus")[0][2:4] == (0, 10)


def test_a_stop_is_held_revised_and_cancelled(client: OrderClient) -> None:
    held = stands(1, "PreSubmitted", held="trigger")

    assert story(client.place(1, "SELL", 1, "STP", auxPrice=13.13)) == held
    revised = client.place(1, "SELL", 1, "STP", auxPrice=14.13)
    assert story(revised) == held
    assert revised.named("openOrder")[0][2].auxPrice == 14.13
    assert story(client.cancel(1)) == cancelled(1)


def test_a_resting_order_is_made_a_market_order(client: OrderClient) -> None:
    client.place(1, "BUY", 1, "LMT", lmtPrice=12.89)

    heard = client.place(1, "BUY", 1, "MKT")

    assert story(heard) == [*stands(1, "Submitted"), *filled(1, 1, 150.05)]
    shown = heard.named("openOrder")[0][2]
    assert (shown.orderType, shown.lmtPrice) == ("MKT", 0.0)


def test_an_order_that_must_fill_at_once_and_cannot(client: OrderClient) -> None:
    """Of neither is there an error: the status says all."""
    for order_id, tif in ((1, "IOC"), (2, "FOK")):
        told = story(client.place(order_id, "BUY", 1, "LMT", lmtPrice=12.9, tif=tif))

        assert told[-1] == ("status", order_id, "Cancelled")
        assert [each[0] for each in told if each[0] in ("fill", "error")] == []


def test_nothing_is_told_of_an_order_before_it_is_transmitted(client: OrderClient) -> None:
    assert client.place(1, "BUY", 10, "LMT", lmtPrice=13.26, transmit=False) == []
    assert story(client.ask("reqOpenOrders")) == [("openOrderEnd",)]

    assert story(client.place(1, "BUY", 10, "LMT", lmtPrice=13.26)) == stands(1, "PreSubmitted", "Submitted")
    assert story(client.cancel(1)) == cancelled(1)


def test_a_trailing_stop_follows_the_market_and_fills(client: OrderClient, desk: Desk) -> None:
    client.place(1, "BUY", 1, "MKT")
    assert story(client.place(2, "SELL", 1, "TRAIL", trailingPercent=1.5)) == stands(
        2, "PreSubmitted", held="trigger"
    )
    assert client.open_orders()[2].trailStopPrice == 147.75

    desk.show("159.95", "160.05")
    assert client.hear() == []
    assert client.open_orders()[2].trailStopPrice == 157.6
    desk.show("157.00", "157.10")

    assert story(client.hear()) == [*stands(2, "Submitted"), *filled(2, 1, 157.0)]


def test_orders_in_two_instruments_are_told_one_after_the_other(client: OrderClient) -> None:
    first = client.place(1, "BUY", 5, "MKT")
    second = client.place(2, "SELL", 5, "MKT", con_id=MSFT_ID)

    assert story(first) == [*stands(1, "PreSubmitted"), *filled(1, 5, 150.05)]
    assert story(second) == [*stands(2, "PreSubmitted"), *filled(2, 5, 399.9)]


def test_after_a_reconnect_the_order_is_there_and_can_be_cancelled(
    client: OrderClient, desk: Desk, library: str, version: int
) -> None:
    client.place(1, "BUY", 10, "LMT", lmtPrice=13.27, tif="GTC")
    desk.core.close(client.session)
    again = desk.client(library, version)

    assert story(again.ask("reqOpenOrders")) == [*stands(1, "Submitted"), ("openOrderEnd",)]
    assert story(again.cancel(1)) == cancelled(1)


@pytest.mark.parametrize("other", [0, 2])
def test_another_client_cancels(
    client: OrderClient, desk: Desk, library: str, version: int, other: int
) -> None:
    client.place(1, "BUY", 10, "LMT", lmtPrice=13.27, tif="GTC")
    second = desk.client(library, version, other)

    assert story(second.ask("reqAllOpenOrders")) == [*stands(1, "Submitted"), ("openOrderEnd",)]
    assert story(second.cancel(1)) == cancelled(1)
    assert story(client.hear()) == cancelled(1)


def test_the_global_cancel(client: OrderClient) -> None:
    for order_id in (1, 2):
        client.place(order_id, "BUY", 1, "LMT", lmtPrice=50.0)

    arguments = () if client.library == "ib_async" else (client.no_tags(),)

    assert story(client.ask("reqGlobalCancel", *arguments)) == [*cancelled(1), *cancelled(2)]


def test_the_global_cancel_reaches_orders_that_wait_to_be_transmitted(client: OrderClient) -> None:
    client.place(1, "BUY", 1, "LMT", lmtPrice=50.0, transmit=False)
    client.place(2, "SELL", 1, "LMT", lmtPrice=60.0, parentId=1, transmit=False)
    arguments = () if client.library == "ib_async" else (client.no_tags(),)

    heard = story(client.ask("reqGlobalCancel", *arguments))

    assert heard == [*cancelled(1), *cancelled(2)]
    assert story(client.ask("reqAllOpenOrders")) == [("openOrderEnd",)]


def test_completed_orders(client: OrderClient) -> None:
    client.place(1, "BUY", 5, "MKT")
    client.place(2, "SELL", 5, "LMT", lmtPrice=500.0, tif="GTC", orderRef="mine")
    client.cancel(2)

    for api_only in (False, True):
        heard = client.ask("reqCompletedOrders", api_only)

        assert story(heard) == [("completedOrder",), ("completedOrder",), ("completedOrdersEnd",)]
        (_, bought, one), (_, sold, two) = heard.named("completedOrder")
        assert (bought.orderType, bought.filledQuantity, one.status) == ("MKT", 5, "Filled")
        assert one.completedStatus == "Filled Size: 5"
        assert (sold.lmtPrice, sold.orderRef, sold.tif, two.status) == (500.0, "mine", "GTC", "Cancelled")
        assert two.completedStatus == "Cancelled by Trader"


def test_an_invalid_order_type(client: OrderClient) -> None:
    heard = client.place(1, "BUY", 1, "FEELINGS", lmtPrice=10.0)

    assert story(heard) == [("error", 1, 321)]
    assert "Error validating request.-'bF' : cause - Invalid order type was entered" in heard[0][1]


def test_a_cancel_of_what_has_ended(client: OrderClient) -> None:
    client.place(1, "BUY", 1, "MKT")

    assert story(client.cancel(1)) == [("error", 1, 10148)]
    assert story(client.cancel(77)) == [("error", 77, 10147)]
    assert of(story(client.place(1, "BUY", 1, "MKT")), 1) == [("error", 1, 104)]
