"""What clients are told of IB's servers: farms, the nightly reset, and what stops while they are away."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.gateway.test_gateway_core import AAPL, Client, limit_order, message, pump
from trademind.clock import ManualClock
from trademind.gateway.connectivity import Connectivity, DailyReset, Farm, FarmState
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.store import AccountStore, open_exchange

EVENING = datetime(2026, 11, 24, 4, 44, 50, tzinfo=UTC)
"""Ten seconds before a quarter to midnight in New York."""
LOST = [1100, 2103, 2105, 2157]
BACK = [2104, 2106, 2158]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


def make(clock: ManualClock, reset: DailyReset | None) -> PaperGateway:
    universe, store = Universe(), AccountStore(None)
    exchange = open_exchange(store, cash=Decimal(100_000), clock=clock, universe=universe)
    return PaperGateway(
        exchange=exchange, feed=SyntheticFeed(7), universe=universe, clock=clock, store=store, reset=reset
    )


def told(client: Client) -> list[int]:
    return [int(fields[3]) for fields in client.heard() if fields[0] == "4"]


def move(core: PaperGateway, clock: ManualClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))
    pump(core, clock.now())


def stream(req_id: int) -> bytes:
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "")
    return message(1, 11, req_id, *contract, 0, "", 0, 0, "")


@pytest.mark.parametrize(("data_lost", "code"), [(False, 1102), (True, 1101)])
def test_a_night(clock: ManualClock, data_lost: bool, code: int) -> None:
    core = make(clock, DailyReset(outage=timedelta(seconds=60), data_lost=data_lost))
    client = Client(core, 1)
    client.send(stream(5))
    client.heard()
    move(core, clock, 9)
    assert told(client) == []

    move(core, clock, 1)
    assert told(client) == LOST
    move(core, clock, 30)
    assert client.kinds() == []

    move(core, clock, 30)
    heard = client.heard()
    assert [int(f[3]) for f in heard if f[0] == "4"] == [*BACK, code]
    move(core, clock, 5)
    ticks = [f for f in [*heard, *client.heard()] if f[0] in ("1", "2")]
    assert bool(ticks) is not data_lost

    move(core, clock, 86_400 - 65)
    assert told(client) == LOST


def test_nights_that_were_slept_through_are_told_once(clock: ManualClock) -> None:
    link = Connectivity(clock.now(), DailyReset(at=time(23, 45), outage=timedelta(minutes=2)))
    notices = link.due(clock.now() + timedelta(days=10, hours=3))
    assert [notice.code for notice in notices] == [*LOST, *BACK, 1102]
    assert link.is_up
    assert link.due(clock.now() + timedelta(days=10, hours=4)) == []


def test_summer_time(clock: ManualClock) -> None:
    """A quarter to midnight stays a quarter to midnight."""
    link = Connectivity(datetime(2026, 3, 7, 12, tzinfo=UTC), DailyReset())
    moments = [datetime(2026, 3, 8, 4, 45, tzinfo=UTC), datetime(2026, 3, 9, 3, 45, tzinfo=UTC)]
    for moment in moments:
        assert link.due(moment - timedelta(seconds=1)) == []
        assert link.due(moment)[0].code == 1100
        assert link.due(moment + timedelta(minutes=2))[-1].code == 1102


def test_what_needs_ib_is_refused_and_what_does_not_is_answered(clock: ManualClock) -> None:
    core = make(clock, None)
    client = Client(core, 1)
    core.notify(core.connectivity.lose())
    client.heard()
    client.send(stream(5), limit_order(1, 10, "50"), message(49, 1))
    answers = client.heard()
    assert [(f[0], f[2], f[3]) for f in answers[:2]] == [("4", "5", "504"), ("4", "1", "504")]
    assert [f[0] for f in answers[2:]] == ["49"]
    assert core.exchange.orders() == []
    assert told(Client(core, 2)) == [2103, 2105, 2157, 2110]


def test_fills_of_the_outage_are_told_after_it(clock: ManualClock) -> None:
    core = make(clock, None)
    client = Client(core, 1, version=157)
    instrument = core.universe.by_con_id(AAPL)
    assert instrument is not None
    bid = core.feed.quote(instrument, clock.now()).bid - Decimal("0.05")
    client.send(limit_order(1, 10, str(bid)))
    client.heard()
    assert core.exchange.orders()
    core.notify(core.connectivity.lose())
    assert told(client) == LOST
    while core.exchange.orders():
        move(core, clock, 60)
    assert client.kinds() == []
    core.notify(core.connectivity.restore())
    kinds = client.kinds()
    assert kinds[:4] == ["4"] * 4
    assert kinds[4] == "11"
    assert "59" in kinds


def test_a_broken_market_farm_stops_the_ticks_only(clock: ManualClock) -> None:
    core = make(clock, None)
    client = Client(core, 1)
    client.send(stream(5))
    client.heard()
    core.notify(core.connectivity.set_farm(Farm.MARKET, FarmState.BROKEN))
    move(core, clock, 5)
    assert [f[0:1] + f[3:4] for f in client.heard()] == [["4", "2103"]]
    core.notify(core.connectivity.set_farm(Farm.MARKET, FarmState.OK))
    move(core, clock, 5)
    heard = client.heard()
    assert heard[0][3] == "2104"
    assert {f[0] for f in heard[1:]} <= {"1", "2", "46"}
    assert heard[1:]


@pytest.mark.parametrize(("farm", "codes"), [(Farm.MARKET, [2108, 2119, 2104]), (Farm.HISTORY, [2107, 2106])])
def test_a_farm_at_rest_wakes_up_when_it_is_needed(clock: ManualClock, farm: Farm, codes: list[int]) -> None:
    core = make(clock, None)
    client = Client(core, 1)
    client.heard()
    core.notify(core.connectivity.set_farm(farm, FarmState.INACTIVE))
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "")
    history = message(20, 6, *contract, 0, "", "1 min", "600 S", 0, "TRADES", 1, 0, "")
    client.send(stream(5) if farm is Farm.MARKET else history)
    heard = client.heard()
    assert [int(f[3]) for f in heard if f[0] == "4"] == codes
    assert {"1", "17"} & {f[0] for f in heard}


def test_history_without_its_farm(clock: ManualClock) -> None:
    core = make(clock, None)
    client = Client(core, 1)
    core.notify(core.connectivity.set_farm(Farm.HISTORY, FarmState.BROKEN))
    client.heard()
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "")
    client.send(message(20, 6, *contract, 0, "", "1 min", "600 S", 0, "TRADES", 1, 0, ""))
    assert [(f[2], f[3]) for f in client.heard()] == [("6", "162")]


def test_an_outage_that_never_ends_is_none() -> None:
    with pytest.raises(ValueError, match="outage"):
        DailyReset(outage=timedelta(days=1))
    with pytest.raises(ValueError, match="no notice"):
        Connectivity(EVENING).set_farm(Farm.CONTRACTS, FarmState.INACTIVE)
