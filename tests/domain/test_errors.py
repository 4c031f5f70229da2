"""The exception tree is complete, and its docstring draws it as it is."""

import re

import trademind.errors as errors
from trademind.errors import TradeMindError


def tree(kind: type[TradeMindError]) -> set[type[TradeMindError]]:
    return {kind}.union(*(tree(child) for child in kind.__subclasses__()))


def test_codes_are_unique() -> None:
    kinds = tree(TradeMindError)
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_the_drawing_shows_every_error() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"TradeMindError"}
    assert drawn == {kind.__name__ for kind in tree(TradeMindError)}
