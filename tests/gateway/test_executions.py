"""Executions on request: every field of the filter, and every field of a fill."""

from datetime import timedelta
from typing import Any

import ib_async.objects
import ibapi.execution
import pytest

from tests.gateway.conversation import Heard
from tests.gateway.order_desk import LIBRARIES, MSFT_ID, Desk, OrderClient, open_desk
from trademind.gateway.store import ACCOUNT_ID

MINUTE = timedelta(minutes=1)


def ask_executions(client: OrderClient, **wanted: Any) -> Heard:
    """Ask with a filter, whose fields are named as in IB's own client."""
    made: Any = ibapi.execution.ExecutionFilter()
    if client.library == "ib_async":
        made = ib_async.objects.ExecutionFilter()
    for name, value in wanted.items():
        setattr(made, name, value)
    return client.ask("reqExecutions", 9, made)


def order_ids(heard: Heard) -> list[int]:
    assert [args[0] for args in heard.named("execDetails")] == [9] * len(heard.named("execDetails"))
    return [args[2].orderId for args in heard.named("execDetails")]


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    """With three fills: AAPL at 10:30, MSFT sold at 10:40, and AAPL by client 5 at 10:50."""
    client = desk.client(library, version, 3)
    client.place(1, "BUY", 10, "MKT", orderRef="mine")
    desk.clock.advance(10 * MINUTE)
    client.place(2, "SELL", 5, "MKT", con_id=MSFT_ID)
    desk.clock.advance(10 * MINUTE)
    fifth = desk.client(library, version, 5)
    fifth.place(7, "BUY", 1, "MKT")
    client.hear()
    return client


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 7]),
    ({"clientId": 3}, [1, 2]),
    ({"clientId": 5}, [7]),
    ({"acctCode": ACCOUNT_ID}, [1, 2, 7]),
    ({"acctCode": "DU0"}, []),
    ({"time": "20261123 10:35:00 US/Eastern"}, [2, 7]),
    ({"time": "20261123-15:45:00"}, [7]),
    ({"symbol": "MSFT"}, [2]),
    ({"secType": "STK"}, [1, 2, 7]),
    ({"secType": "OPT"}, []),
    ({"exchange": "SMART"}, [1, 2, 7]),
    ({"exchange": "NYSE"}, []),
    ({"side": "BUY"}, [1, 7]),
    ({"side": "SLD"}, [2]),
    ({"symbol": "AAPL", "clientId": 5, "side": "BOT"}, [7]),
]


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize(("wanted", "found"), FILTERS, ids=[",".join(w) or "all" for w, _ in FILTERS])
def test_filters(client: OrderClient, wanted: dict[str, Any], found: list[int]) -> None:
    heard = ask_executions(client, **wanted)

    assert order_ids(heard) == found
    assert heard[-1] == ("execDetailsEnd", (9,))
    reports = [*heard.named("commissionReport"), *heard.named("commissionAndFeesReport")]
    assert len(reports) == len(found)


@pytest.mark.parametrize(("library", "version"), [("ibapi", 200)])
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"lastNDays": 1}, [1, 2, 7]),
        ({"specificDates": ["20261123"]}, [1, 2, 7]),
        ({"specificDates": ["20261120"]}, []),
        ({"specificDates": ["20261120"], "lastNDays": 1}, [1, 2, 7]),
    ],
)
def test_days(client: OrderClient, wanted: dict[str, Any], found: list[int]) -> None:
    assert order_ids(ask_executions(client, **wanted)) == found


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize(
    "wanted", [{"time": "yesterday"}, {"time": "99991231 23:59:59 US/Pacific"}, {"side": "HOLD"}]
)
def test_a_filter_that_is_none(client: OrderClient, wanted: dict[str, Any]) -> None:
    heard = ask_executions(client, **wanted)

    assert heard.errors() == [(9, 321)]
    assert len(heard) == 1


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_the_fields_of_a_fill(client: OrderClient) -> None:
    first, second, _ = [args[2] for args in ask_executions(client).named("execDetails")]

    assert (first.side, first.shares, first.price, first.orderRef) == ("BOT", 10, 150.05, "mine")
    assert (first.acctNumber, first.clientId, first.cumQty, first.avgPrice) == (ACCOUNT_ID, 3, 10, 150.05)
    assert first.lastLiquidity == 2
    assert (second.side, second.orderRef, second.price) == ("SLD", "", 399.9)
    assert first.permId != second.permId


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_fill_in_parts(desk: Desk, library: str, version: int) -> None:
    client = desk.client(library, version)
    client.place(1, "BUY", 10, "LMT", lmtPrice=149.0)
    for ask in ("149.00", "148.90"):
        desk.show("148.80", ask, size=4)
    client.hear()

    fills = [args[2] for args in ask_executions(client).named("execDetails")]

    assert [each.shares for each in fills] == [4, 6]
    assert [each.cumQty for each in fills] == [4, 10]
    assert [each.avgPrice for each in fills] == [149.0, 149.0]
    assert [each.lastLiquidity for each in fills] == [1, 1]
    reports = [args[0] for name, args in ask_executions(client) if name.startswith("commission")]
    paid = [getattr(each, "commission", None) or getattr(each, "commissionAndFees", 0.0) for each in reports]
    # The minimum is that of the whole order, which the first fill pays.
    assert paid == [1.0, 0.0]
