"""Lists in pages, by cursor.

A cursor names the last item that was given, not a count of items, so that an order placed between two
pages neither repeats one nor hides one. To its holder it is opaque.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import Field

from trademind.errors import Invalid

T = TypeVar("T")

MAX_PAGE = 500
Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description=f"At most {MAX_PAGE} items.")]
PageToken = Annotated[
    str | None, Field(max_length=500, description="The `next_page_token` of the page before.")
]

NOT_OURS = "is not one that this list gave; start again without it"


def newest_first(
    items: Iterable[T], *, key: Callable[[T], tuple[datetime, str]], limit: int, token: str | None
) -> tuple[list[T], str | None]:
    """One page of `items` in descending order of `key` (a time and a name unique among them).

    Returns the page and the token of the next one, None on the last.

    Raises:
        Invalid: a token that no page gave.
    """
    ordered = sorted(items, key=key, reverse=True)
    if token is not None:
        after = decode(token)
        ordered = [item for item in ordered if key(item) < after]
    page = ordered[:limit]
    return page, encode(key(page[-1])) if len(ordered) > limit else None


def encode(position: tuple[datetime, str]) -> str:
    """A position as an opaque token, safe in a URL."""
    moment, name = position
    return base64.urlsafe_b64encode(json.dumps([moment.isoformat(), name]).encode()).decode().rstrip("=")


def decode(token: str) -> tuple[datetime, str]:
    """The position in a token made by `encode`. Raises `Invalid` for any other text."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        moment, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(name, str):
            raise TypeError("a position is a time and a name")
        # A naive time could not be compared with the items' own.
        return datetime.fromisoformat(moment).astimezone(UTC), name
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error) as error:
        raise Invalid([("page_token", NOT_OURS)]) from error
