"""Chaos: clients read, stream and trade, while the gateway is killed, silenced, slowed and flooded.

    make chaos                          ten minutes
    make chaos SEED=7 SECONDS=120

The plan comes from the seed and is printed first. In the end everything is well again, and everything that
was promised is checked: see the report. Exit status 1 means that something was not kept.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import make_plan
from tests.chaos.report import render, say
from tests.chaos.run import Run
from tests.chaos.summary import finish


async def _main(seed: int, seconds: float, folder: Path) -> int:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    plan = make_plan(seed, seconds)
    say(str(plan))
    say(f"logs are in {folder}")
    run = Run(plan, folder)
    await run.play()
    say(render(finish(run), run.findings))
    return 1 if run.findings.violations else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600, help="how long, calms included; 30 to 86400")
    parser.add_argument("--folder", type=Path, help="where the logs are kept; a new temporary one by default")
    arguments = parser.parse_args()
    if not 30 <= arguments.seconds <= 86400:
        parser.error("--seconds is 30 to 86400")
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="trademind-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty; a run begins with a new account")
    try:
        return asyncio.run(_main(arguments.seed, arguments.seconds, folder))
    except asyncio.CancelledError:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
