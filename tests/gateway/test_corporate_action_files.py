from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import ib_async
import pytest
from ib_async import MarketOrder

from tests.gateway.bench import Bench, until
from trademind.clock import ManualClock
from trademind.errors import SettingsError
from trademind.gateway.actions import read_actions
from trademind.gateway.engine.corporate_actions import Dividend, Split
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.server import PaperGatewayServer

UNIVERSE = Universe()
AAPL, MSFT = 265598, 272093
FILE = "Symbol,Date,Type,Value,Note\nmsft,2026-04-17,split,2,x\nAAPL,2026-04-16,Dividend,0.25,\n"


def written(directory: Path, text: str) -> Path:
    file = directory / "actions.csv"
    file.write_text(text)
    return file


def test_a_file_of_actions(tmp_path: Path) -> None:
    assert read_actions(written(tmp_path, FILE), UNIVERSE) == (
        Dividend(con_id=AAPL, ex_date=date(2026, 4, 16), amount=Decimal("0.25")),
        Split(con_id=MSFT, date=date(2026, 4, 17), ratio=Decimal(2)),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"actions\.csv:1: the column date is missing"),
        ("date,symbol,value\n", r"actions\.csv:1: the column type is missing"),
        ("date,symbol,type,value\nsoon,AAPL,split,2\n", r"actions\.csv:2: 'soon' is not a date"),
        ("date,symbol,type,value\n2026-04-16,NOPE,split,2\n", r"actions\.csv:2: there is no stock 'NOPE'"),
        ("date,symbol,type,value\n2026-04-16,AAPL,split,two\n", r"the value is 'two', which is not a number"),
        ("date,symbol,type,value\n2026-04-16,AAPL,split,0\n", r"it has to be above zero"),
        ("date,symbol,type,value\n2026-04-16,AAPL,spin-off,1\n", r"it has to be dividend or split"),
        ("date,symbol,type,value\n2026-04-16\n", r"actions\.csv:2: there is no stock ''"),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        read_actions(written(tmp_path, text), UNIVERSE)
    with pytest.raises(SettingsError, match=r"cannot be read: .*; see that it is a file which you may read"):
        read_actions(tmp_path / "none.csv", UNIVERSE)


@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
async def test_a_split_happens_to_a_position_when_its_day_begins(tmp_path: Path) -> None:
    actions = read_actions(written(tmp_path, FILE), UNIVERSE)
    clock = ManualClock(datetime(2026, 4, 16, 18, tzinfo=UTC))
    feed = SyntheticFeed(7, actions=actions)
    feed.interval = 0.005
    async with PaperGatewayServer(clock=clock, feed=feed, actions=actions) as server:
        bench = Bench(server, clock)
        async with bench.client() as ib:
            [msft] = await ib.qualifyContractsAsync(ib_async.Stock("MSFT", "SMART", "USD"))
            assert isinstance(msft, ib_async.Contract)
            await until(ib.placeOrder(msft, MarketOrder("BUY", 10)).isDone)
            await until(lambda: [each.position for each in ib.positions()] == [10])
            before = server.core.exchange.figures().net_liquidation
            clock.advance(timedelta(hours=11))
            await until(lambda: [each.quantity for each in server.core.exchange.positions()] == [20])
            after = server.core.exchange.figures().net_liquidation
            # Twice the shares at half the price.
            assert abs(after - before) < 300
