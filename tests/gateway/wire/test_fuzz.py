"""What no client would send: random bytes and damaged requests. Nothing fails, grows or hangs.

The frames that are damaged are those of real client libraries. Everything is seeded, so that a failure can be
had again. `TRADEMIND_FUZZ=10` multiplies the amounts.
"""

import asyncio
import logging
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from random import Random

import ib_async
import pytest

from tests.gateway.conversation import AAPL_ID, NOW, LibraryClient, make_core
from tests.gateway.wire import coverage
from trademind.gateway.connection import Connection, ConnectionState, RequestReceived
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.server import PaperGatewayServer
from trademind.gateway.session import Session
from trademind.gateway.wire.fields import FieldError, encode_fields
from trademind.gateway.wire.frames import encode_frame
from trademind.gateway.wire.reading import UnknownRequest, read_request, request_id
from trademind.gateway.wire.requests import REQUESTS

TIMES = int(os.environ.get("TRADEMIND_FUZZ", "1"))
BYTES = 10_000_000 * TIMES
FRAMES = 100_000 * TIMES
HELLO = b"API\0" + encode_frame(b"v100..178")
START = encode_frame(encode_fields((71, 2, 7, "")))
MOST_MEMORY = 32 << 20
"""Bytes that may be held after all of it; a frame may have one megabyte."""

KNOWN = sorted(REQUESTS)

ODD_FIELDS = (
    b"", b"0", b"-1", b"1", b"2147483647", b"-2147483649", b"9" * 19, b"9" * 400, b"1.7976931348623157E308",
    b"1e-400", b"nan", b"inf", b"-inf", b"0x10", b"1_000", "٣".encode(), b"\xff\xfe", b"A" * 5_000, b"\r\n",
    b"%s%n", b"20261123 10:00:00 US/Eastern", b"20261123 10:00:00 ../../etc/passwd", b"../..", b"<x/>",
)  # fmt: skip


def real_frames() -> list[bytes]:
    """A payload of every request, as client libraries write it."""
    return [encode_fields(LibraryClient(make_core(), "ib_async" if version <= 178 else "ibapi", version)
            .written(name, *args)) for name, args, version in coverage.requests().values()]  # fmt: skip


def damaged(payloads: list[bytes], count: int, rng: Random) -> Iterator[bytes]:
    """Payloads of which fields were changed, dropped, doubled or swapped, or bytes flipped."""
    for _ in range(count):
        fields = rng.choice(payloads).split(b"\0")[:-1]
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(fields))
            match rng.randrange(7):
                case 0:
                    fields[at] = rng.choice(ODD_FIELDS)
                case 1 if len(fields) > 1:
                    del fields[at]
                case 2:
                    fields.insert(at, fields[at])
                case 3:
                    fields[at:] = fields[at : at + 1]
                case 4:
                    other = rng.randrange(len(fields))
                    fields[at], fields[other] = fields[other], fields[at]
                case 5 if fields[at]:
                    broken = bytearray(fields[at])
                    broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
                    fields[at] = bytes(broken)
                case _:
                    fields[at] = str(rng.randint(-(2**40), 2**40)).encode()
        yield b"\0".join(fields) + b"\0"


@pytest.fixture(scope="module")
def payloads() -> list[bytes]:
    return real_frames()


ALPHABET = b"0123456789" * 8 + b"\0" * 40 + b"-.+eE:; /ABCDEFSTK" + bytes(range(256))
"""Bytes of which texts like fields are made."""


def noise(rng: Random) -> bytes:
    """Bytes after a handshake: a few that are no frame, a frame of random bytes, or frames like requests."""
    match rng.randrange(4):
        case 0:
            return rng.randbytes(rng.randrange(200))
        case 1:
            return encode_frame(rng.randbytes(rng.randrange(60_000)))
        case 2:
            return encode_frame(b"%d\0" % rng.choice(KNOWN) + rng.randbytes(rng.randrange(20_000)))
    return b"".join(
        encode_frame(b"%d\0" % rng.choice(KNOWN) + bytes(rng.choices(ALPHABET, k=rng.randrange(400))))
        for _ in range(40)
    )


def test_random_bytes_end_a_connection_or_are_refused() -> None:
    """Only bytes that are read count: those behind the end of a connection are not."""
    rng = Random(1)
    tracemalloc.start()
    try:
        read = requests = 0
        while read < BYTES:
            connection = Connection(NOW)
            connection.receive_data((HELLO + START)[: rng.choice((4, 8, 20, 1000, 1000, 1000, 1000))])
            while connection.state is not ConnectionState.CLOSED:
                data = noise(rng)
                read += len(data)
                cut = rng.randrange(len(data) + 1)
                for part in (data[:cut], data[cut:]):
                    connection.receive_data(part)
                    requests += digest(connection)
        assert requests > BYTES // 10_000
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def digest(connection: Connection) -> int:
    """Take all events, and read the requests among them. Returns how many those were."""
    count = 0
    for event in iter(connection.next_event, None):
        if isinstance(event, RequestReceived):
            count += 1
            with suppress(FieldError, UnknownRequest):
                request_id(event.fields, connection.version)
                read_request(event.fields, connection.version)
    connection.data_to_send()
    return count


def drain(core: PaperGateway, session: Session, budget: int = 2_000) -> None:
    """Let a client's requests be served, as far as that ends."""
    for _ in range(budget):
        if not core.step(session):
            return
    session.jobs.clear()


@pytest.mark.parametrize("version", [157, 178, 200])
def test_damaged_requests_are_answered_and_others_go_on(
    payloads: list[bytes], caplog: pytest.LogCaptureFixture, version: int
) -> None:
    core = make_core()
    other = LibraryClient(core, client_id=99)
    rng = Random(version)
    hello = b"API\0" + encode_frame(b"v100..%d" % version) + START
    session = core.open_session()
    session.connection.receive_data(hello)
    slowest = 0.0
    with caplog.at_level(logging.ERROR):
        for number, payload in enumerate(damaged(payloads, FRAMES // 3, rng), 1):
            if not session.is_open:
                core.close(session)
                session = core.open_session()
                session.connection.receive_data(hello)
            session.connection.receive_data(encode_frame(payload))
            begin = time.thread_time()
            drain(core, session)
            slowest = max(slowest, time.thread_time() - begin)
            session.connection.data_to_send()
            if number % 500 == 0:
                for _ in core.pump_steps(core.clock.advance(timedelta(seconds=1))):  # type: ignore[attr-defined]
                    pass
                other.hear()
                assert other.ask("reqCurrentTime") != []
                ((_, details),) = other.ask("reqContractDetails", 1, other.contract(AAPL_ID)).named(
                    "contractDetails"
                )
                assert details.contract.conId == AAPL_ID
    assert not caplog.records, caplog.text
    assert slowest < 5


async def test_damaged_requests_over_sockets_disturb_nobody(
    payloads: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    rng = Random(11)
    async with PaperGatewayServer() as server:
        ib = ib_async.IB()
        await ib.connectAsync("127.0.0.1", server.port, clientId=50, timeout=20)
        try:
            answered = 0
            for round_number in range(20):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(HELLO + START)
                for payload in damaged(payloads, 50, rng):
                    writer.write(encode_frame(payload))
                writer.write(encode_frame(b"49\x001\0"))
                if round_number % 2:
                    writer.write(rng.randbytes(20_000))
                # Either all is answered to the end, or the connection is ended.
                heard = b""
                with suppress(ConnectionResetError):
                    while b"\x0049\x001\0" not in heard:
                        part = await asyncio.wait_for(reader.read(1 << 16), 20)
                        if not part:
                            break
                        heard += part
                answered += len(heard)
                writer.transport.abort()
                now = await asyncio.wait_for(ib.reqCurrentTimeAsync(), 20)
                assert now.year >= 2020
            assert ib.isConnected()
            assert answered > 10_000
        finally:
            ib.disconnect()
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert not [record for record in failures if record.name.startswith("trademind")], caplog.text
