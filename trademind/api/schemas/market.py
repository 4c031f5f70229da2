"""Quotes, order books and bars. Prices here are measured, not owed: JSON numbers, null where unknown."""

from typing import Any, Self

from pydantic import ConfigDict, Field

from trademind.api.schemas.base import Out, Time, number, time
from trademind.api.schemas.notices import NoticeOut, notice_fields
from trademind.domain import Bar, Channel, DataType, Depth, DepthLevel, Greeks, Quote, SecType
from trademind.domain.market import DIVIDEND_ADJUSTED, SPLIT_ADJUSTED, WHAT_TO_SHOW

SHOWN = f"One of {', '.join(WHAT_TO_SHOW)}; if left out, trades, or the midpoint where there are none."
"""What is said of `what_to_show`."""


class GreeksOut(Out):
    """An option by IB's model, per share."""

    implied_volatility: float | None = Field(description="Per year: 0.25 is 25 %.")
    delta: float | None
    gamma: float | None
    vega: float | None = Field(description="For a point of volatility.")
    theta: float | None = Field(description="For a day.")
    price: float | None = Field(description="What the model says the option is worth.")
    underlying_price: float | None
    pv_dividend: float | None = Field(description="The present value of the dividends until expiry.")


class QuoteOut(Out):
    """The latest known market of one instrument."""

    symbol: str
    con_id: int
    sec_type: SecType
    exchange: str
    currency: str
    bid: float | None
    ask: float | None
    last: float | None
    bid_size: float | None
    ask_size: float | None
    last_size: float | None
    volume: float | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None = Field(description="The previous day's close.")
    last_time: Time | None
    data_type: DataType | None
    stale: bool = Field(
        description="No longer updated: the session, IB or the data farm is lost, or IB refused the line."
    )
    missing: list[str] = Field(description="Which of `bid`, `ask` and `last` have not come.")
    greeks: GreeksOut | None = Field(description="Of options only.")
    notices: list[NoticeOut] = Field(description="What IB said about this market data line.")
    as_of: Time | None

    @classmethod
    def of(cls, quote: Quote) -> Self:
        return cls(**quote_fields(quote))


class DepthLevelOut(Out):
    """One row of an order book."""

    price: float | None
    size: float | None
    market_maker: str = Field(description="Who stands there; of a book of several exchanges, which one.")


class DepthOut(Out):
    """An order book as far as IB shows it."""

    symbol: str
    con_id: int
    exchange: str
    bids: list[DepthLevelOut] = Field(description="The best first.")
    asks: list[DepthLevelOut] = Field(description="The best first.")
    is_smart: bool = Field(description="Of several exchanges together.")
    stale: bool = Field(description="No longer updated.")
    notices: list[NoticeOut] = Field(description="What IB said about the subscription.")
    as_of: Time | None = Field(description="When it last changed; null before anything has come.")

    @classmethod
    def of(cls, depth: Depth) -> Self:
        return cls(**depth_fields(depth))


class LinesOut(Out):
    """One kind of market data: how much IB grants, and how much of it is taken."""

    channel: Channel
    limit: int
    used: int = Field(description="Subscribed at IB.")
    held: int = Field(description="Of these, followed by somebody: they make no room for others.")


class AllLinesOut(Out):
    lines: list[LinesOut]


# What there is in each, for whoever sends it as it is and for the schemas above.


def quote_fields(quote: Quote) -> dict[str, Any]:
    """The fields of a `QuoteOut`."""
    contract = quote.contract
    bid, ask, last = number(quote.bid), number(quote.ask), number(quote.last)
    return {
        "symbol": contract.symbol,
        "con_id": contract.con_id,
        "sec_type": contract.sec_type,
        "exchange": contract.exchange,
        "currency": contract.currency,
        "bid": bid,
        "ask": ask,
        "last": last,
        "bid_size": number(quote.bid_size),
        "ask_size": number(quote.ask_size),
        "last_size": number(quote.last_size),
        "volume": number(quote.volume),
        "open": number(quote.open),
        "high": number(quote.high),
        "low": number(quote.low),
        "close": number(quote.close),
        "last_time": None if quote.last_time is None else time(quote.last_time),
        "data_type": quote.data_type,
        "stale": quote.stale,
        "missing": [name for name, price in (("bid", bid), ("ask", ask), ("last", last)) if price is None],
        "greeks": None if quote.greeks is None else greeks_fields(quote.greeks),
        "notices": [notice_fields(notice) for notice in quote.notices],
        "as_of": None if quote.as_of is None else time(quote.as_of),
    }


def greeks_fields(greeks: Greeks) -> dict[str, Any]:
    return {name: number(getattr(greeks, name)) for name in GreeksOut.model_fields}


def depth_fields(depth: Depth) -> dict[str, Any]:
    """The fields of a `DepthOut`."""
    return {
        "symbol": depth.contract.symbol,
        "con_id": depth.contract.con_id,
        "exchange": depth.contract.exchange,
        "bids": [_level(level) for level in depth.bids],
        "asks": [_level(level) for level in depth.asks],
        "is_smart": depth.is_smart,
        "stale": depth.stale,
        "notices": [notice_fields(notice) for notice in depth.notices],
        "as_of": None if depth.as_of is None else time(depth.as_of),
    }


def _level(level: DepthLevel) -> dict[str, Any]:
    return {
        "price": number(level.price),
        "size": number(level.size),
        "market_maker": level.market_maker,
    }


class QuotesOut(Out):
    quotes: list[QuoteOut] = Field(description="In the order asked.")


class AdjustedOut(Out):
    """What the prices are adjusted for, as IB has them."""

    splits: bool
    dividends: bool

    @classmethod
    def of(cls, what_to_show: str) -> Self:
        return cls(splits=what_to_show in SPLIT_ADJUSTED, dividends=what_to_show in DIVIDEND_ADJUSTED)


class BarOut(Out):
    """One bar; `time` is its start."""

    time: Time
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    wap: float | None
    count: int | None
    complete: bool = Field(description="It does not change any more. The last ones may still be forming.")

    @classmethod
    def of(cls, bar: Bar, *, complete: bool) -> Self:
        return cls(**bar_fields(bar), complete=complete)


def bar_fields(bar: Bar) -> dict[str, Any]:
    """The fields that a `BarOut` has of the bar itself."""
    return {
        "time": time(bar.time),
        "open": number(bar.open),
        "high": number(bar.high),
        "low": number(bar.low),
        "close": number(bar.close),
        "volume": number(bar.volume),
        "wap": number(bar.wap),
        "count": bar.count,
    }


class BarsPage(Out):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "symbol": "AAPL",
                    "bar_size": "1 hour",
                    "what_to_show": "TRADES",
                    "adjusted": {"splits": True, "dividends": False},
                    "bars": [
                        {
                            "time": "2026-01-30T15:00:00Z",
                            "open": 150.1,
                            "high": 151.2,
                            "low": 149.9,
                            "close": 150.8,
                            "volume": 1200300.0,
                            "wap": 150.55,
                            "count": 8123,
                            "complete": True,
                        }
                    ],
                    "next_page_token": None,
                }
            ]
        }
    )

    symbol: str
    bar_size: str
    what_to_show: str
    adjusted: AdjustedOut
    bars: list[BarOut] = Field(description="Oldest first.")
    next_page_token: str | None = Field(
        description="Give it back as `page_token`, with the same `symbol` and `bar_size`; null at the end."
    )


class HeadTimestampOut(Out):
    symbol: str
    con_id: int
    what_to_show: str
    use_rth: bool
    head_timestamp: Time = Field(description="The first moment of the history.")
