"""Quotes and midnights that move thousands of orders are worked off in steps."""

from itertools import pairwise

from tests.gateway.engine.trading import START, Floor, fills, market
from trademind.gateway.engine.exchange import ORDERS_PER_STEP

ORDERS = 500


def full() -> Floor:
    floor = Floor("100000000")
    floor.quote("99.99", "100.01")
    for order_id in range(1, ORDERS + 1):
        floor.place(order_id, "BUY", 1, "LMT", limit="90.00")
    return floor


def test_one_quote_that_crosses_many_orders() -> None:
    floor = full()
    batches = list(floor.exchange.show(market("80.00", "80.01")))
    assert sum(len(fills(each)) for each in batches) == ORDERS
    assert max(len(fills(each)) for each in batches) <= ORDERS_PER_STEP
    ids = [each.order_id for batch in batches for each in fills(batch)]
    assert all(before < after for before, after in pairwise(ids))
    assert not floor.exchange.is_busy


def test_a_command_in_between_finds_the_quote_worked_off() -> None:
    floor = full()
    steps = floor.exchange.show(market("80.00", "80.01"))
    first = fills(next(steps))
    assert floor.exchange.is_busy
    rest = fills(floor.place(ORDERS + 1, "BUY", 1, "LMT", limit="79.00"))
    assert len(first) + len(rest) == ORDERS
    assert list(steps) == []


def test_the_end_of_a_day_with_many_orders() -> None:
    floor = full()
    batches = list(floor.exchange.pass_time(START.replace(day=16)))
    assert len(batches) > ORDERS // ORDERS_PER_STEP
    assert floor.exchange.orders() == []
    assert floor.exchange.completed_orders() == []
    assert floor.exchange.state().day.day == 16
