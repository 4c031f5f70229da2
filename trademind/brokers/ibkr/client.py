"""`IBKRBroker`: the one object that endpoints, scripts and notebooks use."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from trademind.brokers.bars import Bars, bars_of
from trademind.brokers.book import Book
from trademind.brokers.ibkr.contracts import Contracts, ContractStore
from trademind.brokers.ibkr.history import History
from trademind.brokers.ibkr.history_pacing import HistoryPacing
from trademind.brokers.ibkr.line_limits import MAX_LINES
from trademind.brokers.ibkr.market_data import MarketData
from trademind.brokers.ibkr.orders import Orders
from trademind.brokers.ibkr.scanners import Scanners
from trademind.brokers.ibkr.session import Handlers, Session, SessionOptions
from trademind.brokers.ibkr.supervisor import Supervisor
from trademind.brokers.order_ids import OrderIds
from trademind.brokers.streams import EventStream, Streams
from trademind.brokers.topics import MarketStream, MarketStreams
from trademind.clock import Clock, SystemClock
from trademind.domain import (
    Account,
    Bar,
    BarRequest,
    Channel,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    DataType,
    Depth,
    Execution,
    LineUsage,
    LiveBar,
    LiveBars,
    Missed,
    OptionParameters,
    Order,
    OrderChange,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    PnL,
    Position,
    Quote,
    ScannerParameters,
    ScanRequest,
    ScanRow,
    SessionInfo,
    Subject,
    Tick,
    TickType,
)
from trademind.domain.market import REAL_TIME
from trademind.errors import Invalid, OrderNotFound, TradeMindError


class IBKRBroker:
    """A session with TWS, IB Gateway or the paper gateway, on the running event loop.

        async with IBKRBroker(port=4002) as broker:
            print(await broker.get_account())

    Reads are answered from the book; commands wait for IB's answer up to a deadline. When the connection
    breaks, every waiting call fails at once and the broker reconnects by itself, always with the same
    client id. See `trademind.brokers.base.Broker` for the contract of each method.

    Args:
        host, port: Where the gateway's API listens. 4002 IB Gateway paper, 4001 live; 7497 TWS paper, 7496
            live.
        client_id: This program's id at the gateway; each program needs its own.
        account: Which account to use; needed where the login has several.
        allow_live: Allow orders for a live account. Without it such an account is read-only.
        require_paper: Refuse to connect to a live account at all.
        connect_timeout: Seconds for a connection with all its first snapshots.
        request_timeout: Seconds for the answer to a question.
        order_timeout: Seconds for the acknowledgement of an order.
        heartbeat: Seconds without a message after which the gateway is asked whether it is there.
        silent_after: Seconds without a message after which it counts as silent; above `heartbeat`.
        settle_after: Seconds after which, on a new connection, an order that was not answered and is not
            listed counts as never sent.
        market_data_type: What is shown of the market where live data are not to be had (delayed), or it is
            closed (frozen).
        max_requests_per_second: IB drops a client above 50 messages a second; 0 is no limit, nor for history,
            bars of five seconds and ticks.
        market_data_lines: How many of the login's lines may be taken.
        order_ids: Where the order ids that were used are remembered; by default for the life of this object.
        contracts: Where what IB has told of contracts is kept; by default for the life of this object.
        market_clock: The time of a market that is not in this world's; by it bars end.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 4002,
        client_id: int = 1,
        *,
        account: str | None = None,
        allow_live: bool = False,
        require_paper: bool = False,
        connect_timeout: float = 10.0,
        request_timeout: float = 15.0,
        order_timeout: float = 10.0,
        heartbeat: float = 5.0,
        silent_after: float = 15.0,
        settle_after: float = 5.0,
        market_data_type: DataType = DataType.LIVE,
        max_requests_per_second: int = 45,
        market_data_lines: int = MAX_LINES,
        order_ids: OrderIds | None = None,
        contracts: ContractStore | None = None,
        clock: Clock | None = None,
        market_clock: Clock | None = None,
    ) -> None:
        if not 0 < heartbeat < silent_after:
            raise ValueError("silent_after has to be longer than heartbeat, and both above 0")
        self._clock = clock = clock or SystemClock()
        options = SessionOptions(
            host=host,
            port=port,
            client_id=client_id,
            account=account,
            allow_live=allow_live,
            require_paper=require_paper,
            connect_timeout=connect_timeout,
            request_timeout=request_timeout,
            order_timeout=order_timeout,
            heartbeat=heartbeat,
            silent_after=silent_after,
            settle_after=settle_after,
            market_data_type=DataType(market_data_type),
            max_requests_per_second=max_requests_per_second,
        )
        self._book = Book(clock, client_id)
        self._streams = Streams(
            clock,
            {
                Channel.ORDERS: lambda: self._readable().orders(),
                Channel.EXECUTIONS: lambda: self._readable().executions(),
                Channel.ACCOUNT: lambda: (self._readable().account(),),
                Channel.SESSION: lambda: (self.session,),
            },
        )
        self._contracts = Contracts(self._session, clock, contracts)
        is_paced, pacing = max_requests_per_second > 0, HistoryPacing()
        self._scanners = Scanners(self._session)
        self._market_data = MarketData(
            self._session,
            self._contracts,
            clock,
            pacing=pacing if is_paced else None,
            max_lines=market_data_lines,
            market=market_clock,
        )
        self._history = History(self._session, pacing, is_paced=is_paced, kept=self._market_data.kept)
        self._market = MarketStreams(self._market_data)
        self._orders = Orders(
            self._session, self._session_for_orders, self._book, self._contracts, clock, client_id
        )
        self._supervisor = Supervisor(
            options,
            self._book,
            Handlers(
                order_error=self._orders.on_error,
                market=self._market_data,
                interrupted=self._on_interruption,
            ),
            clock,
            self._streams,
            order_ids or OrderIds(),
            on_ready=self._market_data.restore,
            on_stale=self._mark_stale,
        )
        self._book.watch_orders(lambda order: self._streams.publish(Channel.ORDERS, order))
        self._book.watch_executions(lambda fill: self._streams.publish(Channel.EXECUTIONS, fill))
        self._book.watch_account(lambda: self._streams.touch(Channel.ACCOUNT, self._book.account))

    def _readable(self) -> Book:
        """The book, where it holds a complete set of snapshots. Raises `Unavailable`."""
        self._supervisor.check_readable()
        return self._book

    def _session(self) -> Session:
        return self._supervisor.session()

    def _session_for_orders(self) -> Session:
        return self._supervisor.session_for_orders()

    def _mark_stale(self, is_stale: bool) -> None:
        self._book.mark_stale(is_stale)
        self._market_data.mark_stale(is_stale)

    def _on_interruption(self, error: TradeMindError) -> None:
        self._orders.interrupted(error)
        self._market_data.interrupted(error)
        self._history.interrupted(error)

    # The session -------------------------------------------------------------------------------

    async def connect(self) -> bool:
        """Connect, log on and bring in the first snapshots; stay connected from then on.

        Returns:
            True; it never returns False.

        Raises:
            GatewayRefused: nothing listens there.
            ClientIdInUse: another program has this client id.
            NotSynchronised: something listens, but did not deliver everything in time.
            AccountNotFound: the account is not the login's, or has to be named.
            LiveAccountNotAllowed: a live account where paper is required.
        """
        await self._supervisor.connect()
        return True

    async def start(self) -> None:
        """Connect in the background and keep trying: for a server, which starts without its gateway too."""
        await self._supervisor.start()

    async def disconnect(self) -> None:
        """Close the session and stop reconnecting. Calls that wait fail with `NotConnected`."""
        await self._supervisor.close()
        self._market.close()
        self._market_data.close()
        desks = (self._orders, self._contracts, self._history, self._scanners)
        await asyncio.gather(*(desk.close() for desk in desks))

    async def reconnect(self) -> None:
        """Give the present connection up and make a new one, without waiting for it."""
        await self._supervisor.reconnect()

    def check_taking_orders(self) -> None:
        self._orders.check_taking()

    async def check_order(self, request: OrderRequest) -> None:
        await self._orders.check(request)

    def remember(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._book.remember(order)

    def drain(self) -> None:
        """The program is about to end: refuse new orders and changes with `ShuttingDown`, end every stream.
        Cancels and reads go on, and so does what is under way."""
        self._orders.stop_taking()
        self._supervisor.end_streams("the server is stopping")
        self._market.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    @property
    def session(self) -> SessionInfo:
        """Where the session stands."""
        return self._supervisor.info()

    # Reads -------------------------------------------------------------------------------------

    async def get_account(self) -> Account:
        return self._readable().account()

    async def get_positions(self) -> tuple[Position, ...]:
        return self._readable().positions()

    async def get_pnl(self) -> PnL:
        return self._readable().pnl()

    async def get_orders(self, *, working: bool | None = None) -> tuple[Order, ...]:
        return tuple(
            o for o in self._readable().orders() if working is None or o.status.is_done is not working
        )

    async def get_order(self, order_id: str) -> Order:
        order = self._book.order(order_id)
        if order is None:
            self._supervisor.check_readable()
            raise OrderNotFound(f"there is no order {order_id}")
        return order

    async def get_executions(self, *, order_id: str | None = None) -> tuple[Execution, ...]:
        return tuple(e for e in self._readable().executions() if order_id is None or e.order_id == order_id)

    # Commands ----------------------------------------------------------------------------------

    async def place_order(self, request: OrderRequest) -> Order:
        return await self._orders.place(request)

    async def place_group(
        self, group: OrderGroup, *, before_release: Callable[[], None] | None = None
    ) -> tuple[Order, ...]:
        return await self._orders.place_group(group, before_release=before_release)

    async def preview_order(self, request: OrderRequest) -> OrderPreview:
        return await self._orders.preview(request)

    async def modify_order(
        self, order_id: str, change: OrderChange, *, before_send: Callable[[], None] | None = None
    ) -> Order:
        return await self._orders.modify(order_id, change, before_send=before_send)

    async def cancel_order(self, order_id: str) -> Order:
        return await self._orders.cancel(order_id)

    async def cancel_all_orders(self) -> tuple[Order, ...]:
        return await self._orders.cancel_all()

    async def cancel_everything(self) -> None:
        await self._orders.cancel_everything()

    async def reconcile(self) -> None:
        await self._session().refresh_orders()

    # The market --------------------------------------------------------------------------------

    async def get_quotes(self, queries: Sequence[ContractQuery]) -> tuple[Quote, ...]:
        if len(queries) > MAX_LINES:
            raise Invalid([("symbols", f"at most {MAX_LINES} at a time")])
        details = await asyncio.gather(*(self._contracts.qualify(query) for query in queries))
        with self._contracts.doubted(*queries):
            return await self._market_data.get([one.contract for one in details])

    async def get_quote(self, query: ContractQuery) -> Quote:
        return (await self.get_quotes([query]))[0]

    async def get_bars(self, query: ContractQuery, request: BarRequest) -> tuple[Bar, ...]:
        details = await self._contracts.qualify(query)
        with self._contracts.doubted(query):
            return await self._history.fetch(details.contract, request.of(details.contract.sec_type))

    async def bars(
        self,
        instrument: str | ContractQuery,
        *,
        bar_size: str = "1 hour",
        duration: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        what_to_show: str | None = None,
        use_rth: bool = True,
    ) -> Bars:
        """For scripts: `(await broker.bars("AAPL", duration="5 D")).to_pandas()`. See `bars_of`."""
        return await bars_of(
            self,
            instrument,
            bar_size=bar_size,
            duration=duration,
            start=start,
            end=end,
            what_to_show=what_to_show,
            use_rth=use_rth,
            now=self._clock.now(),
        )

    async def get_head_timestamp(
        self, query: ContractQuery, what_to_show: str | None = None, *, use_rth: bool = True
    ) -> datetime:
        contract = (await self._contracts.qualify(query)).contract
        shown = BarRequest(what_to_show=what_to_show).of(contract.sec_type).what_to_show
        assert shown is not None
        with self._contracts.doubted(query):
            return await self._history.head(contract, shown, use_rth=use_rth)

    async def get_scanner_parameters(self) -> ScannerParameters:
        return await self._scanners.parameters()

    async def scan(self, request: ScanRequest) -> tuple[ScanRow, ...]:
        return await self._scanners.scan(request)

    async def search_contracts(self, text: str) -> tuple[ContractMatch, ...]:
        return await self._contracts.search(text)

    async def qualify(
        self, query: ContractQuery, *, fresh: bool = False, max_age: timedelta | None = None
    ) -> ContractDetails:
        return await self._contracts.qualify(query, fresh=fresh, max_age=max_age)

    async def find_contracts(self, query: ContractQuery) -> tuple[ContractDetails, ...]:
        return await self._contracts.find(query)

    async def get_options(self, con_id: int) -> tuple[OptionParameters, ...]:
        return await self._contracts.options(con_id)

    # Events ------------------------------------------------------------------------------------

    def stream(self, *channels: Channel) -> EventStream:
        return self._streams.open(channels)

    def market(self, *subjects: Subject) -> MarketStream[Any]:
        return self._market.open(*subjects)

    def line_usage(self) -> tuple[LineUsage, ...]:
        return self._market_data.usage()

    def quotes(self, *instruments: str | ContractQuery) -> MarketStream[Quote]:
        """The quotes of some instruments, as they change: `async for quote in broker.quotes("AAPL")`."""
        return self._follow(Channel.QUOTES, instruments)

    def depth(self, *instruments: str | ContractQuery) -> MarketStream[Depth]:
        """Their order books, as they change. On SMART a book is of all exchanges together."""
        return self._follow(Channel.DEPTH, instruments)

    def live_bars(
        self,
        *instruments: str | ContractQuery,
        bar_size: str = REAL_TIME,
        what_to_show: str | None = None,
        use_rth: bool = False,
        forming: bool = False,
    ) -> MarketStream[LiveBar | Missed]:
        """Bars, each when it has ended, of all hours of the day or of the regular ones; with `forming` also
        the one that has not, whenever it has changed."""
        bars = LiveBars(bar_size=bar_size, use_rth=use_rth, forming=forming)
        return self._follow(Channel.BARS, instruments, what_to_show or "", bars)

    def ticks(
        self, *instruments: str | ContractQuery, tick_type: TickType = TickType.ALL_LAST
    ) -> MarketStream[Tick | Missed]:
        """Tick by tick: every trade, or every change of the best bid and ask or of their middle."""
        return self._follow(Channel.TICKS, instruments, tick_type)

    def _follow(
        self,
        channel: Channel,
        instruments: Sequence[str | ContractQuery],
        variant: str = "",
        bars: LiveBars | None = None,
    ) -> MarketStream[Any]:
        queries = [ContractQuery(symbol=each) if isinstance(each, str) else each for each in instruments]
        return self._market.open(
            *(Subject(channel=channel, query=query, variant=variant, bars=bars) for query in queries)
        )
