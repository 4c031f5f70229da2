"""Conditions on columns, bar by bar: what strategies are written with. None looks ahead; nan fulfils none."""

import numpy as np
from numpy.typing import NDArray

from trademind.signals.bars import Floats

Bools = NDArray[np.bool_]

_SAME = 1e-9
"""Of a value: what two ways of summing the same numbers may differ by. Where prices stand still, averages of
them must not seem to cross."""


def before(values: Floats, bars: int = 1) -> Floats:
    """The value so many bars before; nan where there was no bar."""
    shifted = np.full(len(values), np.nan)
    shifted[bars:] = values[:-bars]
    return shifted


def crossed_above(values: Floats, level: Floats | float) -> Bools:
    """Is it above, and was not at the bar before?"""
    away = values - level
    above = away > _SAME * np.abs(values)
    was_not = np.zeros(len(values), dtype=np.bool_)
    was_not[1:] = ~above[:-1] & ~np.isnan(away[:-1])
    return np.asarray(above & was_not)


def crossed_below(values: Floats, level: Floats | float) -> Bools:
    """Is it below, and was not at the bar before?"""
    return crossed_above(-values, -level)


def share(part: Floats, whole: Floats | float) -> Floats:
    """part / whole, held between 0 and 1; 0 where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(np.nan_to_num(part / whole, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
