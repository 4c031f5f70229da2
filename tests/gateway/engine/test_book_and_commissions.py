from decimal import Decimal

import pytest

from tests.gateway.engine.derivatives import CFD, CRYPTO, GERMAN, USDJPY, future, option
from tests.gateway.engine.trading import AAPL, EURUSD, market
from trademind.domain import Side
from trademind.gateway.engine.book import DEPTH, Book
from trademind.gateway.engine.commissions import FIXED, TIERED
from trademind.gateway.engine.model import Instrument

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
    assert FIXED.commission(AAPL, Decimal(quantity), Decimal(value)) == Decimal(due)


@pytest.mark.parametrize(("value", "due"), [("1000", "2.00"), ("100000", "2.00"), ("1000000", "20.00")])
def test_currencies(value: str, due: str) -> None:
    assert FIXED.commission(EURUSD, Decimal(1), Decimal(value)) == Decimal(due)


@pytest.mark.parametrize(
    ("quantity", "value", "least", "most"),
    [
        ("1000", "50000", "3.70", "6.70"),  # 3.50, 0.20 for clearing, a trifle passed on; 3.00 for taking
        ("10", "2000", "0.35", "0.38"),
    ],
)
def test_stocks_tiered(quantity: str, value: str, least: str, most: str) -> None:
    found = TIERED.bounds(AAPL, Decimal(quantity), Decimal(value))
    assert found == (Decimal(least), Decimal(most))
    assert TIERED.commission(AAPL, Decimal(quantity), Decimal(value)) == Decimal(most)


@pytest.mark.parametrize(
    ("instrument", "quantity", "price", "due"),
    [
        (option(), 1, "5", "1.00"),
        (option(), 10, "5", "6.50"),
        (option(), 10, "0.09", "5.00"),
        (option(), 10, "0.04", "2.50"),
        (future("ES", 50), 2, "5000", "4.50"),
        (future("MES"), 2, "5000", "1.24"),
        (CRYPTO, 1, "100", "1.00"),  # 1 % wins over the minimum
        (CRYPTO, 1, "900", "1.75"),
        (CRYPTO, 2, "50000", "180.00"),
        (CFD, 100, "110", "1.00"),
        (CFD, 1000, "110", "5.00"),
        (GERMAN, 10, "100", "3.00"),
        (GERMAN, 100, "100", "5.00"),
    ],
)
def test_other_instruments(instrument: Instrument, quantity: int, price: str, due: str) -> None:
    value = quantity * Decimal(price) * instrument.multiplier
    assert FIXED.commission(instrument, Decimal(quantity), value) == Decimal(due)


def test_the_minimum_of_a_pair_is_in_dollars() -> None:
    due = FIXED.commission(USDJPY, Decimal(1000), Decimal(150_000), base_rate=Decimal(1) / 150)
    assert due == Decimal("300.00")  # yen
