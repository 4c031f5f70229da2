"""What each limit lets pass and what not, reckoned from facts alone."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.making_risk import (
    AAPL,
    HALTED,
    MSFT,
    NORMAL,
    NOW,
    REDUCING,
    buy,
    contract,
    details,
    facts,
    held,
    limits,
    quote,
    sell,
    working,
)
from trademind.domain import SecType, TradingState
from trademind.errors import RiskLimitExceeded, TradingHalted
from trademind.trading.exposure import Candidate, Facts
from trademind.trading.limits import check

FUTURE = contract("ES", sec_type=SecType.FUTURE, exchange="CME", multiplier="50")
EUROPEAN = contract("SAP", currency="EUR")
BARE = contract("CL", sec_type=SecType.FUTURE)
STALE = {AAPL.con_id: quote(stale=True)}
LAST = {AAPL.con_id: quote(bid=None, ask=None, last=100.0)}
CLOSE = {AAPL.con_id: quote(bid=None, ask=None, close=100.0)}


def refused_by(order: Candidate, given: Facts, state: TradingState = NORMAL, **terms: Any) -> str | None:
    """Which limit refuses an order; None where it passes."""
    try:
        check([order], limits(**terms), state, given)
    except RiskLimitExceeded as error:
        return str(error.extra["limit"])
    return None


ORDERS: list[tuple[str, Any, Candidate, dict[str, Any], bool]] = [
    ("max_order_quantity", 10, buy(10), {}, True),
    ("max_order_quantity", 10, buy(11), {}, False),
    ("max_order_quantity", 10, sell(11), {"positions": (held(50),)}, False),
    # A buyer's limit is what it can cost; at the market it is the ask, and a seller's the bid.
    ("max_order_notional", 1000, buy(10, limit_price=100), {}, True),
    ("max_order_notional", 1000, buy(10, limit_price="100.01"), {}, False),
    ("max_order_notional", 1000, buy(10), {}, False),
    ("max_order_notional", 1010, buy(10), {}, True),
    ("max_order_notional", 990, sell(10), {}, True),
    ("max_order_notional", 989, sell(10), {}, False),
    # A seller's limit below the market, and a buyer's stop, fill at the market.
    ("max_order_notional", 900, sell(10, limit_price=1), {}, False),
    ("max_order_notional", 1200, sell(10, limit_price=120), {}, True),
    ("max_order_notional", 900, buy(10, stop_price=1), {}, False),
    ("max_order_notional", 900, sell(10, stop_price=90), {}, True),
    ("max_order_notional", 1000, buy(10), {"quotes": LAST}, True),
    ("max_order_notional", 1000, buy(10), {"quotes": CLOSE}, True),
    ("max_order_notional", 1000, buy(1), {"quotes": {}}, False),
    ("max_order_notional", 1000, buy(1), {"quotes": STALE}, False),
    ("max_order_notional", 1000, buy(1, limit_price=1), {"quotes": {}}, True),
    ("max_order_notional", 1000, buy(1, limit_price=1), {"currency": ""}, False),
    ("max_order_notional", 1000, buy(1, EUROPEAN, limit_price=1), {}, False),
    ("max_order_notional", 5000, buy(1, FUTURE, limit_price=100), {}, True),
    ("max_order_notional", 5000, buy(1, FUTURE, limit_price=101), {}, False),
    ("max_order_notional", 5000, buy(1, BARE, limit_price=1), {}, False),
    # Held and everything working on the order's side, and nothing of the other side.
    ("max_position_quantity", 10, buy(10), {}, True),
    ("max_position_quantity", 10, buy(11), {}, False),
    ("max_position_quantity", 10, sell(11), {}, False),
    ("max_position_quantity", 10, buy(6), {"positions": (held(5),)}, False),
    ("max_position_quantity", 10, buy(6), {"positions": (held(5, MSFT),)}, True),
    ("max_position_quantity", 10, buy(6), {"lines": (working("BUY", 5),)}, False),
    ("max_position_quantity", 10, buy(6), {"positions": (held(5),), "lines": (working("SELL", 5),)}, False),
    ("max_position_quantity", 10, sell(6), {"positions": (held(-5),)}, False),
    # What only shrinks passes however large the position is; what turns it round counts with the rest.
    ("max_position_quantity", 10, sell(50), {"positions": (held(50),)}, True),
    ("max_position_quantity", 10, sell(60), {"positions": (held(50),)}, True),
    ("max_position_quantity", 10, sell(61), {"positions": (held(50),)}, False),
    ("max_position_quantity", 9, sell(3), {"positions": (held(5),), "lines": (working("SELL", 12),)}, False),
    # An order of before this process of which only the symbol is known yet.
    ("max_position_quantity", 10, buy(6), {"lines": (working("BUY", 5, replace(AAPL, con_id=0)),)}, False),
    ("max_position_notional", 1000, buy(10, limit_price=90), {}, True),
    ("max_position_notional", 999, buy(10, limit_price=90), {}, False),
    ("max_position_notional", 1000, buy(10, limit_price=101), {}, False),
    ("max_position_notional", 1000, buy(10, limit_price=90), {"quotes": {}}, True),
    ("max_position_notional", 1000, buy(1), {"quotes": {}}, False),
    ("max_position_notional", 1000, buy(1, EUROPEAN, limit_price=1), {}, False),
    ("max_position_notional", 1, sell(50), {"positions": (held(50),), "quotes": {}}, True),
    # Long and short count alike, at the worst case of each contract.
    ("max_gross_exposure", 2000, buy(10, limit_price=100), {"positions": (held(-10, MSFT),)}, True),
    ("max_gross_exposure", 1999, buy(10, limit_price=100), {"positions": (held(-10, MSFT),)}, False),
    ("max_gross_exposure", 1999, buy(10, limit_price=100), {"lines": (working("SELL", 10, MSFT),)}, False),
    ("max_gross_exposure", 9999, buy(10, limit_price=100), {"positions": (held(1, MSFT, None),)}, False),
    ("max_gross_exposure", 9999, buy(10, limit_price=100), {"positions": (held(1, EUROPEAN),)}, False),
    ("max_gross_exposure", 1, sell(9), {"positions": (held(9),), "lines": (working("SELL", 9, MSFT),)}, True),
    ("max_open_orders", 3, buy(), {"open_orders": 2}, True),
    ("max_open_orders", 3, buy(), {"open_orders": 3}, False),
    ("max_open_orders", 3, sell(10), {"open_orders": 3, "positions": (held(10),)}, False),
    ("max_orders_per_minute", 3, buy(), {"recent_orders": 2}, True),
    ("max_orders_per_minute", 3, buy(), {"recent_orders": 3}, False),
    ("max_daily_loss", 100, buy(), {"daily_pnl": Decimal("-99.99")}, True),
    ("max_daily_loss", 100, buy(), {"daily_pnl": Decimal(-100)}, False),
    ("max_daily_loss", 100, buy(), {"daily_pnl": None}, False),
    ("max_daily_loss", 100, sell(10), {"daily_pnl": Decimal(-100), "positions": (held(10),)}, True),
    # Around a middle of 100: 95 to 105.
    ("price_collar", "0.05", buy(limit_price=105), {}, True),
    ("price_collar", "0.05", buy(limit_price="105.01"), {}, False),
    ("price_collar", "0.05", buy(limit_price=1), {}, True),
    ("price_collar", "0.05", sell(limit_price=95), {}, True),
    ("price_collar", "0.05", sell(limit_price="94.99"), {}, False),
    ("price_collar", "0.05", sell(limit_price=1000), {}, True),
    ("price_collar", "0.05", sell(10, limit_price=1), {"positions": (held(10),)}, False),
    ("price_collar", "0.05", buy(stop_price=105), {}, True),
    ("price_collar", "0.05", buy(stop_price=106), {}, False),
    ("price_collar", "0.05", buy(stop_price=94), {}, False),
    ("price_collar", "0.05", sell(stop_price=94), {}, False),
    ("price_collar", "0.05", sell(stop_price=106), {}, False),
    ("price_collar", "0.05", sell(stop_price=96, limit_price=94), {}, False),
    ("price_collar", "0.05", buy(), {"quotes": {}}, True),
    ("price_collar", "0.05", buy(limit_price=100), {"quotes": {}}, False),
    ("price_collar", "0.05", buy(limit_price=100), {"quotes": STALE}, False),
    ("price_collar", "0.05", buy(limit_price=106), {"quotes": LAST}, False),
    ("price_collar", "0.05", buy(limit_price=100), {"quotes": CLOSE}, False),
    ("allowed_symbols", ["AAPL"], buy(), {}, True),
    ("allowed_symbols", ["AAPL"], buy(10, MSFT), {}, False),
    ("denied_symbols", ["AAPL"], buy(10, MSFT), {}, True),
    ("denied_symbols", ["AAPL"], sell(10), {"positions": (held(10),)}, False),
    ("trading_hours", "regular", buy(), {}, True),
    ("trading_hours", "regular", buy(outside_rth=True), {}, False),
    ("trading_hours", "regular", buy(), {"now": NOW.replace(hour=21)}, False),
    ("trading_hours", "extended", buy(outside_rth=True), {"now": NOW.replace(hour=21)}, True),
    ("trading_hours", "extended", buy(), {"now": NOW.replace(hour=7)}, False),
    ("trading_hours", "regular", buy(), {"now": NOW.replace(day=16)}, False),
    ("trading_hours", "regular", buy(known=details(time_zone="")), {}, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "order", "given", "expected"), ORDERS)
def test_a_limit(name: str, value: Any, order: Candidate, given: dict[str, Any], expected: bool) -> None:
    assert refused_by(order, facts(**given), **{name: value}) == (None if expected else name)


@pytest.mark.parametrize(
    ("order", "given", "expected"),
    [
        (buy(), {}, False),
        (sell(), {}, False),
        (sell(10), {"positions": (held(10),)}, True),
        (sell(11), {"positions": (held(10),)}, False),
        (sell(6), {"positions": (held(10),), "lines": (working("SELL", 5),)}, False),
        (buy(10), {"positions": (held(-10),)}, True),
        (buy(1), {"positions": (held(10),), "lines": (working("SELL", 10),)}, False),
    ],
)
def test_where_positions_may_only_shrink(order: Candidate, given: dict[str, Any], expected: bool) -> None:
    assert refused_by(order, facts(**given), REDUCING) == (None if expected else "mode")


def test_a_refusal_says_what_and_how_much() -> None:
    with pytest.raises(RiskLimitExceeded) as refused:
        check([buy(11)], limits(max_order_quantity=10), NORMAL, facts())
    assert refused.value.extra == {"limit": "max_order_quantity", "allowed": "10", "would_be": "11"}
    with pytest.raises(RiskLimitExceeded) as refused:
        check([buy(1)], limits(max_order_notional=10), NORMAL, facts(quotes={}))
    assert refused.value.extra["would_be"] is None
    assert "a quote of AAPL" in refused.value.detail
    with pytest.raises(RiskLimitExceeded) as refused:
        check([buy(1)], limits(max_orders_per_minute=1), NORMAL, facts(recent_orders=1, free_in=12.5))
    assert refused.value.retry_after == 13


def test_nothing_passes_while_trading_is_halted() -> None:
    with pytest.raises(TradingHalted, match="something is odd"):
        check([sell(10)], limits(), HALTED, facts(positions=(held(10),)))


def test_orders_that_are_placed_together_count_for_each_other() -> None:
    assert check([buy(5), buy(5)], limits(max_position_quantity=10), NORMAL, facts()) is False
    with pytest.raises(RiskLimitExceeded):
        check([buy(5), buy(6)], limits(max_position_quantity=10), NORMAL, facts())
    with pytest.raises(RiskLimitExceeded):
        check([buy(1), buy(1)], limits(max_open_orders=1), NORMAL, facts())


def test_what_is_attached_to_an_order_closes_what_that_opens() -> None:
    exits = [sell(10, limit_price=120), sell(10, stop_price=96)]
    strict = limits(max_position_quantity=10, max_open_orders=3)
    check([buy(10)], strict, NORMAL, facts(), exits=exits)
    with pytest.raises(RiskLimitExceeded):  # as orders of their own they would sell twenty
        check([buy(10), *exits], strict, NORMAL, facts())
    with pytest.raises(RiskLimitExceeded):  # one that is larger than what it closes
        check([buy(10)], strict, NORMAL, facts(), exits=[sell(11)])
    with pytest.raises(RiskLimitExceeded):
        check([buy(10)], limits(max_open_orders=2), NORMAL, facts(), exits=exits)
    with pytest.raises(RiskLimitExceeded):
        check([buy(10)], limits(price_collar="0.03"), NORMAL, facts(), exits=exits)
    with pytest.raises(RiskLimitExceeded):  # it would open again what its entry closes
        check([sell(10)], limits(), REDUCING, facts(positions=(held(10),)), exits=[buy(10)])
