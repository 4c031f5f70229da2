"""Times, conditions, sizes and adjusted stops: what an order says of itself, and what becomes of it."""

from typing import Any

import pytest

from tests.gateway.conversation import AAPL_ID
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

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


SHOWN: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "tif": "GTC", "orderRef": "mine"}),
    (("BUY", 10, "STP"), {"auxPrice": 160.0, "triggerMethod": 2}),
    (("SELL", 10, "STP LMT"), {"auxPrice": 140.0, "lmtPrice": 139.0}),
    (("SELL", 10, "TRAIL"), {"auxPrice": 2.5}),
    (("SELL", 10, "TRAIL"), {"trailingPercent": 1.5, "trailStopPrice": 145.0}),
    (("SELL", 10, "TRAIL LIMIT"), {"auxPrice": 2.5, "trailStopPrice": 140.0, "lmtPriceOffset": 0.25}),
    (("BUY", 10, "MIT"), {"auxPrice": 140.0}),
    (("BUY", 10, "LIT"), {"auxPrice": 140.0, "lmtPrice": 139.5}),
    (("BUY", 10, "MOC"), {}),
    (("BUY", 10, "LOC"), {"lmtPrice": 150.0}),
    (("BUY", 10, "REL"), {"lmtPrice": 149.0, "auxPrice": 0.02}),
    (("BUY", 10, "PEG MID"), {"lmtPrice": 149.0, "auxPrice": 0.02}),
    (("BUY", 10, "LMT"), {"lmtPrice": 150.0, "tif": "OPG"}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "outsideRth": True, "hidden": True}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "allOrNone": True}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "minQty": 5}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "displaySize": 5}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "ocaGroup": "g", "ocaType": 2}),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "goodAfterTime": "20261123 15:00:00 US/Eastern"}),
    (
        ("BUY", 10, "LMT"),
        {"lmtPrice": 100.0, "tif": "GTD", "goodTillDate": "20261124 15:00:00 US/Eastern"},
    ),
    (("BUY", 10, "LMT"), {"lmtPrice": 100.0, "openClose": "C", "clearingIntent": "Away", "solicited": True}),
    (
        ("SELL", 10, "STP"),
        {"auxPrice": 140.0, "adjustedOrderType": "STP LMT", "triggerPrice": 160.0,
         "adjustedStopPrice": 155.0, "adjustedStopLimitPrice": 154.0},
    ),
    (
        ("SELL", 10, "STP"),
        {"auxPrice": 140.0, "adjustedOrderType": "TRAIL", "triggerPrice": 160.0,
         "adjustedStopPrice": 155.0, "adjustedTrailingAmount": 1.5, "adjustableTrailingUnit": 100},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("order", "attributes"), SHOWN, ids=[f"{o[2]}-{','.join(a)}" for o, a in SHOWN])
def test_an_open_order_shows_what_was_placed(
    client: OrderClient, order: tuple[Any, ...], attributes: dict[str, Any]
) -> None:
    heard = client.place(1, *order, **attributes)
    # An order for the opening is warned of having to wait.
    assert [code for _, code in heard.errors() if code != 399] == []

    shown = client.open_orders()[1]

    assert (shown.action, shown.totalQuantity, shown.orderType) == order
    assert {name: getattr(shown, name) for name in attributes} == attributes


@pytest.mark.parametrize(("order", "attributes"), SHOWN, ids=[f"{o[2]}-{','.join(a)}" for o, a in SHOWN])
def test_an_order_that_is_sent_back_as_it_is_shown_stays_as_it_is(
    client: OrderClient, order: tuple[Any, ...], attributes: dict[str, Any]
) -> None:
    """How clients change an order: they take the open order, and set what is to be another."""
    client.place(1, *order, **attributes)
    ((_, contract, shown, _),) = client.ask("reqOpenOrders").named("openOrder")
    before = client.core.exchange.orders()

    heard = client.ask("placeOrder", 1, contract, shown)

    assert heard.errors() == []
    (old,), (new,) = before, client.core.exchange.orders()
    assert (new.perm_id, new.trail_stop, new.status) == (old.perm_id, old.trail_stop, old.status)
    assert new.ticket.order_type is old.ticket.order_type
    assert (new.ticket.limit_price, new.ticket.limit_offset) == (
        old.ticket.limit_price, old.ticket.limit_offset,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spelling", "shown", "attributes"),
    [
        ("STPLMT", "STP LMT", {"auxPrice": 160.0, "lmtPrice": 161.0}),
        ("TRAILLIMIT", "TRAIL LIMIT", {"auxPrice": 2.0, "lmtPriceOffset": 0.5}),
        ("PEGMID", "PEG MID", {"auxPrice": 0.0, "lmtPrice": 149.0}),
        ("MKTCLS", "MOC", {}),
    ],
)
def test_other_spellings(client: OrderClient, spelling: str, shown: str, attributes: dict[str, Any]) -> None:
    client.place(1, "BUY", 10, spelling, **attributes)

    assert client.open_orders()[1].orderType == shown


def test_a_market_order_with_protection(client: OrderClient) -> None:
    assert story(client.place(1, "BUY", 10, "MKTPRT")) == [*stands(1, "PreSubmitted"), *filled(1, 10, 150.05)]


def test_good_after_a_time_and_till_another(client: OrderClient, desk: Desk) -> None:
    """At 10:30:21 in New York; the market is where the order would fill at once."""
    at: dict[str, Any] = {"lmtPrice": 151.0, "goodAfterTime": "20261123 10:40:00 US/Eastern"}
    assert story(client.place(1, "BUY", 10, "LMT", **at)) == stands(1, "PreSubmitted")
    desk.pass_time(600)
    assert story(client.hear())[-4:] == filled(1, 10, 150.05)

    till: dict[str, Any] = {"lmtPrice": 100.0, "tif": "GTD", "goodTillDate": "20261123 11:00:00 US/Eastern"}
    client.place(2, "BUY", 10, "LMT", **till)
    desk.pass_time(1800)
    assert of(story(client.hear()), 2)[:1] == cancelled(2)[:1]


def price_condition(client: OrderClient, con_id: int, price: float, *, is_more: bool) -> Any:
    if client.library == "ibapi":
        from ibapi.order_condition import PriceCondition

        return PriceCondition(0, con_id, "SMART", is_more, price)
    import ib_async

    return ib_async.PriceCondition(1, "a", is_more, price, con_id, "SMART", 0)


def time_condition(client: OrderClient, time: str) -> Any:
    if client.library == "ibapi":
        from ibapi.order_condition import TimeCondition

        return TimeCondition(True, time)
    import ib_async

    return ib_async.TimeCondition(3, "a", True, time)


def test_an_order_waits_for_the_price_of_another(client: OrderClient, desk: Desk) -> None:
    condition = price_condition(client, MSFT_ID, 410.0, is_more=True)

    assert story(client.place(1, "BUY", 10, "MKT", conditions=[condition])) == stands(1, "PreSubmitted")
    (shown,) = client.open_orders()[1].conditions
    assert (shown.price, shown.conId, shown.isMore) == (410.0, MSFT_ID, True)
    desk.show("405.00", "405.10", con_id=MSFT_ID)
    assert client.hear() == []
    desk.show("411.00", "411.10", con_id=MSFT_ID)

    assert story(client.hear())[-4:] == filled(1, 10, 150.05)


def test_an_order_waits_for_a_time(client: OrderClient, desk: Desk) -> None:
    condition = time_condition(client, "20261123 10:40:00 US/Eastern")

    client.place(1, "BUY", 10, "MKT", conditions=[condition])
    desk.pass_time(570)
    assert client.hear() == []
    desk.pass_time(30)

    assert story(client.hear())[-4:] == filled(1, 10, 150.05)


def test_an_order_is_cancelled_by_its_condition(client: OrderClient, desk: Desk) -> None:
    condition = price_condition(client, AAPL_ID, 155.0, is_more=True)
    kept: dict[str, Any] = {"conditions": [condition], "conditionsCancelOrder": True}

    assert story(client.place(1, "BUY", 10, "LMT", lmtPrice=100.0, **kept)) == stands(
        1, "PreSubmitted", "Submitted"
    )
    desk.show("156.00", "156.10")

    assert story(client.hear())[:1] == cancelled(1)[:1]


def test_an_adjusted_stop(client: OrderClient, desk: Desk) -> None:
    adjusted: dict[str, Any] = {"adjustedOrderType": "STP", "triggerPrice": 160.0, "adjustedStopPrice": 155.0}
    client.place(1, "SELL", 10, "STP", auxPrice=140.0, **adjusted)

    desk.show("161.00", "161.10")
    assert client.open_orders()[1].auxPrice == 155.0
    client.hear()
    desk.show("154.00", "154.10")

    assert story(client.hear())[-4:] == filled(1, 10, 154.0)


def test_a_time_without_its_zone_is_warned_of(client: OrderClient) -> None:
    heard = client.place(1, "BUY", 10, "LMT", lmtPrice=100.0, goodAfterTime="20261123 15:00:00")

    assert heard.errors() == [(1, 2174)]
    assert client.open_orders()[1].goodAfterTime == "20261123 15:00:00 US/Eastern"
    for said in ("20261123 15:00:00 US/Eastern", "20261123-20:00:00"):
        assert client.place(1, "BUY", 10, "LMT", lmtPrice=100.0, goodAfterTime=said).errors() == []


def test_all_or_none(client: OrderClient, desk: Desk) -> None:
    client.place(1, "BUY", 2000, "LMT", lmtPrice=150.0, allOrNone=True)

    desk.show("149.95", "150.00", size=1000)
    assert client.hear() == []
    desk.show("149.95", "150.00", size=3000)

    assert story(client.hear())[-4:] == filled(1, 2000, 150.0)
