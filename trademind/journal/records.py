"""Domain objects as JSON, and back, exactly.

The form of a record follows from the dataclass itself: a codec is built once from its annotations, so a field
that is added to the domain is written and read without another line here. Numbers are text, as floats would
not be exact; times are RFC 3339 in UTC with all their microseconds; a missing field takes its default, as it
was not there yet when the record was written, and a field that is not known is passed over. Measured figures
are floats already, whose shortest notation reads back as the same float.

The text of a record is ASCII: one form that any database takes, whatever is in the strings.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from trademind.domain import (
    Account,
    Channel,
    Execution,
    Notice,
    Order,
    OrderChange,
    OrderGroup,
    OrderRequest,
    SessionInfo,
    TrackedSignal,
)
from trademind.domain.orders import plain
from trademind.errors import TradeMindError

T = TypeVar("T")
Json = dict[str, Any]
Step = Callable[[Any], Any]


class Unreadable(ValueError):
    """A record that no version of this program has written; it says which field is wrong."""


class Codec(Generic[T]):
    """How the dataclass `kind` is written and read.

    Raises:
        TypeError: a field is of a kind that has no form here.
    """

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        hints = get_type_hints(kind)
        self._fields: list[tuple[str, Step, Step, bool]] = []
        for field in dataclasses.fields(cast(Any, kind)):
            if not field.init:
                continue
            try:
                dump, load = _steps(hints[field.name])
            except TypeError as error:
                raise TypeError(f"{kind.__name__}.{field.name}: {error}") from None
            missing = dataclasses.MISSING
            is_optional = field.default is not missing or field.default_factory is not missing
            self._fields.append((field.name, dump, load, is_optional))

    def dump(self, value: T) -> Json:
        """The value as a JSON object.

        Raises:
            ValueError: a number that is not finite, or a time without its zone; neither is in the domain.
        """
        return {name: dump(getattr(value, name)) for name, dump, _, _ in self._fields}

    def load(self, data: Any) -> T:
        """The value of a JSON object.

        Raises:
            Unreadable: it is not one that `dump` made.
        """
        if not isinstance(data, dict):
            raise Unreadable(f"a {self._kind.__name__} is an object, not {data!r:.40}")
        values: dict[str, Any] = {}
        for name, _, load, is_optional in self._fields:
            if name in data:
                try:
                    values[name] = load(data[name])
                except Unreadable as error:
                    raise Unreadable(f"{name}: {error}") from None
            elif not is_optional:
                raise Unreadable(f"{name} is missing")
        try:
            return self._kind(**values)
        except (TradeMindError, ValueError, TypeError, ArithmeticError) as error:
            # A dataclass may check its values, and says so in an error of its own.
            raise Unreadable(str(error)) from error

    def to_text(self, value: T) -> str:
        """The value as it is stored. Raises `ValueError` like `dump`."""
        return to_text(self.dump(value))

    def from_text(self, text: str) -> T:
        """What `to_text` was given. Raises `Unreadable`."""
        return self.load(from_text(text))


def to_text(data: Any) -> str:
    """JSON in one line of ASCII.

    Raises:
        ValueError: a number that is not finite.
        TypeError: something that JSON has no form for.
    """
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def from_text(text: str) -> Any:
    """The JSON in a text. Raises `Unreadable`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, of one length, so that it sorts as the times do.

    Raises:
        ValueError: a time without its zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def time_of(text: Any) -> datetime:
    """The time in a text. Raises `Unreadable`."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise Unreadable(f"not a time: {text!r:.40}") from None
    if moment.tzinfo is None:
        raise Unreadable(f"a time without its zone: {text!r:.40}")
    return moment.astimezone(UTC)


def number_text(number: Decimal) -> str:
    """A number with every digit it has. Raises `ValueError` where it is not finite."""
    if not number.is_finite():
        raise ValueError(f"{number} is not a number to keep")
    return str(number)


def number_of(text: Any) -> Decimal:
    """The number in a text. Raises `Unreadable`."""
    try:
        number = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise Unreadable(f"not a number in quotes: {text!r:.40}")
    return number


def fingerprint(asked: OrderRequest | OrderGroup) -> str:
    """What two requests have in common that ask for the same: everything but the key.

    10 and 10.0 are the same quantity. Fields at their defaults are left out, so that a request has the same
    fingerprint when a later version knows of more fields.
    """
    return fingerprint_of(_asked(asked))


_FORMER_DEFAULTS: Final = {"exchange": "SMART"}
"""What was left out of the fingerprints that journals have, and is the default no more."""


def _asked(request: Any) -> Json:
    asked: Json = {}
    for field in dataclasses.fields(request):
        value = getattr(request, field.name)
        if not field.init or field.name == "client_order_id":
            continue
        if value in (field.default, _FORMER_DEFAULTS.get(field.name, field.default)):
            continue
        match value:
            case Decimal():
                value = str(plain(value))
            case datetime():
                value = time_text(value)
            case tuple():
                value = [_asked(each) for each in value]
        asked[field.name] = value
    return asked


def fingerprint_of(asked: Mapping[str, Any]) -> str:
    """The fingerprint of any JSON object, whatever the order of its members."""
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# How values of each kind are written and read --------------------------------------------------


@cache
def _codec(kind: type[Any]) -> Codec[Any]:
    return Codec(kind)


def _steps(hint: Any) -> tuple[Step, Step]:
    """How a value with this annotation is written, and how it is read."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union) and len(arguments) == 2 and NoneType in arguments:
        return _optional(*_steps(next(each for each in arguments if each is not NoneType)))
    if origin in (UnionType, Union) and set(arguments) <= {str, int, float}:
        return _same, _one_of(arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence(*_steps(arguments[0]))
    if origin is tuple:
        return _together([_steps(each) for each in arguments])
    if origin is not None and issubclass(origin, Mapping) and arguments[0] is str:
        return _mapping(*_steps(arguments[1]))
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            codec = _codec(hint)
            return codec.dump, codec.load
        if issubclass(hint, StrEnum):
            return str, _member(hint)
        if hint in _PLAIN:
            return _PLAIN[hint]
    raise TypeError(f"a record has no form for {hint}")


def _same(value: Any) -> Any:
    return value


def _exactly(kind: type[Any]) -> Step:
    def load(value: Any) -> Any:
        if type(value) is not kind:
            raise Unreadable(f"not a {kind.__name__}: {value!r:.40}")
        return value

    return load


def _one_of(kinds: tuple[type[Any], ...]) -> Step:
    def load(value: Any) -> Any:
        if type(value) not in kinds:
            raise Unreadable(f"neither text nor a number: {value!r:.40}")
        return value

    return load


def _float(value: Any) -> float:
    if type(value) not in (int, float):
        raise Unreadable(f"not a number: {value!r:.40}")
    return float(value)


def _member(kind: type[StrEnum]) -> Step:
    def load(value: Any) -> StrEnum:
        try:
            return kind(value)
        except ValueError:
            raise Unreadable(f"not a {kind.__name__}: {value!r:.40}") from None

    return load


def _optional(dump: Step, load: Step) -> tuple[Step, Step]:
    return (
        lambda value: None if value is None else dump(value),
        lambda value: None if value is None else load(value),
    )


def _sequence(dump: Step, load: Step) -> tuple[Step, Step]:
    def read(value: Any) -> tuple[Any, ...]:
        return tuple(load(each) for each in _exactly(list)(value))

    return lambda value: [dump(each) for each in value], read


def _together(steps: list[tuple[Step, Step]]) -> tuple[Step, Step]:
    """A tuple of as many values as there are steps."""

    def read(value: Any) -> tuple[Any, ...]:
        if len(_exactly(list)(value)) != len(steps):
            raise Unreadable(f"not {len(steps)} values: {value!r:.40}")
        return tuple(load(each) for (_, load), each in zip(steps, value, strict=True))

    return lambda value: [dump(each) for (dump, _), each in zip(steps, value, strict=True)], read


def _mapping(dump: Step, load: Step) -> tuple[Step, Step]:
    def read(value: Any) -> dict[str, Any]:
        return {key: load(each) for key, each in _exactly(dict)(value).items()}

    return lambda value: {str(key): dump(each) for key, each in value.items()}, read


_PLAIN: Final[Mapping[type[Any], tuple[Step, Step]]] = {
    # str() makes plain text of an enumeration's member, which equals it.
    str: (str, _exactly(str)),
    bool: (_same, _exactly(bool)),
    int: (_same, _exactly(int)),
    float: (float, _float),
    Decimal: (number_text, number_of),
    datetime: (time_text, time_of),
}

ORDER: Final = Codec(Order)
EXECUTION: Final = Codec(Execution)
ACCOUNT: Final = Codec(Account)
SESSION: Final = Codec(SessionInfo)
ORDER_REQUEST: Final = Codec(OrderRequest)
ORDER_GROUP: Final = Codec(OrderGroup)
ORDER_CHANGE: Final = Codec(OrderChange)
NOTICE: Final = Codec(Notice)
SIGNAL: Final = Codec(TrackedSignal)

BODIES: Final[Mapping[Channel, Codec[Any]]] = {
    Channel.ORDERS: ORDER,
    Channel.EXECUTIONS: EXECUTION,
    Channel.SESSION: SESSION,
    Channel.ACCOUNT: ACCOUNT,
    Channel.SIGNALS: SIGNAL,
}
"""What the events of each channel carry. Quotes are not kept."""
