"""The paper gateway on a TCP port: the only part of it that does I/O.

Strategy: one asyncio protocol per client, which hands bytes to the gateway's core and writes what the core
has to say, to this client and to all others. Nothing holds the loop for long: a client's requests are
done until a time budget is used up and go on in the loop's next turn; the market's moves are spread in
the same way. A client is never waited for: one that sends nonsense, or does not read, is dropped.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from trademind.aio import Tasks
from trademind.clock import Clock, SystemClock, speed_of
from trademind.domain.account import check_paper_account
from trademind.gateway.admin import AdminSocket
from trademind.gateway.connectivity import DailyReset
from trademind.gateway.engine.commissions import FIXED, CommissionSchedule
from trademind.gateway.engine.corporate_actions import CorporateAction
from trademind.gateway.engine.fills import FRIENDLY, FillModel
from trademind.gateway.engine.hours import AlwaysOpen, MarketHours
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.entitlements import ALL_LIVE, Entitlements
from trademind.gateway.feeds.base import Feed
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.pacing import UNPACED, Pacing
from trademind.gateway.session import Session
from trademind.gateway.store import AccountStore, open_exchange

log = logging.getLogger(__name__)

MAX_CLIENTS: Final = 32
"""As many as IB's gateway takes."""
MAX_UNSTARTED: Final = 16
"""Connections that have not started the API yet. They are not counted as clients, and cannot keep any out:
the oldest of them makes room for one more."""
MAX_UNSENT: Final = 8 << 20
"""Bytes that wait for a client to read them, beyond which nothing more is done for it until it has."""
HARD_UNSENT: Final = 64 << 20
"""Bytes that may wait at most: what the market tells a client is not held back."""
MAX_QUEUED: Final = 200_000
"""Entries in the outbox of a client that does not read fast enough."""
STALLED_AFTER: Final = 5.0
"""Seconds without a byte taken after which a client beyond `MAX_UNSENT` has stopped reading."""
START_WITHIN: Final = 10.0
"""Seconds in which a client has to agree on a version and start the API."""
LINGER: Final = 5.0
"""Seconds in which a client that is being dropped may still read what was written."""
ATTEND_EVERY: Final = 0.01
"""Seconds between two looks at what waits for its time."""
TURN: Final = 0.01
"""Seconds of work for one client, or for the market, in one turn of the loop."""
FASTEST: Final = 0.05
"""Seconds between two moves of an accelerated market, however fast its clock runs."""


class _Client(asyncio.Protocol):
    """One connection: moves bytes between a socket and the gateway's core."""

    def __init__(self, server: "PaperGatewayServer") -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_working = False
        self._is_paused = False
        """Whether too much waits to be read by the client for more to be done for it."""
        self._written = 0
        self._taken = 0
        self._taken_at = 0.0
        """Bytes written and taken in all, and when the client was last seen to take some."""
        self.is_started = False
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, so the type cannot be asserted.
        self._transport = transport = cast(asyncio.Transport, transport)
        if not self._server.makes_room():
            transport.abort()
            return
        # asyncio sets TCP_NODELAY itself.
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        self._server.clients.append(self)
        self.session = self._server.core.open_session()
        if not self.session.is_open:
            self.hang_up()
            return
        self._deadline = self._loop.call_later(START_WITHIN, self._has_not_started)

    def data_received(self, data: bytes) -> None:
        if self.session is not None:
            self.session.connection.receive_data(data)
            if not self._is_working and not self._is_paused:
                self._work()

    def pause_writing(self) -> None:
        """The client does not keep up: neither its requests are read nor its outbox is emptied."""
        self._is_paused = True
        self._taken_at = self._loop.time()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        self.wake()

    def wake(self) -> None:
        """Go on with what there is for this client, in the loop's next turn."""
        if not self._is_working:
            self._is_working = True
            self._loop.call_soon(self._work)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do for this client that does not wait for it, or for its time."""
        session = self.session
        if session is None or self._is_paused:
            return False
        if session.late or session.outbox or session.jobs:
            self.wake()
        return self._is_working

    def _work(self) -> None:
        """Do what there is for this client for a turn; what is left goes on in the loop's next one."""
        self._is_working = False
        session, transport = self.session, self._transport
        if session is None or transport is None or self._is_paused:
            return
        until = time.perf_counter() + TURN
        is_more = True
        while is_more and time.perf_counter() < until:
            is_more = self._server.core.step(session)
        if not self.is_started and session.client_id is not None:
            self._has_started()
        # Whoever is told of what was done here is woken up, this client perhaps among them.
        self._server.flush()
        if self.session is None or transport.is_closing():
            return
        if is_more or session.is_held:
            transport.pause_reading()
            if is_more:
                self.wake()
        elif not self._is_paused:
            transport.resume_reading()

    def _has_started(self) -> None:
        self.is_started = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._server.started() > self._server.max_clients:
            log.warning("dropping %s: there are %d others", self.session, self._server.max_clients)
            self.hang_up()

    def flush(self) -> None:
        """Write what the session has to say; drop a client that does not read, close one that is done."""
        session, transport = self.session, self._transport
        if session is None or transport is None:
            return
        data = session.connection.data_to_send()
        if data and not transport.is_closing():
            transport.write(data)
            self._written += len(data)
        if self._has_stalled(session, transport.get_write_buffer_size()):
            self._end_session()
            transport.abort()
        elif not session.is_open:
            self.drop()
        elif session.outbox and not self._is_paused:
            self.wake()

    def _has_stalled(self, session: Session, waiting: int) -> bool:
        """Whether the client has stopped reading, or reads so slowly that it would never catch up."""
        taken = self._written - waiting
        if taken > self._taken:
            self._taken, self._taken_at = taken, self._loop.time()
        idle = self._loop.time() - self._taken_at
        if waiting > HARD_UNSENT or len(session.outbox) + len(session.withheld) > MAX_QUEUED:
            log.warning("dropping %s: it reads too slowly, and has left %d bytes unread", session, waiting)
            return True
        if self._is_paused and idle >= STALLED_AFTER:
            log.warning("dropping %s: it has left %d bytes unread for %g seconds", session, waiting, idle)
            return True
        return False

    def _has_not_started(self) -> None:
        log.warning("dropping a client that has not started the API in %g seconds", START_WITHIN)
        self.drop()

    def drop(self) -> None:
        """End the session, and the connection once what was written has been read, or after a while."""
        self._end_session()
        if self._transport is not None:
            self._transport.close()
            self._deadline = self._loop.call_later(LINGER, self._transport.abort)

    def hang_up(self) -> None:
        """End the session and the connection at once, as far as what was written has been taken."""
        self._end_session()
        if self._transport is not None:
            if self._transport.get_write_buffer_size():
                self._transport.abort()
            else:
                self._transport.close()

    def abort(self) -> None:
        """End the session and the connection at once, whatever has been taken of what was written."""
        self._end_session()
        self._server.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.session is not None:
            log.info("%s has gone%s", self.session, f": {exc}" if exc else "")
        self._end_session()
        self._transport = None
        self._server.forget(self)

    def _end_session(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.session is not None:
            self._server.core.close(self.session)
            self.session = None


def pause_between_moves(interval: float, speed: float) -> float:
    """Seconds of the world between two moves of a market that changes every `interval` of its own."""
    return interval if speed <= 1 else max(interval / speed, min(interval, FASTEST))


class PaperGatewayServer:
    """A paper gateway on a TCP port, as an async context manager.

    Args:
        host: Where to listen.
        port: The port; 0 takes a free one, which `port` then tells.
        cash: Opening balance of a new account, in US dollars.
        accounts: Opening balances of several accounts in one login, by their ids; instead of `cash`.
        commissions: What trades cost; IB's fixed pricing unless given.
        seed: Of the synthetic market.
        data_dir: Where the account is kept; None keeps it in memory.
        clock: The time.
        feed: A market other than the synthetic one.
        pacing: What clients may ask, and how fast; without, there is no limit.
        reset: The nightly restart of IB's servers, if there is to be one.
        hours: When its instruments trade; always, unless given.
        entitlements: Whose market data may be seen; everything live, unless given.
        max_clients: How many clients are served at the same time.
        fills: How orders meet the market.
        universe: What can be traded; everything that is listed, unless given.
        actions: Dividends and splits, which happen when their days begin.

    Raises:
        ValueError: one of `accounts` does not have the form of IB's paper accounts.
        SettingsError: another gateway uses `data_dir`.
        OSError: nobody may listen on that port, or somebody already does.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        cash: Decimal = Decimal(100_000),
        accounts: Mapping[str, Decimal] | None = None,
        commissions: CommissionSchedule = FIXED,
        seed: int = 42,
        data_dir: Path | None = None,
        clock: Clock | None = None,
        feed: Feed | None = None,
        pacing: Pacing = UNPACED,
        reset: DailyReset | None = None,
        hours: MarketHours | None = None,
        entitlements: Entitlements = ALL_LIVE,
        max_clients: int = MAX_CLIENTS,
        fills: FillModel = FRIENDLY,
        universe: Universe | None = None,
        actions: Sequence[CorporateAction] = (),
    ) -> None:
        for account_id in accounts or ():
            check_paper_account(account_id)
        self.host = host
        self._asked_port = port
        self._cash = accounts or cash
        self._commissions = commissions
        self._data_dir = data_dir
        self._clock = clock or SystemClock()
        self._pacing = pacing
        self._reset = reset
        self._attending: asyncio.TimerHandle | None = None
        self._moving = asyncio.Lock()
        self._hours = hours or AlwaysOpen()
        self._fills = fills
        self.universe = universe or Universe()
        """What can be traded."""
        self._actions = actions
        self._feed = feed or SyntheticFeed(seed, self._hours, actions)
        self._entitlements = entitlements
        self.max_clients = max_clients
        self._resources = AsyncExitStack()
        self.clients: list[_Client] = []
        self.port = 0
        """The port listened on, once open."""
        self.core: PaperGateway
        """The gateway itself, once open."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            universe = self.universe
            store = stack.enter_context(AccountStore(self._data_dir))
            exchange = open_exchange(
                store,
                cash=self._cash,
                clock=self._clock,
                universe=universe,
                commissions=self._commissions,
                hours=self._hours,
                fills=self._fills,
            )
            self.core = PaperGateway(
                exchange=exchange,
                feed=self._feed,
                universe=universe,
                clock=self._clock,
                store=store,
                pacing=self._pacing,
                reset=self._reset,
                hours=self._hours,
                actions=self._actions,
                entitlements=self._entitlements,
            )
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: _Client(self), self.host, self._asked_port)
            stack.push_async_callback(self._stop_listening, server)
            self.port = server.sockets[0].getsockname()[1]
            tasks = Tasks()
            stack.push_async_callback(tasks.cancel_all)
            tasks.spawn(self._pump(), name="paper market")
            if self._data_dir is not None:
                await stack.enter_async_context(AdminSocket(self, self._data_dir))
            self._resources = stack.pop_all()
        log.info("paper gateway on %s:%d, account %s", self.host, self.port, ", ".join(exchange.accounts))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    async def _stop_listening(self, server: asyncio.Server) -> None:
        server.close()
        if self._attending is not None:
            self._attending.cancel()
        # What has been asked for, such as cancelling everything, is done before the account is closed.
        self.core.finish_chores()
        for client in list(self.clients):
            client.hang_up()
        await server.wait_closed()
        # A turn of the loop for the connections' ends to be noticed.
        await asyncio.sleep(0)

    def forget(self, client: _Client) -> None:
        with suppress(ValueError):
            self.clients.remove(client)

    def started(self) -> int:
        """How many clients there are."""
        return sum(client.is_started for client in self.clients)

    def makes_room(self) -> bool:
        """Whether one more connection is taken; the oldest that has not started may be dropped for it."""
        if self.started() >= self.max_clients:
            log.warning("refusing a client: %d are connected", self.max_clients)
            return False
        waiting = [client for client in self.clients if not client.is_started]
        if len(waiting) >= MAX_UNSTARTED:
            log.warning("dropping a client: %d others have not started the API either", len(waiting))
            waiting[0].abort()
        return True

    def flush(self) -> None:
        """Send to every client what there is for it."""
        for client in list(self.clients):
            client.flush()
        self.attend_later()

    def attend_later(self) -> None:
        """Look again soon, while something waits for its time: only the clock knows when that has come."""
        if self.core.is_waiting and self._attending is None:
            self._attending = asyncio.get_running_loop().call_later(ATTEND_EVERY, self._attend)

    def _attend(self) -> None:
        self._attending = None
        due = self.core.attend()
        for client in self.clients:
            if client.session in due:
                client.wake()
        self.flush()

    async def _pump(self) -> None:
        """Move the market on, every so often, a turn's worth of work at a time."""
        pause = pause_between_moves(self._feed.interval, speed_of(self._clock))
        while True:
            await asyncio.sleep(pause)
            await self.move()

    async def move(self) -> None:
        """Bring the market, and every client, up to the present moment."""
        async with self._moving:
            try:
                steps = self.core.pump_steps(self._clock.now())
                while self._turn(steps):  # noqa: ASYNC110 - not waiting for anything: letting others run
                    await asyncio.sleep(0)
            except Exception:
                # The edge of the market's task: the market goes on with its next move.
                log.exception("a move of the market failed")
            self.flush()

    async def settle(self) -> None:
        """Wait until all that has happened has been written to every client that reads."""
        while True:
            self.core.attend()
            self.core.finish_chores()
            self.flush()
            if not any(client.is_busy for client in self.clients):
                return
            await asyncio.sleep(0)

    def _turn(self, steps: Iterator[None]) -> bool:
        """Do steps for a turn. Returns False when there are none left."""
        until = time.perf_counter() + TURN
        for _ in steps:
            if time.perf_counter() >= until:
                self.flush()
                return True
        return False
