"""`trademind signals` and `trademind strategies`, against a server with a strategy of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analysis.stage import EVERY
from tests.cli.running import Running, run, running
from trademind.signals import BUILT_IN


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "every.py").write_text(EVERY)
    (folder / "broken.py").write_text("import no_such_package\n")
    with running(
        *("server", "start", "--port", "0"),
        cwd=folder,
        TRADEMIND_SIGNALS__FOLDER=str(folder),
        TRADEMIND_SIGNALS__WATCHLIST="AAPL,NOSUCH",
        TRADEMIND_SIGNALS__STRATEGIES="every",
        TRADEMIND_SIGNALS__BAR_SIZE="1 hour",
    ) as server:
        yield server


def said(server: Running, *arguments: str, cwd: Path) -> str:
    done = run(*arguments, "--url", server.banner["url"], cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_how_an_instrument_stands(server: Running, tmp_path: Path) -> None:
    told = said(server, "signals", "aapl", cwd=tmp_path)
    assert all(name in told for name in (*BUILT_IN, "every"))
    assert "It is said at every bar" in told
    one = ("signals", "AAPL", "--strategy", "macd", "--size", "1 day", "--json")
    (found,) = json.loads(said(server, *one, cwd=tmp_path))["signals"]
    assert (found["strategy"], found["bar_size"]) == ("macd", "1 day")


def test_the_watch_list(server: Running, tmp_path: Path) -> None:
    told = said(server, "signals", cwd=tmp_path)
    assert "2 of 2; nothing is to be done of the others" in told
    assert "IB knows no STK contract NOSUCH" in told


def test_strategies(server: Running, tmp_path: Path) -> None:
    told = said(server, "strategies", cwd=tmp_path)
    assert all(name in told for name in (*BUILT_IN, "every", "broken", "no_such_package"))
    assert "period 14" in told


def test_what_is_refused(server: Running, tmp_path: Path) -> None:
    done = run("signals", "A/B?", "--url", server.banner["url"], cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr
    done = run("signals", "AAPL", "--size", "1 fortnight", "--url", server.banner["url"], cwd=tmp_path)
    assert (done.returncode, done.stderr[:8]) == (1, "invalid:")
