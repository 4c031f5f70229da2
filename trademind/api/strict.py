"""Bodies that mean one thing.

JSON lets a name appear twice in an object and every parser picks its own. An order with two quantities
must not depend on that, so it is refused, and so is a body that does not say it is JSON.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from trademind.errors import Malformed, UnsupportedMediaType

MAX_ECHO = 80


class StrictRoute(APIRoute):
    """A route whose body, where it takes one, is read by `parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def strict(request: Request) -> Response:
            request = _StrictRequest(request.scope, request.receive)
            try:
                body = await request.body()
            except ClientDisconnect as error:
                # Nobody is there to read this, but it is no fault of ours, and nothing was done.
                raise Malformed("the connection broke before the body was there") from error
            if body:
                content_type = request.headers.get("content-type", "")
                if content_type.partition(";")[0].strip().lower() != "application/json":
                    given = content_type[:MAX_ECHO] or "without a type"
                    raise UnsupportedMediaType(f"send the body as application/json, not {given}")
                request.parsed = parse(body)
            return await handler(request)

        return strict


class _StrictRequest(Request):
    parsed: Any = None

    async def json(self) -> Any:
        return self.parsed


def parse(body: bytes) -> Any:
    """The value of a JSON text. Raises `Malformed`."""
    try:
        return json.loads(body, object_pairs_hook=_once)
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except ValueError as error:
        # Not JSON, not UTF-8, or an integer with thousands of digits.
        raise Malformed(f"the body is not JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"the field {twice[:MAX_ECHO]!r} is there more than once")
    return fields
