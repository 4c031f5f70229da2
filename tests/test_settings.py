"""Settings: a wrong one stops the start with one line that names it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import trademind
from trademind.errors import SettingsError
from trademind.settings import BrokerKind, Settings, is_loopback, load_settings, setting_names

EXAMPLE = Path(trademind.__file__).parent.parent / ".env.example"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in setting_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults() -> None:
    settings = load_settings()
    assert settings.broker is BrokerKind.PAPER
    assert settings.paper.cash == Decimal(100_000)
    assert settings.ibkr.allow_live is False
    assert settings.server.host == "127.0.0.1"
    assert settings.server.is_loopback


def test_the_example_lists_every_setting_with_its_default() -> None:
    assert tuple(dotenv_values(EXAMPLE)) == setting_names()
    assert load_settings(_env_file=EXAMPLE) == load_settings(_env_file=None)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("TRADEMIND_PAPER__CASH=250000\nTRADEMIND_IBKR__PORT=7497\n")
    monkeypatch.setenv("TRADEMIND_IBKR__PORT", "7496")
    settings = load_settings()
    assert (settings.paper.cash, settings.ibkr.port) == (Decimal(250_000), 7496)


def test_an_argument_wins_over_both_and_leaves_the_rest_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEMIND_SERVER__PORT", "9000")
    monkeypatch.setenv("TRADEMIND_SERVER__LOG_LEVEL", "error")
    settings = load_settings(server={"port": 9001})
    assert (settings.server.port, settings.server.log_level) == (9001, "error")


def test_allowed_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEMIND_SERVER__ALLOWED_HOSTS", "localhost, Trading.example,[::1]")
    assert load_settings().server.allowed_hosts == ("localhost", "trading.example", "[::1]")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRADEMIND_BROKER", "etrade"),
        ("TRADEMIND_IBKR__PORT", "70000"),
        ("TRADEMIND_IBKR__PORT", "0"),
        ("TRADEMIND_IBKR__HOST", ""),
        ("TRADEMIND_IBKR__CLIENT_ID", "-1"),
        ("TRADEMIND_IBKR__ALLOW_LIVE", "perhaps"),
        ("TRADEMIND_IBKR__ORDER_TIMEOUT", "0"),
        ("TRADEMIND_IBKR__REQUEST_TIMEOUT", "inf"),
        ("TRADEMIND_IBKR__CONNECT_TIMEOUT", "nan"),
        ("TRADEMIND_PAPER__CASH", "nan"),
        ("TRADEMIND_PAPER__CASH", "0"),
        ("TRADEMIND_PAPER__CASH", "1e30"),
        ("TRADEMIND_PAPER__SEED", "lucky"),
        ("TRADEMIND_PAPER__FEED", "reality"),
        ("TRADEMIND_PAPER__SPEED", "0.0001"),
        *(("TRADEMIND_PAPER__ACCOUNTS", value) for value in ("junk", "[1]", "DU1", "[" * 10_000)),
        *(
            ("TRADEMIND_PAPER__ACCOUNTS", f'{{"{account}": 1000}}')
            for account in ("", "A,B", "All", "U123", "DU1 ", "du1", "DU", "D1", "DU1x")
        ),
        ("TRADEMIND_PAPER__ACCOUNTS", '{"DU1": 0}'),
        ("TRADEMIND_PAPER__MARKET_DATA", "delayed"),
        ("TRADEMIND_PAPER__MARKET_DATA", '{"AAPL": "sometimes"}'),
        ("TRADEMIND_SERVER__PORT", "http"),
        ("TRADEMIND_SERVER__ALLOWED_HOSTS", "*"),
        ("TRADEMIND_SERVER__ALLOWED_HOSTS", "localhost:8000"),
        ("TRADEMIND_SERVER__ALLOWED_HOSTS", "http://localhost"),
        ("TRADEMIND_SERVER__ALLOWED_HOSTS", "localhost,,"),
        ("TRADEMIND_SERVER__LOG_LEVEL", "loud"),
        ("TRADEMIND_BROKR", "paper"),
        ("TRADEMIND_IBKR_PORT", "4002"),
        ("TRADEMIND_SERVER", "8000"),
        ("TRADEMIND_SERVER", '{"port": 8000}'),
        ("TRADEMIND_IBKR__PORT__EXTRA", "1"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_a_wrong_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, source: str
) -> None:
    if source == "file":
        Path(".env").write_text(f"{name}='{value}'\n")
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.detail.startswith(f"{name}: ")
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize("name", ["ACCOUNTS", "MARKET_DATA"])
def test_bad_json_is_answered_with_an_example(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"TRADEMIND_PAPER__{name}", "junk")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    detail = caught.value.detail
    example = detail[detail.index("{") : detail.rindex("}") + 1]
    monkeypatch.setenv(f"TRADEMIND_PAPER__{name}", example)
    assert getattr(load_settings().paper, name.lower()) == json.loads(example)
    monkeypatch.setenv(f"TRADEMIND_PAPER__{name}", "")
    assert getattr(load_settings().paper, name.lower()) == {}


def test_the_account_is_one_of_the_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().account is None
    monkeypatch.setenv("TRADEMIND_PAPER__ACCOUNTS", '{"DU2": 1000, "DU1": 2000}')
    assert load_settings().account == "DU2"
    monkeypatch.setenv("TRADEMIND_IBKR__ACCOUNT", "DU1")
    assert load_settings().account == "DU1"
    monkeypatch.setenv("TRADEMIND_IBKR__ACCOUNT", "DU3")
    with pytest.raises(SettingsError, match=r"^TRADEMIND_IBKR__ACCOUNT is DU3, .* DU2, DU1"):
        load_settings()
    monkeypatch.setenv("TRADEMIND_BROKER", "ibkr")
    assert load_settings().account == "DU3"


def test_a_file_means_a_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEMIND_PAPER__REPLAY_FILE", "prices")
    assert load_settings().paper.feed == "replay"
    monkeypatch.setenv("TRADEMIND_PAPER__FEED", "synthetic")
    with pytest.raises(SettingsError, match=r"^TRADEMIND_PAPER__FEED .* TRADEMIND_PAPER__REPLAY_FILE"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"loop": True}, "LOOP"),
        ({"others": "synthetic"}, "OTHERS"),
        ({"cash": 5000, "accounts": {"DU1": 1000}}, "CASH"),
    ],
)
def test_what_would_be_ignored_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=f"^TRADEMIND_PAPER__{named} "):
        load_settings(paper=given)


def test_a_mistyped_name_is_answered_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEMIND_BROKR", "paper")
    with pytest.raises(SettingsError, match="did you mean TRADEMIND_BROKER"):
        load_settings()


def test_other_programs_variables_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IB_PORT", "nonsense")
    Path(".env").write_text("POSTGRES_PASSWORD=x\n")
    assert isinstance(load_settings(), Settings)


def test_a_file_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(b"TRADEMIND_BROKER=\xff\xfe\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings()


def test_settings_do_not_change() -> None:
    settings: Any = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server.port = 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.5", "trading.example")),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("trading.example", "http://trading.example:8000"),
    ],
)
def test_url(host: str, url: str) -> None:
    assert load_settings(server={"host": host}).server.url == url
