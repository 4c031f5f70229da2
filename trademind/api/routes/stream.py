"""The WebSocket: orders, fills, figures, quotes and the session itself, as they change."""

from fastapi import APIRouter, WebSocket

from trademind.api.deps import FeedDep, HubDep
from trademind.api.streaming import Connection

router = APIRouter()


@router.websocket("/api/stream")
async def stream(websocket: WebSocket, feed: FeedDep, hub: HubDep) -> None:
    """See docs/session-contract.md for the frames."""
    await Connection(websocket, feed, hub).serve()
