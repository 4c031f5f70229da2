"""Risk limits and the kill switch over HTTP, against the real app on its paper gateway."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import MemoryBroker, served
from tests.api.test_end_to_end import paper, until, until_ready
from trademind.api import create_app
from trademind.errors import NotConnected

BUY: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "quantity": 10}
RESTING = BUY | {"order_type": "LMT", "limit_price": "1.00"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(paper(tmp_path, risk={"max_order_quantity": "100"}))) as client:
        await until_ready(client)
        yield client


async def refusal(server: httpx.AsyncClient, order: dict[str, Any]) -> Any:
    answer = await server.post("/api/orders", json=order)
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "risk_limit_exceeded"
    return answer.json()


async def test_limits_are_seen_changed_and_taken_back(server: httpx.AsyncClient) -> None:
    first = (await server.get("/api/risk/limits")).json()
    assert (first["limits"]["max_order_quantity"], first["from_settings"], first["kept"]) == (
        "100",
        True,
        True,
    )
    wanted = {
        "max_order_notional": 5000,
        "price_collar": "0.10",
        "denied_symbols": ["gme"],
        "max_open_orders": 3,
    }
    answer = await server.put("/api/risk/limits", json=wanted)
    assert answer.status_code == 200, answer.text
    assert answer.json() == (await server.get("/api/risk/limits")).json()
    limits = answer.json()["limits"]
    assert (limits["max_order_notional"], limits["price_collar"], limits["denied_symbols"]) == (
        "5000.00",
        "0.10",
        ["GME"],
    )
    assert limits["max_order_quantity"] is None, "a PUT replaces all"
    assert (await server.put("/api/risk/limits", json=limits)).json()["limits"] == limits
    assert (await server.delete("/api/risk/limits")).json() == first


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_order_quantity": 0}, "max_order_quantity"),
        ({"max_order_quantity": True}, "max_order_quantity"),
        ({"price_collar": 5}, "price_collar"),
        ({"allowed_symbols": []}, "allowed_symbols"),
        ({"allowed_symbols": "AAPL"}, "allowed_symbols"),
        ({"trading_hours": "night"}, "trading_hours"),
        ({"max_order_qty": 5}, "max_order_qty"),
    ],
)
async def test_a_wrong_limit_is_named_and_changes_nothing(
    server: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await server.put("/api/risk/limits", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert (await server.get("/api/risk/limits")).json()["from_settings"] is True


async def test_orders_and_changes_are_refused_with_the_limit(server: httpx.AsyncClient) -> None:
    found = await refusal(server, BUY | {"quantity": 101})
    assert (found["limit"], found["allowed"], found["would_be"]) == ("max_order_quantity", "100", "101")
    await server.put("/api/risk/limits", json={"price_collar": "0.5"})
    assert (await refusal(server, RESTING | {"limit_price": "999.00"}))["limit"] == "price_collar"
    placed = (await server.post("/api/orders", json=RESTING)).json()
    path = f"/api/orders/{placed['id']}"
    assert (await server.patch(path, json={"limit_price": "999.00"})).json()["limit"] == "price_collar"
    assert (await server.patch(path, json={"limit_price": "1.50"})).status_code == 200
    await server.put("/api/risk/limits", json={"allowed_symbols": ["MSFT"]})
    assert (await refusal(server, {"con_id": 265598, "side": "BUY", "quantity": 1}))["would_be"] == "AAPL"


async def test_a_halt_and_its_end(server: httpx.AsyncClient) -> None:
    done = await server.post("/api/orders", json=BUY | {"client_order_id": "done"})
    assert done.status_code == 201
    for key in ("one", "two", "three"):
        await server.post("/api/orders", json=RESTING | {"client_order_id": key})
    halted = (await server.post("/api/risk/halt", json={"reason": "odd"})).json()
    assert (halted["mode"], halted["reason"], halted["kept"], halted["canceled"]) == (
        "halted",
        "odd",
        True,
        [],
    )
    assert halted["by"].startswith("python-httpx")
    refused = await server.post("/api/orders", json=BUY | {"client_order_id": "new"})
    assert (refused.status_code, refused.json()["code"], refused.json()["retry_safe"]) == (
        423,
        "trading_halted",
        True,
    )
    assert (await server.patch("/api/orders/one", json={"limit_price": "1.10"})).status_code == 423
    again = await server.post("/api/orders", json=BUY | {"client_order_id": "done"})
    assert again.status_code == 200
    assert (await server.delete("/api/orders/one")).status_code == 202
    halted = (await server.post("/api/risk/halt", json={"cancel_open": True})).json()
    assert set(halted["canceled"]) == {"two", "three"}
    assert (halted["not_canceled"], halted["cancel_error"]) == ([], None)
    await until(server, "/api/orders?status=working", lambda found: found["orders"] == [])
    assert (await server.post("/api/risk/resume")).json()["mode"] == "normal"
    assert (await server.post("/api/orders", json=BUY | {"client_order_id": "new"})).status_code == 201


async def test_what_there_is_to_see(server: httpx.AsyncClient) -> None:
    await server.post("/api/orders", json=BUY)
    await server.post("/api/orders", json=RESTING | {"quantity": 5})
    found = await until(
        server, "/api/risk", lambda found: None not in (found["usage"] or {"session": None}).values()
    )
    assert (found["mode"], found["limits_from_settings"]) == ("normal", True)
    usage = found["usage"]
    assert (usage["open_orders"], usage["orders_last_minute"]) == (1, 2)
    assert usage["largest_position_quantity"] == "15"
    assert float(usage["gross_exposure"]) == float(usage["largest_position_notional"]) > 1000


async def test_halt_and_limits_survive_a_restart(tmp_path: Path) -> None:
    async with served(create_app(paper(tmp_path))) as server:
        await server.put("/api/risk/limits", json={"max_order_quantity": 7})
        assert (await server.post("/api/risk/halt")).status_code == 200, "also before there is a session"
    async with served(create_app(paper(tmp_path))) as server:
        found = (await server.get("/api/risk")).json()
        assert (found["mode"], found["limits"]["max_order_quantity"]) == ("halted", "7")
        await until_ready(server)
        assert (await server.post("/api/orders", json=BUY)).status_code == 423


async def test_a_halt_needs_no_session(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.failure = NotConnected("the gateway is away")
    assert (await client.get("/api/risk")).json()["usage"] is None
    halted = (await client.post("/api/risk/halt", json={"cancel_open": True})).json()
    assert (halted["mode"], halted["kept"]) == ("halted", True)
    assert halted["cancel_error"] == "the gateway is away"
    # Before the mode comes whether an order could be sent at all.
    assert (await client.post("/api/orders", json=BUY)).json()["code"] == "not_connected"
