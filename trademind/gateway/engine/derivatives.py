"""Options, futures and CFDs: made when they are asked for, and never enumerated.

Strategy: which of them are listed is a function of the date and the underlying, and each con id says all
there is to know, so that any of them, expired ones too, can be made of its con id alone. IB's con ids end
below a billion; between there and 2^31 there is room for 30 bits of an option, and for all futures and CFDs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from math import exp
from zlib import crc32

from trademind.domain import SecType
from trademind.gateway.engine import expiries
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.increments import FINE_OPTIONS, NICKEL_OPTIONS, PENNY_OPTIONS
from trademind.gateway.engine.listings import FUTURES, OPTION_UNDERLYINGS, FutureRow
from trademind.gateway.engine.model import Instrument

FIRST_CON_ID = 1_000_000_000
_FUTURES = FIRST_CON_ID + (1 << 30)
_CFDS = _FUTURES + (1 << 22)
FIRST_COMBO = _CFDS + (1 << 22)
"""From here on to 2^31 con ids are free for combinations."""
_CFD_RANGE = 1 << 22

# An option's con id: 7 bits of underlying, 11 of week, 11 of strike, 1 of right.
_EPOCH = date(2000, 1, 7)
"""The Friday that weeks are counted from; 2047 weeks on it is 2039."""
_WEEK_BITS = _STRIKE_BITS = 11
_LAST_STRIKE = (1 << _STRIKE_BITS) - 1
_LAST_FRIDAY = _EPOCH + timedelta(weeks=(1 << _WEEK_BITS) - 1)
_NUMBERS = {symbol: number for number, symbol in enumerate(OPTION_UNDERLYINGS)}

OPTION_EXCHANGES = (
    "AMEX", "BATS", "BOX", "CBOE", "CBOE2", "EDGX", "EMERALD", "GEMINI", "IBUSOPT", "ISE", "MEMX", "MERCURY",
    "MIAX", "NASDAQBX", "NASDAQOM", "PEARL", "PHLX", "PSE", "SAPPHIRE",
)  # fmt: skip
OPTION_MULTIPLIER = Decimal(100)
_DAILY_STRIKES = frozenset({"SPY", "QQQ", "IWM"})
"""Funds with strikes at every dollar, and with prices in cents at any price."""
_STEPS: tuple[tuple[float, str], ...] = (
    (25, "0.5"), (75, "1"), (250, "2.5"), (700, "5"), (2000, "10"), (8000, "5"), (1e9, "25"),
)  # fmt: skip
"""Up to which reference price strikes are how far apart. Beyond 2000 there are indices, listed finer."""
_LEAST_REACH, _REACH = 0.5, 2.6
"""How far strikes reach up and down, as a logarithm: what the market may do in years, and at least ±50 %."""

_RULES: Mapping[str, Callable[[int, int], date]] = {
    "ES": expiries.index_future_expiry,
    "MES": expiries.index_future_expiry,
    "NQ": expiries.index_future_expiry,
    "MNQ": expiries.index_future_expiry,
    "CL": expiries.crude_oil_expiry,
    "GC": expiries.metal_expiry,
    "SI": expiries.metal_expiry,
    "6E": expiries.currency_future_expiry,
}
"""By trading class."""
_YEARS_EXPIRED = 2
"""How long expired futures can still be looked up, as at IB."""
_FIRST_YEAR = 2000


class Derivatives:
    """The options, futures and CFDs on a set of instruments."""

    def __init__(self, listed: Iterable[Instrument]) -> None:
        self._underlyings: dict[str, Instrument] = {}
        """What options and futures are about: by symbol, pairs by local symbol."""
        self._shares: list[Instrument] = []
        self._shares_by_cfd: dict[int, Instrument] = {}
        for each in listed:
            if each.sec_type is SecType.STOCK:
                self._shares.append(each)
            if each.currency == "USD":
                name = each.local_symbol if each.sec_type is SecType.CASH else each.symbol
                self._underlyings.setdefault(name, each)

    def by_con_id(self, con_id: int) -> Instrument | None:
        """The derivative that a con id stands for, expired or not; None where it stands for none."""
        if FIRST_CON_ID <= con_id < _FUTURES:
            return self._decode_option(con_id - FIRST_CON_ID)
        if _FUTURES <= con_id < _CFDS:
            number, month = divmod(con_id - _FUTURES, 1 << 12)
            if number >= len(FUTURES) or FUTURES[number][5] not in self._underlyings:
                return None
            return self._future(FUTURES[number], _FIRST_YEAR + month // 12, month % 12 + 1)
        if _CFDS <= con_id < FIRST_COMBO:
            if not self._shares_by_cfd:
                self._shares_by_cfd = {_cfd_con_id(each): each for each in self._shares}
            share = self._shares_by_cfd.get(con_id)
            return None if share is None else _cfd(share)
        return None

    def find(self, wanted: Description, today: date) -> Iterator[Instrument]:
        """What is listed on a day (New York's) and agrees with a description, by expiry, strike and right."""
        match wanted.sec_type:
            case SecType.OPTION:
                yield from self._find_options(wanted, today)
            case SecType.FUTURE:
                for row in self._rows(wanted):
                    yield from filter(wanted.agrees, self._listed_futures(row, today, wanted.expired))
            case SecType.CONTINUOUS_FUTURE:
                for row in self._rows(wanted):
                    nearest = next(self._listed_futures(row, today, expired=False))
                    if wanted.agrees(nearest):
                        yield continuous(nearest)
            case SecType.CFD:
                for share in self._shares:
                    if wanted.symbol.upper() in ("", share.symbol) and wanted.agrees(cfd := _cfd(share)):
                        yield cfd

    def types_on(self, instrument: Instrument) -> tuple[str, ...]:
        """The types of derivatives there are on an instrument, as IB lists them for a symbol."""
        if self._underlyings.get(instrument.symbol) is not instrument:
            return ("CFD",) if instrument.sec_type is SecType.STOCK else ()
        found = []
        if instrument.sec_type is SecType.STOCK:
            found.append("CFD")
        if any(row[5] == instrument.symbol for row in FUTURES):
            found.append("FUT")
        if instrument.symbol in _NUMBERS:
            found.append("OPT")
        return (*found, "BAG") if found else ()

    # Options

    def chain(self, underlying: Instrument, today: date) -> dict[str, tuple[list[date], list[Decimal]]]:
        """The expiries and strikes of what is listed on an instrument, by trading class; none without."""
        if underlying.symbol not in _NUMBERS or self._underlyings.get(underlying.symbol) is not underlying:
            return {}
        listed = strikes(underlying)
        found: dict[str, tuple[list[date], list[Decimal]]] = {}
        for friday in _option_fridays(today):
            name = _option_class(underlying, friday)
            found.setdefault(name, ([], listed))[0].append(expiries.weekly_expiry(friday))
        return found

    def _find_options(self, wanted: Description, today: date) -> Iterator[Instrument]:
        wanted = wanted.spelt_out()
        # By its local symbol alone an option on an index is found by the name of its class.
        symbol = wanted.symbol.upper() or wanted.local_symbol[:6].strip()
        underlying = self._underlyings.get(symbol) or self._underlyings.get(symbol.removesuffix("W"))
        if underlying is None or underlying.symbol not in _NUMBERS:
            return
        whole_week = replace(wanted, strike=None, right="", local_symbol="")
        indices = list(_strike_indices(underlying, wanted.strike))
        for friday in _option_fridays(today):
            # Looked at once for all strikes: there are thousands of options on some underlyings.
            if not whole_week.agrees(_option(underlying, friday, 1, "C")):
                continue
            for index in indices:
                for right in "CP":
                    if right in wanted.rights and wanted.agrees(
                        each := _option(underlying, friday, index, right)
                    ):
                        yield each

    def _decode_option(self, code: int) -> Instrument | None:
        code, is_put = divmod(code, 2)
        code, index = divmod(code, 1 << _STRIKE_BITS)
        number, week = divmod(code, 1 << _WEEK_BITS)
        if number >= len(OPTION_UNDERLYINGS) or index == 0:
            return None
        underlying = self._underlyings.get(OPTION_UNDERLYINGS[number])
        if underlying is None:
            return None
        return _option(underlying, _EPOCH + timedelta(weeks=week), index, "P" if is_put else "C")

    # Futures

    def _rows(self, wanted: Description) -> Iterator[FutureRow]:
        symbol, name = wanted.symbol.upper(), wanted.trading_class.upper()
        for row in FUTURES:
            local = wanted.local_symbol.upper().startswith(row[2])
            named = symbol == row[1] if symbol else name == row[2] or (bool(wanted.local_symbol) and local)
            if named and row[5] in self._underlyings:
                yield row

    def _listed_futures(self, row: FutureRow, today: date, expired: bool) -> Iterator[Instrument]:
        trading_class, letters, count = row[2], row[9], row[10]
        begin = date(today.year - _YEARS_EXPIRED, today.month, 1) if expired else today
        begin = max(begin, date(_FIRST_YEAR, 1, 1))
        for year, month in expiries.months_from(begin.year, begin.month, 12 * 12):
            if expiries.MONTH_CODES[month - 1] not in letters:
                continue
            expiry = _RULES[trading_class](year, month)
            if expiry < begin:
                continue
            yield self._future(row, year, month)
            if expiry >= today:
                count -= 1
                if count == 0:
                    return

    def _future(self, row: FutureRow, year: int, month: int) -> Instrument:
        number, symbol, trading_class, exchange, name, about, multiplier, tick, rule, *_ = row
        volume, last_trade_time, time_zone = row[11:]
        underlying = self._underlyings[about]
        expiry = _RULES[trading_class](year, month)
        return Instrument(
            con_id=_FUTURES + (number << 12) + (year - _FIRST_YEAR) * 12 + month - 1,
            symbol=symbol,
            sec_type=SecType.FUTURE,
            exchange=exchange,
            primary_exchange="",
            currency=underlying.currency,
            local_symbol=f"{trading_class}{expiries.MONTH_CODES[month - 1]}{year % 10}",
            trading_class=trading_class,
            long_name=name,
            industry="",
            category="",
            subcategory="",
            stock_type="",
            min_tick=Decimal(tick),
            size_increment=Decimal(1),
            reference_price=underlying.reference_price,
            annual_volatility=underlying.annual_volatility,
            daily_volume=volume,
            spread_ticks=1,
            multiplier=Decimal(multiplier),
            last_trade_date=f"{expiry:%Y%m%d}",
            underlying=underlying,
            market_rule=rule,
            contract_month=f"{year}{month:02}",
            last_trade_time=last_trade_time,
            time_zone=time_zone,
        )


def continuous(future: Instrument) -> Instrument:
    """The continuous future whose current contract this is; IB gives it the same con id."""
    return replace(future, sec_type=SecType.CONTINUOUS_FUTURE)


def strike_step(underlying: Instrument) -> Decimal:
    """How far the strikes on an underlying are apart."""
    if underlying.symbol in _DAILY_STRIKES:
        return Decimal(1)
    return Decimal(next(step for price, step in _STEPS if underlying.reference_price <= price))


def strikes(underlying: Instrument) -> list[Decimal]:
    """The strikes that are listed on an underlying, lowest first."""
    step = strike_step(underlying)
    return [index * step for index in _strike_indices(underlying)]


def _strike_indices(underlying: Instrument, strike: Decimal | None = None) -> Iterable[int]:
    """The listed strikes, as multiples of their step; of one strike, it alone if it is listed."""
    step = strike_step(underlying)
    reach = exp(max(_LEAST_REACH, _REACH * underlying.annual_volatility))
    at_the_money = underlying.reference_price / float(step)
    listed = range(max(1, round(at_the_money / reach)), min(_LAST_STRIKE, round(at_the_money * reach)) + 1)
    if strike is None:
        return listed
    index = int(strike / step)
    return (index,) if index in listed and index * step == strike else ()


def _option_fridays(today: date) -> list[date]:
    """Those that a con id can tell."""
    return [friday for friday in expiries.option_fridays(today) if _EPOCH <= friday <= _LAST_FRIDAY]


def _option_class(underlying: Instrument, friday: date) -> str:
    """The options on an index that expire in other weeks than the third are of a class of their own."""
    if underlying.sec_type is SecType.INDEX and friday != expiries.third_friday(friday.year, friday.month):
        return {"SPX": "SPXW", "NDX": "NDXP"}.get(underlying.symbol, underlying.symbol)
    return underlying.symbol


def _option(underlying: Instrument, friday: date, index: int, right: str) -> Instrument:
    strike = index * strike_step(underlying)
    expiry = expiries.weekly_expiry(friday)
    trading_class = _option_class(underlying, friday)
    code = _NUMBERS[underlying.symbol] << _WEEK_BITS | (friday - _EPOCH).days // 7
    is_index = underlying.sec_type is SecType.INDEX
    if is_index:
        rule, tick = NICKEL_OPTIONS, Decimal("0.05")
    else:
        rule = FINE_OPTIONS if underlying.symbol in _DAILY_STRIKES else PENNY_OPTIONS
        tick = Decimal("0.01")
    return Instrument(
        con_id=FIRST_CON_ID + ((code << _STRIKE_BITS | index) << 1 | (right == "P")),
        symbol=underlying.symbol,
        sec_type=SecType.OPTION,
        exchange="SMART",
        primary_exchange="",
        currency=underlying.currency,
        local_symbol=f"{trading_class:<6}{expiry:%y%m%d}{right}{int(strike * 1000):08}",
        trading_class=trading_class,
        long_name=underlying.long_name,
        industry=underlying.industry,
        category=underlying.category,
        subcategory=underlying.subcategory,
        stock_type="",
        min_tick=tick,
        size_increment=Decimal(1),
        reference_price=underlying.reference_price,
        annual_volatility=underlying.annual_volatility,
        daily_volume=max(100, underlying.daily_volume // 20_000),
        spread_ticks=2,
        multiplier=OPTION_MULTIPLIER,
        last_trade_date=f"{expiry:%Y%m%d}",
        strike=strike,
        right=right,
        underlying=underlying,
        market_rule=rule,
        contract_month=f"{expiry:%Y%m}",
        exchanges=("CBOE",) if is_index else OPTION_EXCHANGES,
    )


# CFDs


def _cfd_con_id(share: Instrument) -> int:
    return _CFDS + crc32(f"{share.symbol}.{share.currency}".encode()) % _CFD_RANGE


def _cfd(share: Instrument) -> Instrument:
    return Instrument(
        con_id=_cfd_con_id(share),
        symbol=share.symbol,
        sec_type=SecType.CFD,
        exchange="SMART",
        primary_exchange="",
        currency=share.currency,
        local_symbol=share.symbol,
        trading_class=share.symbol,
        long_name=share.long_name,
        industry=share.industry,
        category=share.category,
        subcategory=share.subcategory,
        stock_type="",
        min_tick=share.min_tick,
        size_increment=Decimal(1),
        reference_price=share.reference_price,
        annual_volatility=share.annual_volatility,
        daily_volume=share.daily_volume,
        spread_ticks=share.spread_ticks,
        underlying=share,
        market_rule=share.market_rule,
        time_zone=share.time_zone,
    )
