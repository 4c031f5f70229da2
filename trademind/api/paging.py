"""Lists in pages, by cursor.

A cursor names the last item that was given, not a count of items, so that an order placed between two
pages neither repeats one nor hides one. To its holder it is opaque.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
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


Position = tuple[int, str]
"""A number that says where an item stands, and a name unique among those at the same place."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(time: datetime) -> int:
    """A time as a position's number: microseconds since 1970."""
    return (time - _EPOCH) // _MICROSECOND


def time_of(number: int) -> datetime:
    """The time of a position's number. Raises `OverflowError` for one that no time has."""
    return _EPOCH + number * _MICROSECOND


def newest_first(
    items: Iterable[T], *, key: Callable[[T], Position], limit: int, token: str | None, of: str
) -> tuple[list[T], str | None]:
    """One page of `items` in descending order of `key`.

    Returns the page and the token of the next one, None on the last. `of` names the list, so that another
    one's token is told from its own.

    Raises:
        Invalid: a token that no page of this list gave.
    """
    ordered = sorted(items, key=key, reverse=True)
    if token is not None:
        after = decode(of, token)
        ordered = [item for item in ordered if key(item) < after]
    page = ordered[:limit]
    return page, encode(of, key(page[-1])) if len(ordered) > limit else None


def encode(of: str, position: Position) -> str:
    """A position as an opaque token, safe in a URL."""
    return base64.urlsafe_b64encode(json.dumps([of, *position]).encode()).decode().rstrip("=")


def decode_stored(of: str, token: str | None) -> Position | None:
    """The position in a token of a list that is read from the journal, whose numbers have 63 bits, and are
    times in some. None for no token; raises `Invalid` as `decode`."""
    if token is None:
        return None
    number, name = decode(of, token)
    try:
        time_of(number)
    except OverflowError as error:
        raise Invalid([("page_token", NOT_OURS)]) from error
    return number, name


def decode(of: str, token: str) -> Position:
    """The position in a token made by `encode`. Raises `Invalid` for any other text."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        made_of, number, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise Invalid([("page_token", NOT_OURS)]) from error
    if made_of != of or type(number) is not int or not isinstance(name, str):
        raise Invalid([("page_token", NOT_OURS)])
    return number, name
