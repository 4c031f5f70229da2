"""What a message to a client is, and the messages about the session itself.

A message knows its content, not the client: `encode` lays it out for the version that a client speaks,
so one message can go to several clients.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trademind.gateway.wire import versions
from trademind.gateway.wire.fields import EscapedText, Value, encode_fields


class Message:
    """Something to tell a client."""

    __slots__ = ()

    def fields(self, version: int) -> Iterable[Value]:
        """The message's fields in the layout of `version`, beginning with the message id."""
        raise NotImplementedError

    def encode(self, version: int) -> bytes:
        """The payload of one frame."""
        return encode_fields(self.fields(version))


class Shared(Message):
    """A message that goes to several clients: laid out once for each version among them."""

    __slots__ = ("_encoded", "_message")

    def __init__(self, message: Message) -> None:
        self._message = message
        self._encoded: dict[int, bytes] = {}

    def fields(self, version: int) -> Iterable[Value]:
        return self._message.fields(version)

    def encode(self, version: int) -> bytes:
        encoded = self._encoded.get(version)
        if encoded is None:
            encoded = self._encoded[version] = self._message.encode(version)
        return encoded


class Encoded(Message):
    """A message that was laid out already, for the client it goes to."""

    __slots__ = ("_payload",)

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def encode(self, version: int) -> bytes:
        return self._payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Message):
    """An error, a warning or a notice; `req_id` is -1 where it is about no request."""

    req_id: int
    code: int
    text: str
    time_millis: int = 0
    advanced_reject: str = ""

    def fields(self, version: int) -> Iterator[Value]:
        yield 4
        if version < versions.ERROR_TIME:
            yield 2
        yield from (self.req_id, self.code, EscapedText(self.text))
        if version >= versions.ADVANCED_ORDER_REJECT:
            yield EscapedText(self.advanced_reject)
        if version >= versions.ERROR_TIME:
            yield self.time_millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Message):
    """A message whose layout is the same in every version, and too simple for a class of its own."""

    values: tuple[Value, ...]

    def fields(self, version: int) -> tuple[Value, ...]:
        return self.values


def next_valid_id(order_id: int) -> Message:
    return Plain(values=(9, 1, order_id))


def managed_accounts(accounts: Iterable[str]) -> Message:
    return Plain(values=(15, 1, ",".join(accounts)))


def current_time(seconds: int) -> Message:
    """Seconds since 1970, UTC."""
    return Plain(values=(49, 1, seconds))


def current_time_millis(millis: int) -> Message:
    return Plain(values=(109, millis))


def option_parameters_end(req_id: int) -> Message:
    """Ends the list of option chains."""
    return Plain(values=(76, req_id))


def no_soft_dollar_tiers(req_id: int) -> Message:
    return Plain(values=(77, req_id, 0))


def user_info(req_id: int, white_branding_id: str) -> Message:
    return Plain(values=(107, req_id, white_branding_id))
