"""How commands speak: exit codes, one line per error, tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from trademind.errors import SettingsError, TradeMindError

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or a wrong setting; 3 the server cannot be "
    "reached, or is not ready; 4 the outcome is unknown: look before you try again; 130 interrupted."
)
WIDE = 200
"""Columns of a table that goes to a file or a pipe: nothing is cut off to fit a screen."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class Exit(IntEnum):
    """What a script can tell from the exit code; `EXIT_CODES` is the same in words."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    UNKNOWN = 4
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot go on. `document` is a problem, with at least `code` and `detail`."""

    def __init__(self, exit_code: Exit, document: Mapping[str, Any]) -> None:
        super().__init__(document.get("detail", ""))
        self.exit_code = exit_code
        self.document = document

    @classmethod
    def because(cls, exit_code: Exit, code: str, detail: str, *, retry_safe: bool = True) -> "CommandFailed":
        return cls(exit_code, {"code": code, "detail": detail, "retry_safe": retry_safe})


@contextmanager
def reporting(as_json: bool) -> Iterator[None]:
    """Turn what stops a command into one line (or one JSON document) and its exit code."""
    try:
        yield
    except CommandFailed as failure:
        _report(failure.document, as_json)
        raise typer.Exit(failure.exit_code) from None
    except TradeMindError as error:
        _report({"code": error.code, "detail": error.detail, "retry_safe": error.retry_safe}, as_json)
        raise typer.Exit(Exit.USAGE if isinstance(error, SettingsError) else Exit.FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _report(document: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    detail = " ".join(str(document.get("detail", "")).split())
    typer.echo(f"{document.get('code', 'error')}: {detail}", err=True)


def print_json(document: Any, *, in_one_line: bool = False) -> None:
    typer.echo(json.dumps(document, indent=None if in_one_line else 2))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None
) -> None:
    """A table of `rows`; None is shown as a dash. A column that starts with `>` is right-aligned."""
    # Text from the server is data: neither markup nor emoji codes in it mean anything.
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, highlight=False, width=WIDE)
    if title is not None:
        console.print(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    console.print(table)
