"""One connection to a gateway, from log-on to its end. Used once: a new connection is a new `Session`.

It logs on, picks the account, has the snapshots brought in, and from then on hands on what IB says: reports
to the book, errors to whom they concern. It knows whether the gateway is heard and whether IB is behind it,
and judges neither: what follows from it is the supervisor's business.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from trademind.aio import SingleFlight
from trademind.brokers.book import Book
from trademind.brokers.ibkr import codes, convert
from trademind.brokers.ibkr.listener import MarketSink, SessionIB
from trademind.brokers.ibkr.liveness import Finding, Pulse
from trademind.brokers.ibkr.pacing import Pacer, Priority
from trademind.brokers.ibkr.reports import Reports
from trademind.brokers.ibkr.requests import Requests
from trademind.brokers.ibkr.snapshots import Snapshots
from trademind.brokers.order_ids import OrderIds
from trademind.clock import Clock
from trademind.domain import DataSource, DataType, Notice
from trademind.errors import (
    AccountNotFound,
    BadAddress,
    ClientIdInUse,
    ConnectionLost,
    GatewayRefused,
    GatewaySilent,
    GatewayTooOld,
    LiveAccountNotAllowed,
    LiveTradingNotAllowed,
    NoAnswer,
    NotSynchronised,
    TradeMindError,
    UpstreamLost,
)

log = logging.getLogger(__name__)

MAX_NOTICES: Final = 20
"""What is kept of what IB says about nothing in particular."""

MAX_UNREAD: Final = 64 * 1024 * 1024
"""Bytes of a message that has begun. IB's longest, the scanner's parameters, has some 2 MB; more comes of a
length that is none, after which nothing would ever be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How to connect, and what is allowed then. Times in seconds."""

    host: str
    port: int
    client_id: int
    account: str | None = None
    allow_live: bool = False
    require_paper: bool = False
    connect_timeout: float = 10.0
    request_timeout: float = 15.0
    order_timeout: float = 10.0
    heartbeat: float = 5.0
    """Without a message for so long, the gateway is asked whether it is there."""
    silent_after: float = 15.0
    """Without a message for so long, it counts as silent; after twice as long it is connected to anew."""
    settle_after: float = 5.0
    """So long after connecting, an order that was not answered and is not listed counts as never sent."""
    market_data_type: DataType = DataType.LIVE
    """What is shown of the market where live data are not to be had, or the market is closed."""
    max_requests_per_second: int = 45
    """IB drops a client that sends more than 50 messages a second; 0 is no limit."""


@dataclass(slots=True, kw_only=True)
class Handlers:
    """Who is told what. Each is called inside the socket's callback."""

    order_error: Callable[[int, int, str], bool]
    """(order id, code, message) -> was it about an order of ours?"""
    market: MarketSink
    interrupted: Callable[[TradeMindError], None]
    """The gateway has gone, or is not heard: whoever waits for it has to be told."""


class Session:
    def __init__(
        self, options: SessionOptions, book: Book, handlers: Handlers, clock: Clock, order_ids: OrderIds
    ) -> None:
        self.options = options
        self.account_id: str | None = None
        self.accounts: tuple[str, ...] = ()
        self.source: DataSource | None = None
        self.server_version: int | None = None
        self.farms: dict[str, str] = {}
        self.notices: deque[Notice] = deque(maxlen=MAX_NOTICES)
        self._book = book
        self._handlers = handlers
        self._clock = clock
        self._order_ids = order_ids
        self.upstream_is_up = True
        """Whether the gateway has its own connection to IB, by its last 1100, 1101 or 1102."""
        self.lines_are_lost = False
        """Whether IB has dropped the market data lines (1101)."""
        self.is_silent = False
        """Whether nothing has been heard for too long."""
        self._is_in_doubt = False
        """Whether a command was not answered, and nothing has been heard since."""
        self.news = asyncio.Event()
        """Set when the connection ends, with every 1100, 1101 and 1102, when a silence is broken, and when
        the gateway is heard that has left a command without an answer."""
        self.reports = Reports(book, options.client_id)
        self.ib = SessionIB(self.reports, handlers.market, self.on_error)
        self.ib.client.MaxRequests = 0  # `pacing` sees to it
        self.requests = Requests(
            self.ib, Pacer(options.max_requests_per_second), timeout=options.request_timeout
        )
        self.snapshots = Snapshots(self.requests, self.ib.client, book, self.reports, clock)
        loop = asyncio.get_running_loop()
        self.settles_at = loop.time() + options.settle_after
        """When what IB does not list is taken not to exist."""
        self.pulse = Pulse(heartbeat=options.heartbeat, silent_after=options.silent_after, now=loop.time())
        self.last_heard_at = clock.now()
        self.refresh_seconds = 0.0
        """What the last listing of orders and fills has taken."""
        self._refreshing: SingleFlight[str, None] = SingleFlight(TradeMindError)
        self._ended: asyncio.Future[TradeMindError] = loop.create_future()
        # The socket's own events: ib_async's are silent about a peer that hangs up during the log-on.
        # eventkit holds bound methods weakly, which is no matter here: their owners live as long as this.
        connection = self.ib.client.conn
        connection.disconnected += self._on_socket_closed
        connection.hasData += self._on_data
        self.ib.client.apiError += self._on_api_error
        self.ib.pendingTickersEvent += handlers.market.on_tickers
        for event in (connection.disconnected, connection.hasData, self.ib.pendingTickersEvent):
            event.error_event += self._on_handler_failure

    @property
    def trading_allowed(self) -> bool:
        return self.source is not None and (self.source is not DataSource.IB_LIVE or self.options.allow_live)

    # From beginning to end ---------------------------------------------------------------------

    async def open(self, on_logged_on: Callable[[], None]) -> None:
        """Connect, log on and synchronise.

        Raises:
            TradeMindError: after which this object is of no more use, and has to be closed.
        """
        where = f"{self.options.host}:{self.options.port}"
        try:
            async with asyncio.timeout(self.options.connect_timeout):
                await self._log_on(where)
                on_logged_on()
                self._choose_account()
                self._choose_data_type()
                await self.synchronise()
        except (TimeoutError, NoAnswer):
            awaited = ", ".join(self.snapshots.missing) if self.accounts else "the log-on"
            seconds = min(self.options.connect_timeout, self.options.request_timeout)
            if not self.upstream_is_up:
                raise UpstreamLost(
                    f"{where} has lost its connection to IB (1100) and did not deliver {awaited}"
                ) from None
            raise NotSynchronised(f"{where} did not deliver {awaited} within {seconds:g} s") from None

    async def _log_on(self, where: str) -> None:
        options = self.options
        self.ib.wrapper.clientId = options.client_id
        connecting = asyncio.get_running_loop().create_task(
            self.ib.client.connectAsync(
                options.host, options.port, options.client_id, options.connect_timeout
            )
        )
        try:
            # A refused client id closes the socket at once, but ib_async would wait for its time-out.
            await asyncio.wait({connecting, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                raise self._ended.result()
            await connecting
        except ConnectionRefusedError as error:
            raise GatewayRefused(f"nothing listens on {where}") from error
        except TimeoutError as error:
            raise NotSynchronised(
                f"{where} accepted the connection but did not log on in time; is it the API port of TWS or "
                "IB Gateway, and does it show a dialog?"
            ) from error
        except (UnicodeError, OverflowError) as error:
            raise BadAddress(f"{where} cannot be an address: {error}") from error
        except OSError as error:
            raise GatewayRefused(f"{where} cannot be reached: {error}") from error
        finally:
            connecting.cancel()
            # A cancel can cross the end of a step inside, and is lost then: what is connected after this
            # session has ended has to be closed all the same.
            connecting.add_done_callback(self._close_if_ended)
        self.accounts = tuple(self.ib.client.getAccounts())
        self.server_version = self.ib.client.serverVersion()

    def _choose_account(self) -> None:
        wanted, names = self.options.account, ", ".join(self.accounts)
        if wanted is not None and wanted not in self.accounts:
            raise AccountNotFound(
                f"the login has no account {wanted}; it has {names}: set TRADEMIND_IBKR__ACCOUNT"
            )
        if wanted is None and len(self.accounts) != 1:
            raise AccountNotFound(f"the login has several accounts ({names}): set TRADEMIND_IBKR__ACCOUNT")
        self.account_id = self.reports.account_id = wanted or self.accounts[0]
        self.source = convert.source_of(self.account_id, self.options.port)
        if self.options.require_paper and self.source is DataSource.IB_LIVE:
            raise LiveAccountNotAllowed(
                f"{self.account_id} on port {self.options.port} is a live account; only paper is allowed here"
            )
        used = self._order_ids.highest(self.account_id, self.options.client_id)
        self.ib.client.updateReqId(max(used, self._book.highest_order_id) + 1)

    def _choose_data_type(self) -> None:
        if self.options.market_data_type is not DataType.LIVE:  # which is what IB begins with
            number = convert.DATA_TYPE_NUMBERS[self.options.market_data_type]
            self.requests.post(Priority.DATA, partial(self.ib.client.reqMarketDataType, number))

    async def synchronise(self) -> None:
        """Bring in every snapshot. Raises `ConnectionLost` or `NoAnswer` when one does not come.

        Orders of unknown outcome that IB does not list may still be on their way: in this connection, or in
        what a gateway that hung has not read yet of the last one. So they are judged only by a listing some
        time after this connection was made.
        """
        assert self.account_id is not None
        assert self.source is not None
        is_final = asyncio.get_running_loop().time() >= self.settles_at
        await self.snapshots.bring_in(self.account_id, self.source, is_final=is_final)

    async def refresh_orders(self) -> None:
        """Have IB list orders and fills, those of other clients included. Raises as `synchronise`.

        It is one question, however many ask for it at a time.
        """
        began = asyncio.get_running_loop().time()
        is_final = began >= self.settles_at
        await self._refreshing.ask(
            "orders", lambda: self.snapshots.refresh_orders(is_final=is_final), name="refresh orders"
        )
        self.refresh_seconds = asyncio.get_running_loop().time() - began

    @property
    def end_reason(self) -> TradeMindError | None:
        """Why the connection has ended; None while it lasts."""
        return self._ended.result() if self._ended.done() else None

    def close(self, reason: TradeMindError) -> None:
        """End the connection: whoever waits is told `reason`, then the socket is closed."""
        self._end(reason)
        transport = self.ib.client.conn.transport
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()  # a peer that does not read would hold a socket in farewell for ever
        self.ib.client.disconnect()

    def _close_if_ended(self, connecting: "asyncio.Task[None]") -> None:
        if not connecting.cancelled():
            connecting.exception()  # it has been dealt with
        if self._ended.done():
            self.ib.client.disconnect()

    def _end(self, reason: TradeMindError) -> None:
        if not self._ended.done():
            self._ended.set_result(reason)
            self.news.set()
            self.requests.close(reason)
            self._book.connection_lost()
            self._handlers.interrupted(reason)

    def _on_socket_closed(self, reason: str) -> None:
        self._end(ConnectionLost(f"the gateway closed the connection{reason and ': '}{reason}"))

    # Is it there? ------------------------------------------------------------------------------

    def feel_pulse(self) -> None:
        """Ask a gateway that has said nothing for a while; give it up where it has been silent for too long.

        Silence is first told to everyone who waits, and the connection kept: a gateway that hung for a moment
        goes on where it was, while a new connection might find the client id still taken.
        """
        if self._ended.done():
            return
        finding = self.pulse.look(asyncio.get_running_loop().time(), self._ask_for_a_sign)
        if finding is Finding.DEAD:
            self.close(self._silence())
        elif finding is Finding.SILENT and not self.is_silent:
            self.is_silent = True
            reason = self._silence()
            self.requests.fail_waiting(reason)
            self._book.connection_lost()
            self._handlers.interrupted(reason)

    def check_heard(self) -> None:
        """Raises `GatewaySilent` where the gateway has been asked for a sign of life and owes it."""
        if self.is_silent or self.pulse.is_suspect(asyncio.get_running_loop().time()):
            raise self._silence()

    def _silence(self) -> GatewaySilent:
        seconds = asyncio.get_running_loop().time() - self.pulse.heard_at
        return GatewaySilent(f"the gateway has said nothing for {seconds:.0f} s, though it was asked")

    def _ask_for_a_sign(self) -> None:
        self.requests.post(Priority.ACCOUNT, self.ib.client.reqCurrentTime)

    def _on_data(self, _: bytes) -> None:
        self.pulse.heard(asyncio.get_running_loop().time())
        self.last_heard_at = self._clock.now()
        if self.is_silent or self._is_in_doubt:
            self.is_silent = self._is_in_doubt = False
            self.news.set()
        if len(self.ib.client._data) > MAX_UNREAD:
            self._end(ConnectionLost("the gateway sent what cannot be read"))

    def doubt(self) -> None:
        """A command was not answered: IB's lists are to tell what became of it, once the gateway is heard."""
        if not self._ended.done():
            self._is_in_doubt = True
            self.settles_at = asyncio.get_running_loop().time() + self.options.settle_after
            self._ask_for_a_sign()

    # What may be sent --------------------------------------------------------------------------

    def check_trading(self) -> None:
        """Raises `LiveTradingNotAllowed` when orders may not be sent to this account."""
        if not self.trading_allowed:
            raise LiveTradingNotAllowed(
                f"{self.account_id} is a live account: set TRADEMIND_IBKR__ALLOW_LIVE=true to trade it. "
                "Nothing was sent."
            )

    def new_order_id(self) -> int:
        """An order id that was never used before. Raises `ConnectionLost`, `StateNotKept`."""
        assert self.account_id is not None
        order_id = self.requests.new_id()
        self._order_ids.use(self.account_id, self.options.client_id, order_id)
        return order_id

    # What IB says about no order, position or figure -------------------------------------------

    def on_error(self, req_id: int, code: int, message: str) -> None:
        if code == codes.CLIENT_ID_IN_USE:
            self._end(
                ClientIdInUse(
                    f"client id {self.options.client_id} is in use by another program", ib_code=code
                )
            )
        elif (state := codes.FARM_STATES.get(code)) is not None:
            name = message.rpartition(":")[2].strip() or "unnamed"
            self.farms[name] = state
            if code in codes.MARKET_DATA_FARM:
                self._handlers.market.on_farm(name, state)
        elif code in (codes.UPSTREAM_LOST, codes.UPSTREAM_BACK_DATA_LOST, codes.UPSTREAM_BACK_DATA_KEPT):
            self.upstream_is_up = code != codes.UPSTREAM_LOST
            self.lines_are_lost |= code == codes.UPSTREAM_BACK_DATA_LOST
            self.news.set()
        elif not (
            self.requests.on_error(req_id, code, message)
            or self._handlers.market.on_error(req_id, code, message)
            or self._handlers.order_error(req_id, code, message)
        ):
            self.notices.append(Notice(time=self._clock.now(), ib_code=code, message=message))
            log.warning("IB %d about request %d: %s", code, req_id, message)

    def _on_api_error(self, message: str) -> None:
        # ib_async closes nothing then, and says no more than this.
        if "version must be" in message:
            self._end(GatewayTooOld(f"{self.options.host}:{self.options.port}: {message}"))

    def _on_handler_failure(self, event: Any, error: Exception) -> None:
        """eventkit swallows what a handler raises; without this it would not even be logged."""
        log.error("a handler of %s failed", event.name(), exc_info=error)
        if event is self.ib.client.conn.hasData and not self.ib.client.isReady():
            self._end(ConnectionLost("what listens there speaks something else than the TWS API"))
