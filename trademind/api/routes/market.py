"""Market data: quotes and historical bars."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from trademind.api.bars import BarWindow
from trademind.api.deps import ArchiveDep, BrokerDep
from trademind.api.paging import Limit, PageToken
from trademind.api.schemas.base import In
from trademind.api.schemas.market import AdjustedOut, BarOut, BarsPage, QuoteOut, QuotesOut
from trademind.api.schemas.problem import problems
from trademind.domain import ContractQuery, SecType
from trademind.domain.market import WHAT_TO_SHOW
from trademind.errors import Invalid

router = APIRouter(prefix="/api/market", tags=["market"])

MAX_SYMBOLS = 50
"""In one request. Each takes one of the account's market data lines, of which IB gives about 100."""


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
    what_to_show: str = Field(default="TRADES", description=f"One of {', '.join(WHAT_TO_SHOW)}.")
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


@router.get("/bars", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def bars(broker: BrokerDep, archive: ArchiveDep, wanted: Annotated[BarFilter, Query()]) -> BarsPage:
    """Historical bars, oldest first: from `start` to `end`, or back from `end` by `duration`.

    With `start`, bars that are stored are not asked for again, and the span may be of any length; where much
    of it is missing, a page may be short, and a job (`POST /api/market/bars/jobs`) is the way to have all of
    it.
    """
    query = wanted.contract(wanted.symbol)
    window = BarWindow.asked(
        bar_size=wanted.bar_size,
        what_to_show=wanted.what_to_show,
        duration=wanted.duration,
        start=wanted.start,
        end=wanted.end,
        token=wanted.page_token,
        now=archive.now(),
    )
    size, what, use_rth = wanted.bar_size, wanted.what_to_show, wanted.use_rth
    if window.start is not None and window.duration is None:
        source = await archive.source(query, bar_size=size, what_to_show=what, use_rth=use_rth)
        page = await archive.page(source, window.start, window.end or window.now, limit=wanted.limit)
    else:
        request = window.request(size, what_to_show=what, use_rth=use_rth)
        page = window.page(await broker.get_bars(query, request), size, wanted.limit)
    return BarsPage(
        symbol=query.symbol,
        bar_size=size,
        what_to_show=what,
        adjusted=AdjustedOut.of(what),
        bars=[BarOut.of(bar, complete=place < page.complete) for place, bar in enumerate(page.bars)],
        next_page_token=window.token(page),
    )
