"""The commands' way to a server's stream: frames as they come, over restarts of the server.

Who follows events comes back after the last one seen, so that nothing is missed or told twice; where the
server does not know that event, as with another journal, it begins anew with how things stand. Who follows
market data asks for it again.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from trademind.aio import Backoff
from trademind.cli.output import CommandFailed, Exit

Frame = dict[str, Any]
Channels = Mapping[str, Sequence[str | int | dict[str, Any]]]
"""What is followed of each channel: symbols, con ids, or what an instrument is asked for with."""

SILENCE: Final = 30.0
"""Seconds without a frame after which the server counts as gone; it sends a heartbeat every ten."""
CONNECT_WITHIN: Final = 5.0
CLOSE_WITHIN: Final = 1.0
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 5.0
"""Seconds between attempts to come back: a server takes a few to start."""
ASK_AGAIN: Final = 1.0
"""Seconds until market data is asked for again that was not to be had, as while the session is not ready."""


def frames(url: str, channel: str) -> Iterator[Frame]:
    """What a server's stream tells of one channel, for ever: snapshots, events, gaps and their ends.

    Raises as `_over_restarts`.
    """
    return _over_restarts(url, _Events(channel), _say_away)


def market_frames(
    url: str,
    channels: Channels,
    interval_ms: int | None,
    *,
    seconds: float | None = None,
    away: Callable[[str], None] | None = None,
) -> Iterator[Frame]:
    """What a server's stream tells of the market, for so many seconds or for ever.

    Raises as `_over_restarts`.

    Args:
        interval_ms: From one batch of values to the next; None for each value by itself.
        away: Told the reason where the connection is lost; by default the user is.
    """
    until = inf if seconds is None else time.monotonic() + seconds
    return _over_restarts(url, _Market(channels, interval_ms, until), away or _say_away, until)


def _say_away(reason: str) -> None:
    typer.echo(f"the server is away ({reason}); this goes on when it is back", err=True)


class _Reading(Protocol):
    """What is known of a stream over all its connections."""

    def read(self, connection: ClientConnection) -> Iterator[Frame]:
        """What one connection tells, to its end with one of `OSError` and `ConnectionClosed`, or as long as
        one wants to know."""
        ...


def _over_restarts(
    url: str, stream: _Reading, away: Callable[[str], None], until: float = inf
) -> Iterator[Frame]:
    """What all connections tell, until then.

    Raises:
        CommandFailed: no server answers at first, or it does not let this program in.
    """
    backoff = Backoff(first=FIRST_WAIT, limit=LONGEST_WAIT)
    has_begun = False
    while True:
        try:
            with _opened(url) as connection:
                has_begun = True
                for frame in stream.read(connection):
                    backoff.reset()
                    yield frame
                return
        except InvalidStatus as error:
            if (status := error.response.status_code) < 500:
                raise CommandFailed.because(
                    Exit.FAILED, "stream_refused", f"{url} does not open its stream (HTTP {status})"
                ) from error
            reason = f"HTTP {status}"
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        if not has_begun:
            raise CommandFailed.because(
                Exit.UNREACHABLE,
                "server_unreachable",
                f"no server answers at {url}; start one with `trademind server start`, or say with --url "
                "where it is",
            )
        away(reason)
        if time.monotonic() >= until:
            return
        # A command of one thread: there is nothing else to do meanwhile.
        time.sleep(max(0.0, min(backoff.next(), until - time.monotonic())))


def _opened(url: str) -> ClientConnection:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    # A proxy of the environment is not for the machine's own server.
    return connect(
        urlunsplit((scheme, parts.netloc, "/api/stream", "", "")),
        open_timeout=CONNECT_WITHIN,
        close_timeout=CLOSE_WITHIN,
        compression=None,
        max_size=None,
        proxy=None,
    )


class _Events:
    """A channel of events."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._seq: int | None = None
        """The last event seen, once a whole snapshot has come."""

    def read(self, connection: ClientConnection) -> Iterator[Frame]:
        """As `_Reading.read`."""
        self._ask(connection)
        pages: list[Any] = []
        while True:
            frame: Frame = json.loads(connection.recv(timeout=SILENCE))
            match frame["type"]:
                case "snapshot":
                    pages += frame["data"]
                    if not frame.pop("more"):
                        self._seq = frame["seq"]
                        yield {**frame, "data": pages}
                        pages = []
                case "event":
                    self._seq = frame["seq"]
                    yield frame
                case "gap" | "resumed":
                    yield frame
                case "error" if frame["data"]["code"] == "unknown_sequence":
                    self._seq = None
                    self._ask(connection)
                case "error" if not frame["data"]["retry_safe"]:
                    raise CommandFailed(Exit.FAILED, frame["data"])

    def _ask(self, connection: ClientConnection) -> None:
        command: Frame = {"action": "subscribe", "channels": {self._channel: True}}
        if self._seq is not None:
            command |= {"action": "resume", "since": self._seq}
        connection.send(json.dumps(command))


class _Market:
    """Market data of some instruments, which is there when it is asked for."""

    def __init__(self, channels: Channels, interval_ms: int | None, until: float) -> None:
        self._command = json.dumps({"action": "subscribe", "interval_ms": interval_ms, "channels": channels})
        self._until = until

    def read(self, connection: ClientConnection) -> Iterator[Frame]:
        """As `_Reading.read`."""
        silent_at, ask_at = time.monotonic() + SILENCE, time.monotonic()
        while (now := time.monotonic()) < self._until:
            if now >= ask_at:
                connection.send(self._command)  # what is followed already is not changed by it
                ask_at = inf
            try:
                wait = min(self._until, silent_at, ask_at) - now
                frame: Frame = json.loads(connection.recv(timeout=max(wait, 0.0)))
            except TimeoutError:
                if time.monotonic() >= silent_at:
                    raise
                continue
            silent_at = time.monotonic() + SILENCE
            if frame["type"] == "error" and frame["data"]["retry_safe"]:
                ask_at = time.monotonic() + ASK_AGAIN
            yield frame
