"""`trademind watch` on a real server: line by line, as JSON, on a screen, and over a restart.

How a test was seen to fail is said at the end of its docstring.
"""

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from tests.cli.running import PATIENCE, Running, environment, run, running
from tests.processes import free_port
from trademind.cli import app
from trademind.cli.live import Board

QUOTE: dict[str, Any] = {
    "symbol": "AAPL", "con_id": 265598, "bid": 150.0, "ask": 150.02, "bid_size": 100.0, "ask_size": 300.0,
    "last": 150.01, "close": 149.0, "volume": 1_234_567.0, "stale": False,
    "as_of": "2026-01-30T15:30:00.250000Z",
}  # fmt: skip


def watch(server: Running, *arguments: str) -> Result:
    command = ["watch", *arguments, "--url", server.banner["url"]]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_a_line_for_each_quote(server: Running) -> None:
    result = watch(server, "AAPL", "MSFT", "--count", "6")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    assert {line.split()[1] for line in lines} == {"AAPL", "MSFT"}
    assert all(" last " in line for line in lines)


def test_programs_get_json(server: Running) -> None:
    """Each with the fields of a quote of the API, at most every so often."""
    result = watch(server, "AAPL", "--json", "--count", "3", "--interval", "500")
    quotes = [json.loads(line) for line in result.stdout.splitlines()]
    assert [quote["symbol"] for quote in quotes] == ["AAPL"] * 3
    assert {"bid", "ask", "last", "missing", "greeks", "stale", "as_of"} <= quotes[0].keys()


def test_it_ends_after_some_seconds(server: Running) -> None:
    """Also where nothing comes."""
    began = time.monotonic()
    assert watch(server, "AAPL", "--seconds", "1").exit_code == 0
    assert time.monotonic() - began < 5


def test_what_cannot_be_followed_is_told_and_the_rest_goes_on(server: Running) -> None:
    result = watch(server, "NOSUCH", "AAPL", "--count", "2")
    assert result.exit_code == 0
    assert {line.split()[1] for line in result.stdout.splitlines()} == {"AAPL"}
    assert result.stderr.startswith("NOSUCH: contract_not_found: ")
    alone = watch(server, "NOSUCH")
    assert (alone.exit_code, alone.stdout) == (1, "")
    assert alone.stderr.startswith("contract_not_found: ")


def test_a_number_is_a_con_id(server: Running) -> None:
    """Of what has no symbol of its own, such as a currency; seen to fail with numbers as symbols."""
    result = watch(server, "12087792", "7", "--count", "1")
    assert result.stdout.split()[1] == "EUR"
    assert result.stderr.startswith("7: contract_not_found: ")


@pytest.mark.parametrize("arguments", [[], ["--interval", "-1"], ["AAPL", "--interval", "1001"]])
def test_wrong_usage(server: Running, arguments: list[str]) -> None:
    assert watch(server, *arguments).exit_code == 2


def test_no_server_is_exit_code_3() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, ["watch", "AAPL", "--url", url], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (3, "")


def test_it_goes_on_over_a_restart_of_the_server(tmp_path: Path) -> None:
    """Seen to fail with a command that asks only once."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    with (
        running("server", "start", "--port", port, cwd=tmp_path) as first,
        (tmp_path / "watch.txt").open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "trademind", "watch", "AAPL", "--json", "--url", url],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            assert _line(process)["symbol"] == "AAPL"
            first.process.kill()
            first.process.wait()
            killed = datetime.now(UTC)
            with running("server", "start", "--port", port, cwd=tmp_path):
                deadline = time.monotonic() + PATIENCE
                while datetime.fromisoformat(_line(process)["as_of"]) < killed:
                    assert time.monotonic() < deadline
        finally:
            process.kill()
    assert "the server is away" in (tmp_path / "watch.txt").read_text()


def _line(process: "subprocess.Popen[bytes]") -> Any:
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert readable, "nothing came"
    return json.loads(process.stdout.readline())


def test_a_screen_shows_a_table(server: Running, tmp_path: Path) -> None:
    """In a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "trademind", "watch", "AAPL", "SPY", "--seconds", "2"]
    with subprocess.Popen(
        [*command, "--url", server.banner["url"]],
        cwd=tmp_path,
        env=environment(TERM="xterm-256color", COLUMNS="110", LINES="30"),
        stdout=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the other end has been closed
            while data := os.read(ours, 65536):
                shown += data
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    text = shown.decode()
    assert "symbol" in text
    assert "AAPL" in text
    assert "SPY" in text
    assert "\x1b[" in text


def picture(board: Board, width: int = 110) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(board)
    return capture.get()


def test_what_rises_is_green_and_what_falls_red() -> None:
    board = Board()
    board.take("quotes", QUOTE)
    board.take("quotes", {**QUOTE, "last": 150.02})
    assert board.directions == {265598: "green"}
    board.take("quotes", {**QUOTE, "last": None})
    board.take("quotes", {**QUOTE, "last": 148.0})
    assert board.directions == {265598: "green"}, "nothing was known to fall from"
    board.take("quotes", {**QUOTE, "last": 147.0})
    assert board.directions == {265598: "red"}


@pytest.mark.parametrize(
    ("width", "seen"),
    [
        (80, {"AAPL", "150.02", "150.01", "+0.68 %", "1234567", "15:30:00", "ARCA"}),
        (50, {"AAPL", "150.02", "150.01", "+0.68 %", "15:30:00", "ARCA"}),
        (24, {"AAPL", "150.01", "149"}),
    ],
)
def test_a_narrow_screen_shows_less_and_that_whole(width: int, seen: set[str]) -> None:
    """Seen to fail with all columns and half of what is in them."""
    board = Board()
    board.take("quotes", QUOTE)
    rows = [{"price": 150.0 - number, "size": 100.0, "market_maker": "ARCA"} for number in range(2)]
    board.take("depth", {**QUOTE, "bids": rows, "asks": rows})
    text = picture(board, width)
    assert [each for each in seen if each not in text] == []
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(map(len, text.splitlines())) <= width


def test_a_book_and_what_is_stale() -> None:
    """Seen to fail with a server that is away and numbers that look alive."""
    board = Board()
    board.take("quotes", dict(QUOTE))
    rows = [{"price": 150.0 - number, "size": 100.0, "market_maker": "ARCA"} for number in range(3)]
    book = {**QUOTE, "bids": rows, "asks": rows[:1]}
    board.take("depth", book)
    text = picture(board)
    assert "15:30:00" in text
    assert "1234567" in text
    assert "+0.68 %" in text
    assert text.count("ARCA") == 4
    assert "stale" not in text
    board.away("connection refused")
    text = picture(board)
    assert "the server is away (connection refused)" in text
    assert text.count("stale") == 2


def test_candles_in_a_terminal(server: Running, tmp_path: Path) -> None:
    url = server.banner["url"]
    drawn = run("bars", "AAPL", "--size", "5 mins", "--plot", "--url", url, cwd=tmp_path)
    lines = drawn.stdout.splitlines()
    assert lines[0] == "AAPL 5 mins"
    assert len(lines) == 25
    assert sum("┤" in line for line in lines) == 6
    assert any("┃" in line for line in lines)
    assert "\x1b[" not in drawn.stdout
