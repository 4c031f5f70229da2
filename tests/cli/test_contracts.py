"""`trademind contracts` and `trademind scan`, against a server on its own paper gateway."""

import pytest

from tests.cli.running import Running
from tests.cli.test_commands import Commands


@pytest.fixture
def trademind_(server: Running) -> Commands:
    return Commands(server.banner["url"])


def test_a_search(trademind_: Commands) -> None:
    found = trademind_.json("contracts", "search", "apple")["contracts"]
    assert "AAPL" in {each["symbol"] for each in found}
    assert "265598" in trademind_("contracts", "search", "AAPL").stdout


def test_what_is_known_of_a_contract(trademind_: Commands) -> None:
    for name in ("AAPL", "aapl", "265598"):
        assert trademind_.json("contracts", "show", name)["con_id"] == 265598
    shown = trademind_("contracts", "show", "AAPL").stdout
    assert "APPLE INC" in shown
    assert "as of" in shown
    assert "strike" not in shown
    first = trademind_.json("contracts", "show", "AAPL")["as_of"]
    assert trademind_.json("contracts", "show", "AAPL")["as_of"] == first
    assert trademind_.json("contracts", "show", "AAPL", "--fresh")["as_of"] > first
    euro = trademind_.json("contracts", "show", "EUR", "--sec-type", "CASH")
    assert euro["exchange"] == "IDEALPRO"


def test_a_number_at_an_exchange_is_a_symbol(trademind_: Commands) -> None:
    result = trademind_("contracts", "show", "265598", "--exchange", "SEHK", "--currency", "HKD")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "contract_not_found" in result.stderr


def test_of_several_the_candidates_are_listed(trademind_: Commands) -> None:
    arguments = ("contracts", "show", "ES", "--sec-type", "FUT")
    result = trademind_(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("ambiguous_contract: ")
    assert "ESZ" in result.stdout
    problem = trademind_.json(*arguments, exit_code=1)
    expiration = problem["candidates"][0]["last_trade_date"]
    future = trademind_.json(*arguments, "--expiration", expiration)
    assert (future["con_id"], future["multiplier"]) == (problem["candidates"][0]["con_id"], "50")


def test_options(trademind_: Commands) -> None:
    (summary, *_) = trademind_.json("contracts", "options", "AAPL")["parameters"]
    assert summary["expirations"][0] in trademind_("contracts", "options", "AAPL").stdout
    expiration = summary["expirations"][2]
    chain = trademind_.json("contracts", "options", "AAPL", "--expiration", expiration)["contracts"]
    shown = trademind_("contracts", "options", "265598", "--expiration", expiration).stdout
    assert chain[0]["local_symbol"] in shown
    option = trademind_.json(
        "contracts", "show", "AAPL", "--sec-type", "OPT", "--expiration", expiration, "--strike",
        chain[0]["strike"], "--right", chain[0]["right"],
    )  # fmt: skip
    assert option["con_id"] == chain[0]["con_id"]
    assert trademind_.json("contracts", "options", "SPX", "--sec-type", "IND")["parameters"]


def test_a_scan(trademind_: Commands) -> None:
    rows = trademind_.json("scan", "top_perc_gain", "--rows", "3", "--filter", "priceAbove=20")["rows"]
    assert len(rows) == 3
    assert "TOP_PERC_GAIN" in trademind_("scan", "TOP_PERC_GAIN", "--rows", "3").stdout
    codes = trademind_("scan").stdout
    assert "MOST_ACTIVE" in codes
    assert "STK.US.MAJOR" in codes
    assert {each["code"] for each in trademind_.json("scan")["scan_codes"]} >= {"MOST_ACTIVE"}


def test_quotes_and_bars_of_other_types(trademind_: Commands) -> None:
    (quote,) = trademind_.json("quote", "BTC", "--sec-type", "CRYPTO")["quotes"]
    assert quote["bid"] < quote["ask"]
    for sec_type, symbol, shown in (("CRYPTO", "BTC", "AGGTRADES"), ("CASH", "EUR", "MIDPOINT")):
        found = trademind_.json(
            "bars", symbol, "--sec-type", sec_type, "--size", "1 day", "--duration", "5 D"
        )
        assert found["what_to_show"] == shown
    assert trademind_.json("quote", "SPX", "--sec-type", "IND", "--exchange", "CBOE")["quotes"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("contracts", "show", "NOSUCH"), 1, "contract_not_found"),
        (("contracts", "show", "1"), 1, "contract_not_found"),
        (("contracts", "options", "NOSUCH"), 1, "contract_not_found"),
        (("contracts", "options", "AAPL", "--expiration", "soon"), 1, "invalid"),
        (("scan", "NO_SUCH_SCAN"), 1, "gateway_error"),
        (("scan", "MOST_ACTIVE", "--filter", "priceAbove"), 2, "usage"),
    ],
)
def test_refusals(trademind_: Commands, arguments: tuple[str, ...], exit_code: int, code: str) -> None:
    assert trademind_.json(*arguments, exit_code=exit_code)["code"] == code
    result = trademind_(*arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert result.stderr.startswith(f"{code}: ")
