"""Your own FastAPI app on an IB session: uvicorn examples.fastapi_app:app --port 8001"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from trademind import IBKRBroker


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, IBKRBroker]]:
    async with IBKRBroker(port=int(os.environ.get("TRADEMIND_IBKR__PORT", "7497")), client_id=8) as broker:
        yield {"broker": broker}


async def get_broker(request: Request) -> IBKRBroker:
    broker: IBKRBroker = request.state.broker
    return broker


app = FastAPI(lifespan=lifespan)


@app.get("/cash")
async def cash(broker: Annotated[IBKRBroker, Depends(get_broker)]) -> dict[str, str]:
    return {"cash": str((await broker.get_account()).total_cash_value)}
