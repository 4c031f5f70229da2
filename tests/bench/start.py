"""How long it takes from nothing to the first answer: a gateway is started, and a client logs on."""

import socket
import struct
import time

from tests.bench.report import percentiles, show
from trademind.testing import PaperGateway

ANSWER = b"49\0001\000"
"""How the message with the gateway's time begins."""


async def table(quick: bool) -> None:
    times = 10 if quick else 100
    show(
        f"A paper gateway in a test, from its start to the first answer, {times} times",
        ("", "p50 ms", "p99 ms"),
        [("start to first answer", *percentiles(first_answers(times)))],
    )


def _frame(*fields: object) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def first_answers(rounds: int) -> list[float]:
    """Seconds from the start of a gateway to the answer to the first request, in each round but the first,
    which loads the code."""
    took = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        gateway = PaperGateway()
        gateway.open()
        with socket.create_connection((gateway.host, gateway.port)) as client:
            offer = b"v100..178"
            hello = b"API\0" + struct.pack(">I", len(offer)) + offer
            client.sendall(hello + _frame(71, 2, 1, "") + _frame(49, 1))
            heard = b""
            while ANSWER not in heard:
                piece = client.recv(65_536)
                assert piece, "the gateway hung up"
                heard += piece
            took.append(time.perf_counter() - began)
        gateway.close()
    return took[1:]
