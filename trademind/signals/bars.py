"""Bars as columns, which is what indicators reckon with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trademind.domain import Bar
from trademind.errors import Invalid

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BarArrays:
    """The bars of one instrument, oldest first. All columns have the same length, n.

    Raises:
        Invalid: columns of different lengths, times that do not rise, or a price that is no number.
    """

    symbol: str
    bar_size: str
    """In IB's spelling: 1 min, 1 day."""
    time: NDArray[np.int64]
    """Where each bar begins, in seconds since 1970, UTC."""
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    """In shares or contracts; nan where there is none, as for currencies."""
    con_id: int | None = None

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        for name in ("open", "high", "low", "close", "volume"):
            column = getattr(self, name)
            if column.shape != self.time.shape:
                errors.append((name, f"has {len(column)} values for {len(self.time)} times"))
            elif name != "volume" and not np.isfinite(column).all():
                at = self.moment(int(np.flatnonzero(~np.isfinite(column))[0]))
                errors.append((name, f"is no number in the bar of {at:%Y-%m-%d %H:%M}"))
        if (falls := np.flatnonzero(np.diff(self.time) <= 0)).size:
            at = self.moment(int(falls[0]) + 1)
            errors.append(("time", f"does not rise at {at:%Y-%m-%d %H:%M}"))
        if errors:
            raise Invalid(errors)

    def __len__(self) -> int:
        return len(self.time)

    def moment(self, index: int) -> datetime:
        """Where a bar begins."""
        return datetime.fromtimestamp(int(self.time[index]), UTC)

    def upto(self, count: int) -> "BarArrays":
        """The first `count` bars."""
        return self._cut(slice(count))

    def last(self, count: int) -> "BarArrays":
        """The last `count` bars, or all where there are fewer."""
        return self._cut(slice(max(len(self) - count, 0), None))

    def _cut(self, part: slice) -> "BarArrays":
        return BarArrays(
            symbol=self.symbol,
            bar_size=self.bar_size,
            con_id=self.con_id,
            **{name: getattr(self, name)[part] for name in _COLUMNS},
        )

    @classmethod
    def of(cls, bars: Sequence[Bar], *, symbol: str, bar_size: str, con_id: int | None = None) -> "BarArrays":
        """Bars as the broker tells them."""
        columns: dict[str, Any] = {
            name: np.array([getattr(bar, name) for bar in bars], dtype=np.float64)
            for name in ("open", "high", "low", "close")
        }
        return cls(
            symbol=symbol,
            bar_size=bar_size,
            con_id=con_id,
            time=np.array([int(bar.time.timestamp()) for bar in bars], dtype=np.int64),
            volume=np.array([np.nan if bar.volume is None else bar.volume for bar in bars], dtype=np.float64),
            **columns,
        )


_COLUMNS = ("time", "open", "high", "low", "close", "volume")
