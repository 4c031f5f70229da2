"""A minute of chaos. `make chaos` has ten of them, and any seed."""

import asyncio
from pathlib import Path

from tests.chaos.plan import make_plan
from tests.chaos.report import render
from tests.chaos.run import Run
from tests.chaos.summary import finish

SEED, SECONDS = 2, 48.0
"""An act of half a minute, in which the gateway is killed, hangs and loses an order; the rest is coming and
going."""


async def test_a_minute_in_which_everything_goes_wrong(tmp_path: Path) -> None:
    run = Run(make_plan(SEED, SECONDS), tmp_path)
    async with asyncio.timeout(240):
        await run.play()
    report = render(finish(run), run.findings)
    assert not run.findings.violations, report


def test_a_seed_means_one_plan() -> None:
    assert make_plan(5, 600) == make_plan(5, 600)
    assert make_plan(5, 600) != make_plan(6, 600)
