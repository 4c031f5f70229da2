"""What the table of requests says of each, and the readers that several have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trademind.gateway.wire.fields import FieldReader

Reader = Callable[[FieldReader, int], Any]
"""Reads the fields after the message id, in the layout of a version."""


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """One request of the text protocol."""

    name: str
    """What IB's own client calls it."""
    request_id_at: int | None
    """The index of its request id (or order id) among its fields; None where it has none."""
    read: Reader | None = None
    """None: the request is known, and not served."""
    since: int = 0
    """The version that brought it; 0 where every version served has it."""


@dataclass(frozen=True, slots=True)
class Number:
    """A request of one number: a request id to cancel, or whatever the class says."""

    number: int


@dataclass(frozen=True, slots=True)
class Bare:
    """A request that says all by being sent."""


@dataclass(frozen=True, slots=True)
class UnservedRequest:
    """A request that IB has and the paper gateway does not serve."""

    message_id: int
    req_id: int


def bare(kind: Callable[[], Any]) -> Reader:
    def read(reader: FieldReader, version: int) -> Any:
        return kind()

    return read


def number(kind: Callable[[int], Any], *, skip: int = 1) -> Reader:
    """A request of one number, after `skip` fields; one where it begins with its own version number."""

    def read(reader: FieldReader, version: int) -> Any:
        reader.skip(skip)
        return kind(reader.integer())

    return read


def account_model(kind: Callable[[int, str, str], Any], *, skip: int = 1) -> Reader:
    def read(reader: FieldReader, version: int) -> Any:
        reader.skip(skip)
        return kind(reader.integer(), reader.name("account"), reader.name("model code"))

    return read
