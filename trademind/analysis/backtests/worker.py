"""The process of one backtest (`python -m trademind.analysis.backtests.worker`): it reads stored bars, runs
the strategy on them, trades, and writes the report.

It gets an `Errand` on its standard input and tells how it goes on what was its standard output, a line of
JSON each: `{"progress": 0.5}`, and in the end `{"done": true}` or `{"failed": "why", "traceback": null}`. It
gives way to the server, bounds its memory, and ends itself should nobody be there any more to end it.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from trademind.analysis.backtests.figures import report_json
from trademind.analysis.backtests.files import PAGE, REPORT, write
from trademind.errors import Invalid, StrategyFailed, TradeMindError
from trademind.journal import BarRow, BarSeries, Location, stored_bars
from trademind.signals.backtest import BacktestSettings, render, run_backtest
from trademind.signals.bars import BarArrays
from trademind.signals.evaluation import in_a_line, where_raised
from trademind.signals.loading import Source, strategy_of
from trademind.signals.parameters import Value
from trademind.signals.sandbox import GRACE, alarm, bound_memory, private_streams, receive

NICE: Final = 10
"""How far it stands back behind the server, where both want the same core."""
_READ: Final = 0.3
"""The share of the time that goes into reading bars, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """All that the process needs to know."""

    journal: Location
    series: Mapping[str, BarSeries]
    """By symbol."""
    since: int
    until: int
    """Bars that begin in [since, until), in seconds since 1970, are seen."""
    strategy: str
    source: Source | None
    """None for a built-in strategy."""
    parameters: Mapping[str, Value]
    settings: BacktestSettings
    stem: Path
    """What the paths of its files begin with."""
    seconds: float
    """How long it may take."""
    memory: int
    """Bytes that it may use beside what it needs itself."""


def main() -> None:
    """Run the one errand."""
    requests, replies = private_streams()
    errand: Errand = receive(requests)
    alarm(errand.seconds + GRACE)
    bound_memory(errand.memory)
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICE)
    try:
        _run(errand, partial(_tell, replies))
    except StrategyFailed as error:
        _tell(replies, failed=error.detail, traceback=error.traceback)
    except TradeMindError as error:
        _tell(replies, failed=error.detail, traceback=None)
    except MemoryError:
        _tell(replies, failed="It takes too much memory: take a shorter time or larger bars.", traceback=None)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code runs here, and may raise anything
        _tell(replies, failed=in_a_line(error), traceback=where_raised())
    else:
        _tell(replies, done=True)


def _run(errand: Errand, tell: "partial[None]") -> None:
    strategy = strategy_of(errand.strategy, errand.source, **errand.parameters)
    bars: dict[str, BarArrays] = {}
    for symbol, series in errand.series.items():
        bars[symbol] = asyncio.run(_bars(errand, symbol, series))
        tell(progress=_READ * len(bars) / len(errand.series))
    report = run_backtest(
        strategy,
        bars,
        errand.settings,
        lambda done, total: tell(progress=_READ + (1 - _READ) * done / total),
    )
    write(errand.stem, PAGE, render(report).encode())
    data = json.dumps(report_json(report), allow_nan=False, separators=(",", ":"))
    write(errand.stem, REPORT, data.encode())


async def _bars(errand: Errand, symbol: str, series: BarSeries) -> BarArrays:
    """The stored bars of a symbol; those without a price are left out."""
    parts = [
        np.array(rows, dtype=np.float64)
        async for part in stored_bars(errand.journal, series, errand.since, errand.until)
        if (rows := [row[:6] for row in part if _is_priced(row)])
    ]
    if not parts:
        raise Invalid([("symbols", f"there are no {series.bar_size} bars of {symbol} in this time")])
    table = np.concatenate(parts)
    return BarArrays(
        symbol=symbol,
        bar_size=series.bar_size,
        con_id=series.con_id,
        # Seconds of a date are far below what a float has exactly.
        time=table[:, 0].astype(np.int64),
        open=table[:, 1].copy(),
        high=table[:, 2].copy(),
        low=table[:, 3].copy(),
        close=table[:, 4].copy(),
        volume=table[:, 5].copy(),
    )


def _is_priced(row: BarRow) -> bool:
    return all(price is not None and isfinite(price) for price in row[1:5])


def _tell(stream: BinaryIO, **message: object) -> None:
    sys.stdout.flush()
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


if __name__ == "__main__":
    main()
