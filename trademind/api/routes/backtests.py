"""Backtests as jobs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from trademind.api.deps import BacktestsDep
from trademind.api.paging import Limit, PageToken, moment, newest_first
from trademind.api.schemas.backtests import BacktestIn, BacktestOut, BacktestsPage, ReportedBacktestOut
from trademind.api.schemas.base import In
from trademind.api.schemas.problem import problems
from trademind.api.strict import StrictRoute

router = APIRouter(prefix="/api/backtests", tags=["analysis"], route_class=StrictRoute)


class BacktestFilter(In):
    limit: Limit = 100
    page_token: PageToken = None


@router.post("", status_code=202, responses=problems(400, 404, 409, 413, 415, 422, 429, 503, 504))
async def create(backtests: BacktestsDep, wanted: BacktestIn) -> BacktestOut:
    """Try a strategy on bars of the past. Those that are missing are downloaded before, inside IB's limits.

    An unknown strategy, parameter or symbol is refused at once.
    """
    return BacktestOut.of(await backtests.create(wanted.request()))


@router.get("", responses=problems(422))
async def list_backtests(
    backtests: BacktestsDep, wanted: Annotated[BacktestFilter, Query()]
) -> BacktestsPage:
    """The backtests, newest first: all that are open, and the last hundred that are over."""
    page, following = newest_first(
        backtests.all(),
        key=lambda job: (moment(job.created_at), job.id),
        limit=wanted.limit,
        token=wanted.page_token,
        of="backtests",
    )
    return BacktestsPage(backtests=[BacktestOut.of(job) for job in page], next_page_token=following)


@router.get("/{backtest_id}", response_model=ReportedBacktestOut, responses=problems(404, 422, 503))
async def read(backtests: BacktestsDep, backtest_id: str) -> Response:
    """One backtest, how it stands, and its report once it is done."""
    # The report is JSON already, and may be megabytes: it is not read to be written again.
    report = backtests.report(backtest_id) or b"null"
    about = BacktestOut.of(backtests.get(backtest_id)).model_dump_json().encode()
    return Response(about[:-1] + b',"report":' + report + b"}", media_type="application/json")


@router.get("/{backtest_id}/report.html", response_class=HTMLResponse, responses=problems(404, 409, 422, 503))
async def page(backtests: BacktestsDep, backtest_id: str) -> HTMLResponse:
    """The report as a page that needs nothing else."""
    return HTMLResponse(backtests.page(backtest_id))


@router.delete("/{backtest_id}", responses=problems(404, 422))
async def cancel(backtests: BacktestsDep, backtest_id: str) -> BacktestOut:
    """End a backtest; one that is over stays as it is."""
    return BacktestOut.of(await backtests.cancel(backtest_id))
