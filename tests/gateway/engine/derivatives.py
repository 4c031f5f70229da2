"""Instruments of every kind for the tests of the books, made of listed ones."""

from dataclasses import replace
from decimal import Decimal

from tests.gateway.engine.trading import AAPL, EURUSD
from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument


def future(symbol: str = "MES", multiplier: int = 5, last_day: str = "20260619") -> Instrument:
    return replace(
        AAPL,
        con_id=900_000_101,
        symbol=symbol,
        sec_type=SecType.FUTURE,
        exchange="CME",
        primary_exchange="",
        multiplier=Decimal(multiplier),
        last_trade_date=last_day,
        reference_price=5000.0,
    )


def option(right: str = "C", strike: str = "100", last_day: str = "20260619", number: int = 1) -> Instrument:
    return replace(
        AAPL,
        con_id=900_000_200 + number,
        sec_type=SecType.OPTION,
        multiplier=Decimal(100),
        last_trade_date=last_day,
        strike=Decimal(strike),
        right=right,
        underlying=AAPL,
        reference_price=5.0,
    )


CFD = replace(AAPL, con_id=900_000_301, sec_type=SecType.CFD, underlying=AAPL)
CRYPTO = replace(AAPL, con_id=900_000_302, symbol="BTC", sec_type=SecType.CRYPTO, exchange="PAXOS")
GERMAN = replace(AAPL, con_id=900_000_303, symbol="SAP", currency="EUR", primary_exchange="IBIS")
"""A share that is quoted in euros."""
USDJPY = replace(
    EURUSD, con_id=900_000_304, symbol="USD", currency="JPY", local_symbol="USD.JPY", reference_price=150.0
)
EURGBP = replace(EURUSD, con_id=900_000_305, currency="GBP", local_symbol="EUR.GBP", reference_price=0.85)
