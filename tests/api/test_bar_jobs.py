"""Downloads over HTTP, on a server with its own paper gateway, which is stopped and started again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import served
from trademind.api import create_app
from trademind.settings import Settings, load_settings

YEAR = {"symbols": ["aapl", "MSFT", "AAPL"], "bar_size": "1 day", "start": "2024-01-01T00:00:00Z"}
JOBS = "/api/market/bars/jobs"


def paper(folder: Path) -> Settings:
    return load_settings(
        _env_file=None, data_dir=folder, server={"allowed_hosts": "localhost"}, paper={"pacing": True}
    )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(paper(tmp_path))) as client:
        yield client


async def until_over(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while job["status"] in ("queued", "running"):  # a job has no event: clients ask again, too
            await asyncio.sleep(0.05)
            job = (await client.get(f"{JOBS}/{job['id']}")).json()
    return job


async def _statuses(client: httpx.AsyncClient, jobs: list[dict[str, Any]]) -> list[str]:
    return [(await client.get(f"{JOBS}/{job['id']}")).json()["status"] for job in jobs]


async def until_statuses(client: httpx.AsyncClient, jobs: list[dict[str, Any]], *statuses: str) -> None:
    async with asyncio.timeout(30):
        while await _statuses(client, jobs) != list(statuses):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)


async def test_a_download(client: httpx.AsyncClient) -> None:
    answer = await client.post(JOBS, json=YEAR)
    job = answer.json()
    assert answer.status_code == 202, job
    assert job["symbols"] == ["AAPL", "MSFT"]
    assert job["adjusted"] == {"splits": True, "dividends": False}
    done = await until_over(client, job)
    assert (done["status"], done["failures"]) == ("done", [])
    progress = done["progress"]
    assert progress["requests_done"] == progress["requests_total"] > 2
    assert progress["bars_stored"] > 2 * 600
    assert (progress["symbol"], progress["waiting_until"]) == (None, None)
    listed = (await client.get(JOBS)).json()
    assert [each["id"] for each in listed["jobs"]] == [job["id"]]
    asked = {"symbol": "MSFT", "bar_size": "1 day", "start": "2024-01-01T00:00:00Z", "limit": "300"}
    page = (await client.get("/api/market/bars", params=asked)).json()
    assert len(page["bars"]) == 300
    assert all(bar["complete"] for bar in page["bars"])
    # All of it is there, but for today.
    again = await until_over(client, (await client.post(JOBS, json=YEAR)).json())
    assert again["id"] != job["id"]
    assert again["progress"]["requests_done"] == 2


async def test_what_single_symbols_fail_with(client: httpx.AsyncClient) -> None:
    some = await client.post(JOBS, json={**YEAR, "symbols": ["NOSUCH", "AAPL"]})
    job = await until_over(client, some.json())
    assert job["status"] == "done"
    assert [each["symbol"] for each in job["failures"]] == ["NOSUCH"]
    assert job["progress"]["bars_stored"] > 600
    none = await client.post(JOBS, json={**YEAR, "symbols": ["NOSUCH"]})
    assert (await until_over(client, none.json()))["status"] == "failed"


async def test_a_download_goes_on_after_a_restart(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {
        "symbols": ["AAPL", "NOSUCH"],
        "bar_size": "5 mins",
        "start": "2025-01-01T00:00:00Z",
        "end": "2026-01-01T00:00:00Z",
    }
    async with served(create_app(paper(tmp_path))) as client:
        job = (await client.post(JOBS, json=wanted)).json()
        async with asyncio.timeout(60):
            while not job["progress"]["requests_done"]:
                await asyncio.sleep(0.02)
                job = (await client.get(f"{JOBS}/{job['id']}")).json()
    assert job["status"] == "running"
    async with served(create_app(paper(tmp_path))) as client:
        # Who asks for the same again, in whatever order, is told of the one that runs.
        again = await client.post(JOBS, json={**wanted, "symbols": ["NOSUCH", "AAPL"]})
        assert (again.status_code, again.json()["id"]) == (200, job["id"])
        done = await until_over(client, again.json())
        assert done["status"] == "done"
        # Windows of six days. What was on its way when the server stopped may count twice, or not at all.
        assert 60 <= done["progress"]["requests_done"] <= 62
        assert 59 * 6 * 288 <= done["progress"]["bars_stored"] <= 365 * 288
        assert done["created_at"] == job["created_at"]


async def test_cancel(client: httpx.AsyncClient) -> None:
    wanted = {"symbols": ["AAPL"], "bar_size": "1 secs", "start": "2026-05-01T00:00:00Z"}
    job = (await client.post(JOBS, json=wanted)).json()
    canceled = (await client.delete(f"{JOBS}/{job['id']}")).json()
    assert canceled["status"] == "canceled"
    again = await client.delete(f"{JOBS}/{job['id']}")
    assert (again.status_code, again.json()["status"]) == (200, "canceled")
    fresh = await client.post(JOBS, json=wanted)
    assert (fresh.status_code, fresh.json()["id"] != job["id"]) == (202, True)
    page = (await client.get(JOBS, params={"limit": 1})).json()
    assert [each["id"] for each in page["jobs"]] == [fresh.json()["id"]]
    rest = await client.get(JOBS, params={"page_token": page["next_page_token"]})
    assert [each["id"] for each in rest.json()["jobs"]] == [job["id"]]
    await client.delete(f"{JOBS}/{fresh.json()['id']}")


async def test_only_so_many_wait(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trademind.market.bars.jobs.MAX_OPEN", 4)
    wanted = {"symbols": ["AAPL"], "start": "2026-05-01T00:00:00Z", "use_rth": False}
    made = [
        (await client.post(JOBS, json={**wanted, "bar_size": size})).json()
        for size in ("1 secs", "5 secs", "10 secs", "15 secs")
    ]
    answer = await client.post(JOBS, json={**wanted, "bar_size": "30 secs"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")
    assert answer.headers["retry-after"] == "60"
    await until_statuses(client, made, *["running"] * 3, "queued")
    await client.delete(f"{JOBS}/{made[0]['id']}")
    await until_statuses(client, made[1:], *["running"] * 3)


@pytest.mark.parametrize(
    ("symbol", "sec_type"),
    [("EUR", "CASH"), ("SPX", "IND"), ("BTC", "CRYPTO"), ("SPY", "STK"), ("AAPL", "CFD")],
)
async def test_every_type_is_found_where_it_trades(
    client: httpx.AsyncClient, symbol: str, sec_type: str
) -> None:
    """And as what there is of it. Seen to fail with SMART and TRADES for all that is not a currency."""
    wanted = {**YEAR, "symbols": [symbol], "sec_type": sec_type}
    job = await until_over(client, (await client.post(JOBS, json=wanted)).json())
    assert (job["status"], job["failures"]) == ("done", [])
    assert job["progress"]["bars_stored"] > 500


async def test_what_is_older_than_any_bar_is_not_asked_for(client: httpx.AsyncClient) -> None:
    """Seen to fail with a request that the gateway cannot read."""
    wanted = {**YEAR, "symbols": ["AAPL"], "bar_size": "1 month", "start": "1900-01-01T00:00:00Z"}
    job = await until_over(client, (await client.post(JOBS, json=wanted)).json())
    assert (job["status"], job["failures"]) == ("done", [])
    params = {"symbol": "AAPL", "bar_size": "1 month", "start": "1900-01-01T00:00:00Z", "limit": "5"}
    page = (await client.get("/api/market/bars", params=params)).json()
    assert len(page["bars"]) == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"symbols": []}, "symbols"),
        ({"symbols": ["AAPL", " "]}, "symbols"),
        ({"symbols": ["\u00e4"]}, "symbol"),
        ({"bar_size": "1 fortnight"}, "bar_size"),
        ({"what_to_show": "EVERYTHING"}, "what_to_show"),
        ({"what_to_show": "ADJUSTED_LAST"}, "what_to_show"),
        ({"symbols": ["ES"], "sec_type": "CONTFUT"}, "sec_type"),
        ({"start": "2024-01-01T00:00:00"}, "start"),
        ({"start": "2099-01-01T00:00:00Z"}, "start"),
        ({"start": "0001-01-01T00:00:00Z"}, "start"),
        ({"end": "2023-01-01T00:00:00Z"}, "start"),
        ({"bar_size": "1 secs", "start": "1950-01-01T00:00:00Z"}, "start"),
        ({"speed": 5}, "speed"),
    ],
)
async def test_what_is_refused(client: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    answer = await client.post(JOBS, json={**YEAR, **change})
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]], answer.text


async def test_there_is_no_such_job(client: httpx.AsyncClient) -> None:
    for method in ("GET", "DELETE"):
        answer = await client.request(method, f"{JOBS}/nope")
        assert (answer.status_code, answer.json()["code"]) == (404, "bar_job_not_found")
