"""Orders of every kind on disk: what is read is what was written, in another process, too."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.engine.trading import AAPL, MSFT, START, Floor, fills, market
from trademind.clock import ManualClock
from trademind.domain import Side
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import (
    Adjustment,
    IBOrderType,
    Leg,
    PaperOrder,
    PriceCondition,
    TimeCondition,
)
from trademind.gateway.records import RecordReader, dump_record
from trademind.gateway.store import AccountStore, open_exchange

EVERYTHING: dict[str, Any] = {
    "trailing_percent": "1.5",
    "limit_offset": "0.10",
    "offset": "0.05",
    "good_till": datetime(2026, 5, 1, tzinfo=UTC),
    "good_after": datetime(2026, 4, 16, tzinfo=UTC),
    "all_or_none": True,
    "min_quantity": "5",
    "display_size": "6",
    "hidden": True,
    "parent_id": 7,
    "oca_group": "exits",
    "oca_type": 2,
    "trigger_method": 8,
    "conditions": (
        PriceCondition(
            instrument=MSFT, price=Decimal("400.5"), is_more=False, trigger_method=4, is_and=False
        ),
        TimeCondition(moment=datetime(2026, 4, 17, tzinfo=UTC), is_more=True),
    ),
    "conditions_cancel": True,
    "conditions_outside_rth": True,
    "adjustment": Adjustment(
        order_type=IBOrderType.TRAIL, trigger_price=Decimal(90), stop_price=Decimal(95), trailing=Decimal(2)
    ),
    "notes": (("algoStrategy", "Adaptive"),),
}


def written_and_read(order: PaperOrder) -> object:
    return RecordReader(Universe()).record(json.loads(json.dumps(dump_record(order))))


def placed(**attributes: Any) -> PaperOrder:
    floor = Floor()
    floor.place(1, "BUY", 10, "LMT", limit="90.00")
    [order] = floor.exchange.orders()
    return order._replace(ticket=floor.ticket(1, "SELL", 10, "TRAIL LIMIT", tif="GTD", **attributes))


def test_every_attribute_is_kept() -> None:
    order = placed(**EVERYTHING)._replace(trail_stop=Decimal("98.5"), working_limit=Decimal("98.4"))
    assert written_and_read(order) == order


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_every_attribute_is_kept_by_itself(name: str) -> None:
    order = placed(**{name: EVERYTHING[name]})
    plain = placed()
    assert written_and_read(order) == order != plain
    assert len(dump_record(order)) == len(dump_record(plain)) + 1


def test_a_held_stop_of_a_file_that_does_not_name_stages() -> None:
    floor = Floor()
    floor.place(1, "SELL", 10, "STP", stop="90.00")
    [order] = floor.exchange.orders()
    data = dump_record(order)
    for name in ("stage", "sequence", "trail_stop", "working_limit"):
        del data[name]
    assert RecordReader(Universe()).record(data) == order._replace(sequence=0)


def test_an_account_that_has_traded_a_combination_can_be_opened_again(tmp_path: Path) -> None:
    clock = ManualClock(START)
    spread = Universe().combine(
        [Leg(instrument=AAPL, ratio=1, side=Side.BUY), Leg(instrument=MSFT, ratio=1, side=Side.SELL)]
    )
    with AccountStore(tmp_path) as store:
        exchange = open_exchange(store, cash=Decimal(100_000), clock=clock, universe=Universe())
        for quote in (
            market("99.99", "100.01"),
            market("49.99", "50.01", of=MSFT),
            market("49.90", "50.10", of=spread),
        ):
            exchange.on_quote(quote)
        ticket = replace(Floor().ticket(1, "BUY", 5, of=spread), account=exchange.account_id)
        assert len(fills(exchange.place(ticket))) == 3
        resting = replace(ticket, order_id=2, order_type=IBOrderType.LIMIT, limit_price=Decimal("40.00"))
        exchange.place(resting)
        store.save(exchange)
        known = exchange.executions(), exchange.orders(), exchange.figures().total_cash_value
    for _ in range(2):  # the second time from the compacted file
        with AccountStore(tmp_path) as store:
            again = open_exchange(store, cash=Decimal(100_000), clock=clock, universe=Universe())
            assert (again.executions(), again.orders(), again.figures().total_cash_value) == known
