"""Markets that close, the fill model, and combinations."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.gateway.engine.trading import AAPL, MSFT, START, Floor, errors, fills, market, story
from trademind.domain import SecType, Side
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.fills import FillModel
from trademind.gateway.engine.hours import NEW_YORK, Phase, TradingSession
from trademind.gateway.engine.model import Instrument, Leg, OrderError

PRE, OPEN, CLOSE, POST = time(4), time(9, 30), time(16), time(20)


class Weekday:
    """New York's hours, every day."""

    def phase(self, instrument: Instrument, at: datetime) -> Phase:
        now = at.astimezone(NEW_YORK).time()
        if OPEN <= now < CLOSE:
            return Phase.REGULAR
        if PRE <= now < OPEN:
            return Phase.PRE_MARKET
        return Phase.POST_MARKET if CLOSE <= now < POST else Phase.CLOSED

    def next_change(self, instrument: Instrument, at: datetime) -> datetime | None:
        local = at.astimezone(NEW_YORK)
        moments = [
            datetime.combine(local.date() + timedelta(days=days), each, NEW_YORK)
            for days in (0, 1)
            for each in (PRE, OPEN, CLOSE, POST)
        ]
        return min(each for each in moments if each > local)

    def day_end(self, instrument: Instrument, at: datetime, *, outside_rth: bool) -> datetime:
        local = at.astimezone(NEW_YORK)
        end = datetime.combine(local.date(), POST if outside_rth else CLOSE, NEW_YORK)
        return end if end > local else end + timedelta(days=1)

    def sessions(
        self, instrument: Instrument, first: date, days: int, *, regular_only: bool
    ) -> list[TradingSession]:
        start, end = (OPEN, CLOSE) if regular_only else (PRE, POST)
        return [
            TradingSession(day, datetime.combine(day, start, NEW_YORK), datetime.combine(day, end, NEW_YORK))
            for day in (first + timedelta(days=number) for number in range(days))
        ]


def at(hour: int, minute: int = 0) -> Floor:
    """A floor in the morning of 15 April, New York time, with a market."""
    floor = Floor(hours=Weekday())
    local = datetime(2026, 4, 16, hour, minute, tzinfo=NEW_YORK)
    floor.wait(seconds=int((local - START).total_seconds()))
    floor.quote("99.99", "100.01")
    return floor


def test_an_order_in_a_closed_market_waits_for_the_open_and_says_so() -> None:
    floor = at(2)
    events = floor.place(1, "BUY", 10)
    assert story(events) == ["1 PreSubmitted 0/10", "1 error 399"]
    [warning] = [each for each in events if isinstance(each, OrderError)]
    assert warning.message == (
        "Order Message:\nBUY 10 AAPL NASDAQ.NMS\nWarning: your order will not be placed at the exchange "
        "until 2026-04-16 09:30:00 US/Eastern"
    )
    assert floor.quote("98.99", "99.01") == []
    assert floor.wait(hours=7) == []
    assert story(floor.wait(minutes=30))[:2] == ["1 fill 10 @ 99.01", "1 Filled 10/10"]


def test_outside_regular_hours_only_what_is_allowed_to_trades() -> None:
    floor = at(8)
    floor.place(1, "BUY", 10, "LMT", limit="99.50")
    floor.place(2, "BUY", 10, "LMT", limit="99.00", outside_rth=True)
    floor.place(3, "SELL", 10, "STP", stop="99.20")
    assert [each.order_id for each in fills(floor.quote("98.00", "98.02"))] == [2]
    assert story(floor.wait(hours=2))[:1] == ["1 fill 10 @ 98.02"]
    assert [each.order_id for each in fills(floor.quote("98.00", "98.02"))] == [3]


def test_a_day_order_expires_at_the_close_it_was_meant_for() -> None:
    floor = at(15)
    floor.place(1, "BUY", 10, "LMT", limit="90.00")
    floor.place(2, "BUY", 10, "LMT", limit="90.00", outside_rth=True)
    floor.place(3, "BUY", 10, "LOC", limit="101.00")
    assert story(floor.wait(hours=1))[:2] == ["3 fill 10 @ 100.01", "3 Filled 10/10"]
    assert [each.ticket.order_id for each in floor.exchange.orders()] == [2]
    floor.place(4, "BUY", 10, "LMT", limit="90.00")
    floor.exchange = PaperExchange.restored(floor.exchange.state(), [], clock=floor.clock, hours=Weekday())
    assert story(floor.wait(hours=4)) == ["2 Cancelled 0/10", "2 error 202"]
    floor.wait(hours=19)
    assert [each.ticket.order_id for each in floor.exchange.orders()] == [4]
    assert "4 Cancelled 0/10" in story(floor.wait(hours=1))


def test_for_the_opening_takes_the_first_quote_of_the_session() -> None:
    floor = at(8)
    floor.place(1, "BUY", 10, tif="OPG")
    floor.wait(hours=1, minutes=30)
    assert fills(floor.quote("101.00", "101.02"))[0].price == Decimal("101.02")


def test_resting_limits_wait_their_turn_in_the_queue() -> None:
    floor = Floor(fills=FillModel(queue_position=True))
    floor.quote("99.99", "100.01", size=300, volume=1000)
    floor.place(1, "BUY", 100, "LMT", limit="99.99")
    # 300 are ahead; 250 trade at the price, then 100 more: 50 of those are left for the order.
    assert fills(floor.quote("99.99", "100.01", volume=1250)) == []
    assert [int(each.quantity) for each in fills(floor.quote("99.99", "100.01", volume=1350))] == [50]
    # A trade below the limit has served all who waited at it.
    through = fills(floor.quote("99.98", "100.01", volume=1400))
    assert [(int(each.quantity), each.price) for each in through] == [(50, Decimal("99.99"))]


def test_fills_take_no_more_than_their_share_of_the_volume() -> None:
    floor = Floor(fills=FillModel(participation=Decimal("0.1")))
    floor.quote("99.99", "100.01", volume=1000)
    assert fills(floor.place(1, "BUY", 100)) == []
    assert [int(each.quantity) for each in fills(floor.quote("99.99", "100.01", volume=1305))] == [30]


def test_slippage_is_paid_up_to_the_limit() -> None:
    floor = Floor(fills=FillModel(slippage_ticks=3))
    floor.quote("99.99", "100.01")
    assert fills(floor.place(1, "BUY", 10))[0].price == Decimal("100.04")
    assert fills(floor.place(2, "BUY", 10, "LMT", limit="100.02"))[0].price == Decimal("100.02")
    assert fills(floor.place(3, "SELL", 10))[0].price == Decimal("99.96")


def test_latency() -> None:
    floor = Floor(fills=FillModel(latency=timedelta(milliseconds=200)))
    floor.quote("99.99", "100.01")
    assert story(floor.place(1, "BUY", 10)) == ["1 PreSubmitted 0/10"]
    floor.quote("100.99", "101.01")
    assert floor.wait(milliseconds=199) == []
    assert fills(floor.wait(milliseconds=1))[0].price == Decimal("101.01")


@pytest.mark.parametrize(
    "settings",
    [{"participation": Decimal(0)}, {"participation": Decimal(2)}, {"slippage_ticks": -1}],
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"share|negative"):
        FillModel(**settings)  # type: ignore[arg-type]


SPREAD = replace(
    AAPL,
    con_id=28812380,
    symbol="AAPL,MSFT",
    sec_type=SecType.COMBO,
    primary_exchange="",
    legs=(Leg(instrument=AAPL, ratio=2, side=Side.BUY), Leg(instrument=MSFT, ratio=1, side=Side.SELL)),
)


def test_a_combination_fills_as_one_and_is_booked_by_its_legs() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.quote("150.00", "150.10", of=SPREAD, last="50")
    start = floor.exchange.state()
    floor.exchange.journal.clear()
    assert fills(floor.place(1, "BUY", 5, of=SPREAD)) == []  # one of its legs has no market yet
    assert MSFT.con_id in floor.exchange.needs_quotes()
    floor.quote("49.90", "49.95", of=MSFT)
    events = floor.quote("150.00", "150.10", of=SPREAD, last="50")
    executions = fills(events)
    assert [(each.instrument.symbol, each.side, int(each.quantity)) for each in executions] == [
        ("AAPL,MSFT", Side.BUY, 5),
        ("AAPL", Side.BUY, 10),
        ("MSFT", Side.SELL, 5),
    ]
    paid = 2 * executions[1].price - executions[2].price
    assert paid == executions[0].price == Decimal("150.10")
    assert len({each.exec_id.rsplit(".", 2)[0] for each in executions}) == 1
    assert {each.instrument.symbol: int(each.quantity) for each in floor.exchange.positions()} == {
        "AAPL": 10,
        "MSFT": -5,
    }
    spent = 5 * Decimal("150.10") + sum(each.commission for each in executions)
    assert floor.exchange.figures().total_cash_value == Decimal(100_000) - spent
    assert [line for line in story(events) if "commission" in line] == ["1 commission 1.00"] * 2
    again = PaperExchange.restored(start, floor.exchange.journal, clock=floor.clock)
    assert again.orders() == floor.exchange.orders() == []
    assert again.executions() == floor.exchange.executions()
    assert again.state().next_exec == floor.exchange.state().next_exec
    assert again.figures().total_cash_value == floor.exchange.figures().total_cash_value


def test_a_combination_may_cost_less_than_nothing() -> None:
    floor = Floor()
    floor.quote("49.99", "50.01")
    floor.quote("149.90", "149.95", of=MSFT)
    floor.exchange.on_quote(market("-50.10", "-50.00", of=SPREAD))
    assert errors(floor.place(1, "BUY", 5, "LMT", limit="-49.00", of=SPREAD)) == []
