"""What happened to an order, by name."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.api.memory import NOW, make_order
from trademind.domain import Notice, Order, OrderStatus
from trademind.trading.naming import name_of

NEW = make_order(1, status=OrderStatus.PENDING_SUBMIT)
WORKING = make_order(1)
UNKNOWN = make_order(1, status=OrderStatus.UNKNOWN)
PARTLY = make_order(1, filled_quantity=Decimal(2), status=OrderStatus.PARTIALLY_FILLED)
NOTED = make_order(1, notices=(Notice(time=NOW, ib_code=399, message=""),))


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (None, NEW, "new"),
        (NEW, WORKING, "accepted"),
        (WORKING, replace(WORKING, limit_price=Decimal(2)), "replaced"),
        (WORKING, replace(WORKING, quantity=Decimal(2)), "replaced"),
        (WORKING, PARTLY, "partial_fill"),
        (PARTLY, replace(PARTLY, filled_quantity=Decimal(3)), "partial_fill"),
        (WORKING, replace(WORKING, status=OrderStatus.FILLED), "fill"),
        (WORKING, replace(WORKING, status=OrderStatus.PENDING_CANCEL), "pending_cancel"),
        (WORKING, replace(WORKING, status=OrderStatus.CANCELED), "canceled"),
        (WORKING, UNKNOWN, "unknown"),
        (UNKNOWN, WORKING, "reconciled"),
        (UNKNOWN, replace(UNKNOWN, status=OrderStatus.NEVER_SENT), "reconciled"),
        (WORKING, replace(WORKING, commission=Decimal(1)), "updated"),
        (WORKING, NOTED, "updated"),
    ],
)
def test_names(before: Order | None, after: Order, name: str) -> None:
    assert name_of(before, after) == name
