"""Contracts over HTTP, with the whole program behind it."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import served
from tests.api.test_end_to_end import client, paper, until_ready  # noqa: F401 - the fixture
from trademind.api import create_app
from trademind.settings import load_settings

AAPL = 265598


async def get(client: httpx.AsyncClient, path: str) -> Any:  # noqa: F811
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_known_of_a_contract(client: httpx.AsyncClient) -> None:  # noqa: F811
    found = await get(client, f"/api/contracts/{AAPL}")
    assert (found["symbol"], found["sec_type"], found["currency"]) == ("AAPL", "STK", "USD")
    assert (found["min_tick"], found["size_increment"]) == ("0.01", "1")
    assert found["time_zone"] == "US/Eastern"
    assert ":" in found["trading_hours"]
    assert "SMART" in found["valid_exchanges"]
    assert (found["strike"], found["right"], found["last_trade_date"]) == (None, None, None)


async def test_a_contract_that_there_is_not(client: httpx.AsyncClient) -> None:  # noqa: F811
    answer = await client.get("/api/contracts/1")
    assert (answer.status_code, answer.json()["code"]) == (404, "contract_not_found")
    for nonsense in ("0", "-1", "4294967296", "x"):
        assert (await client.get(f"/api/contracts/{nonsense}")).status_code == 422


async def test_a_batch_fails_one_by_one(client: httpx.AsyncClient) -> None:  # noqa: F811
    asked = [
        {"symbol": "AAPL"},
        {"con_id": 272093},
        {"symbol": "NOSUCH"},
        {"symbol": "AAPL", "sec_type": "OPT", "right": "C"},
        {"symbol": "EUR", "sec_type": "CASH"},
        {"local_symbol": "AAPL"},
        {"isin": "nonsense"},
        {},
    ]
    answer = await client.post("/api/contracts/qualify", json={"contracts": asked})
    assert answer.status_code == 200, answer.text
    found = answer.json()["contracts"]
    assert [each["contract"] and each["contract"]["symbol"] for each in found] == [
        "AAPL",
        "MSFT",
        None,
        None,
        "EUR",
        "AAPL",
        None,
        None,
    ]
    codes = [each["error"] and each["error"]["code"] for each in found]
    assert codes[2:4] == ["contract_not_found", "ambiguous_contract"]
    assert codes[6:] == ["invalid", "invalid"]
    candidates = found[3]["error"]["candidates"]
    assert len(candidates) == 50
    assert {each["right"] for each in candidates} == {"C"}
    assert "isin" in {error["field"] for error in found[6]["error"]["errors"]}


async def test_a_contract_is_found_by_its_isin(client: httpx.AsyncClient) -> None:  # noqa: F811
    asked = {"contracts": [{"isin": "US0378331005"}]}
    (found,) = (await client.post("/api/contracts/qualify", json=asked)).json()["contracts"]
    assert found["contract"]["con_id"] == AAPL


@pytest.mark.parametrize(
    "body", [{"contracts": []}, {"contracts": [{"symbol": "A"}] * 51}, {"contracts": {"symbol": "A"}}, {}]
)
async def test_a_batch_is_bounded(client: httpx.AsyncClient, body: Any) -> None:  # noqa: F811
    assert (await client.post("/api/contracts/qualify", json=body)).status_code == 422


async def test_a_chain_has_the_strikes_that_there_are(client: httpx.AsyncClient) -> None:  # noqa: F811
    summary = await get(client, f"/api/contracts/{AAPL}/options")
    parameters = next(each for each in summary["parameters"] if each["exchange"] == "SMART")
    expiration = parameters["expirations"][-1]
    chain = await get(client, f"/api/contracts/{AAPL}/options?expiration={expiration}")
    contracts = chain["contracts"]
    assert contracts
    assert {each["last_trade_date"] for each in contracts} == {expiration}
    assert {each["right"] for each in contracts} == {"C", "P"}
    strikes = [float(each["strike"]) for each in contracts]
    assert strikes == sorted(strikes)
    # The summary is the union of all expirations, and has strikes that this one has not.
    assert set(strikes) <= {float(strike) for strike in parameters["strikes"]}
    # One of them can be asked for by what it is.
    option = contracts[0]
    terms = ("symbol", "sec_type", "last_trade_date", "strike", "right", "multiplier")
    asked = {"contracts": [{name: option[name] for name in terms}]}
    (found,) = (await client.post("/api/contracts/qualify", json=asked)).json()["contracts"]
    assert found["contract"]["con_id"] == option["con_id"]


async def test_there_are_no_options_on_a_currency(client: httpx.AsyncClient) -> None:  # noqa: F811
    asked = {"contracts": [{"symbol": "EUR", "sec_type": "CASH"}]}
    (euro,) = (await client.post("/api/contracts/qualify", json=asked)).json()["contracts"]
    found = await get(client, f"/api/contracts/{euro['contract']['con_id']}/options")
    assert found["parameters"] == []


async def test_what_was_told_survives_a_restart_and_can_be_asked_anew(tmp_path: Path) -> None:
    told = []
    for path in (f"/api/contracts/{AAPL}", f"/api/contracts/{AAPL}", f"/api/contracts/{AAPL}?fresh=true"):
        async with served(create_app(paper(tmp_path))) as server:
            await until_ready(server)
            told.append((await get(server, path))["as_of"])
    assert told[0] == told[1] < told[2]


async def test_a_market_of_another_time_is_another_one_every_time(tmp_path: Path) -> None:
    changes = {"cash": "1000", "start": "2026-03-02T10:00:00"}
    settings = load_settings(_env_file=None, data_dir=tmp_path, paper=changes)
    async with served(create_app(settings)) as server:
        await until_ready(server)
        await get(server, f"/api/contracts/{AAPL}")
    assert not (tmp_path / "contracts.db").exists()
