"""No order is lost and none is placed twice, whatever is killed at whatever moment."""

import asyncio
from pathlib import Path

from tests.kill.run import Run


async def test_every_order_is_there_once_whatever_was_killed(tmp_path: Path) -> None:
    async with asyncio.timeout(300):  # some 50 s on a machine that has nothing else to do
        report = await Run(7, tmp_path)(10)
    assert not report.violations, str(report)
    assert report.kills == 10
    assert report.keys > 20
