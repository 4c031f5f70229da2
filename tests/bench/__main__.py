"""Measure TradeMind beside its peers, in one run on one machine, and print the tables.

    make bench
    python -m tests.bench reads session     only these

The figures in docs/benchmarks.md are this program's output. With QUICK=1 everything is measured, and too
little of it for figures that mean anything: to see that the benchmarks run.
"""

import argparse
import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from tests.bench import (
    account_reads,
    backtests,
    book_ticks,
    cold_start,
    costs,
    engine,
    fanout,
    orders,
    session,
    signals,
    soak,
    start,
    stored_bars,
    ticks,
    wire_orders,
)
from tests.bench.report import machine

TABLES: Final[dict[str, Callable[[bool], Awaitable[None]]]] = {
    "reads": account_reads.table,
    "orders": orders.table,
    "session": session.table,
    "book-ticks": book_ticks.table,
    "cold-start": cold_start.table,
    "fan-out": fanout.table,
    "costs": costs.table,
    "stored-bars": stored_bars.table,
    "soak": soak.table,
    "engine": engine.table,
    "wire-orders": wire_orders.table,
    "gateway-start": start.table,
    "gateway-ticks": ticks.table,
    "signals": signals.table,
    "backtests": backtests.table,
}
"""Each measures and prints; it is told whether to be quick about it."""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, and print tables.")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all if left out")
    parser.add_argument("--minutes", type=float, default=1, help="how long the soak lasts (%(default)g)")
    parser.add_argument(
        "--speed", type=float, default=60, help="how fast its market's clock runs (%(default)g)"
    )
    options = parser.parse_args()
    tables = TABLES | {"soak": partial(soak.table, minutes=options.minutes, speed=options.speed)}
    if unknown := set(options.tables) - tables.keys():
        parser.error(f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(tables)}")
    # Bare ib_async reports every cancelled order as an error.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    print(machine())
    for name in options.tables or tables:
        await tables[name](bool(os.environ.get("QUICK")))


if __name__ == "__main__":
    asyncio.run(main())
