"""The guard in front of every request: who may ask, how much may be sent, and the last catch.

A trading server on loopback is within reach of every web page in the user's browser. Two checks keep
pages out: the Host header must be one of ours (a page that rebinds its own name to 127.0.0.1 still sends
its own name), and whatever changes something must not carry another site's Origin.

Written as one plain ASGI layer with one pass over the headers, because every request pays for it.
"""

import asyncio
import itertools
import logging
import re
import secrets
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trademind.api.errors import problem, problem_headers
from trademind.errors import (
    HostNotAllowed,
    InternalError,
    OrderOutcomeUnknown,
    OriginNotAllowed,
    TooLarge,
    TradeMindError,
    Unavailable,
)

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024
"""Bytes of a request's body. An order takes a few hundred."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(rb"(\[[0-9a-f:.]+\]|[^\s:/@\[\]]+)(?::[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Guard:
    """Host, Origin, body size, request id, and a problem document for what nobody expected.

    Args:
        app: The application behind it.
        allowed_hosts: Names that the Host header may have, without port.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Iterable[str]) -> None:
        self.app = app
        self._hosts = frozenset(name.lower().encode() for name in allowed_hosts)
        # Ids are unique within this server by the counter, and between its runs by the prefix.
        self._prefix = secrets.token_hex(4).encode() + b"-"
        self._counter = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        host = origin = length = given_id = None
        hosts = 0
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                hosts += 1
            elif name == b"origin":
                # Two of them are one that is no server's.
                origin = value if origin is None else origin + b", " + value
            elif name == b"content-length":
                length = value
            elif name == b"x-request-id":
                given_id = value

        if given_id is None or not _REQUEST_ID.fullmatch(given_id):
            given_id = self._prefix + b"%x" % next(self._counter)
        request_id = given_id.decode()
        scope.setdefault("state", {})["request_id"] = request_id
        extra = ((b"x-request-id", given_id), (b"cache-control", b"no-store"))
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        try:
            self._check(scope, host if hosts == 1 else None, origin)
            if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
                receive = await _bounded(receive, length)
            await self.app(scope, receive, answer)
        except TradeMindError as error:
            if started:
                raise
            await _refuse(scope, answer, error, request_id)
        except asyncio.CancelledError:
            # The server is stopping and waits no longer. Whoever sent a command must not take that for a no.
            if not started:
                await _refuse(scope, answer, _cut_short(scope), request_id)
            raise
        except Exception:
            # The edge of the request: a fault of ours, which the caller learns of without its details.
            log.exception("%s %s failed (request %s)", scope.get("method", "WS"), scope["path"], request_id)
            if started:
                raise
            detail = f"TradeMind has failed; its log has the reason under request {request_id}"
            await _refuse(scope, answer, InternalError(detail), request_id)

    def _check(self, scope: Scope, host: bytes | None, origin: bytes | None) -> None:
        match = _HOST.fullmatch(host.lower()) if host is not None else None
        if match is None or match[1] not in self._hosts:
            shown = "none" if host is None else repr(host.decode("latin-1"))
            raise HostNotAllowed(
                f"the Host header ({shown}) is not an allowed one; if this name is the server's, "
                "add it to TRADEMIND_SERVER__ALLOWED_HOSTS"
            )
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS
        if changes and origin is not None and host is not None:
            _, separator, site = origin.lower().partition(b"://")
            if (
                not separator
                or site != host.lower()
                or not origin.lower().startswith((b"http://", b"https://"))
            ):
                raise OriginNotAllowed(
                    f"a page of {origin.decode('latin-1')!r} may not change anything here; "
                    "only pages of this server may"
                )


def _cut_short(scope: Scope) -> TradeMindError:
    if scope["type"] == "http" and scope["method"] not in _SAFE_METHODS:
        return OrderOutcomeUnknown(
            "the server stopped before the answer was there; see what became of it before trying again"
        )
    return Unavailable("the server is stopping")


async def _bounded(receive: Receive, length: bytes | None) -> Receive:
    """A `receive` that gives at most `MAX_BODY` bytes of body. Raises `TooLarge`.

    With a Content-Length the server sees to it that no more comes. A body that is sent in chunks is read
    here, so that it is refused before anyone has acted on a part of it.
    """
    too_large = TooLarge(f"the body has more than {MAX_BODY} bytes")
    if length is not None:
        if not length.isdigit() or int(length[:20]) > MAX_BODY:
            raise too_large
        return receive
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise too_large
        if not message.get("more_body", False):
            break
    whole: Message | None = {"type": "http.request", "body": b"".join(chunks), "more_body": False}
    if message["type"] != "http.request":
        whole = message  # the client has gone

    async def replay() -> Message:
        nonlocal whole
        if whole is not None:
            message, whole = whole, None
            return message
        return await receive()

    return replay


async def _refuse(scope: Scope, send: Send, error: TradeMindError, request_id: str) -> None:
    if scope["type"] == "websocket":
        # Closed before it was accepted: the server turns that into a plain 403.
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
        return
    body = problem(error, instance=scope["path"], request_id=request_id)
    headers = [(name.encode(), value.encode()) for name, value in problem_headers(error).items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
