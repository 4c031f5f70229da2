"""The gateway without sockets: what is written before what is told, and how long any one step takes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trademind.clock import ManualClock
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.session import Session
from trademind.gateway.store import AccountStore, open_exchange
from trademind.gateway.wire.fields import encode_fields
from trademind.gateway.wire.frames import FrameBuffer, encode_frame

AAPL = 265598
LONGEST_STEP = 0.05
"""Seconds of the thread's own time that a turn of the event loop may take."""


def message(*values: Any) -> bytes:
    return encode_frame(encode_fields(values))


class Client:
    """A client of the core: sends requests, keeps what it is told."""

    def __init__(self, core: PaperGateway, client_id: int, version: int = 178) -> None:
        self.core = core
        self.session: Session = core.open_session()
        self._frames = FrameBuffer()
        self.send(b"API\0", encode_frame(b"v100..%d" % version), message(71, 2, client_id, ""))

    def send(self, *data: bytes) -> None:
        self.core.receive(self.session, b"".join(data))

    def heard(self) -> list[list[str]]:
        """Everything since the last call, the answer to the handshake included."""
        self._frames.feed(self.session.connection.data_to_send())
        return [payload.decode().split("\0")[:-1] for payload in iter(self._frames.next_frame, None)]

    def kinds(self) -> list[str]:
        return [fields[0] for fields in self.heard()]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 23, 15, 30, tzinfo=UTC))


def make(clock: ManualClock, store: AccountStore, cash: int = 100_000) -> PaperGateway:
    universe = Universe()
    exchange = open_exchange(store, cash=Decimal(cash), clock=clock, universe=universe)
    return PaperGateway(exchange=exchange, feed=SyntheticFeed(7), universe=universe, clock=clock, store=store)


@pytest.fixture
def core(clock: ManualClock) -> PaperGateway:
    return make(clock, AccountStore(None))


def limit_order(order_id: int, quantity: int, price: str, action: str = "BUY", tif: str = "GTC") -> bytes:
    """As an API client of version 157 writes it."""
    contract = (AAPL, "AAPL", "STK", "", 0, "", "", "SMART", "", "USD", "", "", "", "")
    main = (action, quantity, "LMT", price, "", tif, "", "", "", 0, "", 1, 0, 0, 0, 0, 0, 0, 0)
    rest = ("", 0, "", "", "", "", "", "", "", 0, "", -1, 0, "", "", 0, "", "", 0, 0, "", 0)
    more = ("", "", "", "", "", 0, "", "", "", "", 0, "", "", "", "", "", "", "", "", "", "")
    tail = (0, "", "", 0, 0, "", "", 0, "", 0, 0, 0, 0, "", "", "", "", "", "", 0, "", "", "", "")
    return message(3, order_id, *contract, *main, *rest, *more, *tail, "", "", "", "", 1, 0, 0, "")


def test_the_greeting(core: PaperGateway) -> None:
    client = Client(core, 1)

    answer, accounts, next_id, *notices = client.heard()

    assert answer[0] == "178"
    assert accounts == ["15", "1", core.exchange.account_id]
    assert next_id == ["9", "1", "1"]
    assert [fields[3] for fields in notices] == ["2104", "2106", "2158"]


def test_an_order_of_the_oldest_version(core: PaperGateway) -> None:
    client = Client(core, 1, version=157)
    client.heard()

    client.send(limit_order(1, 10, "50"))

    assert client.kinds() == ["5", "3", "5", "3"]
    (order,) = core.exchange.orders()
    assert (order.ticket.quantity, order.ticket.limit_price) == (Decimal(10), Decimal(50))


def test_the_account_is_written_down_before_anybody_hears_of_it(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AccountStore(tmp_path) as store:
        core = make(clock, store)
        client = Client(core, 1, version=157)
        client.heard()
        told_when_saved: list[int] = []
        save = store.save

        def watch(exchange: PaperExchange) -> None:
            if exchange.journal:
                told_when_saved.append(len(client.kinds()))
            save(exchange)

        monkeypatch.setattr(store, "save", watch)
        client.send(limit_order(1, 10, "50"))

        assert told_when_saved == [0]
        assert "5" in client.kinds()


def test_an_order_that_cannot_be_written_down_is_not_confirmed(
    core: PaperGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(core, 1, version=157)
    client.heard()

    def full(exchange: PaperExchange) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(core._store, "save", full)
    client.send(limit_order(1, 10, "50"))

    ((kind, _, req_id, code, _),) = client.heard()
    assert (kind, req_id, code) == ("4", "1", "322")


def test_everything_survives_a_restart(clock: ManualClock, tmp_path: Path) -> None:
    with AccountStore(tmp_path) as store:
        client = Client(make(clock, store), 1, version=157)
        client.send(limit_order(1, 10, "50"), limit_order(2, 10, "1000"))

    clock.advance(timedelta(minutes=5))
    with AccountStore(tmp_path) as store:
        core = make(clock, store)
        again = Client(core, 1, version=157)
        again.heard()
        again.send(
            message(5, 1), message(61, 1), message(7, 3, 9, 0, "", "", "", "", "", ""), message(8, 1, 1)
        )

        told = again.heard()
    assert [fields[0] for fields in told] == ["5", "3", "53", "61", "62", "11", "59", "55", "9"]
    assert told[-1] == ["9", "1", "3"]
    # The position has a price at once, so the account is worth what it was.
    assert core.exchange.figures().net_liquidation == pytest.approx(Decimal(100_000), abs=Decimal(50))


def test_changes_of_prices_reach_the_account_every_three_seconds(
    core: PaperGateway, clock: ManualClock
) -> None:
    client = Client(core, 1, version=157)
    client.send(message(6, 2, 1, ""), limit_order(1, 100, "1000"))
    client.heard()

    counts = []
    for _ in range(9):
        core.pump(clock.advance(timedelta(seconds=1)))
        counts.append(client.kinds().count("7"))

    assert sum(counts) == 3
    assert max(counts) == 1


def test_a_subscription_that_is_cancelled_says_nothing_more(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.send(
        message(1, 11, 1, AAPL, *[""] * 11, 0, "", 0, 0, ""),
        message(6, 2, 1, ""),
        message(62, 1, 2, "All", "NetLiquidation"),
        message(76, 1, 3, "", "", 0),
        message(92, 4, "", ""),
        message(94, 5, "", "", AAPL),
        message(20, 6, AAPL, *[""] * 11, 0, "", "1 min", "600 S", 0, "TRADES", 1, 1, ""),
    )
    core.pump(clock.advance(timedelta(seconds=10)))
    assert {"1", "90"} <= set(client.kinds())

    client.send(
        message(2, 2, 1), message(6, 2, 0, ""), message(63, 1, 2), message(77, 1, 3), message(93, 4),
        message(95, 5), message(25, 1, 6),
    )  # fmt: skip
    client.heard()
    other = Client(core, 2, version=157)
    other.send(limit_order(1, 100, "1000"))
    core.pump(clock.advance(timedelta(seconds=10)))

    assert client.heard() == []


def test_a_client_that_has_gone_is_told_nothing(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.send(message(1, 11, 1, AAPL, *[""] * 11, 0, "", 0, 0, ""))
    client.heard()
    core.close(client.session)

    core.pump(clock.advance(timedelta(seconds=1)))

    assert core.sessions == []
    assert client.heard() == []


def test_day_orders_end_at_midnight(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1, version=157)
    client.send(limit_order(1, 10, "50", tif="DAY"), limit_order(2, 10, "50", tif="GTC"))
    client.heard()

    core.pump(clock.advance(timedelta(hours=14)))

    told = client.heard()
    assert [fields[2] for fields in told if fields[0] == "3"] == ["Cancelled"]
    assert [fields[2:4] for fields in told if fields[0] == "4"] == [["1", "202"]]
    assert [order.ticket.order_id for order in core.exchange.orders()] == [2]


def test_there_is_a_limit_to_what_one_client_may_subscribe_to(core: PaperGateway) -> None:
    client = Client(core, 1)
    client.heard()
    client.send(*[message(92, number, "", "") for number in range(60)])

    refused = [fields for fields in client.heard() if fields[0] == "4"]
    assert [(fields[2], fields[3]) for fields in refused] == [
        (str(number), "322") for number in range(50, 60)
    ]


def test_two_orders_at_one_moment_share_one_market(clock: ManualClock) -> None:
    """What the first has bought is not there for the second."""
    core = make(clock, AccountStore(None), cash=10_000_000)
    client = Client(core, 1, version=157)
    apple = core.universe.by_con_id(AAPL)
    assert apple is not None
    quote = core.feed.quote(apple, clock.now())
    size = int(quote.ask_size)

    for order_id in (1, 2):
        client.send(limit_order(order_id, size, str(quote.ask), tif="IOC"))

    assert [execution.quantity for execution in core.exchange.executions()] == [size]


def steps(core: PaperGateway, session: Session) -> Iterator[float]:
    """How long each step took, by the thread's own clock, so that a busy machine does not decide."""
    while True:
        begin = time.thread_time()
        is_more = core.step(session)
        yield time.thread_time() - begin
        if not is_more:
            return


@pytest.mark.parametrize(
    ("size", "duration"),
    [("1 min", "1 W"), ("1 hour", "1 Y"), ("1 day", "20 Y"), ("1 secs", "10800 S"), ("15 mins", "100 D")],
)
def test_no_part_of_a_long_answer_takes_long(core: PaperGateway, size: str, duration: str) -> None:
    client = Client(core, 1)
    client.heard()
    client.session.connection.receive_data(
        message(20, 5, AAPL, *[""] * 11, 0, "", size, duration, 0, "TRADES", 1, 0, "")
    )

    taken = list(steps(core, client.session))

    ((kind, _, _, _, count, *_),) = client.heard()
    assert kind == "17"
    assert int(count) > 5_000
    # The best of the slowest: a collection of garbage may hit any one step.
    assert sorted(taken)[-2] < LONGEST_STEP


def test_no_step_of_the_market_takes_long(core: PaperGateway, clock: ManualClock) -> None:
    clients = [Client(core, number) for number in range(1, 6)]
    for client in clients:
        client.send(message(6, 2, 1, ""))
        for number, instrument in enumerate(core.universe.instruments):
            client.send(message(1, 11, number, instrument.con_id, *[""] * 11, 0, "", 0, 0, ""))
    taken = []

    for _ in range(3):
        moves = core.pump_steps(clock.advance(timedelta(seconds=1)))
        while True:
            begin = time.thread_time()
            if next(moves, "end") == "end":
                break
            taken.append(time.thread_time() - begin)

    assert len(taken) > 300
    assert sorted(taken)[-2] < LONGEST_STEP


def test_an_order_is_the_same_for_every_client_that_sees_it(core: PaperGateway) -> None:
    """One message, laid out anew for each version."""
    old, new = Client(core, 1, version=157), Client(core, 0, version=200)
    for client in (old, new):
        client.heard()

    old.send(limit_order(1, 10, "50"))

    first, second = old.heard()[0], new.heard()[0]
    assert first[0] == second[0] == "5"
    assert first[:20] == second[:20]
    assert len(second) > len(first)
