"""One client's connection, byte by byte, without a socket."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.connection import (
    TRANSITIONS,
    ClientStarted,
    Connection,
    ConnectionFailed,
    ConnectionState,
    RequestReceived,
)
from trademind.gateway.wire.fields import encode_fields
from trademind.gateway.wire.frames import FrameBuffer, encode_frame
from trademind.gateway.wire.messages import next_valid_id

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def message(*values: Any) -> bytes:
    return encode_frame(encode_fields(values))


def hello(offer: bytes = b"v100..178") -> bytes:
    return b"API\0" + encode_frame(offer)


def events(connection: Connection) -> list[Any]:
    return list(iter(connection.next_event, None))


def frames(data: bytes) -> list[list[bytes]]:
    buffer = FrameBuffer()
    buffer.feed(data)
    return [payload.split(b"\0")[:-1] for payload in iter(buffer.next_frame, None)]


SESSION = hello(b"v100..226") + message(71, 2, 3, "") + message(61, 1) + message(81, 5, "apple")


def test_a_whole_session_at_once() -> None:
    connection = Connection(NOON)
    connection.receive_data(SESSION)

    assert events(connection) == [
        ClientStarted(3),
        RequestReceived(["61", "1"]),
        RequestReceived(["81", "5", "apple"]),
    ]
    assert connection.version == 200
    assert frames(connection.data_to_send()) == [[b"200", b"20261123 12:00:00 EST"]]
    assert connection.data_to_send() == b""


@given(st.lists(st.integers(0, len(SESSION)), max_size=30))
def test_a_session_in_pieces(cuts: list[int]) -> None:
    connection, found = Connection(NOON), []
    edges = sorted({0, len(SESSION), *cuts})

    for begin, end in pairwise(edges):
        connection.receive_data(SESSION[begin:end])
        found += events(connection)

    assert [type(event) for event in found] == [ClientStarted, RequestReceived, RequestReceived]


def test_messages_are_laid_out_for_the_version_and_framed() -> None:
    connection = Connection(NOON)
    connection.receive_data(hello() + message(71, 2, 3, ""))
    events(connection)
    connection.data_to_send()

    connection.send(next_valid_id(7))

    assert frames(connection.data_to_send()) == [[b"9", b"1", b"7"]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET /", "begins with"),
        (b"A\0", "begins with"),
        (b"API\0\x7f\xff\xff\xff", "2147483647 bytes"),
        (hello(b"nonsense"), "not a version range"),
        (hello(b"v201..226"), "no version in common"),
        (hello() + message(61, 1), "message 61 before the API was started"),
        (hello() + message(71, 2), "ends after"),
        (hello() + message("x"), "without an id"),
        (hello() + encode_frame(b""), "without an id"),
    ],
)
def test_what_is_not_the_protocol(data: bytes, reason: str) -> None:
    connection = Connection(NOON)
    connection.receive_data(data + message(61, 1))

    (event,) = events(connection)

    assert isinstance(event, ConnectionFailed)
    assert reason in event.reason
    assert connection.state is ConnectionState.CLOSED


def test_a_client_without_a_common_version_is_told() -> None:
    connection = Connection(NOON)
    connection.receive_data(hello(b"v100..156"))
    events(connection)

    ((kind, _, req_id, code, text),) = frames(connection.data_to_send())

    assert (kind, req_id, code) == (b"4", b"-1", b"506")
    assert b"157 to 200" in text


def test_after_the_end_nothing_is_read_or_sent() -> None:
    connection = Connection(NOON)
    connection.receive_data(SESSION)
    connection.close()
    connection.close()

    connection.receive_data(SESSION)
    connection.send(next_valid_id(7))

    assert events(connection) == []
    assert connection.data_to_send() == b""


def test_every_state_leads_to_the_end() -> None:
    assert set(TRANSITIONS) == set(ConnectionState)
    for state, following in TRANSITIONS.items():
        assert (ConnectionState.CLOSED in following) == (state is not ConnectionState.CLOSED)
