"""Orders for what is more than a share: combinations, options and their exercise, fractions."""

from decimal import Decimal
from typing import Any

import ib_async
import ibapi.contract
import pytest

from tests.gateway.conversation import AAPL_ID, Heard
from tests.gateway.order_desk import LIBRARIES, MSFT_ID, Desk, OrderClient, filled, open_desk, stands, story
from tests.gateway.test_executions import ask_executions

pytestmark = pytest.mark.parametrize(("library", "version"), LIBRARIES)


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


def pair(client: OrderClient) -> Any:
    """One AAPL bought, and one MSFT sold."""
    legs = []
    for con_id, action in ((AAPL_ID, "BUY"), (MSFT_ID, "SELL")):
        leg: Any = ibapi.contract.ComboLeg() if client.library == "ibapi" else ib_async.ComboLeg()
        leg.conId, leg.ratio, leg.action, leg.exchange = con_id, 1, action, "SMART"
        legs.append(leg)
    return client.contract(0, symbol="AAPL", secType="BAG", comboLegs=legs)


def test_a_combination_is_shown_with_its_legs(client: OrderClient) -> None:
    placed = client.place(1, "BUY", 10, "LMT", contract=pair(client), lmtPrice=-260.0)
    ((_, contract, order, _),) = client.ask("reqOpenOrders").named("openOrder")

    assert story(placed) == stands(1, "PreSubmitted", "Submitted")
    assert (contract.secType, contract.comboLegsDescrip) == ("BAG", f"{AAPL_ID}|1,{MSFT_ID}|-1")
    assert [(leg.conId, leg.ratio, leg.action) for leg in contract.comboLegs] == [
        (AAPL_ID, 1, "BUY"), (MSFT_ID, 1, "SELL"),
    ]  # fmt: skip
    assert order.lmtPrice == -260.0
    # As it is shown, it can be sent back.
    order.lmtPrice = -261.0
    assert client.ask("placeOrder", 1, contract, order).errors() == []
    assert client.open_orders()[1].lmtPrice == -261.0


def fills(heard: Heard) -> list[tuple[Any, ...]]:
    return [
        (args[1].secType, args[2].side, float(args[2].shares), args[2].price, args[2].execId[-5:])
        for args in heard.named("execDetails")
    ]


def test_a_combination_fills_leg_by_leg(client: OrderClient) -> None:
    heard = client.place(1, "BUY", 10, "MKT", contract=pair(client))

    told = [
        ("BAG", "BOT", 10.0, -249.85, "01.01"),
        ("STK", "BOT", 10.0, 150.05, "02.01"),
        ("STK", "SLD", 10.0, 399.9, "03.01"),
    ]
    assert fills(heard) == told
    assert [each[0] for each in story(heard)].count("commission") == 2
    again = ask_executions(client)
    assert fills(again) == told
    # Only legs are charged for.
    assert [each[0] for each in story(again)].count("commission") == 2
    positions = {args[1].conId: args[2] for args in client.ask("reqPositions").named("position")}
    assert positions == {AAPL_ID: 10, MSFT_ID: -10}


def test_a_combination_is_previewed(client: OrderClient) -> None:
    ((_, contract, order, state),) = client.place(
        1, "BUY", 10, "MKT", contract=pair(client), whatIf=True
    ).named("openOrder")

    assert (contract.secType, order.whatIf) == ("BAG", True)
    assert float(state.initMarginChange) > 2500


def test_legs_that_are_none(client: OrderClient) -> None:
    contract = pair(client)
    contract.comboLegs[0].conId = 1
    assert story(client.place(1, "BUY", 10, "MKT", contract=contract)) == [("error", 1, 200)]

    contract.comboLegs = []
    assert story(client.place(1, "BUY", 10, "MKT", contract=contract)) == [("error", 1, 321)]


def held_call(client: OrderClient) -> Any:
    """Two calls on AAPL with a strike of 140, bought."""
    wanted = client.contract(
        0, symbol="AAPL", secType="OPT", right="C", strike=140.0, lastTradeDateOrContractMonth="20261218"
    )
    details = client.ask("reqContractDetails", 5, wanted).named("contractDetails")
    contract = client.contract(details[0][1].contract.conId)
    bought = client.place(1, "BUY", 2, "MKT", contract=contract)
    assert story(bought)[-2] == ("status", 1, "Filled")
    return contract


def exercise(client: OrderClient, contract: Any, action: int = 1, quantity: int = 2) -> Heard:
    arguments = (77, contract, action, quantity, "", 0)
    more = () if client.library == "ib_async" else ("", "", False)
    return client.ask("exerciseOptions", *arguments, *more)


def test_options_are_exercised(client: OrderClient) -> None:
    heard = exercise(client, held_call(client))

    assert fills(heard)[0][:4] == ("OPT", "SLD", 2.0, 0.0)
    assert fills(heard)[1][:4] == ("STK", "BOT", 200.0, 140.0)
    positions = {args[1].conId: args[2] for args in client.ask("reqPositions").named("position")}
    assert positions == {AAPL_ID: 200}


def test_options_that_cannot_be_exercised(client: OrderClient) -> None:
    contract = held_call(client)

    for arguments in ((1, 3), (2, 2)):
        assert exercise(client, contract, *arguments).errors() == [(77, 322)]
    assert exercise(client, client.contract(AAPL_ID)).errors() == [(77, 322)]
    assert exercise(client, client.contract(1)).errors() == [(77, 200)]
    positions = {args[2] for args in client.ask("reqPositions").named("position")}
    assert positions == {2}


def test_fractions(client: OrderClient) -> None:
    coin = client.contract(0, symbol="BTC", secType="CRYPTO", exchange="PAXOS")
    for order_id, contract, quantity, told in (
        (1, coin, "0.5", stands(1, "PreSubmitted", "Submitted")),
        (2, client.contract(AAPL_ID), "0.5", [("error", 2, 10243)]),
    ):
        order = client.order("BUY", 1, "LMT", lmtPrice=100.0)
        order.totalQuantity = Decimal(quantity) if client.library == "ibapi" else float(quantity)

        assert story(client.ask("placeOrder", order_id, contract, order)) == told


def test_an_order_goes_where_it_is_sent(client: OrderClient) -> None:
    heard = client.place(1, "BUY", 1, "MKT", contract=client.contract(AAPL_ID, exchange="NASDAQ"))

    assert story(heard) == [*stands(1, "PreSubmitted"), *filled(1, 1, 150.05)]
    assert heard.named("openOrder")[0][1].exchange == "NASDAQ"
    assert heard.named("execDetails")[0][2].exchange == "NASDAQ"
    nowhere = client.place(2, "BUY", 1, "MKT", contract=client.contract(AAPL_ID, exchange="FOO"))
    assert story(nowhere) == [("error", 2, 200)]
