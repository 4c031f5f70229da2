"""What came of trying one thing with one program."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    program: str
    tried: str
    problem: str = ""
    """In the program's own words; empty when it worked."""
    known: str = ""
    """Why it is known not to work; empty when it should."""

    @property
    def result(self) -> str:
        if not self.problem:
            return "works"
        return f"{self.known}: {self.problem}" if self.known else f"FAILED: {self.problem}"

    @property
    def is_unexpected(self) -> bool:
        return bool(self.problem) and not self.known


def shortened(text: str, limit: int = 160) -> str:
    """A program's answer in one line of a table."""
    line = " ".join(text.split()).replace("|", "/")
    return line if len(line) <= limit else line[: limit - 1] + "…"
