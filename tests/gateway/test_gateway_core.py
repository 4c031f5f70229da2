"""The gateway without sockets: what is written before what is told, and how long any one step takes."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trademind.clock import ManualClock
from trademind.domain import Side
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import (
    Event,
    IBOrderType,
    IBTif,
    MarketQuote,
    Ticket,
)
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
        self.session.connection.receive_data(b"".join(data))
        self.settle()

    def settle(self) -> None:
        """Let everything there is for this client be done."""
        while self.core.step(self.session):
            pass

    def heard(self) -> list[list[str]]:
        """Everything since the last call, the answer to the handshake included."""
        self.settle()
        self._frames.feed(self.session.connection.data_to_send())
        return [payload.decode().split("\0")[:-1] for payload in iter(self._frames.next_frame, None)]

    def kinds(self) -> list[str]:
        return [fields[0] for fields in self.heard()]


def pump(core: PaperGateway, now: datetime) -> None:
    """Move the market at once."""
    for _ in core.pump_steps(now):
        pass


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


def test_what_cannot_be_written_down_is_told_and_nothing_more_is_taken(
    core: PaperGateway, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(core, 1, version=157)
    client.heard()

    def full(exchange: PaperExchange) -> None:
        if exchange.journal:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(core._store, "save", full)
        # This one works when the disk turns out to be full, and the client must know.
        client.send(limit_order(1, 10, "50"))
        assert client.kinds() == ["5", "3", "5", "3"]

        client.send(limit_order(2, 10, "50"), message(4, 1, 1, ""), message(58, 1))
        refused = client.heard()
        pump(core, clock.advance(timedelta(seconds=1)))
        client.send(limit_order(3, 10, "50"))
        assert [fields[2:4] for fields in client.heard()] == [["3", "201"]]

    assert [fields[2:4] for fields in refused] == [["2", "201"], ["1", "10148"], ["-1", "322"]]
    assert all("cannot be written (No space left on device)" in fields[4] for fields in refused)
    assert [order.ticket.order_id for order in core.exchange.orders()] == [1]
    assert [record.levelname for record in caplog.records].count("CRITICAL") == 1

    pump(core, clock.advance(timedelta(seconds=1)))
    client.send(limit_order(4, 10, "50"))
    assert client.kinds() == ["5", "3", "5", "3"]


def test_fills_by_the_market_that_cannot_be_written_down_are_told(
    core: PaperGateway, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(core, 1, version=157)
    client.send(limit_order(1, 10, "50", tif="DAY"))
    client.heard()

    def full(exchange: PaperExchange) -> None:
        if exchange.journal:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(core._store, "save", full)
    pump(core, clock.advance(timedelta(days=1)))

    assert client.kinds() == ["3", "4"]


def test_an_instrument_that_fails_costs_the_others_nothing(
    core: PaperGateway, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(core, 1)
    for number, con_id in enumerate((8314, AAPL, 272093)):
        client.send(message(1, 11, number, con_id, *[""] * 11, 0, "", 0, 0, ""))
    client.heard()
    show = core.exchange.show

    def poisoned(quote: MarketQuote) -> Iterator[list[Event]]:
        if quote.con_id == 8314:
            raise ArithmeticError("poison")
        return show(quote)

    monkeypatch.setattr(core.exchange, "show", poisoned)
    for _ in range(3):
        pump(core, clock.advance(timedelta(seconds=1)))
        assert {fields[2] for fields in client.heard() if fields[0] in "12"} == {"1", "2"}

    assert caplog.text.count("a move of the market failed for IBM") == 1


def test_a_client_cancels_the_order_of_another(core: PaperGateway) -> None:
    """As recorded of a real gateway: status under the canceller's own id, then the error."""
    owner, other = Client(core, 1, version=157), Client(core, 2, version=157)
    owner.send(limit_order(7, 10, "50"))
    owner.heard(), other.heard()

    other.send(message(4, 1, 7, ""))

    status, error = other.heard()
    assert (status[0], status[1], status[2], status[9]) == ("3", "7", "Cancelled", "2")
    assert error[:4] == ["4", "2", "7", "202"]
    assert [fields[0] for fields in owner.heard()] == ["3", "4"]
    assert core.exchange.orders() == []


def test_whose_order_a_cancel_means_is_never_guessed(core: PaperGateway) -> None:
    clients = [Client(core, number, version=157) for number in (1, 2, 3, 0)]
    for client in clients[:2]:
        client.send(limit_order(7, 10, "50"))
    for client in clients:
        client.heard()

    for client in clients[2:]:
        # Two orders bear the id.
        client.send(message(4, 1, 7, ""))
        assert [fields[2:4] for fields in client.heard()] == [["7", "10147"]]
    clients[1].send(message(4, 1, 7, ""))
    clients[1].send(message(4, 1, 7, ""))

    # Its own comes first, and is meant when it has ended, too.
    assert [fields[2:4] for fields in clients[1].heard() if fields[0] == "4"] == [
        ["7", "202"],
        ["7", "10148"],
    ]
    assert [order.ticket.client_id for order in core.exchange.orders()] == [1]
    clients[3].heard()
    clients[3].send(message(4, 1, 7, ""))
    assert [fields[2:4] for fields in clients[3].heard() if fields[0] == "4"] == [["7", "202"]]
    assert core.exchange.orders() == []


def test_client_0_changing_an_order_of_another_makes_no_second_one(core: PaperGateway) -> None:
    owner = Client(core, 1, version=157)
    owner.send(limit_order(7, 10, "50"))
    master = Client(core, 0, version=157)
    # Its own ids lie above those it is shown.
    assert ["9", "1", "8"] in master.heard()

    master.send(limit_order(7, 10, "51"))

    assert [fields[2:4] for fields in master.heard()] == [["7", "105"]]
    (order,) = core.exchange.orders()
    assert (order.ticket.client_id, order.ticket.limit_price) == (1, Decimal(50))


@pytest.mark.parametrize("order_id", [0, -1, 2**31 - 1, 2**31, 2**60])
def test_order_ids_that_are_none(core: PaperGateway, order_id: int) -> None:
    client = Client(core, 1, version=157)
    client.heard()

    client.send(limit_order(order_id, 10, "50"), message(8, 1, 1))

    assert [(fields[0], fields[2]) for fields in client.heard()] == [("4", str(order_id)), ("9", "1")]
    assert core.exchange.orders() == []


@pytest.mark.parametrize("length", [301, 900_000])
def test_a_reference_that_is_too_long(core: PaperGateway, length: int) -> None:
    client = Client(core, 1, version=157)
    client.heard()
    fields = limit_order(1, 10, "50")[4:].decode().split("\0")[:-1]
    fields[26] = "x" * length

    client.send(message(*fields))

    ((kind, _, req_id, code, text),) = client.heard()
    assert (kind, req_id, code) == ("4", "1", "320")
    assert "order reference is longer than 300" in text


def test_a_clock_that_is_put_back_stops_nothing(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1, version=157)
    client.send(
        message(6, 2, 1, ""),
        limit_order(1, 100, "1000"),
        message(20, 6, AAPL, *[""] * 11, 0, "", "1 min", "600 S", 0, "TRADES", 1, 1, ""),
    )
    pump(core, clock.advance(timedelta(seconds=10)))
    client.heard()

    for _ in range(12):
        now = clock.now() - timedelta(hours=1) if _ == 0 else clock.now() + timedelta(seconds=10)
        core.clock = ManualClock(now)
        clock = core.clock
        pump(core, now)

    kinds = client.kinds()
    assert kinds.count("7") >= 10
    assert kinds.count("90") >= 10


def test_answers_and_events_keep_their_order(core: PaperGateway) -> None:
    """A list shows what was so when it was asked for, and what happened since follows it."""
    client, other = Client(core, 1, version=157), Client(core, 2, version=157)
    client.send(*[limit_order(number, 1, "50") for number in range(1, 101)])
    client.heard(), other.heard()

    other.session.connection.receive_data(message(16, 1))
    assert core.step(other.session)
    client.send(message(58, 1), message(5, 1))

    assert client.kinds() == [*["3", "4"] * 100, "53"]
    assert other.kinds() == [*["5", "3"] * 100, "53"]


def test_a_global_cancel_is_finished_though_its_client_has_gone(
    core: PaperGateway, clock: ManualClock
) -> None:
    client, other = Client(core, 1), Client(core, 2, version=157)
    other.send(*[limit_order(number, 1, "50") for number in range(1, 101)])
    client.session.connection.receive_data(message(58, 1))
    core.step(client.session)
    core.step(client.session)
    core.close(client.session)
    assert len(core.exchange.orders()) == 75

    for _ in core.pump_steps(clock.advance(timedelta(seconds=1))):
        pass

    assert core.exchange.orders() == []


def test_no_step_takes_long_with_thousands_of_orders(clock: ManualClock) -> None:
    core = make(clock, AccountStore(None), cash=10**9)
    client, other = Client(core, 1, version=157), Client(core, 2, version=200)
    for number in range(1, 8_001):
        client.send(limit_order(number, 1, "50"))
    client.heard(), other.heard()

    taken: list[float] = []
    for request in (message(16, 1), message(58, 1), message(99, 0)):
        other.session.connection.receive_data(request)
        longest = sorted(steps(core, other.session))
        assert longest[-2] < LONGEST_STEP
        taken += longest
    # And what the owner is told of it.
    assert sorted(steps(core, client.session))[-2] < LONGEST_STEP

    assert len(taken) > 900
    assert len(core.exchange.completed_orders()) == 8_000


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
        pump(core, clock.advance(timedelta(seconds=1)))
        counts.append(client.kinds().count("7"))

    # Not at all where three seconds later the price is what it was.
    assert [count for index, count in enumerate(counts, 1) if index % 3] == [0] * 6
    assert sum(counts) >= 2
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
    pump(core, clock.advance(timedelta(seconds=10)))
    assert {"1", "90"} <= set(client.kinds())

    client.send(
        message(2, 2, 1), message(6, 2, 0, ""), message(63, 1, 2), message(77, 1, 3), message(93, 4),
        message(95, 5), message(25, 1, 6),
    )  # fmt: skip
    client.heard()
    other = Client(core, 2, version=157)
    other.send(limit_order(1, 100, "1000"))
    pump(core, clock.advance(timedelta(seconds=10)))

    assert client.heard() == []


def test_a_client_that_has_gone_is_told_nothing(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.send(message(1, 11, 1, AAPL, *[""] * 11, 0, "", 0, 0, ""))
    client.heard()
    core.close(client.session)

    pump(core, clock.advance(timedelta(seconds=1)))

    assert core.sessions == []
    assert client.heard() == []


def test_day_orders_end_at_midnight(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1, version=157)
    client.send(limit_order(1, 10, "50", tif="DAY"), limit_order(2, 10, "50", tif="GTC"))
    client.heard()

    pump(core, clock.advance(timedelta(hours=14)))

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


@pytest.mark.parametrize("request_again", [(92, 5, "", ""), (94, 5, "", "", AAPL)])
def test_profit_and_loss_twice_under_one_id(core: PaperGateway, request_again: tuple[Any, ...]) -> None:
    client = Client(core, 1)
    client.send(message(92, 5, "", ""))
    client.heard()

    client.send(message(*request_again))

    assert [fields[2:4] for fields in client.heard()] == [["5", "322"]]


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


def test_no_step_takes_long_with_many_streams_of_one_share(core: PaperGateway, clock: ManualClock) -> None:
    client = Client(core, 1)
    client.send(*[message(1, 11, number, AAPL, *[""] * 11, 0, "", 0, 0, "") for number in range(1_000)])
    client.heard()

    taken = []
    moves = core.pump_steps(clock.advance(timedelta(seconds=1)))
    begin = time.thread_time()
    for _ in moves:
        taken.append(time.thread_time() - begin)
        begin = time.thread_time()

    assert len(taken) > 50
    assert sorted(taken)[-2] < LONGEST_STEP
    assert len({fields[2] for fields in client.heard() if fields[0] in "12"}) == 1_000


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


def test_no_step_takes_long_when_thousands_of_orders_expire(core: PaperGateway, clock: ManualClock) -> None:
    """And nobody is served in between: who asks after midnight finds none of them."""
    client = Client(core, 1)
    for number in range(1, 2_001):
        ticket = Ticket(
            client_id=1,
            order_id=number,
            account=core.exchange.account_id,
            instrument=core.universe.instruments[0],
            side=Side.BUY,
            quantity=Decimal(1),
            order_type=IBOrderType.LIMIT,
            tif=IBTif.DAY,
            limit_price=Decimal("0.01"),
        )
        core.commit(core.exchange.place(ticket))
    client.heard()
    taken = []

    moves = core.pump_steps(clock.advance(timedelta(days=1)))
    for _ in range(3):
        begin = time.thread_time()
        next(moves)
        taken.append(time.thread_time() - begin)
    client.session.connection.receive_data(message(5, 1))
    taken += steps(core, client.session)

    heard = client.heard()
    assert [fields[0] for fields in heard].count("53") == 1
    assert sum(fields[0] == "3" and fields[2] == "Cancelled" for fields in heard) == 2_000
    assert [fields[0] for fields in heard][-1] == "53"
    assert len(taken) > 60
    assert sorted(taken)[-2] < LONGEST_STEP
