"""Clients of `/api/stream`: those who read all day, those who read slowly, those who vanish."""

import asyncio
import json
import random
import socket
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.chaos.grammar import HEARTBEAT, LATE, StreamState
from tests.chaos.plan import SYMBOLS
from tests.chaos.report import Findings
from tests.chaos.world import holds_connection
from trademind.api.streaming import SEND_WITHIN
from trademind.cli.serving import DEAF_AFTER

EVERYTHING: Final = {"orders": True, "executions": True, "account": True, "session": True}
TOLD_TO_GO: Final = frozenset({4008, 1012})
"""How the server closes a stream: too slow, or it stops itself."""
SMALL: Final = 4096
"""Bytes that the socket of a slow reader takes in advance."""
MAX_COMMANDS: Final = 1000
PADDING: Final = 20_000
"""Of what a deaf client sends: the commands, and blanks behind each, are more than every buffer on the way
takes, so that it is noticed when the server takes no more of them."""
SENT_AWAY_WITHIN: Final = SEND_WITHIN + DEAF_AFTER + 2 * LATE
"""Seconds without reading after which the server has let go of a stream."""


@dataclass(slots=True)
class Ended:
    """A stream that has ended by itself."""

    name: str
    code: int | None
    at: float


@dataclass(slots=True)
class Streams:
    """All of them."""

    port: int
    seed: int
    findings: Findings
    is_active: bool = True
    """While it is not, those who come and go stay away."""
    followers: dict[str, StreamState] = field(default_factory=dict)
    """Streams that stay for the whole run, by name."""
    open: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    ended: list[Ended] = field(default_factory=list)
    frames: Counter[str] = field(default_factory=Counter)
    longest_silence: float = 0.0
    stuffed: int = 0
    """How often somebody has left so much unread that the server had to send them away."""
    is_over: bool = False
    """The server has been told to stop: from then on streams end."""

    def programs(self) -> list[tuple[str, Awaitable[None]]]:
        rng = random.Random(f"{self.seed}-streams")
        followers = [(f"follower {n}", self._follow(f"follower {n}")) for n in range(3)]
        others = (self._change_mind, self._read_slowly, self._read_nothing, self._vanish)
        return [
            *followers,
            *((each.__name__.strip("_"), each(random.Random(rng.random()))) for each in others),
        ]

    @property
    def _address(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/stream"

    def _connect(self, *, is_slow: bool = False) -> connect:
        options: dict[str, Any] = {}
        if is_slow:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            sock.connect(("127.0.0.1", self.port))
            sock.setblocking(False)
            options = {"sock": sock, "max_queue": 1}
        return connect(
            self._address, max_size=None, compression=None, open_timeout=30, close_timeout=5,
            ping_interval=None, proxy=None, **options,
        )  # fmt: skip

    # Those who stay ----------------------------------------------------------------------------

    async def _follow(self, name: str) -> None:
        """Follow everything for as long as the server lets it, and read all of it at once."""
        while True:
            try:
                async with self._connect() as websocket:
                    self.opened["follower"] += 1
                    state = self.followers[name] = StreamState(name, self.findings.now)
                    await self._subscribe(websocket, EVERYTHING | {"quotes": list(SYMBOLS[:4])})
                    await self._read_on(websocket, state)
            except (OSError, InvalidHandshake, TimeoutError) as error:
                self.findings.violation("streams", f"{name} could not connect: {error!r}")
            if self.is_over:
                return
            await asyncio.sleep(0.5)

    async def _read_on(self, websocket: ClientConnection, state: StreamState) -> None:
        try:
            async for text in websocket:
                self._take(state, text)
        except ConnectionClosed:
            pass
        finally:
            self.longest_silence = max(self.longest_silence, state.longest_silence)
            if state.longest_silence > HEARTBEAT + LATE:
                self.findings.note(f"{state.name}: {state.longest_silence:.1f} s without a frame")
        self.ended.append(Ended(state.name, websocket.close_code, self.findings.now))
        if websocket.close_code not in TOLD_TO_GO:
            self.findings.violation(
                "streams keep to their grammar",
                f"{state.name} was closed with {websocket.close_code} {websocket.close_reason!r}",
            )
        elif not self.is_over:
            self.findings.note(f"{state.name} was closed with {websocket.close_code}")

    def _take(self, state: StreamState, text: str | bytes) -> None:
        frame = json.loads(text)
        self.frames[frame["type"]] += 1
        for wrong in state.take(frame, self.findings.now):
            self.findings.violation("streams keep to their grammar", f"{state.name}: {wrong}")

    async def _subscribe(self, websocket: ClientConnection, channels: dict[str, Any]) -> None:
        await websocket.send(json.dumps({"action": "subscribe", "id": 1, "channels": channels}))

    # Those who come and go ---------------------------------------------------------------------

    async def _change_mind(self, rng: random.Random) -> None:
        """Subscribe and unsubscribe, and now and then say what is no command."""
        while True:
            await self._until_active()
            try:
                async with self._connect() as websocket:
                    self.opened["changing its mind"] += 1
                    for _ in range(rng.randint(5, 30)):
                        if not self.is_active:
                            break
                        await websocket.send(_some_command(rng))
                        with suppress(TimeoutError):
                            async with asyncio.timeout(rng.uniform(0.05, 1.0)):
                                while True:
                                    self.frames[json.loads(await websocket.recv())["type"]] += 1
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                self._went_wrong("changing its mind", error)
            await asyncio.sleep(rng.uniform(0.1, 1.0))

    async def _read_slowly(self, rng: random.Random) -> None:
        """Read a frame, then none for a while. Who is so slow sees fewer quotes, or is closed with 4008."""
        while True:
            await self._until_active()
            try:
                async with self._connect(is_slow=True) as websocket:
                    self.opened["slow"] += 1
                    state = StreamState(f"slow {self.opened['slow']}", self.findings.now)
                    await self._subscribe(websocket, EVERYTHING | {"quotes": list(SYMBOLS)})
                    for _ in range(rng.randint(10, 60)):
                        if not self.is_active:
                            break
                        async with asyncio.timeout(HEARTBEAT + LATE + 30):
                            self._take(state, await websocket.recv())
                        await asyncio.sleep(rng.uniform(0.0, 0.6))
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                self._went_wrong("slow", error)
            await asyncio.sleep(rng.uniform(0.1, 1.0))

    async def _read_nothing(self, rng: random.Random) -> None:
        """Ask for everything again and again and read nothing of it, until the server has had enough."""
        commands = [
            json.dumps({"action": action, "channels": EVERYTHING}) + PADDING * " "
            for action in ("subscribe", "unsubscribe")
        ]
        while True:
            await self._until_active()
            try:
                async with self._connect(is_slow=True) as websocket:
                    self.opened["deaf"] += 1
                    if await self._is_stuffed(websocket, commands):
                        await self._is_sent_away(websocket)
                    websocket.transport.abort()
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                self._went_wrong("deaf", error)
            await asyncio.sleep(rng.uniform(1.0, 4.0))

    async def _is_stuffed(self, websocket: ClientConnection, commands: list[str]) -> bool:
        """Whether so much waits to be read that no further command is taken, and not because the server is
        stopped just now."""
        for patience, count in ((2, MAX_COMMANDS), (1, 1)):
            try:
                for number in range(count):
                    async with asyncio.timeout(patience):
                        await websocket.send(commands[number % len(commands)])
            except TimeoutError:
                await asyncio.sleep(SEND_WITHIN / 2)
            else:
                return False
        return True

    async def _is_sent_away(self, websocket: ClientConnection) -> None:
        """The server lets go of whoever has read nothing for long, though nothing can be told them."""
        own_port = int(websocket.local_address[1])
        until = self.findings.now + SENT_AWAY_WITHIN
        while self.findings.now < until:
            if self.is_over:
                return
            await asyncio.sleep(0.1)
        self.stuffed += 1
        # What the system has taken already is delivered without the server, as slowly as it is read.
        if holds_connection(self.port, own_port):
            what = f"the server holds the socket of a stream that has read nothing for {SENT_AWAY_WITHIN:g} s"
            self.findings.violation("nothing leaks", what)

    async def _vanish(self, rng: random.Random) -> None:
        """Connect, follow everything, and be gone without a word; some in the middle of the handshake."""
        while True:
            await self._until_active()
            try:
                if rng.random() < 0.2:
                    _half_a_handshake(self.port)
                else:
                    async with self._connect() as websocket:
                        self.opened["vanishing"] += 1
                        await self._subscribe(websocket, EVERYTHING | {"quotes": rng.sample(SYMBOLS, 2)})
                        await asyncio.sleep(rng.uniform(0.0, 1.0))
                        websocket.transport.abort()
            except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as error:
                self._went_wrong("vanishing", error)
            await asyncio.sleep(rng.uniform(0.5, 2.0))

    async def _until_active(self) -> None:
        while not self.is_active:  # noqa: ASYNC110 - a flag of the run's, looked at now and then
            await asyncio.sleep(0.1)

    def _went_wrong(self, name: str, error: Exception) -> None:
        """A stream of somebody who comes and goes has ended before its time."""
        if self.is_over:
            return
        code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd is not None else None
        self.ended.append(Ended(name, code, self.findings.now))
        if code not in TOLD_TO_GO:
            self.findings.violation("streams", f"{name}: {type(error).__name__}: {error}")


def _some_command(rng: random.Random) -> str:
    channels = rng.sample(sorted(EVERYTHING), rng.randint(1, 3))
    chosen: dict[str, Any] = dict.fromkeys(channels, True)
    if rng.random() < 0.6:
        chosen["quotes"] = rng.sample(SYMBOLS, rng.randint(1, 3))
    if rng.random() < 0.1:
        chosen["quotes"] = ["NOSUCHTHING"]
    if rng.random() < 0.1:
        return rng.choice(("", "nonsense", "[1, 2]", '{"action": "jump"}', '{"action": "subscribe"}', "\0"))
    return json.dumps({"action": rng.choice(("subscribe", "subscribe", "unsubscribe")), "channels": chosen})


def _half_a_handshake(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(
            b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
