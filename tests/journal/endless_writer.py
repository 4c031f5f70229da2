"""A process that writes a journal until it is killed, and says on its output what was acknowledged.

    python -m tests.journal.endless_writer PLACE RUN SEED

Lines: `intent KEY` for an intent that was accepted, `event SEQ` for an event that somebody was told of. It
writes in bursts, each of which is one group: several orders, and the state `burst` which says how many.
"""

import asyncio
import os
import random
import sys

from tests.journal.making import an_intent, an_order
from trademind.journal import OrderChanged, StateSet, open_journal


def say(line: str) -> None:
    # At once, and whole: what is in a buffer when the process is killed was not said.
    os.write(1, f"{line}\n".encode())


async def main(place: str, run: str, seed: int) -> None:
    rng = random.Random(seed)
    number = 0
    async with open_journal(place) as journal:
        say("open")

        async def accept(key: str) -> None:
            assert await journal.accept(an_intent(key)) is None
            say(f"intent {key}")

        burst = 0
        while True:
            for _ in range(rng.randrange(1, 4)):
                burst += 1
                size = rng.randrange(1, 12)
                for part in range(size):
                    number += 1
                    order = an_order(f"{run}-{burst}-{part}", number, order_ref=f"{burst}/{size}")
                    journal.note(OrderChanged("new", order), lambda seq: say(f"event {seq}"))
                journal.note(StateSet("burst", f"{run}-{burst}"))
            await asyncio.gather(*(accept(f"{run}-{burst}-{n}") for n in range(rng.randrange(1, 6))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
