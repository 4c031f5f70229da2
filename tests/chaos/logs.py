"""What the processes have written: nothing may have failed that nobody expected to fail."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_RECORD: Final = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\w+) +(\S+): ")
BAD: Final = frozenset({"ERROR", "CRITICAL"})
SIGNS: Final = (
    "Traceback (most recent call last)",
    "was never retrieved",
    "was never awaited",
    "Exception ignored",
)

EXPECTED: Final[tuple[tuple[str, str], ...]] = (
    (
        r"ib_async\.Decoder: Error handling fields: \['999'",
        "a message of a version that nobody knows, which a flood contains: what cannot be read is reported",
    ),
)
"""Records that may be there: a pattern, and the reason."""


def unexpected(log: Path) -> Iterator[str]:
    """Records of errors, and whatever has a traceback, that no row of `EXPECTED` explains."""
    for record in _records(log):
        found = _RECORD.match(record)
        level = found[1] if found is not None else ""
        is_bad = level in BAD or any(sign in record for sign in SIGNS)
        if is_bad and not any(re.search(pattern, record) for pattern, _ in EXPECTED):
            yield _shortened(record)


def count(log: Path, level: str) -> int:
    """How many records of a level there are."""
    return sum(1 for record in _records(log) if (found := _RECORD.match(record)) and found[1] == level)


def gist(record: str) -> str:
    """What records that tell of the same thing have in common: who says it, and the last line."""
    lines = record.splitlines()
    return re.sub(r"\d+", "#", f"{lines[0][:80]} {lines[-1][:80]}")


def _records(log: Path) -> Iterator[str]:
    """Each record with the lines that belong to it."""
    record: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        if _RECORD.match(line) and record:
            yield "\n".join(record)
            record = []
        record.append(line)
    if record:
        yield "\n".join(record)


def _shortened(record: str) -> str:
    """Its first line, and the end of a traceback."""
    lines = record.splitlines()
    return record if len(lines) <= 14 else "\n".join([*lines[:2], "      …", *lines[-11:]])
