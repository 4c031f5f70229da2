"""One client of `/api/stream`: what it asks for, and what it is sent.

The connection has two sides that never wait for each other. One reads the client's commands and answers them;
the other takes events from the broker's stream and sends them. A client that does not read is closed: its
events wait up to a bound, its socket up to a deadline.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from trademind.aio import Tasks
from trademind.api.schemas.base import time
from trademind.api.schemas.stream import CommandIn, Frame, data_of
from trademind.brokers.base import Broker
from trademind.brokers.streams import EventStream
from trademind.domain import Channel, Contract
from trademind.errors import Invalid, Malformed, StreamOverrun, TradeMindError

log = logging.getLogger(__name__)

HEARTBEAT: Final = 10.0
"""Seconds without a frame after which the client is told that the connection lives."""
SEND_WITHIN: Final = 10.0
"""Seconds in which a client has to take a frame."""
MAX_COMMAND: Final = 64 * 1024
"""Characters of a command."""
TOO_SLOW: Final = 4008
GOING_AWAY: Final = 1012
"""Service restart: the client is to connect again."""


class Connection:
    """`await Connection(websocket, broker).serve()` until either side ends it."""

    def __init__(self, websocket: WebSocket, broker: Broker) -> None:
        self._websocket = websocket
        self._broker = broker
        self._sending = asyncio.Lock()
        self._instruments: dict[int, Contract] = {}

    async def serve(self) -> None:
        """Raises nothing: whatever ends the connection has been told to the client, if it is there."""
        await self._websocket.accept()
        tasks = Tasks()
        async with self._broker.stream() as stream:
            # Whoever subscribes to nothing has nothing that could have gaps.
            sender = tasks.spawn(
                self._send_events(stream), name="stream sender", expected=WebSocketDisconnect
            )
            reader = tasks.spawn(
                self._read_commands(stream), name="stream reader", expected=WebSocketDisconnect
            )
            try:
                await asyncio.wait({sender, reader}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.cancel_all()

    # What it is sent ---------------------------------------------------------------------------

    async def _send_events(self, stream: EventStream) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        frame = Frame.of(await anext(stream))
                except TimeoutError:
                    frame = Frame(type="heartbeat", ts=_now())
                await self._send(frame)
        except StopAsyncIteration:
            await self._close(GOING_AWAY, "the server is stopping")
        except (StreamOverrun, TimeoutError):
            await self._close(TOO_SLOW, "too slow: connect again and read the present state")

    async def _send(self, frame: Frame) -> None:
        unset = {name for name in ("channel", "id", "data") if getattr(frame, name) is None}
        text = frame.model_dump_json(exclude=unset)
        async with self._sending, asyncio.timeout(SEND_WITHIN):
            await self._websocket.send_text(text)

    async def _close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(SEND_WITHIN):
                    await self._websocket.close(code, reason)

    # What it asks for --------------------------------------------------------------------------

    async def _read_commands(self, stream: EventStream) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            identity = None
            try:
                found = _read(message.get("text"))
                identity = found.get("id") if isinstance(found.get("id"), str | int) else None
                await self._obey(stream, _command(found))
            except TradeMindError as error:
                await self._send_error(error, identity)

    async def _obey(self, stream: EventStream, command: CommandIn) -> None:
        channels = command.channels
        if command.action == "unsubscribe":
            stream.unfollow(*channels.chosen)
            for wanted in channels.instruments():
                for con_id, contract in list(self._instruments.items()):
                    if con_id == wanted.con_id or contract.symbol == (wanted.symbol or "").strip().upper():
                        del self._instruments[con_id]
                        stream.unwatch(con_id)
            await self._acknowledge(stream, command)
            return
        # Followed first and read then, so that nothing falls between the two.
        stream.follow(*channels.chosen)
        await self._acknowledge(stream, command)
        for channel in channels.chosen:
            await self._send_snapshot(channel, command)
        for wanted in channels.instruments():
            try:
                contract = await stream.watch(wanted.query())
                self._instruments[contract.con_id] = contract
            except TradeMindError as error:
                about = {"symbol": wanted.symbol, "con_id": wanted.con_id}
                await self._send_error(error, command.id, Channel.QUOTES, **about)

    async def _acknowledge(self, stream: EventStream, command: CommandIn) -> None:
        await self._send(
            Frame(
                type="ack",
                id=command.id,
                ts=_now(),
                data={"channels": sorted(stream.follows)},
            )
        )

    async def _send_snapshot(self, channel: Channel, command: CommandIn) -> None:
        try:
            values: Sequence[Any]
            match channel:
                case Channel.ORDERS:
                    values = await self._broker.get_orders()
                case Channel.EXECUTIONS:
                    values = await self._broker.get_executions()
                case Channel.ACCOUNT:
                    values = [await self._broker.get_account()]
                case _:
                    values = [self._broker.session]
        except TradeMindError as error:
            await self._send_error(error, command.id, channel)
            return
        data = [data_of(value) for value in values]
        await self._send(Frame(type="snapshot", channel=channel, id=command.id, ts=_now(), data=data))

    async def _send_error(
        self, error: TradeMindError, identity: str | int | None, channel: Channel | None = None, **about: Any
    ) -> None:
        data = {
            **error.extra,
            **{name: value for name, value in about.items() if value is not None},
            "code": error.code,
            "detail": error.detail,
            "ib_code": error.ib_code,
            "retry_safe": error.retry_safe,
        }
        await self._send(Frame(type="error", channel=channel, id=identity, ts=_now(), data=data))


def _read(text: str | None) -> dict[str, Any]:
    if text is None or len(text) > MAX_COMMAND:
        raise Malformed(f"a command is JSON text of at most {MAX_COMMAND} characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("that is not JSON") from None
    if not isinstance(found, dict):
        raise Malformed('a command is an object, as {"action": "subscribe", "channels": {"orders": true}}')
    return found


def _command(found: dict[str, Any]) -> CommandIn:
    try:
        return CommandIn.model_validate(found)
    except ValidationError as error:
        raise Invalid(
            [(".".join(str(part) for part in e["loc"]), e["msg"]) for e in error.errors(include_url=False)]
        ) from None


def _now() -> str:
    return time(datetime.now(UTC))
