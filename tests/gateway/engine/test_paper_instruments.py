from decimal import Decimal

import pytest

from tests.gateway.engine.trading import AAPL, UNIVERSE
from trademind.domain import SecType
from trademind.gateway.engine.instruments import INSTRUMENTS, RESERVED_CON_IDS, Universe


def test_about_a_hundred_shares_and_some_pairs() -> None:
    kinds = [each.sec_type for each in INSTRUMENTS]
    assert kinds.count(SecType.STOCK) >= 100
    assert kinds.count(SecType.CASH) == 4


@pytest.mark.parametrize(
    ("con_id", "symbol", "exchange", "trading_class"),
    [
        (265598, "AAPL", "NASDAQ", "NMS"),
        (8314, "IBM", "NYSE", "IBM"),
        (756733, "SPY", "ARCA", "SPY"),
        (208813720, "GOOG", "NASDAQ", "NMS"),
        (12087792, "EUR", "", "EUR.USD"),
    ],
)
def test_real_con_ids(con_id: int, symbol: str, exchange: str, trading_class: str) -> None:
    found = UNIVERSE.by_con_id(con_id)
    assert found is not None
    assert (found.symbol, found.primary_exchange, found.trading_class) == (symbol, exchange, trading_class)


def test_every_row_makes_sense() -> None:
    for each in INSTRUMENTS:
        assert each.currency == "USD"
        assert each.long_name
        assert 0.01 < each.annual_volatility < 1.5
        assert each.spread_ticks * each.min_tick < Decimal(str(each.reference_price)) / 100
        assert each.local_symbol in (each.symbol, f"{each.symbol}.USD")
        assert each.con_id < RESERVED_CON_IDS or each.con_id < RESERVED_CON_IDS + 100
    assert len({(each.symbol, each.sec_type) for each in INSTRUMENTS}) == len(INSTRUMENTS)


def test_ids_must_differ() -> None:
    with pytest.raises(ValueError, match="con id"):
        Universe([AAPL, AAPL])


def test_find_by_what_is_known() -> None:
    find = UNIVERSE.find
    assert [each.con_id for each in find("aapl", SecType.STOCK)] == [265598]
    assert find("AAPL", SecType.STOCK, "USD", "SMART", "NASDAQ", "AAPL") == [AAPL]
    assert find("AAPL", SecType.STOCK, exchange="NASDAQ") == [AAPL]
    assert find("AAPL", SecType.STOCK, "EUR") == []
    assert find("AAPL", SecType.STOCK, primary_exchange="NYSE") == []
    assert find("AAPL", SecType.CASH) == []
    assert find("NOSUCH", SecType.STOCK) == []
    assert find("", SecType.STOCK) == []
    assert [each.con_id for each in find("EUR", SecType.CASH, "USD", "IDEALPRO")] == [12087792]
    assert [each.con_id for each in find("", SecType.CASH, local_symbol="GBP.USD")] == [12087797]


def test_search_puts_the_best_first() -> None:
    assert UNIVERSE.search("aapl")[0] is AAPL
    assert UNIVERSE.search("Apple")[0] is AAPL
    assert [each.symbol for each in UNIVERSE.search("GOOG")][:2] == ["GOOG", "GOOGL"]
    assert UNIVERSE.search("V")[0].symbol == "V"
    assert len(UNIVERSE.search("INC")) == 16
    assert len(UNIVERSE.search("INC", limit=3)) == 3
    assert UNIVERSE.search("  ") == []
    assert UNIVERSE.search("zzzz") == []
