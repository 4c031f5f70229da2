"""One client's connection, without I/O: bytes in, events out; messages in, bytes out.

    GREETING --`API`--> OFFER --a range of versions--> START_API --start API--> READY
       |                  |                               |                       |
       +------------------+---------- anything else ------+--- protocol error ----+--> CLOSED

Whoever owns the socket gives what it reads to `receive_data`, takes events from `next_event` until there
are none, and writes what `data_to_send` returns. After `CLOSED` what is left to send is sent, and the
socket is closed.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from trademind.gateway import codes
from trademind.gateway.wire.fields import FieldError, decode_fields, encode_fields
from trademind.gateway.wire.frames import FrameBuffer, ProtocolError, encode_frame
from trademind.gateway.wire.messages import Error, Message
from trademind.gateway.wire.reading import message_id, read_request
from trademind.gateway.wire.requests.session import StartApi
from trademind.gateway.wire.times import EASTERN
from trademind.gateway.wire.versions import MAX_VERSION, MIN_VERSION, negotiate

log = logging.getLogger(__name__)

GREETING: Final = b"API\0"
START_API: Final = 71
MAX_CLIENT_ID: Final = 2**31 - 1


class ConnectionState(Enum):
    GREETING = "waiting for the letters that the protocol begins with"
    OFFER = "waiting for the range of versions"
    START_API = "version agreed; waiting for the client id"
    READY = "serving requests"
    CLOSED = "nothing more is read"


TRANSITIONS: Final = {
    ConnectionState.GREETING: {ConnectionState.OFFER, ConnectionState.CLOSED},
    ConnectionState.OFFER: {ConnectionState.START_API, ConnectionState.CLOSED},
    ConnectionState.START_API: {ConnectionState.READY, ConnectionState.CLOSED},
    ConnectionState.READY: {ConnectionState.CLOSED},
    ConnectionState.CLOSED: set[ConnectionState](),
}


@dataclass(frozen=True, slots=True)
class ClientStarted:
    """The handshake is done and the client has said who it is."""

    client_id: int


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request: its fields, beginning with the message id."""

    fields: list[str]


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """The peer does not speak the protocol; the connection is closed."""

    reason: str


Event = ClientStarted | RequestReceived | ConnectionFailed


class Connection:
    """The state machine of one connection.

    Args:
        connected_at: When the client connected; told to it in the answer to its handshake.
    """

    def __init__(self, connected_at: datetime) -> None:
        self._connected_at = connected_at
        self._state = ConnectionState.GREETING
        self._received = FrameBuffer()
        self._outgoing = bytearray()
        self.version = 0
        """The version agreed; 0 before."""
        self.options = ""
        """What the client wrote behind its range of versions, such as `+PACEAPI`."""

    @property
    def state(self) -> ConnectionState:
        return self._state

    def _enter(self, state: ConnectionState) -> None:
        if state not in TRANSITIONS[self._state]:
            raise RuntimeError(f"no way from {self._state.name} to {state.name}")
        log.debug("connection: %s -> %s", self._state.name, state.name)
        self._state = state

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the socket; look at the result with `next_event`."""
        if self._state is not ConnectionState.CLOSED:
            self._received.feed(data)

    def next_event(self) -> Event | None:
        """The next thing that happened, or None until more data has come."""
        try:
            return self._next_event()
        except ProtocolError as error:
            self.close()
            return ConnectionFailed(str(error))

    def _next_event(self) -> Event | None:
        if self._state is ConnectionState.CLOSED:
            return None
        if self._state is ConnectionState.GREETING and not self._take_greeting():
            return None
        payload = self._received.next_frame()
        if payload is None:
            return None
        if self._state is ConnectionState.OFFER:
            self._agree(payload)
            return self._next_event()
        fields = decode_fields(payload)
        try:
            kind = message_id(fields)
        except FieldError as error:
            raise ProtocolError(f"a message without an id: {error}") from error
        if self._state is ConnectionState.READY:
            return RequestReceived(fields)
        if kind != START_API:
            raise ProtocolError(f"message {kind} before the API was started")
        return self._start(fields)

    def _take_greeting(self) -> bool:
        """Whether the greeting is complete. What cannot become one is refused at its first byte."""
        head = self._received.peek(len(GREETING))
        if not GREETING.startswith(head):
            raise ProtocolError(f"the connection begins with {head!r}, not with {GREETING!r}")
        if self._received.take(len(GREETING)) is None:
            return False
        self._enter(ConnectionState.OFFER)
        return True

    def _agree(self, offer: bytes) -> None:
        """Answer the client's range of versions with the version to speak."""
        text = offer.decode("ascii", "backslashreplace")
        try:
            agreed = negotiate(text)
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        if agreed is None:
            refusal = f"Unsupported version. This gateway speaks API versions {MIN_VERSION} to {MAX_VERSION}."
            self._frame(Error(req_id=-1, code=506, text=refusal).encode(MIN_VERSION))
            raise ProtocolError(f"no version in common with {offer[:60]!r}")
        self.version = agreed
        self.options = text.partition(" ")[2]
        connected_at = self._connected_at.astimezone(EASTERN)
        self._frame(encode_fields((agreed, f"{connected_at:%Y%m%d %H:%M:%S %Z}")))
        self._enter(ConnectionState.START_API)

    def _start(self, fields: list[str]) -> ClientStarted:
        try:
            request = read_request(fields, self.version)
        except FieldError as error:
            raise ProtocolError(f"the request to start the API: {error}") from error
        assert isinstance(request, StartApi)
        if not 0 <= request.client_id <= MAX_CLIENT_ID:
            text = f"The client id is not in 0 to {MAX_CLIENT_ID}."
            self.send(Error(req_id=-1, code=codes.VALIDATING, text=codes.invalid(text)))
            raise ProtocolError(f"the client id {request.client_id}")
        self._enter(ConnectionState.READY)
        return ClientStarted(request.client_id)

    def send(self, message: Message) -> None:
        """Queue a message for `data_to_send`. After closing, nothing is queued any more."""
        if self._state is not ConnectionState.CLOSED:
            self._frame(message.encode(self.version))

    def send_frames(self, frames: bytes) -> None:
        """Queue what is framed already, as `send` does."""
        if self._state is not ConnectionState.CLOSED:
            self._outgoing += frames

    def _frame(self, payload: bytes) -> None:
        self._outgoing += encode_frame(payload)

    @property
    def unsent(self) -> int:
        """How many bytes wait for `data_to_send`."""
        return len(self._outgoing)

    def discard(self, after: int) -> None:
        """Forget what was queued after the first bytes."""
        del self._outgoing[after:]

    def data_to_send(self) -> bytes:
        """Everything queued since the last call."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def close(self) -> None:
        """Stop reading. What is queued can still be sent."""
        if self._state is not ConnectionState.CLOSED:
            self._enter(ConnectionState.CLOSED)
            self._received = FrameBuffer()
