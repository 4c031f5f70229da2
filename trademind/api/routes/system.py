"""The session with the gateway, and what the server runs on."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from trademind.api.deps import BrokerDep, CallerDep, JournalDep, OrderEntryDep, SettingsDep, WatchDep, as_of
from trademind.api.paging import Limit, PageToken, decode_stored, encode
from trademind.api.schemas.base import In, time
from trademind.api.schemas.problem import problems
from trademind.api.schemas.system import AuditPage, CommandOut, ConnectionOut, LoopLagOut, ReconciledOut
from trademind.domain import OrderStatus, SessionState

router = APIRouter(prefix="/api/system", tags=["system"])


@router.get("/connection", responses=problems())
async def connection(broker: BrokerDep, settings: SettingsDep, watch: WatchDep) -> ConnectionOut:
    """Where the session stands. Answers whether or not there is one."""
    return ConnectionOut.of(
        broker.session,
        broker=settings.broker.value,
        event_loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
        # nest_asyncio leaves this mark on the module it has patched.
        nest_asyncio=hasattr(asyncio, "_nest_patched"),
        loop_lag=LoopLagOut.of(watch),
        as_of=datetime.now(UTC),
    )


@router.post("/reconnect", status_code=202, responses=problems())
async def reconnect(
    broker: BrokerDep, settings: SettingsDep, watch: WatchDep, entry: OrderEntryDep, caller: CallerDep
) -> ConnectionOut:
    """Give the present connection up and make a new one. What becomes of it is told by `/connection`.

    Calls that wait are told at once, and orders without an acknowledgement become `unknown` until IB has
    listed them, so this is for a session that is stuck, or one that had given up.
    """
    await entry.reconnect(by=caller)
    return await connection(broker, settings, watch)


@router.post("/reconcile", responses=problems(429, 502, 503, 504))
async def reconcile(broker: BrokerDep, entry: OrderEntryDep, caller: CallerDep) -> ReconciledOut:
    """Have IB list all orders and fills now, and tell how things stand after it.

    That happens by itself on every connection and every half minute; this is for whoever has just done
    something by hand, or wants to be sure.
    """
    orders = await entry.reconcile(by=caller)
    session = broker.session
    return ReconciledOut(
        account_id=session.account_id,
        source=session.source,
        as_of=time(as_of(session)),
        stale=session.state is not SessionState.READY,
        working=sum(not order.status.is_done for order in orders),
        external=sum(order.external for order in orders),
        unknown=[order.id for order in orders if order.status is OrderStatus.UNKNOWN],
    )


class AuditFilter(In):
    limit: Limit = 100
    page_token: PageToken = None


@router.get("/audit", responses=problems(422, 503))
async def audit(journal: JournalDep, wanted: Annotated[AuditFilter, Query()]) -> AuditPage:
    """The commands that were given, newest first: who, what, when, from where, and what came of it."""
    page = await journal.reading.audit(limit=wanted.limit, before=decode_stored("audit", wanted.page_token))
    return AuditPage(
        commands=[CommandOut.of(entry) for entry in page.items],
        next_page_token=None if page.next is None else encode("audit", page.next),
    )
