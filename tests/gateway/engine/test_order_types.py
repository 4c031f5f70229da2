"""Order types beyond market, limit and stop: when they come to the market, and at what price they fill."""

from decimal import Decimal

import pytest

from tests.gateway.engine.trading import Floor, errors, fills, story


def prices(events: object) -> list[str]:
    return [str(each.price) for each in fills(events)]  # type: ignore[arg-type]


def stop_of(floor: Floor) -> Decimal | None:
    return floor.exchange.orders()[0].trail_stop


def test_a_trailing_stop_follows_the_market_up_and_stays_when_it_falls() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    assert story(floor.place(1, "SELL", 10, "TRAIL", trailing_amount="1.00")) == [
        "1 PreSubmitted 0/10 held:trigger"
    ]
    assert stop_of(floor) == Decimal("99.00")
    assert floor.quote("101.99", "102.01", last="102.00") == []
    assert stop_of(floor) == Decimal("101.00")
    assert floor.quote("101.09", "101.11", last="101.10") == []
    assert stop_of(floor) == Decimal("101.00")
    assert story(floor.quote("100.90", "100.92", last="100.95"))[:2] == [
        "1 Submitted 0/10",
        "1 fill 10 @ 100.90",
    ]


def test_a_buy_trails_downwards_by_percent_from_its_initial_stop() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "BUY", 10, "TRAIL", trailing_percent="2", stop="101.50")
    assert stop_of(floor) == Decimal("101.50")
    floor.quote("98.99", "99.01", last="99.00")
    assert stop_of(floor) == Decimal("100.98")
    assert prices(floor.quote("100.99", "101.01", last="101.00")) == ["101.01"]


def test_a_trailing_stop_without_a_market_starts_with_the_first_quote() -> None:
    floor = Floor()
    floor.place(1, "SELL", 10, "TRAIL", trailing_amount="1.00")
    assert stop_of(floor) is None
    floor.quote("99.99", "100.01", last="100.00")
    assert stop_of(floor) == Decimal("99.00")


def test_a_trailing_stop_limit_has_its_limit_when_triggered() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "SELL", 10, "TRAIL LIMIT", trailing_amount="1.00", limit_offset="0.10")
    floor.quote("101.99", "102.01", last="102.00")
    assert fills(floor.quote("100.50", "100.52", last="100.60")) == []
    [order] = floor.exchange.orders()
    assert (order.status, order.triggered, order.working_limit) == ("Submitted", True, Decimal("100.90"))
    assert prices(floor.quote("100.95", "100.97", last="100.96")) == ["100.90"]


def test_if_touched_orders_wait_for_a_better_price() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    assert story(floor.place(1, "BUY", 10, "MIT", stop="99.00")) == ["1 PreSubmitted 0/10 held:trigger"]
    floor.place(2, "SELL", 10, "LIT", stop="101.00", limit="100.99")
    assert prices(floor.quote("98.98", "99.01", last="99.00")) == ["99.01"]
    assert prices(floor.quote("101.00", "101.02", last="101.01")) == ["101.00"]


def test_market_with_protection_rests_at_its_limit() -> None:
    floor = Floor("10000000")
    floor.quote("99.99", "100.00", size=1)
    events = floor.place(1, "BUY", 100, "MKT PRT")
    assert len(fills(events)) == 10
    [order] = floor.exchange.orders()
    assert order.working_limit == Decimal("101.00")
    assert fills(floor.quote("101.50", "101.52")) == []
    assert prices(floor.quote("99.99", "100.01")) == ["101.00"]


def test_a_relative_order_improves_the_bid_up_to_its_cap() -> None:
    floor = Floor()
    floor.quote("99.90", "100.10")
    floor.place(1, "BUY", 10, "REL", offset="0.02", limit="100.00")
    assert prices(floor.quote("99.80", "99.91")) == ["99.92"]
    floor.place(2, "BUY", 10, "REL", offset="0.02", limit="99.00")
    assert fills(floor.quote("99.00", "99.02")) == []
    assert prices(floor.quote("98.90", "98.99")) == ["99.00"]


def test_a_midpoint_peg_moves_with_every_quote() -> None:
    floor = Floor()
    floor.quote("99.99", "100.02")
    floor.place(1, "SELL", 10, "PEG MID")
    floor.quote("98.99", "99.02")
    assert prices(floor.quote("99.01", "99.03")) == ["99.005"]


def test_on_close_fills_with_the_last_quote_of_the_day_and_what_is_left_is_cancelled() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert story(floor.place(1, "BUY", 10, "MOC")) == ["1 PreSubmitted 0/10"]
    floor.place(2, "BUY", 10, "LOC", limit="90.00")
    floor.place(3, "BUY", 10, tif="CLS")
    assert fills(floor.quote("101.00", "101.01")) == []
    assert story(floor.wait(hours=13)) == [
        "1 fill 10 @ 101.01",
        "1 Filled 10/10",
        "1 commission 1.00",
        "2 Cancelled 0/10",
        "3 fill 10 @ 101.01",
        "3 Filled 10/10",
        "3 commission 1.00",
        "portfolio AAPL",
    ]


def test_for_the_opening_takes_the_first_quote_of_the_day_and_no_other() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert errors(floor.place(1, "BUY", 10, tif="OPG")) == [399]
    floor.place(2, "BUY", 10, "LMT", limit="90.00", tif="OPG")
    assert fills(floor.quote("99.99", "100.01")) == []
    assert story(floor.wait(hours=13)) == ["1 Submitted 0/10", "2 Submitted 0/10"]
    opening = story(floor.quote("102.00", "102.01"))
    assert opening[0] == "1 fill 10 @ 102.01"
    assert "2 Cancelled 0/10" in opening
    assert floor.exchange.orders() == []


def test_fill_or_kill_is_all_or_nothing_at_once() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    assert story(floor.place(1, "BUY", 11, "LMT", limit="100.01", tif="FOK")) == [
        "1 PreSubmitted 0/11",
        "1 Cancelled 0/11",
    ]
    assert prices(floor.place(2, "BUY", 11, "LMT", limit="100.02", tif="FOK")) == ["100.01", "100.02"]


def test_all_or_none_waits_for_all_of_it() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    assert fills(floor.place(1, "BUY", 20, "LMT", limit="100.01", all_or_none=True)) == []
    assert fills(floor.quote("99.99", "100.01", size=19)) == []
    assert [each.quantity for each in fills(floor.quote("99.99", "100.01", size=20))] == [20]


def test_a_minimum_quantity() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", size=10)
    assert fills(floor.place(1, "BUY", 20, "LMT", limit="100.01", min_quantity="15")) == []
    assert [each.quantity for each in fills(floor.quote("99.99", "100.01", size=16))] == [16]
    assert [each.quantity for each in fills(floor.quote("99.99", "100.01", size=16))] == [4]


def test_an_iceberg_gives_way_after_each_slice_and_hidden_orders_come_last() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    floor.place(1, "BUY", 10, "LMT", limit="99.00", hidden=True)
    floor.place(2, "BUY", 30, "LMT", limit="99.00", display_size="10")
    floor.place(3, "BUY", 10, "LMT", limit="99.00")
    served = fills(floor.quote("98.00", "98.50", size=100))
    assert [(each.order_id, int(each.quantity)) for each in served] == [
        (2, 10), (3, 10), (1, 10), (2, 10), (2, 10),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "quotes", "expected"),
    [
        (0, [("97.00", "97.10", "98.50"), ("98.00", "98.60", "98.00")], [False, True]),
        (2, [("97.00", "97.10", "98.50"), ("98.00", "98.60", "98.00")], [False, True]),
        (4, [("98.00", "98.10", "97.00"), ("97.80", "98.00", "98.50")], [False, True]),
        (7, [("98.00", "98.10", "98.50"), ("97.80", "98.10", "97.90")], [False, True]),
        (8, [("98.00", "98.10", "97.00"), ("97.90", "98.10", "98.50")], [False, True]),
        (3, [("97.00", "97.10", "97.00"), ("97.80", "98.10", "98.00")], [False, True]),
        (1, [("97.00", "97.10", "99.00"), ("97.80", "98.00", "99.00")], [False, True]),
        (3, [("97.00", "97.10", "97.00"), ("97.80", "98.10", "98.01")], [False, False]),
    ],
)
def test_trigger_methods_of_a_sell_stop(
    method: int, quotes: list[tuple[str, str, str]], expected: list[bool]
) -> None:
    floor = Floor()
    floor.quote("99.99", "100.01", last="100.00")
    floor.place(1, "SELL", 10, "STP", stop="98.00", trigger_method=method)
    triggered = [bool(fills(floor.quote(bid, ask, last=last))) for bid, ask, last in quotes]
    assert triggered == expected


def test_good_after_time() -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    after = floor.clock.now().replace(hour=16)
    assert story(floor.place(1, "BUY", 10, good_after=after)) == ["1 PreSubmitted 0/10"]
    assert floor.quote("99.98", "100.00") == []
    assert story(floor.wait(hours=1))[0] == "1 fill 10 @ 100.00"


def test_good_till_date() -> None:
    floor = Floor()
    till = floor.clock.now().replace(day=17)
    floor.place(1, "BUY", 10, "LMT", limit="90.00", tif="GTD", good_till=till)
    assert floor.wait(hours=47) == []
    assert story(floor.wait(hours=1)) == ["1 Cancelled 0/10", "1 error 202"]
    assert errors(floor.place(2, "BUY", 10, "LMT", limit="90.00", tif="GTD", good_till=till)) == [334]


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"kind": "TRAIL"}, 158),
        ({"kind": "TRAIL", "trailing_amount": "1", "trailing_percent": "1"}, 158),
        ({"kind": "TRAIL", "trailing_percent": "101"}, 159),
        ({"kind": "TRAIL", "trailing_amount": "NaN"}, 158),
        ({"kind": "TRAIL LIMIT", "trailing_amount": "1"}, 321),
        ({"kind": "MIT"}, 321),
        ({"kind": "LIT", "stop": "1"}, 321),
        ({"kind": "LOC"}, 321),
        ({"kind": "MOC", "tif": "GTC"}, 113),
        ({"kind": "STP", "stop": "90", "tif": "OPG"}, 111),
        ({"tif": "GTD"}, 334),
        ({"hidden": True}, 152),
        ({"kind": "LMT", "limit": "1", "display_size": "11"}, 10020),
        ({"kind": "LMT", "limit": "1", "min_quantity": "11"}, 201),
        ({"kind": "STP", "stop": "90", "trigger_method": 5}, 146),
        ({"kind": "LMT", "limit": "1", "oca_group": "a", "oca_type": 4}, 321),
        ({"parent_id": 9}, 135),
        ({"parent_id": 1}, 135),
    ],
)
def test_what_an_order_lacks(order: dict[str, object], code: int) -> None:
    floor = Floor()
    floor.quote("99.99", "100.01")
    assert errors(floor.place(1, "BUY", 10, **order)) == [code]  # type: ignore[arg-type]
    assert floor.exchange.orders() == []
    assert floor.exchange.journal == []
