"""The whole program in one process: API, broker, ib_async, TCP, paper gateway."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import served
from trademind.api import create_app
from trademind.settings import Settings, load_settings


def paper(tmp_path: Path, **changes: Any) -> Settings:
    return load_settings(_env_file=None, data_dir=tmp_path, paper={"cash": "250000", "seed": 7}, **changes)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(paper(tmp_path))) as client:
        await until_ready(client)
        yield client


async def until(client: httpx.AsyncClient, path: str, holds: Callable[[Any], bool]) -> Any:
    """Ask for `path` until its answer is as wanted; returns that answer."""
    async with asyncio.timeout(30):
        while not holds(answer := (await client.get(path)).json()):  # noqa: ASYNC110 - HTTP has no events
            await asyncio.sleep(0)
    return answer


async def until_ready(client: httpx.AsyncClient) -> None:
    await until(client, "/readyz", lambda answer: answer["status"] == "ready")


async def until_filled(client: httpx.AsyncClient, order: dict[str, Any]) -> Any:
    return await until(
        client,
        f"/api/orders/{order['id']}",
        lambda order: order["status"] == "filled" and order["commission"] is not None,
    )


async def test_the_walk(client: httpx.AsyncClient) -> None:
    account = (await client.get("/api/portfolio/account")).json()
    assert account["total_cash_value"] == "250000.00"
    assert (account["source"], account["currency"]) == ("paper", "USD")

    answer = await client.post(
        "/api/orders", json={"symbol": "AAPL", "side": "BUY", "quantity": 10, "client_order_id": "walk-1"}
    )
    assert answer.status_code == 201, answer.text
    order = await until_filled(client, answer.json())
    again = await client.post(
        "/api/orders",
        json={"symbol": "AAPL", "side": "BUY", "quantity": 10},
        headers={"Idempotency-Key": "walk-1"},
    )
    assert (again.status_code, again.json()["perm_id"]) == (200, order["perm_id"])

    executions = (await client.get("/api/executions", params={"order_id": "walk-1"})).json()["executions"]
    assert sum(Decimal(execution["quantity"]) for execution in executions) == 10
    paid = sum(Decimal(each["quantity"]) * Decimal(each["price"]) for each in executions)
    (position,) = (await client.get("/api/portfolio/positions")).json()["positions"]
    assert (position["symbol"], position["con_id"], position["quantity"]) == ("AAPL", 265598, "10")
    assert order["commission"] == "1.00"

    left = Decimal(250_000) - paid - 1
    await until(client, "/api/portfolio/account", lambda found: Decimal(found["total_cash_value"]) == left)


async def test_change_and_cancel(client: httpx.AsyncClient) -> None:
    order = {"symbol": "MSFT", "side": "BUY", "quantity": "5", "order_type": "LMT", "limit_price": "1.50"}
    placed = (await client.post("/api/orders", json=order)).json()
    assert placed["status"] == "submitted"
    path = f"/api/orders/{placed['id']}"
    changed = await client.patch(path, json={"limit_price": "1.75", "quantity": 6})
    assert (changed.status_code, changed.json()["limit_price"], changed.json()["quantity"]) == (
        200,
        "1.75",
        "6",
    )
    assert (await client.delete(path)).status_code == 202
    await until(client, path, lambda order: order["status"] == "canceled")
    late = await client.delete(path)
    assert (late.status_code, late.json()["code"]) == (409, "order_not_working")
    await client.post("/api/orders", json=order)
    assert len((await client.delete("/api/orders")).json()["orders"]) == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"symbol": "NOSUCH"}, 404, "contract_not_found"),
        ({"order_type": "LMT", "limit_price": "100.001"}, 422, "invalid"),
        ({"quantity": "0.123456789"}, 422, "invalid"),
        ({"quantity": 50_000_000}, 502, "order_rejected"),
        ({"account_id": "DU9999999"}, 404, "account_not_found"),
        ({"currency": "EUR"}, 404, "contract_not_found"),
    ],
)
async def test_what_only_the_gateway_knows_to_be_wrong(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, code: str
) -> None:
    order: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "quantity": 10, **change}
    answer = await client.post("/api/orders", json=order)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 502:
        assert answer.json()["ib_code"] == 201
    account = (await client.get("/api/portfolio/account")).json()
    assert account["total_cash_value"] == "250000.00"


async def test_market_data(client: httpx.AsyncClient) -> None:
    quotes = (await client.get("/api/market/quotes", params={"symbols": "AAPL,MSFT"})).json()["quotes"]
    assert [quote["symbol"] for quote in quotes] == ["AAPL", "MSFT"]
    assert all(0 < quote["bid"] < quote["ask"] for quote in quotes)
    found = (await client.get("/api/contracts/search", params={"query": "AAP"})).json()["contracts"]
    assert "AAPL" in [contract["symbol"] for contract in found]

    seen: list[str] = []
    asked: dict[str, Any] = {
        "symbol": "AAPL",
        "bar_size": "1 day",
        "start": "2026-01-05T00:00:00Z",
        "end": "2026-02-05T00:00:00Z",
        "limit": 7,
    }
    while True:
        answer = await client.get("/api/market/bars", params=asked)
        page = answer.json()
        assert answer.status_code == 200, page
        seen += [bar["time"] for bar in page["bars"]]
        if page["next_page_token"] is None:
            break
        assert len(page["bars"]) == 7
        asked["page_token"] = page["next_page_token"]
    assert seen == sorted(set(seen))
    assert seen[0] >= "2026-01-05T00:00:00Z"
    assert seen[-1] < "2026-02-05T00:00:00Z"
    assert len(seen) >= 20


async def test_reads_are_answered_while_orders_fill(client: httpx.AsyncClient) -> None:
    order = {"symbol": "AAPL", "side": "BUY", "quantity": 1}
    answers = await asyncio.gather(
        *[client.get("/api/portfolio/account") for _ in range(200)],
        *[client.post("/api/orders", json=order) for _ in range(10)],
    )
    assert [answer.status_code for answer in answers] == [200] * 200 + [201] * 10


async def test_two_apps_with_accounts_of_their_own(tmp_path: Path) -> None:
    apps = [create_app(paper(tmp_path / name)) for name in ("one", "two")]
    async with served(apps[0]) as one, served(apps[1]) as two:
        await asyncio.gather(until_ready(one), until_ready(two))
        placed = await one.post("/api/orders", json={"symbol": "AAPL", "side": "BUY", "quantity": 1})
        await until_filled(one, placed.json())
        assert (await two.get("/api/orders")).json()["orders"] == []
