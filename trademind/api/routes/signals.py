"""Signals: how instruments stand, what was told and what became of it, and orders of it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from trademind.analysis.service import SignalService
from trademind.analysis.watchlist import Watch
from trademind.api.deps import ArchiveDep, CallerDep, JournalDep, SignalsDep
from trademind.api.paging import Limit, PageToken, decode_stored, encode
from trademind.api.schemas.base import In, Moment, time
from trademind.api.schemas.problem import problems
from trademind.api.schemas.signals import (
    LookOut,
    LooksOut,
    SignalOrderIn,
    SignalOrderOut,
    SignalOut,
    SignalsPage,
    WatchlistIn,
    WatchlistOut,
)
from trademind.api.strict import StrictRoute
from trademind.domain import ContractQuery, SecType, SignalOutcome
from trademind.domain.signals import Action
from trademind.errors import Invalid

router = APIRouter(prefix="/api/signals", tags=["signals"], route_class=StrictRoute)

MAX_PARAMETERS = 50
"""Of a strategy; none has so many."""


class ScanFilter(In):
    action: list[Action] = Field(default=[], description="Only what is to be done; everything, if empty.")


class HistoryFilter(In):
    symbol: str | None = Field(default=None, max_length=40)
    strategy: str | None = Field(default=None, max_length=40)
    outcome: SignalOutcome | None = None
    since: Moment | None = Field(default=None, description="Of bars that begin at or after it.")
    limit: Limit = 100
    page_token: PageToken = None


@router.get("", responses=problems(422))
async def scan(signals: SignalsDep, archive: ArchiveDep, wanted: Annotated[ScanFilter, Query()]) -> LooksOut:
    """How every instrument of the watch list stands, by each of its strategies.

    What goes wrong with one instrument or strategy is in its `error`.
    """
    desk = (await signals.opened()).desk
    watchlist = signals.watchlist
    looks = await desk.scan(watchlist.instruments, desk.plans_of(watchlist, signals.bar_size))
    chosen = [
        look
        for look in looks
        if not wanted.action or (look.signal is not None and look.signal.action in wanted.action)
    ]
    return LooksOut(signals=[LookOut.of(look) for look in chosen], as_of=time(archive.now()))


@router.get("/watchlist", responses=problems())
async def watchlist(signals: SignalsDep) -> WatchlistOut:
    """What is looked at whenever a bar closes."""
    return _watchlist(signals)


@router.put("/watchlist", responses=problems(400, 404, 413, 415, 422, 503))
async def set_watchlist(signals: SignalsDep, wanted: WatchlistIn) -> WatchlistOut:
    """Have this watch list from now on, also after a restart, whatever the settings say. All is replaced."""
    await signals.watch(wanted.watchlist(signals.bar_size))
    return _watchlist(signals)


@router.delete("/watchlist", responses=problems(503))
async def reset_watchlist(signals: SignalsDep) -> WatchlistOut:
    """Have the watch list of the settings again."""
    await signals.watch(None)
    return _watchlist(signals)


@router.get("/history", responses=problems(422, 503))
async def history(journal: JournalDep, wanted: Annotated[HistoryFilter, Query()]) -> SignalsPage:
    """The signals that were told, and what has become of them, the newest first."""
    page = await journal.signals.history(
        symbol=None if wanted.symbol is None else wanted.symbol.strip().upper(),
        strategy=wanted.strategy,
        outcome=wanted.outcome,
        since=wanted.since,
        limit=wanted.limit,
        before=decode_stored("signals", wanted.page_token),
    )
    following = None if page.next is None else encode("signals", page.next)
    return SignalsPage(signals=[SignalOut.of(each) for each in page.items], next_page_token=following)


@router.get("/{symbol}", responses=problems(404, 409, 422, 429, 502, 503, 504))
async def signals_of(
    request: Request,
    signals: SignalsDep,
    archive: ArchiveDep,
    symbol: str,
    strategy: Annotated[str | None, Query(max_length=40, description="All there are, if left out.")] = None,
    bar_size: Annotated[str | None, Query(description="That of the settings, if left out.")] = None,
    con_id: Annotated[int | None, Query(ge=1, lt=2**31, description="Instead of the symbol.")] = None,
    sec_type: SecType = SecType.STOCK,
    exchange: str = "",
    currency: str = "USD",
) -> LooksOut:
    """How an instrument stands at its last closed bar, by every strategy or by one.

    With `strategy`, all other parameters are the strategy's own: `?strategy=rsi_reversion&period=10`.
    """
    desk = (await signals.opened()).desk
    query = ContractQuery(
        symbol=symbol if con_id is None else "",
        con_id=con_id,
        sec_type=sec_type,
        exchange=exchange,
        currency=currency,
    )
    parameters = _others(request)
    size = bar_size or signals.bar_size
    if strategy is not None:
        plans = [desk.plan(Watch(strategy=strategy, parameters=parameters, bar_size=size))]
    elif parameters:
        raise Invalid([(name, "belongs to a strategy: name it in `strategy`") for name in parameters])
    else:
        plans = desk.every_plan(size)
    looks = await desk.look(query, plans)
    return LooksOut(signals=[LookOut.of(look) for look in looks], as_of=time(archive.now()))


@router.post(
    "/{signal_id}/order",
    status_code=201,
    response_description="The orders have been placed",
    responses={
        200: {"model": SignalOrderOut, "description": "Placed before, or there is nothing to close"},
        **problems(400, 403, 404, 409, 413, 415, 422, 423, 429, 502, 503, 504),
    },
)
async def order(
    signal_id: str,
    signals: SignalsDep,
    caller: CallerDep,
    response: Response,
    wanted: SignalOrderIn | None = None,
) -> SignalOrderOut:
    """Place what a signal says, with its stop and target, through the risk limits. It is safe to ask again.

    `close` closes the position at the market, and has the orders cancelled that work for it.
    """
    orders = (await signals.opened()).orders
    made = await orders.order(signal_id, (wanted or SignalOrderIn()).wanted(), by=caller)
    if not made.is_new:
        response.status_code = 200
    return SignalOrderOut.of(made)


_OWN = ("strategy", "bar_size", "con_id", "sec_type", "exchange", "currency")


def _others(request: Request) -> dict[str, int | float | str]:
    """The parameters of the query that are a strategy's."""
    found = [(name, value) for name, value in request.query_params.multi_items() if name not in _OWN]
    given: dict[str, int | float | str] = dict(found[:MAX_PARAMETERS])
    if len(given) < len(found):
        raise Invalid([(name, "is there more than once, or there are too many") for name, _ in found[:1]])
    return given


def _watchlist(signals: SignalService) -> WatchlistOut:
    return WatchlistOut.of(signals.watchlist, from_settings=signals.is_watchlist_from_settings)
