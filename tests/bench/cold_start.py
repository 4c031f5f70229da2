"""A cold start: from the command to a server that is ready, beside what importing its libraries takes."""

import os
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from tests.bench.report import percentiles, show
from tests.processes import free_port

LIBRARIES: Final = "import fastapi, uvicorn, ib_async"
LOOK: Final = 0.005
"""Seconds between two questions whether the server is ready."""
PATIENCE: Final = 30.0


async def table(quick: bool) -> None:
    times = 3 if quick else 10
    with tempfile.TemporaryDirectory() as folder:  # compiled, and read from the disk
        _ready_time(Path(folder))
    alone: list[float] = []
    first: list[float] = []
    again: list[float] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            alone.append(_import_time(Path(folder)))
            first.append(_ready_time(Path(folder)))
            again.append(_ready_time(Path(folder)))
    show(
        f"From the command to ready, {times} times",
        ("command", "p50 ms", "p99 ms"),
        (
            (name, *percentiles(seconds, digits=0))
            for name, seconds in (
                (f'python -c "{LIBRARIES}"', alone),
                ("trademind server start, new account and journal", first),
                ("trademind server start, again", again),
            )
        ),
    )


def _start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TRADEMIND_DATA_DIR": str(folder / "data"),
        "TRADEMIND_SERVER__LOG_LEVEL": "warning",
    }
    # Compiled once, as anywhere but where that is switched off.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    )


def _import_time(folder: Path) -> float:
    began = time.perf_counter()
    _start(folder, "-c", LIBRARIES).wait()
    return time.perf_counter() - began


def _ready_time(folder: Path) -> float:
    port = free_port()
    began = time.perf_counter()
    process = _start(folder, "-m", "trademind", "server", "start", "--port", str(port))
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() > began + PATIENCE:
                raise RuntimeError("the server did not get ready")
            time.sleep(LOOK)  # a server tells nobody when it is ready: it is asked until it is
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
