"""One connection to a gateway, from log-on to its end. Used once: a new connection is a new `Session`.

It logs on, picks the account, brings the first snapshots in one by one and says which are missing, and
from then on passes what IB says to the book and to the desks that asked.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

import ib_async

from trademind.brokers.book import Book
from trademind.brokers.ibkr import codes, convert
from trademind.brokers.ibkr.listener import SessionIB
from trademind.brokers.ibkr.requests import Requests
from trademind.domain import DataSource, OrderStatus, Position
from trademind.errors import (
    AccountNotFound,
    ClientIdInUse,
    ConnectionLost,
    GatewayRefused,
    LiveAccountNotAllowed,
    LiveTradingNotAllowed,
    NoAnswer,
    NotSynchronised,
    TradeMindError,
)

log = logging.getLogger(__name__)

BASE_TAGS = frozenset(
    {
        "NetLiquidation",
        "TotalCashValue",
        "BuyingPower",
        "AvailableFunds",
        "ExcessLiquidity",
        "EquityWithLoanValue",
        "InitMarginReq",
        "MaintMarginReq",
        "GrossPositionValue",
    }
)
"""Account values that IB states once, in the account's base currency."""

LEDGER_TAGS = frozenset({"UnrealizedPnL", "RealizedPnL"})
"""Account values that IB states per currency, and for the whole account under the currency BASE."""

SNAPSHOTS = ("account", "positions", "open_orders", "completed_orders", "executions")
"""What must be in before the session is ready."""

FARM_NOTICES = {
    2103: "broken",
    2104: "ok",
    2105: "broken",
    2106: "ok",
    2107: "inactive",
    2108: "inactive",
    2119: "connecting",
    2157: "broken",
    2158: "ok",
}
"""What IB's notices say of a data farm; its name is what follows the last colon."""


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
    max_requests_per_second: int = 45
    """IB drops a client that sends more than 50 messages a second; 0 is no limit."""


@dataclass(slots=True, kw_only=True)
class Handlers:
    """Who is told what. Each is called inside the socket's callback."""

    order_error: Callable[[int, int, str], bool]
    """(order id, code, message) -> was it about an order of ours?"""
    line_error: Callable[[int, int, str], bool]
    """(request id, code, message) -> was it about a market data line?"""
    tickers: Callable[[set[ib_async.Ticker]], None]
    lost: Callable[[TradeMindError], None]
    """The connection has ended: whoever waits has to be told."""


@dataclass(slots=True)
class _Arrivals:
    """What a synchronisation has seen so far."""

    missing: set[str] = field(default_factory=lambda: set(SNAPSHOTS))
    perm_ids: set[int] = field(default_factory=set)
    positions: set[int] = field(default_factory=set)


class Session:
    def __init__(self, options: SessionOptions, book: Book, handlers: Handlers) -> None:
        self.options = options
        self.account_id: str | None = None
        self.accounts: tuple[str, ...] = ()
        self.source: DataSource | None = None
        self.server_version: int | None = None
        self.farms: dict[str, str] = {}
        self.on_record: dict[int, tuple[ib_async.Contract, ib_async.Order]] = {}
        """This client's orders as IB last listed them, by order id: what a modification starts from."""
        self._book = book
        self._handlers = handlers
        self._arrivals = _Arrivals()
        self._pnl_request: int | None = None
        self._is_synchronised_before = False
        self.upstream_is_up = True
        """Whether the gateway has its own connection to IB, by its last 1100, 1101 or 1102."""
        self.lines_are_lost = False
        """Whether IB has dropped the market data lines (1101)."""
        self.news = asyncio.Event()
        """Set when the connection has ended, and with every 1100, 1101 and 1102."""
        self.ib = SessionIB(self)
        self.ib.client.MaxRequests = options.max_requests_per_second
        self.requests = Requests(self.ib, timeout=options.request_timeout)
        self._ended: asyncio.Future[TradeMindError] = asyncio.get_running_loop().create_future()
        # The socket's own event: ib_async's are silent about a peer that hangs up during the log-on. eventkit
        # holds bound methods weakly, which is no matter here: their owners live as long as the session.
        self.ib.client.conn.disconnected += self._on_socket_closed
        self.ib.pendingTickersEvent += handlers.tickers
        for event in (self.ib.client.conn.disconnected, self.ib.pendingTickersEvent):
            event.error_event += _log_handler_failure

    @property
    def missing(self) -> tuple[str, ...]:
        """The snapshots that have not arrived, in the order of `SNAPSHOTS`."""
        return tuple(name for name in SNAPSHOTS if name in self._arrivals.missing)

    @property
    def trading_allowed(self) -> bool:
        return self.source is not None and (self.source is not DataSource.IB_LIVE or self.options.allow_live)

    async def open(self, on_logged_on: Callable[[], None]) -> None:
        """Connect, log on and synchronise.

        Raises:
            GatewayRefused, ClientIdInUse, NotSynchronised, AccountNotFound, LiveAccountNotAllowed,
            ConnectionLost: after which this object is of no more use, and has to be closed.
        """
        where = f"{self.options.host}:{self.options.port}"
        try:
            async with asyncio.timeout(self.options.connect_timeout):
                await self._log_on(where)
                on_logged_on()
                self._choose_account()
                await self.synchronise()
        except (TimeoutError, NoAnswer):
            awaited = ", ".join(self.missing) if self.accounts else "the log-on"
            seconds = min(self.options.connect_timeout, self.options.request_timeout)
            raise NotSynchronised(
                f"{where} did not deliver {awaited} within {seconds:g} s; see whether the gateway shows a "
                "dialog or is still starting"
            ) from None

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
            raise GatewayRefused(
                f"nothing listens on {where}; start TWS or IB Gateway with its API enabled on that port, or "
                "set TRADEMIND_IBKR__HOST and TRADEMIND_IBKR__PORT (trademind doctor finds out more)"
            ) from error
        except TimeoutError as error:
            raise NotSynchronised(
                f"{where} accepted the connection but did not log on in time; is it the API port of TWS or "
                "IB Gateway, and does it show a dialog?"
            ) from error
        except (OSError, UnicodeError, OverflowError) as error:
            # The latter two: a host name or a port that cannot be.
            raise GatewayRefused(f"{where} cannot be reached: {error}") from error
        finally:
            connecting.cancel()
            # A cancel can cross the end of a step inside, and is lost then: what is connected after this
            # session has ended has to be closed all the same.
            connecting.add_done_callback(self._close_if_ended)
        self.accounts = tuple(self.ib.client.getAccounts())
        self.server_version = self.ib.client.serverVersion()
        self.ib.client.updateReqId(self._book.highest_order_id + 1)

    def _choose_account(self) -> None:
        wanted, names = self.options.account, ", ".join(self.accounts)
        if wanted is not None and wanted not in self.accounts:
            raise AccountNotFound(
                f"the login has no account {wanted}; it has {names}: set TRADEMIND_IBKR__ACCOUNT"
            )
        if wanted is None and len(self.accounts) != 1:
            raise AccountNotFound(f"the login has several accounts ({names}): set TRADEMIND_IBKR__ACCOUNT")
        self.account_id = wanted or self.accounts[0]
        self.source = convert.source_of(self.account_id, self.options.port)
        if self.options.require_paper and self.source is DataSource.IB_LIVE:
            raise LiveAccountNotAllowed(
                f"{self.account_id} on port {self.options.port} is a live account; only paper is allowed here"
            )

    async def synchronise(self) -> None:
        """Bring in every snapshot. Raises `ConnectionLost` or `NoAnswer` when one does not come."""
        assert self.account_id is not None
        assert self.source is not None
        account, client = self.account_id, self.ib.client
        arrivals = self._arrivals = _Arrivals()
        self._book.open_account(account, self.source)
        # Each with the key under which ib_async files its end marker.
        questions: dict[str, tuple[str, Callable[[], None]]] = {
            "account": ("accountValues", lambda: client.reqAccountUpdates(True, account)),
            "positions": ("positions", client.reqPositions),
            "open_orders": ("openOrders", client.reqOpenOrders),
        }
        await asyncio.gather(
            *(
                self._arrival(name, partial(self.requests.ask_shared, key, name.replace("_", " "), send))
                for name, (key, send) in questions.items()
            )
        )
        self._book.keep_positions(arrivals.positions)
        await self._arrival("executions", self._ask_executions)
        # Completed orders come without their client; their fills say whose they are.
        await self._arrival(
            "completed_orders",
            partial(
                self.requests.ask_shared,
                "completedOrders",
                "completed orders",
                lambda: client.reqCompletedOrders(False),
            ),
        )
        self._book.synchronised(arrivals.perm_ids, is_new_connection=not self._is_synchronised_before)
        self._is_synchronised_before = True
        if self._pnl_request is None:
            self._pnl_request = self.requests.new_id()
            client.reqPnL(self._pnl_request, account, "")

    async def _ask_executions(self) -> None:
        everything = ib_async.ExecutionFilter()
        await self.requests.ask("executions", lambda req_id: self.ib.client.reqExecutions(req_id, everything))

    async def _arrival(self, name: str, ask: Callable[[], Awaitable[Any]]) -> None:
        await ask()
        self._arrivals.missing.discard(name)

    def check_trading(self) -> None:
        """Raises `LiveTradingNotAllowed` when orders may not be sent to this account."""
        if not self.trading_allowed:
            raise LiveTradingNotAllowed(
                f"{self.account_id} is a live account: set TRADEMIND_IBKR__ALLOW_LIVE=true to trade it. "
                "Nothing was sent."
            )

    @property
    def end_reason(self) -> TradeMindError | None:
        """Why the connection has ended; None while it lasts."""
        return self._ended.result() if self._ended.done() else None

    def close(self, reason: TradeMindError) -> None:
        """End the connection: whoever waits is told `reason`, then the socket is closed."""
        self._end(reason)
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
            self.requests.fail_all(reason)
            self._book.connection_lost()
            self._handlers.lost(reason)

    def _on_socket_closed(self, reason: str) -> None:
        self._end(ConnectionLost(f"the gateway closed the connection{reason and ': '}{reason}"))

    # What IB says (see `listener.Sink`) --------------------------------------------------------

    def on_error(self, req_id: int, code: int, message: str) -> None:
        if code == codes.CLIENT_ID_IN_USE:
            self._end(
                ClientIdInUse(
                    f"client id {self.options.client_id} is in use by another program; end that program or "
                    "set TRADEMIND_IBKR__CLIENT_ID",
                    ib_code=code,
                )
            )
        elif code in FARM_NOTICES:
            self.farms[message.rpartition(":")[2].strip() or "unnamed"] = FARM_NOTICES[code]
        elif code in (codes.UPSTREAM_LOST, codes.UPSTREAM_BACK_DATA_LOST, codes.UPSTREAM_BACK_DATA_KEPT):
            self.upstream_is_up = code != codes.UPSTREAM_LOST
            self.lines_are_lost |= code == codes.UPSTREAM_BACK_DATA_LOST
            self.news.set()
        elif not (
            self.requests.on_error(req_id, code, message)
            or self._handlers.line_error(req_id, code, message)
            or self._handlers.order_error(req_id, code, message)
        ):
            log.warning("IB %d about request %d: %s", code, req_id, message)

    def on_open_order(self, contract: ib_async.Contract, order: ib_async.Order) -> None:
        if self._is_ours(order.account):
            self._arrivals.perm_ids.add(order.permId)
            if order.clientId == self.options.client_id:
                self.on_record[order.orderId] = (contract, order)
            self._book.report_order(convert.to_order_report(contract, order, completed=False))

    def on_completed_order(
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None:
        if not self._is_ours(order.account):
            return
        self._arrivals.perm_ids.add(order.permId)
        known = self._book.report_order(convert.to_order_report(contract, order, completed=True))
        filled = convert.decimal_or_none(order.filledQuantity) or Decimal(0)
        status = convert.STATUSES.get(state.status, OrderStatus.UNKNOWN)
        known = self._book.report_status(known, status, filled=filled, avg_price=None)
        if state.completedStatus and status is not OrderStatus.FILLED and known.reason is None:
            self._book.give_reason(known, known.status, state.completedStatus)

    def on_order_status(
        self,
        order_id: int,
        client_id: int,
        perm_id: int,
        status: str,
        filled: float,
        avg_price: float,
    ) -> None:
        order = self._book.order_of(client_id, order_id, perm_id)
        if order is None or status not in convert.STATUSES:
            log.debug("status %s of an order that is not in the book (perm id %d)", status, perm_id)
            return
        self._book.report_status(
            order,
            convert.STATUSES[status],
            filled=convert.decimal_or_none(filled) or Decimal(0),
            avg_price=convert.decimal_or_none(avg_price),
        )

    def on_execution(self, contract: ib_async.Contract, execution: ib_async.Execution) -> None:
        if self._is_ours(execution.acctNumber):
            self._book.add_execution(convert.to_execution(contract, execution))

    def on_commission(self, report: ib_async.CommissionReport) -> None:
        commission = convert.decimal_or_none(report.commission)
        if commission is not None:
            self._book.report_commission(
                report.execId, commission, report.currency, convert.decimal_or_none(report.realizedPNL)
            )

    def on_account_value(self, tag: str, value: str, currency: str, account: str) -> None:
        wanted = tag in BASE_TAGS or (tag in LEDGER_TAGS and currency == "BASE")
        if wanted and account == self.account_id and (number := convert.decimal_or_none(value)) is not None:
            self._book.set_value(tag, number, currency)

    def on_portfolio(self, item: ib_async.PortfolioItem) -> None:
        if item.account == self.account_id:
            self._book.set_position(
                Position(
                    account_id=item.account,
                    contract=convert.to_contract(item.contract),
                    quantity=convert.decimal_or_none(item.position) or Decimal(0),
                    avg_cost=convert.decimal_or_none(item.averageCost) or Decimal(0),
                    market_price=convert.decimal_or_none(item.marketPrice),
                    market_value=convert.decimal_or_none(item.marketValue),
                    unrealized_pnl=convert.decimal_or_none(item.unrealizedPNL),
                    realized_pnl=convert.decimal_or_none(item.realizedPNL),
                )
            )

    def on_position(
        self, account: str, contract: ib_async.Contract, quantity: float, avg_cost: float
    ) -> None:
        if account == self.account_id:
            self._arrivals.positions.add(contract.conId)
            self._book.set_holding(
                convert.to_contract(contract),
                convert.decimal_or_none(quantity) or Decimal(0),
                convert.decimal_or_none(avg_cost) or Decimal(0),
            )

    def on_pnl(self, req_id: int, daily: float, unrealized: float, realized: float) -> None:
        if req_id == self._pnl_request:
            number = convert.decimal_or_none
            self._book.set_pnl(number(daily), number(unrealized), number(realized))

    def _is_ours(self, account: str) -> bool:
        # Before the account is chosen nothing has been asked for, so nothing of an account can come.
        return account in (self.account_id, "")


def _log_handler_failure(event: Any, error: Exception) -> None:
    """eventkit swallows what a handler raises; without this it would not even be logged."""
    log.error("a handler of %s failed", event.name(), exc_info=error)
