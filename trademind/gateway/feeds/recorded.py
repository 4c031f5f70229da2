"""What a symbol in a file of recorded prices is: a listed instrument, or a new one made on the fly."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from zlib import crc32

from trademind.domain import SecType
from trademind.gateway.engine.instruments import INSTRUMENTS, RESERVED_CON_IDS
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.tape import Rows

# fmt: off
_CURRENCIES: Final = frozenset((
    "USD", "EUR", "GBP", "AUD", "NZD", "JPY", "CHF", "CAD", "SEK", "NOK", "DKK", "HKD",
    "SGD", "MXN", "ZAR", "CNH",
))
# fmt: on
_CRYPTOS: Final = frozenset(("BTC", "ETH", "LTC", "BCH", "SOL", "XRP"))
_EXTRA_IDS: Final = 50_000_000
"""Where the con ids of symbols that are listed nowhere else begin in the reserved range, and how many."""


def recorded_instrument(symbol: str, rows: Rows, taken: Iterable[int] = ()) -> Instrument:
    """The instrument that a symbol of a recording means: a listed one, or a new one of its kind.

    `EURUSD`, `EUR.USD` and `EUR/USD` are a currency pair, `BTCUSD` is a cryptocurrency, and everything else
    that is not listed is a US stock.

    Args:
        taken: Con ids that a new one must not have.
    """
    # IB writes classes of shares with a space, as in BRK B.
    share = symbol.replace(".", " ")
    plain = symbol.replace(".", "").replace("/", "").replace("-", "")
    base, currency = plain[:3], plain[3:]
    kind = SecType.STOCK
    if len(plain) == 6 and currency in _CURRENCIES and base in _CURRENCIES | _CRYPTOS:
        kind = SecType.CASH if base in _CURRENCIES else SecType.CRYPTO
    for each in INSTRUMENTS:
        is_same = each.symbol == (share if kind is SecType.STOCK else base)
        if each.sec_type is kind and is_same and (kind is SecType.STOCK or each.currency == currency):
            return each
    con_id = RESERVED_CON_IDS + _EXTRA_IDS + crc32(symbol.encode()) % _EXTRA_IDS
    while con_id in taken:
        con_id += 1
    if kind is SecType.STOCK:
        return _stock(share, con_id, rows)
    return _pair(base, currency, kind, con_id, rows)


def _stock(symbol: str, con_id: int, rows: Rows) -> Instrument:
    price = rows.closes[-1]
    return Instrument(
        con_id=con_id,
        symbol=symbol,
        sec_type=SecType.STOCK,
        exchange="SMART",
        primary_exchange="NYSE",
        currency="USD",
        local_symbol=symbol,
        trading_class=symbol,
        long_name=symbol,
        industry="",
        category="",
        subcategory="",
        stock_type="COMMON",
        # Below a dollar in hundredths of a cent (SEC, Regulation NMS, rule 612).
        min_tick=Decimal("0.01") if price >= 1 else Decimal("0.0001"),
        size_increment=Decimal(1),
        reference_price=price,
        annual_volatility=0.3,
        daily_volume=1_000_000,
        spread_ticks=1,
    )


def _pair(base: str, currency: str, kind: SecType, con_id: int, rows: Rows) -> Instrument:
    is_currency = kind is SecType.CASH
    pips = Decimal("0.005") if currency == "JPY" else Decimal("0.00005")
    return Instrument(
        con_id=con_id,
        symbol=base,
        sec_type=kind,
        exchange="IDEALPRO" if is_currency else "PAXOS",
        primary_exchange="",
        currency=currency,
        local_symbol=f"{base}.{currency}",
        trading_class=f"{base}.{currency}" if is_currency else base,
        long_name=f"{base}.{currency}",
        industry="",
        category="",
        subcategory="",
        stock_type="",
        min_tick=pips if is_currency else Decimal("0.01"),
        size_increment=Decimal(1) if is_currency else Decimal("0.00000001"),
        reference_price=rows.closes[-1],
        annual_volatility=0.1 if is_currency else 0.6,
        daily_volume=100_000_000 if is_currency else 10_000,
        spread_ticks=1,
    )
