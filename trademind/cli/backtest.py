"""`trademind backtest`: what a strategy would have been worth, by the server, or here on bars of a file.

`run` with a file asks no server; without, it is a job of the server, which has the bars. `grid` and `walk`
try many parameters over all cores of this machine.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from trademind.cli import backtest_bars, backtest_tables
from trademind.cli.backtest_terms import (
    check_names,
    maker_of,
    parameters_of,
    ranges_of,
    terms_of,
    usage,
)
from trademind.cli.bars import POLL_EVERY, ask_again
from trademind.cli.client import Server, Url
from trademind.cli.market import moment
from trademind.cli.output import CommandFailed, Exit, Json, print_json, reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from trademind.signals import BarArrays

JOBS: Final = "/api/backtests"

app = typer.Typer(help="What a strategy would have been worth: on the server's bars, or on those of a file.")

Symbols = Annotated[
    list[str] | None, typer.Argument(help="Such as AAPL MSFT; with a file all that are in it, unless given.")
]
Strategy = Annotated[str, typer.Option("--strategy", "-s", help="Such as rsi_reversion.")]
From = Annotated[
    str | None, typer.Option("--from", help="Trade from when: 2016-01-01, or a time with its zone.")
]
To = Annotated[str | None, typer.Option("--to", help="Until when; the last bar if left out.")]
Size = Annotated[
    str | None, typer.Option(help="Of one bar: '1 min', '1 hour'. '1 day', or what the file has.")
]
Param = Annotated[list[str] | None, typer.Option("--param", "-p", help="A parameter, as in period=10.")]
Range = Annotated[
    list[str] | None, typer.Option("--param", "-p", help="Values to try: period=5..30:5, lower=20,30.")
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Bars of a CSV file, or of a directory of them.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", help="Bars of a Parquet file.")]
Folder = Annotated[
    Path | None, typer.Option("--strategies", help="A folder with strategies of your own, run here.")
]
Cash = Annotated[str, typer.Option(help="Opening balance in US dollars.")]
Share = Annotated[str | None, typer.Option(help="Buy with this share of the equity: 0.5. All, unless given.")]
Risk = Annotated[str | None, typer.Option(help="Buy what loses this share of it at the stop: 0.01.")]
Quantity = Annotated[str | None, typer.Option(help="Buy so many shares.")]
LongOnly = Annotated[bool, typer.Option("--long-only", help="Sell nothing short.")]
Commissions = Annotated[str, typer.Option(help="fixed, tiered or free.")]
Slippage = Annotated[int, typer.Option(help="Ticks by which taking orders fill worse.")]
Spread = Annotated[int | None, typer.Option(help="Ticks from bid to ask; the instrument's usual ones.")]
Score = Annotated[str, typer.Option(help="What is looked for: sharpe, total_return, calmar …")]
Processes = Annotated[int | None, typer.Option("--processes", "-j", help="At a time; the machine's cores.")]


@app.command()
def run(
    strategy: Strategy,
    symbols: Symbols = None,
    start: From = None,
    end: To = None,
    size: Size = None,
    param: Param = None,
    csv: Csv = None,
    parquet: Parquet = None,
    strategies: Folder = None,
    cash: Cash = "100000",
    share: Share = None,
    risk: Risk = None,
    quantity: Quantity = None,
    long_only: LongOnly = False,
    commissions: Commissions = "fixed",
    slippage: Slippage = 0,
    spread: Spread = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Try a strategy: by the server, which has the bars, or here on a file. Ctrl-C leaves it there."""
    with reporting(as_json):
        terms = terms_of(cash, share, risk, quantity, long_only, commissions, slippage, spread)
        file = _file(csv, parquet)
        if file is not None:
            from trademind.analysis.backtests.figures import report_json
            from trademind.signals.backtest import render, run_backtest

            made = maker_of(strategy, strategies)(**parameters_of(param or ()))
            bars = backtest_bars.from_file(file, symbols or (), size)
            settings = terms.settings(_moment("--from", start), _moment("--to", end))
            with _progress("bars", is_quiet=as_json) as progress:
                report = run_backtest(made, bars, settings, progress)
            if html is not None:
                _write(html, render(report))
            found: dict[str, Any] = {"status": "done", "report": report_json(report)}
        else:
            if strategies is not None:
                raise usage("--strategies is for bars of a file: a server has a folder of its own")
            with Server(url) as server:
                found = _by_server(
                    server,
                    {
                        "strategy": strategy,
                        "symbols": _needed(symbols),
                        "start": _start(start).isoformat(),
                        "end": None if end is None else moment("--to", end).isoformat(),
                        "bar_size": size or "1 day",
                        "parameters": parameters_of(param or ()),
                        **terms.body(),
                    },
                    html,
                    is_quiet=as_json,
                )
        _tell(found, html, as_json=as_json)


@app.command()
def show(
    backtest_id: Annotated[str, typer.Argument(metavar="ID", help="As `run` has told it.")],
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show a backtest of the server, and wait until it is over."""
    with reporting(as_json), Server(url) as server:
        job = server.get(f"{JOBS}/{backtest_id}")
        _tell(_followed(server, job, html, is_quiet=as_json), html, as_json=as_json)


@app.command()
def grid(
    strategy: Strategy,
    symbols: Symbols = None,
    start: From = None,
    end: To = None,
    size: Size = None,
    param: Range = None,
    csv: Csv = None,
    parquet: Parquet = None,
    strategies: Folder = None,
    cash: Cash = "100000",
    share: Share = None,
    risk: Risk = None,
    quantity: Quantity = None,
    long_only: LongOnly = False,
    commissions: Commissions = "fixed",
    slippage: Slippage = 0,
    spread: Spread = None,
    score: Score = "sharpe",
    top: Annotated[int, typer.Option(min=1, help="How many are shown.")] = 20,
    processes: Processes = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Try every combination of some parameters, over all cores of this machine."""
    with reporting(as_json):
        from trademind.signals.backtest import Limits, search

        terms = terms_of(cash, share, risk, quantity, long_only, commissions, slippage, spread)
        ranges, make = ranges_of(param or ()), maker_of(strategy, strategies)
        check_names(make, ranges)
        settings = terms.settings(_moment("--from", start), _moment("--to", end))
        bars = _bars(_file(csv, parquet), symbols, size, start, end, url, is_quiet=as_json)
        with _progress("combinations", is_quiet=as_json) as progress:
            limits = Limits(processes=processes)
            points = search(make, ranges, bars, settings, score=score, limits=limits, progress=progress)
        found = [point.to_json() for point in points]
        if as_json:
            print_json({"score": score, "points": found})
        else:
            backtest_tables.print_points(found, score, top)


@app.command()
def walk(
    strategy: Strategy,
    train: Annotated[int, typer.Option(help="Bars on which parameters are chosen.")],
    test: Annotated[int, typer.Option(help="Bars after them on which they are traded.")],
    symbols: Symbols = None,
    start: From = None,
    end: To = None,
    size: Size = None,
    param: Range = None,
    csv: Csv = None,
    parquet: Parquet = None,
    strategies: Folder = None,
    cash: Cash = "100000",
    share: Share = None,
    risk: Risk = None,
    quantity: Quantity = None,
    long_only: LongOnly = False,
    commissions: Commissions = "fixed",
    slippage: Slippage = 0,
    spread: Spread = None,
    anchored: Annotated[
        bool, typer.Option("--anchored", help="Always choose from the first bar on.")
    ] = False,
    score: Score = "sharpe",
    processes: Processes = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Choose parameters on a stretch of bars, trade them on the next one, and so on."""
    with reporting(as_json):
        from trademind.signals.backtest import Limits, walk_forward

        terms = terms_of(cash, share, risk, quantity, long_only, commissions, slippage, spread)
        ranges, make = ranges_of(param or ()), maker_of(strategy, strategies)
        check_names(make, ranges)
        settings = terms.settings(_moment("--from", start), _moment("--to", end))
        bars = _bars(_file(csv, parquet), symbols, size, start, end, url, is_quiet=as_json)
        with _progress("backtests", is_quiet=as_json) as progress:
            found = walk_forward(
                make,
                ranges,
                bars,
                settings,
                train=train,
                test=test,
                anchored=anchored,
                score=score,
                limits=Limits(processes=processes),
                progress=progress,
            )
        if as_json:
            print_json(found.to_json())
        else:
            backtest_tables.print_walk(found.to_json(), score)


def _by_server(server: Server, body: dict[str, Any], html: Path | None, *, is_quiet: bool) -> dict[str, Any]:
    return _followed(server, server.send("POST", JOBS, body), html, is_quiet=is_quiet)


def _followed(server: Server, job: dict[str, Any], html: Path | None, *, is_quiet: bool) -> dict[str, Any]:
    """A backtest once it is over; Ctrl-C leaves it to the server."""
    path = f"{JOBS}/{job['id']}"
    try:
        with _progress(job["status"], is_quiet=is_quiet) as progress:
            while job["status"] in ("queued", "running"):
                progress(job["progress"], 1, job["waiting_for"] or job["stage"] or job["status"])
                time.sleep(POLL_EVERY)
                job = ask_again(server, path)
            progress(job["progress"], 1, job["status"])
    except KeyboardInterrupt:
        typer.echo(f"the server goes on; `trademind backtest show {job['id']}` shows it", err=True)
        raise
    job = ask_again(server, path)
    if html is not None and job["status"] == "done":
        _write(html, server.page(f"{path}/report.html"))
    return job


def _tell(job: dict[str, Any], html: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
    elif job["report"] is not None:
        backtest_tables.print_report(job["report"])
        if html is not None:
            typer.echo(f"the report is in {html}")
    else:
        typer.echo(f"backtest {job['id']} {job['status']}: {job['error'] or 'by somebody'}", err=True)
        if job["traceback"]:
            typer.echo(job["traceback"], err=True)
    if job["status"] != "done":
        raise typer.Exit(Exit.FAILED)


def _bars(
    file: Path | None,
    symbols: list[str] | None,
    size: str | None,
    start: str | None,
    end: str | None,
    url: str | None,
    *,
    is_quiet: bool,
) -> "dict[str, BarArrays]":
    if file is not None:
        return backtest_bars.from_file(file, symbols or (), size)
    until = _moment("--to", end)
    with Server(url) as server:
        return backtest_bars.from_server(
            server, _needed(symbols), size or "1 day", _start(start), until, is_quiet=is_quiet
        )


@contextmanager
def _progress(what: str, *, is_quiet: bool) -> "Iterator[Callable[..., None]]":
    """A bar that is told how much, of how much, is done, and perhaps of what."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as progress:
        task = progress.add_task(what, total=None)

        def told(done: float, total: float, what: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=what)

        yield told


def _file(csv: Path | None, parquet: Path | None) -> Path | None:
    if csv is not None and parquet is not None:
        raise usage("give one of --csv and --parquet")
    return csv or parquet


def _needed(symbols: list[str] | None) -> list[str]:
    if not symbols:
        raise usage("name a symbol, such as AAPL, or a file with --csv or --parquet")
    return symbols


def _start(start: str | None) -> Any:
    if start is None:
        raise usage("--from says from when, such as 2016-01-01")
    return moment("--from", start)


def _moment(option: str, text: str | None) -> Any:
    return None if text is None else moment(option, text)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        detail = f"{path} cannot be written: {error.strerror or error}"
        raise CommandFailed.because(Exit.FAILED, "not_written", detail) from error
