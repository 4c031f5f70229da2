"""Every refusal becomes one problem document (RFC 9457), here and nowhere else.

Handlers for four families: TradeMind's own errors, FastAPI's validation, Starlette's routing errors
(404, 405), and, in `security.Guard` at the edge of the request, whatever nobody expected.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from trademind.errors import Invalid, Malformed, MethodNotAllowed, NotFound, TooLarge, TradeMindError

PROBLEM_JSON = "application/problem+json"
MAX_DETAIL = 2000
"""Characters of a detail. Details quote what was sent, which can be as long as a request."""


def problem(error: TradeMindError, *, instance: str, request_id: str) -> bytes:
    """The problem document of `error`, as JSON in ASCII: any text at all can be quoted in it."""
    return json.dumps(problem_document(error, instance=instance, request_id=request_id)).encode()


def problem_document(error: TradeMindError, *, instance: str, request_id: str) -> dict[str, Any]:
    """What there is to say of `error`, JSON-ready."""
    document: dict[str, Any] = {
        **error.extra,
        "type": f"urn:trademind:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail[:MAX_DETAIL],
        "instance": instance,
        "code": error.code,
        "ib_code": error.ib_code,
        "retry_safe": error.retry_safe,
        "request_id": request_id,
    }
    document.setdefault("errors", [])
    if error.advice:
        document.setdefault("advice", error.advice)
    return document


def problem_headers(error: TradeMindError) -> dict[str, str]:
    """The headers that go with it."""
    headers = {"content-type": PROBLEM_JSON}
    if error.retry_after is not None:
        headers["retry-after"] = str(error.retry_after)
    return headers


def problem_response(
    request: Request, error: TradeMindError, headers: dict[str, str] | None = None
) -> Response:
    """`error` as the answer to `request`."""
    body = problem(error, instance=request.url.path, request_id=request.scope["state"]["request_id"])
    return Response(body, error.status, {**(headers or {}), **problem_headers(error)})


async def _on_trademind_error(request: Request, error: TradeMindError) -> Response:
    return problem_response(request, error)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    # The value that was sent is left out: it is the caller's, can be huge, and need not even be JSON.
    found = [(_field(item["loc"]), _message(item)) for item in error.errors()]
    return problem_response(request, Invalid(found))


async def _on_http_error(request: Request, error: HTTPException) -> Response:
    path = request.url.path
    match error.status_code:
        case 404:
            mine: TradeMindError = NotFound(f"there is nothing at {path}; /docs lists what there is")
        case 405:
            allowed = _methods(request)
            mine = MethodNotAllowed(f"{path} takes {allowed or 'other methods'}, not {request.method}")
            if allowed:
                return problem_response(request, mine, {"allow": allowed})
        case 413:
            mine = TooLarge("the request is too large")
        case _:
            mine = Malformed(str(error.detail))
    return problem_response(request, mine, dict(error.headers or {}))


def _methods(request: Request) -> str:
    """Every method of the path. The framework's own answer names those of the first route that matches."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    for template, methods in paths.items():
        if compile_path(template)[0].match(request.url.path):
            return ", ".join(sorted(method.upper() for method in methods))
    return ""


def _field(location: tuple[int | str, ...]) -> str:
    """`("body", "notices", 0, "time")` as `notices.0.time`; the body itself as `body`."""
    where, *inside = location
    return ".".join(str(part) for part in inside) or str(where)


def _message(item: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    if item["type"] == "missing":
        return "is required"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


Handler = Callable[[Request, Any], Awaitable[Response]]


def add_handlers(app: FastAPI) -> None:
    """Let `app` answer every expected error with a problem document."""
    handlers: dict[type[Exception], Handler] = {
        TradeMindError: _on_trademind_error,
        RequestValidationError: _on_invalid,
        HTTPException: _on_http_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
