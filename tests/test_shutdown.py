"""Stopping a real server process while something is under way: it says so, ends in order and in time.

Whatever state the session is in, SIGTERM ends the process with 0 within `WITHIN` seconds.
"""

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.processes import free_port, running

WITHIN = 5.0
ORDER = {"symbol": "AAPL", "side": "BUY", "quantity": 1, "order_type": "LMT", "limit_price": "1.00"}

Process = subprocess.Popen[bytes]


@contextmanager
def gateway_of_its_own() -> Iterator[tuple[Process, int]]:
    port = free_port()
    with running(["trademind", "gateway", "start", "--port", str(port)], port) as process:
        yield process, port


@contextmanager
def server_of(gateway_port: int, folder: Path, ready: str = "/readyz") -> Iterator[tuple[Process, int]]:
    """A server process whose gateway is, or is not, at that port."""
    port = free_port()
    with running(
        ["trademind", "server", "start", "--port", str(port)],
        port,
        ready,
        TRADEMIND_BROKER="ibkr",
        TRADEMIND_IBKR__PORT=str(gateway_port),
        TRADEMIND_DATA_DIR=str(folder),
    ) as process:
        yield process, port


def stop(process: Process) -> None:
    """SIGTERM, and the end that is promised."""
    start = time.monotonic()
    process.terminate()
    assert process.wait(timeout=WITHIN + 5) == 0
    assert time.monotonic() - start < WITHIN


def state_of(port: int) -> str:
    return str(httpx.get(f"http://127.0.0.1:{port}/api/system/connection").json()["state"])


def test_a_ready_server_stops(tmp_path: Path) -> None:
    with gateway_of_its_own() as (_, gateway_port), server_of(gateway_port, tmp_path) as (server, port):
        assert state_of(port) == "ready"
        stop(server)


def test_a_server_with_its_own_paper_gateway_stops(tmp_path: Path) -> None:
    port = free_port()
    with running(
        ["trademind", "server", "start", "--port", str(port)],
        port,
        "/readyz",
        TRADEMIND_DATA_DIR=str(tmp_path),
    ) as server:
        stop(server)


def test_a_server_without_a_gateway_stops(tmp_path: Path) -> None:
    with server_of(free_port(), tmp_path, "/healthz") as (server, port):
        assert state_of(port) in ("disconnected", "connecting")
        stop(server)


def test_a_server_stops_in_the_middle_of_connecting(tmp_path: Path) -> None:
    """Something listens, accepts, and never says a word."""
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        server_of(mute.getsockname()[1], tmp_path, "/healthz") as (server, port),
    ):
        assert state_of(port) == "connecting"
        stop(server)


def test_a_server_stops_while_its_gateway_hangs(tmp_path: Path) -> None:
    """Nothing that is still to be said to the gateway can be, and nobody waits for it."""
    with (
        gateway_of_its_own() as (gateway, gateway_port),
        server_of(gateway_port, tmp_path) as (server, port),
        ThreadPoolExecutor(2) as pool,
    ):
        url = f"http://127.0.0.1:{port}"
        gateway.send_signal(signal.SIGSTOP)
        try:
            asked = [
                pool.submit(httpx.get, f"{url}/api/market/quotes?symbols=MSFT", timeout=20),
                pool.submit(httpx.get, f"{url}/api/market/bars?symbol=IBM", timeout=20),
            ]
            time.sleep(0.5)  # until both are under way
            stop(server)
        finally:
            gateway.send_signal(signal.SIGCONT)
        assert {answer.result().status_code for answer in asked} == {503}


def test_whoever_waits_for_an_order_is_told_that_its_outcome_is_unknown(tmp_path: Path) -> None:
    """A gateway that has stopped answering, an order under way, and SIGTERM: no false "safe to repeat"."""
    with (
        gateway_of_its_own() as (gateway, gateway_port),
        server_of(gateway_port, tmp_path) as (server, port),
        ThreadPoolExecutor(1) as pool,
    ):
        url = f"http://127.0.0.1:{port}/api/orders"
        assert httpx.post(url, json=ORDER, timeout=20).status_code == 201
        gateway.send_signal(signal.SIGSTOP)
        try:
            waiting = pool.submit(httpx.post, url, json=ORDER | {"client_order_id": "mute"}, timeout=20)
            time.sleep(0.5)  # until the order is under way; earlier it would be refused, and safe to repeat
            stop(server)
            answer = waiting.result()
        finally:
            gateway.send_signal(signal.SIGCONT)
        assert answer.status_code == 504
        assert answer.json()["code"] == "order_outcome_unknown"
        assert answer.json()["retry_safe"] is False
        assert "mute" in answer.json()["detail"]


def test_new_orders_are_refused_while_the_server_stops(tmp_path: Path) -> None:
    """On a connection that is open already, while an order under way keeps the server from ending at once."""
    with (
        gateway_of_its_own() as (gateway, gateway_port),
        server_of(gateway_port, tmp_path) as (server, port),
        ThreadPoolExecutor(2) as pool,
        ExitStack() as stack,
    ):
        url = f"http://127.0.0.1:{port}/api/orders"
        assert httpx.post(url, json=ORDER, timeout=20).status_code == 201
        body = json.dumps(ORDER | {"client_order_id": "late"}).encode()
        head = (
            f"POST /api/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        half_sent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        half_sent.sendall(head.encode() + body[:10])
        gateway.send_signal(signal.SIGSTOP)
        try:
            pool.submit(httpx.post, url, json=ORDER | {"client_order_id": "mute"}, timeout=20)
            time.sleep(0.5)
            ended = pool.submit(stop, server)
            time.sleep(0.5)  # it is stopping now, and waits for the order
            half_sent.sendall(body[10:])
            answer = half_sent.makefile("rb").read()
            ended.result()
        finally:
            gateway.send_signal(signal.SIGCONT)
    assert b" 503 " in answer.splitlines()[0]
    assert b"shutting_down" in answer


async def told_until_the_end(websocket: ClientConnection) -> AsyncIterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield await websocket.recv()


async def test_streams_are_told_before_they_are_closed(tmp_path: Path) -> None:
    with gateway_of_its_own() as (_, gateway_port), server_of(gateway_port, tmp_path) as (server, port):
        address = f"ws://127.0.0.1:{port}/api/stream"
        async with connect(address) as reading, connect(address) as idle:
            await reading.send(json.dumps({"action": "subscribe", "channels": {"orders": True}}))
            frames = [json.loads(await reading.recv()) for _ in range(2)]
            await asyncio.to_thread(stop, server)
            for websocket in (reading, idle):
                frames += [json.loads(text) async for text in told_until_the_end(websocket)]
                assert websocket.close_code == 1012
    kinds = [(frame["type"], frame.get("data")) for frame in frames]
    assert [kind for kind, _ in kinds] == ["ack", "snapshot", "gap", "gap"]
    assert kinds[2][1]["reason"] == "the server is stopping"
