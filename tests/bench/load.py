"""A small HTTP/1.1 load generator: keep-alive connections that each ask again as soon as they are answered.

It speaks just enough HTTP for the servers measured here (answers with a Content-Length) and is several
times faster than a full client, so that it is the server that is measured. Bounded in time, loopback only.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: answers per second, and latencies in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float
    refused: int = 0
    """Answers with another status than the expected one; they are in none of the figures above."""


class _Client(asyncio.Protocol):
    """One connection. Counts whole answers, apart where they have not the expected status."""

    def __init__(
        self, request: Callable[[], bytes], status: int, deadline: float, latencies: list[float]
    ) -> None:
        self._request = request
        self._expected = f"HTTP/1.1 {status}".encode()
        self.refused = 0
        self._deadline = deadline
        self._latencies = latencies
        self._buffer = b""
        self._sent = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._request()
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end_of_head, body = self._buffer.partition(b"\r\n\r\n")
        if not end_of_head:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        if head.startswith(self._expected):
            self._latencies.append(now - self._sent)
        else:
            self.refused += 1
        self._buffer = b""
        if now < self._deadline:
            self._send()
        else:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def get(port: int, path: str, *, seconds: float, connections: int) -> Load:
    """Ask for `path` over `connections` connections for `seconds`. Every answer must be 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    result = await _load(port, lambda: request, 200, seconds, connections)
    assert not result.refused, result
    return result


async def post(
    port: int, path: str, body: Callable[[], Mapping[str, Any]], *, seconds: float, connections: int
) -> Load:
    """Post what `body` gives, each time anew, and expect 201."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"

    def request() -> bytes:
        content = json.dumps(body())
        return f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode()

    return await _load(port, request, 201, seconds, connections)


async def _load(
    port: int, request: Callable[[], bytes], status: int, seconds: float, connections: int
) -> Load:
    latencies: list[float] = []
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients = [
        (
            await loop.create_connection(
                lambda: _Client(request, status, start + seconds, latencies), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    elapsed = time.perf_counter() - start
    refused = sum(client.refused for client in clients)
    return Load(len(latencies) / elapsed, quantile(latencies, 0.5), quantile(latencies, 0.99), refused)


def quantile(seconds: list[float], share: float) -> float:
    """The `share` quantile of `seconds`, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000
