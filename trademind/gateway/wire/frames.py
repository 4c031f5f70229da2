"""Frames: a four-byte big-endian length, then that many bytes.

Strategy: bytes are gathered in one buffer and cut from its front. The length is judged before anything
is awaited or allocated, so a prefix that promises two gigabytes costs its sender the connection and
this side nothing.
"""

import struct
from collections.abc import Iterator
from typing import Final

MAX_FRAME: Final = 1 << 20
"""Longest frame taken from a client, in bytes. The longest real request, an order with a few hundred
algo parameters, is some tens of kilobytes."""

_LENGTH = struct.Struct(">I")


class ProtocolError(Exception):
    """What came in is not the TWS protocol; the connection cannot be continued."""


def encode_frame(payload: bytes) -> bytes:
    return _LENGTH.pack(len(payload)) + payload


def split_frames(frames: bytes) -> Iterator[bytes]:
    """The payloads of whole frames, one after the other."""
    start = 0
    while start < len(frames):
        (length,) = _LENGTH.unpack_from(frames, start)
        start += _LENGTH.size
        yield frames[start : start + length]
        start += length


class FrameBuffer:
    """Gathers received bytes and gives back whole payloads."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0

    def __len__(self) -> int:
        """How many bytes wait here, whole frames or not."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def take(self, count: int) -> bytes | None:
        """The next `count` bytes, or None while there are fewer."""
        if len(self) < count:
            return None
        taken = bytes(self._buffer[self._start : self._start + count])
        self._start += count
        return taken

    def peek(self, count: int) -> bytes:
        """Up to `count` bytes from the front, which stay there."""
        return bytes(self._buffer[self._start : self._start + count])

    def next_frame(self) -> bytes | None:
        """The payload of the next frame, or None while it is incomplete.

        Raises:
            ProtocolError: the frame would be longer than `MAX_FRAME`.
        """
        head = self.peek(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        if length > MAX_FRAME:
            raise ProtocolError(f"a frame of {length} bytes; {MAX_FRAME} are allowed")
        if len(self) < _LENGTH.size + length:
            return None
        self._start += _LENGTH.size
        return self.take(length)
