"""Parameters of indicators and strategies as data: listed by whoever asks, and read in one place."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trademind.errors import Invalid

Value = int | float | str

MAX_PERIOD: Final = 1000
"""Bars: two trading days of minutes, four years of days. An average over more says little of a market."""


class Kind(StrEnum):
    """What a parameter is."""

    INT = "int"
    FLOAT = "float"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: what it means, and what it may be."""

    name: str
    kind: Kind
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """What it may be, in words: 2 to 1000, or sma, ema."""
        if self.kind is Kind.CHOICE:
            return ", ".join(self.choices)
        return f"{self.minimum:g} to {self.maximum:g}"

    def read(self, value: object) -> Value:
        """`value`, a number or its notation, as this parameter's type.

        Raises:
            Invalid: it is something else, or out of range.
        """
        if self.kind is Kind.CHOICE:
            if value not in self.choices:
                raise Invalid([(self.name, f"must be one of {self.range}")])
            return str(value)
        number = _number(value)
        if number is None or (self.kind is Kind.INT and number % 1):
            whole = "a whole number" if self.kind is Kind.INT else "a number"
            raise Invalid([(self.name, f"must be {whole}")])
        lowest, highest = self.minimum, self.maximum
        if (lowest is not None and number < lowest) or (highest is not None and number > highest):
            raise Invalid([(self.name, f"must be {self.range}")])
        return int(number) if self.kind is Kind.INT else number


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole(
    name: str, default: int, minimum: int = 2, maximum: int = MAX_PERIOD, *, description: str
) -> Parameter:
    """A parameter that is a whole number."""
    return Parameter(
        name=name,
        kind=Kind.INT,
        default=default,
        minimum=minimum,
        maximum=maximum,
        description=description,
    )


def number(name: str, default: float, minimum: float, maximum: float, *, description: str) -> Parameter:
    """A parameter that is a number."""
    return Parameter(
        name=name,
        kind=Kind.FLOAT,
        default=float(default),
        minimum=minimum,
        maximum=maximum,
        description=description,
    )


def choice(name: str, default: str, choices: tuple[str, ...], *, description: str) -> Parameter:
    """A parameter that is one of a few words."""
    return Parameter(name=name, kind=Kind.CHOICE, default=default, choices=choices, description=description)


def read(parameters: Iterable[Parameter], given: Mapping[str, object]) -> dict[str, Value]:
    """A value for every parameter: the given one, or the default.

    Raises:
        Invalid: with one (field, message) pair for everything that is wrong.
    """
    known = {parameter.name: parameter for parameter in parameters}
    errors = [
        (name, f"is no parameter here; there are {', '.join(known) or 'none'}")
        for name in given
        if name not in known
    ]
    values: dict[str, Value] = {}
    for name, parameter in known.items():
        try:
            values[name] = parameter.read(given.get(name, parameter.default))
        except Invalid as error:
            errors.extend(error.errors)
    if errors:
        raise Invalid(errors)
    return values
