"""Orders that are not taken: IB's code for each, and nothing left behind."""

from typing import Any

import pytest

from tests.gateway.conversation import EURUSD_ID
from tests.gateway.order_desk import LIBRARIES, Desk, OrderClient, open_desk, stands, story

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)
LIMIT: dict[str, Any] = {"lmtPrice": 100.0}


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


REFUSED: list[tuple[int, tuple[Any, ...], dict[str, Any]]] = [
    (321, ("BUY", 10, "FEELINGS"), {}),
    (387, ("BUY", 10, "PEG STK"), LIMIT),
    (10052, ("BUY", 10, "LMT"), {**LIMIT, "tif": "SOON"}),
    (201, ("HOLD", 10, "LMT"), LIMIT),
    (201, ("BUY", 10, "LMT"), {**LIMIT, "account": "DU0"}),
    (434, ("BUY", 0, "LMT"), LIMIT),
    (110, ("BUY", 10, "LMT"), {"lmtPrice": 100.005}),
    (321, ("BUY", 10, "LMT"), {}),
    (321, ("BUY", 10, "STP"), {}),
    (201, ("BUY", 1_000_000, "MKT"), {}),
    (158, ("SELL", 10, "TRAIL"), {}),
    (159, ("SELL", 10, "TRAIL"), {"trailingPercent": 120.0}),
    (321, ("SELL", 10, "TRAIL LIMIT"), {"auxPrice": 1.0}),
    (113, ("BUY", 10, "MOC"), {"tif": "GTC"}),
    (111, ("SELL", 10, "STP"), {"auxPrice": 100.0, "tif": "OPG"}),
    (334, ("BUY", 10, "LMT"), {**LIMIT, "tif": "GTD"}),
    (334, ("BUY", 10, "LMT"), {**LIMIT, "tif": "GTD", "goodTillDate": "20261101"}),
    (334, ("BUY", 10, "LMT"), {**LIMIT, "tif": "DAY", "goodTillDate": "20261130"}),
    (391, ("BUY", 10, "LMT"), {**LIMIT, "tif": "GTD", "goodTillDate": "tomorrow"}),
    (391, ("BUY", 10, "LMT"), {**LIMIT, "goodAfterTime": "20261399 10:00:00"}),
    (391, ("BUY", 10, "LMT"), {**LIMIT, "goodAfterTime": "00010101-00:00:00"}),
    (391, ("BUY", 10, "LMT"), {**LIMIT, "tif": "GTD", "goodTillDate": "99991231"}),
    (146, ("SELL", 10, "STP"), {"auxPrice": 100.0, "triggerMethod": 5}),
    (152, ("BUY", 10, "MKT"), {"hidden": True}),
    (10020, ("BUY", 10, "LMT"), {**LIMIT, "displaySize": 11}),
    (201, ("BUY", 10, "LMT"), {**LIMIT, "minQty": 11}),
    (10244, ("BUY", 0, "LMT"), {**LIMIT, "cashQty": 1000.0}),
    (10340, ("BUY", 10, "REL"), {**LIMIT, "percentOffset": 0.05}),
    (10340, ("BUY", 10, "LMT"), {**LIMIT, "modelCode": "m"}),
    (325, ("BUY", 10, "LMT"), {**LIMIT, "discretionaryAmt": 0.1}),
    (442, ("BUY", 10, "LMT"), {**LIMIT, "algoStrategy": "Twap"}),
    (10007, ("BUY", 10, "LMT"), {**LIMIT, "hedgeType": "B", "hedgeParam": "1"}),
    (344, ("BUY", 10, "LMT"), {**LIMIT, "faGroup": "all"}),
    (361, ("SELL", 10, "STP"), {"auxPrice": 140.0, "adjustedOrderType": "STP", "adjustedStopPrice": 155.0}),
    (362, ("SELL", 10, "STP"), {"auxPrice": 140.0, "adjustedOrderType": "STP", "triggerPrice": 160.0}),
    (
        364,
        ("SELL", 10, "STP"),
        {"auxPrice": 140.0, "adjustedOrderType": "TRAIL", "triggerPrice": 160.0, "adjustedStopPrice": 155.0},
    ),
    (135, ("SELL", 10, "LMT"), {**LIMIT, "parentId": 77}),
    (413, ("BUY", 10, "LMT"), {**LIMIT, "whatIf": True, "transmit": False}),
]


@pytest.mark.parametrize(
    ("code", "order", "attributes"), REFUSED, ids=[f"{c}-{o[2]}-{','.join(a)}" for c, o, a in REFUSED]
)
def test_refused(client: OrderClient, code: int, order: tuple[Any, ...], attributes: dict[str, Any]) -> None:
    heard = client.place(5, *order, **attributes)

    assert story(heard) == [("error", 5, code)]
    assert client.core.exchange.orders() == []
    # The id is still free.
    assert story(client.place(5, "BUY", 1, "LMT", **LIMIT)) == stands(5, "PreSubmitted", "Submitted")


def test_an_id_that_has_been_used(client: OrderClient) -> None:
    client.place(5, "BUY", 1, "LMT", **LIMIT)
    client.cancel(5)

    assert story(client.place(5, "BUY", 1, "LMT", **LIMIT)) == [("error", 5, 103)]
    assert story(client.place(0, "BUY", 1, "LMT", **LIMIT)) == [("error", 0, 201)]
    assert story(client.place(-1, "BUY", 1, "LMT", **LIMIT)) == [("error", -1, 201)]


def test_a_contract_that_is_none(client: OrderClient) -> None:
    assert story(client.place(1, "BUY", 1, "MKT", con_id=1)) == [("error", 1, 200)]


def test_another_order_under_the_same_id(client: OrderClient) -> None:
    client.place(1, "BUY", 1, "LMT", **LIMIT)

    assert story(client.place(1, "SELL", 1, "LMT", **LIMIT)) == [("error", 1, 105)]


def test_hidden_currencies(client: OrderClient) -> None:
    contract = client.contract(EURUSD_ID, exchange="IDEALPRO")

    assert story(client.place(1, "BUY", 20_000, "LMT", contract=contract, lmtPrice=1.0, hidden=True)) == [
        ("error", 1, 152)
    ]


@pytest.mark.parametrize("order", [("BUY", 10, "STP"), ("SELL", 10, "TRAIL")])
def test_conditions_are_for_plain_orders(client: OrderClient, order: tuple[Any, ...]) -> None:
    from tests.gateway.test_order_attributes_traded import price_condition

    condition = price_condition(client, EURUSD_ID, 1.0, is_more=True)
    assert story(client.place(1, *order, auxPrice=1.0, conditions=[condition])) == [("error", 1, 148)]

    unknown = price_condition(client, 1, 1.0, is_more=True)
    assert story(client.place(1, "BUY", 10, "MKT", conditions=[unknown])) == [("error", 1, 147)]
