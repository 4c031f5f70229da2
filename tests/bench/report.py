"""How the tables look, and what two peers have in common that are measured in turns."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from tests.bench.load import quantile

PACKAGES: Final = ("ib_async", "sqlalchemy", "fastapi", "uvicorn", "uvloop", "pydantic")


def rounds(quick: bool) -> int:
    """How often peers take turns. Each is given its best round: other work of the machine only slows."""
    return 1 if quick else 3


def machine() -> str:
    """What the figures were measured with, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores; {packages}"


def show(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table in Markdown. The first column is text, the others are figures."""
    print(f"\n{title}\n")
    print(_line(head))
    print(_line(("---", *["---:"] * (len(head) - 1))))
    for row in rows:
        print(_line(row), flush=True)


def percentiles(seconds: list[float], digits: int = 2) -> tuple[str, str]:
    """The median and the 99th percentile, as milliseconds."""
    return f"{quantile(seconds, 0.5):,.{digits}f}", f"{quantile(seconds, 0.99):,.{digits}f}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")
