"""The composition root: builds the object graph from the settings, opens it in order, closes it in reverse.

The only place that knows whether the gateway is TradeMind's own.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from filelock import FileLock, Timeout

from trademind.analysis.backtests.queue import Backtests
from trademind.analysis.service import SignalService
from trademind.brokers.base import Broker
from trademind.brokers.contract_store import ContractFile
from trademind.brokers.ibkr.client import IBKRBroker
from trademind.brokers.order_ids import OrderIds
from trademind.clock import SystemClock
from trademind.errors import SettingsError
from trademind.gateway.assembly import paper_gateway
from trademind.gateway.server import PaperGatewayServer
from trademind.journal import Journal, open_journal
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.calendars import ExchangeCalendars, NoCalendars
from trademind.market.bars.jobs import BarJobs
from trademind.settings import BrokerKind, Settings, is_loopback
from trademind.trading.earlier import known_orders, pending_orders
from trademind.trading.entry import OrderEntry
from trademind.trading.feed import Feed
from trademind.trading.recorder import Recorder
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a running server is made of."""

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
    feed: Feed
    """What has happened, as it was written down."""
    gateway: PaperGatewayServer | None
    """The embedded paper gateway, where there is one."""


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything the settings ask for.

    The broker connects in the background, so that the server also starts while its gateway is down.

    Raises:
        SettingsError: the paper account cannot be opened as the settings say, or another process of this
            machine has the session.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_only_session(settings))
        ibkr = settings.ibkr
        host, port, gateway = ibkr.host, ibkr.port, None
        if settings.broker is BrokerKind.PAPER:
            gateway = await stack.enter_async_context(
                paper_gateway(settings.paper, data_dir=settings.data_dir)
            )
            host, port = gateway.host, gateway.port
        clock = SystemClock()
        # A paper market may be in another time, and its instruments trade by that.
        market = None if gateway is None else gateway.core.clock
        journal = await stack.enter_async_context(
            open_journal(settings.journal.url or settings.data_dir / "journal.db", clock=clock)
        )
        broker = IBKRBroker(
            host,
            port,
            ibkr.client_id,
            account=settings.account,
            allow_live=ibkr.allow_live,
            require_paper=gateway is not None,
            connect_timeout=ibkr.connect_timeout,
            request_timeout=ibkr.request_timeout,
            order_timeout=ibkr.order_timeout,
            heartbeat=ibkr.heartbeat,
            silent_after=ibkr.silent_after,
            market_data_type=ibkr.market_data_type,
            market_data_lines=ibkr.market_data_lines,
            order_ids=OrderIds(settings.data_dir / "order-ids.json"),
            contracts=_contract_file(settings),
            market_clock=market,
            # The limit is IB's; the paper gateway has it unless it is told not to.
            max_requests_per_second=45 if gateway is None or settings.paper.pacing else 0,
        )
        known = await known_orders(journal, ibkr.client_id, clock.now())
        pending = await pending_orders(journal, ibkr.client_id)
        broker.remember([*known, *pending])
        recorder = await stack.enter_async_context(Recorder(broker, journal, known, clock=clock))
        risk = Risk(broker, journal, clock, settings.risk.limits, market=market)
        await stack.enter_async_context(risk)
        await broker.start()
        stack.push_async_callback(broker.disconnect)
        is_always_open = gateway is not None and settings.paper.hours == "always"
        bars = BarArchive(
            broker,
            journal,
            market or clock,
            calendars=NoCalendars() if is_always_open else ExchangeCalendars(),
            name=bar_source(settings),
        )
        stack.push_async_callback(bars.close)
        bar_jobs = await stack.enter_async_context(BarJobs(bars, journal, clock))
        orders = OrderEntry(broker, journal, risk, clock, pending)
        targets = Targets(broker, journal, orders, clock)
        signals = SignalService(
            broker,
            journal,
            bars,
            orders,
            targets,
            market or clock,
            settings.signals,
            feed=recorder.feed,
            live=settings.signals.auto_live and ibkr.allow_live,
        )
        await stack.enter_async_context(signals)
        backtests = await stack.enter_async_context(
            Backtests(settings.data_dir / "backtests", bars, bar_jobs, journal, signals.strategies, clock)
        )
        yield Runtime(
            settings=settings,
            broker=broker,
            orders=orders,
            targets=targets,
            risk=risk,
            journal=journal,
            bars=bars,
            bar_jobs=bar_jobs,
            signals=signals,
            backtests=backtests,
            feed=recorder.feed,
            gateway=gateway,
        )


def _contract_file(settings: Settings) -> ContractFile | None:
    """Where contracts are remembered. A paper market of a recording or of another time is another one every
    time, so nothing of it is."""
    path, paper = settings.data_dir / "contracts.db", settings.paper
    if settings.broker is not BrokerKind.PAPER:
        return ContractFile(path, gateway=f"{settings.ibkr.host}:{settings.ibkr.port}")
    if paper.feed == "replay" or paper.start is not None or paper.speed != 1:
        return None
    return ContractFile(path, gateway="the embedded paper gateway")


def bar_source(settings: Settings) -> str | None:
    """The name of the market that the embedded paper gateway makes, which is the same wherever its bars are
    the same; None where bars come from a gateway elsewhere."""
    if settings.broker is not BrokerKind.PAPER:
        return None
    paper = settings.paper
    made_of: list[object]
    if paper.feed == "synthetic":
        made_of = [paper.seed, paper.hours, paper.actions]
    else:
        made_of = [paper.replay_file, paper.loop, paper.start, paper.others, paper.seed, paper.hours]
    digest = hashlib.sha256(repr([str(each) for each in made_of]).encode()).hexdigest()
    return f"paper {paper.feed} {digest[:16]}"


@contextmanager
def _only_session(settings: Settings) -> Iterator[None]:
    """Hold the client id for this process: with two of them, each would take the session away from the other.

    The gateway refuses a second connection with the same id, too, but only says so again and again (326), and
    a server with two workers would answer half of its requests. A paper account is held by its own lock.
    """
    if settings.broker is BrokerKind.PAPER:
        yield
        return
    ibkr, directory = settings.ibkr, settings.data_dir
    host = "loopback" if is_loopback(ibkr.host) else ibkr.host
    name = re.sub(r"[^\w.-]", "_", f"session-{host}-{ibkr.port}-{ibkr.client_id}.lock")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / name, timeout=0).acquire()
    except Timeout:
        raise SettingsError(
            f"client id {ibkr.client_id} at {ibkr.host}:{ibkr.port} is held by another process of TradeMind, "
            "and a client id has one session. Run one server process (no --workers), or give this one a "
            "TRADEMIND_IBKR__CLIENT_ID of its own"
        ) from None
    except OSError as error:
        raise SettingsError(f"TRADEMIND_DATA_DIR: {directory} cannot be used: {error}") from error
    with lock:
        yield
