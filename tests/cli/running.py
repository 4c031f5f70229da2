"""The real program in a process of its own: started, waited for, stopped."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trademind

ROOT = Path(trademind.__file__).parent.parent
PATIENCE = 60.0
"""Seconds for a process to start or to stop on a busy machine."""


def environment(**settings: str) -> dict[str, str]:
    """The environment without settings of this machine, and with `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("TRADEMIND_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **settings}


def run(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`trademind …`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trademind", *arguments],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@dataclass
class Running:
    """A program that has said, in one line of JSON, that it is there."""

    process: subprocess.Popen[str]
    banner: dict[str, Any]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(*arguments: str, cwd: Path, **settings: str) -> Iterator[Running]:
    """`trademind … --json` while the context lasts."""
    with (
        open(cwd / "stderr.txt", "a", encoding="utf-8") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "trademind", *arguments, "--json"],
            cwd=cwd,
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], PATIENCE)
            line = process.stdout.readline() if readable else ""
            assert line, f"it did not start: {(cwd / 'stderr.txt').read_text()}"
            yield Running(process, json.loads(line))
        finally:
            if process.poll() is None:
                process.kill()
