"""The commands against a real server, with the exit codes that scripts go by."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import trademind
from tests.cli.running import Running
from trademind.cli import app
from trademind.settings import setting_names


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


class Commands:
    """`trademind …` against one server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--url", self._url], catch_exceptions=False)

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout)


@pytest.fixture
def trademind_(server: Running) -> Commands:
    return Commands(server.banner["url"])


def test_version_and_help() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"trademind {trademind.__version__}\n"
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert "Exit codes" in text
    for command in (
        "server",
        "gateway",
        "account",
        "positions",
        "orders",
        "order",
        "reconcile",
        "quote",
        "bars",
        "contracts",
        "scan",
        "risk",
        "halt",
        "resume",
        "doctor",
    ):
        assert f" {command} " in text


def test_the_banner_says_where_and_who(server: Running) -> None:
    banner = server.banner
    assert banner["url"].startswith("http://127.0.0.1:")
    assert (banner["broker"], banner["source"], banner["ready"]) == ("paper", "paper", True)
    assert banner["account_id"].startswith("D")


def test_account(trademind_: Commands) -> None:
    found = trademind_.json("account")
    assert found["source"] == "paper"
    shown = trademind_("account").stdout
    assert found["account_id"] in shown
    assert "net liquidation" in shown


def test_an_order_from_placing_to_position(trademind_: Commands) -> None:
    placed = trademind_.json("order", "place", "buy", "10", "aapl", "--key", "walk-1")
    assert (placed["id"], placed["side"], placed["quantity"]) == ("walk-1", "BUY", "10")
    again = trademind_.json("order", "place", "BUY", "10", "AAPL", "--key", "walk-1")
    assert again["perm_id"] == placed["perm_id"]
    (held,) = [held for held in trademind_.json("positions")["positions"] if held["symbol"] == "AAPL"]
    assert held["quantity"] == "10"
    assert "AAPL" in trademind_("positions").stdout
    assert "walk-1" in trademind_("orders", "--symbol", "AAPL").stdout


def test_types_follow_from_the_prices(trademind_: Commands) -> None:
    def placed(*prices: str) -> tuple[str, str | None, str | None, str]:
        order = trademind_.json("order", "place", "BUY", "1", "MSFT", "--tif", "GTC", *prices)
        trademind_.json("order", "cancel", order["id"])
        return order["order_type"], order["limit_price"], order["stop_price"], order["tif"]

    assert placed("--limit", "1.5") == ("LMT", "1.50", None, "GTC")
    assert placed("--stop", "9999") == ("STP", None, "9999.00", "GTC")
    assert placed("--limit", "9999", "--stop", "9998") == ("STP LMT", "9999.00", "9998.00", "GTC")


def test_cancel(trademind_: Commands) -> None:
    order = trademind_.json("order", "place", "BUY", "1", "MSFT", "--limit", "1")
    assert order["id"] in [each["id"] for each in trademind_.json("orders", "--status", "working")["orders"]]
    canceled = trademind_.json("order", "cancel", order["id"])
    assert canceled["status"] in ("pending_cancel", "canceled")
    assert trademind_("order", "cancel", "no/such order").exit_code == 1


def test_exits_make_a_bracket(trademind_: Commands) -> None:
    exits = ("--take-profit", "9999", "--stop-loss", "0.5")
    placed = trademind_.json("order", "place", "BUY", "1", "MSFT", "--limit", "1", *exits, "--key", "held")
    assert [(leg["id"], leg["order_type"], leg["parent_id"]) for leg in placed["legs"]] == [
        ("held:tp", "LMT", "held"),
        ("held:sl", "STP", "held"),
    ]
    assert (placed["legs"][0]["limit_price"], placed["legs"][1]["stop_price"]) == ("9999.00", "0.50")
    again = trademind_("order", "place", "BUY", "1", "MSFT", "--limit", "1", *exits, "--key", "held")
    shown = [line.split()[0] for line in again.stdout.splitlines() if "MSFT" in line]
    assert shown == ["held", "held:tp", "held:sl"]
    trademind_.json("order", "cancel", "held")


@pytest.mark.parametrize(
    ("distance", "amount", "percent"), [("2.50", "2.50", None), ("1.5%", None, "1.50"), ("5%", None, "5.00")]
)
def test_a_trailing_stop_by_amount_or_per_cent(
    trademind_: Commands, distance: str, amount: str | None, percent: str | None
) -> None:
    order = trademind_.json("order", "place", "SELL", "1", "MSFT", "--trail", distance)
    trademind_.json("order", "cancel", order["id"])
    assert order["order_type"] == "TRAIL"
    assert (order["trailing_amount"], order["trailing_percent"]) == (amount, percent)


def test_an_order_that_is_good_till_a_time(trademind_: Commands) -> None:
    until = "2099-01-31T21:00:00Z"
    terms = ("BUY", "1", "MSFT", "--limit", "1", "--tif", "GTD", "--good-till", until)
    order = trademind_.json("order", "place", *terms)
    trademind_.json("order", "cancel", order["id"])
    assert (order["tif"], order["good_till"]) == ("GTD", until)


def test_a_preview_places_nothing(trademind_: Commands) -> None:
    before = trademind_.json("orders")["orders"]
    preview = trademind_.json("order", "place", "BUY", "10", "MSFT", "--preview")
    assert (preview["commission"], preview["commission_currency"]) == ("1.00", "USD")
    shown = trademind_("order", "place", "BUY", "10", "MSFT", "--preview").stdout
    assert shown.startswith("commission: 1.00 USD")
    assert "init_margin" in shown
    assert trademind_.json("orders")["orders"] == before


def test_a_target_is_reached_once(trademind_: Commands) -> None:
    reached = trademind_.json("order", "target", "JNJ", "10")
    assert (reached["order"]["side"], reached["order"]["quantity"]) == ("BUY", "10")
    assert trademind_("order", "target", "JNJ", "10").stdout.startswith("nothing is missing: ")
    stop = trademind_.json("order", "place", "SELL", "10", "JNJ", "--stop", "1")
    assert f"still working: {stop['id']}" in trademind_("order", "target", "JNJ", "10").stdout
    closed = trademind_.json("order", "target", "JNJ", "0", "--cancel-working")
    assert (closed["order"]["side"], closed["order"]["quantity"]) == ("SELL", "10")
    assert closed["still_working"] == []


def test_a_short_position_is_a_target_behind_two_dashes(server: Running) -> None:
    options = ["--url", server.banner["url"], "--json"]
    result = CliRunner().invoke(app, ["order", "target", *options, "XOM", "--", "-5"])
    order = json.loads(result.stdout)["order"]
    assert (order["side"], order["quantity"]) == ("SELL", "5")


def test_a_target_may_wait_for_its_price(trademind_: Commands) -> None:
    terms = ("order", "target", "KO", "10", "--limit", "1", "--key", "cheap")
    assert trademind_.json(*terms)["order"]["limit_price"] == "1.00"
    reached = trademind_.json("order", "target", "KO", "10")
    assert (reached["position"], reached["on_its_way"], reached["order"]) == ("0", "10", None)
    against = trademind_.json("order", "target", "KO", "0", exit_code=1)
    assert (against["code"], against["orders"]) == ("conflict", ["cheap"])
    trademind_.json("order", "cancel", "cheap")


def test_reconcile(trademind_: Commands) -> None:
    order = trademind_.json("order", "place", "BUY", "1", "MSFT", "--limit", "1")
    found = trademind_.json("reconcile")
    working = trademind_.json("orders", "--status", "working")["orders"]
    assert (found["working"], found["external"], found["unknown"]) == (len(working), 0, [])
    said = trademind_("reconcile").stdout
    assert said == f"{len(working)} orders are working, 0 were placed elsewhere\n"
    trademind_.json("order", "cancel", order["id"])


def test_halt_and_resume(trademind_: Commands) -> None:
    order = trademind_.json("order", "place", "BUY", "1", "MSFT", "--limit", "1")
    assert trademind_.json("risk")["mode"] == "normal"
    try:
        halted = trademind_.json("halt", "--reason", "something is odd", "--cancel-open")
        assert (halted["mode"], halted["reason"]) == ("halted", "something is odd")
        assert order["id"] in halted["canceled"]
        assert trademind_.json("order", "place", "BUY", "1", "MSFT", exit_code=1)["code"] == "trading_halted"
        assert "something is odd" in trademind_("risk").stdout
        assert trademind_("halt").stdout.startswith("halted since")
    finally:
        assert trademind_("resume").stdout.startswith("normal since")


def test_market(trademind_: Commands) -> None:
    quotes = trademind_.json("quote", "AAPL", "MSFT")["quotes"]
    assert [quote["symbol"] for quote in quotes] == ["AAPL", "MSFT"]
    assert quotes[0]["bid"] < quotes[0]["ask"]
    found = trademind_.json("bars", "AAPL", "--size", "1 day", "--duration", "5 D")
    assert 1 <= len(found["bars"]) <= 5
    assert "MSFT" in trademind_("quote", "MSFT").stdout
    assert "1 day" in trademind_("bars", "AAPL", "--size", "1 day").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("order", "place", "HOLD", "10", "AAPL"), "invalid"),
        (("order", "place", "BUY", "0", "AAPL"), "invalid"),
        (("order", "place", "BUY", "NaN", "AAPL"), "invalid"),
        (("order", "place", "BUY", "1", "NOSUCH"), "contract_not_found"),
        (("order", "place", "BUY", "1", "AAPL", "--limit", "100.001"), None),
        (("order", "place", "BUY", "1000000", "AAPL"), None),
        (("order", "place", "BUY", "1", "AAPL", "--take-profit", "2", "--stop-loss", "3"), "invalid"),
        (("order", "place", "BUY", "1", "AAPL", "--take-profit", "999", "--preview"), "invalid"),
        (("order", "place", "SELL", "1", "AAPL", "--trail", "1.5", "--limit", "100"), "invalid"),
        (("order", "place", "BUY", "1", "AAPL", "--limit", "1", "--tif", "GTD"), "invalid"),
        (("order", "target", "AAPL", "many"), "invalid"),
        (("order", "target", "NOSUCH", "1"), "contract_not_found"),
        (("order", "cancel", "nothing"), "order_not_found"),
        (("quote", "NOSUCH"), "contract_not_found"),
        (("bars", "AAPL", "--size", "1 fortnight"), "invalid"),
    ],
)
def test_refusals_are_one_line_and_exit_code_1(
    trademind_: Commands, arguments: tuple[str, ...], code: str | None
) -> None:
    result = trademind_(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    document = trademind_.json(*arguments, exit_code=1)
    assert document["code"] == (code or document["code"])
    assert document["status"] in (404, 422, 502)
    assert result.stderr.startswith(f"{document['code']}: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("order", "place", "BUY"),
        ("order", "target", "AAPL"),
        ("orders", "--limit", "0"),
        ("orders", "--status", "asleep"),
        ("quote",),
        ("nonsense",),
        ("account", "--url", "ftp://127.0.0.1"),
        ("account", "--url", "127.0.0.1:8000"),
        ("account", "--url", "http://127.0.0.1:port"),
        ("account", "--url", "http://127.0.0.1:99999"),
        ("account", "--url", "http://a b"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 2


def test_a_wrong_setting_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEMIND_BROKR", "paper")
    result = CliRunner().invoke(app, ["account"])
    assert result.exit_code == 2
    assert result.stderr == (
        "settings_invalid: TRADEMIND_BROKR: there is no such setting; did you mean TRADEMIND_BROKER?\n"
    )


def test_doctor_is_content_with_a_server_that_is_well(trademind_: Commands) -> None:
    report = trademind_.json("doctor")
    assert report["ok"] is True
    found = {check["name"]: check["found"] for check in report["checks"]}
    assert list(found) == [
        "server", "port", "TWS API", "client id", "accounts", "paper or live", "clock", "market data",
        "event loop", "nest_asyncio", "packages",
    ]  # fmt: skip
    assert "held by the running server" in found["client id"]
    assert "paper account" in found["paper or live"]
    assert trademind_("doctor").exit_code == 0
