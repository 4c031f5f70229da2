"""The command line. `server` and `gateway` run things here; the rest asks a running server over HTTP.

One file per command group; what they share is in `output` (tables, JSON, exit codes) and `client` (HTTP).
"""

from typing import Annotated

import typer

import trademind
from trademind.cli import (
    backtest,
    bars,
    contracts,
    doctor,
    gateway,
    journal,
    live,
    market,
    orders,
    portfolio,
    risk,
    scanner,
    server,
    signals,
)
from trademind.cli.output import EXIT_CODES

app = typer.Typer(
    name="trademind",
    help="A trading server for Interactive Brokers, with a paper gateway built in.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"trademind {trademind.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


app.add_typer(server.app, name="server")
app.add_typer(gateway.app, name="gateway")
app.add_typer(orders.app, name="order")
app.add_typer(contracts.app, name="contracts")
app.add_typer(journal.app, name="journal")
app.add_typer(bars.app, name="bars")
app.add_typer(backtest.app, name="backtest")
app.command()(portfolio.account)
app.command()(portfolio.positions)
app.command()(orders.orders)
app.command()(orders.reconcile)
app.command()(risk.risk)
app.command()(risk.halt)
app.command()(risk.resume)
app.command()(market.quote)
app.command()(live.watch)
app.command()(scanner.scan)
app.command()(signals.signals)
app.command()(signals.strategies)
app.command()(doctor.doctor)


def main() -> None:
    """The `trademind` program."""
    app()
