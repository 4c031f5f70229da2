"""What an indicator is: something that can be reckoned of bars, and all that is to be known of it.

What an indicator is called, which columns it reads, its parameters with their ranges, what comes out and
how many bars it needs is data, so that whoever lists, draws or validates indicators needs no code of its
own for any of them. `registry.py` has them all.

A value at a bar follows from that bar and those before it, never from a later one. Some formulas smooth
without end (`smooths`): their values also depend, ever less, on where the bars begin.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trademind.errors import Invalid
from trademind.signals.bars import BarArrays, Floats
from trademind.signals.formulas import Columns
from trademind.signals.parameters import Parameter, Value, read

Bools = NDArray[np.bool_]
Check = Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One indicator."""

    name: str
    title: str
    description: str
    source: str
    """Where the formula is from: TA-Lib's name of it, or what it is reckoned by here."""
    group: str
    inputs: tuple[str, ...]
    """The columns of the bars that it reads."""
    outputs: tuple[str, ...]
    on_price: bool
    """Are its values prices, to be drawn over the bars?"""
    smooths: bool
    """Does it smooth without end, so that values depend a little on where the bars begin?"""
    parameters: tuple[Parameter, ...]
    formula: Callable[[BarArrays, Mapping[str, Any]], Columns]
    leading: Callable[[Mapping[str, Any]], int]
    check: Check

    def read(self, given: Mapping[str, object]) -> dict[str, Value]:
        """A value for each parameter.

        Raises:
            Invalid: field by field.
        """
        values = read(self.parameters, given)
        if errors := list(self.check(values)):
            raise Invalid(errors)
        return values

    def warm_up(self, **parameters: object) -> int:
        """How many bars at the beginning have no value.

        Raises:
            Invalid: field by field.
        """
        return self.leading(self.read(parameters))

    def compute(self, bars: BarArrays, **parameters: object) -> dict[str, Floats]:
        """Its outputs, one value for each bar; nan where there is none.

        There is none in the first bars (`warm_up`), where the formula has no answer, such as an oscillator
        of prices that have not moved, and within so many bars after one whose volume is not known.

        Raises:
            Invalid: field by field.
        """
        values = self.read(parameters)
        leading = self.leading(values)
        if len(bars) <= leading:
            return {name: np.full(len(bars), np.nan) for name in self.outputs}
        columns = self.formula(bars, values)
        if "volume" in self.inputs and (unknown := within(np.isnan(bars.volume), leading + 1)).any():
            columns = tuple(np.where(unknown, np.nan, column) for column in columns)
        return dict(zip(self.outputs, columns, strict=True))


def within(marked: Bools, count: int) -> Bools:
    """Is there a marked bar among the last `count` bars, this one included?"""
    if not marked.any():
        return marked
    places = np.arange(len(marked))
    last = np.maximum.accumulate(np.where(marked, places, -count))
    return np.asarray(places - last < count)
