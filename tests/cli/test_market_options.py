"""The options that choose the paper market: nothing that is given is ignored."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.running import run, running
from trademind.cli.gateway import _market_words
from trademind.gateway.assembly import paper_gateway
from trademind.settings import PaperSettings

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


def test_the_banner_says_which_market_runs(recording: Path) -> None:
    arguments = ("--port", "0", "--file", "NEWCO.csv", "--speed", "60", "--start", "2013-03-01T10:00:00")
    settings = {"TRADEMIND_PAPER__ACCOUNTS": TWO_ACCOUNTS}
    with running("gateway", "start", *arguments, cwd=recording.parent, **settings) as gateway:
        banner = gateway.banner
        assert (banner["accounts"], banner["feed"], banner["file"]) == (["DU1", "DU2"], "replay", "NEWCO.csv")
        assert (banner["speed"], banner["hours"]) == (60, "always")
        assert banner["time"].startswith("2013-03-01T15:")
    assert (recording.parent / "stderr.txt").read_text().count("\n") == 1  # nothing but that it listens


NOW = datetime(2013, 3, 1, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("paper", "words"),
    [
        ({}, ["seed 42"]),
        ({"hours": "exchange"}, ["seed 42", "exchange hours"]),
        ({"speed": 2}, ["seed 42", "paper time 2013-03-01 10:00 New York, 2 times as fast"]),
        ({"replay_file": "a.csv"}, ["replays a.csv", "paper time 2013-03-01 10:00 New York"]),
        (
            {"replay_file": "a.csv", "loop": True, "others": "synthetic"},
            ["replays a.csv again and again", "seed 42", "paper time 2013-03-01 10:00 New York"],
        ),
    ],
)
def test_a_market_in_words(paper: dict[str, Any], words: list[str]) -> None:
    assert _market_words(PaperSettings(**paper), NOW) == words


@pytest.mark.parametrize(
    ("start", "warns"),
    [("2013-02-27", True), ("2013-02-28", False), ("2013-03-01T10:00", False), ("2013-03-04", True)],
)
def test_a_start_outside_the_recording(
    recording: Path, caplog: pytest.LogCaptureFixture, start: str, warns: bool
) -> None:
    paper_gateway(PaperSettings(replay_file=recording, start=datetime.fromisoformat(start)), data_dir=None)
    assert ("was recorded from 2013-02-28 to 2013-03-01" in caplog.text) is warns
