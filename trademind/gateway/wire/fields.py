"""Fields: text, each ended by a NUL; the only data type there is.

`encode_fields` writes values the way a gateway does, `FieldReader` reads what clients send: both of the
Python clients write an unset number as an empty field, as 2147483647, or as 1.797e308.
"""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

Value = str | int | float | Decimal | bool | None

UNSET_INTEGER: Final = "2147483647"
UNSET_DOUBLE: Final = "1.7976931348623157E308"
"""As Java prints its largest double; IB's sign for a number that is not there."""

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""Stricter than what `Decimal` takes, which has underscores and every script's digits."""
_LARGEST_EXPONENT = 30
"""Numbers beyond 1e30, or finer than 1e-30, are nonsense here, and spelling them out would be long."""


MAX_TEXT: Final = 4_000
"""Characters of one field. The longest that clients have reason to send are lists of tags, far shorter."""
MAX_NAME: Final = 300
"""Characters of a text that is kept and sent to others, such as an order's reference."""


class FieldError(Exception):
    """A field is missing or does not hold what it should."""


class EscapedText(str):
    """Text that clients read with backslash escapes: error messages and long names."""

    __slots__ = ()


def decode_fields(payload: bytes) -> list[str]:
    """The fields of a message. What is not UTF-8 is kept as backslash escapes."""
    fields = payload.decode("utf-8", "backslashreplace").split("\0")
    if fields[-1] == "":
        fields.pop()
    return fields


def encode_fields(values: Iterable[Value]) -> bytes:
    # Most fields are plain text, so those are spared the call; a NUL inside one would show in the count.
    texts = [value if value.__class__ is str else _text(value) for value in values]
    joined = "\0".join(texts)
    if joined.count("\0") != max(0, len(texts) - 1):
        joined = "\0".join([str(text).replace("\0", " ") for text in texts])
    return (joined + "\0" if texts else "").encode("utf-8", "backslashreplace")


def _text(value: Value) -> str:
    kind = value.__class__
    if kind is bool:
        return "1" if value else "0"
    if kind is int:
        return str(value)
    if kind is Decimal:
        # Spelt out: an exponent is read by few clients.
        text = str(value)
        return f"{value:f}" if "E" in text else text
    if value is None:
        return ""
    if isinstance(value, EscapedText):
        return str(value).replace("\\", "\\\\").encode("ascii", "backslashreplace").decode("ascii")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(int(value))
    return f"{Decimal(repr(value)):f}"


class FieldReader:
    """Reads a request's fields in order."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._next = 0

    @property
    def remaining(self) -> int:
        return len(self._fields) - self._next

    def text(self) -> str:
        """The next field.

        Raises:
            FieldError: there is none, or it is longer than `MAX_TEXT`.
        """
        if self._next >= len(self._fields):
            raise self._ends_early()
        field = self._fields[self._next]
        if len(field) > MAX_TEXT:
            raise FieldError(f"field {self._next + 1} is longer than {MAX_TEXT} characters")
        self._next += 1
        return field

    def name(self, what: str) -> str:
        """The next field, which is kept: `what` it is, in words, for the error if it is too long.

        Raises:
            FieldError: there is none, or it is longer than `MAX_NAME`.
        """
        if self.remaining and len(self._fields[self._next]) > MAX_NAME:
            raise FieldError(f"the {what} is longer than {MAX_NAME} characters")
        return self.text()

    def skip(self, count: int = 1) -> None:
        """Go past fields whatever they hold.

        Raises:
            FieldError: there are fewer left.
        """
        if not 0 <= count <= self.remaining:
            raise self._ends_early()
        self._next += count

    def _ends_early(self) -> FieldError:
        return FieldError(f"the message ends after {len(self._fields)} fields")

    def integer(self, default: int = 0) -> int:
        """The next field as a whole number; `default` where it is empty."""
        field = self.text()
        if field.isascii() and field.isdigit() and len(field) < 20:
            return int(field)
        field = field.strip()
        if not field:
            return default
        if not _INTEGER.fullmatch(field):
            raise FieldError(f"{field[:40]!r} is not a whole number")
        return int(field)

    def flag(self) -> bool:
        field = self.text().strip().lower()
        if field in ("", "0", "false"):
            return False
        if field in ("1", "true"):
            return True
        raise FieldError(f"{field[:40]!r} is neither 0 nor 1")

    def number(self) -> Decimal | None:
        """The next field as an exact number; None where it is empty or one of IB's signs for unset."""
        field = self.text().strip()
        if not field or is_unset(field):
            return None
        if not _NUMBER.fullmatch(field):
            raise FieldError(f"{field[:40]!r} is not a number")
        number = Decimal(field)
        if number and abs(number.adjusted()) > _LARGEST_EXPONENT:
            raise FieldError(f"{field[:40]!r} is not a number that can be used")
        return number


def is_unset(field: str) -> bool:
    """Whether a field says that a number is not there."""
    return field in ("", UNSET_INTEGER, "9223372036854775807") or field.lower().replace("+", "") in (
        "1.7976931348623157e308",
        "inf",
        "infinity",
        "infinite",
    )
