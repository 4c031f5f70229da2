"""A TCP proxy between a client and the paper gateway that understands frames, and can spoil them.

The gateway behind it is real; only what passes on the way is changed: messages withheld, replaced, added,
or the connection cut. Message ids are those of the TWS protocol's text messages.
"""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

Rewrite = Callable[[list[str]], list[str] | None]
"""From the fields of a message to those that are passed on; None withholds it."""


class Proxy:
    """`async with Proxy(port) as proxy:` and have the client connect to `proxy.port`."""

    def __init__(self, gateway_port: int) -> None:
        self._gateway_port = gateway_port
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._clients: list[asyncio.StreamWriter] = []
        self.from_gateway: dict[int, Rewrite] = {}
        """What is done to the gateway's messages, by message id."""
        self.from_client: dict[int, Rewrite] = {}
        self.sent_by_client: list[list[str]] = []
        """The fields of every message of a client, whether it was passed on or not."""
        self.is_up = True
        """While this is False, connections are accepted and closed at once."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._links, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection, without a word."""
        for writer in self._clients:
            writer.transport.abort()
        self._clients.clear()

    def say(self, *fields: object) -> None:
        """Send a message to every client, as if the gateway had."""
        for writer in self._clients:
            writer.write(frame_of([str(field) for field in fields]))

    async def pour(self, frames: bytes) -> None:
        """Send whole frames to every client as they are, and wait while a client has much to take."""
        for writer in self._clients:
            writer.write(frames)
            await writer.drain()

    def error(self, req_id: int, code: int, message: str) -> None:
        """Send an error message, in the layout of server version 178."""
        self.say(4, 2, req_id, code, message, "")

    def count(self, message_id: int) -> int:
        """How many messages of that id the clients have sent."""
        return sum(1 for fields in self.sent_by_client if fields[0] == str(message_id))

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        gateway_writer = None
        try:
            if not self.is_up:
                return
            gateway_reader, gateway_writer = await asyncio.open_connection("127.0.0.1", self._gateway_port)
            self._clients.append(writer)
            gateway_writer.write(await reader.readexactly(4))  # API\0
            gateway_writer.write(await _raw_frame(reader))  # the version range
            writer.write(await _raw_frame(gateway_reader))  # the version agreed
            pumps = [
                asyncio.ensure_future(self._pump(reader, gateway_writer, self.from_client, True)),  # noqa: TID251
                asyncio.ensure_future(self._pump(gateway_reader, writer, self.from_gateway, False)),  # noqa: TID251
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # either side has gone: so goes the other
        finally:
            ends = [end for end in (writer, gateway_writer) if end is not None]
            for end in ends:  # both before anything is waited for: the wait may be cancelled
                end.close()
            try:
                for end in ends:
                    with suppress(ConnectionError):
                        await end.wait_closed()
            finally:
                self._links.discard(task)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        rewrites: dict[int, Rewrite],
        is_client: bool,
    ) -> None:
        while True:
            frame = await _raw_frame(reader)
            fields = frame[4:].decode().split("\0")[:-1]
            if is_client:
                self.sent_by_client.append(fields)
            rewrite = rewrites.get(int(fields[0]))
            if rewrite is not None:
                changed = rewrite(fields)
                if changed is None:
                    continue
                frame = frame_of(changed)
            writer.write(frame)


async def _raw_frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack(">I", head)[0])


def frame_of(fields: list[str]) -> bytes:
    """A message as it is on the wire."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def withhold(fields: list[str]) -> None:
    """A rewrite that lets nothing pass."""
