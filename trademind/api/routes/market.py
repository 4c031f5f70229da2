"""Market data: quotes and historical bars."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from trademind.api.bars import BarWindow
from trademind.api.deps import BrokerDep
from trademind.api.paging import Limit, PageToken
from trademind.api.schemas.base import time
from trademind.api.schemas.instruments import OneInstrument, QuoteFilter
from trademind.api.schemas.market import BarOut, BarsPage, HeadTimestampOut, QuoteOut, QuotesOut
from trademind.api.schemas.problem import problems
from trademind.domain import default_data
from trademind.domain.market import WHAT_TO_SHOW

router = APIRouter(prefix="/api/market", tags=["market"])

SHOWN = f"One of {', '.join(WHAT_TO_SHOW)}; if left out, trades, or the midpoint where there are none."


class BarFilter(OneInstrument):
    bar_size: str = Field(default="1 hour", description="In IB's spelling: '5 mins', '1 hour', '1 day'.")
    duration: str | None = Field(
        default=None, description="Back from `end`, in IB's terms: '2 D', '3600 S'. '1 D' without `start`."
    )
    start: AwareDatetime | None = Field(default=None, description="Bars that begin at or after it.")
    end: AwareDatetime | None = Field(default=None, description="Bars that begin before it; now if left out.")
    what_to_show: str | None = Field(default=None, description=SHOWN)
    use_rth: bool = Field(default=True, description="Regular trading hours only.")
    limit: Limit = 500
    page_token: PageToken = None


class HeadFilter(OneInstrument):
    what_to_show: str | None = Field(default=None, description=SHOWN)
    use_rth: bool = Field(default=True, description="Regular trading hours only.")


@router.get("/quotes", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def quotes(broker: BrokerDep, wanted: Annotated[QuoteFilter, Query()]) -> QuotesOut:
    """The latest quote of each symbol, in the order asked."""
    found = await broker.get_quotes(wanted.queries())
    return QuotesOut(quotes=[QuoteOut.of(quote) for quote in found])


@router.get("/bars", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def bars(broker: BrokerDep, wanted: Annotated[BarFilter, Query()]) -> BarsPage:
    """Historical bars, oldest first: back from `end` by `duration`, or from `start` to `end`."""
    query = wanted.instrument
    window = BarWindow.asked(
        bar_size=wanted.bar_size,
        duration=wanted.duration,
        start=wanted.start,
        end=wanted.end,
        token=wanted.page_token,
        now=datetime.now(UTC),
    )
    request = window.request(wanted.bar_size, what_to_show=wanted.what_to_show, use_rth=wanted.use_rth)
    contract = (await broker.qualify(query)).contract
    page, following = window.page(await broker.get_bars(query, request), wanted.limit)
    return BarsPage(
        symbol=contract.symbol,
        bar_size=wanted.bar_size,
        what_to_show=wanted.what_to_show or default_data(contract.sec_type),
        bars=[BarOut.of(bar) for bar in page],
        next_page_token=following,
    )


@router.get("/head_timestamp", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def head_timestamp(broker: BrokerDep, wanted: Annotated[HeadFilter, Query()]) -> HeadTimestampOut:
    """Since when there is history of an instrument. IB counts it as a request for history; the answer is kept
    for a day."""
    query = wanted.instrument
    contract = (await broker.qualify(query)).contract
    first = await broker.get_head_timestamp(query, wanted.what_to_show, use_rth=wanted.use_rth)
    return HeadTimestampOut(
        symbol=contract.symbol,
        con_id=contract.con_id,
        what_to_show=wanted.what_to_show or default_data(contract.sec_type),
        use_rth=wanted.use_rth,
        head_timestamp=time(first),
    )
