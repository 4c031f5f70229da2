"""From fields to requests, by the table of requests."""

from collections.abc import Sequence
from typing import Any

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import FieldError, FieldReader
from trademind.gateway.wire.requests import REQUESTS, UnservedRequest

NO_REQUEST_ID = -1


class UnknownRequest(Exception):
    """The message id is none of IB's."""


def message_id(fields: Sequence[str]) -> int:
    """The id that a message begins with.

    Raises:
        FieldError: there is none, so this is not a message at all.
    """
    return FieldReader(fields).integer(default=-1)


def request_id(fields: Sequence[str], version: int) -> int:
    """The request or order id of any request, or -1 where it has none or it cannot be read.

    Known of every request, served or not, so that an error can always be told to the one who asked.
    """
    spec = REQUESTS.get(message_id(fields))
    position = None if spec is None else spec.request_id_at
    if position is None or position >= len(fields):
        return NO_REQUEST_ID
    if fields[0] == "4" and version >= versions.CME_TAGGING:
        position = 1
    try:
        return FieldReader(fields[position : position + 1]).integer(default=NO_REQUEST_ID)
    except FieldError:
        return NO_REQUEST_ID


def read_request(fields: Sequence[str], version: int) -> Any:
    """The request in `fields`, laid out for `version`: an instance of one of the classes of `requests`.

    Raises:
        FieldError: a field is missing or is not what it should be.
        UnknownRequest: the message id is none of IB's.
    """
    kind = message_id(fields)
    spec = REQUESTS.get(kind)
    if spec is None:
        raise UnknownRequest(kind)
    if spec.read is None:
        return UnservedRequest(kind, request_id(fields, version))
    return spec.read(FieldReader(fields[1:]), version)
