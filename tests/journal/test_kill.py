"""A process that writes is killed at any moment: what it acknowledged is there, and groups are whole.

More of them: JOURNAL_TEST_KILLS=100.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from trademind.domain import Order
from trademind.journal import Journal, StoredEvent, open_journal

KILLS = int(os.environ.get("JOURNAL_TEST_KILLS", "8"))
ROOT = Path(__file__).resolve().parents[2]


def killed_writer(place: str, run: str, rng: random.Random) -> list[str]:
    """Let a writer run for a while, kill it, and return what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.endless_writer", place, run, str(rng.random())[2:10]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    try:
        if rng.random() < 0.25:
            time.sleep(rng.uniform(0.2, 0.8))  # it may be making the journal, or opening it
        else:
            said = process.stdout.readline().decode()
            # The moment of the kill, anywhere in the writing: the chance is the test.
            time.sleep(rng.choice([0, 0.002, 0.01, 0.05, 0.2]) * rng.random() * 2)
    finally:
        process.kill()
    said += process.stdout.read().decode()
    process.stdout.close()
    process.wait()
    assert not said or said.startswith("open\n")
    assert not said.rpartition("\n")[2]
    return said.splitlines()


async def test_killed_at_any_moment(place: str) -> None:
    rng = random.Random(20)
    intents: set[str] = set()
    last_seq = 0
    for run in range(KILLS):
        said = await asyncio.to_thread(killed_writer, place, f"run{run}", rng)
        intents |= {line.split()[1] for line in said if line.startswith("intent")}
        told = [int(line.split()[1]) for line in said if line.startswith("event")]
        assert told == list(range(last_seq + 1, last_seq + 1 + len(told)))
        async with open_journal(place) as journal:
            assert journal.last_seq >= last_seq + len(told)
            last_seq = journal.last_seq
            await check(journal, intents)


async def check(journal: Journal, intents: set[str]) -> None:
    events: list[StoredEvent] = []
    while found := await journal.reading.events_since(len(events)):
        events += found
    assert [event.seq for event in events] == list(range(1, journal.last_seq + 1))
    # A burst says in every order how many orders it has.
    bursts: Counter[tuple[str, str]] = Counter()
    for event in events:
        assert isinstance(event.data, Order)
        bursts[event.data.id.rpartition("-")[0], event.data.order_ref] += 1
    for (burst, ref), count in bursts.items():
        assert int(ref.partition("/")[2]) == count, burst
    if bursts:
        assert await journal.reading.state("burst") == list(bursts)[-1][0]
    for key in intents:
        assert await journal.reading.intent(key) is not None
    orders = 0
    page = await journal.reading.orders()
    orders += len(page.items)
    while page.next:
        page = await journal.reading.orders(before=page.next)
        orders += len(page.items)
    assert orders == len(events)
