from decimal import Decimal

import pytest

from tests.gateway.engine.trading import AAPL, EURUSD, MSFT, Floor, errors, fills, story
from trademind.gateway.engine.model import IBStatus, OrderError


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"quantity": "0"}, 434),
        ({"quantity": "-5"}, 434),
        ({"quantity": "1.5"}, 10243),
        ({"quantity": "10", "kind": "LMT"}, 321),
        ({"quantity": "10", "kind": "LMT", "limit": "0"}, 321),
        ({"quantity": "10", "kind": "LMT", "limit": "-1"}, 321),
        ({"quantity": "10", "kind": "STP"}, 321),
        ({"quantity": "10", "kind": "STP LMT", "limit": "99.00"}, 321),
        ({"quantity": "10", "kind": "LMT", "limit": "99.005"}, 110),
        ({"quantity": "10", "kind": "STP", "stop": "99.001"}, 110),
        ({"quantity": "2001"}, 201),
        ({"quantity": "100000000"}, 201),
        ({"quantity": "1000000001"}, 201),
        ({"quantity": "1e20", "kind": "LMT", "limit": "1e10"}, 201),
        ({"quantity": "1e40"}, 201),
        ({"quantity": "NaN"}, 201),
        ({"quantity": "Infinity"}, 201),
        ({"quantity": "10", "kind": "LMT", "limit": "10000000.01"}, 201),
        ({"quantity": "10", "kind": "LMT", "limit": "1e40"}, 201),
        ({"quantity": "10", "kind": "STP", "stop": "1e40"}, 201),
        ({"quantity": "10", "kind": "LMT", "limit": "Infinity"}, 201),
        ({"quantity": "10", "kind": "LMT", "limit": "NaN"}, 321),
    ],
)
def test_a_rejected_order_leaves_nothing_behind(order: dict[str, str], code: int) -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    before = floor.exchange.figures()
    for side in ("BUY", "SELL"):
        assert errors(floor.place(1, side, **order)) == [code]  # type: ignore[arg-type]
    assert floor.exchange.orders() == floor.exchange.completed_orders() == []
    assert floor.exchange.figures() == before
    assert floor.exchange.journal == []
    # Nothing stays reserved either: all of the buying power is still there, and so is the id.
    assert fills(floor.place(1, "BUY", 2000))


def test_a_fault_in_reckoning_the_margin_leaves_nothing_behind() -> None:
    """Whatever gets past the rules: the exchange is as before, and not short of the margin for ever."""
    floor = Floor()
    floor.quote("100.00", "100.00")
    floor.place(1, "SELL", 100, "LMT", limit="110.00")
    before = floor.exchange.state()
    for order_id, of in ((1, AAPL), (2, AAPL), (2, MSFT)):
        with pytest.raises(ArithmeticError):
            # A limit that a market order has no use for is not looked at by the rules.
            floor.place(order_id, "SELL", 1000, limit="1e40", of=of)
    assert floor.exchange.state() == before
    floor.quote("100.00", "100.00")
    floor.cancel(1)
    assert fills(floor.place(2, "BUY", 2000))


def test_currencies_have_their_own_tick() -> None:
    floor = Floor()
    assert errors(floor.place(1, "BUY", 1000, "LMT", limit="1.08355", of=EURUSD)) == []
    assert errors(floor.place(2, "BUY", 1000, "LMT", limit="1.08352", of=EURUSD)) == [110]


def test_the_words_of_a_refusal_for_want_of_funds() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    [event] = floor.place(1, "BUY", 3000)
    assert isinstance(event, OrderError)
    assert event.message.startswith(
        "Order rejected - reason:We are unable to accept your order. Your Available Funds"
    )
    assert "[100000.00 USD]" in event.message
    assert "[150000.00 USD]" in event.message


def test_working_orders_reserve_margin() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    assert errors(floor.place(1, "BUY", 1500, "LMT", limit="90.00")) == []  # 67,500 of margin
    assert errors(floor.place(2, "BUY", 1000, "LMT", limit="90.00")) == [201]
    # The worst case of buys and sells is the larger, not the sum.
    assert errors(floor.place(3, "SELL", 1500, "LMT", limit="110.00")) == []
    floor.cancel(1)
    floor.cancel(3)
    assert errors(floor.place(4, "BUY", 2200, "LMT", limit="90.00")) == []


def test_reducing_is_always_accepted() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    floor.place(1, "BUY", 1990)
    floor.quote("40.00", "40.01")  # equity is gone
    assert floor.exchange.figures().available_funds < 0
    assert errors(floor.place(2, "BUY", 1)) == [201]
    assert errors(floor.place(3, "BUY", 1, of=MSFT)) == [201]
    assert errors(floor.place(4, "SELL", 1990, "LMT", limit="41.00")) == []
    assert errors(floor.place(5, "SELL", 1990, "STP", stop="39.00")) == []  # the other half of a bracket
    # A third sale of it could only open a short position.
    assert errors(floor.place(6, "SELL", 100, "LMT", limit="41.00")) == [201]


def test_short_sales_need_margin_too() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    assert errors(floor.place(1, "SELL", 2001)) == [201]
    assert errors(floor.place(2, "SELL", 2000)) == []
    position = floor.exchange.position(AAPL.con_id)
    assert position is not None
    assert position.quantity == -2000
    assert errors(floor.place(3, "SELL", 1)) == [201]
    assert errors(floor.place(4, "BUY", 2000)) == []
    assert floor.exchange.positions() == []


def test_used_ids() -> None:
    floor = Floor()
    floor.quote("100.00", "100.00")
    floor.place(5, "BUY", 1)
    assert errors(floor.place(5, "BUY", 1)) == [104]
    floor.place(6, "BUY", 1, "LMT", limit="90.00")
    floor.cancel(6)
    assert errors(floor.place(6, "BUY", 1)) == [103]
    assert errors(floor.place(3, "BUY", 1)) == [103]
    assert errors(floor.place(3, "BUY", 1, client_id=2)) == []


def test_a_second_ticket_with_the_id_changes_the_order() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="90.00")
    perm_id = floor.exchange.orders()[0].perm_id
    assert story(floor.place(1, "BUY", 20, "LMT", limit="91.00", tif="GTC")) == ["1 Submitted 0/20"]
    [order] = floor.exchange.orders()
    assert (order.perm_id, order.ticket.limit_price, order.ticket.tif) == (perm_id, Decimal("91.00"), "GTC")
    assert story(floor.place(1, "BUY", 20, "LMT", limit="100.01", tif="GTC"))[:3] == [
        "1 Submitted 0/20",
        "1 fill 20 @ 100.01",
        "1 Filled 20/20",
    ]


def test_a_limit_may_become_a_market_order() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="90.00")
    assert [each.price for each in fills(floor.place(1, "BUY", 10))] == [Decimal("100.01")]


def test_a_held_stop_moves() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "SELL", 10, "STP", stop="90.00")
    assert story(floor.place(1, "SELL", 10, "STP", stop="95.00")) == ["1 PreSubmitted 0/10 held:trigger"]
    assert [each.order_id for each in fills(floor.quote("94.99", "95.01", last="95.00"))] == [1]


def test_a_triggered_stop_keeps_its_stop() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "SELL", 10, "STP LMT", stop="95.00", limit="94.50")
    floor.quote("94.00", "94.02", last="94.01")
    assert errors(floor.place(1, "SELL", 10, "STP LMT", stop="93.00", limit="94.50")) == [201]
    assert fills(floor.place(1, "SELL", 10, "STP LMT", stop="95.00", limit="94.00"))


def test_what_a_change_may_not_touch() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    floor.place(1, "BUY", 30, "LMT", limit="100.01")  # 10 of them fill
    before = floor.exchange.orders()
    assert errors(floor.place(1, "SELL", 30, "LMT", limit="100.01")) == [105]
    assert errors(floor.place(1, "BUY", 30, "LMT", limit="100.01", of=MSFT)) == [105]
    assert errors(floor.place(1, "BUY", 9, "LMT", limit="100.01")) == [201]
    assert errors(floor.place(1, "BUY", 0, "LMT", limit="100.01")) == [434]
    assert errors(floor.place(1, "BUY", "20.5", "LMT", limit="100.01")) == [10242]
    assert errors(floor.place(1, "BUY", 30, "LMT", limit="99.999")) == [110]
    assert errors(floor.place(1, "BUY", 9000, "LMT", limit="100.01")) == [201]
    assert floor.exchange.orders() == before


def test_a_change_down_to_what_has_filled_ends_the_order() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    floor.place(1, "BUY", 30, "LMT", limit="100.01")
    assert story(floor.place(1, "BUY", 10, "LMT", limit="100.01")) == ["1 Filled 10/10"]
    assert [each.status for each in floor.exchange.completed_orders()] == [IBStatus.FILLED]


def test_a_larger_size_goes_to_the_back_of_the_queue() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    for order_id in (1, 2, 3):
        floor.place(order_id, "BUY", 10, "LMT", limit="99.00")
    floor.place(1, "BUY", 11, "LMT", limit="99.00")
    floor.place(2, "BUY", 9, "LMT", limit="99.00")  # smaller: keeps its place
    assert [each.order_id for each in fills(floor.quote("98.00", "98.01"))] == [2, 3, 1]


def test_waiting_market_orders_keep_their_place_in_time() -> None:
    floor = Floor()
    for order_id in (1, 2):
        floor.place(order_id, "BUY", 10)
    floor.place(1, "BUY", 9)  # smaller
    assert [each.order_id for each in fills(floor.quote("99.99", "100.01"))] == [1, 2]
