"""`trademind journal`: look through the journal, copy it, put a copy back, and take its tables elsewhere.

These commands read and write the journal's files themselves, and ask no server: they are for when none runs,
and all but `restore` also for while one does.
"""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trademind.cli.output import Exit, Json, print_json, print_table, reporting
from trademind.settings import load_settings

app = typer.Typer(help="Look through the journal, copy it, export it.", no_args_is_help=True)


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


def _journal() -> str | Path:
    settings = load_settings()
    return settings.journal.url or (settings.data_dir / "journal.db").absolute()


@app.command()
def verify(as_json: Json = False) -> None:
    """Say what is in the journal and whether it is sound. Exits with 1 where it is not."""
    with reporting(as_json):
        from trademind.journal import verify as look_through

        report = asyncio.run(look_through(_journal()))
        if as_json:
            print_json(
                {
                    "location": report.location,
                    "sound": report.is_sound,
                    "last_seq": report.last_seq,
                    "rows": report.rows,
                    "pending": report.pending_count,
                    "findings": [{"kind": one.kind, "detail": one.detail} for one in report.findings],
                }
            )
        else:
            print_table(("table", ">rows"), report.rows.items(), title=report.location)
            typer.echo(f"last event {report.last_seq}; {report.pending_count} intents without an order")
            for one in report.findings:
                typer.echo(f"{one.kind}: {one.detail}")
            typer.echo("sound" if report.is_sound else "not sound")
    if not report.is_sound:
        raise typer.Exit(Exit.FAILED)


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(help="The file to make; it must not be there.")], as_json: Json = False
) -> None:
    """Copy the journal to a file, also while a server writes it."""
    with reporting(as_json):
        from trademind.journal import backup as copy_to

        made = asyncio.run(copy_to(_journal(), to.absolute()))
        if as_json:
            print_json({"path": str(made.path), "size": made.size, "last_seq": made.last_seq})
        else:
            typer.echo(f"{made.path}: {made.size:,} bytes, up to event {made.last_seq}")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A file that `backup` made.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="In place of the present journal, which is kept beside it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a backup the journal. No server may have it open."""
    with reporting(as_json):
        from trademind.journal import restore as put_back

        made = asyncio.run(put_back(source.absolute(), _journal(), overwrite=overwrite))
        replaced = str(made.replaced) if made.replaced else None
        if as_json:
            print_json({"path": str(made.path), "last_seq": made.last_seq, "replaced": replaced})
        else:
            kept = f"; the one before is {replaced}" if replaced else ""
            typer.echo(f"{made.path}: up to event {made.last_seq}{kept}")


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="Where the files are made, one for each table.")],
    format: Annotated[Format, typer.Option(help="csv or parquet.")] = Format.CSV,
    as_json: Json = False,
) -> None:
    """Write the journal's tables into files."""
    with reporting(as_json):
        from trademind.journal import export as write_out

        directory.mkdir(parents=True, exist_ok=True)
        made = asyncio.run(write_out(_journal(), directory.absolute(), format=format.value))
        rows = [(str(one.path), one.rows) for one in made]
        if as_json:
            print_json([{"path": path, "rows": count} for path, count in rows])
        else:
            print_table(("file", ">rows"), rows)
