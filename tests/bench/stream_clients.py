"""Clients of a quote stream, as many as are asked for, in one process.

    python -m tests.bench.stream_clients PORT CLIENTS SECONDS WARM_UP SUBSCRIPTION

They speak WebSocket over bare sockets and look into one frame in so many only, so that it is the server that
is measured. The size of a bid is when the gateway sent it, in milliseconds (`fanout.StampedFeed`). Prints
`ready` when it begins to measure, and then one JSON line: values received in a second, and how old they were
in milliseconds (p50, p99).
"""

import json
import select
import socket
import sys
import time
from contextlib import ExitStack
from typing import Final

import orjson

from tests.bench.load import quantile

LOOK_INTO: Final = 7
"""Every so manieth frame is parsed for the ages of its values; the others' values are only counted."""
WRAP: Final = 10_000_000
"""Milliseconds after which the stamp begins anew: a float has them all."""
READ_EVERY: Final = 20
"""Clients that are let in until those that are there are read from."""
STALLED: Final = 60.0
"""Seconds in which every client has to be let in."""


def stamp() -> int:
    """Now, as the feed writes it into its quotes."""
    return int(time.time() * 1000) % WRAP


class StreamClient:
    """One client, which never asks for more after it has subscribed."""

    def __init__(self, port: int, subscription: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=STALLED)
        self.socket.sendall(
            b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % port
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.socket.recv(1)
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            raise RuntimeError(answer.decode())
        self.socket.sendall(_masked(subscription))
        self.socket.setblocking(False)
        self._buffer = bytearray()

    def frames(self) -> list[bytes]:
        """The texts that have come."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return []
        if not data:
            raise RuntimeError("the server hung up")
        buffer, found = self._buffer, []
        buffer += data
        at = 0
        while len(buffer) - at >= 10:
            code, size, begin = buffer[at] & 0x0F, buffer[at + 1] & 0x7F, at + 2
            if size == 126:
                size, begin = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < begin + size:
                break
            at = begin + size
            if code == 9:
                self.socket.send(_masked(bytes(buffer[begin:at]), opcode=0x8A))
            elif code == 8:
                raise RuntimeError(f"the server has closed the stream: {bytes(buffer[begin:at])!r}")
            else:
                found.append(bytes(buffer[begin:at]))
        del buffer[:at]
        return found


def _masked(data: bytes, opcode: int = 0x81) -> bytes:
    """A frame as a client sends it, by a mask of zeros."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return bytes([opcode]) + length + bytes(4) + data


def measure(port: int, clients: int, seconds: float, warm_up: float, subscription: str) -> dict[str, float]:
    """See the module."""
    by_fd: dict[int, StreamClient] = {}
    with select.epoll() as poll, ExitStack() as stack:
        for number in range(clients):
            client = StreamClient(port, subscription.encode())
            stack.enter_context(client.socket)
            by_fd[client.socket.fileno()] = client
            poll.register(client.socket.fileno(), select.EPOLLIN)
            if number % READ_EVERY == 0:
                # What waits in their sockets would count as delivered later.
                for fd, _ in poll.poll(0):
                    by_fd[fd].frames()
        _read(poll, by_fd, warm_up)
        print("ready", flush=True)
        began = time.monotonic()
        values, ages = _read(poll, by_fd, seconds)
        elapsed = time.monotonic() - began
    return {
        "values_per_second": values / elapsed,
        "p50": quantile(ages, 0.5) if ages else 0.0,
        "p99": quantile(ages, 0.99) if ages else 0.0,
    }


def _read(poll: select.epoll, by_fd: dict[int, StreamClient], seconds: float) -> tuple[int, list[float]]:
    """Read for so long: how many values came, and how old those looked into were."""
    values, ages, number = 0, [], 0
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest):
            for text in by_fd[fd].frames():
                values += text.count(b'"bid_size":')
                number += 1
                if number % LOOK_INTO == 0:
                    ages += _ages(text)
    return values, ages


def _ages(text: bytes) -> list[float]:
    now, data = stamp(), orjson.loads(text).get("data", ())
    quotes = data if isinstance(data, list) else [data]
    return [(now - quote["bid_size"]) % WRAP / 1000 for quote in quotes if quote.get("bid_size")]


if __name__ == "__main__":
    arguments = sys.argv[1:]
    result = measure(
        int(arguments[0]), int(arguments[1]), float(arguments[2]), float(arguments[3]), arguments[4]
    )
    print(json.dumps(result))
