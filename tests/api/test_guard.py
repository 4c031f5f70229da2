"""Who may ask: the Host header, the Origin, and what the guard adds to an answer."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import Message

from tests.api.memory import MemoryBroker, runtime_of, served
from trademind.api import create_app
from trademind.api.security import Guard
from trademind.settings import Settings

BUY = {"symbol": "AAPL", "side": "BUY", "quantity": 10}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000"]
)
async def test_allowed_hosts(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "localhost@evil.example",
        "localhost:port",
        "localhost:8000:8000",
        "[::1]evil",
        "[::2]",
        "::1",
        "",
        "127.0.0.2",
        "localhost ",
        "localhost/",
    ],
)
async def test_foreign_hosts(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/api/portfolio/account", headers={"host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "host_not_allowed")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_foreign_pages_cannot_change_anything(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    for origin in (
        "http://evil.example",
        "https://localhost.evil.example",
        "null",
        "http://localhost:9999",
        "ftp://localhost",
        "localhost",
        "",
    ):
        for method, path in (("POST", "/api/orders"), ("DELETE", "/api/orders"), ("PATCH", "/api/orders/1")):
            answer = await client.request(method, path, json=BUY, headers={"origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed"), origin
    assert broker.orders == []


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://LOCALHOST:8000"])
async def test_our_own_pages_can(client: httpx.AsyncClient, origin: str) -> None:
    headers = {"host": "localhost:8000", "origin": origin}
    assert (await client.post("/api/orders", json=BUY, headers=headers)).status_code == 201


async def test_reading_is_left_to_the_browsers_own_rule(client: httpx.AsyncClient) -> None:
    # Without CORS headers a browser does not show the answer to the foreign page.
    answer = await client.get("/healthz", headers={"origin": "http://evil.example"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_request_ids(client: httpx.AsyncClient) -> None:
    first, second = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert first != second
    given = await client.get("/healthz", headers={"x-request-id": "trace-1"})
    assert given.headers["x-request-id"] == "trace-1"
    for wrong in ("a b", "x" * 65, "<script>"):
        answer = await client.get("/healthz", headers={"x-request-id": wrong})
        assert answer.headers["x-request-id"] != wrong


async def test_answers_are_not_to_be_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/portfolio/account")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ([(b"host", b"localhost")], True),
        ([(b"host", b"localhost"), (b"origin", b"http://localhost")], True),
        ([(b"host", b"localhost"), (b"origin", b"http://evil.example")], False),
        ([(b"host", b"evil.example")], False),
        ([(b"host", b"localhost"), (b"host", b"localhost")], False),
        ([], False),
    ],
)
async def test_websocket_handshakes(headers: list[tuple[bytes, bytes]], accepted: bool) -> None:
    reached: list[str] = []
    sent: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = Guard(app, allowed_hosts=["localhost"])
    await guard({"type": "websocket", "path": "/api/stream", "headers": headers}, receive, send)
    assert bool(reached) is accepted
    assert [message["type"] for message in sent] == ([] if accepted else ["websocket.close"])


async def test_two_apps_in_one_process_have_their_own_brokers(settings: Settings) -> None:
    one, two = MemoryBroker(), MemoryBroker()
    async with (
        served(create_app(settings, open_runtime=runtime_of(one))) as first,
        served(create_app(settings, open_runtime=runtime_of(two))) as second,
    ):
        await asyncio.gather(
            first.post("/api/orders", json=BUY),
            first.post("/api/orders", json=BUY),
            second.get("/api/orders"),
        )
    assert (len(one.orders), len(two.orders)) == (2, 0)


async def test_the_document_describes_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
    examples = document["components"]["schemas"]["OrderIn"]["examples"]
    assert examples[0]["symbol"] == "AAPL"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], f"{method} {path} has no description"
            problem = operation["responses"]["500"]["content"]["application/problem+json"]["schema"]
            assert problem == {"$ref": "#/components/schemas/Problem"}
    assert (await client.get("/docs")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/orders"),
        ("post", "/api/orders/target"),
        ("patch", "/api/orders/{order_id}"),
        ("delete", "/api/portfolio/positions/{con_id}"),
    ],
)
async def test_whatever_sends_orders_tells_that_limits_halts_and_pacing_may_refuse_it(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"][path][method]
    refusals = {"403", "404", "409", "422", "423", "429", "502", "503", "504"}
    assert operation["responses"].keys() >= refusals
    reads_a_body = {"400", "413", "415"} <= operation["responses"].keys()
    assert reads_a_body is ("requestBody" in operation)
