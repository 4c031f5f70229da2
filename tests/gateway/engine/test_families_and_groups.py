"""Orders that depend on one another, on prices and on times."""

from datetime import timedelta
from decimal import Decimal

from tests.gateway.engine.trading import AAPL, MSFT, START, Floor, errors, fills, story
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.groups import MAX_GENERATIONS, MAX_MEMBERS
from trademind.gateway.engine.model import (
    Adjustment,
    IBOrderType,
    OrderReported,
    PriceCondition,
    Stage,
    TimeCondition,
)


def bracket(floor: Floor, size: int = 10, limit: str = "99.00") -> list[str]:
    told = floor.place(1, "BUY", size, "LMT", limit=limit, transmit=False)
    told += floor.place(2, "SELL", size, "LMT", limit="105.00", parent_id=1, transmit=False)
    assert told == []
    return story(floor.place(3, "SELL", size, "STP", stop="95.00", parent_id=1))


def test_a_bracket_is_told_of_when_its_last_order_is_transmitted() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert bracket(floor) == [
        "1 PreSubmitted 0/10",
        "1 Submitted 0/10",
        "2 PreSubmitted 0/10 held:child",
        "3 PreSubmitted 0/10 held:child,trigger",
    ]


def test_the_children_work_once_the_parent_has_filled_and_one_of_them_ends_the_other() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    bracket(floor)
    assert story(floor.quote("98.90", "98.95", last="98.95")) == [
        "1 fill 10 @ 99.00",
        "1 Filled 10/10",
        "1 commission 1.00",
        "2 Submitted 0/10",
        "3 PreSubmitted 0/10 held:trigger",
        "portfolio AAPL",
    ]
    assert story(floor.quote("105.01", "105.03", last="105.02")) == [
        "2 fill 10 @ 105.00",
        "2 Filled 10/10",
        "2 commission 1.00",
        "3 Cancelled 0/10",
        "3 error 202",
        "portfolio AAPL",
    ]
    assert floor.exchange.positions() == []


def test_a_partly_filled_parent_keeps_its_children_waiting() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    bracket(floor)
    floor.quote("98.98", "99.00", size=4)
    assert [each.why_held for each in floor.exchange.orders()] == ["", "child", "child,trigger"]


def test_a_cancelled_parent_takes_its_children_with_it() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    bracket(floor)
    assert story(floor.cancel(1)) == [
        "1 Cancelled 0/10",
        "1 error 202",
        "2 Cancelled 0/10",
        "2 error 202",
        "3 Cancelled 0/10",
        "3 error 202",
    ]
    assert floor.exchange.orders() == []


def test_a_bracket_needs_no_more_margin_than_its_entry() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    bracket(floor, 2000, "99.00")
    assert errors(floor.place(4, "BUY", 21, "LMT", limit="99.00")) == [201]
    assert errors(floor.place(4, "BUY", 20, "LMT", limit="99.00")) == []


def test_a_child_that_the_account_cannot_bear_is_refused_when_it_would_work() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 1, "LMT", limit="99.00")
    floor.place(2, "BUY", 100_000, "LMT", limit="50.00", parent_id=1)
    assert story(floor.quote("98.00", "98.02"))[-3:] == [
        "2 Cancelled 0/100000",
        "2 error 201",
        "portfolio AAPL",
    ]
    assert floor.exchange.orders() == []


def test_an_order_that_is_not_transmitted_can_be_changed_and_cancelled_and_uses_its_id() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(5, "BUY", 10, "LMT", limit="99.00", transmit=False)
    assert floor.exchange.orders() == floor.exchange.journal == []
    assert floor.exchange.next_order_id(1) == 6
    assert floor.place(5, "BUY", 20, "LMT", limit="98.00", transmit=False) == []
    assert story(floor.place(5, "BUY", 20, "LMT", limit="97.00")) == [
        "5 PreSubmitted 0/20",
        "5 Submitted 0/20",
    ]
    floor.place(6, "BUY", 10, "LMT", limit="99.00", transmit=False)
    floor.place(7, "SELL", 10, parent_id=6, transmit=False)
    assert story(floor.cancel(6)) == ["6 Cancelled 0/10", "6 error 202", "7 Cancelled 0/10", "7 error 202"]
    assert errors(floor.place(7, "SELL", 10)) == [103]


def test_a_refused_parent_refuses_its_children() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 100_000, "LMT", limit="99.00", transmit=False)
    assert errors(floor.place(2, "SELL", 10, parent_id=1)) == [201, 135]
    assert floor.exchange.orders() == []


def test_a_child_of_an_order_that_has_filled_works_at_once() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10)
    assert story(floor.place(2, "SELL", 10, "LMT", limit="105.00", parent_id=1))[-1] == "2 Submitted 0/10"


def test_a_parent_has_a_bounded_number_of_children() -> None:
    floor = Floor()
    floor.place(1, "BUY", 1000, "LMT", limit="1.00")
    for number in range(MAX_MEMBERS):
        assert errors(floor.place(2 + number, "SELL", 1, parent_id=1)) == []
    assert errors(floor.place(500, "SELL", 1, parent_id=1)) == [201]


def test_a_bracket_survives_a_restart() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    bracket(floor)
    floor.exchange = PaperExchange.restored(floor.exchange.state(), [], clock=floor.clock)
    floor.quote("99.99", "100.01")
    assert "3 PreSubmitted 0/10 held:trigger" in story(floor.quote("98.90", "98.95", last="98.95"))
    floor.exchange = PaperExchange.restored(floor.exchange.state(), [], clock=floor.clock)
    assert "2 Cancelled 0/10" in story(floor.quote("94.00", "94.05", last="94.01"))


def group(floor: Floor, oca_type: int, *, size: int = 10) -> None:
    for order_id, limit in ((11, "99.00"), (12, "98.00"), (13, "97.00")):
        floor.place(order_id, "BUY", size, "LMT", limit=limit, oca_group="exits", oca_type=oca_type)


def test_one_cancels_all_even_when_one_quote_crosses_all() -> None:
    for oca_type in (1, 2, 3, 0):
        floor = Floor()
        floor.quote("99.99", "100.01")
        group(floor, oca_type)
        assert [each.order_id for each in fills(floor.quote("90.00", "90.01"))] == [11]
        assert floor.exchange.orders() == []


def test_a_partial_fill_cancels_or_reduces_the_others() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    group(floor, 1)
    floor.quote("98.98", "99.00", size=4)
    assert [(each.ticket.order_id, int(each.remaining)) for each in floor.exchange.orders()] == [(11, 6)]
    floor = Floor()
    floor.quote("99.99", "100.01")
    group(floor, 2)
    events = floor.quote("98.98", "99.00", size=4)
    assert story(events)[3:5] == ["12 Submitted 0/6", "13 Submitted 0/6"]
    assert sum(each.quantity for each in fills(floor.quote("90.00", "90.01"))) == 6
    assert floor.exchange.orders() == []


def test_groups_of_unequal_sizes_are_reduced_by_their_share() -> None:
    floor = Floor("1000000")
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="99.00", oca_group="g", oca_type=3)
    floor.place(2, "BUY", 1000, "LMT", limit="98.00", oca_group="g", oca_type=3)
    floor.quote("98.98", "99.00", size=4)
    assert [int(each.remaining) for each in floor.exchange.orders()] == [6, 600]


def test_a_group_has_a_bounded_number_of_members() -> None:
    floor = Floor("1000000")
    for number in range(MAX_MEMBERS):
        assert errors(floor.place(1 + number, "BUY", 1, "LMT", limit="1.00", oca_group="g")) == []
    assert errors(floor.place(500, "BUY", 1, "LMT", limit="1.00", oca_group="g")) == [201]


def test_family_and_group_cannot_be_changed() -> None:
    floor = Floor()
    floor.place(1, "BUY", 1, "LMT", limit="1.00", oca_group="g")
    assert errors(floor.place(1, "BUY", 1, "LMT", limit="1.00")) == [105]
    floor.place(2, "SELL", 1, "LMT", limit="5.00", parent_id=1)
    assert errors(floor.place(2, "SELL", 1, "LMT", limit="5.00")) == [105]
    assert story(floor.place(2, "SELL", 1, "LMT", limit="6.00", parent_id=1)) == [
        "2 PreSubmitted 0/1 held:child"
    ]


def kept(floor: Floor) -> PaperExchange:
    """The exchange after a restart."""
    return PaperExchange.restored(floor.exchange.state(), [], clock=floor.clock)


def test_the_stop_of_a_bracket_ends_when_the_profit_is_taken_on_arrival() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, transmit=False)
    floor.place(2, "SELL", 10, "LMT", limit="99.00", parent_id=1, transmit=False)
    events = floor.place(3, "SELL", 10, "STP", stop="95.00", parent_id=1)
    assert [each.order_id for each in fills(events)] == [1, 2]
    assert story(events)[-4:-1] == ["3 PreSubmitted 0/10", "3 Cancelled 0/10", "3 error 202"]
    assert fills(floor.quote("94.00", "94.02")) == []
    assert not floor.exchange.orders()
    assert not floor.exchange.positions()
    # Neither does one that is attached afterwards.
    floor.exchange = kept(floor)
    assert fills(floor.place(4, "SELL", 10, "LMT", limit="90.00", parent_id=1)) == []


def test_a_late_member_of_a_group_that_has_filled_is_cancelled() -> None:
    for oca_type in (1, 2, 3, 0):
        floor = Floor()
        floor.quote("99.99", "100.01")
        assert fills(floor.place(1, "BUY", 10, oca_group="g", oca_type=oca_type))
        for order_id in (2, 3):
            events = floor.place(order_id, "BUY", 10, oca_group="g", oca_type=oca_type)
            assert story(events) == [
                f"{order_id} PreSubmitted 0/10",
                f"{order_id} Cancelled 0/10",
                f"{order_id} error 202",
            ]
            floor.exchange = kept(floor)
            floor.quote("99.99", "100.01")
        floor.wait(days=1)
        assert fills(floor.place(4, "BUY", 10, oca_group="g", oca_type=oca_type))


def test_what_a_group_has_filled_is_in_the_journal() -> None:
    floor = Floor()
    start = floor.exchange.state()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, oca_group="one", oca_type=1)
    floor.place(2, "BUY", 10, "LMT", limit="99.00", oca_group="two", oca_type=2)
    floor.quote("98.98", "99.00", size=4)
    floor.cancel(2)
    floor.exchange = PaperExchange.restored(start, floor.exchange.journal, clock=floor.clock)
    floor.quote("99.99", "100.01")
    assert fills(floor.place(3, "BUY", 10, oca_group="one", oca_type=1)) == []
    assert [int(each.quantity) for each in fills(floor.place(4, "BUY", 10, oca_group="two", oca_type=2))] == [
        6
    ]


def test_a_late_member_gets_what_is_left_of_its_group() -> None:
    for oca_type, left in ((1, None), (2, 6), (3, 6)):
        floor = Floor()
        floor.quote("99.99", "100.01")
        floor.place(1, "BUY", 10, "LMT", limit="99.00", oca_group="g", oca_type=oca_type, tif="GTC")
        floor.quote("98.98", "99.00", size=4)
        floor.wait(days=1)
        floor.exchange = kept(floor)
        floor.quote("99.99", "100.01")
        assert [int(each.filled) for each in floor.exchange.orders()] == [4]
        events = floor.place(2, "BUY", 10, "LMT", limit="98.00", oca_group="g", oca_type=oca_type)
        working = {each.ticket.order_id: int(each.remaining) for each in floor.exchange.orders()}
        assert working == ({1: 6, 2: 6} if left else {1: 6}), story(events)


def test_a_group_counts_also_its_filled_orders_towards_its_size() -> None:
    floor = Floor("1000000")
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 1000, "LMT", limit="99.00", oca_group="g", oca_type=3)
    floor.quote("98.98", "99.00", size=1)
    floor.quote("99.99", "100.01")
    floor.cancel(1)
    for number in range(1, MAX_MEMBERS):
        assert errors(floor.place(1 + number, "BUY", 100, "LMT", limit="1.00", oca_group="g")) == []
    assert errors(floor.place(500, "BUY", 100, "LMT", limit="1.00", oca_group="g")) == [201]


def test_a_grandchild_transmits_the_whole_line() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="50.00", transmit=False)
    floor.place(2, "BUY", 10, "LMT", limit="100.50", parent_id=1, transmit=False)
    assert story(floor.place(3, "SELL", 10, "LMT", limit="200.00", parent_id=2)) == [
        "1 PreSubmitted 0/10",
        "1 Submitted 0/10",
        "2 PreSubmitted 0/10 held:child",
        "3 PreSubmitted 0/10 held:child",
    ]
    assert floor.exchange.staged() == []
    assert errors(floor.cancel(1)) == [202, 202, 202]


def test_dropping_the_head_of_a_staged_family_tells_of_each() -> None:
    floor = Floor()
    parents = {1: 0, 2: 1, 3: 2, 4: 1, 5: 4}
    for order_id, parent_id in parents.items():
        floor.place(order_id, "BUY", 1, "LMT", limit="50.00", parent_id=parent_id, transmit=False)
    events = floor.cancel(1)
    told = [each.order.ticket.order_id for each in events if isinstance(each, OrderReported)]
    assert told == [1, 2, 4, 3, 5]
    assert errors(events) == [202] * 5
    assert floor.exchange.staged() == []


def test_a_family_is_bounded_in_depth_and_in_all() -> None:
    for transmit in (True, False):
        floor = Floor()
        for order_id in range(1, MAX_GENERATIONS + 1):
            events = floor.place(
                order_id, "BUY", 1, "LMT", limit="1.00", parent_id=order_id - 1, transmit=transmit
            )
            assert errors(events) == []
        deeper = floor.ticket(50, "BUY", 1, parent_id=MAX_GENERATIONS, transmit=transmit)
        assert errors(floor.exchange.place(deeper)) == [201]
        for number in range(MAX_MEMBERS - MAX_GENERATIONS + 1):
            parent_id = 1 + number % 2
            assert errors(floor.place(100 + number, "SELL", 1, parent_id=parent_id, transmit=transmit)) == []
        assert errors(floor.place(900, "SELL", 1, parent_id=2, transmit=transmit)) == [201]
        assert errors(floor.cancel(1)) == [202] * (MAX_MEMBERS + 1)


def test_the_parent_of_a_staged_order_cannot_be_changed() -> None:
    floor = Floor()
    floor.place(1, "BUY", 1, "LMT", limit="1.00", transmit=False)
    floor.place(2, "BUY", 1, "LMT", limit="1.00", parent_id=1, transmit=False)
    assert errors(floor.place(1, "BUY", 1, "LMT", limit="1.00", parent_id=2, transmit=False)) == [105]


def when(price: str, *, is_more: bool, is_and: bool = True) -> PriceCondition:
    return PriceCondition(instrument=MSFT, price=Decimal(price), is_more=is_more, is_and=is_and)


def test_a_price_condition_watches_another_instrument() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert story(floor.place(1, "BUY", 10, conditions=(when("400", is_more=True),))) == [
        "1 PreSubmitted 0/10"
    ]
    assert floor.exchange.needs_quotes() == {AAPL.con_id, MSFT.con_id}
    assert floor.quote("399.00", "399.02", of=MSFT) == []
    assert story(floor.quote("400.00", "400.02", of=MSFT))[:2] == ["1 fill 10 @ 100.01", "1 Filled 10/10"]
    assert floor.exchange.needs_quotes() == {AAPL.con_id}


def test_conditions_are_joined_by_and_before_or() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    either = (when("400", is_more=True), when("300", is_more=False, is_and=False), when("500", is_more=True))
    floor.place(1, "BUY", 10, conditions=either)
    assert fills(floor.quote("400.00", "400.02", of=MSFT)) == []
    assert fills(floor.quote("500.00", "500.02", of=MSFT))


def test_a_time_condition_and_one_that_cancels() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    later = TimeCondition(moment=START + timedelta(minutes=5), is_more=True)
    floor.place(1, "BUY", 10, conditions=(later,))
    events = floor.place(2, "BUY", 10, "LMT", limit="90.00", conditions=(later,), conditions_cancel=True)
    assert story(events)[-1] == "2 Submitted 0/10"
    assert floor.wait(minutes=4) == []
    assert story(floor.wait(minutes=1)) == [
        "1 fill 10 @ 100.01",
        "1 Filled 10/10",
        "1 commission 1.00",
        "2 Cancelled 0/10",
        "2 error 202",
        "portfolio AAPL",
    ]


def test_a_stop_is_adjusted_once_to_a_trailing_stop() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    change = Adjustment(
        order_type=IBOrderType.TRAIL,
        trigger_price=Decimal("105"),
        stop_price=Decimal("103"),
        trailing=Decimal(2),
    )
    floor.place(1, "SELL", 10, "STP", stop="95.00", adjustment=change)
    floor.quote("104.99", "105.01", last="105.00")
    [order] = floor.exchange.orders()
    assert (order.ticket.order_type, order.trail_stop, order.stage) == ("TRAIL", Decimal(103), Stage.TRIGGER)
    floor.quote("109.99", "110.01", last="110.00")
    assert floor.exchange.orders()[0].trail_stop == Decimal(108)
    assert fills(floor.quote("107.90", "107.95", last="107.95"))


def test_a_preview_changes_nothing() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    before = floor.exchange.state()
    preview = floor.exchange.preview(floor.ticket(1, "BUY", 100))
    assert preview.init_margin == (Decimal(0), Decimal("5000.50"), Decimal("5000.50"))  # type: ignore[union-attr]
    assert preview.commission == Decimal("1.00")  # type: ignore[union-attr]
    refused = floor.exchange.preview(floor.ticket(1, "BUY", 0))
    assert refused.code == 434  # type: ignore[union-attr]
    assert floor.exchange.state() == before
    assert errors(floor.place(1, "BUY", 100)) == []
