"""Market data: quotes, order books, ticks and bars. Prices here are floats: they are measured, not owed."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from trademind.domain.channels import MARKET, Channel
from trademind.domain.instruments import Contract, ContractQuery, SecType
from trademind.domain.notices import Notice
from trademind.errors import Invalid


class DataType(StrEnum):
    """How fresh market data is, by IB's market data types 1 to 4."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    DELAYED_FROZEN = "delayed_frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """An option by IB's own model, per share: theta for a day, vega for a point of volatility."""

    implied_volatility: float | None
    """Per year: 0.25 is 25 %."""
    delta: float | None
    gamma: float | None
    vega: float | None
    theta: float | None
    price: float | None
    """What the model says the option is worth."""
    underlying_price: float | None
    pv_dividend: float | None
    """The present value of the dividends until expiry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The latest known market of an instrument; None where nothing has been received.

    Sizes and volume are in shares. `close` is the previous day's close.
    """

    contract: Contract
    as_of: datetime | None
    """When the last tick came; None before the first."""
    data_type: DataType | None
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    last_size: float | None = None
    volume: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    last_time: datetime | None = None
    stale: bool = False
    """No longer updated: the connection, IB or the data farm is lost, or the subscription failed."""
    notices: tuple[Notice, ...] = ()
    """What IB said about the subscription: delayed data instead of live, a subscription that is missing."""
    greeks: Greeks | None = None
    """Of options only."""


@dataclass(frozen=True, slots=True)
class DepthLevel:
    """One row of an order book."""

    price: float
    size: float
    market_maker: str = ""
    """Who stands there, or the exchange where the book is of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """An order book as far as IB shows it, the best rows first."""

    contract: Contract
    as_of: datetime | None
    """When it last changed; None before anything has come."""
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    is_smart: bool
    """Of several exchanges together, and each row of one of them."""
    stale: bool = False
    notices: tuple[Notice, ...] = ()


class TickType(StrEnum):
    """Kinds of tick-by-tick data, by IB's names."""

    LAST = "Last"
    """Trades, as the tape reports them."""
    ALL_LAST = "AllLast"
    """Also combinations, derivatives and average price trades."""
    BID_ASK = "BidAsk"
    MID_POINT = "MidPoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One trade, one change of the best bid and ask, or of the point between them; the rest is None."""

    contract: Contract
    tick_type: TickType
    time: datetime
    """By IB, to the second."""
    price: float | None = None
    size: float | None = None
    exchange: str | None = None
    special_conditions: str | None = None
    past_limit: bool | None = None
    unreported: bool | None = None
    """Not on the tape: a combination, an odd lot."""
    bid: float | None = None
    ask: float | None = None
    bid_size: float | None = None
    ask_size: float | None = None
    mid_point: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar. `time` is its start, in UTC; for a daily bar, midnight of its date."""

    time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    wap: float | None
    """Volume-weighted average price; None for kinds of data without volume."""
    count: int | None
    """Number of trades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBar:
    """A bar that has just ended; where the one that forms is followed, also as it stands now."""

    contract: Contract
    what_to_show: str
    bar: Bar
    bar_size: str = "5 secs"
    complete: bool = True
    """Whether it has ended. One that has is told once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineUsage:
    """How many of the subscriptions are taken that IB grants at once. Quotes and bars share theirs."""

    channel: Channel
    limit: int
    used: int
    held: int
    """Of those: how many somebody follows. The others are kept for a while, unless their place is needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Bars or ticks of an instrument have been missed, or may have been."""

    channel: Channel
    contract: Contract
    reason: str
    count: int | None = None
    """How many; None where nobody knows."""
    ib_code: int | None = None
    bar_size: str | None = None
    """Of bars."""


BAR_SIZES = (
    "1 secs", "5 secs", "10 secs", "15 secs", "30 secs",
    "1 min", "2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "20 mins", "30 mins",
    "1 hour", "2 hours", "3 hours", "4 hours", "8 hours",
    "1 day", "1 week", "1 month",
)  # fmt: skip
"""The bar sizes IB accepts, in its own spelling."""

WHAT_TO_SHOW = (
    "TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST", "AGGTRADES",
    "HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "FEE_RATE",
)  # fmt: skip
"""The kinds of data IB has bars of. Not every instrument has each: cryptocurrencies have AGGTRADES instead of
TRADES, only shares have FEE_RATE and ADJUSTED_LAST. In a bar of BID_ASK the four prices are the average bid,
the highest ask, the lowest bid and the average ask."""

_UNTRADED = frozenset({SecType.CASH, SecType.CFD, SecType.COMMODITY, SecType.FUND})


def default_data(sec_type: SecType) -> str:
    """The kind of data that shows an instrument's price: trades, where IB has them.

    Nobody reports trades in currencies, CFDs and funds; of crypto IB has them as AGGTRADES only, and answers
    TRADES with error 10299 (TWS API, "Historical Data: whatToShow").
    """
    if sec_type in _UNTRADED:
        return "MIDPOINT"
    return "AGGTRADES" if sec_type is SecType.CRYPTO else "TRADES"


SPLIT_ADJUSTED = frozenset({"TRADES", "AGGTRADES", "ADJUSTED_LAST"})
DIVIDEND_ADJUSTED = frozenset({"ADJUSTED_LAST"})
"""What IB adjusts, by its documentation of historical data types: TRADES for splits, ADJUSTED_LAST for splits
and dividends. Of the other kinds it says nothing."""


def is_up_to_now(sec_type: SecType, what_to_show: str) -> bool:
    """Does IB have such bars up to now only (errors 321 and 10339 otherwise)? Their past is another one after
    the next dividend, or when the next contract is in front, so none of it can be kept."""
    return what_to_show == "ADJUSTED_LAST" or sec_type is SecType.CONTINUOUS_FUTURE


LIVE_WHAT_TO_SHOW = ("TRADES", "AGGTRADES", "MIDPOINT", "BID", "ASK")
"""The kinds of data of which bars can be followed."""

REAL_TIME = "5 secs"
"""The size of the bars that IB tells one by one. Larger ones are history that it keeps up to date."""

LIVE_BAR_SIZES = tuple(size for size in BAR_SIZES if size not in ("1 secs", "1 week", "1 month"))
"""IB keeps nothing up to date that is shorter than five seconds, and does not say by which of its days a week
or month that forms is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBars:
    """Which bars are followed.

    Raises:
        Invalid: there are no such live bars.
    """

    bar_size: str = REAL_TIME
    use_rth: bool = False
    """Of regular trading hours only."""
    forming: bool = False
    """Also the bar that has not ended yet, whenever it has changed."""

    def __post_init__(self) -> None:
        if self.bar_size not in LIVE_BAR_SIZES:
            raise Invalid([("bar_size", f"must be one of {', '.join(LIVE_BAR_SIZES)}")])
        if self.forming and self.bar_size == REAL_TIME:
            raise Invalid([("forming", f"IB tells bars of {REAL_TIME} only when they have ended")])

    @property
    def are_real_time(self) -> bool:
        return self.bar_size == REAL_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One kind of data of one instrument, as it is followed.

    Raises:
        Invalid: there is no such kind.
    """

    channel: Channel
    """Quotes, depth, bars or ticks."""
    query: ContractQuery
    variant: str = ""
    """Of bars what they are made of, if left out what `default_data` says of the instrument's type; of ticks
    their `TickType`, AllLast if left out."""
    bars: LiveBars | None = None
    """Which bars; those of five seconds if left out."""

    def __post_init__(self) -> None:
        kinds: tuple[str, ...] = {
            Channel.BARS: ("", *LIVE_WHAT_TO_SHOW),
            Channel.TICKS: (TickType.ALL_LAST, *(kind for kind in TickType if kind != TickType.ALL_LAST)),
        }.get(self.channel, ("",))
        if self.channel not in MARKET:
            raise Invalid([("channel", f"must be one of {', '.join(sorted(MARKET))}")])
        variant = self.variant or kinds[0]
        if variant not in kinds:
            raise Invalid(
                [
                    (
                        "kind",
                        f"must be one of {', '.join(filter(None, kinds))}" if any(kinds) else "there is none",
                    )
                ]
            )
        object.__setattr__(self, "variant", str(variant))
        if self.channel is Channel.BARS:
            object.__setattr__(self, "bars", self.bars or LiveBars())
        elif self.bars is not None:
            raise Invalid([("bars", "go with the channel `bars` only")])

    def of(self, sec_type: SecType) -> "Subject":
        """The same for an instrument of that type, with the kind of data filled in."""
        if self.channel is not Channel.BARS or self.variant:
            return self
        return replace(self, variant=default_data(sec_type))


_DURATION = re.compile(r"[1-9]\d{0,5} [SDWMY]")


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRequest:
    """Which bars: `duration` back from `end`, in IB's terms ("1 D", "2 W", "3600 S").

    Raises:
        Invalid: a bar size, duration or kind of data that IB does not have, or an end that it does not take.
    """

    bar_size: str = "1 hour"
    duration: str = "1 D"
    end: datetime | None = None
    """The last moment covered; None for now. Must be aware."""
    what_to_show: str | None = None
    """None for what `default_data` says of the instrument's type."""
    use_rth: bool = True

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        if self.bar_size not in BAR_SIZES:
            errors.append(("bar_size", f"must be one of {', '.join(BAR_SIZES)}"))
        duration: object = self.duration
        if not (isinstance(duration, str) and _DURATION.fullmatch(duration)):
            errors.append(("duration", "must be a number and a unit of S, D, W, M or Y, such as '2 D'"))
        if self.what_to_show not in (None, *WHAT_TO_SHOW):
            errors.append(("what_to_show", f"must be one of {', '.join(WHAT_TO_SHOW)}"))
        if self.end is not None:
            if self.end.tzinfo is None:
                errors.append(("end", "needs a time zone, such as 2026-01-31T15:00:00Z"))
            else:
                try:
                    object.__setattr__(self, "end", self.end.astimezone(UTC))
                except OverflowError:
                    errors.append(("end", "is out of range"))
            if self.what_to_show == "ADJUSTED_LAST":
                errors.append(("end", "IB has adjusted prices up to now only; leave it out"))
        if errors:
            raise Invalid(errors)

    def of(self, sec_type: SecType) -> "BarRequest":
        """The same for an instrument of that type, with the kind of data filled in."""
        return self if self.what_to_show else replace(self, what_to_show=default_data(sec_type))
