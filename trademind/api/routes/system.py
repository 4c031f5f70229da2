"""The session with the gateway, and what the server runs on."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter

from trademind.api.deps import BrokerDep, SettingsDep, WatchDep
from trademind.api.schemas.problem import problems
from trademind.api.schemas.system import ConnectionOut, LoopLagOut

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
async def reconnect(broker: BrokerDep, settings: SettingsDep, watch: WatchDep) -> ConnectionOut:
    """Give the present connection up and make a new one. What becomes of it is told by `/connection`.

    Calls that wait are told at once, and orders without an acknowledgement become `unknown` until IB has
    listed them, so this is for a session that is stuck, or one that had given up.
    """
    await broker.reconnect()
    return await connection(broker, settings, watch)
