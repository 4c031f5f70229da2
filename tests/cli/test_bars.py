"""`trademind bars`: shown, downloaded by the server, and exported, with a server that is stopped in
between."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests.cli.running import environment, run, running
from trademind.cli import app

YEAR = ("--size", "1 day", "--from", "2024-01-01", "--to", "2025-01-01T00:00:00Z")


def bars(*arguments: str, cwd: Path, exit_code: int = 0) -> Any:
    done = run("bars", *arguments, "--json", cwd=cwd)
    assert done.returncode == exit_code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_download_and_export(tmp_path: Path) -> None:
    with running("server", "start", "--port", "0", cwd=tmp_path) as server:
        url = ("--url", server.banner["url"])
        done = bars("download", "AAPL", "msft", *YEAR, *url, cwd=tmp_path)
        assert done["status"] == "done"
        assert done["progress"]["bars_stored"] >= 2 * 366
        again = run("bars", "download", "AAPL", "MSFT", *YEAR, *url, cwd=tmp_path)
        assert (again.returncode, again.stdout) == (0, "AAPL, MSFT: done, 0 bars stored, requests: 0\n")
        shown = run("bars", "AAPL", "--size", "1 day", "--start", "2024-06-03", *url, cwd=tmp_path)
        assert "2024-06-03T00:00:00Z" in shown.stdout
        failed = run("bars", "download", "NOSUCH", *YEAR, *url, cwd=tmp_path)
        assert failed.returncode == 1
        assert "NOSUCH: " in failed.stderr
        # The server may be writing.
        made = bars("export", "aapl", "year.parquet", *YEAR, cwd=tmp_path)
        assert made == {"path": str(tmp_path / "year.parquet"), "bars": 366}
        server.stop()
    table = pq.read_table(tmp_path / "year.parquet")
    assert table.num_rows == 366
    assert table.column("time")[0].as_py().isoformat() == "2024-01-01T00:00:00+00:00"
    bars(
        "export",
        "AAPL",
        "some.csv",
        "--size",
        "1 day",
        "--from",
        "2024-06-03",
        "--to",
        "2024-06-05",
        cwd=tmp_path,
    )
    with (tmp_path / "some.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["time"] for row in rows] == ["2024-06-03T00:00:00.000000Z", "2024-06-04T00:00:00.000000Z"]
    assert float(rows[0]["high"]) >= float(rows[0]["low"]) > 0
    assert float(rows[0]["close"]) == table.column("close")[154].as_py()
    for arguments, code, status in (
        (("export", "AAPL", "some.csv", *YEAR), "settings_invalid", 2),
        (("export", "AAPL", "some.xlsx", *YEAR), "settings_invalid", 2),
        (("export", "TSLA", "other.csv", *YEAR), "not_found", 1),
        (("export", "AAPL", "other.csv", *YEAR, "--all-hours"), "not_found", 1),
        (("export", "AAPL", "other.csv", "--from", "yesterday"), "usage", 2),
        (("download", "AAPL", *YEAR), "server_unreachable", 3),
    ):
        assert bars(*arguments, cwd=tmp_path, exit_code=status)["code"] == code


def test_a_download_goes_on_without_its_command(tmp_path: Path) -> None:
    """Ctrl-C ends the command and not the download; nor does a restart of the server."""
    wanted = ("AAPL", "--size", "1 min", "--from", "2026-01-01", "--to", "2026-02-15")
    with running("server", "start", "--port", "0", cwd=tmp_path) as server:
        url = ("--url", server.banner["url"])
        command = subprocess.Popen(
            [sys.executable, "-m", "trademind", "bars", "download", *wanted, *url],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with command:
            listed: dict[str, Any] = {"status": "unknown"}
            deadline = time.monotonic() + 60
            while listed["status"] != "running" and time.monotonic() < deadline:
                listed = bars("download", *wanted, "--no-wait", *url, cwd=tmp_path)
            time.sleep(1)  # until the command watches it: without a terminal nothing shows that it does
            command.send_signal(signal.SIGINT)
            _, errors = command.communicate(timeout=30)
        assert command.returncode == 130
        assert f"the server goes on with download {listed['id']}" in errors
        server.stop()
    with running("server", "start", "--port", "0", cwd=tmp_path) as server:
        url = ("--url", server.banner["url"])
        done = bars("download", *wanted, *url, cwd=tmp_path)
        assert (done["id"], done["status"]) == (listed["id"], "done")
        made = bars("export", "AAPL", "minutes.parquet", "--size", "1 min", cwd=tmp_path)
        assert made["bars"] == 45 * 1440


@pytest.mark.parametrize("arguments", [(), ("--size", "1 day")])
def test_a_symbol_is_needed(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["bars", *arguments]).exit_code == 2


def test_help_names_the_commands() -> None:
    text = CliRunner().invoke(app, ["bars", "--help"]).stdout
    assert all(f" {command} " in text for command in ("show", "download", "export"))
