"""The stream that one writes first: every tick, to every client, by `send_json`, over bare ib_async.

    python -m tests.bench.naive_stream PORT GATEWAY_PORT LINES

Ticks go through a queue, as the callback that they come in cannot wait. There is no journal and no session to
look after, and what is sent has the fields of TradeMind's quotes.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import ib_async
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from trademind.api.schemas.market import QuoteOut
from trademind.gateway.engine.instruments import INSTRUMENTS


def create_app(gateway_port: int, lines: int) -> FastAPI:
    ib = ib_async.IB()
    ticks: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    clients: set[WebSocket] = set()

    def on_tickers(tickers: set[ib_async.Ticker]) -> None:
        for ticker in tickers:
            ticks.put_nowait(_fields(ticker))

    async def broadcast() -> None:
        while True:
            data = await ticks.get()
            await asyncio.sleep(0)  # with a full queue nobody would be let in otherwise
            for client in list(clients):
                with suppress(RuntimeError, WebSocketDisconnect):
                    await client.send_json({"type": "event", "channel": "quotes", "data": data})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await ib.connectAsync("127.0.0.1", gateway_port, clientId=7, readonly=True)
        for instrument in INSTRUMENTS[:lines]:
            contract = ib_async.Contract(
                conId=instrument.con_id, symbol=instrument.symbol, secType="STK", exchange="SMART"
            )
            ib.reqMktData(contract)
        ib.pendingTickersEvent += on_tickers
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(broadcast())
            yield
            sending.cancel()
            ib.disconnect()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.websocket("/api/stream")
    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        clients.add(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            clients.discard(websocket)

    return app


def _fields(ticker: ib_async.Ticker) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(QuoteOut.model_fields)
    contract = ticker.contract
    return fields | {
        "symbol": contract.symbol if contract else None,
        "con_id": contract.conId if contract else None,
        "sec_type": "STK",
        "currency": "USD",
        "bid": ticker.bid,
        "ask": ticker.ask,
        "last": ticker.last,
        "bid_size": ticker.bidSize,
        "ask_size": ticker.askSize,
        "stale": False,
        "missing": [],
        "notices": [],
        "as_of": datetime.now(UTC).isoformat(),
    }


if __name__ == "__main__":
    uvicorn.run(
        create_app(int(sys.argv[2]), int(sys.argv[3])),
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
