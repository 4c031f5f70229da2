"""`trademind backtest`: here on files over processes, and as jobs of a server."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.cli.running import PATIENCE, Running, environment, run
from tests.signals.backtest.making import GOOG
from trademind.cli import app
from trademind.cli.backtest_terms import parameters_of, ranges_of
from trademind.cli.output import CommandFailed

HERE = ("--csv", str(GOOG))
SPAN = ("--from", "2020-01-01", "--to", "2025-01-01")
MINE = Path(__file__).resolve().parents[2] / "examples" / "strategies"


def backtest(*arguments: str, cwd: Path, exit_code: int = 0) -> Any:
    done = run("backtest", *arguments, "--json", cwd=cwd)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_file_needs_no_server(tmp_path: Path) -> None:
    terms = ("--from", "2008-01-01", "--cash", "50000", "--long-only", "-p", "period=10")
    report = backtest("run", "-s", "rsi_reversion", *HERE, *terms, cwd=tmp_path)["report"]
    assert (report["symbols"], report["cash"], report["start"]) == (
        ["GOOG"],
        "50000.00",
        "2008-01-02T00:00:00Z",
    )
    assert {each["side"] for each in report["trades"]} == {"BUY"}
    shown = run("backtest", "run", "goog", "-s", "rsi_reversion", *HERE, "--html", "page.html", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "buy and hold" in shown.stdout
    assert "the last 5 of " in shown.stdout
    assert "100%" in shown.stderr
    assert "rsi_reversion on GOOG" in (tmp_path / "page.html").read_text(encoding="utf-8")
    own = backtest("run", "-s", "three_down", "--strategies", str(MINE), *HERE, cwd=tmp_path)
    assert own["report"]["trade_count"] > 10


def test_a_file_that_ends_whoever_runs_it_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a_ends.py").write_text("raise SystemExit(0)\n")
    shutil.copy(MINE / "three_down.py", tmp_path / "own")
    own = ("--strategies", "own", *HERE)
    report = backtest("run", "-s", "three_down", *own, cwd=tmp_path)["report"]
    assert report["trade_count"] > 10
    refused = run("backtest", "run", "-s", "a_ends", *own, cwd=tmp_path)
    assert (refused.returncode, refused.stderr.partition(":")[0]) == (1, "strategy_not_found")


def test_a_grid_and_a_walk_over_processes(tmp_path: Path) -> None:
    wanted = ("-s", "ma_crossover", *HERE, "-p", "fast=5..15:5", "-p", "slow=10,50", "-j", "2")
    points = backtest("grid", *wanted, "--score", "calmar", cwd=tmp_path)["points"]
    assert [each["parameters"] for each in points if each["failure"]] == [
        {"fast": 10, "slow": 10},
        {"fast": 15, "slow": 10},
    ]
    scores = [each["score"] for each in points if each["score"] is not None]
    assert scores == sorted(scores, reverse=True)
    shown = run("backtest", "grid", *wanted, "--top", "2", cwd=tmp_path)
    assert "the best of 6 combinations, by sharpe" in shown.stdout
    assert shown.stdout.count("fast=") == 2
    assert "not tried: 2; fast=10 slow=10: fast: must be below slow" in shown.stderr
    own = ("-s", "three_down", "--strategies", str(MINE), *HERE, "-p", "days=2,3", "-j", "1")
    assert len(backtest("grid", *own, cwd=tmp_path)["points"]) == 2
    shown = run("backtest", "walk", *wanted, "--train", "800", "--test", "500", cwd=tmp_path)
    assert shown.stdout.count("fast=") == 2
    assert "all steps joined" in shown.stdout


def test_a_job_of_the_server(server: Running, tmp_path: Path) -> None:
    url = ("--url", server.banner["url"])
    wanted = ("AAPL", "-s", "rsi_reversion", *SPAN, "-p", "period=10", *url)
    done = run("backtest", "run", *wanted, "--html", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rsi_reversion on AAPL: " in done.stdout
    assert "rsi_reversion on AAPL" in (tmp_path / "page.html").read_text(encoding="utf-8")
    found = backtest("run", *wanted, "--quantity", "5", cwd=tmp_path)
    assert (found["status"], found["sizing"]) == ("done", {"quantity": "5"})
    assert found["parameters"] == {"period": 10}
    assert backtest("show", found["id"], *url, cwd=tmp_path) == found
    # The server's bars, tried on the machine of who asks.
    points = backtest("grid", "AAPL", "-s", "rsi_reversion", *SPAN, "-p", "period=7,14", *url, cwd=tmp_path)
    assert [each["failure"] for each in points["points"]] == [None, None]
    for arguments, code, status in (
        (("run", "AAPL", "-s", "hope", *SPAN, *url), "strategy_not_found", 1),
        (("run", "NOSUCH", "-s", "macd", *SPAN, *url), "contract_not_found", 1),
        (("run", "AAPL", "-s", "macd", "-p", "quick=3", *SPAN, *url), "invalid", 1),
        (("run", "AAPL", "-s", "macd", *url), "usage", 2),
        (("run", "-s", "macd", *SPAN, *url), "usage", 2),
        (("run", "AAPL", "-s", "macd", *SPAN, *url, "--strategies", "x"), "usage", 2),
        (("show", "nope", *url), "backtest_not_found", 1),
        (("grid", "NOSUCH", "-s", "macd", *SPAN, "-p", "fast=5", *url), "no_bars", 1),
        (("grid", "-s", "macd", *HERE), "usage", 2),
        (("grid", "-s", "macd", *HERE, "-p", "quick=3"), "invalid", 1),
        (("run", "-s", "hope", *HERE), "strategy_not_found", 1),
        (("run", "MSFT", "-s", "macd", *HERE), "usage", 2),
        (("run", "-s", "macd", *HERE, "--share", "1", "--risk", "1"), "usage", 2),
        (("run", "-s", "macd", *HERE, "--html", "no/such/folder.html"), "not_written", 1),
    ):
        failed = CliRunner().invoke(app, ["backtest", *arguments, "--json"])
        assert (failed.exit_code, json.loads(failed.stdout)["code"]) == (status, code), arguments


def test_a_backtest_goes_on_without_its_command(server: Running, tmp_path: Path) -> None:
    url = ("--url", server.banner["url"])
    long = ("AAPL", "-s", "macd", "--size", "5 mins", "--from", "2025-11-01", "--to", "2026-03-01")
    command = subprocess.Popen(
        [sys.executable, "-m", "trademind", "backtest", "run", *long, *url],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            listed = httpx.get(f"{server.banner['url']}/api/backtests").json()["backtests"]
            if any(each["status"] == "running" for each in listed):
                break
            time.sleep(0.1)  # it is asked over HTTP until it is so, or the deadline has passed
        time.sleep(0.5)  # until it has the answer, and shows it
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=30)
    assert command.returncode == 130, errors
    name = errors.rpartition("backtest show ")[2].partition("`")[0]
    assert backtest("show", name, *url, cwd=tmp_path)["status"] == "done"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("period=5..30:5", [5, 10, 15, 20, 25, 30]),
        ("period=5..8", [5, 6, 7, 8]),
        ("lower=0.1..0.3:0.1", [0.1, 0.2, 0.3]),
        ("lower=20, 30.5", [20, 30.5]),
        ("average=sma,ema", ["sma", "ema"]),
        ("period=7", [7]),
    ],
)
def test_ranges(text: str, values: list[Any]) -> None:
    (found,) = ranges_of([text]).values()
    assert found == values


@pytest.mark.parametrize(
    "given",
    [["period"], ["=5"], ["period="], ["a=1", "a=2"], ["a=5..1"], ["a=1..5:0"], ["a=1..x"], ["a=1..1e9"], []],
)
def test_ranges_that_are_none(given: list[str]) -> None:
    with pytest.raises(CommandFailed):
        ranges_of(given)


def test_parameters() -> None:
    assert parameters_of(["a=1", "b=0.5", "c=ema", "d=nan"]) == {"a": 1, "b": 0.5, "c": "ema", "d": "nan"}
