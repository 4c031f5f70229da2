"""A real server whose every callback on the loop is measured: `python -m tests.measured_server PORT OUT`.

The CPU time of the thread is taken around each callback, so that a busy machine does not count. On its
end it writes the longest callbacks as JSON lines of [monotonic time, CPU seconds, what it was].
"""

import asyncio.events
import json
import signal
import sys
import time
from pathlib import Path

import uvicorn

from trademind.api.app import create_app

WORTH_NOTING = 0.005
"""Seconds of CPU time from which a callback is written down."""


def main() -> None:
    port, out = int(sys.argv[1]), Path(sys.argv[2])
    noted: list[tuple[float, float, str]] = []
    run = asyncio.events.Handle._run

    def measured(handle: asyncio.events.Handle) -> None:
        start = time.thread_time()
        run(handle)
        used = time.thread_time() - start
        if used > WORTH_NOTING:
            noted.append((time.monotonic(), used, repr(handle)))

    asyncio.events.Handle._run = measured  # type: ignore[assignment,method-assign]
    # uvicorn raises the signal that ended it once more when all is closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        # uvloop runs callbacks in C, where they cannot be measured one by one.
        uvicorn.run(
            create_app(),
            port=port,
            loop="asyncio",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=60,  # a slow client's pool must not find its connections closed
        )
    finally:
        out.write_text("".join(json.dumps(line) + "\n" for line in noted))


if __name__ == "__main__":
    main()
