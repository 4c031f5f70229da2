"""A backtest in a process of its own, from the server's side: started, listened to, ended."""

import asyncio
import contextlib
import json
import os
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from typing import Final

from trademind.analysis.backtests.worker import Errand
from trademind.signals.sandbox import HEADER

MAX_LINE: Final = 1 << 20
"""Bytes of one message: a traceback, at most."""
_ENDING: Final = 5.0
"""Seconds that a killed process may take to be gone."""


class RunFailed(Exception):
    """There is no report. Its text says why; `traceback` where, if it was a strategy that has raised."""

    def __init__(self, text: str, *, traceback: str | None = None) -> None:
        super().__init__(text)
        self.traceback = traceback


async def carry_out(errand: Errand, progress: Callable[[float], None]) -> None:
    """Run a backtest; its report is in its files then. If this is cancelled the process is ended.

    Raises:
        RunFailed
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "trademind.analysis.backtests.worker"),
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread would reserve memory of its own
        start_new_session=True,
        limit=MAX_LINE,
    )
    try:
        async with asyncio.timeout(errand.seconds):
            await _listen(process, errand, progress)
    except TimeoutError:
        raise RunFailed(f"It took longer than {errand.seconds:g} s, and was ended.") from None
    except (OSError, ValueError) as error:
        # It has closed its ends, or has said what is no message.
        raise RunFailed(f"It ended the process that it ran in ({type(error).__name__}).") from error
    finally:
        await _end(process)


async def _listen(process: Process, errand: Errand, progress: Callable[[float], None]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    data = pickle.dumps(errand)
    process.stdin.write(len(data).to_bytes(HEADER) + data)
    await process.stdin.drain()
    async for line in process.stdout:
        message = json.loads(line)
        if "failed" in message:
            raise RunFailed(message["failed"], traceback=message["traceback"])
        if "done" in message:
            return
        progress(message["progress"])
    raise RunFailed(f"It ended the process that it ran in (exit status {await process.wait()}).")


async def _end(process: Process) -> None:
    """Kill the process with all it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDING):
            await process.wait()
    if process.stdin is not None:
        process.stdin.close()
