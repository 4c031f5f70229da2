"""Signals over HTTP and on the stream, on a server with its own paper gateway, which is started anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.analysis.stage import ENDLESS, EVERY
from tests.api.memory import served
from tests.api.test_stream import Client, Served, listening
from trademind.api import create_app
from trademind.settings import Settings, load_settings
from trademind.signals import BUILT_IN, INDICATORS

SIGNAL = {
    "id", "strategy", "parameters", "symbol", "con_id", "action", "strength", "confidence", "reasons",
    "values", "bar_size", "bar_time", "entry", "stop", "target", "expires_at", "quantity", "outcome",
}  # fmt: skip
EVERY_MINUTE = {"strategy": "every", "bar_size": "1 min"}


def paper(folder: Path, **signals: Any) -> Settings:
    own = folder / "own"
    own.mkdir(exist_ok=True)
    (own / "every.py").write_text(EVERY)
    return load_settings(
        _env_file=None,
        data_dir=folder,
        server={"allowed_hosts": "localhost,127.0.0.1"},
        signals={"folder": own, "risk_per_trade": "0.001", **signals},
    )


@asynccontextmanager
async def asking(folder: Path, **signals: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with served(create_app(paper(folder, **signals))) as client:
        async with asyncio.timeout(10):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(tmp_path) as client:
        yield client


async def said(client: httpx.AsyncClient, symbol: str = "AAPL", **parameters: Any) -> dict[str, Any]:
    """What `every` says."""
    answer = await client.get(f"/api/signals/{symbol}", params={**EVERY_MINUTE, **parameters})
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["signals"]
    assert isinstance(found, dict)
    return found


async def test_how_an_instrument_stands(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/signals/aapl")
    found = answer.json()["signals"]
    assert [each["strategy"] for each in found] == [*BUILT_IN, "every"]
    for each in found:
        assert each.keys() >= SIGNAL
        assert (each["symbol"], each["bar_size"], each["error"]) == ("AAPL", "1 day", None)
        assert all(isinstance(reason, str) for reason in each["reasons"])
        assert each["reasons"]
        assert len(each["values"]) == len(each["reasons"])
        if each["action"] == "hold":
            assert (each["id"], each["outcome"], each["quantity"]) == (None, None, None)
            assert each["reasons"][0] == "No rule was met in the last bar"
    (one,) = [each for each in found if each["strategy"] == "every"]
    assert (one["action"], one["outcome"], one["id"][:4]) == ("buy", "open", "sig-")


async def test_parameters_are_the_strategys(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/api/signals/AAPL", params={"strategy": "rsi_reversion", "bar_size": "1 hour", "period": "7"}
    )
    (found,) = answer.json()["signals"]
    assert (found["parameters"]["period"], found["parameters"]["lower"], found["bar_size"]) == (
        7,
        30,
        "1 hour",
    )


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("AAPL?strategy=nope", 404, "strategy_not_found", None),
        ("NOSUCH", 404, "contract_not_found", None),
        ("AAPL?period=3", 422, "invalid", "period"),
        ("AAPL?strategy=macd&period=3", 422, "invalid", "period"),
        ("AAPL?strategy=rsi_reversion&period=1", 422, "invalid", "period"),
        ("AAPL?strategy=rsi_reversion&period=nan", 422, "invalid", "period"),
        ("AAPL?strategy=macd&fast=3&fast=4", 422, "invalid", "fast"),
        ("AAPL?strategy=macd&fast=30&slow=20", 422, "invalid", "fast"),
        ("AAPL?bar_size=5%20secs", 422, "invalid", "bar_size"),
        ("AAPL?bar_size=1%20fortnight", 422, "invalid", "bar_size"),
        ("%C3%A4", 422, "invalid", "symbol"),
        ("history?limit=0", 422, "invalid", "limit"),
        ("history?page_token=x", 422, "invalid", "page_token"),
        ("history?outcome=lucky", 422, "invalid", "outcome"),
        ("history?since=2024-01-01T00:00:00", 422, "invalid", "since"),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, path: str, status: int, code: str, field: str | None
) -> None:
    answer = await client.get(f"/api/signals/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]


async def test_strategies_and_indicators_as_data(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        found = (await client.get("/api/strategies")).json()
        assert [each["name"] for each in found["strategies"]] == [*BUILT_IN, "every"]
        assert found["broken"] == []
        rsi = next(each for each in found["strategies"] if each["name"] == "rsi_reversion")
        period = next(each for each in rsi["parameters"] if each["name"] == "period")
        assert (period["kind"], period["default"], period["minimum"], period["maximum"]) == (
            "int",
            14,
            2,
            200,
        )
        assert {each["indicator"] for each in rsi["indicators"]} == {"rsi", "atr"}
        indicators = (await client.get("/api/indicators")).json()["indicators"]
        assert [each["name"] for each in indicators] == list(INDICATORS)
        # A file that was put there meanwhile, and one that is broken.
        (tmp_path / "own" / "other.py").write_text(EVERY.replace('"every"', '"other"'))
        (tmp_path / "own" / "broken.py").write_text("import no_such_package\n")
        found = (await client.post("/api/strategies/reload")).json()
        assert [each["name"] for each in found["strategies"]] == [*BUILT_IN, "every", "other"]
        (broken,) = found["broken"]
        assert (broken["name"], broken["error"][:19]) == ("broken", "ModuleNotFoundError")
        assert "import no_such_package" in broken["traceback"]


async def test_one_that_never_returns_is_said_in_its_place(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("trademind.signals.worker.Strategies.__init__.__kwdefaults__", QUICK)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "endless.py").write_text(ENDLESS)
    async with asking(tmp_path) as client:
        for code in ("timed_out", "switched_off"):
            answer = await client.get("/api/signals/AAPL", params={"bar_size": "1 hour"})
            by_name = {each["strategy"]: each for each in answer.json()["signals"]}
            assert (by_name["endless"]["code"], by_name["endless"]["action"]) == (code, None)
            assert by_name["endless"]["error"]
            assert [name for name, each in by_name.items() if each["error"]] == ["endless"]
        catalogue = (await client.get("/api/strategies")).json()
        assert [each["name"] for each in catalogue["broken"]] == ["endless"]


QUICK = {"deadline": 0.5, "load_deadline": 3.0, "memory": 1 << 28}


async def test_an_order_of_a_signal(client: httpx.AsyncClient) -> None:
    signal = await said(client)
    path = f"/api/signals/{signal['id']}/order"
    assert (await client.post(path, json={"size": 1})).status_code == 422
    first, second = await client.post(path), await client.post(path, json={})
    assert (first.status_code, second.status_code) == (201, 200)
    made = first.json()
    assert made["signal"]["order_key"] == signal["id"]
    entry, *exits = made["orders"]
    assert (entry["client_order_id"], entry["quantity"], entry["side"]) == (
        signal["id"],
        signal["quantity"],
        "BUY",
    )
    assert [each["parent_id"] for each in exits] == [entry["id"]] * 2
    assert [each["id"] for each in second.json()["orders"]] == [each["id"] for each in made["orders"]]
    assert len((await client.get("/api/orders")).json()["orders"]) == 3
    other = await client.post(path, json={"quantity": "1"})
    assert (other.status_code, other.json()["code"]) == (409, "duplicate_order")
    nope = await client.post("/api/signals/sig-nope/order")
    assert (nope.status_code, nope.json()["code"]) == (404, "signal_not_found")
    audit = (await client.get("/api/system/audit")).json()
    assert signal["id"] in str(audit)


async def test_the_watch_list(tmp_path: Path) -> None:
    path = "/api/signals/watchlist"
    async with asking(tmp_path, watchlist="IBM") as client:
        found = (await client.get(path)).json()
        assert ([each["symbol"] for each in found["instruments"]], found["from_settings"]) == (["IBM"], True)
        wanted = {
            "instruments": ["AAPL", {"symbol": "EUR", "sec_type": "CASH"}, "NOSUCH"],
            "strategies": [
                EVERY_MINUTE,
                {"strategy": "macd", "parameters": {"fast": 5}, "bar_size": "1 hour"},
            ],
        }
        answer = await client.put(path, json=wanted)
        assert answer.status_code == 200, answer.text
        scan = (await client.get("/api/signals")).json()["signals"]
        assert [(each["symbol"], each["strategy"], each["code"]) for each in scan] == [
            ("AAPL", "every", None), ("AAPL", "macd", None),
            ("EUR", "every", None), ("EUR", "macd", None),
            ("NOSUCH", "every", "contract_not_found"), ("NOSUCH", "macd", "contract_not_found"),
        ]  # fmt: skip
        due = (await client.get("/api/signals", params={"action": "buy"})).json()["signals"]
        assert {each["action"] for each in due} == {"buy"}
        for change, field in (
            ({"instruments": ["AAPL", "aapl"]}, "instruments.1"),
            ({"instruments": [""]}, "symbol"),
            ({"strategies": [{"strategy": "macd", "parameters": {"fats": 5}}]}, "fats"),
            ({"strategies": [{"strategy": "macd", "bar_size": "1 secs"}]}, "bar_size"),
            ({"strategies": [{"strategy": "macd", "parameters": {"fast": 30}}]}, "fast"),
            ({"strategies": [{"strategy": "macd"}, {"strategy": "macd", "auto": True}]}, "strategies.1"),
            (
                {"strategies": [{"strategy": "macd"}, {"strategy": "macd", "parameters": {"fast": "12"}}]},
                "strategies.1",
            ),
        ):
            refused = await client.put(path, json={**wanted, **change})
            assert refused.status_code == 422, refused.text
            assert field in [error["field"] for error in refused.json()["errors"]]
        nope = await client.put(path, json={"instruments": [], "strategies": [{"strategy": "nope"}]})
        assert nope.status_code == 404
        kept = (await client.get(path)).json()
    async with asking(tmp_path, watchlist="IBM") as client:
        assert (await client.get(path)).json() == kept == answer.json()
        assert (await client.delete(path)).json() == found


async def test_history_survives_a_restart(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        told = [await said(client, symbol) for symbol in ("AAPL", "MSFT", "IBM")]
    async with asking(tmp_path) as client:
        page = (await client.get("/api/signals/history", params={"limit": 2, "strategy": "every"})).json()
        assert [each["id"] for each in page["signals"]] == [told[2]["id"], told[1]["id"]]
        assert page["signals"][0]["reasons"] == ["It is said at every bar"]
        token = {"page_token": page["next_page_token"], "strategy": "every"}
        rest = (await client.get("/api/signals/history", params=token)).json()
        assert ([each["id"] for each in rest["signals"]], rest["next_page_token"]) == ([told[0]["id"]], None)
        of_one = (await client.get("/api/signals/history", params={"symbol": "msft"})).json()["signals"]
        assert [each["id"] for each in of_one] == [told[1]["id"]]


@asynccontextmanager
async def streaming(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Served]]:
    async with listening(create_app(paper(folder))) as (port, _):
        base = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
            yield client, Served(None, port, None)  # type: ignore[arg-type]


async def test_the_stream_tells_each_signal_once_over_a_restart(tmp_path: Path) -> None:
    async with streaming(tmp_path) as (client, server), server.client() as stream:
        await stream.subscribe(signals=True)
        _, snapshot = await stream.hear_kinds("ack", "snapshot")
        assert (snapshot["channel"], snapshot["data"]) == ("signals", [])
        first = await said(client)
        (event,) = await _signals(stream, 1)
        assert (event["name"], event["data"]["id"], event["data"]["outcome"]) == ("new", first["id"], "open")
        last = event["seq"]
        second = await said(client, "MSFT")
        await client.post(f"/api/signals/{second['id']}/order")
    async with streaming(tmp_path) as (_, server):
        async with server.client() as stream:
            await stream.say({"action": "resume", "since": last, "channels": {"signals": True}})
            events = await _signals(stream, 2)
            assert [(each["name"], each["data"]["id"]) for each in events] == [
                ("new", second["id"]),
                ("ordered", second["id"]),
            ]
            assert events[-1]["data"]["order_key"] == second["id"]
        async with server.client() as stream:
            await stream.subscribe(signals=True)
            _, snapshot = await stream.hear_kinds("ack", "snapshot")
            assert {each["id"] for each in snapshot["data"]} <= {first["id"], second["id"]}


async def _signals(stream: Client, count: int) -> list[dict[str, Any]]:
    """The next events of signals."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            frame = await stream.hear()
            if frame["type"] == "event" and frame["channel"] == "signals":
                found.append(frame)
    return found
