"""Placing, changing and cancelling through the API."""

import asyncio
from typing import Any

import httpx

from tests.api.memory import MemoryBroker, make_order
from trademind.domain import OrderStatus
from trademind.errors import OrderOutcomeUnknown, OrderRejected

BUY = {"symbol": "AAPL", "side": "BUY", "quantity": 10}


async def test_a_market_order_is_created(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    answer = await client.post("/api/orders", json=BUY)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["quantity"], body["order_type"], body["status"]) == ("10", "MKT", "submitted")
    assert answer.headers["location"] == f"/api/orders/{body['id']}"
    assert (await client.get(answer.headers["location"])).json() == body


async def test_numbers_stay_exact_however_they_are_written(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    for written in (0.1, "0.1", "0.10"):
        order: dict[str, Any] = {**BUY, "quantity": written, "order_type": "lmt", "limit_price": written}
        body = (await client.post("/api/orders", json=order)).json()
        assert (body["quantity"], body["limit_price"]) == ("0.1", "0.10")


async def test_the_same_key_places_one_order(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    first = await client.post("/api/orders", json={**BUY, "client_order_id": "mine-1"})
    again = await client.post("/api/orders", json=BUY, headers={"Idempotency-Key": '"mine-1"'})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(broker.orders) == 1


async def test_the_same_key_at_the_same_moment_places_one_order(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.before_place = lambda: asyncio.sleep(0)
    answers = await asyncio.gather(
        *[client.post("/api/orders", json=BUY, headers={"Idempotency-Key": "k"}) for _ in range(5)]
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len(broker.orders) == 1


async def test_a_key_for_another_order_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.post("/api/orders", json={**BUY, "client_order_id": "k"})
    answer = await client.post("/api/orders", json={**BUY, "quantity": 11, "client_order_id": "k"})
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate_order")


async def test_two_different_keys_are_refused(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    answer = await client.post(
        "/api/orders", json={**BUY, "client_order_id": "a"}, headers={"Idempotency-Key": "b"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "client_order_id"
    assert broker.orders == []


async def test_a_rejection_carries_ibs_code(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.failure = OrderRejected("IB refused: no margin", ib_code=201)
    answer = await client.post("/api/orders", json=BUY)
    body = answer.json()
    assert answer.status_code == 502
    assert (body["code"], body["ib_code"], body["retry_safe"]) == ("order_rejected", 201, False)


async def test_an_unknown_outcome_is_not_to_be_retried(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.failure = OrderOutcomeUnknown("no answer in 10 s")
    answer = await client.post("/api/orders", json=BUY)
    assert (answer.status_code, answer.json()["retry_safe"]) == (504, False)


async def test_change(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.orders = [make_order(1), make_order(2, status=OrderStatus.FILLED)]
    answer = await client.patch("/api/orders/order-1", json={"limit_price": "151.25", "tif": "gtc"})
    assert answer.status_code == 200
    assert (answer.json()["limit_price"], answer.json()["tif"]) == ("151.25", "GTC")
    empty = await client.patch("/api/orders/order-1", json={})
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (422, "body")
    done = await client.patch("/api/orders/order-2", json={"limit_price": "1"})
    assert (done.status_code, done.json()["code"]) == (409, "order_not_working")


async def test_cancel(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.orders = [make_order(1), make_order(2, status=OrderStatus.FILLED)]
    answer = await client.delete("/api/orders/order-1")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending_cancel")
    assert (await client.delete("/api/orders/order-2")).json()["code"] == "order_not_working"
    missing = await client.delete("/api/orders/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "order_not_found")


async def test_cancel_all(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.orders = [make_order(1), make_order(2), make_order(3, status=OrderStatus.FILLED)]
    answer = await client.delete("/api/orders")
    assert answer.status_code == 202
    assert {order["id"] for order in answer.json()["orders"]} == {"order-1", "order-2"}
