"""Running the server: uvicorn in this process, one banner line, and failures in one line each."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import typer
import uvicorn

import trademind
from trademind.aio import Tasks
from trademind.api import create_app
from trademind.api.lifespan import OpenedRuntime
from trademind.cli.listening import cannot_listen
from trademind.cli.output import CommandFailed, Exit, print_json
from trademind.domain import SessionInfo, SessionState
from trademind.errors import TradeMindError
from trademind.runtime import open_runtime
from trademind.settings import BrokerKind, Settings

WS_MAX_SIZE = 64 * 1024
"""Bytes of a command that a client of the stream may send."""
FIRST_SESSION = 5.0
"""Seconds the banner waits for the session, so that it can say which account it is."""
STREAMS_END = 0.2
"""Seconds for the streams' clients to be told, before the sockets are closed."""
DEAF_AFTER = 30.0
"""Seconds that a client which is to be closed gets to take what is still to be sent."""
TICKS = 50
"""How many of uvicorn's ticks, a tenth of a second each, pass between two looks for such clients."""
DRAIN_AFTER = 1.5
"""Seconds that requests under way get to finish at shutdown; then the session ends and tells them so."""
GRACE = 3
"""Seconds after which what is still there is cut off. All of it together stays under five."""


def serve(settings: Settings, sock: socket.socket, as_json: bool) -> None:
    """Serve on `sock` until a signal.

    Raises:
        TradeMindError, CommandFailed: it could not start.
    """
    opened: list[OpenedRuntime] = []
    failures: list[CommandFailed | TradeMindError] = []

    @asynccontextmanager
    async def noting_runtime(settings: Settings) -> AsyncIterator[OpenedRuntime]:
        try:
            async with open_runtime(settings) as runtime:
                opened.append(runtime)
                yield runtime
        except TradeMindError as error:
            failures.append(error)
            raise
        except OSError as error:
            port = settings.paper.port
            failures.append(
                cannot_listen(error, "127.0.0.1", port, settings=("host", "TRADEMIND_PAPER__PORT"))
            )
            raise

    # A failure that says in one line what to do needs no traceback of uvicorn's beside it.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not failures)
    config = uvicorn.Config(
        create_app(settings, open_runtime=noting_runtime),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
        ws_max_size=WS_MAX_SIZE,
        # Most clients are on this machine, and each would have the same text compressed for itself.
        ws_per_message_deflate=False,
    )
    server = _Server(config, lambda: _announce(settings, sock, opened[0].broker.session, as_json), opened)
    # uvicorn shuts down in order and then raises the signal once more, for whoever had asked for it before:
    # here that is nobody, as a server that was told to stop and has done so has not failed.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run(sockets=[sock])
    except KeyboardInterrupt:
        # Ctrl-C is how a server is stopped, too.
        return
    except SystemExit as stopped:
        if failures:
            raise failures[0] from None
        detail = "the server could not start; the log above has the reason"
        raise CommandFailed.because(Exit.FAILED, "start_failed", detail) from stopped


class _Server(uvicorn.Server):
    """Says that it is there, once it is."""

    def __init__(
        self, config: uvicorn.Config, announce: Callable[[], None], opened: list[OpenedRuntime]
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._deaf_since: dict[Any, float] = {}
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Requests are answered from here on; only the banner waits.
        until = time.monotonic() + FIRST_SESSION
        while not (self.should_exit or self._is_settled() or time.monotonic() > until):  # noqa: ASYNC110 - a broker tells its state when asked
            await asyncio.sleep(0.02)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # It is stopping already, in time. uvicorn would leave everything open at the second Ctrl-C.
        if not self.should_exit:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            self._cut_deaf(after=DEAF_AFTER)
        return await super().on_tick(counter)

    def _cut_deaf(self, after: float) -> None:
        """Cut off clients that are to be closed, or all when the server stops, and do not take what is still
        to be sent: a socket waits for them for as long as they live."""
        now, deaf = time.monotonic(), {}
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is None or not transport.get_write_buffer_size():
                continue
            if after and not transport.is_closing():
                continue
            since = deaf[connection] = self._deaf_since.get(connection, now)
            if now - since >= after:
                transport.abort()
        self._deaf_since = deaf

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        broker = self._opened[0].broker
        broker.drain()
        await asyncio.sleep(STREAMS_END)
        self._cut_deaf(after=0)
        tasks = Tasks()
        tasks.spawn(self._drain(), name="drain")
        await super().shutdown(sockets)
        await tasks.cancel_all()

    async def _drain(self) -> None:
        """End the session while whoever waits for it can still be answered."""
        await asyncio.sleep(DRAIN_AFTER)
        await self._opened[0].broker.disconnect()

    def _is_settled(self) -> bool:
        session = self._opened[0].broker.session
        return session.state is SessionState.READY or session.last_error is not None


def _announce(settings: Settings, sock: socket.socket, session: SessionInfo, as_json: bool) -> None:
    url = _url(settings, sock)
    if as_json:
        document: dict[str, Any] = {
            "url": url,
            "broker": settings.broker.value,
            "gateway": f"{session.host}:{session.port}",
            "account_id": session.account_id,
            "source": session.source,
            "ready": session.state is SessionState.READY,
        }
        print_json(document, in_one_line=True)
    else:
        kind = "paper gateway" if settings.broker is BrokerKind.PAPER else "gateway"
        account = f"account {session.account_id}" if session.account_id else "no session yet"
        if session.state is not SessionState.READY and session.last_error:
            account = f"no session yet ({' '.join(session.last_error.split())})"
        typer.echo(
            f"TradeMind {trademind.__version__} on {url} | {kind} {session.host}:{session.port} | {account} "
            f"| docs at {url}/docs"
        )


def _url(settings: Settings, sock: socket.socket) -> str:
    port = sock.getsockname()[1]
    return settings.server.model_copy(update={"port": port}).url
