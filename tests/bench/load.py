"""A small HTTP/1.1 load generator: keep-alive connections that each ask again as soon as they are answered.

It speaks just enough HTTP for the servers measured here (answers with a Content-Length) and is several
times faster than a full client, so that it is the server that is measured. Bounded in time, loopback only.
"""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: answers per second, and latencies in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float


class _Client(asyncio.Protocol):
    """One connection. Counts whole answers; anything but status 200 fails the run."""

    def __init__(self, request: bytes, deadline: float, latencies: list[float]) -> None:
        self._request = request
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
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end_of_head, body = self._buffer.partition(b"\r\n\r\n")
        if not end_of_head:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._finish(AssertionError(head.decode()))
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
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
    """Ask for `path` over `connections` connections for `seconds`."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    latencies: list[float] = []
    start = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients = [
        (
            await loop.create_connection(
                lambda: _Client(request, start + seconds, latencies), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    elapsed = time.perf_counter() - start
    return Load(len(latencies) / elapsed, quantile(latencies, 0.5), quantile(latencies, 0.99))


def quantile(seconds: list[float], share: float) -> float:
    """The `share` quantile of `seconds`, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1000
