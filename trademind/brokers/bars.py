"""Bars for scripts and notebooks: of any span, as a sequence or as a data frame.

pandas and polars are loaded when they are asked for: a server needs neither.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from trademind.brokers.base import Broker
from trademind.domain import Bar, BarRequest, ContractQuery
from trademind.domain.durations import Piece, covering_duration, pieces
from trademind.domain.market import is_up_to_now
from trademind.errors import Invalid, NotInstalled

if TYPE_CHECKING:
    import pandas
    import polars

_FIGURES: Final[dict[str, Callable[[Bar], float | None]]] = {
    "open": lambda bar: bar.open,
    "high": lambda bar: bar.high,
    "low": lambda bar: bar.low,
    "close": lambda bar: bar.close,
    "volume": lambda bar: bar.volume,
    "wap": lambda bar: bar.wap,
    "count": lambda bar: bar.count,
}
"""The columns of a frame, beside the time."""


class Bars(tuple[Bar, ...]):
    """Bars of one instrument, oldest first."""

    __slots__ = ()

    def to_pandas(self) -> "pandas.DataFrame":
        """A row for each bar by `time`, its start in UTC, with columns of floats; NaN where nothing is known.

        Raises:
            NotInstalled: there is no pandas.
        """
        with _installed("pandas"):
            import pandas
        time = pandas.DatetimeIndex([bar.time for bar in self], tz="UTC", name="time")
        columns = {name: [figure(bar) for bar in self] for name, figure in _FIGURES.items()}
        return pandas.DataFrame(columns, index=time, dtype="float64")

    def to_polars(self) -> "polars.DataFrame":
        """A row for each bar: `time`, its start in UTC, and columns of floats; null where nothing is known.

        Raises:
            NotInstalled: there is no polars.
        """
        with _installed("polars"):
            import polars
        time = polars.Series("time", [bar.time for bar in self], dtype=polars.Datetime("us", "UTC"))
        figures = [
            polars.Series(name, [figure(bar) for bar in self], dtype=polars.Float64, strict=False)
            for name, figure in _FIGURES.items()
        ]
        return polars.DataFrame([time, *figures])


@contextmanager
def _installed(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise NotInstalled(f"for a data frame install {name}: pip install {name}") from error


async def bars_of(
    broker: Broker,
    instrument: str | ContractQuery,
    *,
    bar_size: str = "1 hour",
    duration: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    what_to_show: str | None = None,
    use_rth: bool = True,
    now: datetime,
) -> Bars:
    """Bars of a stock by its symbol, or of anything: back from `end` by `duration`, or from `start` on.

    A long span is asked for in pieces, one after the other, within IB's limits; at once where IB has such
    bars up to now only.

    Args:
        duration: In IB's terms, "2 D"; a day without `start`.
        start: Bars that begin at or after it.
        end: Bars that begin before it; None for all until now.
        now: The time by the broker's clock.

    Raises:
        Invalid: a start and a duration, a time without its zone, a span that is empty or too long.
        TradeMindError: as `Broker.get_bars`.
    """
    query = ContractQuery(symbol=instrument) if isinstance(instrument, str) else instrument
    # What is wrong with the terms is said before any of them is reckoned with.
    whole = BarRequest(
        bar_size=bar_size, duration=duration or "1 D", end=end, what_to_show=what_to_show, use_rth=use_rth
    )
    if start is None:
        asked = [whole]
    else:
        if duration is not None:
            raise Invalid([("duration", "give either a start or a duration")])
        if start.tzinfo is None:
            raise Invalid([("start", "needs a time zone, such as 2026-01-31T15:00:00Z")])
        parts = pieces(bar_size, start, min(end or now, now))
        if is_up_to_now(query.sec_type, whole.of(query.sec_type).what_to_show or ""):
            parts = (Piece(covering_duration(now - start, bar_size), now),)
        asked = [
            replace(whole, duration=part.duration, end=None if part.end >= now else part.end)
            for part in parts
        ]
    found: dict[datetime, Bar] = {}
    for request in asked:
        found |= {bar.time: bar for bar in await broker.get_bars(query, request)}
    return Bars(
        found[time]
        for time in sorted(found)
        if (start is None or time >= start) and (end is None or time < end)
    )
