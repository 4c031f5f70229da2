"""The examples run as they are, against a real paper gateway in a process of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import backtesting
import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from tests.processes import free_port, running

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def gateway_port() -> Iterator[int]:
    port = free_port()
    with running(["trademind", "gateway", "start", "--port", str(port)], port):
        yield port


def output_of(
    example: str,
    gateway_port: int | None = None,
    *,
    server_port: int | None = None,
    arguments: tuple[str, ...] = (),
) -> str:
    """What it prints; it must end well and complain of nothing."""
    ports = {"TRADEMIND_IBKR__PORT": gateway_port, "TRADEMIND_SERVER__PORT": server_port}
    settings = {name: str(port) for name, port in ports.items() if port is not None}
    done = subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_isolation_prints_the_account(gateway_port: int) -> None:
    assert "100000 USD (paper)" in output_of("isolation.py", gateway_port)


def test_the_stream_tells_of_the_quote_and_the_fill() -> None:
    port = free_port()
    with running(["trademind", "gateway", "start", "--port", str(port)], port):
        told = output_of("stream.py", port).splitlines()
    assert any(line.startswith("AAPL ") for line in told)
    assert told[-1] == "BUY 10 AAPL: filled"


def test_a_backtest_and_a_walk_forward(tmp_path: Path) -> None:
    prices = Path(next(iter(backtesting.__path__))) / "test" / "GOOG.csv"
    told = output_of("backtest.py", arguments=(str(prices), str(tmp_path / "report.html"))).splitlines()
    assert told[0].startswith("ma_crossover: ")
    assert told[1].startswith("2006-08-14 to 2007-08-10: {'fast': ")
    assert told[-1].startswith("chosen before it was traded: ")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_market_is_shown_as_a_book_bars_and_ticks(gateway_port: int) -> None:
    told = output_of("market_data.py", gateway_port).splitlines()
    assert {line.split()[0] for line in told} == {"book", "tick", "bar"}


def test_a_bracket_is_placed_whole() -> None:
    port = free_port()
    with running(["trademind", "gateway", "start", "--port", str(port)], port):
        told = output_of("bracket.py", port).splitlines()
    assert told[0].startswith("BUY 10 AAPL MKT: ")
    assert told[1:] == ["SELL 10 AAPL LMT: submitted", "SELL 10 AAPL TRAIL: submitted"]


def test_targets_are_reached_once() -> None:
    port = free_port()
    with running(["trademind", "server", "start", "--port", str(port)], port, "/readyz"):
        first = output_of("target.py", server_port=port)
        second = output_of("target.py", server_port=port)
    assert first == "AAPL: 0 held, BUY 20 placed\nMSFT: 0 held, BUY 10 placed\n"
    assert second == "AAPL: 20 held, nothing is missing\nMSFT: 10 held, nothing is missing\n"


def test_somebody_elses_app_uses_the_session_by_dependency_injection(gateway_port: int) -> None:
    source = (EXAMPLES / "fastapi_app.py").read_text()
    assert len(source.splitlines()) < 30
    port = free_port()
    command = ["uvicorn", "examples.fastapi_app:app", "--port", str(port), "--app-dir", str(ROOT)]
    with running(command, port, "/cash", TRADEMIND_IBKR__PORT=str(gateway_port)):
        answer = httpx.get(f"http://127.0.0.1:{port}/cash")
    assert answer.json() == {"cash": "100000"}


def outputs_of(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a notebook from top to bottom: what its cells show, as JSON."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TRADEMIND_DATA_DIR", str(folder / "data"))
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells])


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = outputs_of("notebook.ipynb", tmp_path, monkeypatch)
    assert "DUTM00001: 100000 USD, source paper" in outputs
    assert "image/png" in outputs
    assert "AAPL: 10 at" in outputs


def test_from_bars_to_a_signal_to_a_backtest_to_an_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = outputs_of("signals.ipynb", tmp_path, monkeypatch)
    assert "The close, " in outputs  # why it buys
    assert outputs.count("image/png") == 2
    assert "buy and hold" in outputs
    assert "AAPL MKT: filled" in outputs
    assert "AAPL STP: submitted" in outputs
    assert re.search(r"AAPL: \d+ at ", outputs)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_test_of_a_strategy_passes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "trademind.testing", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", EXAMPLES / "test_my_strategy.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
