from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.engine.trading import AAPL, UNIVERSE
from trademind.domain import SecType, Side
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.instruments import INSTRUMENTS, RESERVED_CON_IDS, Universe
from trademind.gateway.engine.model import Instrument, Leg

TODAY = date(2026, 11, 23)


def find(symbol: str, sec_type: SecType, **more: Any) -> list[Instrument]:
    return list(UNIVERSE.find(Description(symbol=symbol, sec_type=sec_type, **more), TODAY))


def the(symbol: str, sec_type: SecType, **more: Any) -> Instrument:
    (found,) = find(symbol, sec_type, **more)
    return found


def test_some_of_every_kind() -> None:
    kinds = [each.sec_type for each in INSTRUMENTS]
    assert kinds.count(SecType.STOCK) >= 120
    assert kinds.count(SecType.CASH) == 10
    assert kinds.count(SecType.INDEX) >= 3
    assert kinds.count(SecType.CRYPTO) == 2


@pytest.mark.parametrize(
    ("con_id", "symbol", "exchange", "trading_class"),
    [
        (265598, "AAPL", "NASDAQ", "NMS"),
        (8314, "IBM", "NYSE", "IBM"),
        (756733, "SPY", "ARCA", "SPY"),
        (208813720, "GOOG", "NASDAQ", "NMS"),
        (12087792, "EUR", "", "EUR.USD"),
        (15016059, "USD", "", "USD.JPY"),
        (416904, "SPX", "", "SPX"),
        (479624278, "BTC", "", "BTC"),
        (14204, "SAP", "IBIS", "XETRA"),
    ],
)
def test_real_con_ids(con_id: int, symbol: str, exchange: str, trading_class: str) -> None:
    found = UNIVERSE.by_con_id(con_id)
    assert found is not None
    assert (found.symbol, found.primary_exchange, found.trading_class) == (symbol, exchange, trading_class)


def test_every_row_makes_sense() -> None:
    for each in INSTRUMENTS:
        assert each.long_name
        assert 0.01 < each.annual_volatility < 1.5
        assert each.spread_ticks * each.min_tick < Decimal(str(each.reference_price)) / 100
        assert each.con_id < RESERVED_CON_IDS or each.con_id < RESERVED_CON_IDS + 100
    names = {(each.symbol, each.sec_type, each.currency) for each in INSTRUMENTS}
    assert len(names) == len(INSTRUMENTS)


def test_isins_have_their_check_digit() -> None:
    """ISO 6166: letters as two digits, then the check of Luhn."""
    for isin in filter(None, (each.isin for each in INSTRUMENTS)):
        digits = [int(digit) for letter in isin for digit in str(int(letter, 36))]
        doubled = [2 * digit if place % 2 else digit for place, digit in enumerate(reversed(digits))]
        assert sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0, isin


def test_ids_must_differ() -> None:
    with pytest.raises(ValueError, match="con id"):
        Universe([AAPL, AAPL])


def test_find_by_what_is_known() -> None:
    stock = SecType.STOCK
    assert find("aapl", stock) == [AAPL]
    more = {"currency": "USD", "exchange": "SMART", "primary_exchange": "NASDAQ", "local_symbol": "AAPL"}
    assert find("AAPL", stock, **more) == [AAPL]
    assert find("AAPL", stock, exchange="NASDAQ") == find("AAPL", stock, exchange="ARCA") == [AAPL]
    assert find("AAPL", stock, exchange="IBIS") == []
    assert find("AAPL", stock, currency="EUR") == []
    assert find("AAPL", stock, primary_exchange="NYSE") == []
    assert find("AAPL", SecType.CASH) == []
    assert find("NOSUCH", stock) == []
    assert find("", stock) == []
    assert find("", stock, isin="US0378331005") == [AAPL]
    assert the("EUR", SecType.CASH, currency="USD", exchange="IDEALPRO").con_id == 12087792
    assert the("", SecType.CASH, local_symbol="GBP.USD").con_id == 12087797


def test_a_symbol_of_two_currencies_is_ambiguous_without_one() -> None:
    assert {each.currency for each in find("SAP", SecType.STOCK)} == {"USD", "EUR"}
    assert the("SAP", SecType.STOCK, currency="EUR").primary_exchange == "IBIS"
    assert the("SAP", SecType.STOCK, exchange="IBIS").currency == "EUR"


def test_search_puts_the_best_first() -> None:
    assert UNIVERSE.search("aapl")[0] is AAPL
    assert UNIVERSE.search("Apple")[0] is AAPL
    assert [each.symbol for each in UNIVERSE.search("GOOG")][:2] == ["GOOG", "GOOGL"]
    assert UNIVERSE.search("V")[0].symbol == "V"
    assert len(UNIVERSE.search("INC")) == 16
    assert len(UNIVERSE.search("INC", limit=3)) == 3
    assert UNIVERSE.search("  ") == []
    assert UNIVERSE.search("zzzz") == []


# Combinations


def leg(instrument: Instrument, side: Side = Side.BUY, ratio: int = 1) -> Leg:
    return Leg(instrument=instrument, ratio=ratio, side=side)


MSFT = the("MSFT", SecType.STOCK)


def test_a_combination_is_the_same_whatever_the_order_of_its_legs() -> None:
    universe = Universe()
    first = universe.combine([leg(AAPL), leg(MSFT, Side.SELL)])
    again = universe.combine([leg(MSFT, Side.SELL), leg(AAPL)])
    assert first is again
    assert universe.by_con_id(first.con_id) is first
    assert Universe().combine([leg(AAPL), leg(MSFT, Side.SELL)]).con_id == first.con_id
    assert universe.combine([leg(AAPL), leg(MSFT)]).con_id != first.con_id


def test_what_cannot_be_combined() -> None:
    universe = Universe()
    combo = universe.combine([leg(AAPL), leg(MSFT)])
    for legs, why in (
        ([leg(AAPL)], "two different"),
        ([leg(AAPL), leg(AAPL)], "two different"),
        ([leg(AAPL), leg(combo)], "cannot be a leg"),
        ([leg(AAPL), leg(MSFT, ratio=0)], "at least 1"),
        ([leg(AAPL), leg(the("SAP", SecType.STOCK, currency="EUR"))], "one currency"),
    ):
        with pytest.raises(ValueError, match=why):
            universe.combine(legs)


def test_combinations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trademind.gateway.engine.instruments.MAX_COMBOS", 1)
    universe = Universe()
    universe.combine([leg(AAPL), leg(MSFT)])
    with pytest.raises(ValueError, match="combinations already"):
        universe.combine([leg(AAPL), leg(MSFT, Side.SELL)])
    assert universe.combine([leg(AAPL), leg(MSFT)]).legs
