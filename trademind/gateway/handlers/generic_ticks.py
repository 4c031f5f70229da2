"""Generic ticks: what a subscription gets beyond the quote when it asks for it, by IB's numbers.

Strategy: a table says for each number what it is called, for which types of instruments there is any, and
how its ticks are made of a `Look` at the market. Ticks are made whenever the market moves and sent when they
differ from what the client was shown last. A number that IB knows and this market has nothing for, such as
the net asset value of a fund, is taken and brings no ticks, as at IB outside of what it is meant for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.statistics import DailyFigures, RecentFigures, Statistics, share
from trademind.gateway.wire.ticks import (
    Tick,
    TickBytes,
    generic_tick,
    plain,
    price_tick,
    size_tick,
    string_tick,
)
from trademind.gateway.wire.times import EASTERN

NO_QUOTES: Final = "mdoff"
"""Stands in a list of generic ticks for: those, and no quotes."""
_EASY_TO_BORROW: Final = Decimal(3)
"""Above 2.5 at least 1000 shares can be sold short, by IB's definition of the tick."""
_FIGURES: Final = Decimal("0.0001")


class IncorrectList(Exception):
    """A list of generic ticks with one in it that does not exist; `args[0]` is IB's text."""


@dataclass(frozen=True, slots=True)
class Look:
    """An instrument's market at one moment."""

    instrument: Instrument
    quote: MarketQuote
    before: MarketQuote | None
    """The quote that was shown last; None to begin with."""
    now: datetime
    statistics: Statistics

    @property
    def day(self) -> DailyFigures:
        return self.statistics.of_day(self.instrument, self.now)

    @property
    def minute(self) -> RecentFigures:
        return self.statistics.of_minute(self.instrument, self.now)

    def share(self, name: str, low: float, high: float, *, daily: bool = False) -> float:
        day = self.now.astimezone(EASTERN).date() if daily else None
        return share(self.instrument, name, low, high, day)


Made = Iterator[tuple[Tick, TickBytes]]


def _price(tick: Tick, price: Decimal) -> tuple[Tick, TickBytes]:
    return tick, price_tick(tick, price)


def _size(tick: Tick, size: Decimal | float) -> tuple[Tick, TickBytes]:
    return tick, size_tick(tick, Decimal(int(size)))


def _generic(tick: Tick, value: Decimal) -> tuple[Tick, TickBytes]:
    return tick, generic_tick(tick, value)


def _option_volume(look: Look) -> Made:
    """Of an option its own; of a stock that of all its options, which grows with the stock's."""
    if look.instrument.sec_type is SecType.OPTION:
        is_call = look.instrument.right.startswith("C")
        yield _size(Tick.CALL_VOLUME, look.quote.volume if is_call else 0)
        yield _size(Tick.PUT_VOLUME, 0 if is_call else look.quote.volume)
        return
    volume = float(look.quote.volume)
    yield _size(Tick.CALL_VOLUME, volume * look.share("call volume", 0.004, 0.012, daily=True))
    yield _size(Tick.PUT_VOLUME, volume * look.share("put volume", 0.003, 0.010, daily=True))


def _open_interest(look: Look) -> Made:
    usual = look.instrument.daily_volume
    calls = usual * look.share("call interest", 0.05, 0.1, daily=True)
    puts = usual * look.share("put interest", 0.04, 0.09, daily=True)
    if look.instrument.sec_type is SecType.OPTION:
        is_call = look.instrument.right.startswith("C")
        own = 1 + usual * look.share("interest", 2, 20, daily=True)
        calls, puts = (own, 0) if is_call else (0, own)
    yield _size(Tick.CALL_OPEN_INTEREST, calls)
    yield _size(Tick.PUT_OPEN_INTEREST, puts)


def _historical_volatility(look: Look) -> Made:
    yield _generic(Tick.HISTORICAL_VOLATILITY, look.day.historical_volatility)


def _average_option_volume(look: Look) -> Made:
    usual = float(look.day.average_volume) * look.share("option volume", 0.007, 0.022)
    yield _size(Tick.AVERAGE_OPTION_VOLUME, usual)


def _implied_volatility(look: Look) -> Made:
    yield _generic(Tick.IMPLIED_VOLATILITY, look.day.implied_volatility)


def _extremes(look: Look) -> Made:
    """Of 13, 26 and 52 weeks, those of today so far included."""
    day, quote = look.day, look.quote
    ticks = (
        (Tick.LOW_13_WEEKS, Tick.HIGH_13_WEEKS),
        (Tick.LOW_26_WEEKS, Tick.HIGH_26_WEEKS),
        (Tick.LOW_52_WEEKS, Tick.HIGH_52_WEEKS),
    )
    for (low, high), lowest, highest in zip(ticks, day.lows, day.highs, strict=True):
        yield _price(low, min(lowest, quote.low))
        yield _price(high, max(highest, quote.high))
    yield _size(Tick.AVERAGE_VOLUME, day.average_volume)


def _mark_price(look: Look) -> Made:
    """IB's definition: the last price, or the bid or the ask where the last is below or above."""
    quote = look.quote
    yield _price(Tick.MARK_PRICE, min(max(quote.last, quote.bid), quote.ask))


def _auction(look: Look) -> Made:
    """What would trade if there were an auction now, and what would be left over."""
    paired = look.instrument.daily_volume * look.share("auction", 0.001, 0.01, daily=True)
    imbalance = paired * look.share(f"imbalance {look.now:%H:%M}", -0.2, 0.2, daily=True)
    yield _size(Tick.AUCTION_VOLUME, paired)
    yield _price(Tick.AUCTION_PRICE, look.quote.last)
    yield _size(Tick.AUCTION_IMBALANCE, imbalance)
    yield _size(Tick.REGULATORY_IMBALANCE, abs(imbalance))


def _rt_volume(look: Look) -> Made:
    """The last trade: price; size; time in milliseconds; volume of the day; its average price; whether it
    was filled by a single market maker. None without a trade."""
    quote, before = look.quote, look.before
    if before is not None and (before.volume, before.last) == (quote.volume, quote.last):
        return
    average = (quote.high + quote.low + 2 * quote.last) / 4
    millis = int(quote.time.timestamp() * 1000)
    text = f"{plain(quote.last)};{plain(quote.last_size)};{millis};{plain(quote.volume)};{average:f};true"
    yield Tick.RT_VOLUME, string_tick(Tick.RT_VOLUME, text)


def _shortable(look: Look) -> Made:
    available = look.instrument.daily_volume * look.share("shortable", 0.1, 2.0, daily=True)
    yield _generic(Tick.SHORTABLE, _EASY_TO_BORROW)
    yield _size(Tick.SHORTABLE_SHARES, available)


def _fundamental_ratios(look: Look) -> Made:
    """Pairs of IB's tags and values. Those that follow from prices do; the others belong to the company."""
    day, price = look.day, float(look.quote.last)
    earnings = price / look.share("pe", 9, 42)
    values = {
        "NPRICE": price,
        "NHIG": float(day.highs[2]),
        "NLOW": float(day.lows[2]),
        "PEEXCLXOR": price / earnings,
        "TTMEPSXCLX": earnings,
        "TTMNPMGN": look.share("margin", 2, 28),
        "BETA": look.share("beta", 0.6, 1.7),
        "PRICE2BK": look.share("book", 1, 12),
        "MKTCAP": price * look.instrument.daily_volume * look.share("shares", 80, 300) / 1e6,
        "QCURRATIO": look.share("current ratio", 0.7, 3),
    }
    text = "".join(f"{name}={value:.5f};" for name, value in values.items())
    yield Tick.FUNDAMENTAL_RATIOS, string_tick(Tick.FUNDAMENTAL_RATIOS, text)


def _trade_count(look: Look) -> Made:
    yield _generic(Tick.TRADE_COUNT, Decimal(look.minute.trade_count))


def _trade_rate(look: Look) -> Made:
    yield _generic(Tick.TRADE_RATE, Decimal(look.minute.trade_rate))


def _volume_rate(look: Look) -> Made:
    yield _generic(Tick.VOLUME_RATE, look.minute.volume_rate)


def _last_rth_trade(look: Look) -> Made:
    yield _price(Tick.LAST_RTH_TRADE, look.quote.last)


def _rt_historical_volatility(look: Look) -> Made:
    yield _generic(Tick.RT_HISTORICAL_VOLATILITY, look.minute.volatility)


def _dividends(look: Look) -> Made:
    """Of the past and of the next twelve months, the next one's date and amount: empty where there are
    none, as of every share here whose dividends nobody has scheduled."""
    yield Tick.DIVIDENDS, string_tick(Tick.DIVIDENDS, ",,,")


def _futures_open_interest(look: Look) -> Made:
    interest = look.instrument.daily_volume * look.share("interest", 0.8, 2.5, daily=True)
    yield _size(Tick.FUTURES_OPEN_INTEREST, interest)


_STOCKS: Final = frozenset({SecType.STOCK})
_OPTIONED: Final = _STOCKS | {SecType.OPTION}
WITH_HISTORY: Final = _STOCKS | {SecType.INDEX, SecType.CASH, SecType.CRYPTO, SecType.FUTURE, SecType.CFD}
"""What has a past of its own, of which the figures of a day are made."""
_TRADED: Final = frozenset(SecType) - {SecType.INDEX, SecType.CASH}

_TABLE: Final[Mapping[int, tuple[str, frozenset[SecType], Callable[[Look], Made]]]] = {
    100: ("Option Volume", _OPTIONED, _option_volume),
    101: ("Option Open Interest", _OPTIONED, _open_interest),
    104: ("Historical Volatility", WITH_HISTORY, _historical_volatility),
    105: ("Average Opt Volume", _STOCKS, _average_option_volume),
    106: ("impvolat", WITH_HISTORY, _implied_volatility),
    165: ("Misc. Stats", WITH_HISTORY, _extremes),
    221: ("Mark Price", frozenset(SecType), _mark_price),
    225: ("Auction", _STOCKS, _auction),
    232: ("Mark Price", frozenset(SecType), _mark_price),
    233: ("RTVolume", _TRADED, _rt_volume),
    236: ("inventory", _STOCKS, _shortable),
    258: ("Fundamentals", _STOCKS, _fundamental_ratios),
    293: ("TradeCount", _TRADED, _trade_count),
    294: ("TradeRate", _TRADED, _trade_rate),
    295: ("VolumeRate", _TRADED, _volume_rate),
    318: ("LastRTHTrade", _TRADED, _last_rth_trade),
    411: ("rthistvol", WITH_HISTORY, _rt_historical_volatility),
    456: ("IBDividends", _STOCKS, _dividends),
    588: ("Futures Open Interest", frozenset({SecType.FUTURE}), _futures_open_interest),
}
_WITHOUT_TICKS: Final = {
    162: "Index Future Premium", 370: "Participation Monitor", 375: "RTTrdVolume",
    460: "Bond Factor Multiplier", 576: "Etf Nav Bid Ask", 577: "Etf Nav Last", 578: "Etf Nav Close",
    586: "IPOHLM", 595: "Short-Term Volume", 614: "Etf Nav Hi-Lo", 619: "Slow Mark Price",
    623: "Etf Frozen Nav Last",
}  # fmt: skip
"""What IB knows beyond that, and this market has nothing for."""
_NAMES: Final = dict(
    sorted({292: "Wide_news", **{number: row[0] for number, row in _TABLE.items()}, **_WITHOUT_TICKS}.items())
)
"""All that exist; those of news are headlines and no ticks, see `news.wanted`."""


def parse(text: str, sec_type: SecType) -> tuple[tuple[int, ...], bool]:
    """The numbers in a list such as `100,233,292:BRFG`, and whether quotes are wanted, too.

    Raises:
        IncorrectList: one of them does not exist.
    """
    wanted: dict[int, None] = {}
    quotes = True
    for entry in filter(None, (each.strip() for each in text.split(","))):
        if entry.lower() == NO_QUOTES:
            quotes = False
            continue
        number = entry.partition(":")[0]
        if not (number.isascii() and number.isdecimal()) or int(number[:9]) not in _NAMES:
            legal = ",".join(f"{each}({name})" for each, name in _NAMES.items())
            raise IncorrectList(
                f"Incorrect generic tick list of {text[:80]}.  Legal ones for ({sec_type}) are: {legal}"
            )
        wanted[int(number)] = None
    return tuple(wanted), quotes


def ticks(numbers: Iterable[int], look: Look) -> Made:
    """The ticks behind some numbers, as far as there are any for this instrument."""
    for number in numbers:
        row = _TABLE.get(number)
        if row is not None and look.instrument.sec_type in row[1]:
            yield from row[2](look)
