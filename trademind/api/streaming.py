"""One client of `/api/stream`: what it asks for, and what it is sent.

The connection has three sides that never wait for each other. One reads the client's commands and answers
them; one takes events from a stream and sends them; one flushes market data at the pace that the client has
chosen. A client that does not read is closed: its events wait up to a bound, its socket up to a deadline. It
comes back with the number of the last event it has seen.
"""

import asyncio
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from trademind.aio import Tasks
from trademind.api.market_frames import joined_frames, single_frames
from trademind.api.schemas.base import time
from trademind.api.schemas.stream import CommandIn, Frame, Wanted, data_of
from trademind.brokers.streams import EventStream
from trademind.domain import Channel, State
from trademind.errors import Invalid, Malformed, StateNotKept, StreamOverrun, TradeMindError
from trademind.market.hub import Hub

log = logging.getLogger(__name__)

HEARTBEAT: Final = 10.0
"""Seconds without a frame after which the client is told that the connection lives."""
SEND_WITHIN: Final = 10.0
"""Seconds in which a client has to take a frame."""
FRAMES_IN_A_ROW: Final = 20
"""Frames of market data to one client until others have their turn."""
LAST_WORDS: Final = 1.0
"""Seconds in which it has to take the last ones when the server stops."""
PAGE: Final = 200
"""Things in one frame of a snapshot: some 100 kB, which every client takes, and little work at a time."""
MAX_COMMAND: Final = 64 * 1024
"""Characters of a command."""
TOO_SLOW: Final = 4008
GOING_AWAY: Final = 1012
"""Service restart: the client is to connect again."""
TRY_AGAIN_LATER: Final = 1013


class Source(Protocol):
    """Where streams come from: the feed, or a broker, whose events have no numbers."""

    def stream(self, *channels: Channel) -> EventStream: ...


class Connection:
    """`await Connection(websocket, feed, hub).serve()` until either side ends it."""

    def __init__(self, websocket: WebSocket, source: Source, hub: Hub) -> None:
        self._websocket = websocket
        self._source = source
        self._market = hub.open()
        self._interval_ms: int | None = None
        """As the client has set it; each value is a frame of its own as long as it has not."""
        self._flushing = asyncio.Lock()
        """Held while a batch is sent: what is unfollowed meanwhile is acknowledged after it."""
        self._sending = asyncio.Lock()
        self._sent_at = asyncio.get_running_loop().time()

    async def serve(self) -> None:
        """Raises nothing: whatever ends the connection has been told to the client, if it is there."""
        await self._websocket.accept()
        tasks = Tasks()
        async with self._source.stream() as stream, self._market:
            sides = {
                tasks.spawn(self._send_market(), name="market sender", expected=WebSocketDisconnect),
                tasks.spawn(self._send_events(stream), name="stream sender", expected=WebSocketDisconnect),
                tasks.spawn(self._read_commands(stream), name="stream reader", expected=WebSocketDisconnect),
            }
            over = tasks.spawn(stream.is_over.wait(), name="stream over")
            try:
                done, _ = await asyncio.wait({*sides, over}, return_when=asyncio.FIRST_COMPLETED)
                if done == {over}:
                    await asyncio.wait(sides, timeout=LAST_WORDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await tasks.cancel_all()

    # What it is sent ---------------------------------------------------------------------------

    async def _send_events(self, stream: EventStream) -> None:
        try:
            loop = asyncio.get_running_loop()
            while True:
                try:
                    async with asyncio.timeout_at(self._sent_at + HEARTBEAT):
                        item = await anext(stream)
                except TimeoutError:
                    if loop.time() >= self._sent_at + HEARTBEAT:
                        await self._send(Frame(type="heartbeat", ts=_now()))
                    continue
                # Whoever follows nothing has nothing that could have gaps.
                if isinstance(item, State):
                    await self._send_state(item)
                else:
                    await self._send(Frame.of(item, lost={topic.channel for topic in self._market.topics}))
        except StopAsyncIteration:
            await self._close(GOING_AWAY, "the server is stopping")
        except (StreamOverrun, TimeoutError):
            await self._close_slow()
        except StateNotKept as error:
            # What is missing cannot be left out: it is read when the client comes back.
            with suppress(TimeoutError):
                await self._send_error(error, None)
            await self._close(TRY_AGAIN_LATER, "the journal cannot be read: connect again and resume")

    async def _send_market(self) -> None:
        try:
            while batch := await self._market.flush():
                async with self._flushing:
                    frames = single_frames if self._interval_ms is None else joined_frames
                    for number, text in enumerate(frames(batch, self._market.write), 1):
                        await self._send_text(text)
                        if number % FRAMES_IN_A_ROW == 0:
                            await self._market.turn()
            await asyncio.Event().wait()  # the other side has the last word
        except TimeoutError:
            await self._close_slow()

    async def _send_state(self, state: State) -> None:
        """In pages, between which others have their turn."""
        for begin in range(0, max(len(state.values), 1), PAGE):
            page = state.values[begin : begin + PAGE]
            await self._send(
                Frame(
                    type="snapshot",
                    channel=state.channel,
                    seq=state.seq,
                    ts=time(state.time),
                    data=[data_of(value) for value in page],
                    more=begin + PAGE < len(state.values),
                )
            )
            await asyncio.sleep(0)

    async def _send(self, frame: Frame) -> None:
        unset = {
            name for name in ("channel", "id", "seq", "name", "data", "more") if getattr(frame, name) is None
        }
        await self._send_text(frame.model_dump_json(exclude=unset))

    async def _send_text(self, text: str) -> None:
        async with self._sending, asyncio.timeout(SEND_WITHIN):
            try:
                await self._websocket.send_text(text)
            except RuntimeError as error:
                # The server has closed it meanwhile, for a ping that was not answered.
                raise WebSocketDisconnect(code=1006) from error
        self._sent_at = asyncio.get_running_loop().time()

    async def _close_slow(self) -> None:
        await self._close(TOO_SLOW, "too slow: connect again and resume after the last seq")

    async def _close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
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
            except TimeoutError:
                await self._close_slow()
                return
            # Commands that are there already are read without waiting: others have their turn in between.
            await asyncio.sleep(0)

    async def _obey(self, stream: EventStream, command: CommandIn) -> None:
        channels = command.channels
        if command.action == "unsubscribe":
            meant = [topic for wanted in channels.market for topic in wanted.among(self._market.topics)]
            stream.unfollow(*channels.chosen)
            async with self._flushing:
                for topic in meant:
                    self._market.unfollow(topic)
                await self._acknowledge(stream, command)
            return
        if command.since is not None:
            stream.check_known(command.since)
        async with self._flushing:
            if command.interval_ms is not None:
                self._interval_ms = command.interval_ms
                self._market.interval = command.interval_ms / 1000
            await self._acknowledge(stream, command)
        if command.since is not None:
            stream.resume(command.since, *channels.chosen)
        else:
            stream.follow(*channels.chosen)
        await asyncio.gather(*(self._watch(wanted, command.id) for wanted in channels.market))

    async def _watch(self, wanted: Wanted, identity: str | int | None) -> None:
        try:
            await self._market.follow(wanted.subject())
        except TradeMindError as error:
            named = wanted.named
            about = {name: getattr(named, name) or None for name in ("symbol", "con_id", "local_symbol")}
            await self._send_error(error, identity, wanted.channel, **about)

    async def _acknowledge(self, stream: EventStream, command: CommandIn) -> None:
        chosen = set(command.channels.chosen)
        follows = stream.follows | {topic.channel for topic in self._market.topics}
        if command.action != "unsubscribe":
            follows |= chosen
        data: dict[str, object] = {"channels": sorted(follows)}
        if self._interval_ms is not None:
            data["interval_ms"] = self._interval_ms
        await self._send(Frame(type="ack", id=command.id, ts=_now(), data=data))

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
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair could not be sent back
    except (ValueError, RecursionError):
        raise Malformed("that is not JSON, or has text in it that is no Unicode") from None
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
