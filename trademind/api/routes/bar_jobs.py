"""Downloads of bars that take long."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from trademind.api.deps import BarJobsDep
from trademind.api.paging import Limit, PageToken, moment, newest_first
from trademind.api.schemas.bar_jobs import BarJobIn, BarJobOut, BarJobsPage
from trademind.api.schemas.base import In
from trademind.api.schemas.problem import problems
from trademind.api.strict import StrictRoute

router = APIRouter(prefix="/api/market/bars/jobs", tags=["market"], route_class=StrictRoute)


class JobFilter(In):
    limit: Limit = 100
    page_token: PageToken = None


@router.post(
    "", status_code=202, responses={200: {"model": BarJobOut}, **problems(400, 413, 415, 422, 429, 503)}
)
async def create(jobs: BarJobsDep, wanted: BarJobIn, response: Response) -> BarJobOut:
    """Download what is missing of a span, however long it takes, inside IB's limits; also over a restart.

    Where a job for the same is queued or running, that one is returned, with 200.
    """
    job, is_new = await jobs.create(wanted.download())
    if not is_new:
        response.status_code = 200
    return BarJobOut.of(job)


@router.get("", responses=problems(422))
async def list_jobs(jobs: BarJobsDep, wanted: Annotated[JobFilter, Query()]) -> BarJobsPage:
    """The downloads, newest first: all that are open, and the last ones that are over."""
    page, following = newest_first(
        jobs.all(),
        key=lambda job: (moment(job.created_at), job.id),
        limit=wanted.limit,
        token=wanted.page_token,
        of="bar jobs",
    )
    return BarJobsPage(jobs=[BarJobOut.of(job) for job in page], next_page_token=following)


@router.get("/{job_id}", responses=problems(404, 422))
async def read(jobs: BarJobsDep, job_id: str) -> BarJobOut:
    """One download, and how it stands."""
    return BarJobOut.of(jobs.get(job_id))


@router.delete("/{job_id}", responses=problems(404, 422))
async def cancel(jobs: BarJobsDep, job_id: str) -> BarJobOut:
    """End a download. What it has stored is kept; one that is over stays as it is."""
    return BarJobOut.of(await jobs.cancel(job_id))
