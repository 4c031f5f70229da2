"""What moves the synthetic market's daily prices: a market, sectors, and each instrument's own news.

The logarithm of a price is the sum of the levels of a few factors, each times how much the instrument is
exposed to it: the market model with industry factors (Sharpe 1963; King, "Market and Industry Factors in
Stock Price Behavior", 1966). So instruments of one sector move together, and more so than with others.

A factor's daily shocks have stochastic volatility: the logarithm of the volatility is a stationary
first-order autoregression (Taylor, "Modelling Financial Time Series", 1986), so that quiet and nervous times
last, large moves come in clusters and tails are heavier than a normal distribution's.

Strategy: time is cut into blocks. What a factor is worth at the borders is drawn for each border by itself;
within a block its shocks are summed up and bent, by a very little each day, so that they end at the next
border (a Brownian bridge). So any day can be had without walking there from the first one, and levels stay
near zero over decades.
"""

from array import array
from collections.abc import Callable, Hashable, Mapping
from math import exp, sqrt
from random import Random
from typing import Final, Generic, NamedTuple, TypeVar

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument

BLOCK: Final = 512
"""Days in a block: a multiple of nothing, so that borders fall on no special dates."""
_BORDER_DEVIATION: Final = 14.7
"""Of the levels at the borders, in daily deviations: that of an autoregression that halves a distance from
its mean in 300 days."""
_PERSISTENCE: Final = 0.97
"""Of the log volatility from day to day; daily estimates for stocks lie between 0.95 and 0.99."""
_VOLATILITY_OF_LOG: Final = 0.6
"""Standard deviation of the log volatility; makes a factor's kurtosis 3 exp(4 * 0.6**2), about 12.7, and
that of an instrument, which is a mixture of factors, 4 to 9."""
_WEEK: Final = tuple(sqrt(share) for share in (1.32, 1.32, 1.32, 1.32, 1.32, 0.2, 0.2))
"""Deviation of each weekday's shocks: little news arrives at the weekend. The squares sum to seven."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The last few values of a function; the oldest goes when it is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        value = self._values.pop(key, None)
        if value is None:
            value = make()
            if len(self._values) >= self._size:
                del self._values[next(iter(self._values))]
        self._values[key] = value
        return value


class _Block(NamedTuple):
    levels: "array[float]"
    """At the end of each day, from the day before the block's first one on."""
    volatilities: "array[float]"
    """Of each day, in the factor's usual daily deviations."""


class Factor:
    """One source of moves. Levels and volatilities are in its usual daily deviation, days count from 0."""

    def __init__(self, name: str, *, rests_at_weekends: bool = True) -> None:
        self._name = name
        self._week = _WEEK if rests_at_weekends else (1.0,) * 7
        self._blocks: Recent[int, _Block] = Recent(8)

    def level(self, day: int) -> float:
        """At the end of a day; the one before the first is -1."""
        number, index = divmod(day + 1, BLOCK)
        return self._block(number).levels[index]

    def volatility(self, day: int) -> float:
        number, index = divmod(day, BLOCK)
        return self._block(number).volatilities[index]

    def _block(self, number: int) -> _Block:
        return self._blocks.get(number, lambda: self._make(number))

    def _border(self, number: int) -> tuple[float, float]:
        """Level and log volatility, in deviations of their own, at the beginning of a block."""
        rng = Random(f"{self._name}:border:{number}")
        return rng.gauss(0.0, _BORDER_DEVIATION), rng.gauss(0.0, 1.0)

    def _make(self, number: int) -> _Block:
        begin, mood = self._border(number)
        end, next_mood = self._border(number + 1)
        gauss = Random(f"{self._name}:{number}").gauss
        fresh = sqrt(1 - _PERSISTENCE**2)
        moods = [mood]
        for _ in range(BLOCK):
            moods.append(moods[-1] * _PERSISTENCE + fresh * gauss(0.0, 1.0))
        # What is missing at the end fades out backwards as fast as the autoregression forgets.
        missing = next_mood - moods[-1]
        volatilities = array("d")
        total, levels = 0.0, [0.0]
        first = number * BLOCK
        for index in range(BLOCK):
            each = moods[index] + missing * _PERSISTENCE ** (BLOCK - index)
            # The mean of the squares is one.
            scale = exp(_VOLATILITY_OF_LOG * each - _VOLATILITY_OF_LOG**2) * self._week[(first + index) % 7]
            volatilities.append(scale)
            total += scale * gauss(0.0, 1.0)
            levels.append(total)
        bend = (end - begin - total) / BLOCK
        return _Block(
            array("d", (begin + level + bend * day for day, level in enumerate(levels))), volatilities
        )


class Exposure(NamedTuple):
    """How much of an instrument's variance each factor explains; the rest is its own."""

    market: float = 0.0
    sector: str = ""
    of_sector: float = 0.0


_STOCK = 0.30, 0.25
"""Shares of the variance of a stock's daily returns that the market and its industry explain."""
_SPECIAL: Final[Mapping[str, Exposure]] = {
    **dict.fromkeys(("SPY", "VOO", "IVV", "VTI"), Exposure(0.97)),
    "QQQ": Exposure(0.8, "Technology", 0.15),
    "XLF": Exposure(0.5, "Financial", 0.45),
    "XLE": Exposure(0.4, "Energy", 0.55),
    "XLK": Exposure(0.55, "Technology", 0.4),
    "GLD": Exposure(0.0, "Precious metals", 0.9),
    "SLV": Exposure(0.0, "Precious metals", 0.7),
    "TLT": Exposure(),
    "HYG": Exposure(0.4),
}
"""Funds that are not simply the market."""


def exposure(instrument: Instrument) -> Exposure:
    """What an instrument's moves follow, by what it is."""
    if instrument.sec_type is SecType.CASH:
        # Pairs that are quoted in one currency move together when it is that one that moves.
        return Exposure(0.0, f"Currency {instrument.currency}", 0.5)
    if instrument.sec_type is SecType.CRYPTO:
        return Exposure(0.1, "Cryptocurrencies", 0.6)
    if instrument.sec_type is SecType.INDEX:
        # What is an index by its type only, such as one of gold or of volatility, goes its own way; those of
        # shares follow a fund.
        return Exposure()
    if instrument.sec_type is not SecType.STOCK:
        return Exposure()
    special = _SPECIAL.get(instrument.symbol)
    if special is not None and instrument.stock_type == "ETF":
        return special
    if instrument.stock_type == "ETF" or not instrument.industry:
        return Exposure(0.8)
    market, of_sector = _STOCK
    return Exposure(market, instrument.industry, of_sector)


class Factors:
    """The factors of one seed, made when they are first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._shared: dict[str, Factor] = {}

    def of(self, instrument: Instrument) -> "Drivers":
        """What drives an instrument: weighted factors whose squared weights sum to one."""
        market, sector, of_sector = exposure(instrument)
        rests = instrument.sec_type is not SecType.CRYPTO
        own = Factor(f"{self._seed}:{instrument.con_id}:own", rests_at_weekends=rests)
        parts = [(sqrt(1 - market - of_sector), own)]
        if market:
            parts.append((sqrt(market), self._factor("market")))
        if of_sector:
            parts.append((sqrt(of_sector), self._factor(f"sector {sector}")))
        return Drivers(tuple(parts))

    def _factor(self, name: str) -> Factor:
        factor = self._shared.get(name)
        if factor is None:
            factor = self._shared[name] = Factor(f"{self._seed}:{name}")
        return factor


class Drivers(NamedTuple):
    """Weighted factors."""

    parts: tuple[tuple[float, Factor], ...]

    def level(self, day: int) -> float:
        return sum(weight * factor.level(day) for weight, factor in self.parts)

    def volatility(self, day: int) -> float:
        return sqrt(sum((weight * factor.volatility(day)) ** 2 for weight, factor in self.parts))
