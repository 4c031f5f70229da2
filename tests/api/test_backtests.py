"""Backtests over HTTP, on a server with its own paper gateway, which is stopped and started again."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import served
from trademind.api import create_app
from trademind.api.schemas.backtests import ReportedBacktestOut
from trademind.settings import Settings, load_settings

WANTED = {
    "strategy": "rsi_reversion",
    "symbols": ["aapl"],
    "start": "2020-01-01",
    "end": "2025-01-01T00:00:00Z",
    "cash": 50_000,
    "parameters": {"period": 5},
}
PATH = "/api/backtests"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "strategies" / "three_down.py"


def paper(folder: Path) -> Settings:
    return load_settings(_env_file=None, data_dir=folder, server={"allowed_hosts": "localhost"})


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(paper(folder))) as client:
        async with asyncio.timeout(30):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with started(tmp_path) as client:
        yield client


async def begun(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={**WANTED, **changes})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def over(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while job["status"] in ("queued", "running"):  # a job has no event: clients ask again, too
            await asyncio.sleep(0.05)
            job = (await client.get(f"{PATH}/{job['id']}")).json()
    return job


async def test_from_the_order_to_the_report(client: httpx.AsyncClient, tmp_path: Path) -> None:
    job = await begun(client)
    assert (job["status"], job["progress"], job["symbols"]) == ("queued", 0, ["AAPL"])
    assert (job["cash"], job["sizing"], job["start"]) == ("50000.00", {"share": "1"}, "2020-01-01T00:00:00Z")
    early = await client.get(f"{PATH}/{job['id']}/report.html")
    assert (early.status_code, early.json()["code"]) == (409, "backtest_not_done")
    done = await over(client, job)
    assert (done["status"], done["progress"], done["error"]) == ("done", 1, None)
    ReportedBacktestOut.model_validate(done, extra="forbid")
    report = done["report"]
    assert report["cash"] == "50000.00"
    assert "2020-01-01T00:00:00Z" <= report["start"] <= "2020-01-03T00:00:00Z"
    assert "2024-12-30T00:00:00Z" <= report["end"] < "2025-01-01T00:00:00Z"
    assert len([each for each in report["trades"] if each["exit_time"]]) == report["trade_count"] > 20
    curve = report["equity_curve"]
    assert curve[-1]["time"] == report["end"]
    assert curve[-1]["equity"] == pytest.approx(float(report["final_equity"]), abs=0.01)
    assert report["total_return"] == pytest.approx(curve[-1]["equity"] / 50_000 - 1)
    assert report["max_drawdown"] == pytest.approx(min(each["drawdown"] for each in curve))
    # The strategy has seen bars from before the start, and so trades from the beginning.
    assert report["trades"][0]["entry_time"] < "2020-02-01"
    page = await client.get(f"{PATH}/{job['id']}/report.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "rsi_reversion on AAPL" in page.text
    listed = (await client.get(PATH)).json()
    assert [each["id"] for each in listed["backtests"]] == [job["id"]]
    assert "report" not in listed["backtests"][0]
    assert (await client.delete(f"{PATH}/{job['id']}")).json()["status"] == "done"
    assert sorted(path.suffix for path in (tmp_path / "backtests").iterdir()) == [".html", ".json", ".json"]


async def test_settings_reach_the_engine(client: httpx.AsyncClient) -> None:
    given = {"sizing": {"quantity": "7"}, "commissions": "free", "allow_short": False, "slippage_ticks": 3}
    dear, free = await begun(client, sizing={"quantity": 7}), await begun(client, **given)
    dear, free = await over(client, dear), await over(client, free)
    assert {trade["quantity"] for trade in free["report"]["trades"]} == {"7"}
    assert {trade["side"] for trade in free["report"]["trades"]} == {"BUY"}
    assert {trade["side"] for trade in dear["report"]["trades"]} == {"BUY", "SELL"}
    assert free["report"]["commissions"] == 0 < dear["report"]["commissions"]
    bought = [
        next(trade for trade in each["report"]["trades"] if trade["side"] == "BUY") for each in (dear, free)
    ]
    assert float(bought[1]["entry_price"]) - float(bought[0]["entry_price"]) == pytest.approx(0.03)
    assert free["sizing"] == {"quantity": "7"}


async def test_reports_survive_a_restart_and_what_was_open_begins_anew(tmp_path: Path) -> None:
    async with started(tmp_path) as client:
        done = await over(client, await begun(client))
        opened = await begun(client, symbols=["MSFT", "AAPL"], bar_size="1 hour")
    (tmp_path / "backtests" / "stray.html").write_text("of nobody")
    async with started(tmp_path) as client:
        assert (await client.get(f"{PATH}/{done['id']}")).json() == done
        again = await over(client, (await client.get(f"{PATH}/{opened['id']}")).json())
        assert (again["status"], again["created_at"]) == ("done", opened["created_at"])
        assert again["report"]["symbols"] == ["MSFT", "AAPL"]
    assert not (tmp_path / "backtests" / "stray.html").exists()


async def test_what_was_open_waits_for_strategies_that_take_long_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trademind.analysis.service.LOADED_WITHIN", 0.01)
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("TRADEMIND_SIGNALS__FOLDER", str(own))
    shutil.copy(EXAMPLE, own)
    async with started(tmp_path) as client:
        opened = await begun(
            client, strategy="three_down", parameters={}, symbols=["MSFT"], bar_size="1 hour"
        )
    # Loaded before the others, for as long as is waited for strategies at a start.
    (own / "a_slow.py").write_text("import time\ntime.sleep(3)\n")
    async with started(tmp_path) as client:
        assert (await client.get(f"{PATH}/{opened['id']}")).json()["status"] in ("queued", "running")
        again = await over(client, opened)
        assert again["status"] == "done", again["error"]


async def test_cancel(client: httpx.AsyncClient) -> None:
    job = await begun(client, bar_size="1 secs", start="2024-12-31")
    async with asyncio.timeout(30):
        while not (jobs := (await client.get("/api/market/bars/jobs")).json()["jobs"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    canceled = (await client.delete(f"{PATH}/{job['id']}")).json()
    assert canceled["status"] == "canceled"
    # Nobody waits for its bars any more.
    left = (await client.get(f"/api/market/bars/jobs/{jobs[0]['id']}")).json()
    assert left["status"] == "canceled"
    assert (await client.get(f"{PATH}/{job['id']}")).json()["report"] is None


async def test_only_so_many_wait(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trademind.analysis.backtests.queue.MAX_OPEN", 2)
    monkeypatch.setattr("trademind.analysis.backtests.queue.MAX_KEPT", 1)
    jobs = [await begun(client), await begun(client, parameters={})]
    answer = await client.post(PATH, json=WANTED)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")
    for job in jobs:
        await over(client, job)
    third = await begun(client)
    assert (await client.get(f"{PATH}/{jobs[0]['id']}")).status_code == 404
    assert [each["id"] for each in (await client.get(PATH)).json()["backtests"]] == [
        third["id"],
        jobs[1]["id"],
    ]
    page = (await client.get(PATH, params={"limit": 1})).json()
    rest = await client.get(PATH, params={"page_token": page["next_page_token"]})
    assert [each["id"] for each in rest.json()["backtests"]] == [jobs[1]["id"]]


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"strategy": "hope"}, 404, None),
        ({"symbols": ["NOSUCH"]}, 404, None),
        ({"parameters": {"periode": 5}}, 422, "parameters.periode"),
        ({"parameters": {"period": 1}}, 422, "parameters.period"),
        ({"parameters": {"period": [5]}}, 422, "parameters.period"),
        ({"parameters": {"lower": 49, "middle": 30}}, 422, "parameters.middle"),
        ({"symbols": []}, 422, "symbols"),
        ({"symbols": ["AAPL", " "]}, 422, "symbols"),
        ({"symbols": [f"S{number}" for number in range(51)]}, 422, "symbols"),
        ({"bar_size": "1 fortnight"}, 422, "bar_size"),
        ({"bar_size": "1 secs"}, 422, "start"),
        ({"start": "2025-06-01"}, 422, "start"),
        ({"start": "2099-01-01", "end": None}, 422, "start"),
        ({"start": "2024-01-01T00:00:00"}, 422, "start"),
        ({"start": "2024-13-01"}, 422, "start"),
        ({"cash": 0}, 422, "cash"),
        ({"cash": "NaN"}, 422, "cash"),
        ({"sizing": {"share": 1, "risk": 0.01}}, 422, "sizing"),
        ({"sizing": {}}, 422, "sizing"),
        ({"sizing": {"risk": None}}, 422, "sizing"),
        ({"sizing": {"risk": 5}}, 422, "sizing.risk"),
        ({"sizing": {"quantity": "-1"}}, 422, "sizing.quantity"),
        ({"sizing": {"quantity": "1e50"}}, 422, "sizing.quantity"),
        ({"commissions": "none"}, 422, "commissions"),
        ({"slippage_ticks": -1}, 422, "slippage_ticks"),
        ({"speed": 5}, 422, "speed"),
    ],
)
async def test_what_is_refused_at_once(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, field: str | None
) -> None:
    answer = await client.post(PATH, json={**WANTED, **change})
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]], answer.text
    assert (await client.get(PATH)).json()["backtests"] == []


async def test_there_is_no_such_backtest(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "nope"), ("DELETE", "nope"), ("GET", "nope/report.html")):
        answer = await client.request(method, f"{PATH}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "backtest_not_found")
