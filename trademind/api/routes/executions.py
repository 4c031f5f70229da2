"""Executions: the fills, with their commissions."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query

from trademind.api.deps import BrokerDep, as_of
from trademind.api.paging import Limit, PageToken, newest_first
from trademind.api.schemas.base import In, time
from trademind.api.schemas.orders import ExecutionOut, ExecutionsPage
from trademind.api.schemas.problem import problems
from trademind.domain import Execution

router = APIRouter(prefix="/api/executions", tags=["executions"])


class ExecutionFilter(In):
    order_id: str | None = None
    limit: Limit = 100
    page_token: PageToken = None


@router.get("", responses=problems(404, 422, 503))
async def list_executions(broker: BrokerDep, wanted: Annotated[ExecutionFilter, Query()]) -> ExecutionsPage:
    """Fills of this day, newest first, of one order or of all."""
    executions = await broker.get_executions(order_id=wanted.order_id)
    page, following = newest_first(executions, key=_position, limit=wanted.limit, token=wanted.page_token)
    session = broker.session
    return ExecutionsPage(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        executions=[ExecutionOut.of(execution) for execution in page],
        next_page_token=following,
    )


def _position(execution: Execution) -> tuple[datetime, str]:
    return execution.time, execution.exec_id
