"""Executions: the fills, with their commissions."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field

from trademind.api.deps import BrokerDep, JournalDep, as_of
from trademind.api.paging import Limit, PageToken, Position, decode_stored, encode, moment, newest_first
from trademind.api.schemas.base import In, time
from trademind.api.schemas.orders import ExecutionOut, ExecutionsPage
from trademind.api.schemas.problem import problems
from trademind.domain import Execution, SessionState

router = APIRouter(prefix="/api/executions", tags=["executions"])


class ExecutionFilter(In):
    order_id: str | None = Field(default=None, description="TradeMind's id of the order.")
    since: AwareDatetime | None = Field(default=None, description="Fills at or after it, of any day.")
    until: AwareDatetime | None = Field(default=None, description="Fills before it, of any day.")
    limit: Limit = 100
    page_token: PageToken = None


@router.get("", responses=problems(422, 503))
async def list_executions(
    broker: BrokerDep, journal: JournalDep, wanted: Annotated[ExecutionFilter, Query()]
) -> ExecutionsPage:
    """This day's fills, newest first, of one order or of all; those of other clients within half a minute.

    With `since` or `until`, those between the two from the journal, as far back as it goes.
    """
    page: Sequence[Execution]
    if wanted.since is None and wanted.until is None:
        executions = await broker.get_executions(order_id=wanted.order_id)
        page, following = newest_first(
            executions, key=_position, limit=wanted.limit, token=wanted.page_token, of="executions"
        )
    else:
        stored = await journal.reading.executions(
            order_id=wanted.order_id,
            account_id=broker.session.account_id,
            since=wanted.since,
            until=wanted.until,
            limit=wanted.limit,
            before=decode_stored("stored executions", wanted.page_token),
        )
        page, following = stored.items, stored.next and encode("stored executions", stored.next)
    session = broker.session
    return ExecutionsPage(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        stale=session.state is not SessionState.READY,
        executions=[ExecutionOut.of(execution) for execution in page],
        next_page_token=following,
    )


def _position(execution: Execution) -> Position:
    return moment(execution.time), execution.exec_id
