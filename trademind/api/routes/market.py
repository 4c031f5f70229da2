"""Market data: quotes, order books, lines and historical bars."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from trademind.api.bars import BarWindow
from trademind.api.deps import BrokerDep, HubDep
from trademind.api.paging import Limit, PageToken
from trademind.api.schemas.base import In
from trademind.api.schemas.market import (
    AllLinesOut,
    BarOut,
    BarsPage,
    DepthOut,
    LinesOut,
    QuoteOut,
    QuotesOut,
)
from trademind.api.schemas.problem import problems
from trademind.domain import Channel, ContractQuery, Depth, SecType, Subject
from trademind.errors import Invalid

router = APIRouter(prefix="/api/market", tags=["market"])

MAX_SYMBOLS = 50
"""In one request. Each takes one of the account's market data lines, of which IB gives about 100."""


DEPTH_WAIT = 3.0
"""Seconds in which a book that is asked for has to come: IB sends the first rows within one."""


class _Instrument(In):
    sec_type: SecType = SecType.STOCK
    exchange: str = Field(default="", description="SMART for stocks and IDEALPRO for currencies if empty.")
    currency: str = "USD"

    def contract(self, symbol: str) -> ContractQuery:
        exchange = self.exchange or ("IDEALPRO" if self.sec_type is SecType.CASH else "SMART")
        return ContractQuery(symbol=symbol, sec_type=self.sec_type, exchange=exchange, currency=self.currency)


class QuoteFilter(_Instrument):
    symbols: str = Field(description="Separated by commas.", examples=["AAPL,MSFT"])


class BarFilter(_Instrument):
    symbol: str = Field(examples=["AAPL"])
    bar_size: str = Field(default="1 hour", description="In IB's spelling: '5 mins', '1 hour', '1 day'.")
    duration: str | None = Field(
        default=None, description="Back from `end`, in IB's terms: '2 D', '3600 S'. '1 D' without `start`."
    )
    start: AwareDatetime | None = Field(default=None, description="Bars that begin at or after it.")
    end: AwareDatetime | None = Field(default=None, description="Bars that begin before it; now if left out.")
    what_to_show: str = Field(default="TRADES", description="TRADES, MIDPOINT, BID or ASK.")
    use_rth: bool = Field(default=True, description="Regular trading hours only.")
    limit: Limit = 500
    page_token: PageToken = None


@router.get("/quotes", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def quotes(broker: BrokerDep, wanted: Annotated[QuoteFilter, Query()]) -> QuotesOut:
    """The latest quote of each symbol, in the order asked."""
    symbols = [symbol.strip() for symbol in wanted.symbols.split(",")]
    if len(symbols) > MAX_SYMBOLS:
        raise Invalid([("symbols", f"at most {MAX_SYMBOLS} at once")])
    if not all(symbols):
        raise Invalid([("symbols", "one of them is empty")])
    found = await broker.get_quotes([wanted.contract(symbol) for symbol in symbols])
    return QuotesOut(quotes=[QuoteOut.of(quote) for quote in found])


@router.get("/depth/{con_id}", responses=problems(404, 422, 429, 502, 503, 504))
async def depth(hub: HubDep, con_id: Annotated[int, Path(ge=1, lt=2**31)]) -> DepthOut:
    """The order book of one instrument as it is now. One that nobody follows is subscribed to for the answer;
    what has not come within three seconds is not in it."""
    subject = Subject(channel=Channel.DEPTH, query=ContractQuery(con_id=con_id, exchange="SMART"))
    return DepthOut.of(await hub.first(subject, _has_come, within=DEPTH_WAIT))


def _has_come(depth: Depth) -> bool:
    return depth.as_of is not None


@router.get("/lines")
async def lines(broker: BrokerDep) -> AllLinesOut:
    """What IB grants the login of each kind of market data, and how much of it is taken."""
    usage = [
        LinesOut(channel=each.channel, limit=each.limit, used=each.used, held=each.held)
        for each in broker.line_usage()
    ]
    return AllLinesOut(lines=usage)


@router.get("/bars", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def bars(broker: BrokerDep, wanted: Annotated[BarFilter, Query()]) -> BarsPage:
    """Historical bars, oldest first: back from `end` by `duration`, or from `start` to `end`."""
    query = wanted.contract(wanted.symbol)
    window = BarWindow.asked(
        bar_size=wanted.bar_size,
        duration=wanted.duration,
        start=wanted.start,
        end=wanted.end,
        token=wanted.page_token,
        now=datetime.now(UTC),
    )
    request = window.request(wanted.bar_size, what_to_show=wanted.what_to_show, use_rth=wanted.use_rth)
    page, following = window.page(await broker.get_bars(query, request), wanted.limit)
    return BarsPage(
        symbol=query.symbol,
        bar_size=wanted.bar_size,
        what_to_show=wanted.what_to_show,
        bars=[BarOut.of(bar) for bar in page],
        next_page_token=following,
    )
