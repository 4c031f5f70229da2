"""What stored bars cost: writing them beside everything else that is written down, and reading them again."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.bench import plots
from tests.bench.processor import resident_mb
from tests.bench.report import show
from trademind.domain import Contract, SecType
from trademind.journal import BarRow, BarSeries, Journal, in_parts, open_journal

STEPS: Final = (10_000, 100_000, 1_000_000)
QUICK_STEPS: Final = (1_000, 10_000)
_MINUTE: Final = 60
_AAPL: Final = Contract(
    con_id=265598, symbol="AAPL", sec_type=SecType.STOCK, exchange="SMART", currency="USD"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many bars of a minute cost."""

    bars: int
    written_in: float
    """Seconds."""
    read_in: float
    """Seconds."""
    megabytes: float
    """Of memory, where all of them are held after reading."""


async def table(quick: bool) -> None:
    with TemporaryDirectory(prefix="trademind-bench-") as aside:
        costs = [await _cost(Path(aside) / f"{bars}.db", bars) for bars in (QUICK_STEPS if quick else STEPS)]
        rows = [(cost.bars, cost.read_in, cost.megabytes) for cost in costs]
        plots.stored_bars(rows, Path(aside) if quick else plots.FOLDER)
    show(
        "Bars of a minute in the journal, on SQLite: written in parts of 500 with a full sync each, and read",
        ("bars", "bars/s written", "bars/s read", "s to read", "MB to hold"),
        [
            (
                f"{cost.bars:,}",
                f"{cost.bars / cost.written_in:,.0f}",
                f"{cost.bars / cost.read_in:,.0f}",
                f"{cost.read_in:.2f}",
                f"{cost.megabytes:.0f}",
            )
            for cost in costs
        ],
    )


async def _cost(path: Path, count: int) -> Cost:
    series = BarSeries.of(_AAPL, source="ib", bar_size="1 min", what_to_show="TRADES", use_rth=True)
    end = count * _MINUTE
    made: list[BarRow] = [
        (moment, 100.0, 101.5, 99.5, 100.0 + moment % 7, 1000.0, 100.25, 12)
        for moment in range(0, end, _MINUTE)
    ]
    async with open_journal(path) as journal:
        begun = time.perf_counter()
        for part in in_parts(series, made, 0, end):
            await journal.written(part)
        written = time.perf_counter() - begun
        del made
        before, begun = resident_mb(os.getpid()), time.perf_counter()
        held = await _read(journal, series, end)
        took = time.perf_counter() - begun
        megabytes = resident_mb(os.getpid()) - before
    if len(held) != count:
        raise RuntimeError(f"{len(held):,} bars were read of {count:,}")
    return Cost(count, written, took, megabytes)


async def _read(journal: Journal, series: BarSeries, end: int) -> list[BarRow]:
    """Page by page, as whoever asks for many does."""
    known = await journal.bars.series(series)
    assert known is not None
    held: list[BarRow] = []
    since = 0
    while page := await journal.bars.rows(known.id, since, end):
        held += page
        since = page[-1][0] + 1
    return held
