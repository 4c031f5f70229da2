"""What it takes to reach a position, from what is held and what is on its way."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.journal.making import AAPL, an_order
from trademind.domain import Order, OrderStatus, Position, Side, Standing, Target
from trademind.errors import Conflict, Invalid

MSFT = replace(AAPL, con_id=272093, symbol="MSFT")


def held(quantity: int, contract: Any = AAPL) -> Position:
    return Position(
        account_id="DU1",
        contract=contract,
        quantity=Decimal(quantity),
        avg_cost=None,
        market_price=None,
        market_value=None,
        unrealized_pnl=None,
        realized_pnl=None,
    )


def working(side: str, remaining: int, number: int = 1, **changes: Any) -> Order:
    quantity = Decimal(remaining)
    return an_order(
        f"key{number}", number, side=Side(side), quantity=quantity, remaining_quantity=quantity, **changes
    )


def missing(target: int, positions: list[Position], orders: list[Order]) -> Decimal:
    order = Target.of(target, symbol="AAPL").order_from(Standing.of(AAPL, positions, orders))
    return Decimal(0) if order is None else order.side.sign * order.quantity


@pytest.mark.parametrize(
    ("target", "positions", "orders", "expected"),
    [
        (100, [], [], 100),
        (100, [held(100)], [], 0),
        (0, [held(30)], [], -30),
        (-50, [held(30)], [], -80),
        (100, [held(40)], [working("BUY", 60)], 0),
        (100, [held(40)], [working("BUY", 20)], 40),
        (100, [held(70, MSFT)], [], 100),
        (0, [held(100)], [working("SELL", 100, order_type="STP")], -100),
        (0, [held(100)], [working("SELL", 100, parent_id="entry")], -100),
        (0, [held(100)], [working("SELL", 100, oca_group="g"), working("SELL", 100, 2, oca_group="g")], -100),
        (100, [held(40)], [working("BUY", 60, status=OrderStatus.CANCELED)], 60),
        (100, [held(40)], [working("BUY", 60, status=OrderStatus.UNKNOWN)], 60),
    ],
)
def test_what_is_missing(target: int, positions: list[Position], orders: list[Order], expected: int) -> None:
    assert missing(target, positions, orders) == expected


def test_an_order_of_unknown_outcome_makes_the_answer_unknown() -> None:
    with pytest.raises(Conflict, match="key1"):
        missing(100, [], [working("BUY", 100, status=OrderStatus.UNKNOWN, perm_id=None)])


def test_an_order_that_leads_beyond_the_target_is_in_the_way() -> None:
    with pytest.raises(Conflict, match="key1"):
        missing(0, [], [working("BUY", 100)])


@given(
    st.integers(-500, 500),
    st.integers(-500, 500),
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 200)), max_size=4),
)
def test_when_all_has_filled_the_target_is_held(
    target: int, position: int, orders: list[tuple[str, int]]
) -> None:
    under_way = [working(side, quantity, number) for number, (side, quantity) in enumerate(orders)]
    try:
        order = missing(target, [held(position)], under_way)
    except Conflict:
        return
    assert position + sum(o.side.sign * o.remaining_quantity for o in under_way) + order == target
    # And no order goes the other way than the one that is placed.
    assert all(o.side.sign * order >= 0 for o in under_way)


@pytest.mark.parametrize(
    ("quantity", "terms", "field"),
    [
        ("ten", {}, "target_quantity"),
        (10**9, {}, "target_quantity"),
        (1, {"order_type": "LMT"}, "limit_price"),
        (1, {"client_order_id": "ib-1"}, "client_order_id"),
    ],
)
def test_what_is_wrong_is_named(quantity: Any, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as failure:
        Target.of(quantity, **({"symbol": "AAPL"} | terms))
    assert field in {name for name, _ in failure.value.errors}
