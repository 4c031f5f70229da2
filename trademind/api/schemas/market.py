"""Quotes and bars. Prices here are measured, not owed: JSON numbers, null where unknown."""

from typing import Self

from pydantic import ConfigDict, Field

from trademind.api.schemas.base import Out, Time, number, time
from trademind.api.schemas.notices import NoticeOut
from trademind.domain import Bar, DataType, Quote, SecType
from trademind.domain.market import DIVIDEND_ADJUSTED, SPLIT_ADJUSTED


class QuoteOut(Out):
    """The latest known market of one instrument."""

    symbol: str
    con_id: int
    sec_type: SecType
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
    notices: list[NoticeOut] = Field(description="What IB said about this market data line.")
    as_of: Time | None

    @classmethod
    def of(cls, quote: Quote) -> Self:
        contract = quote.contract
        return cls(
            symbol=contract.symbol,
            con_id=contract.con_id,
            sec_type=contract.sec_type,
            currency=contract.currency,
            bid=number(quote.bid),
            ask=number(quote.ask),
            last=number(quote.last),
            bid_size=number(quote.bid_size),
            ask_size=number(quote.ask_size),
            last_size=number(quote.last_size),
            volume=number(quote.volume),
            open=number(quote.open),
            high=number(quote.high),
            low=number(quote.low),
            close=number(quote.close),
            last_time=None if quote.last_time is None else time(quote.last_time),
            data_type=quote.data_type,
            stale=quote.stale,
            notices=[NoticeOut.of(notice) for notice in quote.notices],
            as_of=None if quote.as_of is None else time(quote.as_of),
        )


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
        return cls(
            time=time(bar.time),
            open=number(bar.open),
            high=number(bar.high),
            low=number(bar.low),
            close=number(bar.close),
            volume=number(bar.volume),
            wap=number(bar.wap),
            count=bar.count,
            complete=complete,
        )


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
