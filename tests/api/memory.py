"""An app over a broker that lives in memory: what the API does is tested apart from what IB does."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from trademind.analysis.backtests.queue import Backtests
from trademind.analysis.service import SignalService
from trademind.brokers.base import Broker
from trademind.brokers.streams import EventStream, Streams
from trademind.brokers.topics import LatestTopic, MarketStream, MarketStreams, SequenceTopic, Topic
from trademind.clock import ManualClock, SystemClock
from trademind.domain import (
    Account,
    Bar,
    BarRequest,
    Channel,
    Contract,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    DataSource,
    DataType,
    Depth,
    Execution,
    LineUsage,
    LiveBar,
    LiveBars,
    Margin,
    Missed,
    OptionParameters,
    Order,
    OrderChange,
    OrderGroup,
    OrderPreview,
    OrderRequest,
    OrderStatus,
    PnL,
    Position,
    Quote,
    ScannerParameters,
    ScanRequest,
    ScanRow,
    SecType,
    SessionInfo,
    SessionState,
    Subject,
    Tick,
)
from trademind.errors import ContractNotFound, DuplicateOrder, OrderNotFound, OrderNotWorking
from trademind.journal import Journal, open_journal
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.jobs import BarJobs
from trademind.settings import Settings
from trademind.trading.entry import OrderEntry
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets

NOW = datetime(2026, 1, 30, 15, 30, 0, 250_000, tzinfo=UTC)
AAPL = Contract(con_id=265598, symbol="AAPL", sec_type=SecType.STOCK, exchange="SMART", currency="USD")
MSFT = Contract(con_id=272093, symbol="MSFT", sec_type=SecType.STOCK, exchange="SMART", currency="USD")
LISTED = {"AAPL": AAPL, "MSFT": MSFT}

READY = SessionInfo(
    state=SessionState.READY,
    since=NOW,
    host="127.0.0.1",
    port=4002,
    client_id=1,
    account_id="DU1234567",
    accounts=("DU1234567",),
    source=DataSource.PAPER,
    trading_allowed=True,
    server_version=178,
    connection_number=1,
    last_error=None,
    farms={"usfarm": "ok"},
)


def make_order(number: int, **changes: Any) -> Order:
    made = NOW + timedelta(seconds=number)
    order = Order(
        id=f"order-{number}",
        client_order_id=f"order-{number}",
        perm_id=1000 + number,
        ib_order_id=number,
        client_id=1,
        account_id="DU1234567",
        contract=AAPL,
        side="BUY",  # type: ignore[arg-type]
        quantity=Decimal(10),
        order_type="LMT",
        limit_price=Decimal("150.5"),
        stop_price=None,
        tif="DAY",
        outside_rth=False,
        order_ref=f"order-{number}",
        status=OrderStatus.SUBMITTED,
        filled_quantity=Decimal(0),
        remaining_quantity=Decimal(10),
        avg_fill_price=None,
        commission=None,
        created_at=made,
        updated_at=made,
        external=False,
    )
    return replace(order, **changes)


def make_execution(number: int, **changes: Any) -> Execution:
    execution = Execution(
        exec_id=f"0001.{number:04}",
        time=NOW + timedelta(seconds=number),
        account_id="DU1234567",
        contract=AAPL,
        side="BUY",  # type: ignore[arg-type]
        quantity=Decimal(5),
        price=Decimal("150.125"),
        exchange="ISLAND",
        perm_id=1001,
        ib_order_id=1,
        client_id=1,
        order_ref="order-1",
        order_id="order-1",
    )
    return replace(execution, **changes)


@dataclass
class MemoryBroker:
    """A broker that keeps what it is given. `failure`, where set, is what every call ends in."""

    async def disconnect(self) -> None:
        self.session = replace(self.session, state=SessionState.STOPPED)

    async def reconnect(self) -> None:
        self._answer()
        self.session = replace(self.session, state=SessionState.CONNECTING)

    def drain(self) -> None:
        self.streams.close(NOW, "the server is stopping", self.session.connection_number)
        self.market_streams.close()

    def check_taking_orders(self) -> None:
        self._answer()

    async def check_order(self, request: OrderRequest) -> None:
        self._find(request.query)

    def remember(self, orders: Iterable[Order]) -> None:
        self.orders.extend(orders)

    def stream(self, *channels: Channel) -> EventStream:
        return self.streams.open(channels)

    def market(self, *subjects: Subject) -> MarketStream[Any]:
        return self.market_streams.open(*subjects)

    async def hold(self, subject: Subject, holder: object) -> Topic:
        self._answer()
        contract = self._find(subject.query)
        subject = subject.of(contract.sec_type)
        key = (subject.channel, contract.con_id, subject.variant, subject.bars)
        topic = self.topics.get(key)
        if topic is None:
            if subject.channel in (Channel.QUOTES, Channel.DEPTH):
                is_quote = subject.channel is Channel.QUOTES
                topic = LatestTopic(
                    subject.channel,
                    contract,
                    lambda: self.quote_of(contract) if is_quote else self.books[contract.con_id],
                )
            else:
                topic = SequenceTopic(subject.channel, contract, subject.variant, subject.bars)
            self.topics[key] = topic
        self.holders.add((topic, holder))
        return topic

    def release(self, topic: Topic, holder: object) -> None:
        self.holders.discard((topic, holder))

    def line_usage(self) -> tuple[LineUsage, ...]:
        return tuple(
            LineUsage(
                channel=channel,
                limit=3,
                used=sum(topic.channel is channel for topic in self.topics.values()),
                held=len({topic for topic, _ in self.holders if topic.channel is channel}),
            )
            for channel in (Channel.QUOTES, Channel.DEPTH, Channel.BARS, Channel.TICKS)
        )

    def tick(self, contract: Contract, **prices: Any) -> None:
        """The quote of `contract` has changed."""
        self.quote.update(prices)
        if (topic := self.topics.get((Channel.QUOTES, contract.con_id, "", None))) is not None:
            cast(LatestTopic, topic).touch()

    def show(self, book: Depth) -> None:
        """That is how an order book stands now."""
        self.books[book.contract.con_id] = book
        if (topic := self.topics.get((Channel.DEPTH, book.contract.con_id, "", None))) is not None:
            cast(LatestTopic, topic).touch()

    def add(self, value: Tick | LiveBar | Missed) -> None:
        """A tick or a bar has come, or one is known to be missing."""
        match value:
            case Tick():
                channel, variants = Channel.TICKS, {value.tick_type.value}
            case LiveBar():
                channel, variants = Channel.BARS, {value.what_to_show}
            case Missed():
                channel, variants = value.channel, set()
        for topic in self.topics.values():
            if (
                isinstance(topic, SequenceTopic)
                and (topic.channel, topic.contract) == (channel, value.contract)
                and (not variants or topic.variant in variants)
            ):
                topic.add(value)

    def quote_of(self, contract: Contract) -> Quote:
        return Quote(contract=contract, as_of=NOW, data_type=DataType.LIVE, **self.quote)

    session: SessionInfo = READY
    failure: Exception | None = None
    account: Account = field(
        default_factory=lambda: Account(
            account_id="DU1234567",
            currency="USD",
            source=DataSource.PAPER,
            as_of=NOW,
            net_liquidation=Decimal("250000"),
            total_cash_value=Decimal("250000.004"),
            buying_power=Decimal("1E+6"),
            available_funds=Decimal("250000"),
            excess_liquidity=Decimal("250000"),
            equity_with_loan_value=Decimal("250000"),
            init_margin_req=Decimal("0"),
            maint_margin_req=Decimal("-0.001"),
            gross_position_value=Decimal("0"),
            unrealized_pnl=None,
            realized_pnl=Decimal("-12.345"),
        )
    )
    positions: tuple[Position, ...] = ()
    orders: list[Order] = field(default_factory=list)
    executions: tuple[Execution, ...] = ()
    bars: tuple[Bar, ...] = ()
    books: dict[int, Depth] = field(default_factory=dict)
    quote: dict[str, Any] = field(default_factory=dict)
    bar_requests: list[BarRequest] = field(default_factory=list)
    queries: list[ContractQuery] = field(default_factory=list)
    before_place: Callable[[], Any] | None = None
    streams: Streams = field(init=False)
    market_streams: MarketStreams = field(init=False)
    topics: dict[tuple[Channel, int, str, LiveBars | None], Topic] = field(default_factory=dict)
    holders: set[tuple[Topic, object]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.market_streams = MarketStreams(self)
        self.streams = Streams(
            ManualClock(NOW),
            {
                Channel.ORDERS: lambda: tuple(self.orders),
                Channel.EXECUTIONS: lambda: self.executions,
                Channel.ACCOUNT: lambda: (self.account,),
                Channel.SESSION: lambda: (self.session,),
            },
        )

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def get_account(self) -> Account:
        self._answer()
        return self.account

    async def get_positions(self) -> tuple[Position, ...]:
        self._answer()
        return self.positions

    async def get_pnl(self) -> PnL:
        self._answer()
        return PnL(
            account_id="DU1234567",
            source=DataSource.PAPER,
            as_of=NOW,
            daily_pnl=Decimal("12.5"),
            unrealized_pnl=None,
            realized_pnl=Decimal("3"),
        )

    async def get_orders(self, *, working: bool | None = None) -> tuple[Order, ...]:
        self._answer()
        return tuple(
            order
            for order in sorted(self.orders, key=lambda order: order.perm_id or 0, reverse=True)
            if working is None or working is not order.status.is_done
        )

    async def get_order(self, order_id: str) -> Order:
        self._answer()
        for order in self.orders:
            if order_id in (order.id, order.client_order_id):
                return order
        raise OrderNotFound(f"no order {order_id!r}")

    async def get_executions(self, *, order_id: str | None = None) -> tuple[Execution, ...]:
        self._answer()
        return tuple(e for e in self.executions if order_id in (None, e.order_id))

    async def place_order(self, request: OrderRequest) -> Order:
        self._answer()
        key = request.client_order_id
        for order in self.orders:
            if key is not None and order.client_order_id == key:
                if order.quantity != request.quantity:
                    raise DuplicateOrder(f"{key!r} belongs to another order")
                return order
        if self.before_place is not None:
            await self.before_place()
        contract = self._find(request.query)
        number = len(self.orders) + 1
        order = make_order(
            number,
            id=key or f"order-{number}",
            client_order_id=key or f"order-{number}",
            contract=contract,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type.value,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            tif=request.tif.value,
            remaining_quantity=request.quantity,
        )
        self.orders.append(order)
        return order

    async def modify_order(
        self, order_id: str, change: OrderChange, *, before_send: Callable[[], None] | None = None
    ) -> Order:
        order = await self.get_order(order_id)
        if order.status.is_done:
            raise OrderNotWorking(f"{order_id} is {order.status}")
        names = ("quantity", "limit_price", "stop_price", "tif")
        given = {name: value for name in names if (value := getattr(change, name)) is not None}
        return self._store(replace(order, **given))

    async def cancel_order(self, order_id: str) -> Order:
        order = await self.get_order(order_id)
        if order.status.is_done:
            raise OrderNotWorking(f"{order_id} is {order.status}")
        return self._store(replace(order, status=OrderStatus.PENDING_CANCEL))

    async def cancel_all_orders(self) -> tuple[Order, ...]:
        return tuple([await self.cancel_order(order.id) for order in await self.get_orders(working=True)])

    async def place_group(
        self, group: OrderGroup, *, before_release: Callable[[], None] | None = None
    ) -> tuple[Order, ...]:
        return tuple(
            [await self.place_order(leg) for leg in group.with_key(group.client_order_id or "g").legs]
        )

    async def preview_order(self, request: OrderRequest) -> OrderPreview:
        self._answer()
        nothing = Margin(before=None, change=None, after=None)
        return OrderPreview(
            account_id="DU1234567",
            source=DataSource.IB_PAPER,
            as_of=NOW,
            init_margin=nothing,
            maint_margin=nothing,
            equity_with_loan=nothing,
            commission=None,
            min_commission=None,
            max_commission=None,
            commission_currency=None,
            warning=None,
        )

    async def cancel_everything(self) -> None:
        await self.cancel_all_orders()

    async def reconcile(self) -> None:
        self._answer()

    async def get_quotes(self, queries: Sequence[ContractQuery]) -> tuple[Quote, ...]:
        return tuple([await self.get_quote(query) for query in queries])

    async def get_quote(self, query: ContractQuery) -> Quote:
        self._answer()
        self.queries.append(query)
        return self.quote_of(self._find(query))

    async def get_bars(self, query: ContractQuery, request: BarRequest) -> tuple[Bar, ...]:
        self._answer()
        self._find(query)
        self.bar_requests.append(request)
        return self.bars

    async def get_head_timestamp(
        self, query: ContractQuery, what_to_show: str | None = None, *, use_rth: bool = True
    ) -> datetime:
        self._find(query)
        return NOW

    async def get_scanner_parameters(self) -> ScannerParameters:
        self._answer()
        return ScannerParameters(scan_codes=(), instruments=(), locations=(), filters=())

    async def scan(self, request: ScanRequest) -> tuple[ScanRow, ...]:
        self._answer()
        return ()

    async def search_contracts(self, text: str) -> tuple[ContractMatch, ...]:
        self._answer()
        return tuple(
            ContractMatch(
                con_id=contract.con_id,
                symbol=symbol,
                sec_type=contract.sec_type,
                primary_exchange="NASDAQ",
                currency="USD",
                description=f"{symbol} INC",
                derivative_sec_types=("OPT",),
            )
            for symbol, contract in LISTED.items()
            if symbol.startswith(text.upper())
        )

    async def qualify(
        self, query: ContractQuery, *, fresh: bool = False, max_age: timedelta | None = None
    ) -> ContractDetails:
        return ContractDetails(
            contract=self._find(query),
            as_of=NOW,
            long_name="",
            min_tick=Decimal("0.01"),
            size_increment=Decimal(1),
        )

    async def find_contracts(self, query: ContractQuery) -> tuple[ContractDetails, ...]:
        return (await self.qualify(query),)

    async def get_options(self, con_id: int) -> tuple[OptionParameters, ...]:
        return ()

    def _find(self, query: ContractQuery) -> Contract:
        for contract in LISTED.values():
            if contract.con_id == query.con_id:
                return contract
        if query.symbol not in LISTED:
            raise ContractNotFound(f"no contract for {query.symbol!r}", ib_code=200)
        return LISTED[query.symbol]

    def _store(self, order: Order) -> Order:
        self.orders = [order if kept.id == order.id else kept for kept in self.orders]
        return order


@dataclass(frozen=True)
class MemoryRuntime:
    settings: Settings
    broker: Broker
    orders: OrderEntry
    targets: Targets
    risk: Risk
    journal: Journal
    bars: BarArchive
    bar_jobs: BarJobs
    backtests: Backtests
    signals: SignalService
    feed: Broker
    """What is told is what the broker says; of the way through the journal `test_stream_resume` tells."""


def runtime_of(broker: Broker) -> Callable[[Settings], AbstractAsyncContextManager[MemoryRuntime]]:
    """Opens a runtime whose broker is `broker`."""

    @asynccontextmanager
    async def open_runtime(settings: Settings) -> AsyncIterator[MemoryRuntime]:
        with TemporaryDirectory() as folder:
            clock = SystemClock()
            async with (
                open_journal(Path(folder) / "journal.db") as journal,
                Risk(broker, journal, clock, settings.risk.limits) as risk,
                BarJobs(bars := BarArchive(broker, journal, clock), journal, clock) as bar_jobs,
            ):
                entry = OrderEntry(broker, journal, risk, clock)
                targets = Targets(broker, journal, entry, clock)
                async with (
                    SignalService(broker, journal, bars, entry, targets, clock, settings.signals) as signals,
                    Backtests(
                        Path(folder) / "backtests", bars, bar_jobs, journal, signals.strategies, clock
                    ) as backtests,
                ):
                    yield MemoryRuntime(
                        settings=settings,
                        broker=broker,
                        orders=entry,
                        targets=targets,
                        risk=risk,
                        journal=journal,
                        bars=bars,
                        bar_jobs=bar_jobs,
                        signals=signals,
                        backtests=backtests,
                        feed=broker,
                    )

    return open_runtime


@asynccontextmanager
async def served(app: FastAPI, *, base_url: str = "http://localhost") -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`, whose lifespan runs meanwhile. Requests get its state, as a server gives it."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client
