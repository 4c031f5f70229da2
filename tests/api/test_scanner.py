"""Scanners and beginnings of histories over HTTP, with the whole program behind them."""

from typing import Any

import httpx
import pytest

from tests.api.test_end_to_end import client  # noqa: F401 - the fixture


async def test_a_scan(client: httpx.AsyncClient) -> None:  # noqa: F811
    asked = {"scan_code": "TOP_PERC_GAIN", "rows": 5, "filters": {"priceAbove": 50, "volumeAbove": "1000"}}
    answer = await client.post("/api/market/scanner", json=asked)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["scan_code"] == "TOP_PERC_GAIN"
    assert [row["rank"] for row in found["rows"]] == [0, 1, 2, 3, 4]
    con_ids = ",".join(str(row["con_id"]) for row in found["rows"])
    quotes = (await client.get("/api/market/quotes", params={"con_ids": con_ids})).json()["quotes"]
    assert [quote["symbol"] for quote in quotes] == [row["symbol"] for row in found["rows"]]
    assert all(quote["last"] > 49 for quote in quotes)


async def test_what_can_be_scanned_for(client: httpx.AsyncClient) -> None:  # noqa: F811
    everything = (await client.get("/api/market/scanner/parameters")).json()
    assert {each["type"] for each in everything["instruments"]} == {"STK", "ETF.EQ.US"}
    assert "TOP_PERC_GAIN" in {each["code"] for each in everything["scan_codes"]}
    assert "priceAbove" in everything["filters"]
    funds = (await client.get("/api/market/scanner/parameters", params={"instrument": "ETF.EQ.US"})).json()
    assert {each["type"] for each in funds["instruments"]} == {"ETF.EQ.US"}
    assert {each["code"] for each in funds["locations"]} == {"ETF.EQ.US", "ETF.EQ.US.MAJOR"}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"scan_code": "NO_SUCH_SCAN"}, 502, "gateway_error"),
        ({"location": "STK.MARS"}, 502, "gateway_error"),
        ({"filters": {"moonAbove": 1}}, 502, "gateway_error"),
        ({"rows": 51}, 422, "invalid"),
        ({"rows": "5"}, 422, "invalid"),
        ({"filters": {"price=": 1}}, 422, "invalid"),
        ({"filters": {"priceAbove": True}}, 422, "invalid"),
        ({"sort": "asc"}, 422, "invalid"),
    ],
)
async def test_what_is_no_scan(
    client: httpx.AsyncClient,  # noqa: F811
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    answer = await client.post("/api/market/scanner", json={"scan_code": "MOST_ACTIVE", **change})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if status == 502:
        assert answer.json()["ib_code"] == 162


@pytest.mark.parametrize(
    ("params", "symbol", "shown"),
    [
        ({"symbol": "AAPL"}, "AAPL", "TRADES"),
        ({"con_id": 265598, "what_to_show": "BID", "use_rth": False}, "AAPL", "BID"),
        ({"symbol": "EUR", "sec_type": "CASH"}, "EUR", "MIDPOINT"),
        ({"symbol": "BTC", "sec_type": "CRYPTO"}, "BTC", "AGGTRADES"),
    ],
)
async def test_the_beginning_of_a_history(
    client: httpx.AsyncClient,  # noqa: F811
    params: dict[str, Any],
    symbol: str,
    shown: str,
) -> None:
    answer = await client.get("/api/market/head_timestamp", params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["symbol"], found["what_to_show"]) == (symbol, shown)
    assert found["use_rth"] is params.get("use_rth", True)
    assert "1970" < found["head_timestamp"] < "2026"
    assert found["head_timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("params", "status"),
    [({}, 422), ({"symbol": "AAPL", "what_to_show": "ALL"}, 422), ({"symbol": "NOSUCH"}, 404)],
)
async def test_what_has_no_beginning(
    client: httpx.AsyncClient,  # noqa: F811
    params: dict[str, str],
    status: int,
) -> None:
    assert (await client.get("/api/market/head_timestamp", params=params)).status_code == status
