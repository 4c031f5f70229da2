"""Frames survive being cut anywhere, and a length that is too long is refused before anything is kept."""

import struct
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.gateway.wire.frames import MAX_FRAME, FrameBuffer, ProtocolError, encode_frame


@given(payloads=st.lists(st.binary(max_size=50), max_size=8), cuts=st.lists(st.integers(0, 500), max_size=20))
def test_frames_come_out_as_they_went_in(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(encode_frame(payload) for payload in payloads)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut <= len(stream))})
    buffer, received = FrameBuffer(), []

    for begin, end in pairwise(edges):
        buffer.feed(stream[begin:end])
        while (payload := buffer.next_frame()) is not None:
            received.append(payload)

    assert received == payloads
    assert len(buffer) == 0


def test_an_incomplete_frame_waits() -> None:
    buffer = FrameBuffer()
    buffer.feed(encode_frame(b"abc")[:-1])

    assert buffer.next_frame() is None
    buffer.feed(b"c")
    assert buffer.next_frame() == b"abc"


def test_the_longest_frame_is_taken_and_no_longer_one() -> None:
    buffer = FrameBuffer()
    buffer.feed(encode_frame(b"x" * MAX_FRAME))
    assert buffer.next_frame() == b"x" * MAX_FRAME

    buffer.feed(struct.pack(">I", MAX_FRAME + 1))
    with pytest.raises(ProtocolError, match="1048577 bytes"):
        buffer.next_frame()


def test_a_length_of_two_gigabytes_allocates_nothing() -> None:
    buffer = FrameBuffer()
    tracemalloc.start()
    try:
        buffer.feed(struct.pack(">I", 2 << 30) + b"x" * 100)
        with pytest.raises(ProtocolError):
            buffer.next_frame()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000
