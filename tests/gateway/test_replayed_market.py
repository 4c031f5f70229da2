"""A recording of real prices through the whole gateway, with real ib_async as the client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import ib_async
import pytest
from ib_async import LimitOrder, MarketOrder

from tests.gateway.bench import Bench, until
from trademind.clock import ManualClock, speed_of
from trademind.errors import SettingsError
from trademind.gateway.assembly import paper_gateway
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.replay import ReplayFeed
from trademind.gateway.feeds.tape_files import read_tapes
from trademind.gateway.server import PaperGatewayServer
from trademind.settings import PaperSettings, load_settings

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]

NEW_YORK = ZoneInfo("America/New_York")


def shipped(package: str, *path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*path)


GOOG = shipped("backtesting", "test", "GOOG.csv")


@asynccontextmanager
async def replaying(path: Path, start: str, *, data_dir: Path | None = None) -> AsyncIterator[Bench]:
    feed = ReplayFeed(read_tapes(path))
    feed.interval = 0.005
    clock = ManualClock(datetime.fromisoformat(start).replace(tzinfo=NEW_YORK))
    universe = Universe(feed.instruments)
    async with PaperGatewayServer(clock=clock, feed=feed, universe=universe, data_dir=data_dir) as server:
        yield Bench(server, clock)


async def to(bench: Bench, text: str) -> None:
    """Let the market go on to a time of the day."""
    now = bench.clock.now().astimezone(NEW_YORK)
    bench.clock.advance(datetime.fromisoformat(f"{now:%Y-%m-%d}T{text}").replace(tzinfo=NEW_YORK) - now)
    await asyncio.sleep(0)


def cash(ib: ib_async.IB) -> Decimal:
    [value] = [
        each.value for each in ib.accountValues() if (each.tag, each.currency) == ("TotalCashValue", "USD")
    ]
    return Decimal(value)


async def test_bought_and_sold_at_recorded_prices() -> None:
    """GOOG, from the file: 2013-02-28 801.10 806.99 801.03 801.20, 2013-03-01 797.80 807.14 796.15 806.19."""
    async with replaying(GOOG, "2013-03-01T09:29") as bench, bench.client() as ib:
        [goog] = await ib.qualifyContractsAsync(ib_async.Stock("GOOG", "SMART", "USD"))
        assert isinstance(goog, ib_async.Contract)

        bars = await ib.reqHistoricalDataAsync(goog, "", "3 D", "1 day", "TRADES", useRTH=True)
        assert [(each.date, each.open, each.close, each.volume) for each in bars][-1] == (
            date(2013, 2, 28), 801.1, 801.2, 2265800
        )  # fmt: skip

        ticker = ib.reqMktData(goog)
        await until(lambda: ticker.last == 801.2)

        # In the first third the market falls from 797.80 to 796.15: a limit waits for it.
        await to(bench, "09:31")
        await until(lambda: ticker.last < 798)
        bought = ib.placeOrder(goog, LimitOrder("BUY", 100, 796.50))
        await until(lambda: bought.orderStatus.status == "Submitted")
        await to(bench, "11:40")
        await until(bought.isDone)

        # In the second it rises to the high.
        await to(bench, "13:50")
        await until(lambda: ticker.last == 807.14)
        sold = ib.placeOrder(goog, MarketOrder("SELL", 100))
        await until(sold.isDone)
        assert sold.orderStatus.avgFillPrice == 807.14

        await to(bench, "16:00")
        await until(lambda: ticker.last == 806.19 and ticker.high == 807.14 and ticker.low == 796.15)
        bars = await ib.reqHistoricalDataAsync(goog, "", "1 D", "1 day", "TRADES", useRTH=True)
        assert [(each.date, each.open, each.high, each.low, each.close) for each in bars] == [
            (date(2013, 3, 1), 797.8, 807.14, 796.15, 806.19)
        ]

        # By hand: 100 shares bought at 796.50 and sold at 807.14, and a commission of 1.00 for each order.
        await until(lambda: all(fill.commissionReport.execId for fill in ib.fills()))
        assert bought.orderStatus.avgFillPrice == 796.50
        expected = Decimal(100_000) - 100 * Decimal("796.50") + 100 * Decimal("807.14") - 2
        assert expected == Decimal(101_062)
        await until(lambda: cash(ib) == expected)
        assert [each for each in ib.positions() if each.position] == []


async def test_what_was_not_recorded_is_no_security() -> None:
    async with replaying(GOOG, "2013-03-01T12:00") as bench, bench.client() as ib:
        assert await ib.reqContractDetailsAsync(ib_async.Stock("AAPL", "SMART", "USD")) == []
        assert [code for _, code, _ in bench.errors] == [200]


async def test_a_new_symbol_is_made_on_the_fly_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "NEWCO.csv"
    file.write_text("date,open,high,low,close,volume\n2013-03-01,10,12,9,11,1000000\n")
    for attempt in range(2):
        async with (
            replaying(file, "2013-03-01T15:00", data_dir=tmp_path / "kept") as bench,
            bench.client() as ib,
        ):
            [contract] = await ib.qualifyContractsAsync(ib_async.Stock("NEWCO", "SMART", "USD"))
            assert isinstance(contract, ib_async.Contract)
            if attempt == 0:
                await until(ib.placeOrder(contract, MarketOrder("BUY", 10)).isDone)
            await until(lambda: [each.position for each in ib.positions()] == [10])


async def test_an_account_from_the_future_is_refused(tmp_path: Path) -> None:
    async with replaying(GOOG, "2013-03-01T12:00", data_dir=tmp_path):
        pass
    with pytest.raises(SettingsError, match=r"has lived until 2013-03-01, .* starts on 2010-03-01"):
        async with replaying(GOOG, "2010-03-01T12:00", data_dir=tmp_path):
            pass


# As the settings say


async def test_a_replay_by_the_settings() -> None:
    paper = PaperSettings(feed="replay", replay_file=GOOG, speed=3600, loop=True)
    async with paper_gateway(paper, data_dir=None, port=0) as server:
        assert speed_of(server.core.clock) == 3600
        started = server.core.clock.now().astimezone(NEW_YORK)
        assert started.date() == date(2004, 8, 19)
        assert [each.symbol for each in server.core.universe.instruments] == ["GOOG"]
        later = PaperSettings(
            feed="replay",
            replay_file=GOOG,
            others="synthetic",
            start=datetime(2010, 1, 4, 9, 30),  # noqa: DTZ001
        )
    async with paper_gateway(later, data_dir=None, port=0) as server:
        moved = server.core.clock.now() - datetime(2010, 1, 4, 9, 30, tzinfo=NEW_YORK)
        assert timedelta(0) <= moved < timedelta(minutes=1)
        assert len(server.core.universe.instruments) > 100


def test_a_replay_needs_a_file() -> None:
    with pytest.raises(SettingsError, match="TRADEMIND_PAPER__REPLAY_FILE"):
        paper_gateway(PaperSettings(feed="replay"), data_dir=None)


def test_empty_settings_mean_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPLAY_FILE", "ACTIONS", "START"):
        monkeypatch.setenv(f"TRADEMIND_PAPER__{name}", "")
    paper = load_settings(_env_file=None).paper
    assert (paper.replay_file, paper.actions, paper.start) == (None, None, None)
    assert json.loads(paper.model_dump_json())["feed"] == "synthetic"
