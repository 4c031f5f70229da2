"""The supervisor: the only one who connects and disconnects.

One task, the keeper, does all of it in turn: it opens a session, sees to it for as long as it lasts, and
opens the next. Whatever else happens (a command, a message, a cancelled caller) only tells the keeper or asks
about the state, so that no two of them can ever work on the connection at the same time.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from trademind.aio import Tasks
from trademind.brokers.book import Book
from trademind.brokers.ibkr.reconnect import ReconnectPolicy
from trademind.brokers.ibkr.session import Handlers, Session, SessionOptions
from trademind.clock import Clock
from trademind.domain import SessionInfo, SessionState
from trademind.domain.session import TRANSITIONS
from trademind.errors import NotConnected, NotSynchronised, TradeMindError, Unavailable

log = logging.getLogger(__name__)


class Supervisor:
    """Owns the session. `on_ready` is told when the market data lines of a session have to be restored."""

    def __init__(
        self,
        options: SessionOptions,
        book: Book,
        handlers: Handlers,
        clock: Clock,
        *,
        on_ready: Callable[[Session], None],
    ) -> None:
        self._options = options
        self._book = book
        self._handlers = handlers
        self._clock = clock
        self._on_ready = on_ready
        self._policy = ReconnectPolicy()
        self._tasks = Tasks()
        self._keeper: asyncio.Task[None] | None = None
        self._keeps_trying = False
        """Whether a first attempt that fails is followed by another."""
        self._attempt: asyncio.Future[None] | None = None
        """The outcome of the attempt under way, or of the next one."""
        self._hurry = asyncio.Event()
        """Set to end the wait before the next attempt."""
        self._session: Session | None = None
        self._state = SessionState.DISCONNECTED
        self._since: datetime = clock.now()
        self._connections = 0
        self._last_error: str | None = None

    # Commands ----------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect, and keep the session alive from then on. Raises what the attempt failed with.

        Where the keeper is at work already, its present or next attempt is awaited.
        """
        if self._session is not None and self._state in (SessionState.READY, SessionState.UPSTREAM_LOST):
            return
        started = self._keep(keeps_trying=False)
        self._hurry.set()
        assert self._attempt is not None
        try:
            await asyncio.shield(self._attempt)
        except asyncio.CancelledError:
            if started and self._keeper is not None:
                self._keeper.cancel()  # nobody is left who would disconnect
            raise

    async def start(self) -> None:
        """Keep a session alive from now on, without waiting for the first one."""
        self._keep(keeps_trying=True)
        self._keeps_trying = True

    async def close(self) -> None:
        """End the session and stop trying."""
        keeper = self._keeper
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        if self._keeper is keeper:  # otherwise somebody has connected anew in the meantime
            self._enter(SessionState.STOPPED)

    def _keep(self, *, keeps_trying: bool) -> bool:
        """Have a keeper at work. Returns whether one had to be started."""
        if self._keeper is not None and not self._keeper.done():
            return False
        self._keeps_trying = keeps_trying
        self._resolve_attempt(_closed())
        self._attempt = asyncio.get_running_loop().create_future()
        keeper = self._keeper = self._tasks.spawn(self._keep_session(), name="ib session")
        # A task that is cancelled before its first step runs no `finally`, so this is not left to it.
        keeper.add_done_callback(
            lambda done: self._resolve_attempt(_closed()) if done is self._keeper else None
        )
        return True

    # The keeper --------------------------------------------------------------------------------

    async def _keep_session(self) -> None:
        try:
            while True:
                session = Session(self._options, self._book, self._handlers)
                try:
                    wait = await self._attempt_with(session)
                finally:
                    self._drop(session)
                if wait is None:
                    return
                self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
        finally:
            self._enter(SessionState.STOPPED)

    async def _attempt_with(self, session: Session) -> float | None:
        """One session from beginning to end. Returns the seconds to wait before the next, None for none."""
        self._session = session
        self._enter(SessionState.CONNECTING)
        try:
            await session.open(lambda: self._enter(SessionState.SYNCHRONISING))
        except TradeMindError as error:
            return self._failed(error)
        except Exception as error:
            # The edge of the connection: what nobody foresaw is a failed attempt like any other.
            log.exception("connecting failed")
            return self._failed(Unavailable(f"connecting failed: {error!r}"))
        self._connections += 1
        self._policy.connected()
        # From here on it is this account or none: orders must never move to another one by themselves.
        self._options = replace(self._options, account=session.account_id)
        self._keeps_trying = True
        log.info(
            "connected to %s:%d, account %s, client id %d, server version %s",
            self._options.host, self._options.port, session.account_id, self._options.client_id,
            session.server_version,
        )  # fmt: skip
        self._on_ready(session)
        self._settle(session)
        self._resolve_attempt(None)
        reason = await self._see_to(session)
        self._last_error = reason.detail
        self._attempt = asyncio.get_running_loop().create_future()
        return 0

    async def _see_to(self, session: Session) -> TradeMindError:
        """Follow IB's own connection up and down until the session ends; returns why it ended."""
        while True:
            await session.news.wait()
            session.news.clear()
            if session.end_reason is not None:
                return session.end_reason
            if session.upstream_is_up:
                self._enter(SessionState.SYNCHRONISING)
                try:
                    await session.synchronise()
                except TradeMindError as error:
                    # Half a truth is none: a fresh connection brings everything in again.
                    session.close(error)
                    continue
                if session.lines_are_lost:
                    session.lines_are_lost = False
                    self._on_ready(session)
            self._settle(session)

    def _settle(self, session: Session) -> None:
        self._last_error = None
        if session.upstream_is_up:
            self._enter(SessionState.READY)
        else:
            self._last_error = "IB 1100: the gateway has lost its connection to IB"
            self._enter(SessionState.UPSTREAM_LOST)

    def _failed(self, error: TradeMindError) -> float | None:
        self._last_error = error.detail
        wait = self._policy.wait_after(error) if self._keeps_trying else None
        if wait is not None:
            log.warning("%s; next attempt in %.1f s", error.detail, wait)
        elif self._keeps_trying:
            log.error("giving up: %s", error.detail)
        self._resolve_attempt(error)
        self._attempt = asyncio.get_running_loop().create_future()
        return wait

    def _resolve_attempt(self, error: TradeMindError | None) -> None:
        attempt = self._attempt
        if attempt is None or attempt.done():
            return
        if error is None:
            attempt.set_result(None)
        else:
            attempt.set_exception(error)
            attempt.exception()  # nobody has to be waiting for it

    def _drop(self, session: Session) -> None:
        session.close(_closed())
        self._session = None
        self._enter(SessionState.DISCONNECTED)

    def _enter(self, state: SessionState) -> None:
        """The one place where the state changes."""
        if state is self._state:
            return
        if state not in TRANSITIONS[self._state]:
            raise AssertionError(f"no session goes from {self._state} to {state}")
        log.info("session %s -> %s", self._state, state)
        self._state, self._since = state, self._clock.now()

    # Questions ---------------------------------------------------------------------------------

    def session(self) -> Session:
        """The session, when it is ready for anything.

        Raises:
            NotConnected, NotSynchronised, ConnectionLost: with what is known of the reason.
        """
        self.check_readable()
        assert self._session is not None
        self._session.requests.check_open()
        if not self._session.upstream_is_up:
            raise NotConnected("the gateway has lost its connection to IB (1100); it reconnects by itself")
        return self._session

    def check_readable(self) -> None:
        """Raises `NotConnected` or `NotSynchronised` unless the book holds a complete set of snapshots."""
        if self._state in (SessionState.READY, SessionState.UPSTREAM_LOST):
            return
        where = f"{self._options.host}:{self._options.port}"
        if self._state is SessionState.SYNCHRONISING:
            raise NotSynchronised(f"connected to {where}, still waiting for {', '.join(self._missing())}")
        because = f": {self._last_error}" if self._last_error else ""
        raise NotConnected(f"not connected to {where} ({self._state}){because}")

    def _missing(self) -> tuple[str, ...]:
        return self._session.missing if self._session is not None else ("connection",)

    def info(self) -> SessionInfo:
        session = self._session
        return SessionInfo(
            state=self._state,
            since=self._since,
            host=self._options.host,
            port=self._options.port,
            client_id=self._options.client_id,
            account_id=session.account_id if session else None,
            accounts=session.accounts if session else (),
            source=session.source if session else None,
            trading_allowed=session.trading_allowed if session else False,
            server_version=session.server_version if session else None,
            connection_number=self._connections,
            missing=self._missing(),
            last_error=self._last_error,
            farms=dict(session.farms) if session else {},
        )


def _closed() -> NotConnected:
    return NotConnected("the session was closed")
