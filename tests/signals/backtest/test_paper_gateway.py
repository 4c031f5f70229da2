"""The same strategy over the same bars, once as a backtest and once through the running paper gateway.

The gateway plays the bars from a file, and a real broker client places what the signals say, over TCP. Its
clock goes from bar to bar, and within a bar to where an exit is touched, as fast as the orders are done.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.stage import order_that
from tests.gateway.bench import until
from tests.signals.backtest.making import Crossover, walk
from trademind import IBKRBroker
from trademind.clock import ManualClock
from trademind.domain import (
    Order,
    OrderClass,
    OrderGroup,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trademind.domain.signals import Action, Signal
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.replay import ReplayFeed
from trademind.gateway.feeds.tape_files import read_tapes
from trademind.gateway.server import PaperGatewayServer
from trademind.signals.backtest import BacktestSettings, FixedQuantity, run_backtest
from trademind.signals.backtest.data import read_bars
from trademind.signals.backtest.trades import Trade, round_trips
from trademind.signals.backtest.venue import Fill
from trademind.signals.bars import BarArrays

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]

QUANTITY = Decimal(90)
VOLUME = 4_000_000
"""Of each bar: enough for the replay's quotes to have both orders of a reversal on offer at one price."""
LATEST = timedelta(microseconds=1)
"""After a bar has begun: the market is at its open."""
LOOKS = 6000
"""How often the price is looked at within a bar: every hundredth of a second."""


def file_of(bars: BarArrays, folder: Path) -> Path:
    """The bars as a file that both read."""
    file = folder / f"{bars.symbol}.csv"
    columns = zip(bars.time, bars.open, bars.high, bars.low, bars.close, strict=True)
    rows = [
        f"{at},{begin:.2f},{high:.2f},{low:.2f},{end:.2f},{VOLUME}" for at, begin, high, low, end in columns
    ]
    file.write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8")
    return file


@dataclass
class Runner:
    """Places what signals say, as somebody would who trades them live."""

    broker: IBKRBroker
    clock: ManualClock
    feed: ReplayFeed
    bars: BarArrays
    why: dict[str, str] = field(default_factory=dict)
    """Of each order, by its id."""
    exits: list[Order] = field(default_factory=list)
    held: Decimal = Decimal(0)

    async def trade(self, signals: Sequence[Signal]) -> list[Fill]:
        by_bar = {each.index + 1: each for each in signals}
        for bar in range(len(self.bars)):
            begins = self.bars.moment(bar)
            self.clock.advance(begins + LATEST - self.clock.now())
            await self.look(bar)
            signal = by_bar.get(bar)
            if signal is not None and self.held * (1 if signal.action is Action.BUY else -1) <= 0:
                await self.follow(signal)
            for part in range(1, LOOKS):
                # Where no exit can be touched, nobody has to look.
                if not any(self.bars.low[bar] <= level(each) <= self.bars.high[bar] for each in self.exits):
                    break
                self.clock.advance(begins + timedelta(minutes=1) * part / LOOKS - self.clock.now())
                await self.look(bar)
        return await self.fills()

    async def look(self, bar: int) -> None:
        """Wait for the exit that the market has come to."""
        if not self.exits:
            return
        last = self.feed.quote(self.feed.recorded[0], self.clock.now()).last
        for each in self.exits:
            is_limit = each.order_type == OrderType.LIMIT
            if (each.side is Side.BUY) is is_limit:
                # What is bought has to meet the ask, a tick above.
                reached = last + (Decimal("0.01") if is_limit else 0) <= level(each)
            else:
                reached = last >= level(each)
            if reached:
                await order_that(self.broker, each.id, lambda order: order.status is OrderStatus.FILLED)
                self.exits, self.held = [], Decimal(0)
                return

    async def follow(self, signal: Signal) -> None:
        if self.exits:
            await self.broker.cancel_order(self.exits[0].id)
            for each in self.exits[1:]:
                await self.broker.cancel_order(each.id)
        for each in self.exits:
            await order_that(self.broker, each.id, lambda order: order.status is OrderStatus.CANCELED)
        self.exits = []
        side = Side.BUY if signal.action is Action.BUY else Side.SELL
        if self.held:
            await self.fill(side, abs(self.held))
        await self.fill(side, QUANTITY)
        self.held = QUANTITY * side.sign
        if signal.stop is not None and signal.target is not None:
            await self.protect(Side.SELL if side is Side.BUY else Side.BUY, signal.stop, signal.target)

    async def fill(self, side: Side, quantity: Decimal) -> None:
        request = OrderRequest(symbol=self.bars.symbol, side=side, quantity=quantity)
        order = await self.broker.place_order(request)
        self.why[order.id] = "signal"
        await order_that(self.broker, order.id, lambda order: order.status is OrderStatus.FILLED)

    async def protect(self, side: Side, stop: float, target: float) -> None:
        common = {"symbol": self.bars.symbol, "side": side, "quantity": QUANTITY, "tif": TimeInForce.GTC}
        legs = (
            OrderRequest(**common, order_type=OrderType.STOP, stop_price=Decimal(str(stop))),  # type: ignore[arg-type]
            OrderRequest(**common, order_type=OrderType.LIMIT, limit_price=Decimal(str(target))),  # type: ignore[arg-type]
        )
        placed = await self.broker.place_group(OrderGroup(order_class=OrderClass.OCA, legs=legs))
        self.why |= dict(zip((each.id for each in placed), ("stop", "target"), strict=True))
        self.exits = list(placed)

    async def fills(self) -> list[Fill]:
        """The executions that IB would tell, as the backtest has them."""
        await until(lambda: all(each.commission is not None for each in self.broker._book.executions()))
        found = []
        for each in await self.broker.get_executions():
            assert each.order_id is not None
            assert each.commission is not None
            bar = int((each.time - self.bars.moment(0)) / timedelta(minutes=1))
            why = self.why[each.order_id]
            time = self.bars.moment(bar)
            found.append(
                Fill(self.bars.symbol, time, bar, each.side, each.quantity, each.price, each.commission, why)
            )
        return sorted(found, key=lambda each: each.bar)


def level(order: Order) -> Decimal:
    """Where an exit is touched."""
    price = order.limit_price if order.stop_price is None else order.stop_price
    assert price is not None
    return price


@asynccontextmanager
async def playing(file: Path, bars: BarArrays) -> AsyncIterator[Runner]:
    feed = ReplayFeed(read_tapes(file))
    feed.interval = 0.002
    clock = ManualClock(bars.moment(0))
    async with (
        PaperGatewayServer(clock=clock, feed=feed, universe=Universe(feed.instruments)) as server,
        IBKRBroker(port=server.port, max_requests_per_second=0, clock=clock) as broker,
    ):
        yield Runner(broker, clock, feed, bars)


@pytest.mark.parametrize(
    "strategy", [Crossover(4, 11), Crossover(4, 11, stop=0.004, target=0.007)], ids=["signals", "exits"]
)
async def test_the_same_trades_in_backtest_and_gateway(strategy: Crossover, tmp_path: Path) -> None:
    file = file_of(walk(200, 11, symbol="WALK", swing=0.0015), tmp_path)
    bars = read_bars(file)["WALK"]
    report = run_backtest(strategy, {"WALK": bars}, BacktestSettings(sizing=FixedQuantity(QUANTITY)))
    async with playing(file, bars) as runner:
        fills = await runner.trade(strategy.on_bars(bars))
    last = {"WALK": Decimal(str(bars.close[-1]))}
    live = round_trips(fills, multipliers={"WALK": Decimal(1)}, last=last)
    assert len(live) > 10
    assert [shown(each) for each in live] == [shown(each) for each in report.trades]
    assert {each.exit_why for each in live} >= ({"stop", "target"} if strategy.stop else {"signal"})


def shown(trade: Trade) -> tuple[object, ...]:
    """All there is to a trade, as texts: a test that fails shall tell."""
    return (
        str(trade.side),
        f"{trade.quantity:.0f}",
        (trade.entry_bar, trade.exit_bar),
        f"{trade.entry_price:.2f}",
        None if trade.exit_price is None else f"{trade.exit_price:.2f}",
        trade.exit_why,
        f"{trade.commission:.2f}",
        f"{trade.profit:.2f}",
    )
