"""A TCP proxy in front of the gateway that plays the network: it cuts, resets, slows, freezes and swallows.

It knows nothing of frames: what passes is bytes, in order, as with TCP. A link that is frozen delivers later
what it was given; one that is in a black hole delivers nothing any more, and both ends still believe in it.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from trademind.aio import Tasks

CHUNK: Final = 16 * 1024
TICK: Final = 0.05
"""Seconds between two looks at whether something may pass."""
MAX_CHUNKS: Final = 4096
"""Chunks under way in one direction; whoever sends more has to wait."""


class Link:
    """One connection of a client, and the one to the gateway that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter, gateway: asyncio.StreamWriter) -> None:
        self.client = client
        self.gateway = gateway
        self.is_swallowed = False
        self.has_ended = asyncio.Event()

    def reset(self) -> None:
        """Both ends see a reset."""
        self.has_ended.set()
        for end in (self.client, self.gateway):
            reset(end)

    def cut(self) -> None:
        """Both ends see an end."""
        self.has_ended.set()
        for end in (self.client, self.gateway):
            end.close()


class ChaosProxy:
    """`async with ChaosProxy(gateway_port) as proxy:` and have TradeMind connect to `proxy.port`."""

    def __init__(self, gateway_port: int) -> None:
        self._gateway_port = gateway_port
        self._tasks = Tasks()
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refuses = False
        """New connections are closed at once."""
        self.is_frozen = False
        self.latency = 0.0
        self.bytes_per_second = 0
        """0 is as fast as it goes."""
        self.connections = 0
        """How many have been made in all."""

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_listening()
        self.reset()
        await self._tasks.cancel_all()

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """New connections are refused, as where nothing listens."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def links(self) -> int:
        return len(self._links)

    def reset(self) -> None:
        for link in self._links:
            link.reset()

    def cut(self) -> None:
        for link in self._links:
            link.cut()

    def swallow(self) -> None:
        """What is sent over the present connections vanishes from now on."""
        for link in self._links:
            link.is_swallowed = True

    def end_swallowed(self) -> None:
        """The gateway, too, learns that they are dead."""
        for link in self._links:
            if link.is_swallowed:
                link.reset()

    def clear(self) -> None:
        """The network is well again."""
        self.refuses = self.is_frozen = False
        self.latency = 0.0
        self.bytes_per_second = 0
        self.end_swallowed()

    # What passes -------------------------------------------------------------------------------

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.spawn(self._link(reader, writer), name="link", expected=OSError)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses:
            reset(writer)
            return
        try:
            from_gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self._gateway_port)
        except OSError:
            reset(writer)
            return
        link = Link(writer, to_gateway)
        self._links.add(link)
        tasks = Tasks()
        try:
            pumps = [
                tasks.spawn(self._pump(link, reader, to_gateway), name="to the gateway", expected=OSError),
                tasks.spawn(
                    self._pump(link, from_gateway, writer), name="from the gateway", expected=OSError
                ),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for end in (writer, to_gateway):  # before anything is waited for: the wait may be cancelled
                end.close()
            await tasks.cancel_all()

    async def _pump(self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes from one side, until it ends and all of it has been passed on."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)
        tasks = Tasks()
        delivery = tasks.spawn(self._deliver(link, under_way, writer), name="delivery", expected=OSError)
        now = asyncio.get_running_loop().time
        try:
            with suppress(OSError):
                while data := await reader.read(CHUNK):
                    if not link.is_swallowed:
                        await under_way.put((now() + self.latency, data))
            if link.is_swallowed:
                # Whoever has given up a dead connection is not heard on the other side either.
                await link.has_ended.wait()
            await under_way.put((now(), b""))
            await delivery
        finally:
            await tasks.cancel_all()

    async def _deliver(
        self, link: Link, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, data = await under_way.get()
            if not data:
                return
            await asyncio.sleep(max(0.0, due - now()))
            while data:
                while self.is_frozen:  # noqa: ASYNC110 - the weather has no events
                    await asyncio.sleep(TICK)
                rate = self.bytes_per_second
                part = data[: max(1, int(rate * TICK))] if rate else data
                data = data[len(part) :]
                if not link.is_swallowed:
                    writer.write(part)
                    await writer.drain()
                if rate:
                    await asyncio.sleep(TICK)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a reset instead of an end."""
    sock = writer.transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            # Lingering for no time at all discards what is unsent and sends a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
