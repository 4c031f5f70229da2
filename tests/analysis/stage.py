"""A stage for signals: all of a server but its API, over the real paper gateway, whose clock stands still
until a test moves it; and the user's own strategies as files."""

import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.brokers.stage import Stage
from tests.gateway.bench import until
from trademind import ContractQuery
from trademind.analysis.scheduler import Scheduler
from trademind.analysis.service import Opened, SignalService
from trademind.analysis.watchlist import Watch
from trademind.brokers.ibkr.client import IBKRBroker
from trademind.clock import ManualClock
from trademind.domain import Channel, TrackedSignal
from trademind.journal import Journal, StoredEvent, open_journal
from trademind.market.bars.archive import BarArchive
from trademind.settings import SignalSettings
from trademind.trading.audit import Caller
from trademind.trading.entry import OrderEntry
from trademind.trading.feed import Feed
from trademind.trading.recorder import Recorder
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets

AAPL, MSFT = ContractQuery(symbol="AAPL"), ContractQuery(symbol="MSFT")
SOMEBODY = Caller("a test", "test")

EVERY = """
from trademind.signals import Action, Reason, Strategy, choice, number, whole

class Every(Strategy):
    name = "every"
    description = "Says the same at every bar."
    action: str = choice("buy", ("buy", "sell", "close"), "What it says")
    stop: float = number(1.0, 0, 50, "Per cent to the stop; 0 for none")
    target: float = number(2.0, 0, 50, "Per cent to the target; 0 for none")
    expiry: int = whole(3, 1, 100, "Bars that it is good for")

    def on_bars(self, bars):
        last = len(bars) - 1
        close = float(bars.close[last])
        sign = -1 if self.action == "sell" else 1
        return [
            self.signal(
                bars, last, Action(self.action), reasons=[Reason("It is said at every bar")],
                stop=close * (1 - sign * self.stop / 100) if self.stop else None,
                target=close * (1 + sign * self.target / 100) if self.target else None,
                expiry_bars=self.expiry,
            )
        ]
"""
ENDLESS = """
from trademind.signals import Strategy

class Endless(Strategy):
    name = "endless"
    description = "Never returns."

    def on_bars(self, bars):
        while True:
            pass
"""


@dataclass
class Signals:
    """The service, and what is around it."""

    stage: Stage
    broker: IBKRBroker
    journal: Journal
    archive: BarArchive
    orders: OrderEntry
    service: SignalService
    feed: Feed
    opened: Opened

    @property
    def clock(self) -> ManualClock:
        assert isinstance(self.stage.clock, ManualClock)
        return self.stage.clock

    @property
    def scheduler(self) -> Scheduler:
        return self.opened.scheduler

    async def say(self, query: ContractQuery = AAPL, **parameters: Any) -> TrackedSignal:
        """What `every` says of an instrument now."""
        plan = self.opened.desk.plan(every(**parameters))
        (look,) = await self.opened.desk.look(query, [plan])
        assert look.tracked is not None, look.error
        return look.tracked

    async def told(self) -> list[StoredEvent]:
        """Every event of signals until now."""
        return list(await self.journal.reading.events_since(0, channels=[Channel.SIGNALS]))

    async def names(self) -> list[str]:
        return [event.name for event in await self.told()]


def every(*, auto: bool = False, bar_size: str = "1 min", **parameters: Any) -> Watch:
    return Watch(strategy="every", parameters=parameters, bar_size=bar_size, auto=auto)


@asynccontextmanager
async def signals_of(
    stage: Stage, folder: Path, *, files: Mapping[str, str] | None = None, live: bool = False, **settings: Any
) -> AsyncIterator[Signals]:
    """One start of a server."""
    own = folder / "strategies"
    own.mkdir(exist_ok=True)
    for name, text in (files or {"every": EVERY}).items():
        (own / f"{name}.py").write_text(textwrap.dedent(text))
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        journal = await enter(open_journal(folder / "journal.db"))
        broker = stage.broker()
        recorder = await enter(Recorder(broker, journal, ()))
        risk = await enter(Risk(broker, journal, stage.clock, market=stage.clock))
        await broker.connect()
        stack.push_async_callback(stage.leave, broker)
        archive = BarArchive(broker, journal, stage.clock, name="paper test")
        stack.push_async_callback(archive.close)
        entry = OrderEntry(broker, journal, risk, stage.clock)
        service = SignalService(
            broker,
            journal,
            archive,
            entry,
            Targets(broker, journal, entry, stage.clock),
            stage.clock,
            SignalSettings(folder=own, **settings),
            feed=recorder.feed,
            live=live,
        )
        await enter(service)
        opened = await service.opened()
        assert service._loading is not None
        await service._loading
        await until(lambda: recorder.feed.streams.gap is None)
        yield Signals(stage, broker, journal, archive, entry, service, recorder.feed, opened)
