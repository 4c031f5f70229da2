"""nautilus_trader: its Interactive Brokers adapter, data and execution client, under a live trading node."""

import asyncio
import json
from pathlib import Path

from tests.compatibility.outcome import Outcome, shortened

NAME = "nautilus_trader"
REQUIREMENTS = ("nautilus_trader[ib]==1.221.0",)

PROGRAM = Path(__file__).with_name("nautilus_program.py")
SECONDS = 45.0

EXPECTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("instrument provider: loads AAPL", ("instrument",)),
    ("historical hourly bars", ("historical Bar",)),
    ("historical trade ticks", ("historical TradeTick",)),
    ("quote ticks (tick-by-tick BidAsk)", ("quote tick",)),
    ("trade ticks (tick-by-tick AllLast)", ("trade tick",)),
    ("five-second bars", ("bar",)),
    ("market order: accepted, filled, position opened", ("OrderAccepted", "OrderFilled", "position opened")),
    ("limit order modified, then canceled", ("OrderUpdated", "OrderCanceled")),
    ("bracket: entry filled, exits working", ("bracket entry filled", "bracket exits accepted")),
    ("account state and reconciliation", ("account",)),
)


async def try_it(python: Path, port: int) -> list[Outcome]:
    process = await asyncio.create_subprocess_exec(
        python,
        PROGRAM,
        str(port),
        str(SECONDS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SECONDS + 60)
    except TimeoutError:
        process.kill()
        await process.wait()
        return [Outcome(NAME, "start", "it did not end")]
    text = output.decode(errors="replace")
    line = next((each for each in text.splitlines() if each.startswith("SEEN ")), None)
    if line is None:
        return [Outcome(NAME, "start", shortened(text[-400:]))]
    seen = json.loads(line.removeprefix("SEEN "))
    return [
        Outcome(NAME, tried, "" if not missing else f"not seen: {', '.join(missing)}")
        for tried, wanted in EXPECTED
        for missing in [[each for each in wanted if each not in seen]]
    ]
