from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.engine.trading import AAPL, UNIVERSE
from trademind.domain import SecType
from trademind.gateway.engine.derivatives import FIRST_COMBO, FIRST_CON_ID
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.increments import MARKET_RULES, increment_at
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.listings import FUTURES, OPTION_UNDERLYINGS
from trademind.gateway.engine.model import Instrument

MONDAY = date(2026, 11, 23)
DAYS = st.dates(date(2001, 1, 1), date(2036, 1, 1))


def find(sec_type: SecType, today: date = MONDAY, **what: Any) -> list[Instrument]:
    return list(UNIVERSE.find(Description(sec_type=sec_type, **what), today))


def option(**what: Any) -> list[Instrument]:
    return find(SecType.OPTION, **what)


# Options


def test_one_option_by_everything_that_names_it() -> None:
    (found,) = option(symbol="AAPL", last_trade_date="20261218", strike=Decimal(230), right="C")
    assert found.local_symbol == "AAPL  261218C00230000"
    assert (int(found.multiplier), found.exchange, found.currency) == (100, "SMART", "USD")
    assert found.underlying is AAPL
    assert option(local_symbol="AAPL  261218C00230000") == [found]
    assert option(symbol="AAPL", last_trade_date="20261218", strike=Decimal(230), right="CALL") == [found]
    assert UNIVERSE.by_con_id(found.con_id) == found


def test_parts_of_a_chain() -> None:
    both = option(symbol="AAPL", last_trade_date="20261218", strike=Decimal(230))
    assert [each.right for each in both] == ["C", "P"]
    expiry = option(symbol="AAPL", last_trade_date="20261218")
    assert len(expiry) > 50
    assert {each.last_trade_date for each in expiry} == {"20261218"}
    month = {each.last_trade_date for each in option(symbol="AAPL", last_trade_date="202612", right="P")}
    assert month == {"20261204", "20261211", "20261218", "20261224", "20261231"}


@pytest.mark.parametrize(
    "what",
    [
        {"strike": Decimal("231")},
        {"strike": Decimal("100000")},
        {"right": "X"},
        {"last_trade_date": "20261217"},
        {"last_trade_date": "20261120"},
        {"currency": "EUR"},
        {"exchange": "NYSE"},
        {"multiplier": "10"},
        {"multiplier": "ten"},
        {"trading_class": "APPL"},
        {"symbol": "NOSUCH"},
    ],
)
def test_what_is_not_listed(what: dict[str, Any]) -> None:
    assert option(**{"symbol": "AAPL", **what}) == []


def test_options_on_an_index_have_a_class_for_the_weeks() -> None:
    spx = UNIVERSE.by_con_id(416904)
    assert spx is not None
    chain = UNIVERSE.derivatives.chain(spx, MONDAY)
    assert date(2026, 12, 18) in chain["SPX"][0]
    assert date(2026, 12, 11) in chain["SPXW"][0]
    (found,) = option(local_symbol="SPXW  261211P05800000")
    assert (found.symbol, found.trading_class, found.min_tick) == ("SPX", "SPXW", Decimal("0.05"))


def test_the_chain_is_what_can_be_found() -> None:
    ((name, (expirations, strikes)),) = UNIVERSE.derivatives.chain(AAPL, MONDAY).items()
    listed = option(symbol="AAPL")
    assert name == "AAPL"
    assert {each.last_trade_date for each in listed} == {f"{day:%Y%m%d}" for day in expirations}
    assert {each.strike for each in listed} == set(strikes)
    assert min(strikes) < 140 < 330 < max(strikes)


def test_no_chain_on_what_has_no_options() -> None:
    for each in UNIVERSE.instruments:
        chain = UNIVERSE.derivatives.chain(each, MONDAY)
        assert bool(chain) == (each.symbol in OPTION_UNDERLYINGS and each.currency == "USD"), each.symbol


@given(st.sampled_from(OPTION_UNDERLYINGS), DAYS, st.integers(0, 10_000))
def test_an_options_con_id_says_all(symbol: str, today: date, number: int) -> None:
    (underlying,) = (
        each for each in UNIVERSE.instruments if each.symbol == symbol and each.currency == "USD"
    )
    chain = UNIVERSE.derivatives.chain(underlying, today)
    name, (expirations, strikes) = list(chain.items())[number % len(chain)]
    strike, expiry = strikes[number % len(strikes)], expirations[number % len(expirations)]
    found = option(symbol=symbol, today=today, last_trade_date=f"{expiry:%Y%m%d}", strike=strike)
    assert [(each.right, each.trading_class) for each in found] == [("C", name), ("P", name)]
    for each in found:
        assert FIRST_CON_ID <= each.con_id < 2**31
        assert Universe().by_con_id(each.con_id) == each


# Futures


def test_the_quarters_of_an_index_future() -> None:
    found = find(SecType.FUTURE, symbol="ES", exchange="CME", currency="USD")
    assert [each.local_symbol for each in found] == ["ESZ6", "ESH7", "ESM7", "ESU7", "ESZ7"]
    assert [each.contract_month for each in found][:2] == ["202612", "202703"]
    assert found[0].last_trade_date == "20261218"
    assert (int(found[0].multiplier), found[0].min_tick) == (50, Decimal("0.25"))
    assert UNIVERSE.by_con_id(found[0].con_id) == found[0]


def test_a_future_is_named_by_its_month_or_its_last_day() -> None:
    (by_month,) = find(SecType.FUTURE, symbol="CL", last_trade_date="202701")
    assert by_month.last_trade_date == "20261221"
    assert find(SecType.FUTURE, symbol="CL", last_trade_date="20261221") == [by_month]
    assert find(SecType.FUTURE, local_symbol="CLF7") == [by_month]
    assert find(SecType.FUTURE, symbol="CL", exchange="CME") == []


def test_futures_roll_when_they_have_expired() -> None:
    def nearest(day: int) -> str:
        return find(SecType.FUTURE, date(2026, 12, day), symbol="ES")[0].local_symbol

    assert (nearest(18), nearest(19)) == ("ESZ6", "ESH7")
    (continuous,) = find(SecType.CONTINUOUS_FUTURE, date(2026, 12, 19), symbol="ES")
    assert (continuous.sec_type, continuous.local_symbol) == (SecType.CONTINUOUS_FUTURE, "ESH7")


def test_expired_futures_are_found_when_asked_for() -> None:
    assert find(SecType.FUTURE, symbol="ES", last_trade_date="202512") == []
    (found,) = find(SecType.FUTURE, symbol="ES", last_trade_date="202512", expired=True)
    assert found.last_trade_date == "20251219"


def test_a_currency_future_is_about_the_pair() -> None:
    found = find(SecType.FUTURE, symbol="EUR")[0]
    assert (found.trading_class, int(found.multiplier)) == ("6E", 125_000)
    assert found.underlying is UNIVERSE.by_con_id(12087792)


@given(st.sampled_from(FUTURES), DAYS)
def test_futures_of_any_day(row: tuple[Any, ...], today: date) -> None:
    found = find(SecType.FUTURE, today, symbol=row[1], trading_class=row[2])
    assert len(found) == row[10]
    days = [each.last_trade_date for each in found]
    assert days == sorted(set(days))
    assert days[0] >= f"{today:%Y%m%d}"
    for each in found:
        assert FIRST_CON_ID <= each.con_id < FIRST_COMBO
        assert Universe().by_con_id(each.con_id) == each


# CFDs, and what there is on what


def test_cfds_on_shares() -> None:
    (found,) = find(SecType.CFD, symbol="AAPL")
    assert found.underlying is AAPL
    assert UNIVERSE.by_con_id(found.con_id) == found
    assert len({each.con_id for each in find(SecType.CFD, symbol="SAP")}) == 2
    every = [find(SecType.CFD, symbol=each.symbol, currency=each.currency) for each in UNIVERSE.instruments]
    ids = [each.con_id for found in every for each in found]
    assert len(set(ids)) == len(ids) >= 120


def test_types_of_derivatives_by_underlying() -> None:
    types_on = UNIVERSE.derivatives.types_on
    assert types_on(AAPL) == ("CFD", "OPT", "BAG")
    assert types_on(find(SecType.INDEX, symbol="ES")[0]) == ("FUT", "BAG")
    assert types_on(find(SecType.STOCK, symbol="SAP", currency="EUR")[0]) == ("CFD",)
    assert types_on(find(SecType.CRYPTO, symbol="BTC")[0]) == ()


@pytest.mark.parametrize(
    "con_id", [FIRST_CON_ID, 2**30 + FIRST_CON_ID - 1, FIRST_COMBO - 1, FIRST_COMBO, 2**31 - 1]
)
def test_con_ids_that_stand_for_nothing(con_id: int) -> None:
    assert UNIVERSE.by_con_id(con_id) is None


def test_every_market_rule_that_is_named_exists() -> None:
    found = [*UNIVERSE.instruments, *option(symbol="SPX", strike=Decimal(5800)), *option(symbol="SPY")]
    found += [each for row in FUTURES for each in find(SecType.FUTURE, symbol=row[1])]
    for each in found:
        assert MARKET_RULES[each.market_rule][0][0] == 0
        assert increment_at(each.market_rule, Decimal(0)) == each.min_tick, each.local_symbol
