"""`trademind bars --follow` on a real server, whose market is fast."""

import json
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.running import PATIENCE, Running, environment, running
from trademind.cli import app

FAST = ("server", "start", "--speed", "60", "--port", "0")


def follow(url: str, *options: str, lines: int) -> list[str]:
    """The first lines, after which it is interrupted as by Ctrl-C."""
    command = [sys.executable, "-m", "trademind", "bars", "AAPL", "--follow", "--url", url, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        try:
            return [process.stdout.readline() for _ in range(lines)]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130


def test_each_bar_comes_when_it_has_ended(tmp_path: Path) -> None:
    """As a line for people and as JSON for programs, the same as those that are stored then."""
    with running(*FAST, cwd=tmp_path) as server:
        url = server.banner["url"]
        bars = [json.loads(each) for each in follow(url, "--size", "1 min", "--json", lines=3)]
        times = [datetime.fromisoformat(bar["time"]) for bar in bars]
        assert [later - times[0] for later in times] == [timedelta(minutes=number) for number in range(3)]
        assert [(bar["symbol"], bar["bar_size"], bar["complete"]) for bar in bars] == [
            ("AAPL", "1 min", True)
        ] * 3
        command = ["bars", "AAPL", "--size", "1 min", "--start", bars[0]["time"], "--json", "--url", url]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        stored = json.loads(result.stdout)["bars"][:3]
        figures = ("time", "open", "high", "low", "close", "volume", "wap", "count")
        assert [[bar[name] for name in figures] for bar in stored] == [
            [bar[name] for name in figures] for bar in bars
        ]
        (line,) = follow(url, "--size", "1 min", "--what", "midpoint", lines=1)
        assert line.split()[1] == "AAPL"
        assert line.split()[-1] == "-", "there is no volume"


@pytest.mark.parametrize("options", [["--plot"], ["--duration", "2 D"], ["--start", "2026-01-30T15:00:00Z"]])
def test_what_does_not_go_with_it(server: Running, options: list[str]) -> None:
    command = ["bars", "AAPL", "--follow", "--url", server.banner["url"], *options]
    assert CliRunner().invoke(app, command).exit_code == 2


def test_a_size_that_there_is_not(server: Running) -> None:
    command = ["bars", "AAPL", "--follow", "--size", "7 mins", "--url", server.banner["url"]]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert "bar_size" in result.output
