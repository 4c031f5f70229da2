"""Market data: quotes, order books, lines and historical bars."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, Field

from trademind.api.bars import BarWindow
from trademind.api.deps import ArchiveDep, BrokerDep, HubDep
from trademind.api.paging import Limit, PageToken
from trademind.api.schemas.base import time
from trademind.api.schemas.instruments import OneInstrument, QuoteFilter
from trademind.api.schemas.market import (
    SHOWN,
    AdjustedOut,
    AllLinesOut,
    BarOut,
    BarsPage,
    DepthOut,
    HeadTimestampOut,
    LinesOut,
    QuoteOut,
    QuotesOut,
)
from trademind.api.schemas.problem import problems
from trademind.domain import Channel, ContractQuery, Depth, Subject, default_data
from trademind.domain.market import is_up_to_now

router = APIRouter(prefix="/api/market", tags=["market"])

DEPTH_WAIT = 3.0
"""Seconds in which a book that is asked for has to come: IB sends the first rows within one."""


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


@router.get("/depth/{con_id}", responses=problems(404, 422, 429, 502, 503, 504))
async def depth(hub: HubDep, con_id: Annotated[int, Path(ge=1, lt=2**31)]) -> DepthOut:
    """The order book of one instrument as it is now: of several exchanges together where IB routes it by
    itself. One that nobody follows is subscribed to for the answer; what has not come within three seconds is
    not in it, and what IB refuses is an error at once."""
    subject = Subject(channel=Channel.DEPTH, query=ContractQuery(con_id=con_id))
    return DepthOut.of(await hub.first(subject, _has_come, within=DEPTH_WAIT))


def _has_come(depth: Depth) -> bool:
    return depth.as_of is not None


@router.get("/lines", responses=problems())
async def lines(broker: BrokerDep) -> AllLinesOut:
    """What IB grants the login of each kind of market data, and how much of it is taken."""
    usage = [
        LinesOut(channel=each.channel, limit=each.limit, used=each.used, held=each.held)
        for each in broker.line_usage()
    ]
    return AllLinesOut(lines=usage)


@router.get("/bars", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def bars(broker: BrokerDep, archive: ArchiveDep, wanted: Annotated[BarFilter, Query()]) -> BarsPage:
    """Historical bars, oldest first: from `start` to `end`, or back from `end` by `duration`.

    With `start`, bars that are stored are not asked for again, and the span may be of any length; where much
    of it is missing, a page may be short, and a job (`POST /api/market/bars/jobs`) is the way to have all of
    it.
    """
    query = wanted.instrument
    contract = (await broker.qualify(query)).contract
    what = wanted.what_to_show or default_data(contract.sec_type)
    window = BarWindow.asked(
        bar_size=wanted.bar_size,
        what_to_show=what,
        is_up_to_now=is_up_to_now(contract.sec_type, what),
        duration=wanted.duration,
        start=wanted.start,
        end=wanted.end,
        token=wanted.page_token,
        now=archive.now(),
    )
    size, use_rth = wanted.bar_size, wanted.use_rth
    if window.start is not None and window.duration is None:
        source = await archive.source(query, bar_size=size, what_to_show=what, use_rth=use_rth)
        page = await archive.page(source, window.start, window.end or window.now, limit=wanted.limit)
    else:
        request = window.request(size, what_to_show=what, use_rth=use_rth)
        page = window.page(await broker.get_bars(query, request), size, wanted.limit)
    return BarsPage(
        symbol=contract.symbol,
        bar_size=size,
        what_to_show=what,
        adjusted=AdjustedOut.of(what),
        bars=[BarOut.of(bar, complete=place < page.complete) for place, bar in enumerate(page.bars)],
        next_page_token=window.token(page),
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
