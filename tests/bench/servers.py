"""The servers that are measured beside each other: real processes on loopback."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.processes import free_port, running

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers."""

    port: int
    process: Process


@contextmanager
def trademind(*options: str, gateway: int | None = None) -> Iterator[Server]:
    """TradeMind with a new account and journal, and its paper gateway in the same process, not paced; or
    connected to the gateway at that port."""
    port = free_port()
    elsewhere = {"TRADEMIND_BROKER": "ibkr", "TRADEMIND_IBKR__PORT": str(gateway)} if gateway else {}
    with running(
        ["trademind", "server", "start", "--port", str(port), *options],
        port,
        "/readyz",
        folder=None,
        TRADEMIND_SERVER__LOG_LEVEL="error",
        TRADEMIND_PAPER__PACING="false",
        **elsewhere,
    ) as process:
        yield Server(port, process)


@contextmanager
def bare_fastapi() -> Iterator[Server]:
    """FastAPI alone, see `bare`."""
    port = free_port()
    with running(["tests.bench.bare", str(port)], port, "/account") as process:
        yield Server(port, process)


@contextmanager
def threads_and_queues(gateway_port: int) -> Iterator[Server]:
    """IB's own client in a thread, see `thread_server`."""
    port = free_port()
    with running(["tests.bench.thread_server", str(port), str(gateway_port)], port, "/healthz") as process:
        yield Server(port, process)


@contextmanager
def paper_gateway(*options: str) -> Iterator[Server]:
    """The paper gateway alone."""
    port = free_port()
    with running(
        ["trademind", "gateway", "start", "--port", str(port), *options],
        port,
        TRADEMIND_SERVER__LOG_LEVEL="error",
    ) as process:
        yield Server(port, process)


def gateway_port(server: Server) -> int:
    """Where the paper gateway of a TradeMind listens."""
    return int(httpx.get(f"http://127.0.0.1:{server.port}/api/system/connection").json()["port"])
