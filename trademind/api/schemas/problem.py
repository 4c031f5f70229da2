"""The problem document (RFC 9457), which every refusal is."""

from typing import Any

from pydantic import Field

from trademind.api.schemas.base import Out


class FieldError(Out):
    field: str = Field(examples=["limit_price"])
    message: str = Field(examples=["a LMT order needs it"])


class Problem(Out):
    type: str = Field(examples=["urn:trademind:error:invalid"])
    title: str = Field(examples=["The request is invalid"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["limit_price: a LMT order needs it"])
    instance: str = Field(description="The path that was asked.", examples=["/api/orders"])
    code: str = Field(description="Stable; docs/errors.md lists them all.", examples=["invalid"])
    ib_code: int | None = Field(description="IB's own code, where IB gave one.")
    retry_safe: bool = Field(description="May the same request simply be made again?")
    request_id: str = Field(description="Also in the X-Request-ID header, and in the log.")
    advice: str | None = Field(default=None, description="What to do about this kind of failure.")
    errors: list[FieldError] = Field(default=[], description="Which field, and what is wrong with it.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries for the problems a route may answer with, beside those that any route may."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in (403, *statuses, 500)
    }


_MEANING = {
    400: "The body is not JSON, or ambiguous",
    403: "Not allowed: foreign Host or Origin, a live account without ALLOW_LIVE, a risk limit",
    404: "No such thing",
    409: "In conflict: the key was used for another order, several contracts match, the order is done, or "
    "others work against it",
    413: "The request is too large",
    415: "The body is not declared as JSON",
    422: "Invalid: `errors` says which field and why",
    423: "Trading is halted",
    429: "Too many requests for IB's limits; see Retry-After",
    500: "TradeMind has failed",
    502: "The gateway refused; `ib_code` says why",
    503: "Not connected or not synchronised, or the journal takes no order; see Retry-After",
    504: "No answer in time. For an order: look before you try again (`retry_safe` is false)",
}
