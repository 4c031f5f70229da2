"""`trademind orders --watch`: how orders stand, then what happens, over restarts of the server."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner

from tests.cli.running import PATIENCE, Running, environment, running
from tests.processes import free_port
from trademind.cli import app
from trademind.domain import Channel
from trademind.journal import open_journal


class Watching:
    """The command in a process of its own, whose lines are read as they come."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._read = b""

    def line(self) -> str:
        """The next line; empty where the command has ended."""
        assert self.process.stdout is not None
        while b"\n" not in self._read:
            readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert readable, "nothing came"
            if not (data := os.read(self.process.stdout.fileno(), 65536)):
                return ""
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        return line.decode() + "\n"

    def until(self, text: str) -> list[str]:
        """The lines up to the one with `text` in it."""
        lines = [self.line()]
        while text not in lines[-1]:
            assert lines[-1], f"it has ended, after {lines}"
            lines.append(self.line())
        return lines

    def stop(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(url: str, folder: Path, *options: str) -> Iterator[Watching]:
    command = [sys.executable, "-m", "trademind", "orders", "--watch", "--url", url, *options]
    with (
        (folder / "watch.txt").open("a") as errors,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            yield Watching(process)
        finally:
            if process.poll() is None:
                process.kill()


def place(url: str, key: str, **terms: Any) -> None:
    body = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "client_order_id": key, **terms}
    answer = httpx.post(f"{url}/api/orders", json=body)
    assert answer.status_code == 201, answer.text


RESTING = {"order_type": "LMT", "limit_price": "1.00"}


def test_people_see_a_table_and_then_a_line_for_each_event(server: Running, tmp_path: Path) -> None:
    url = server.banner["url"]
    place(url, "stands", **RESTING)
    place(url, "done")
    with watching(url, tmp_path, "--symbol", "aapl") as watch:
        table = "".join(watch.until("stands"))
        assert "working orders as of" in table
        assert "done" not in table
        place(url, "other", **RESTING, symbol="MSFT")
        place(url, "comes", **RESTING)
        httpx.delete(f"{url}/api/orders/comes")
        lines = [line for line in watch.until("  canceled") if line.strip()]
        assert all("comes" in line for line in lines), lines
        assert [line.split()[1] for line in lines if line.split()[1] != "updated"][:2] == ["new", "accepted"]
        assert "BUY 1 AAPL LMT limit 1.00" in lines[-1]
        assert watch.stop() == 130
    assert (tmp_path / "watch.txt").read_text() == ""


def test_programs_get_every_event_once_over_a_crash_of_the_server(tmp_path: Path) -> None:
    """Seen to fail with a connection that begins anew instead of going on."""
    port = str(free_port())
    with running("server", "start", "--port", port, cwd=tmp_path) as first:
        url = first.banner["url"]
        with watching(url, tmp_path, "--json") as watch:
            found = json.loads(watch.until('"snapshot"')[-1])
            assert found["data"] == []
            place(url, "one")
            place(url, "two", **RESTING)
            lines = watch.until('"two"')
            first.process.kill()
            first.process.wait()
            with running("server", "start", "--port", port, cwd=tmp_path) as second:
                place(url, "three")
                lines += watch.until('"three"')
                lines += watch.until('"filled"') if '"filled"' not in lines[-1] else []
                second.stop()
                frames = [json.loads(line) for line in lines]
                assert {frame["type"] for frame in frames} <= {"event", "gap", "resumed"}
                seen = [frame["seq"] for frame in frames if frame["type"] == "event"]
                assert watch.stop() == 130
    assert "the server is away" in (tmp_path / "watch.txt").read_text()

    (path,) = tmp_path.rglob("journal.db")

    async def written() -> list[int]:
        async with open_journal(path) as journal:
            events = await journal.reading.events_since(found["seq"], channels=[Channel.ORDERS])
        return [event.seq for event in events]

    assert seen == asyncio.run(written())[: len(seen)]
    assert len(seen) >= 6


def test_no_server_is_exit_code_3() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, ["orders", "--watch", "--url", url], catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("server_unreachable: ")
