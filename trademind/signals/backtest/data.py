"""Bars out of files: CSV, also gzipped, and Parquet, in the form that a replay of the paper gateway reads.

What the columns are called, and how times may be written, says `trademind.gateway.feeds.tape_files`.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trademind.domain.market import BAR_SIZES
from trademind.errors import Invalid, SettingsError
from trademind.gateway.feeds.calendar import NEW_YORK
from trademind.gateway.feeds.tape import SECOND, Rows
from trademind.gateway.feeds.tape_files import read_tapes
from trademind.signals.bars import BarArrays
from trademind.signals.calendar import length_of

_LONGEST_DAY: Final = 4 * 86_400
"""Over a weekend with holidays it is this long from one daily bar to the next."""
_MONTH: Final = 28 * 86_400


def read_bars(path: Path, *, bar_size: str | None = None) -> dict[str, BarArrays]:
    """The bars of every symbol in a file, or in the files of a directory.

    Args:
        bar_size: In IB's spelling; None for what the times of the rows say.

    Raises:
        Invalid: a file cannot be read as bars; the text names file, line and column, and says what to do.
    """
    try:
        tapes = read_tapes(path)
    except SettingsError as error:
        raise Invalid([("file", error.detail)]) from error
    return {symbol: _bars(path, symbol, rows, bar_size) for symbol, rows in tapes.items()}


def _bars(path: Path, symbol: str, rows: Rows, bar_size: str | None) -> BarArrays:
    if rows.are_ticks:
        raise Invalid(
            [("file", f"{path}: {symbol} has ticks in it; a backtest needs open, high, low and close")]
        )
    size = bar_size or size_of(rows.usual_gap() // SECOND)
    if size is None:
        gap = rows.usual_gap() / SECOND
        raise Invalid(
            [
                (
                    "bar_size",
                    f"{path}: {symbol} has a row every {gap:g} seconds, which is no bar size; give one",
                )
            ]
        )
    return BarArrays(
        symbol=symbol,
        bar_size=size,
        time=_dates(rows) if rows.are_dates else np.array(rows.times, dtype=np.int64) // SECOND,
        open=np.array(rows.opens),
        high=np.array(rows.highs),
        low=np.array(rows.lows),
        close=np.array(rows.closes),
        volume=np.array(rows.volumes, dtype=np.float64),
    )


def size_of(seconds: int) -> str | None:
    """The bar size whose bars are so far apart, in IB's spelling; None where there is none."""
    if _MONTH <= seconds <= _MONTH + 3 * 86_400:
        return "1 month"
    if 86_400 <= seconds <= _LONGEST_DAY:
        return "1 day"
    return next((size for size in BAR_SIZES if length_of(size).total_seconds() == seconds), None)


def _dates(rows: Rows) -> NDArray[np.int64]:
    """Daily bars begin at midnight of their dates in UTC; a replay has them at New York's."""
    days = [datetime.fromtimestamp(each // SECOND, NEW_YORK) for each in rows.times]
    return np.array([int(day.replace(tzinfo=UTC).timestamp()) for day in days], dtype=np.int64)
