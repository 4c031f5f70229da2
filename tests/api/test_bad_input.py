"""Whatever is sent, the answer is the documented problem: never a 500, never an order."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from starlette.types import Message

from tests.api.memory import MemoryBroker, make_order, runtime_of, served
from trademind.api import create_app
from trademind.errors import (
    ConnectionLost,
    ContractNotFound,
    LiveTradingNotAllowed,
    NotConnected,
    PacingViolation,
    TradeMindError,
)
from trademind.settings import Settings

BUY: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "quantity": 10}
JSON = {"content-type": "application/json"}
MEMBERS = {
    "type", "title", "status", "detail", "instance", "code", "ib_code", "retry_safe", "request_id", "errors",
}  # fmt: skip


def problem(answer: httpx.Response, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The problem document in `answer`, after checking what every one of them has."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body.keys() >= MEMBERS
    assert body["status"] == status
    assert body["type"] == f"urn:trademind:error:{code}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert [error["field"] for error in body["errors"]] == list(fields)
    return body


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"quantity": 0}, ["quantity"]),
        ({"quantity": -5}, ["quantity"]),
        ({"quantity": "NaN"}, ["quantity"]),
        ({"quantity": "sNaN"}, ["quantity"]),
        ({"quantity": "-Infinity"}, ["quantity"]),
        ({"quantity": "ten"}, ["quantity"]),
        ({"quantity": ""}, ["quantity"]),
        ({"quantity": True}, ["quantity"]),
        ({"quantity": None}, ["quantity"]),
        ({"quantity": [1]}, ["quantity"]),
        ({"quantity": 10**30}, ["quantity"]),
        ({"quantity": "1e999999"}, ["quantity"]),
        ({"quantity": "1e-999999"}, ["quantity"]),
        ({"quantity": "1e999999999999999999"}, ["quantity"]),
        ({"quantity": "9" * 50_000}, ["quantity"]),
        ({"side": "HOLD"}, ["side"]),
        ({"side": None}, ["side"]),
        ({"order_type": "LMT"}, ["limit_price"]),
        ({"order_type": "STP"}, ["stop_price"]),
        ({"order_type": "STP LMT"}, ["limit_price", "stop_price"]),
        ({"order_type": "WHATEVER"}, ["order_type"]),
        ({"order_type": "LMT", "limit_price": 0}, ["limit_price"]),
        ({"order_type": "LMT", "limit_price": "-1"}, ["limit_price"]),
        ({"limit_price": "150"}, ["limit_price"]),
        ({"tif": "FOREVER"}, ["tif"]),
        ({"symbol": ""}, ["symbol"]),
        ({"symbol": "AA\0PL"}, ["symbol"]),
        ({"symbol": "\ud800"}, ["symbol"]),
        ({"symbol": "A" * 41}, ["symbol"]),
        ({"symbol": 5}, ["symbol"]),
        ({"con_id": -1}, ["con_id"]),
        ({"con_id": 2**31}, ["con_id"]),
        ({"con_id": "265598"}, ["con_id"]),
        ({"sec_type": "NONSENSE"}, ["sec_type"]),
        ({"outside_rth": "yes"}, ["outside_rth"]),
        ({"client_order_id": "a b"}, ["client_order_id"]),
        ({"client_order_id": "k" * 41}, ["client_order_id"]),
        ({"client_order_id": ""}, ["client_order_id"]),
        ({"account_id": "DU 1"}, ["account_id"]),
        ({"quantitty": 5}, ["quantitty"]),
        ({"\ud800": 5}, ["body"]),
    ],
)
async def test_fields(
    client: httpx.AsyncClient, broker: MemoryBroker, change: dict[str, Any], fields: list[str]
) -> None:
    answer = await client.post("/api/orders", content=json.dumps({**BUY, **change}), headers=JSON)
    problem(answer, 422, "invalid", *fields)
    assert broker.orders == []


async def test_every_wrong_field_is_named_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/orders", json={"side": "HOLD", "quantity": {}, "colour": "red"})
    problem(answer, 422, "invalid", "side", "quantity", "colour")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1e-400"])
async def test_numbers_that_are_none(client: httpx.AsyncClient, broker: MemoryBroker, number: str) -> None:
    body = json.dumps({**BUY, "quantity": "?"}).replace('"?"', number)
    problem(await client.post("/api/orders", content=body, headers=JSON), 422, "invalid", "quantity")
    assert broker.orders == []


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b'{"symbol": "AAPL", }',
        b'{"quantity": 1, "quantity": 100, "symbol": "AAPL", "side": "BUY"}',
        b'{"symbol": "\xff\xfe"}',
        b"\x00",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"quantity": ' + b"9" * 5_000 + b"}",
    ],
)
async def test_bodies_that_cannot_be_read(
    client: httpx.AsyncClient, broker: MemoryBroker, body: bytes
) -> None:
    problem(await client.post("/api/orders", content=body, headers=JSON), 400, "malformed")
    assert broker.orders == []


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"5"])
async def test_json_that_is_no_object(client: httpx.AsyncClient, body: bytes) -> None:
    problem(await client.post("/api/orders", content=body, headers=JSON), 422, "invalid", "body")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_a_body_must_say_that_it_is_json(
    client: httpx.AsyncClient, broker: MemoryBroker, kind: str
) -> None:
    answer = await client.post("/api/orders", content=json.dumps(BUY), headers={"content-type": kind})
    problem(answer, 415, "unsupported_media_type")
    assert broker.orders == []


async def test_json_with_a_charset_is_json(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    assert (await client.post("/api/orders", content=json.dumps(BUY), headers=headers)).status_code == 201


async def test_a_huge_body(client: httpx.AsyncClient) -> None:
    body = json.dumps({**BUY, "symbol": "A" * 70_000})
    problem(await client.post("/api/orders", content=body, headers=JSON), 413, "too_large")


async def test_a_huge_body_in_chunks(client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 1024

    problem(await client.post("/api/orders", content=chunks(), headers=JSON), 413, "too_large")
    assert sent < 100, "it went on reading"


async def test_a_body_in_chunks_arrives_whole(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in json.dumps(BUY).encode():
            yield bytes([byte])

    answer = await client.post("/api/orders", content=chunks(), headers=JSON)
    assert answer.status_code == 201, answer.text


ORDERS_TOKEN = "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsICJvcmRlci0xIl0"


@pytest.mark.parametrize("length", [[(b"content-length", b"500")], []])
async def test_a_client_that_goes_away_in_mid_body(
    settings: Settings,
    broker: MemoryBroker,
    caplog: pytest.LogCaptureFixture,
    length: list[tuple[bytes, bytes]],
) -> None:
    app = create_app(settings, open_runtime=runtime_of(broker))
    arriving: list[Message] = [
        {"type": "http.request", "body": json.dumps(BUY).encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return arriving.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async with app.router.lifespan_context(app) as state:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/orders",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *length],
            "state": dict(state or {}),
        }
        await app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert broker.orders == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/orders?limit=0", ["limit"]),
        ("/api/orders?limit=501", ["limit"]),
        ("/api/orders?limit=x", ["limit"]),
        ("/api/orders?limit=" + "9" * 5_000, ["limit"]),
        ("/api/orders?status=sleeping", ["status"]),
        ("/api/orders?simbol=AAPL", ["simbol"]),
        ("/api/orders?page_token=x", ["page_token"]),
        ("/api/orders?page_token=%00%ff", ["page_token"]),
        ("/api/orders?page_token=WzEsMl0", ["page_token"]),
        ("/api/orders?page_token=W1tbW1tbW1tbW1tb", ["page_token"]),
        ("/api/orders?page_token=" + "A" * 5_000, ["page_token"]),
        ("/api/orders/" + "a" * 3_000, ["order_id"]),
        ("/api/executions?limit=-1", ["limit"]),
        ("/api/executions?since=9999-12-31T23:59:59-14:00", ["since"]),
        ("/api/portfolio/history?until=0001-01-01T00:00:00%2B14:00", ["until"]),
        ("/api/contracts/search", ["query"]),
        ("/api/contracts/search?query=", ["query"]),
        ("/api/contracts/search?query=%00", ["query"]),
        ("/api/contracts/search?query=" + "A" * 60_000, ["query"]),
        ("/api/market/quotes", ["symbols"]),
        ("/api/market/quotes?symbols=", ["symbols"]),
        ("/api/market/quotes?symbols=AAPL,,MSFT", ["symbols"]),
        ("/api/market/quotes?symbols=" + ",".join(["AAPL"] * 51), ["symbols"]),
        ("/api/market/quotes?symbols=A%00B", ["symbol"]),
        ("/api/market/quotes?symbols=AAPL&sec_type=XYZ", ["sec_type"]),
        ("/api/market/bars", ["symbol"]),
        ("/api/market/bars?symbol=AAPL&bar_size=1 fortnight", ["bar_size"]),
        ("/api/market/bars?symbol=AAPL&duration=long", ["duration"]),
        ("/api/market/bars?symbol=AAPL&duration=999999 Y", ["duration"]),
        ("/api/market/bars?symbol=AAPL&bar_size=1 secs&duration=2 M", ["duration"]),
        ("/api/market/bars?symbol=AAPL&start=yesterday", ["start"]),
        ("/api/market/bars?symbol=AAPL&start=2026-01-01T00:00:00", ["start"]),
        ("/api/market/bars?symbol=AAPL&start=0001-01-01T00:00:00Z", ["start"]),
        ("/api/market/bars?symbol=AAPL&start=0001-01-01T00:00:00%2B23:59", ["start"]),
        ("/api/market/bars?symbol=AAPL&start=9999-12-31T23:00:00-23:59", ["start"]),
        ("/api/market/bars?symbol=AAPL&end=0001-01-01T00:00:00%2B23:59", ["end"]),
        ("/api/market/bars?symbol=AAPL&start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", ["start"]),
        ("/api/market/bars?symbol=AAPL&start=2026-01-02T00:00:00Z&duration=1 D", ["duration"]),
        ("/api/market/bars?symbol=AAPL&what_to_show=EVERYTHING", ["what_to_show"]),
        ("/api/market/bars?symbol=AAPL&page_token=zzzz", ["page_token"]),
        ("/api/market/bars?symbol=AAPL&page_token=" + ORDERS_TOKEN, ["page_token"]),
    ],
)  # fmt: skip
async def test_queries(client: httpx.AsyncClient, path: str, fields: list[str]) -> None:
    problem(await client.get(path), 422, "invalid", *fields)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/orders/", 404, "not_found"),
        ("GET", "/api/orders/no-such-order", 404, "order_not_found"),
        ("GET", "/api/orders/%00", 404, "order_not_found"),
        ("GET", "/api/orders/%ff%ed%a0%80", 404, "order_not_found"),
        ("DELETE", "/api/orders/no-such-order", 404, "order_not_found"),
        ("PUT", "/api/orders", 405, "method_not_allowed"),
        ("POST", "/api/portfolio/account", 405, "method_not_allowed"),
        ("GET", "/api/market/quotes?symbols=NOPE", 404, "contract_not_found"),
        ("GET", "/api/market/bars?symbol=NOPE", 404, "contract_not_found"),
    ],
)
async def test_what_is_not_there(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    problem(await client.request(method, path), status, code)


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    assert (await client.put("/healthz")).headers["allow"] == "GET"
    assert (await client.put("/api/orders/1")).headers["allow"] == "DELETE, GET, PATCH"
    assert "GET" in (await client.post("/docs")).headers["allow"]


async def test_an_unknown_symbol_carries_ibs_code(client: httpx.AsyncClient) -> None:
    body = problem(
        await client.post("/api/orders", json={**BUY, "symbol": "NOPE"}), 404, "contract_not_found"
    )
    assert body["ib_code"] == 200


ROUTES = [
    ("GET", "/api/portfolio/account", None),
    ("GET", "/api/portfolio/positions", None),
    ("GET", "/api/portfolio/pnl", None),
    ("POST", "/api/orders", BUY),
    ("GET", "/api/orders", None),
    ("GET", "/api/orders/order-1", None),
    ("PATCH", "/api/orders/order-1", {"limit_price": "1"}),
    ("DELETE", "/api/orders/order-1", None),
    ("DELETE", "/api/orders", None),
    ("GET", "/api/executions", None),
    ("GET", "/api/contracts/search?query=A", None),
    ("GET", "/api/market/quotes?symbols=AAPL", None),
    ("GET", "/api/market/bars?symbol=AAPL", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [
        (NotConnected("no session"), "2"),
        (ConnectionLost("the gateway went away"), "2"),
        (PacingViolation("wait"), "15"),
        (LiveTradingNotAllowed("read only"), None),
    ],
)
async def test_a_broker_that_fails(
    client: httpx.AsyncClient,
    broker: MemoryBroker,
    method: str,
    path: str,
    body: Any,
    failure: TradeMindError,
    retry_after: str | None,
) -> None:
    broker.failure = failure
    answer = await client.request(method, path, json=body)
    problem(answer, failure.status, failure.code)
    assert answer.headers.get("retry-after") == retry_after


async def test_details_that_no_encoding_likes(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.failure = ContractNotFound("\ud800\0\N{EURO SIGN}" * 5_000)
    body = problem(await client.get("/api/market/quotes?symbols=AAPL"), 404, "contract_not_found")
    assert len(body["detail"]) == 2_000


async def test_a_fault_of_ours_leaks_nothing(
    client: httpx.AsyncClient, broker: MemoryBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.failure = ZeroDivisionError("the secret")
    with caplog.at_level(logging.ERROR, "trademind.api"):
        answer = await client.get("/api/portfolio/account")
    body = problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert body["request_id"] in record.getMessage()
    assert record.exc_info is not None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
NAMES = [
    "side", "quantity", "symbol", "con_id", "sec_type", "exchange", "currency", "order_type", "limit_price",
    "stop_price", "tif", "outside_rth", "account_id", "client_order_id",
]  # fmt: skip


@rules(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4))
async def test_no_order_is_a_500(settings: Settings, change: dict[str, Any]) -> None:
    broker = MemoryBroker(orders=[make_order(1)])
    async with served(create_app(settings, open_runtime=runtime_of(broker))) as client:
        for method, path in (("POST", "/api/orders"), ("PATCH", "/api/orders/order-1")):
            answer = await client.request(method, path, content=json.dumps({**BUY, **change}), headers=JSON)
            assert answer.status_code in (200, 201, 404, 422), answer.text
