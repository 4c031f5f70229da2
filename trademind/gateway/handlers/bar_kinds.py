"""What a bar can show: the kinds of historical data, for which instruments there are any, and their figures.

Trades are the feed's own bars. Bid, ask and midpoint lie beside the trades by half the usual spread, in whole
ticks. Volatilities are made of daily closes; what is not a price has no volume.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from math import log, sqrt
from statistics import stdev
from typing import Final

from trademind.domain import SecType
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import FeedBar
from trademind.gateway.handlers.session_bars import DAY_SIZES, group_start, midnight
from trademind.gateway.wire.times import EASTERN


class Kind(StrEnum):
    """IB's `whatToShow`."""

    TRADES = "TRADES"
    AGGREGATED_TRADES = "AGGTRADES"
    MIDPOINT = "MIDPOINT"
    BID = "BID"
    ASK = "ASK"
    BID_ASK = "BID_ASK"
    ADJUSTED_LAST = "ADJUSTED_LAST"
    HISTORICAL_VOLATILITY = "HISTORICAL_VOLATILITY"
    OPTION_IMPLIED_VOLATILITY = "OPTION_IMPLIED_VOLATILITY"
    FEE_RATE = "FEE_RATE"
    YIELD_BID = "YIELD_BID"
    YIELD_ASK = "YIELD_ASK"
    YIELD_BID_ASK = "YIELD_BID_ASK"
    YIELD_LAST = "YIELD_LAST"
    SCHEDULE = "SCHEDULE"


QUOTED: Final = frozenset({Kind.MIDPOINT, Kind.BID, Kind.ASK, Kind.BID_ASK})
VOLATILITIES: Final = frozenset({Kind.HISTORICAL_VOLATILITY, Kind.OPTION_IMPLIED_VOLATILITY})
LIVE: Final = frozenset({Kind.TRADES, Kind.AGGREGATED_TRADES, Kind.MIDPOINT, Kind.BID, Kind.ASK})
"""What can be kept up to date, as at IB."""

_TRADED = frozenset({Kind.TRADES, Kind.SCHEDULE}) | QUOTED
_BY_SEC_TYPE = {
    SecType.STOCK: _TRADED | VOLATILITIES | {Kind.ADJUSTED_LAST, Kind.FEE_RATE},
    SecType.INDEX: VOLATILITIES | {Kind.TRADES, Kind.SCHEDULE},
    # Nobody reports trades in currencies and contracts for difference.
    SecType.CASH: QUOTED | {Kind.SCHEDULE},
    SecType.CFD: QUOTED | {Kind.SCHEDULE},
    SecType.CRYPTO: QUOTED | {Kind.AGGREGATED_TRADES, Kind.SCHEDULE},
}

FEE_RATE: Final = Decimal("0.25")
"""Per cent a year for borrowing a share that is easy to borrow; the paper exchange has no others."""
VOLATILITY_DAYS: Final = 30
"""Daily returns that a historical volatility is made of."""
VOLATILITY_LOOKBACK: Final = timedelta(days=60)
"""Days in which that many daily returns are found, weekends and holidays included."""
_MONTH = timedelta(days=32)
"""The longest bar's days follow its beginning."""
_DAYS_PER_STEP = timedelta(days=14)
"""A few milliseconds of work: a day's close is that of its hours."""
_PLACES = Decimal("0.000001")
NO_FIGURE: Final = Decimal(-1)

_NAMES = {
    Kind.TRADES: "Last",
    Kind.AGGREGATED_TRADES: "AggLast",
    Kind.MIDPOINT: "MidPoint",
    Kind.BID: "Bid",
    Kind.ASK: "Ask",
    Kind.BID_ASK: "BidAsk",
    Kind.ADJUSTED_LAST: "AdjustedLast",
    Kind.HISTORICAL_VOLATILITY: "HV",
    Kind.OPTION_IMPLIED_VOLATILITY: "IV",
    Kind.FEE_RATE: "FeeRate",
    Kind.YIELD_BID: "YieldBid",
    Kind.YIELD_ASK: "YieldAsk",
    Kind.YIELD_BID_ASK: "YieldBidAsk",
    Kind.YIELD_LAST: "YieldLast",
    Kind.SCHEDULE: "Schedule",
}
_DATA_EXCHANGES = {"SMART": "BEST", "IDEALPRO": "FXSUBPIP"}
"""What IB's data service calls the exchanges of orders."""


def exists(kind: Kind, instrument: Instrument) -> bool:
    """Whether there is data of this kind for an instrument. Yields are those of bonds, which there are none
    of here."""
    return kind in _BY_SEC_TYPE.get(instrument.sec_type, _TRADED)


def no_data(kind: Kind, instrument: Instrument, step: str) -> str:
    """IB's words for data that does not exist; `step` is the bar's length in seconds, `1d`, or 0 for none."""
    exchange = _DATA_EXCHANGES.get(instrument.exchange, instrument.exchange)
    name = f"{instrument.symbol}/{instrument.sec_type}@{exchange}"
    return f"No historical market data for {name} {_NAMES[kind]} {step}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a bar shows. Volume and average price are -1, and the count too, where there are none."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = NO_FIGURE
    wap: Decimal = NO_FIGURE
    count: int = -1


DailyBars = Callable[[datetime, datetime], list[FeedBar]]
"""The daily bars that begin between two moments."""


def figures(kind: Kind, instrument: Instrument, bar: FeedBar, volatility: "Volatility | None") -> Figures:
    """What `bar`, which is of trades, shows as a bar of `kind`.

    Args:
        volatility: Needed for the two kinds of `VOLATILITIES`.
    """
    if kind in (Kind.TRADES, Kind.AGGREGATED_TRADES, Kind.ADJUSTED_LAST):
        return Figures(bar.open, bar.high, bar.low, bar.close, bar.volume, bar.wap, bar.count)
    if kind is Kind.FEE_RATE:
        return Figures(FEE_RATE, FEE_RATE, FEE_RATE, FEE_RATE)
    if kind in VOLATILITIES:
        assert volatility is not None
        return volatility.figures(bar)
    half = half_spread(instrument)
    if kind is Kind.BID_ASK:
        # The average bid, the highest ask, the lowest bid and the average ask, in this order.
        average = bar.wap.quantize(_PLACES)
        return Figures(average - half, bar.high + half, bar.low - half, average + half)
    shift = {Kind.BID: -half, Kind.ASK: half}.get(kind, Decimal(0))
    return Figures(bar.open + shift, bar.high + shift, bar.low + shift, bar.close + shift)


def half_spread(instrument: Instrument) -> Decimal:
    return Decimal((instrument.spread_ticks + 1) // 2) * instrument.min_tick


class Volatility:
    """Volatilities of an instrument, day by day: those of the past, or those that options imply.

    Historical volatility is the standard deviation of the last 30 daily logarithmic returns times the root
    of the trading days in a year (Hull, Options, Futures and Other Derivatives, ch. 15.4). What options
    imply lies between that and the volatility that the instrument comes back to.

    Args:
        daily: The daily bars to look at.
        bar_size: Of the bars that show it.
        days_a_year: 252, or 365 for a market that never closes.
    """

    def __init__(
        self, kind: Kind, instrument: Instrument, daily: DailyBars, bar_size: str, *, days_a_year: int
    ) -> None:
        self._implied = kind is Kind.OPTION_IMPLIED_VOLATILITY
        self._usual = instrument.annual_volatility
        self._daily = daily
        self._bar_size = bar_size
        self._year = days_a_year
        self._closes: list[tuple[date, float]] = []
        self._covered: tuple[date, date] | None = None
        """The days whose closes have been looked at: the first, and the one after the last."""
        self._known_at: dict[tuple[date, date], Decimal] = {}

    def look_at(self, first: datetime, last: datetime) -> Iterator[None]:
        """Look, in steps, at the closes that bars between two moments need, unless it was done before.

        The bars come in their order: what only earlier ones needed is forgotten.
        """
        since = (first - VOLATILITY_LOOKBACK).astimezone(EASTERN).date()
        until = (last + _MONTH).astimezone(EASTERN).date() + timedelta(days=1)
        day = since
        if self._covered is not None and self._covered[0] <= since:
            if until <= self._covered[1]:
                return
            day = max(since, self._covered[1])
        # Further ahead than needed, so that there is nothing to look at for the bars that follow.
        until += _DAYS_PER_STEP
        self._closes = [each for each in self._closes if since <= each[0] < day]
        while day < until:
            cut = min(day + _DAYS_PER_STEP, until)
            self._closes += [
                (bar.start.astimezone(EASTERN).date(), float(bar.close))
                for bar in self._daily(midnight(day), midnight(cut))
            ]
            self._covered = (since, cut)
            day = cut
            yield

    def figures(self, bar: FeedBar) -> Figures:
        """The volatility known when the bar began, and those known at the end of each of its days."""
        day = bar.start.astimezone(EASTERN).date()
        days: list[date] = []
        if self._bar_size in DAY_SIZES:
            self._cover(bar.start)
            days = [each for each, _ in self._closes if group_start(each, self._bar_size) == day]
        known = [self._known(bar.start, before=day), *(self._known(bar.start, after=each) for each in days)]
        return Figures(known[0], max(known), min(known), known[-1])

    def _known(self, at: datetime, *, before: date = date.max, after: date = date.max) -> Decimal:
        """The volatility before a day, or after it."""
        known = self._known_at.get((before, after))
        if known is None:
            self._cover(at)
            closes = [each for each in self._closes if each[0] < before and each[0] <= after]
            last = closes[-1][0] if closes else date.min
            # Before a day it is what it was after the trading day before that one.
            known = self._known_at.get((date.max, last))
            if known is None:
                known = self._of([close for _, close in closes[-VOLATILITY_DAYS - 1 :]])
            self._known_at[before, after] = self._known_at[date.max, last] = known
        return known

    def _of(self, closes: list[float]) -> Decimal:
        returns = [log(later / earlier) for earlier, later in pairwise(closes)]
        past = stdev(returns) * sqrt(self._year) if len(returns) > 1 else self._usual
        known = (past + self._usual) / 2 if self._implied else past
        return Decimal(repr(known)).quantize(_PLACES)

    def _cover(self, at: datetime) -> None:
        for _ in self.look_at(at, at):
            pass
