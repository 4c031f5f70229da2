"""The instruments that are listed one by one, made of the rows in `listings.py`.

Most con ids there are IB's own; the few we could not cite come from a range of ours that starts at
`RESERVED_CON_IDS`, and such an id works here and nowhere else.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from trademind.domain import SecType
from trademind.gateway.engine.increments import HALF_CENTS, HALF_PIPS, flat_rule
from trademind.gateway.engine.listings import (
    CRYPTOS,
    ETFS,
    EUROPEAN_STOCKS,
    FX_PAIRS,
    INDICES,
    ISINS,
    STOCKS,
    US_LISTINGS,
    Sector,
)
from trademind.gateway.engine.model import Instrument

RESERVED_CON_IDS = 900_000_000
"""First con id of the range for instruments whose real con id is not known to us."""

US_STOCK_EXCHANGES = (
    "AMEX", "NYSE", "CBOE", "PHLX", "ISE", "CHX", "ARCA", "NASDAQ", "DRCTEDGE", "BEX", "BATS", "EDGEA", "BYX",
    "IEX", "EDGX", "PEARL", "NYSENAT", "LTSE", "MEMX", "PSX",
)  # fmt: skip
EUROPEAN_STOCK_EXCHANGES = ("IBIS", "FWB", "SWB", "TGATE", "CHIXDE", "BATEDE", "TRQXDE")

_CENT = Decimal("0.01")
_PIPETTE = Decimal("0.00005")
"""IB quotes the major FX pairs in half pips."""
_YEN_TICK = Decimal("0.005")
_NO_SECTOR = ("", "", "")


def _con_id(number: int) -> int:
    return RESERVED_CON_IDS + number if number < 100 else number


def _share(
    number: int,
    symbol: str,
    primary: str,
    name: str,
    sector: Sector,
    stock_type: str,
    market: tuple[float, float, int, int],
) -> Instrument:
    price, volatility, volume, spread = market
    return Instrument(
        con_id=_con_id(number),
        symbol=symbol,
        sec_type=SecType.STOCK,
        exchange="SMART",
        primary_exchange=primary,
        currency="USD",
        local_symbol=symbol,
        # Shares listed on NASDAQ trade as National Market System; elsewhere the class is the symbol.
        trading_class="NMS" if primary == "NASDAQ" else symbol,
        long_name=name,
        industry=sector[0],
        category=sector[1],
        subcategory=sector[2],
        stock_type=stock_type,
        min_tick=_CENT,
        # The API takes whole shares only (IB's error 10243), whatever the desktop allows.
        size_increment=Decimal(1),
        reference_price=price,
        annual_volatility=volatility,
        daily_volume=volume,
        spread_ticks=spread,
        exchanges=US_STOCK_EXCHANGES,
        isin=ISINS.get((symbol, "USD"), ""),
    )


def _stocks() -> Iterator[Instrument]:
    for number, symbol, primary, name, sector, price, volatility, volume, spread in (*STOCKS, *US_LISTINGS):
        stock_type = "ADR" if name.endswith("ADR") else "COMMON"
        yield _share(number, symbol, primary, name, sector, stock_type, (price, volatility, volume, spread))


def _etfs() -> Iterator[Instrument]:
    for number, symbol, primary, name, price, volatility, volume, spread in ETFS:
        market = (price, volatility, volume, spread)
        yield _share(number, symbol, primary, name, _NO_SECTOR, "ETF", market)


def _european_stocks() -> Iterator[Instrument]:
    for row in EUROPEAN_STOCKS:
        number, symbol, primary, currency, trading_class, name, sector = row[:7]
        price, volatility, volume, spread, tick = row[7:]
        yield Instrument(
            con_id=_con_id(number),
            symbol=symbol,
            sec_type=SecType.STOCK,
            exchange="SMART",
            primary_exchange=primary,
            currency=currency,
            local_symbol=symbol,
            trading_class=trading_class,
            long_name=name,
            industry=sector[0],
            category=sector[1],
            subcategory=sector[2],
            stock_type="COMMON",
            min_tick=Decimal(tick),
            size_increment=Decimal(1),
            reference_price=price,
            annual_volatility=volatility,
            daily_volume=volume,
            spread_ticks=spread,
            market_rule=flat_rule(Decimal(tick)),
            time_zone="MET",
            exchanges=EUROPEAN_STOCK_EXCHANGES,
            isin=ISINS.get((symbol, currency), ""),
        )


def _fx_pairs() -> Iterator[Instrument]:
    for con_id, pair, name, price, volatility, volume, spread in FX_PAIRS:
        base, _, currency = pair.partition(".")
        yield Instrument(
            con_id=con_id,
            symbol=base,
            sec_type=SecType.CASH,
            exchange="IDEALPRO",
            primary_exchange="",
            currency=currency,
            local_symbol=pair,
            trading_class=pair,
            long_name=name,
            industry="",
            category="",
            subcategory="",
            stock_type="",
            min_tick=_YEN_TICK if currency == "JPY" else _PIPETTE,
            size_increment=Decimal(1),
            reference_price=price,
            annual_volatility=volatility,
            daily_volume=volume,
            spread_ticks=spread,
            market_rule=HALF_CENTS if currency == "JPY" else HALF_PIPS,
        )


def _indices(funds: Iterable[Instrument]) -> Iterator[Instrument]:
    """What an index follows comes before it: among the funds, or in an earlier row."""
    known = {each.symbol: each for each in funds}
    for number, symbol, exchange, currency, name, level, volatility, tick, follows in INDICES:
        equities = exchange in ("CBOE", "NASDAQ")
        known[symbol] = Instrument(
            con_id=_con_id(number),
            symbol=symbol,
            sec_type=SecType.INDEX,
            exchange=exchange,
            primary_exchange="",
            currency=currency,
            local_symbol=symbol,
            trading_class=symbol,
            long_name=name,
            industry="Indices" if equities else "",
            category="Broad Range Equity Index" if equities else "",
            subcategory="*" if equities else "",
            stock_type="",
            min_tick=Decimal(tick),
            size_increment=Decimal(1),
            reference_price=level,
            annual_volatility=volatility,
            daily_volume=0,
            spread_ticks=1,
            underlying=known[follows] if follows else None,
            market_rule=flat_rule(Decimal(tick)),
            time_zone="US/Central" if exchange in ("CBOE", "CME") else "US/Eastern",
        )
        yield known[symbol]


def _cryptos() -> Iterator[Instrument]:
    for con_id, symbol, name, price, volatility, volume, spread, tick, smallest, increment in CRYPTOS:
        yield Instrument(
            con_id=con_id,
            symbol=symbol,
            sec_type=SecType.CRYPTO,
            exchange="PAXOS",
            primary_exchange="",
            currency="USD",
            local_symbol=f"{symbol}.USD",
            trading_class=symbol,
            long_name=name,
            industry="",
            category="",
            subcategory="",
            stock_type="",
            min_tick=Decimal(tick),
            size_increment=Decimal(increment),
            min_size=Decimal(smallest),
            reference_price=price,
            annual_volatility=volatility,
            daily_volume=volume,
            spread_ticks=spread,
            market_rule=flat_rule(Decimal(tick)),
        )


def _all() -> Iterator[Instrument]:
    yield from _stocks()
    funds = tuple(_etfs())
    yield from funds
    yield from _fx_pairs()
    yield from _european_stocks()
    yield from _indices(funds)
    yield from _cryptos()


INSTRUMENTS: tuple[Instrument, ...] = tuple(_all())
"""Everything that is listed one by one."""
