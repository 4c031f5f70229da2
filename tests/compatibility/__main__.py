"""Programs that other people wrote, unmodified, against the paper gateway; prints the table of results.

    make compatibility

Each program is installed at a pinned version into a virtual environment of its own under `.venv/`, and is
used the way its users use it: a command line by its commands, a server by its routes, a framework by a
strategy. A row says what was tried and what came of it; the program ends with 1 when a row failed that is
not listed as known.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.compatibility import bridge, command_line, framework
from tests.compatibility.outcome import Outcome
from tests.processes import free_port, running

VENVS = Path(__file__).resolve().parents[2] / ".venv" / "compatibility"


def install(name: str, *requirements: str) -> Path:
    """The Python of a virtual environment that has these packages."""
    python = VENVS / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENVS / name], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--upgrade", "pip", *requirements], check=True)
    return python


async def main() -> int:
    outcomes: list[Outcome] = []
    for module in (command_line, bridge, framework):
        python = install(module.NAME, *module.REQUIREMENTS)
        port = free_port()
        with running(["trademind", "gateway", "start", "--port", str(port)], port):
            outcomes += await module.try_it(python, port)
    print("| program | what was tried | result |\n| --- | --- | --- |")
    for each in outcomes:
        print(f"| {each.program} | {each.tried} | {each.result} |")
    return int(any(each.is_unexpected for each in outcomes))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
