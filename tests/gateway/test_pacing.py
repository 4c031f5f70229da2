"""IB's limits: messages a second, requests for history, and clients that ask to be slowed down."""

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import ib_async
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.bench import PATIENCE, until
from tests.gateway.test_gateway_core import AAPL, Client, message
from trademind.clock import ManualClock
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.pacing import UNPACED, HistoricalPacing, MessageRate, Pacing
from trademind.gateway.server import PaperGatewayServer
from trademind.gateway.store import AccountStore, open_exchange

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")]

START = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
CURRENT_TIME = message(49, 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def make(clock: ManualClock, pacing: Pacing = Pacing()) -> PaperGateway:  # noqa: B008 - frozen
    universe, store = Universe(), AccountStore(None)
    exchange = open_exchange(store, cash=Decimal(100_000), clock=clock, universe=universe)
    return PaperGateway(
        exchange=exchange, feed=SyntheticFeed(7), universe=universe, clock=clock, store=store, pacing=pacing
    )


def errors(heard: list[list[str]]) -> list[tuple[int, int, str]]:
    """(request id, code, text) of what is no notice of a data farm."""
    found = [(int(f[2]), int(f[3]), f[4]) for f in heard if f[0] == "4"]
    return [each for each in found if not 2100 <= each[1] < 2200]


# Messages


def test_fifty_messages_in_a_second_are_fine(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    for _ in range(5):
        client.send(CURRENT_TIME * 50)
        clock.advance(timedelta(seconds=1))
    assert errors(client.heard()) == []
    assert client.session.is_open


def test_one_more_is_an_error_and_is_answered_all_the_same(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    client.send(CURRENT_TIME * 51)
    heard = client.heard()
    assert errors(heard) == [(-1, 100, "Max rate of messages per second has been exceeded:max=50 rec=51 (1)")]
    assert sum(fields[0] == "49" for fields in heard) == 51
    assert client.session.is_open


def test_whoever_persists_is_disconnected(clock: ManualClock) -> None:
    core = make(clock)
    fast, calm = Client(core, 1), Client(core, 2)
    for second in range(3):
        fast.send(CURRENT_TIME * 51)
        assert fast.session.is_open == (second < 2)
        clock.advance(timedelta(seconds=1))
    assert [code for _, code, _ in errors(fast.heard())] == [100, 100, 100]
    calm.send(CURRENT_TIME)
    assert "49" in calm.kinds()


def test_warnings_of_long_ago_are_forgiven(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    for _ in range(5):
        client.send(CURRENT_TIME * 51)
        clock.advance(timedelta(seconds=61))
    assert {text[-3:] for _, _, text in errors(client.heard())} == {"(1)"}
    assert client.session.is_open


def test_without_pacing_there_is_no_limit(clock: ManualClock) -> None:
    client = Client(make(clock, UNPACED), 1)
    client.send(CURRENT_TIME * 1000)
    assert client.kinds().count("49") == 1000


@given(st.lists(st.floats(0, 3), max_size=300))
def test_a_client_within_the_limit_is_never_warned_and_one_far_above_it_always(gaps: list[float]) -> None:
    """As the definition says: at most 50 in any second, and more than 100."""
    rate, now, warned, times = MessageRate(Pacing()), START, False, []
    for gap in gaps:
        now += timedelta(seconds=gap / 50)
        times.append(now)
        warned = rate.count(now) is not None or warned
    most = max((sum(t <= u < t + timedelta(seconds=1) for u in times) for t in times), default=0)
    assert not (warned and most <= 50)
    assert warned or most <= 100


class PacedClient(Client):
    """A client that asks to be slowed down."""

    def __init__(self, core: PaperGateway, client_id: int) -> None:
        super().__init__(core, client_id)

    def send(self, *data: bytes) -> None:
        if data[0] == b"API\0":
            offer = b"v100..178 +PACEAPI"
            data = (data[0], struct.pack(">I", len(offer)) + offer, data[2])
        super().send(*data)


def test_a_client_that_asks_for_it_is_slowed_down(clock: ManualClock) -> None:
    core = make(clock)
    client = PacedClient(core, 1)
    client.heard()
    client.send(CURRENT_TIME * 120)
    assert client.kinds() == ["49"] * 50
    assert core.is_waiting
    answered = []
    while core.is_waiting:
        clock.advance(timedelta(milliseconds=500))
        assert core.attend() == [client.session]
        answered.append(len(client.kinds()))
    assert answered == [25, 25, 20]
    assert errors(client.heard()) == []


# History


def history(req_id: int, size: str = "1 secs", *, end: str = "", what: str = "TRADES") -> bytes:
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "")
    return message(20, req_id, *contract, 0, end, size, "60 S", 0, what, 1, 0, "")


def violations(client: Client) -> list[int]:
    found = errors(client.heard())
    assert all(code == 162 and "pacing violation" in text for _, code, text in found), found
    return [req_id for req_id, _, _ in found]


def test_identical_requests_within_15_seconds(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    for req_id, seconds in enumerate([0, 5, 9.9, 0.2, 1], 1):
        clock.advance(timedelta(seconds=seconds))
        client.send(history(req_id))
    assert violations(client) == [2, 3, 5]


def test_six_requests_for_one_contract_within_two_seconds(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    for req_id in range(1, 8):
        client.send(history(req_id, end=f"20261120 15:00:0{req_id} UTC"))
    assert violations(client) == [6, 7]
    client.send(history(8, end="20261120 15:00:08 UTC", what="BID"))
    clock.advance(timedelta(seconds=2))
    client.send(history(9, end="20261120 15:00:09 UTC"))
    assert violations(client) == []


@pytest.mark.parametrize(("what", "most"), [("TRADES", 60), ("BID_ASK", 30)])
def test_sixty_requests_in_ten_minutes(clock: ManualClock, what: str, most: int) -> None:
    rules = HistoricalPacing(Pacing())
    weight = 2 if what == "BID_ASK" else 1
    admitted = 0
    for number in range(100):
        clock.advance(timedelta(seconds=5))
        broken = rules.violation(
            clock.now(), request=number, subject=what, bar=timedelta(seconds=1), weight=weight
        )
        admitted += broken is None
    assert admitted == most
    clock.advance(timedelta(minutes=10))
    assert rules.violation(clock.now(), request=0, subject=what, bar=None, weight=weight) is None


def test_another_client_uses_up_the_same_allowance(clock: ManualClock) -> None:
    core = make(clock)
    first, second = Client(core, 1), Client(core, 2)
    first.send(history(1))
    second.send(history(1))
    assert (violations(first), violations(second)) == ([], [1])


def test_longer_bars_are_not_paced(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    for req_id in range(1, 41):
        client.send(history(req_id, "1 min"))
    assert violations(client) == []
    strict = Client(make(clock, Pacing(longest_bar=None)), 1)
    strict.send(history(1, "1 day"), history(2, "1 day"))
    assert violations(strict) == [2]


def test_requests_for_ticks_are_always_paced(clock: ManualClock) -> None:
    client = Client(make(clock), 1)
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "")
    for req_id in (1, 2):
        client.send(message(96, req_id, *contract, 0, "20261120 15:00:00 UTC", "", 10, "TRADES", 1, 0, ""))
    assert violations(client) == [2]


def test_fifty_in_flight(clock: ManualClock) -> None:
    core = make(clock, Pacing(in_flight=50, messages_per_second=None))
    client = Client(core, 1)
    # Not done between one request and the next: all of them arrive before the first is answered.
    client.session.connection.receive_data(b"".join(history(n, "1 day") for n in range(1, 53)))
    assert violations(client) == [51, 52]


# Over TCP


@pytest.mark.parametrize("pace", ["", "+PACEAPI"])
async def test_ib_async_without_its_own_throttle(pace: str) -> None:
    async with PaperGatewayServer(pacing=Pacing(messages_per_second=100)) as server:
        ib = ib_async.IB()
        codes: list[int] = []
        ib.errorEvent += lambda req_id, code, text, contract: codes.append(code)
        ib.client.connectOptions = pace.encode()
        ib.client.MaxRequests = 0
        await ib.connectAsync("127.0.0.1", server.port, timeout=PATIENCE)
        answers: list[Any] = []
        ib.client.apiEnd += lambda: answers.append("end")
        times: list[float] = []
        loop = asyncio.get_running_loop()
        ib.wrapper.currentTime = lambda time: times.append(loop.time())  # type: ignore[method-assign]
        for _ in range(320):
            ib.client.reqCurrentTime()
        if pace:
            await until(lambda: len(times) == 320)
            assert 100 not in codes
            # The bucket held at most 100 of them; the others came at 100 a second.
            assert times[-1] - times[0] > 1.9
            assert all(later >= earlier for earlier, later in pairwise(times))
        else:
            await until(lambda: answers)
            assert codes.count(100) == 3
        ib.disconnect()


async def test_ib_asyncs_own_throttle_keeps_within_the_limit() -> None:
    async with PaperGatewayServer(pacing=Pacing()) as server:
        ib = ib_async.IB()
        codes: list[int] = []
        ib.errorEvent += lambda req_id, code, text, contract: codes.append(code)
        await ib.connectAsync("127.0.0.1", server.port, timeout=PATIENCE)
        seen: list[int] = []
        ib.wrapper.currentTime = lambda time: seen.append(time)  # type: ignore[method-assign]
        for _ in range(140):
            ib.client.reqCurrentTime()
        await until(lambda: len(seen) == 140)
        assert 100 not in codes
        ib.disconnect()
