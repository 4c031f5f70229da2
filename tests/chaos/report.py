"""What a run has found, and how it is told."""

import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

MAX_ALIKE: Final = 4
"""Violations that differ by numbers only of which each is told; of more, how many."""


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: str
    at: float
    """Seconds since the beginning of the run."""
    detail: str
    alike: str
    """What violations of the same kind have in common."""


class Findings:
    """The violations of a run, and what is worth knowing beside them."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.violations: list[Violation] = []
        self.notes: list[str] = []

    @property
    def now(self) -> float:
        """Seconds since the beginning of the run."""
        return time.monotonic() - self._begun

    def violation(self, invariant: str, detail: str, *, alike: str = "") -> None:
        found = Violation(invariant, self.now, detail, alike or _gist(detail))
        self.violations.append(found)
        say(f"  !! {found.at:6.1f} s  {invariant}: {detail[:300]}")

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(slots=True)
class Section:
    """A heading, and lines under it."""

    title: str
    lines: list[str] = field(default_factory=list)


def render(sections: list[Section], findings: Findings) -> str:
    """The report."""
    lines = []
    for section in sections:
        lines += ["", section.title, *(f"  {line}" for line in section.lines)]
    if findings.notes:
        lines += ["", "Notes", *(f"  {note}" for note in findings.notes)]
    lines += ["", f"Violations: {len(findings.violations)}"]
    kinds: dict[tuple[str, str], list[Violation]] = {}
    for violation in findings.violations:
        kinds.setdefault((violation.invariant, violation.alike), []).append(violation)
    for invariant, count in Counter(each.invariant for each in findings.violations).items():
        lines.append(f"  {invariant}: {count}")
        for (of, _), alike in kinds.items():
            if of == invariant:
                lines += [f"    {each.at:6.1f} s  {each.detail}" for each in alike[:MAX_ALIKE]]
                if len(alike) > MAX_ALIKE:
                    lines.append(f"              … and {len(alike) - MAX_ALIKE} more like these")
    return "\n".join(lines)


def _gist(detail: str) -> str:
    """All but names and numbers."""
    return re.sub(r"\w*\d[\w.-]*", "#", detail)[:100]


def say(text: str) -> None:
    """One line for whoever watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
