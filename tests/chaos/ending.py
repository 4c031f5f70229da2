"""The end of a run: what streams were told adds up, and a server that is started anew knows it all."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

from tests.chaos import calls, checks
from tests.chaos.plan import SYMBOLS
from tests.chaos.world import START_WITHIN, STOP_WITHIN, until_ready, usage_of

if TYPE_CHECKING:
    from tests.chaos.run import Run

QUOTES_WITHIN: Final = 12.0
"""Seconds in which each symbol has to have a quote: lines without one are subscribed again six seconds after
their farm has come back."""
ARRIVES_WITHIN: Final = 5.0
"""Seconds in which an event has reached whoever reads."""
REPEATED: Final = 8
"""Orders that are sent once more to a server that was started anew."""


async def check_streams(run: "Run") -> None:
    """What each stream was told adds up to what the API says, and quotes come to it again."""
    findings = run.findings
    until = time.monotonic() + ARRIVES_WITHIN
    while differences := await _stream_differences(run):
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.5)  # something may have happened between the two, or is on its way
    for difference, names in differences.items():
        findings.violation("streams are lossless", f"{difference} ({', '.join(names)})")
    for state in run.streams.followers.values():
        for begin, end in state.missed(run.watch.losses):
            what = f"{state.name} had no gap for {begin:.1f} to {end:.1f} s"
            findings.violation("streams say what they missed", what)
        if state.in_gap:
            findings.violation("streams say what they missed", f"{state.name} is still in its gap")
        for symbol in SYMBOLS[:4]:
            age = findings.now - state.quotes.get(symbol, 0.0)
            if age > QUOTES_WITHIN:
                what = f"{state.name} has had no quote of {symbol} for {age:.0f} s"
                findings.violation("quotes come again", what)


async def check_quotes(run: "Run") -> None:
    """Once all is well every instrument has a quote, and none is stale."""
    until = time.monotonic() + QUOTES_WITHIN
    path = f"/api/market/quotes?symbols={','.join(SYMBOLS)}"
    while True:
        answer = await run.api.call(calls.QUOTES, "GET", path)
        if answer is not None and answer.status == 200:
            wrong = [str(each) for each in answer.body["quotes"] if each["stale"] or each["last"] is None]
        else:
            wrong = [str(answer)]
        if not wrong or time.monotonic() > until:
            break
        await asyncio.sleep(1)
    for what in wrong:
        run.findings.violation("quotes come again", f"all is well, and yet: {what}")


async def _stream_differences(run: "Run") -> dict[str, list[str]]:
    """What is told by a stream and not by the API, or the other way round; and by whose streams."""
    await run.agreement.read()
    told: dict[str, list[str]] = {}
    cash = run.agreement.account["total_cash_value"]
    for state in run.streams.followers.values():
        for difference in checks.stream_differences(state, run.agreement.orders, run.agreement.fills):
            told.setdefault(difference, []).append(state.name)
        if (heard := state.account.get("total_cash_value")) != cash:
            told.setdefault(f"cash, told and listed: {heard}, {cash}", []).append(state.name)
    return told


async def stop(run: "Run") -> None:
    """The server is told to stop while the followers still listen."""
    findings = run.findings
    run.last = usage_of(run.server.pid, findings.now)
    metrics = await run.api.call(calls.METRICS, "GET", "/metrics")
    run.metrics = "" if metrics is None else str(metrics.body.get("text", ""))
    run.streams.is_over = run.watch.is_over = True
    begun = time.monotonic()
    run.server.signal(15)
    status = await run.server.wait(STOP_WITHIN + calls.MARGIN)
    run.stopped_in = time.monotonic() - begun
    if status != 0:
        findings.violation("the server stops", f"it ended with {status} after {run.stopped_in:.1f} s")
    elif run.stopped_in > STOP_WITHIN + run.watch.worst_lag:
        findings.violation("the server stops", f"it took {run.stopped_in:.1f} s")
    await asyncio.sleep(1)
    told = {ended.name for ended in run.streams.ended if ended.code == 1012}
    for name in run.streams.followers.keys() - told:
        findings.violation("the server stops", f"{name} was not told (1012)")


async def start_again(run: "Run") -> None:
    """A new server knows the same orders, and takes none of them twice."""
    if run.server.is_running:
        return
    run.server.start()
    if await until_ready(run.server, run.url, START_WITHIN) is None:
        run.findings.violation("readiness", f"started anew, it was not ready in {START_WITHIN:g} s")
        return
    await run.agreement.reach("after a restart")
    known = [key for key in run.ledger.intents if key in run.agreement.at_gateway][-REPEATED:]
    for key in known:
        body = run.ledger.intents[key].attempts[0].body
        await run.clients.repeat(key, body)
    await run.agreement.reach("after a restart and repeated orders")
