"""The options that choose the paper market: nothing that is given is ignored."""

import json
from pathlib import Path

import httpx
import pytest

from tests.cli.running import run, running

BARS = "date,open,high,low,close,volume\n2013-02-28,10,12,9,11,1000\n2013-03-01,11,12,9,11,1000\n"
TWO_ACCOUNTS = json.dumps({"DU1": 1000, "DU2": 2000})


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "NEWCO.csv"
    file.write_text(BARS)
    return file


@pytest.mark.parametrize("account", ["", "DU2"])
def test_a_server_trades_for_one_of_several_accounts(tmp_path: Path, account: str) -> None:
    settings = {"TRADEMIND_PAPER__ACCOUNTS": TWO_ACCOUNTS, "TRADEMIND_IBKR__ACCOUNT": account}
    with running("server", "start", "--port", "0", cwd=tmp_path, **settings) as server:
        assert server.banner["ready"] is True
        answer = httpx.get(f"{server.banner['url']}/api/portfolio/account").json()
        assert answer["account_id"] == (account or "DU1")
        report = json.loads(
            run("doctor", "--url", server.banner["url"], "--json", cwd=tmp_path, **settings).stdout
        )
        assert [check for check in report["checks"] if not check["ok"]] == []


@pytest.mark.parametrize("command", ["gateway", "server"])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--loop"], "TRADEMIND_PAPER__LOOP (--loop)"),
        (["--others", "synthetic"], "TRADEMIND_PAPER__OTHERS (--others)"),
        (["--feed", "synthetic", "--file", "NEWCO.csv"], "TRADEMIND_PAPER__FEED (--feed)"),
    ],
)
def test_options_without_an_effect_are_refused(
    recording: Path, command: str, arguments: list[str], named: str
) -> None:
    ended = run(command, "start", "--port", "0", *arguments, cwd=recording.parent)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"settings_invalid: {named}")
    assert ended.stderr.count("\n") == 1


def test_a_market_of_its_own_is_not_for_ibs_gateway(tmp_path: Path) -> None:
    ended = run("server", "start", "--port", "0", "--speed", "2", cwd=tmp_path, TRADEMIND_BROKER="ibkr")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "TRADEMIND_BROKER is ibkr" in ended.stderr


def test_cash_is_not_for_several_accounts(tmp_path: Path) -> None:
    ended = run("gateway", "start", "--cash", "100000", cwd=tmp_path, TRADEMIND_PAPER__ACCOUNTS=TWO_ACCOUNTS)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "TRADEMIND_PAPER__ACCOUNTS" in ended.stderr
