from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from math import exp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.domain import SecType, Side
from trademind.gateway.engine.instruments import Description, Universe
from trademind.gateway.engine.model import Instrument, Leg
from trademind.gateway.feeds.derived import DerivedFeed
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.feeds.valuation import RATE, expiry, years_left

UNIVERSE = Universe()
TODAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
FEED = DerivedFeed(SyntheticFeed(7))


@lru_cache
def all_of(sec_type: SecType, symbol: str, last_trade_date: str = "", right: str = "") -> list[Instrument]:
    wanted = Description(sec_type=sec_type, symbol=symbol, last_trade_date=last_trade_date, right=right)
    return list(UNIVERSE.find(wanted, TODAY))


def stock(symbol: str) -> Instrument:
    return all_of(SecType.STOCK, symbol)[0]


def chain(symbol: str, expiry: str = "20261218") -> list[tuple[Instrument, Instrument]]:
    """Calls and puts by strike."""
    calls = all_of(SecType.OPTION, symbol, expiry, "C")
    return list(zip(calls, all_of(SecType.OPTION, symbol, expiry, "P"), strict=True))


EXAMPLES = [
    *(option for pair in chain("AAPL")[::12] for option in pair),
    *(option for pair in chain("SPX", "20270115")[::150] for option in pair),
    *all_of(SecType.FUTURE, "ES")[:2],
    *all_of(SecType.FUTURE, "CL")[:2],
    *all_of(SecType.FUTURE, "EUR")[:1],
    *all_of(SecType.INDEX, "NDX"),
    *all_of(SecType.CFD, "AAPL"),
    *all_of(SecType.CONTINUOUS_FUTURE, "GC"),
]
MOMENTS = st.integers(0, 20 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))


@settings(deadline=None)
@given(st.sampled_from(EXAMPLES), MOMENTS)
def test_quotes_are_quotes(instrument: Instrument, at: datetime) -> None:
    quote = FEED.quote(instrument, at)
    assert quote.con_id == instrument.con_id
    assert 0 <= quote.bid <= quote.last <= quote.ask
    assert quote.bid < quote.ask
    assert quote.low <= min(quote.open, quote.last)
    assert quote.high >= max(quote.open, quote.last)
    assert (quote.bid_size > 0) is (quote.bid > 0)
    assert quote.ask_size > 0
    for price in (quote.bid, quote.ask, quote.last, quote.open, quote.high, quote.low, quote.close):
        assert price % instrument.min_tick == 0


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(EXAMPLES), MOMENTS, st.sampled_from(["1 min", "5 mins", "1 hour", "1 day"]))
def test_bars_and_quotes_are_of_one_market(instrument: Instrument, at: datetime, bar_size: str) -> None:
    bars = FEED.bars(instrument, start=at - timedelta(days=2), end=at, bar_size=bar_size)[-20:]
    assert bars
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close, bar.wap)
        assert bar.high >= max(bar.open, bar.close, bar.wap)
    if at <= (expiry(instrument) or at):
        assert bars[-1].close == FEED.quote(instrument, at).last


def test_what_has_a_market_of_its_own_keeps_it() -> None:
    source, apple = FEED.source, stock("AAPL")
    assert FEED.quote(apple, NOON) == source.quote(apple, NOON)
    week = NOON - timedelta(days=7)
    of_apple: dict[str, Any] = {"start": week, "end": NOON, "bar_size": "1 hour"}
    assert FEED.bars(apple, **of_apple) == source.bars(apple, **of_apple)
    assert FEED.head(apple) == source.head(apple)


# Options


@pytest.mark.parametrize(("symbol", "payout"), [("AAPL", 0.0), ("SPY", 0.013), ("SPX", 0.013)])
def test_calls_and_puts_are_in_parity_within_their_ticks(symbol: str, payout: float) -> None:
    for call, put in chain(symbol)[::9]:
        assert call.underlying is not None
        spot, years = float(FEED.quote(call.underlying, NOON).last), years_left(call, NOON)
        forward = spot * exp(-payout * years) - float(call.strike or 0) * exp(-RATE * years)
        tick = 0.1 if symbol == "SPX" else 0.05
        difference = FEED.quote(call, NOON).last - FEED.quote(put, NOON).last
        assert float(difference) == pytest.approx(forward, abs=1.01 * tick)


def test_prices_along_a_chain_leave_no_arbitrage() -> None:
    """Calls are worth less the higher the strike, and by less than the strikes differ; convexly so."""
    for symbol in ("AAPL", "SPX", "TSLA", "SPY"):
        options = [call for call, _ in chain(symbol, "20270115")]
        worth = [FEED.value(option, NOON).price for option in options]
        step = float(options[1].strike or 0) - float(options[0].strike or 0)
        falls = [before - after for before, after in pairwise(worth)]
        assert all(-1e-9 <= fall <= step for fall in falls), symbol
        assert all(after <= before + 1e-6 for before, after in pairwise(falls)), symbol


def test_longer_options_are_worth_more() -> None:
    strike = Decimal(145)
    values = [
        FEED.value(option, NOON).price
        for option in all_of(SecType.OPTION, "AAPL", right="C")
        if option.strike == strike
    ]
    assert values == sorted(values)
    assert len(values) > 10


def test_an_option_ends_at_what_it_can_be_exercised_for() -> None:
    end = datetime(2026, 12, 18, 21, 0, tzinfo=UTC)
    spot = FEED.quote(stock("AAPL"), end).last
    for call, put in chain("AAPL"):
        assert call.strike is not None
        last = [FEED.quote(option, end + timedelta(days=3)).last for option in (call, put)]
        assert abs(last[0] - max(Decimal(0), spot - call.strike)) < Decimal("0.05")
        assert abs(last[1] - max(Decimal(0), call.strike - spot)) < Decimal("0.05")
        assert (
            FEED.bars(call, start=end + timedelta(days=1), end=end + timedelta(days=2), bar_size="1 hour")
            == []
        )


def test_an_option_at_another_price_of_its_underlying() -> None:
    call, put = chain("AAPL")[10]
    up, down = (FEED.value(call, NOON, spot=Decimal(spot)) for spot in (160, 120))
    assert up.price > down.price
    assert 0 <= down.greeks.delta <= up.greeks.delta <= 1
    assert FEED.value(put, NOON, spot=Decimal(160)).greeks.delta <= 0
    assert up.present_dividend == 0


# Futures


def test_futures_and_what_they_are_about_meet_at_expiry() -> None:
    for symbol in ("ES", "CL", "GC", "EUR"):
        future = all_of(SecType.FUTURE, symbol)[0]
        assert future.underlying is not None
        end = expiry(future)
        assert end is not None
        distance = [
            abs(FEED.quote(future, at).last - FEED.quote(future.underlying, at).last)
            / FEED.quote(future.underlying, at).last
            for at in (end - timedelta(days=60), end - timedelta(days=5), end)
        ]
        assert distance[0] > distance[1] > distance[2], symbol
        assert distance[2] < Decimal("0.0005")


def test_the_sizes_of_one_index_have_one_price() -> None:
    big, small = (FEED.quote(all_of(SecType.FUTURE, symbol)[0], NOON) for symbol in ("ES", "MES"))
    assert (big.bid, big.ask, big.last) == (small.bid, small.ask, small.last)
    spy = FEED.quote(stock("SPY"), NOON)
    assert FEED.quote(all_of(SecType.INDEX, "SPX")[0], NOON).last == spy.last * 10


def test_what_trades_has_a_volume_that_grows() -> None:
    for future in (all_of(SecType.FUTURE, symbol)[0] for symbol in ("ES", "CL", "EUR")):
        early, late = (FEED.quote(future, NOON + timedelta(hours=hours)).volume for hours in (0, 2))
        assert 0 < early < late
        bars = FEED.bars(future, start=NOON - timedelta(hours=2), end=NOON, bar_size="1 hour")
        assert all(bar.volume > 0 for bar in bars)
    assert FEED.quote(all_of(SecType.INDEX, "SPX")[0], NOON).volume == 0


# Combinations


def test_a_combination_is_the_sum_of_its_legs() -> None:
    (low, _), (high, _) = chain("AAPL")[10:12]
    legs = [Leg(instrument=low, ratio=1, side=Side.BUY), Leg(instrument=high, ratio=2, side=Side.SELL)]
    spread = UNIVERSE.combine(legs)
    bought, sold, quote = (FEED.quote(each, NOON) for each in (low, high, spread))
    assert quote.bid == bought.bid - 2 * sold.ask
    assert quote.ask == bought.ask - 2 * sold.bid
    assert quote.last == bought.last - 2 * sold.last
    assert quote.bid <= quote.last <= quote.ask
    assert quote.bid < 0, "what is sold is worth more"
    assert quote.ask_size == min(bought.ask_size, sold.bid_size // 2)
    bars = FEED.bars(spread, start=NOON - timedelta(hours=3), end=NOON, bar_size="1 hour")
    assert bars[-1].close == quote.last


def test_shares_and_an_option_on_them_are_priced_by_the_share() -> None:
    call, _ = chain("AAPL")[10]
    legs = [
        Leg(instrument=stock("AAPL"), ratio=100, side=Side.BUY),
        Leg(instrument=call, ratio=1, side=Side.SELL),
    ]
    covered = UNIVERSE.combine(legs)
    share, option = FEED.quote(stock("AAPL"), NOON), FEED.quote(call, NOON)
    assert FEED.quote(covered, NOON).last == share.last - option.last
    assert covered.multiplier == 100
