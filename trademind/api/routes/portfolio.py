"""What the account holds and what it is worth: snapshots of the book, never a question to the gateway."""

from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from pydantic import Field

from trademind.api.deps import BrokerDep, CallerDep, JournalDep, TargetsDep, as_of, broker_of
from trademind.api.schemas.base import In, Moment
from trademind.api.schemas.orders import ReachedOut
from trademind.api.schemas.portfolio import AccountOut, HistoryOut, PnLOut, PositionsOut
from trademind.api.schemas.problem import problems
from trademind.domain import Account, Target

router = APIRouter(prefix="/api/portfolio", tags=["portfolio"])


class Closing(In):
    cancel_working: bool = Field(
        default=False, description="Cancel this server's working orders in the instrument first."
    )


def add_account_route(app: FastAPI) -> None:
    """Add `GET /api/portfolio/account`, the route that every dashboard polls."""
    app.get(
        "/api/portfolio/account",
        response_model=AccountOut,
        responses=problems(503),
        tags=["portfolio"],
    )(account)


async def account(request: Request) -> Response:
    """The account's figures, by IB's names."""
    # Without BrokerDep: FastAPI takes a sixth of its time for this request to resolve a dependency.
    account = await broker_of(request).get_account()
    return Response(_encoded(account), media_type="application/json")


@lru_cache(maxsize=16)  # a handful of apps in one process, each with its latest snapshot
def _encoded(account: Account) -> bytes:
    # An account is read far more often than its figures change, and every dashboard reads it all the
    # time: a snapshot is encoded once.
    return AccountOut.of(account).model_dump_json().encode()


@router.get("/positions", responses=problems(503))
async def positions(broker: BrokerDep) -> PositionsOut:
    """Open positions, by symbol."""
    held = await broker.get_positions()
    session = broker.session
    return PositionsOut.of(held, session, as_of(session))


@router.delete(
    "/positions/{con_id}",
    status_code=201,
    response_description="The closing order has been placed",
    responses={
        200: {"model": ReachedOut, "description": "There is nothing to close"},
        **problems(404, 409, 422, 423, 429, 502, 503, 504),
    },
)
async def close_position(
    con_id: Annotated[int, Path(ge=1, lt=2**31)],
    targets: TargetsDep,
    caller: CallerDep,
    response: Response,
    wanted: Annotated[Closing, Query()],
) -> ReachedOut:
    """Close a position at the market. It is safe to ask again.

    Stops and exits that work in the instrument stay, and are named, unless `cancel_working` has them
    cancelled first. For other kinds of orders see `POST /api/orders/target` with a quantity of 0.
    """
    target = Target.of(0, con_id=con_id)
    reached = await targets.reach(target, cancel_working=wanted.cancel_working, by=caller)
    if reached.placed is None:
        response.status_code = 200
    return ReachedOut.of(reached)


@router.get("/pnl", responses=problems(503))
async def pnl(broker: BrokerDep) -> PnLOut:
    """Daily, unrealized and realized profit and loss."""
    return PnLOut.of(await broker.get_pnl())


class HistoryFilter(In):
    since: Moment | None = None
    until: Moment | None = None
    points: int = Field(default=500, ge=2, le=5000, description="At most so many, evenly chosen.")


@router.get("/history", responses=problems(422, 503))
async def history(
    broker: BrokerDep, journal: JournalDep, wanted: Annotated[HistoryFilter, Query()]
) -> HistoryOut:
    """The account's equity curve, oldest first: its figures about once a minute, from the journal."""
    account_id = (await broker.get_account()).account_id
    points = await journal.reading.account_history(
        account_id, since=wanted.since, until=wanted.until, max_points=wanted.points
    )
    return HistoryOut.of(account_id, points)
