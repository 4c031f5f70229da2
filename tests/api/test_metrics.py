"""`/metrics`, read as Prometheus reads it, and what `/api/system/connection` says of the loop."""

import asyncio
import sys
import time
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import trademind
from tests.api.memory import NOW, MemoryBroker, runtime_of, served
from tests.processes import free_port, running
from trademind.api import create_app
from trademind.domain import SessionState
from trademind.loopwatch import BOUNDS
from trademind.settings import Settings

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def labelled(samples: Samples, name: str, label: str) -> dict[str, float]:
    return {dict(labels)[label]: number for (found, labels), number in samples.items() if found == name}


async def scrape(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)


@pytest.mark.parametrize("state", SessionState)
async def test_the_session(client: httpx.AsyncClient, broker: MemoryBroker, state: SessionState) -> None:
    broker.session = replace(
        broker.session,
        state=state,
        connection_number=3,
        queued={"order": 2, "data": 40},
        farms={"usfarm": "ok", "ushmds": "inactive", "eufarm": "broken", "cafarm": "connecting"},
    )
    samples = await scrape(client)
    states = labelled(samples, "trademind_session_state", "state")
    assert states == {other.value: float(other is state) for other in SessionState}
    assert value(samples, "trademind_session_state_since_seconds") == NOW.timestamp()
    assert value(samples, "trademind_session_connections_total") == 3
    assert labelled(samples, "trademind_session_queued", "priority") == {"order": 2, "data": 40}
    farms = labelled(samples, "trademind_farm_up", "farm")
    assert farms == {"usfarm": 1, "ushmds": 1, "eufarm": 0, "cafarm": 0}


async def test_it_is_read_anew_each_time(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    assert value(await scrape(client), "trademind_session_state", state="ready") == 1
    broker.session = replace(broker.session, state=SessionState.DISCONNECTED, farms={})
    samples = await scrape(client)
    assert value(samples, "trademind_session_state", state="ready") == 0
    assert labelled(samples, "trademind_farm_up", "farm") == {}


async def test_the_loop(client: httpx.AsyncClient) -> None:
    time.sleep(0.3)  # noqa: ASYNC251
    await asyncio.sleep(0.1)
    samples = await scrape(client)
    buckets = labelled(samples, "trademind_loop_lag_seconds_bucket", "le")
    assert [float(bound) for bound in buckets] == [*BOUNDS, float("inf")]
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets["+Inf"] == value(samples, "trademind_loop_lag_seconds_count") >= 9
    assert buckets["0.1"] < buckets["+Inf"]
    longest = value(samples, "trademind_loop_lag_max_seconds")
    assert 0.25 < longest <= value(samples, "trademind_loop_lag_seconds_sum")
    stalls = value(samples, "trademind_loop_stalls_total")
    assert stalls >= 1
    assert value(samples, "trademind_loop_pauses_total") >= 0

    lag = (await client.get("/api/system/connection")).json()["loop_lag"]
    assert set(lag) == {"last_ms", "p99_ms", "max_ms", "stalls"}
    assert lag["max_ms"] == pytest.approx(longest * 1000, abs=0.001)
    assert 0 <= lag["last_ms"] <= lag["max_ms"]
    assert 250 < lag["p99_ms"] <= lag["max_ms"]
    assert lag["stalls"] == stalls


async def test_the_journal(settings: Settings, broker: MemoryBroker) -> None:
    app = create_app(settings, open_runtime=runtime_of(broker))
    async with served(app) as client:
        before = await scrape(client)
        assert value(before, "trademind_journal_available") == 1
        assert value(before, "trademind_journal_failures_total") == 0
        order = {"symbol": "AAPL", "side": "BUY", "quantity": 1}
        assert (await client.post("/api/orders", json=order)).status_code == 201
        after = await scrape(client)
        for name in ("trademind_journal_commit_seconds_count", "trademind_journal_writes_total"):
            assert value(after, name) > value(before, name)
        spent = [value(samples, "trademind_journal_commit_seconds_sum") for samples in (before, after)]
        assert 0 <= spent[0] < spent[1] < 10
        assert value(after, "trademind_journal_queued") >= 0


async def test_the_build(client: httpx.AsyncClient) -> None:
    assert value(await scrape(client), "trademind_build_info", version=trademind.__version__) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
async def test_the_process(client: httpx.AsyncClient) -> None:
    samples = await scrape(client)
    assert value(samples, "process_cpu_seconds_total") > 0
    assert value(samples, "process_resident_memory_bytes") > 1e6


async def test_two_apps_in_one_process(settings: Settings) -> None:
    first, second = MemoryBroker(), MemoryBroker()
    second.session = replace(second.session, connection_number=7, state=SessionState.CONNECTING)
    async with (
        served(create_app(settings, open_runtime=runtime_of(first))) as one,
        served(create_app(settings, open_runtime=runtime_of(second))) as other,
    ):
        for client, connections, state in ((one, 1, "ready"), (other, 7, "connecting")):
            samples = await scrape(client)
            assert value(samples, "trademind_session_connections_total") == connections
            assert value(samples, "trademind_session_state", state=state) == 1


async def test_an_app_that_is_started_again(settings: Settings, broker: MemoryBroker) -> None:
    app = create_app(settings, open_runtime=runtime_of(broker))
    for _ in range(2):
        async with served(app) as client:
            assert value(await scrape(client), "trademind_session_connections_total") == 1


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
async def test_other_methods(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/metrics")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


async def test_the_guard_is_before_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "host_not_allowed")
    assert (await client.get("/metrics")).headers["cache-control"] == "no-store"


async def test_its_place_in_the_description(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    answers = document["paths"]["/metrics"]["get"]["responses"]
    assert list(answers["200"]["content"]) == ["text/plain"]
    assert list(answers["403"]["content"]) == ["application/problem+json"]


def test_under_a_real_uvicorn_with_uvloop() -> None:
    port = free_port()
    command = ["uvicorn", "--factory", "trademind:create_app", "--port", str(port), "--loop", "uvloop"]
    with (
        running(command, port, "/readyz"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        assert client.get("/api/system/connection").json()["event_loop"] == "uvloop"
        first = parsed(client.get("/metrics").raise_for_status().text)
        time.sleep(0.3)
        second = parsed(client.get("/metrics").raise_for_status().text)
        assert value(second, "trademind_session_state", state="ready") == 1
        assert value(second, "trademind_session_connections_total") == 1
        counts = [value(samples, "trademind_loop_lag_seconds_count") for samples in (first, second)]
        assert 0 < counts[0] < counts[1]
