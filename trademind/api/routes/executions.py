"""Executions: the fills, with their commissions."""

from typing import Annotated

from fastapi import APIRouter, Query

from trademind.api.deps import BrokerDep, as_of
from trademind.api.paging import Limit, PageToken, Position, moment, newest_first
from trademind.api.schemas.base import In, time
from trademind.api.schemas.orders import ExecutionOut, ExecutionsPage
from trademind.api.schemas.problem import problems
from trademind.domain import Execution, SessionState

router = APIRouter(prefix="/api/executions", tags=["executions"])


class ExecutionFilter(In):
    order_id: str | None = None
    limit: Limit = 100
    page_token: PageToken = None


@router.get("", responses=problems(404, 422, 503))
async def list_executions(broker: BrokerDep, wanted: Annotated[ExecutionFilter, Query()]) -> ExecutionsPage:
    """This day's fills, newest first, of one order or of all.

    Those of other clients are read from IB when the session connects.
    """
    executions = await broker.get_executions(order_id=wanted.order_id)
    page, following = newest_first(
        executions, key=_position, limit=wanted.limit, token=wanted.page_token, of="executions"
    )
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
