"""The commands' way to a server's stream: frames as they come, over restarts of the server.

Who comes back goes on after the last event seen, so that nothing is missed or told twice; where the server
does not know that event, as with another journal, it begins anew with how things stand.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import typer
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from trademind.aio import Backoff
from trademind.cli.output import CommandFailed, Exit

Frame = dict[str, Any]

SILENCE: Final = 30.0
"""Seconds without a frame after which the server counts as gone; it sends a heartbeat every ten."""
CONNECT_WITHIN: Final = 5.0
CLOSE_WITHIN: Final = 1.0
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 5.0
"""Seconds between attempts to come back: a server takes a few to start."""


def frames(url: str, channel: str) -> Iterator[Frame]:
    """What a server's stream tells of one channel, for ever: snapshots, events, gaps and their ends.

    Raises:
        CommandFailed: no server answers at first, or it does not let this program in.
    """
    stream = _Stream(url, channel)
    backoff = Backoff(first=FIRST_WAIT, limit=LONGEST_WAIT)
    has_begun = False
    while True:
        try:
            with stream.opened() as connection:
                has_begun = True
                for frame in stream.read(connection):
                    backoff.reset()
                    yield frame
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
        typer.echo(f"the server is away ({reason}); this goes on when it is back", err=True)
        time.sleep(backoff.next())  # a command of one thread: there is nothing else to do meanwhile


class _Stream:
    """What is known of a stream over all its connections."""

    def __init__(self, url: str, channel: str) -> None:
        parts = urlsplit(url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        self._address = urlunsplit((scheme, parts.netloc, "/api/stream", "", ""))
        self._channel = channel
        self._seq: int | None = None
        """The last event seen, once a whole snapshot has come."""

    def opened(self) -> ClientConnection:
        # A proxy of the environment is not for the machine's own server.
        return connect(
            self._address,
            open_timeout=CONNECT_WITHIN,
            close_timeout=CLOSE_WITHIN,
            compression=None,
            max_size=None,
            proxy=None,
        )

    def read(self, connection: ClientConnection) -> Iterator[Frame]:
        """The frames of one connection, until it ends with one of `OSError` and `ConnectionClosed`."""
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
