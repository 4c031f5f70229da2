"""What happens to orders, in the order in which a real gateway reports it (as in recorded sessions)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.gateway.engine.trading import AAPL, MSFT, START, Floor, errors, fills, story
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.model import IBStatus, OrderError


def test_a_market_order_fills_at_the_other_side() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert story(floor.place(1, "BUY", 10)) == [
        "1 PreSubmitted 0/10",
        "1 fill 10 @ 100.01",
        "1 Filled 10/10",
        "1 commission 1.00",
        "portfolio AAPL",
    ]
    assert story(floor.place(2, "SELL", 10))[1] == "2 fill 10 @ 99.99"


def test_a_big_order_fills_in_parts_and_waits_for_the_next_quote() -> None:
    floor = Floor("10000000")
    floor.quote("99.99", "100.01", size=100)
    first = floor.place(1, "BUY", 4000)
    assert story(first)[:4] == [
        "1 PreSubmitted 0/4000",
        "1 fill 100 @ 100.01",
        "1 Submitted 100/4000",
        "1 commission 1.00",
    ]
    assert [each.commission for each in fills(first)][:3] == [
        Decimal("1.00"),
        Decimal("0.50"),
        Decimal("1.00"),
    ]
    assert sum(each.quantity for each in fills(first)) == 3500
    assert [each.remaining for each in floor.exchange.orders()] == [500]
    assert fills(floor.place(2, "BUY", 1)) == []  # nothing is left on this quote
    rest = floor.quote("100.99", "101.01", size=1000)
    assert story(rest) == [
        "1 fill 500 @ 101.01",
        "1 Filled 4000/4000",
        "1 commission 2.50",
        "2 fill 1 @ 101.01",
        "2 Filled 1/1",
        "2 commission 1.00",
        "portfolio AAPL",
    ]
    done = floor.exchange.order(1, 1)
    assert done is not None
    assert done.commission == Decimal("20.00")
    assert done.completed_status == "Filled Size: 4000"
    assert (done.avg_fill_price * 4000).quantize(Decimal("0.01")) == done.filled_value


def test_an_order_before_the_first_quote_waits() -> None:
    floor = Floor()
    assert story(floor.place(1, "BUY", 10)) == ["1 PreSubmitted 0/10", "1 Submitted 0/10"]
    assert floor.exchange.needs_quotes() == {AAPL.con_id}
    assert [each.price for each in fills(floor.quote("99.99", "100.01"))] == [Decimal("100.01")]


def test_a_limit_rests_and_fills_at_its_price_when_crossed() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert story(floor.place(1, "BUY", 10, "LMT", limit="99.00")) == [
        "1 PreSubmitted 0/10",
        "1 Submitted 0/10",
    ]
    assert floor.quote("99.05", "99.06") == []
    assert story(floor.quote("98.50", "98.52")) == [
        "1 fill 10 @ 99.00",
        "1 Filled 10/10",
        "1 commission 1.00",
        "portfolio AAPL",
    ]


def test_a_marketable_limit_walks_up_to_its_limit() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=100)
    events = floor.place(1, "BUY", 400, "LMT", limit="100.02")
    assert [(each.quantity, each.price) for each in fills(events)] == [
        (Decimal(100), Decimal("100.01")),
        (Decimal(200), Decimal("100.02")),
    ]
    assert story(events)[-2:] == ["1 commission 0.50", "portfolio AAPL"]
    # The rest is a resting order: touched again, it fills at its own limit, up to the size displayed.
    again = floor.quote("99.90", "99.92", size=10)
    assert [(each.quantity, each.price) for each in fills(again)] == [(Decimal(100), Decimal("100.02"))]


def test_a_crossed_limit_takes_no_more_than_is_displayed() -> None:
    floor = Floor("1000000")
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 5000, "LMT", limit="99.00")
    events = floor.quote("98.98", "99.00", size=100)
    assert [(each.quantity, each.price) for each in fills(events)] == [(Decimal(100), Decimal("99.00"))]
    assert floor.exchange.orders()[0].status is IBStatus.SUBMITTED


def test_the_better_price_then_the_older_order_fills_first() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    for order_id, limit in ((1, "98.00"), (2, "99.00"), (3, "99.00")):
        floor.place(order_id, "BUY", 60, "LMT", limit=limit)
    for order_id, limit in ((4, "103.00"), (5, "102.00")):
        floor.place(order_id, "SELL", 60, "LMT", limit=limit)
    assert [each.order_id for each in fills(floor.quote("97.00", "97.01", size=50))] == [2, 3, 1]
    assert [each.order_id for each in fills(floor.quote("104.00", "104.01"))] == [5, 4]


def test_a_stop_is_held_until_a_trade_triggers_it() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10)
    assert story(floor.place(2, "SELL", 10, "STP", stop="98.00")) == ["2 PreSubmitted 0/10 held:trigger"]
    # The market is below, but nothing has traded there.
    assert floor.quote("97.00", "98.50", last="98.01") == []
    assert story(floor.quote("97.90", "97.95", last="97.95")) == [
        "2 Submitted 0/10",
        "2 fill 10 @ 97.90",
        "2 Filled 10/10",
        "2 commission 1.00",
        "portfolio AAPL",
    ]


def test_a_buy_stop_and_one_that_is_beyond_the_market_already() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    assert fills(floor.place(1, "BUY", 10, "STP", stop="101.00")) == []
    assert [each.order_id for each in fills(floor.quote("101.00", "101.02", last="101.00"))] == [1]
    assert story(floor.place(2, "BUY", 1, "STP", stop="100.00"))[:2] == [
        "2 PreSubmitted 0/1 held:trigger",
        "2 fill 1 @ 101.02",
    ]


def test_a_stop_limit_becomes_a_limit() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "BUY", 10)
    floor.place(2, "SELL", 10, "STP LMT", stop="98.00", limit="97.50")
    assert story(floor.quote("97.00", "97.02", last="97.01")) == ["2 Submitted 0/10"]
    assert [each.price for each in fills(floor.quote("97.60", "97.62", last="97.61"))] == [Decimal("97.50")]


def test_immediate_or_cancel() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=100)
    assert story(floor.place(1, "BUY", 10, "LMT", limit="99.00", tif="IOC")) == [
        "1 PreSubmitted 0/10",
        "1 Cancelled 0/10",
    ]
    events = floor.place(2, "BUY", 150, "LMT", limit="100.01", tif="IOC")
    assert story(events) == [
        "2 PreSubmitted 0/150",
        "2 fill 100 @ 100.01",
        "2 Submitted 100/150",
        "2 commission 1.00",
        "2 Cancelled 100/150",
        "portfolio AAPL",
    ]
    assert floor.exchange.orders() == []
    assert story(floor.place(3, "SELL", 50, "STP", stop="98.00", tif="IOC")) == [
        "3 PreSubmitted 0/50 held:trigger"
    ]
    triggered = story(floor.quote("97.00", "97.01", size=1))
    assert triggered[0] == "3 Submitted 0/50"
    assert triggered[-2:] == ["3 Cancelled 35/50", "portfolio AAPL"]


def test_cancel() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="99.00")
    assert story(floor.cancel(1)) == ["1 Cancelled 0/10", "1 error 202"]
    assert floor.exchange.orders() == []
    assert [each.completed_status for each in floor.exchange.completed_orders()] == ["Cancelled by Trader"]
    assert fills(floor.quote("90.00", "90.01")) == []


def test_cancel_of_what_cannot_be_cancelled() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10)
    [event] = floor.cancel(1)
    assert isinstance(event, OrderError)
    assert event.message == "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled."
    [event] = floor.cancel(7)
    assert isinstance(event, OrderError)
    assert event.message == "OrderId 7 that needs to be cancelled is not found."


def test_only_the_owner_and_client_zero_may_cancel() -> None:
    floor = Floor()
    floor.place(1, "BUY", 10, "LMT", limit="99.00", client_id=5)
    [event] = floor.cancel(1, client_id=5, by=6)
    assert isinstance(event, OrderError)
    assert (event.code, event.client_id) == (10147, 6)
    assert story(floor.cancel(1, client_id=5, by=0)) == ["1 Cancelled 0/10", "1 error 202"]


def test_cancel_everything() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="99.00", client_id=1)
    floor.place(1, "SELL", 10, "STP", stop="90.00", client_id=2)
    assert story(floor.exchange.cancel_all()) == [
        "1 Cancelled 0/10",
        "1 error 202",
        "1 Cancelled 0/10",
        "1 error 202",
    ]
    assert floor.exchange.orders() == []


def test_midnight_ends_day_orders_and_the_day() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", close="98")
    floor.place(1, "BUY", 10)
    floor.place(2, "SELL", 5)
    floor.place(3, "BUY", 10, "LMT", limit="90.00")
    floor.place(4, "BUY", 10, "LMT", limit="91.00", tif="GTC")
    roll = floor.exchange.roll
    assert roll(datetime(2026, 4, 16, 3, 59, 59, tzinfo=UTC)) == []  # 23:59:59 in New York
    assert story(roll(datetime(2026, 4, 16, 4, 0, tzinfo=UTC))) == ["3 Cancelled 0/10", "3 error 202"]
    assert not floor.exchange.executions()
    assert not floor.exchange.completed_orders()
    assert [each.ticket.order_id for each in floor.exchange.orders()] == [4]
    assert floor.exchange.figures().realized_pnl == 0
    assert floor.exchange.state().day == date(2026, 4, 16)
    floor.quote("101.00", "101.02", close="100")
    assert floor.exchange.figures().daily_pnl == Decimal("5.00")
    # What ended yesterday is not known any more, but its id stays used.
    assert errors(floor.cancel(1)) == [10147]
    assert errors(floor.place(3, "BUY", 1)) == [103]
    assert roll(datetime(2026, 4, 16, 5, 0, tzinfo=UTC)) == []


JUST_AFTER_MIDNIGHT = datetime(2026, 4, 16, 4, 0, 0, 200_000, tzinfo=UTC)


def test_an_order_just_after_midnight_is_one_of_the_new_day() -> None:
    """Also when nobody has told the exchange yet that the day is over."""
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="90.00")
    floor.place(2, "BUY", 7)
    floor.clock.advance(JUST_AFTER_MIDNIGHT - START)
    assert story(floor.place(3, "BUY", 10, "LMT", limit="91.00")) == [
        "1 Cancelled 0/10",
        "1 error 202",
        "3 PreSubmitted 0/10",
        "3 Submitted 0/10",
    ]
    floor.place(4, "BUY", 5)
    assert floor.exchange.roll(JUST_AFTER_MIDNIGHT) == []
    assert [each.ticket.order_id for each in floor.exchange.orders()] == [3]
    assert [each.order_id for each in floor.exchange.executions()] == [4]


def test_a_cancel_or_a_quote_just_after_midnight() -> None:
    for command in ("cancel", "cancel all", "quote"):
        floor = Floor()
        floor.quote("99.99", "100.01")
        floor.place(1, "BUY", 10, "LMT", limit="90.00")
        floor.place(2, "BUY", 10, "LMT", limit="89.00", tif="GTC")
        floor.clock.advance(JUST_AFTER_MIDNIGHT - START)
        expired = ["1 Cancelled 0/10", "1 error 202"]
        cancelled = ["2 Cancelled 0/10", "2 error 202"]
        if command == "cancel":
            assert story(floor.cancel(2)) == expired + cancelled
        elif command == "cancel all":
            assert story(floor.exchange.cancel_all()) == expired + cancelled
        else:
            events = floor.quote("88.00", "88.01")
            assert story(events)[:3] == [*expired, "2 fill 10 @ 89.00"]
        # What was done belongs to the new day.
        assert floor.exchange.roll(JUST_AFTER_MIDNIGHT) == []
        assert [each.ticket.order_id for each in floor.exchange.completed_orders()] == [2]


def test_ids_are_unique_and_look_like_ibs() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    executions = fills(floor.place(1, "BUY", 100)) + fills(floor.place(2, "SELL", 100))
    assert len({each.exec_id for each in executions}) == len(executions) > 4
    for each in executions:
        assert [len(part) for part in each.exec_id.split(".")] == [8, 8, 2, 2]
        int(each.exec_id.replace(".", ""), 16)
    assert 0 < executions[0].perm_id < executions[-1].perm_id < 2**31


def test_an_account_that_starts_over_does_not_repeat_ids() -> None:
    first, second = Floor(), Floor()
    second.clock.advance(timedelta(minutes=1))
    second.exchange = PaperExchange(accounts={"DU7654321": Decimal(1000)}, clock=second.clock)
    ids: list[tuple[int, str]] = []
    for floor in (first, second):
        floor.quote("99.99", "100.01")
        ids += [(each.perm_id, each.exec_id) for each in fills(floor.place(1, "BUY", 1))]
    assert ids[0][0] < ids[1][0]
    assert ids[0][1] != ids[1][1]


def test_next_order_id_is_above_every_id_used() -> None:
    floor = Floor()
    assert floor.exchange.next_order_id(1) == 1
    floor.place(41, "BUY", 1, "LMT", limit="1.00")
    assert floor.exchange.next_order_id(1) == 42
    assert floor.exchange.next_order_id(2) == 1
    floor.place(50, "BUY", 0)  # refused: no order has this id
    assert floor.exchange.next_order_id(1) == 42


def test_positions_closed_today_are_still_told() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    floor.place(1, "BUY", 10)
    floor.place(2, "SELL", 10)
    assert floor.exchange.positions() == []
    closed = floor.exchange.position(AAPL.con_id)
    assert closed is not None
    assert (closed.quantity, closed.realized_pnl) == (Decimal(0), Decimal("-2.00"))
    assert floor.exchange.position(MSFT.con_id) is None
    assert floor.exchange.needs_quotes() == set()


def test_a_position_of_last_night_that_is_closed_keeps_its_quotes_for_the_day() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10)
    floor.exchange.roll(JUST_AFTER_MIDNIGHT)
    floor.place(2, "SELL", 10)
    assert floor.exchange.needs_quotes() == {AAPL.con_id}
    floor.exchange.roll(JUST_AFTER_MIDNIGHT + timedelta(days=1))
    assert floor.exchange.needs_quotes() == set()
