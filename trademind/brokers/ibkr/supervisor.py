"""The supervisor: the only one who connects and disconnects.

It keeps one session alive, makes a new one when the old has ended, and knows at every moment what state
things are in and why.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from trademind.aio import Tasks
from trademind.brokers.book import Book
from trademind.brokers.ibkr import codes
from trademind.brokers.ibkr.reconnect import ReconnectPolicy
from trademind.brokers.ibkr.session import Handlers, Session, SessionOptions
from trademind.clock import Clock
from trademind.domain import SessionInfo, SessionState
from trademind.domain.session import TRANSITIONS
from trademind.errors import NotConnected, NotSynchronised, TradeMindError

log = logging.getLogger(__name__)


class Supervisor:
    """Owns the session. The callbacks tell the desks when a session becomes usable and when it ends."""

    def __init__(
        self,
        options: SessionOptions,
        book: Book,
        handlers: Handlers,
        clock: Clock,
        *,
        on_ready: Callable[[Session], None],
        on_lost: Callable[[TradeMindError], None],
    ) -> None:
        self._options = options
        self._book = book
        self._handlers = handlers
        self._clock = clock
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._policy = ReconnectPolicy()
        self._tasks = Tasks()
        self._session: Session | None = None
        self._state = SessionState.DISCONNECTED
        self._since: datetime = clock.now()
        self._connections = 0
        self._last_error: str | None = None

    # Commands ----------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect once and keep the session alive from then on. Raises what the attempt failed with."""
        if self._state is SessionState.READY:
            return
        await self._stop_keeping()
        session = await self._open()
        self._tasks.spawn(self._keep(session), name="ib session")

    async def start(self) -> None:
        """Keep a session alive from now on, without waiting for the first one."""
        await self._stop_keeping()
        self._tasks.spawn(self._keep(None), name="ib session")

    async def close(self) -> None:
        """End the session and stop trying."""
        await self._stop_keeping()
        self._enter(SessionState.STOPPED)

    async def _stop_keeping(self) -> None:
        await self._tasks.cancel_all()
        if self._session is not None:
            await self._lose(NotConnected("the session was closed"))

    # The loop ----------------------------------------------------------------------------------

    async def _keep(self, session: Session | None) -> None:
        while True:
            if session is None:
                try:
                    session = await self._open()
                except TradeMindError as error:
                    wait = self._policy.wait_after(error)
                    if wait is None:
                        self._enter(SessionState.STOPPED)
                        log.error("giving up: %s", error.detail)
                        return
                    log.warning("%s; next attempt in %.1f s", error.detail, wait)
                    await asyncio.sleep(wait)
                    continue
            reason = await session.ended()
            self._last_error = reason.detail
            await self._lose(reason)
            session = None

    async def _open(self) -> Session:
        self._enter(SessionState.CONNECTING)
        session = self._session = Session(self._options, self._book, self._handlers)
        try:
            await session.open(lambda: self._enter(SessionState.SYNCHRONISING))
        except TradeMindError as error:
            self._last_error = error.detail
            await self._lose(error)
            raise
        except asyncio.CancelledError:
            await self._lose(NotConnected("the session was closed while connecting"))
            raise
        self._connections += 1
        self._policy.connected()
        self._last_error = None
        self._ready(session)
        log.info(
            "connected to %s:%d, account %s, client id %d, server version %s",
            self._options.host, self._options.port, session.account_id, self._options.client_id,
            session.server_version,
        )  # fmt: skip
        return session

    def _ready(self, session: Session) -> None:
        self._on_ready(session)
        self._enter(SessionState.READY)

    async def _lose(self, reason: TradeMindError) -> None:
        session, self._session = self._session, None
        self._enter(SessionState.DISCONNECTED)
        if session is not None:
            await session.close(reason)
        self._on_lost(reason)

    def on_upstream(self, code: int) -> None:
        """IB's own connection was lost (1100) or is back, with (1102) or without (1101) the data lines."""
        session = self._session
        if session is None:
            return
        if code == codes.UPSTREAM_LOST:
            self._last_error = "IB 1100: the gateway has lost its connection to IB"
            self._enter(SessionState.UPSTREAM_LOST)
        elif self._state in (SessionState.UPSTREAM_LOST, SessionState.READY):
            self._enter(SessionState.SYNCHRONISING)
            self._tasks.spawn(self._resynchronise(session, code), name="resynchronise")

    async def _resynchronise(self, session: Session, code: int) -> None:
        try:
            await session.synchronise()
        except TradeMindError as error:
            # Half a truth is none: a fresh connection brings everything in again.
            await session.close(error)
            return
        if session is self._session and self._state is SessionState.SYNCHRONISING:
            self._last_error = None
            if code == codes.UPSTREAM_BACK_DATA_LOST:
                self._on_ready(session)
            self._enter(SessionState.READY)

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
            NotConnected, NotSynchronised: with what is known of the reason.
        """
        self.check_readable()
        assert self._session is not None
        if self._state is SessionState.UPSTREAM_LOST:
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
