"""What an order request refuses, field by field, and what it makes exact."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from trademind.domain import BarRequest, ContractQuery, OrderChange, OrderRequest, OrderType, Side
from trademind.errors import Invalid

SOUND: dict[str, Any] = {"side": "BUY", "quantity": 10, "symbol": "AAPL"}


def test_names_and_numbers_become_exact_types() -> None:
    terms: dict[str, Any] = {"side": "buy", "quantity": 10, "symbol": " aapl "}
    request = OrderRequest(**(terms | {"order_type": "LMT", "limit_price": 0.1}))
    assert request.side is Side.BUY
    assert request.order_type is OrderType.LIMIT
    assert (request.quantity, request.limit_price, request.symbol) == (Decimal(10), Decimal("0.1"), "AAPL")


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": "NaN"}, "quantity"),
        ({"quantity": "Infinity"}, "quantity"),
        ({"quantity": "ten"}, "quantity"),
        ({"quantity": "1e99"}, "quantity"),
        ({"quantity": "1e999999999"}, "quantity"),
        ({"side": "HOLD"}, "side"),
        ({"order_type": "LMT"}, "limit_price"),
        ({"order_type": "MKT", "limit_price": 1}, "limit_price"),
        ({"order_type": "STP"}, "stop_price"),
        ({"order_type": "STP LMT", "stop_price": 1}, "limit_price"),
        ({"order_type": "LMT", "limit_price": 0}, "limit_price"),
        ({"order_type": "LMT", "limit_price": -3}, "limit_price"),
        ({"order_type": "REL"}, "order_type"),
        ({"order_type": "TRAIL"}, "trailing_amount"),
        ({"order_type": "TRAIL", "trailing_amount": 1, "trailing_percent": 1}, "trailing_percent"),
        ({"order_type": "TRAIL", "trailing_percent": 100}, "trailing_percent"),
        ({"order_type": "TRAIL", "trailing_amount": 1, "limit_price": 1}, "limit_price"),
        ({"order_type": "STP", "stop_price": 1, "trailing_amount": 1}, "trailing_amount"),
        ({"tif": "GTD"}, "good_till"),
        ({"good_till": datetime(2027, 1, 1, tzinfo=UTC)}, "good_till"),
        ({"tif": "GTD", "good_till": "2027-01-01"}, "good_till"),
        ({"tif": "FOREVER"}, "tif"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "A\x00B"}, "symbol"),
        ({"symbol": "ÄÖ"}, "symbol"),
        ({"symbol": "X" * 41}, "symbol"),
        ({"con_id": 0}, "con_id"),
        ({"con_id": 2**31}, "con_id"),
        ({"sec_type": "SHARE"}, "sec_type"),
        ({"client_order_id": ""}, "client_order_id"),
        ({"client_order_id": "a b"}, "client_order_id"),
        ({"client_order_id": "x" * 41}, "client_order_id"),
        ({"account_id": "DU 1"}, "account_id"),
    ],
)
def test_what_is_wrong_is_named(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as failure:
        OrderRequest(**(SOUND | terms))
    assert field in {name for name, _ in failure.value.errors}


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(Invalid) as failure:
        OrderRequest(**(SOUND | {"side": "HOLD", "quantity": "x", "symbol": ""}))
    assert {name for name, _ in failure.value.errors} == {"side", "quantity", "symbol"}


@pytest.mark.parametrize(
    "terms", [{}, {"quantity": 0}, {"limit_price": "nan"}, {"stop_price": -1}, {"tif": "X"}]
)
def test_a_change_that_changes_nothing_or_to_nonsense_is_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        OrderChange(**terms)


def test_a_contract_is_asked_for_by_symbol_or_con_id() -> None:
    assert ContractQuery(symbol="msft").symbol == "MSFT"
    with pytest.raises(Invalid):
        ContractQuery()


@pytest.mark.parametrize(
    "terms",
    [
        {"bar_size": "7 mins"},
        {"duration": "1 day"},
        {"duration": "0 D"},
        {"what_to_show": "ALL"},
        {"end": datetime(2026, 1, 1)},  # noqa: DTZ001 - a naive time is the point
    ],
)
def test_bars_that_ib_does_not_have_are_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        BarRequest(**terms)


def test_times_are_utc() -> None:
    new_york = timezone(timedelta(hours=-5))
    request = BarRequest(end=datetime(2026, 1, 1, 9, 30, tzinfo=new_york))
    assert request.end == datetime(2026, 1, 1, 14, 30, tzinfo=UTC)
    assert request.end.tzinfo is UTC
