"""IB's sentinels and floats stop at the converters."""

import math
from datetime import date
from decimal import Decimal

import ib_async
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.brokers.ibkr import convert
from trademind.domain import Contract, DataSource, OrderRequest, SecType


@pytest.mark.parametrize("nothing", [None, "", "nan", math.nan, math.inf, 1.7976931348623157e308, "x"])
def test_every_way_ib_says_none_is_none(nothing: float | str | None) -> None:
    assert convert.decimal_or_none(nothing) is None


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=5))
def test_a_decimal_survives_ibs_float(number: Decimal) -> None:
    assert convert.decimal_or_none(float(number)) == number


@given(st.decimals(min_value=Decimal("0.00000001"), max_value=10**8, places=8))
def test_numbers_reach_the_wire_in_plain_digits(price: Decimal) -> None:
    """ib-facts 23: floats would go out as 1e-05."""
    text = convert.on_wire(price)
    assert "e" not in text.lower()
    assert Decimal(text) == price


def test_an_order_is_written_exactly() -> None:
    request = OrderRequest(side="BUY", quantity="10", symbol="X", order_type="LMT", limit_price="0.00001")  # type: ignore[arg-type]
    order = convert.to_ib_order(request, account="DU1", order_ref="k")
    assert (str(order.totalQuantity), str(order.lmtPrice), order.orderRef) == ("10", "0.00001", "k")


@pytest.mark.parametrize(
    ("account", "port", "source"),
    [
        ("DUTM000001", 7497, DataSource.PAPER),
        ("DU1234567", 4002, DataSource.IB_PAPER),
        ("U1234567", 4002, DataSource.IB_LIVE),
        ("DU1234567", 4001, DataSource.IB_LIVE),
        ("DU1234567", 7496, DataSource.IB_LIVE),
    ],
)
def test_an_account_is_live_by_its_name_or_its_port(account: str, port: int, source: DataSource) -> None:
    assert convert.source_of(account, port) is source


def test_a_quote_without_prices_is_unknown_not_minus_one() -> None:
    ticker = ib_async.Ticker()
    ticker.bid, ticker.ask, ticker.last = -1, math.nan, 10.5
    contract = Contract(con_id=1, symbol="A", sec_type=SecType.STOCK, exchange="SMART", currency="USD")
    from trademind.clock import SystemClock

    quote = convert.to_quote(contract, ticker, as_of=SystemClock().now(), stale=False)
    assert (quote.bid, quote.ask, quote.last, quote.volume) == (None, None, 10.5, None)


def test_a_bar_without_volume_says_so() -> None:
    bar = convert.to_bar(
        ib_async.BarData(date(2026, 1, 2), 1.0, 2.0, 0.5, 1.5, volume=-1, average=-1, barCount=-1)
    )
    assert (bar.volume, bar.wap, bar.count) == (None, None, None)
    assert bar.time.isoformat() == "2026-01-02T00:00:00+00:00"


def test_a_security_type_of_the_future_does_not_break_a_position() -> None:
    assert convert.to_contract(ib_async.Contract(secType="MOON")).sec_type is SecType.OTHER
