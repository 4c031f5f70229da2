"""`trademind bars`: show bars, download many of them, and write what is stored to a file.

`trademind bars AAPL` shows bars: what follows `bars` is a symbol, unless it is the name of a command.
"""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from trademind import domain
from trademind.cli import market
from trademind.cli.client import Server, Url
from trademind.cli.market import AllHours, Currency, SecType, What, moment
from trademind.cli.output import CommandFailed, Exit, Json, print_json, reporting
from trademind.settings import load_settings

JOBS: Final = "/api/market/bars/jobs"
POLL_EVERY: Final = 0.5
AWAY_FOR: Final = 60.0
"""Seconds that a server may be away while a job is watched: as long as a restart may take."""


class _SymbolOrCommand(TyperGroup):
    """A group that takes what is not the name of one of its commands for a symbol to show."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not (args and (args[0] in self.commands or args[0] == "--help")):
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_SymbolOrCommand,
    help="Show bars of a symbol, download many, export what is stored. `trademind bars AAPL` shows.",
)
app.command("show")(market.bars)

Size = Annotated[str, typer.Option(help="Of one bar, in IB's spelling: '1 min', '1 hour', '1 day'.")]
From = Annotated[str, typer.Option("--from", help="From when: 2024-01-01, or a time with its zone.")]
To = Annotated[str | None, typer.Option("--to", help="Until when; now if left out.")]


@app.command()
def download(
    symbols: Annotated[list[str], typer.Argument(help="Such as AAPL MSFT.")],
    start: From,
    size: Size = "1 hour",
    end: To = None,
    what: What = None,
    all_hours: AllHours = False,
    sec_type: SecType = "STK",
    currency: Currency = "USD",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only begin, and do not wait.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Have the server download bars, and show how far it is. Ctrl-C leaves it to the server.

    What is stored is not downloaded again. The same command finds a download that is under way, also after a
    restart of the server.
    """
    with reporting(as_json), Server(url) as server:
        wanted = {
            "symbols": symbols,
            "sec_type": sec_type,
            "currency": currency,
            "bar_size": size,
            "use_rth": not all_hours,
            "start": moment("--from", start).isoformat(),
        }
        if end is not None:
            wanted["end"] = moment("--to", end).isoformat()
        if what is not None:
            wanted["what_to_show"] = what.upper()
        job = server.send("POST", JOBS, wanted)
        if not no_wait:
            try:
                job = watch(server, job, is_quiet=as_json)
            except KeyboardInterrupt:
                typer.echo(
                    f"the server goes on with download {job['id']}; the same command shows it", err=True
                )
                raise
        if as_json:
            print_json(job)
        else:
            _tell(job)
        if job["status"] in ("failed", "canceled"):
            raise typer.Exit(Exit.FAILED)


@app.command()
def export(
    symbol: Annotated[str, typer.Argument(help="Such as AAPL.")],
    file: Annotated[Path, typer.Argument(help="The file to make: its name ends in .parquet or .csv.")],
    size: Size = "1 hour",
    start: From = "1970-01-01",
    end: To = None,
    what: What = None,
    all_hours: AllHours = False,
    sec_type: SecType = "STK",
    currency: Currency = "USD",
    as_json: Json = False,
) -> None:
    """Write stored bars to a file. No server is asked: what is missing has to be downloaded first."""
    with reporting(as_json):
        from trademind.journal.bar_export import StoredBars, export_bars
        from trademind.runtime import bar_source

        settings = load_settings()
        name, ibkr = bar_source(settings), settings.ibkr
        wanted = StoredBars(
            symbol=symbol.strip().upper(),
            sec_type=sec_type.upper(),
            currency=currency.upper(),
            bar_size=size,
            what_to_show=what.upper() if what else domain.default_data(domain.SecType(sec_type.upper())),
            use_rth=not all_hours,
            sources=[name] if name else ["ib", f"paper {ibkr.host}:{ibkr.port}"],
        )
        journal = settings.journal.url or (settings.data_dir / "journal.db").absolute()
        since = moment("--from", start)
        until = datetime.max.replace(tzinfo=UTC) if end is None else moment("--to", end)
        made = asyncio.run(export_bars(journal, wanted, file.absolute(), since=since, until=until))
        if as_json:
            print_json({"path": str(made.path), "bars": made.rows})
        else:
            typer.echo(f"{made.path}: {made.rows:,} bars")


def watch(server: Server, job: dict[str, Any], *, is_quiet: bool) -> dict[str, Any]:
    """Show how far a download is until it is over; how it ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as progress:
        task = progress.add_task("waiting", total=None, note="")
        while True:
            how = job["progress"]
            note = f"waits: {how['waiting_for']}" if how["waiting_until"] else f"{how['bars_stored']:,} bars"
            progress.update(
                task,
                description=how["symbol"] or job["status"],
                total=how["requests_total"],
                completed=how["requests_done"],
                note=note,
            )
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(POLL_EVERY)
            job = ask_again(server, f"{JOBS}/{job['id']}")


def ask_again(server: Server, path: str) -> dict[str, Any]:
    """How a job stands; while the server is started again, this waits."""
    give_up_at = time.monotonic() + AWAY_FOR
    while True:
        try:
            found: dict[str, Any] = server.get(path)
        except CommandFailed as failure:
            if failure.exit_code is not Exit.UNREACHABLE or time.monotonic() > give_up_at:
                raise
            time.sleep(POLL_EVERY)
        else:
            return found


def _tell(job: dict[str, Any]) -> None:
    how, names = job["progress"], ", ".join(job["symbols"])
    for failure in job["failures"]:
        typer.echo(f"{failure['symbol']}: {failure['detail']}", err=True)
    if job["status"] in ("queued", "running"):
        typer.echo(f"{names}: the server downloads; the same command shows how far it is")
    else:
        done = f"{how['bars_stored']:,} bars stored, requests: {how['requests_done']:,}"
        typer.echo(f"{names}: {job['status']}, {done}")
