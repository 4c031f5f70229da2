from decimal import Decimal

import pytest

from tests.gateway.engine.trading import market
from trademind.domain import SecType, Side
from trademind.gateway.engine.book import DEPTH, Book
from trademind.gateway.engine.commissions import order_commission

CENT = Decimal("0.01")


def test_an_order_walks_the_levels() -> None:
    book = Book(market("99.99", "100.01", size=100), CENT)
    assert book.take(Side.BUY, Decimal(350), None) == [
        (Decimal("100.01"), Decimal(100)),
        (Decimal("100.02"), Decimal(200)),
        (Decimal("100.03"), Decimal(50)),
    ]
    assert book.take(Side.SELL, Decimal(150), None) == [
        (Decimal("99.99"), Decimal(100)),
        (Decimal("99.98"), Decimal(50)),
    ]


def test_what_is_taken_is_gone() -> None:
    book = Book(market("99.99", "100.01", size=100), CENT)
    assert book.take(Side.BUY, Decimal(60), None) == [(Decimal("100.01"), Decimal(60))]
    assert book.take(Side.BUY, Decimal(60), None) == [
        (Decimal("100.01"), Decimal(40)),
        (Decimal("100.02"), Decimal(20)),
    ]
    taken = book.take(Side.BUY, Decimal(10**9), None)
    assert sum(part for _, part in taken) == 100 * sum(DEPTH) - 120
    assert book.take(Side.BUY, Decimal(1), None) == []


def test_a_limit_ends_the_walk() -> None:
    book = Book(market("99.99", "100.01", size=100), CENT)
    assert book.take(Side.BUY, Decimal(1000), Decimal("100.02"))[-1][0] == Decimal("100.02")
    assert book.take(Side.BUY, Decimal(1000), Decimal("100.00")) == []
    assert book.take(Side.SELL, Decimal(1000), Decimal("99.98"))[-1][0] == Decimal("99.98")
    assert book.take(Side.SELL, Decimal(1), Decimal("100.00")) == []


def test_no_bid_is_zero_or_less() -> None:
    book = Book(market("0.02", "0.03", size=100), CENT)
    assert [price for price, _ in book.take(Side.SELL, Decimal(10**9), None)] == [
        Decimal("0.02"),
        Decimal("0.01"),
    ]


@pytest.mark.parametrize(
    ("quantity", "value", "due"),
    [
        ("1", "230", "1.00"),  # the minimum
        ("200", "20000", "1.00"),
        ("201", "20100", "1.01"),  # 1.005, rounded half up
        ("1000", "100000", "5.00"),
        ("10", "20", "0.20"),  # the maximum wins over the minimum
        ("10000", "2000", "20.00"),  # 1 % of a cheap share
        ("1", "0.10", "0.00"),
    ],
)
def test_stocks_fixed(quantity: str, value: str, due: str) -> None:
    assert order_commission(SecType.STOCK, Decimal(quantity), Decimal(value)) == Decimal(due)


@pytest.mark.parametrize(("value", "due"), [("1000", "2.00"), ("100000", "2.00"), ("1000000", "20.00")])
def test_currencies(value: str, due: str) -> None:
    assert order_commission(SecType.CASH, Decimal(1), Decimal(value)) == Decimal(due)
