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
from datetime import datetime, timedelta
from typing import Final

from trademind.aio import Tasks
from trademind.brokers.book import Book
from trademind.brokers.ibkr.reconnect import ReconnectPolicy, is_nightly_reset
from trademind.brokers.ibkr.session import Handlers, Session, SessionOptions
from trademind.brokers.order_ids import OrderIds
from trademind.brokers.streams import Streams
from trademind.clock import Clock
from trademind.domain import Channel, SessionInfo, SessionState
from trademind.domain.session import READABLE, TRANSITIONS
from trademind.errors import (
    ConnectionLost,
    GatewaySilent,
    NotConnected,
    NotSynchronised,
    TradeMindError,
    Unavailable,
    UpstreamLost,
)

log = logging.getLogger(__name__)


LASTED: Final = 30.0
"""Seconds after which a session has lasted: the next failure is a new one, and not one more of the same."""


ORDERS_REFRESH: Final = 30.0
"""Seconds between two listings of orders and fills: what other clients and people at TWS do is not told in
between. Three messages each, of the 1,350 that IB allows in that time."""
REFRESH_SHARE: Final = 50
"""Where a listing takes long, as with thousands of orders, the next is so many times as long away."""


class Supervisor:
    """Owns the session.

    Args:
        on_ready: Told when the market data lines of a session have to be restored.
        on_stale: Told whether what is known of the market is out of date.
    """

    def __init__(
        self,
        options: SessionOptions,
        book: Book,
        handlers: Handlers,
        clock: Clock,
        streams: Streams,
        order_ids: OrderIds,
        *,
        on_ready: Callable[[Session], None],
        on_stale: Callable[[bool], None],
    ) -> None:
        self._options = options
        self._book = book
        self._handlers = handlers
        self._clock = clock
        self._streams = streams
        self._order_ids = order_ids
        self._on_ready = on_ready
        self._on_stale = on_stale
        self._policy = ReconnectPolicy()
        self._tasks = Tasks()
        self._keeper: asyncio.Task[None] | None = None
        self._keeps_trying = False
        """Whether a first attempt that fails is followed by another."""
        self._callers = 0
        """How many wait in `connect`."""
        self._changed = asyncio.Event()
        """Set, and replaced by another, when the state changes."""
        self._attempt: asyncio.Future[None] | None = None
        """The outcome of the attempt under way, or of the next one."""
        self._hurry = asyncio.Event()
        """Set to end the wait before the next attempt."""
        self._session: Session | None = None
        self._state = SessionState.DISCONNECTED
        self._since: datetime = clock.now()
        self._connections = 0
        self._last_error: TradeMindError | None = None
        self._last_error_at: datetime | None = None
        self._next_attempt_at: datetime | None = None
        self._asked_for = ConnectionLost("a new connection was asked for")
        """Why a session ends where the user wants another: no failure, and nothing to wait for."""
        self._last_heard_at: datetime | None = None
        """When the gateway was last heard on an earlier connection."""

    # Commands ----------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect, and keep the session alive from then on. Raises what the attempt failed with.

        Where the keeper is at work already, its present or next attempt is awaited, and so is a session that
        is being synchronised anew.
        """
        if self._is_usable():
            return
        self._keep(keeps_trying=False)
        self._hurry_up()
        self._callers += 1
        try:
            while not self._is_usable():
                assert self._attempt is not None
                if self._attempt.done() and self._attempt.exception() is None:
                    await self._changed.wait()
                else:
                    await asyncio.shield(self._attempt)
        except asyncio.CancelledError:
            if self._callers == 1 and not self._keeps_trying and self._keeper is not None:
                self._keeper.cancel()  # nobody is left who would disconnect
            raise
        finally:
            self._callers -= 1

    def _is_usable(self) -> bool:
        session = self._session
        return session is not None and session.end_reason is None and self._state in READABLE

    async def start(self) -> None:
        """Keep a session alive from now on, without waiting for the first one."""
        self._keep(keeps_trying=True)
        self._keeps_trying = True

    async def reconnect(self) -> None:
        """Give the present connection up and make a new one, at once; also where trying had been given up."""
        if self._session is not None:
            self._session.close(self._asked_for)
        self._hurry_up()
        await self.start()

    def _hurry_up(self) -> None:
        """End the wait for the next attempt, if it is being waited for."""
        if self._next_attempt_at is not None:
            self._hurry.set()

    async def close(self) -> None:
        """End the session and stop trying."""
        self._streams.interrupt(self._clock.now(), "the session was closed", self._connections)
        keeper = self._keeper
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        if self._keeper is keeper:  # otherwise somebody has connected anew in the meantime
            self._enter(SessionState.STOPPED)
            self.end_streams("the session was closed")

    def end_streams(self, reason: str) -> None:
        """Tell every stream that nothing is vouched for any more, and end it."""
        self._streams.close(self._clock.now(), reason, self._connections)

    def _keep(self, *, keeps_trying: bool) -> None:
        """Have a keeper at work."""
        if self._keeper is not None and not self._keeper.done():
            return
        self._keeps_trying = keeps_trying
        self._resolve_attempt(_closed())
        self._attempt = asyncio.get_running_loop().create_future()
        keeper = self._keeper = self._tasks.spawn(self._keep_session(), name="ib session")
        # A task that is cancelled before its first step runs no `finally`, so this is not left to it.
        keeper.add_done_callback(
            lambda done: self._resolve_attempt(_closed()) if done is self._keeper else None
        )

    # The keeper --------------------------------------------------------------------------------

    async def _keep_session(self) -> None:
        try:
            while True:
                session = Session(self._options, self._book, self._handlers, self._clock, self._order_ids)
                try:
                    wait = await self._attempt_with(session)
                finally:
                    self._drop(session)
                if wait is None:
                    return
                self._hurry.clear()
                self._next_attempt_at = self._clock.now() + timedelta(seconds=wait)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._hurry.wait()
                self._next_attempt_at = None
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
        # From here on it is this account or none: orders must never move to another one by themselves.
        self._options = replace(self._options, account=session.account_id)
        self._keeps_trying = True
        log.info(
            "connected to %s:%d, account %s, client id %d, server version %s",
            self._options.host, self._options.port, session.account_id, self._options.client_id,
            session.server_version,
        )  # fmt: skip
        since = _now()
        try:
            self._restore_lines(session)
            self._settle(session)
            self._resolve_attempt(None)
            reason = await self._see_to(session)
        except Exception as error:
            # As above: a session whose keeping has failed is over, and the next one is opened.
            log.exception("keeping the session failed")
            reason = Unavailable(f"keeping the session failed: {error!r}")
        self._note(reason)
        log.warning("the session has ended: %s", reason.detail)
        self._resolve_attempt(reason)
        self._attempt = asyncio.get_running_loop().create_future()
        if reason is self._asked_for:
            return 0
        if _now() - since > LASTED:
            self._policy.connected()
        return self._policy.wait_after(reason, self._clock.now())

    async def _see_to(self, session: Session) -> TradeMindError:
        """Follow the gateway and IB behind it up and down until the session ends; returns why it ended."""
        refresh_at = _now() + ORDERS_REFRESH
        while True:
            must_settle = self._book.has_unsettled_orders
            due = min(session.pulse.due, refresh_at)
            due = min(due, session.settles_at) if must_settle else due
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await session.news.wait()
            has_news = session.news.is_set() or (must_settle and _now() >= session.settles_at)
            session.news.clear()
            session.feel_pulse()
            if session.end_reason is not None:
                return session.end_reason
            if session.is_silent:
                self._settle(session)
            elif has_news:
                if session.upstream_is_up:
                    await self._synchronise_again(session)
                self._settle(session)
            if _now() >= refresh_at:
                refresh_at = _now() + max(ORDERS_REFRESH, session.refresh_seconds * REFRESH_SHARE)
                if self._state is SessionState.READY:
                    self._tasks.spawn(session.refresh_orders(), name="refresh", expected=TradeMindError)

    async def _synchronise_again(self, session: Session) -> None:
        """IB is back, or the gateway is, or owes an answer: whatever was said meanwhile has been missed."""
        self._enter(SessionState.SYNCHRONISING)
        synchronising = self._tasks.spawn(session.synchronise(), name="synchronise", expected=TradeMindError)
        try:
            while not synchronising.done():
                await asyncio.wait({synchronising}, timeout=session.pulse.due - _now())
                session.feel_pulse()
            synchronising.result()
        except TradeMindError as error:
            # Half a truth is none: a fresh connection brings everything in again.
            session.close(error)
            return
        finally:
            synchronising.cancel()
        if session.lines_are_lost:
            session.lines_are_lost = False
            self._restore_lines(session)

    def _restore_lines(self, session: Session) -> None:
        with suppress(TradeMindError):  # the connection has ended already, which the keeper is about to see
            self._on_ready(session)

    def _settle(self, session: Session) -> None:
        """Enter the state that the session is in."""
        if session.end_reason is not None:
            return
        if session.is_silent:
            self._note(GatewaySilent("the gateway says nothing any more, though it was asked"))
            self._enter(SessionState.SILENT)
        elif session.upstream_is_up:
            self._last_error = None
            self._enter(SessionState.READY)
        else:
            self._note(_upstream_lost())
            self._enter(SessionState.UPSTREAM_LOST)

    def _note(self, error: TradeMindError) -> None:
        self._last_error, self._last_error_at = error, self._clock.now()

    def _failed(self, error: TradeMindError) -> float | None:
        if error is self._asked_for:
            return 0  # whoever waits for this attempt waits for the next one
        now = self._clock.now()
        is_new = self._last_error is None or self._last_error.detail != error.detail
        self._note(error)
        wait = self._policy.wait_after(error, now) if self._keeps_trying else None
        if wait is not None:
            # What fails again and again, or fails every night, is not worth a warning each time.
            level = logging.WARNING if is_new and not is_nightly_reset(now) else logging.INFO
            log.log(level, "%s; next attempt in %.1f s. %s", error.detail, wait, error.advice)
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
        self._last_heard_at = session.last_heard_at
        self._session = None
        self._enter(SessionState.DISCONNECTED)

    def _enter(self, state: SessionState) -> None:
        """The one place where the state changes."""
        old = self._state
        if state is old:
            return
        if state not in TRANSITIONS[old]:
            raise AssertionError(f"no session goes from {old} to {state}")
        log.info("session %s -> %s", old, state)
        self._state, self._since = state, self._clock.now()
        self._changed.set()
        self._changed = asyncio.Event()
        if old is SessionState.READY:
            self._on_stale(True)
            reason = self._last_error.detail if self._last_error else f"the session is {state}"
            self._streams.interrupt(self._heard_at() or self._since, reason, self._connections)
        self._streams.publish(Channel.SESSION, self.info())
        if state is SessionState.READY:
            self._on_stale(False)
            self._streams.resume(self._connections)

    # Questions ---------------------------------------------------------------------------------

    def session(self) -> Session:
        """The session, when it is ready for questions and cancels.

        Raises:
            NotConnected, NotSynchronised, ConnectionLost, UpstreamLost, GatewaySilent: with what is known of
            the reason.
        """
        self.check_readable()
        assert self._session is not None
        self._session.requests.check_open()
        if self._session.is_silent:
            self._session.check_heard()
        if not self._session.upstream_is_up:
            raise _upstream_lost()
        return self._session

    def session_for_orders(self) -> Session:
        """The session, when it has been heard of late, so that it can take an order. Raises as `session`."""
        session = self.session()
        session.check_heard()
        return session

    def check_readable(self) -> None:
        """Raises `NotConnected` or `NotSynchronised` unless the book holds a complete set of snapshots."""
        if self._state in READABLE:
            return
        where = f"{self._options.host}:{self._options.port}"
        if self._state is SessionState.SYNCHRONISING and self._session is not None:
            missing = ", ".join(self._session.snapshots.missing)
            raise NotSynchronised(f"connected to {where}, still waiting for {missing or 'the last snapshot'}")
        because = f": {self._last_error.detail}" if self._last_error else ""
        raise NotConnected(f"not connected to {where} ({self._state}){because}")

    def _heard_at(self) -> datetime | None:
        return self._session.last_heard_at if self._session is not None else self._last_heard_at

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
            snapshots=session.snapshots.states if session else (),
            last_error=self._last_error.detail if self._last_error else None,
            last_error_at=self._last_error_at if self._last_error else None,
            advice=(self._last_error.advice or None) if self._last_error else None,
            next_attempt_at=self._next_attempt_at,
            last_heard_at=self._heard_at(),
            farms=dict(session.farms) if session else {},
            queued=dict(session.requests.queued) if session else {},
            notices=tuple(session.notices) if session else (),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _closed() -> NotConnected:
    return NotConnected("the session was closed")


def _upstream_lost() -> UpstreamLost:
    return UpstreamLost("IB 1100: the gateway has lost its connection to IB")
