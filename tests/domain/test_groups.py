"""Groups of orders: what a bracket is made of, and what contradicts itself."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from trademind.domain import OrderClass, OrderGroup, OrderRequest, OrderType, Side, StopLoss, bracket
from trademind.errors import Invalid
from trademind.journal.records import ORDER_GROUP, fingerprint


def entry(**terms: Any) -> OrderRequest:
    sound: dict[str, Any] = {"side": "BUY", "quantity": 10, "symbol": "AAPL"}
    return OrderRequest(**(sound | terms))


def test_a_bracket_is_an_entry_and_two_exits_of_the_other_side() -> None:
    group = bracket(
        entry(order_type="LMT", limit_price=100, client_order_id="key", tif="GTC"),
        take_profit=Decimal(110),
        stop_loss=StopLoss(stop_price=Decimal(95)),
    ).with_key("key")

    first, profit, loss = group.legs
    assert (first.client_order_id, first.side, first.limit_price) == ("key", Side.BUY, Decimal(100))
    assert (profit.client_order_id, profit.side, profit.order_type) == ("key:tp", Side.SELL, OrderType.LIMIT)
    assert (loss.client_order_id, loss.side, loss.order_type) == ("key:sl", Side.SELL, OrderType.STOP)
    assert (profit.limit_price, profit.stop_price) == (Decimal(110), None)
    assert (loss.limit_price, loss.stop_price) == (None, Decimal(95))
    assert {leg.quantity for leg in group.legs} == {10}
    assert {leg.tif for leg in group.legs} == {"GTC"}


@pytest.mark.parametrize(
    ("stop_loss", "order_type"),
    [
        (StopLoss(stop_price=Decimal(95)), OrderType.STOP),
        (StopLoss(stop_price=Decimal(95), limit_price=Decimal(94)), OrderType.STOP_LIMIT),
        (StopLoss(trailing_amount=Decimal(3)), OrderType.TRAIL),
        (StopLoss(trailing_percent=Decimal(3)), OrderType.TRAIL),
    ],
)
def test_a_loss_is_ended_by_any_kind_of_stop(stop_loss: StopLoss, order_type: OrderType) -> None:
    group = bracket(entry(), stop_loss=stop_loss).with_key("key")
    assert [leg.order_type for leg in group.legs] == [OrderType.MARKET, order_type]
    assert group.keys == ("key", "key:sl")


@pytest.mark.parametrize(
    ("terms", "exits", "field"),
    [
        ({}, {}, "take_profit"),
        ({"order_type": "LMT", "limit_price": 100}, {"take_profit": 99}, "take_profit.limit_price"),
        ({"order_type": "LMT", "limit_price": 100}, {"stop_loss": 101}, "stop_loss.stop_price"),
        ({"order_type": "STP", "stop_price": 100}, {"take_profit": 100}, "take_profit.limit_price"),
        ({"side": "SELL"}, {"take_profit": 110, "stop_loss": 100}, "stop_loss.stop_price"),
        ({}, {"take_profit": 100, "stop_loss": 110}, "stop_loss.stop_price"),
        ({}, {"take_profit": -1}, "take_profit.limit_price"),
        ({"tif": "GTD", "good_till": datetime(2030, 1, 1, tzinfo=UTC)}, {"take_profit": 1}, "exit_tif"),
        ({"client_order_id": "x" * 37}, {"take_profit": 1}, "client_order_id"),
    ],
)
def test_exits_that_contradict_the_entry_are_named(
    terms: dict[str, Any], exits: dict[str, int], field: str
) -> None:
    profit, loss = exits.get("take_profit"), exits.get("stop_loss")
    with pytest.raises(Invalid) as failure:
        bracket(
            entry(**terms),
            take_profit=None if profit is None else Decimal(profit),
            stop_loss=None if loss is None else StopLoss(stop_price=Decimal(loss)),
        )
    assert field in {name for name, _ in failure.value.errors}


def test_exits_of_an_entry_that_works_only_at_once_outlive_it() -> None:
    group = bracket(entry(tif="IOC"), take_profit=Decimal(1000))
    assert [leg.tif for leg in group.legs] == ["IOC", "GTC"]


def test_the_orders_of_an_oca_group_are_numbered_and_name_it() -> None:
    group = OrderGroup(order_class=OrderClass.OCA, legs=(entry(), entry(side="SELL"))).with_key("key")
    assert group.keys == ("key", "key:2")
    assert [relation["oca_group"] for relation in group.relations] == ["key", "key"]
    assert [relation["parent_id"] for relation in group.relations] == [None, None]


@pytest.mark.parametrize("count", [1, 11])
def test_a_group_has_a_bounded_number_of_orders(count: int) -> None:
    with pytest.raises(Invalid):
        OrderGroup(order_class=OrderClass.OCA, legs=(entry(),) * count)


def test_a_group_is_written_and_read_as_it_was_and_its_fingerprint_leaves_out_the_keys() -> None:
    group = bracket(entry(), take_profit=Decimal("110.00")).with_key("one")
    assert ORDER_GROUP.load(ORDER_GROUP.dump(group)) == group
    same = bracket(entry(), take_profit=Decimal(110)).with_key("another")
    assert fingerprint(group) == fingerprint(same)
    assert fingerprint(group) != fingerprint(bracket(entry(), take_profit=Decimal(111)).with_key("one"))
