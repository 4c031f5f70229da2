"""TradeMind beside the design it replaces: twelve faults, played to both, and what each of them did.

    python -m tests.bench.side_by_side

Both servers meet the same fault at the same time, each on a paper gateway of its own and with the same
time-outs. Prints a Markdown table; ends with 1 where a fault could not be played to its end.
"""

import logging
import os
import platform
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from tests.bench.side_by_side.designs import DESIGNS, Design
from tests.bench.side_by_side.faults import FAULTS, Fault
from tests.bench.side_by_side.stage import Stage
from tests.bench.thread_server import CONNECT_TIMEOUT, ORDER_TIMEOUT, REQUEST_TIMEOUT

log = logging.getLogger(__name__)

PACKAGES = ("ibapi-latest", "ib_async", "fastapi", "uvicorn")


def play(fault: Fault, design: Design) -> str | None:
    """The facts in a line, or None where it came to nothing; then the reason is on standard error."""
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Stage(design, Path(folder), pacing=fault.pacing) as stage,
        ):
            if fault.connected:
                stage.start()
            return fault.play(stage)
    except Exception:
        # The edge of one fault: the others are played all the same.
        log.exception("%s, %s", fault.name, design.name)
        return None


def main() -> int:
    # The observer's own client reports every cancelled order as an error.
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    start = time.monotonic()
    failures = 0
    print(f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores; ", end="")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print(f"Time-outs of both: connect {CONNECT_TIMEOUT:g} s, ", end="")
    print(f"request {REQUEST_TIMEOUT:g} s, order {ORDER_TIMEOUT:g} s\n")
    print(f"| fault | {' | '.join(design.name for design in DESIGNS)} |")
    print("| --- | --- | --- |", flush=True)
    with ThreadPoolExecutor(len(DESIGNS)) as pool:
        for fault in FAULTS:
            lines = list(pool.map(play, [fault] * len(DESIGNS), DESIGNS))
            failures += lines.count(None)
            print(f"| {fault.name} | {' | '.join(line or 'not played' for line in lines)} |", flush=True)
    print(f"\n{len(FAULTS)} faults in {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
