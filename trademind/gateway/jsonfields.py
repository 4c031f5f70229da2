"""Fields of stored JSON objects, checked as they are read: a damaged file is found out here.

The readers raise LookupError, TypeError or ValueError, and say which field it was.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

Json = dict[str, Any]
Value = TypeVar("Value")


def text_of(value: Decimal | datetime | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


_DIGITS = 20
"""Before the point; no number of an account has more."""


def field(data: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    value = data[name]
    if type(value) is not kind:
        raise TypeError(f"{name}: a {kind.__name__} is expected, not a {type(value).__name__}")
    return value


def number_field(data: Mapping[str, Any], name: str) -> Decimal:
    try:
        number = Decimal(field(data, name, str))
    except ArithmeticError:
        raise ValueError(f"{name}: not a number") from None
    if not number.is_finite() or number.adjusted() >= _DIGITS:
        raise ValueError(f"{name}: {number} is not possible")
    return number


def number_or_none(data: Mapping[str, Any], name: str) -> Decimal | None:
    return None if data[name] is None else number_field(data, name)


def numbers_field(data: Mapping[str, Any], name: str) -> dict[str, Decimal]:
    numbers = field(data, name, dict)
    return {field({"key": key}, "key", str): number_field(numbers, key) for key in numbers}


def day_field(data: Mapping[str, Any], name: str) -> date:
    return date.fromisoformat(field(data, name, str))


def moment_field(data: Mapping[str, Any], name: str) -> datetime:
    moment = datetime.fromisoformat(field(data, name, str))
    if moment.tzinfo is None:
        raise ValueError(f"{name}: a time without its zone")
    return moment


def count_field(data: Mapping[str, Any], name: str) -> int:
    count = field(data, name, int)
    if not 0 <= count < 1 << 63:
        raise ValueError(f"{name}: {count} is not possible")
    return count
