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
from typing import Final

from tests.bench import account_reads, book_ticks, engine, orders, session, start, ticks, wire_orders
from tests.bench.report import machine

TABLES: Final[dict[str, Callable[[bool], Awaitable[None]]]] = {
    "reads": account_reads.table,
    "orders": orders.table,
    "session": session.table,
    "book-ticks": book_ticks.table,
    "engine": engine.table,
    "wire-orders": wire_orders.table,
    "gateway-start": start.table,
    "gateway-ticks": ticks.table,
}
"""Each measures and prints; it is told whether to be quick about it."""


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all if left out")
    chosen = parser.parse_args().tables
    if unknown := set(chosen) - TABLES.keys():
        parser.error(f"there is no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    # Bare ib_async reports every cancelled order as an error.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    print(machine())
    for name in chosen or TABLES:
        await TABLES[name](bool(os.environ.get("QUICK")))


if __name__ == "__main__":
    asyncio.run(main())
