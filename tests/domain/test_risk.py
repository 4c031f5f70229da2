"""What risk limits refuse, field by field, and what they make exact."""

from decimal import Decimal
from typing import Any

import pytest

from trademind.domain import RiskLimits, TradingHours
from trademind.errors import Invalid


def test_nothing_is_limited_by_itself() -> None:
    assert not RiskLimits().any_set
    assert not RiskLimits(denied_symbols=[], max_order_quantity=None).any_set  # type: ignore[arg-type]
    assert RiskLimits(denied_symbols=("GME",)).any_set


def test_numbers_and_names_become_exact_types() -> None:
    given: dict[str, Any] = {
        "max_order_quantity": 500,
        "price_collar": 0.05,
        "max_open_orders": "20",
        "allowed_symbols": [" aapl", "MSFT", "AAPL"],
        "trading_hours": "Regular",
    }
    limits = RiskLimits(**given)
    assert (limits.max_order_quantity, limits.price_collar) == (Decimal(500), Decimal("0.05"))
    assert limits.max_open_orders == 20
    assert limits.allowed_symbols == ("AAPL", "MSFT")
    assert limits.trading_hours is TradingHours.REGULAR


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_order_quantity", 0),
        ("max_order_quantity", -1),
        ("max_order_notional", "NaN"),
        ("max_order_notional", "1e30"),
        ("max_gross_exposure", True),
        ("max_daily_loss", "much"),
        ("max_open_orders", "1.5"),
        ("max_orders_per_minute", 0),
        ("price_collar", 0),
        ("price_collar", 5),
        ("allowed_symbols", []),
        ("allowed_symbols", "AAPL"),
        ("denied_symbols", [""]),
        ("denied_symbols", ["Ä"]),
        ("denied_symbols", [1]),
        ("denied_symbols", ["A"] * 3 + [f"S{number}" for number in range(1000)]),
        ("trading_hours", "sometimes"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as failure:
        RiskLimits(**{field: value})
    assert [name for name, _ in failure.value.errors] == [field]


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(Invalid) as failure:
        RiskLimits(max_order_quantity=Decimal(0), price_collar=Decimal(7))
    assert {name for name, _ in failure.value.errors} == {"max_order_quantity", "price_collar"}
