"""`python -m tests.kill --seed N --kills K`: one run and its report; 1 where it found something."""

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.kill.run import Run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--every", type=int, default=10, help="compare after so many kills")
    parser.add_argument("--folder", type=Path, help="a new folder to work in, and leave")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)

    async def run(folder: Path) -> int:
        report = await Run(options.seed, folder)(options.kills, check_every=options.every)
        sys.stdout.write(f"{report}\n")
        return 1 if report.violations else 0

    with tempfile.TemporaryDirectory() as temporary:
        if options.folder:
            options.folder.mkdir(parents=True)
        return asyncio.run(run(options.folder or Path(temporary)))


if __name__ == "__main__":
    sys.exit(main())
