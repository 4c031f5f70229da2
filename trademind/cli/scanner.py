"""`trademind scan`."""

from typing import Annotated

import typer

from trademind.cli.client import Server, Url
from trademind.cli.output import CommandFailed, Exit, Json, print_json, print_table, reporting


def scan(
    code: Annotated[
        str | None, typer.Argument(help="What to rank by, such as TOP_PERC_GAIN; left out, a list of them.")
    ] = None,
    instrument: Annotated[str, typer.Option(help="What: STK, ETF.EQ.US, FUT.US, …")] = "STK",
    location: Annotated[str, typer.Option(help="Where: STK.US.MAJOR, STK.NASDAQ, …")] = "STK.US.MAJOR",
    rows: Annotated[int, typer.Option(min=1, max=50, help="At most so many.")] = 20,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="As priceAbove=5; repeatable.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show which instruments rank highest at the moment: a market scanner."""
    with reporting(as_json), Server(url) as server:
        if code is None:
            _codes(server, instrument, as_json)
            return
        found = server.question(
            "/api/market/scanner",
            {
                "scan_code": code.upper(),
                "instrument": instrument,
                "location": location,
                "rows": rows,
                "filters": dict(map(_filter, filters or [])),
            },
        )
        if as_json:
            print_json(found)
            return
        print_table(
            (">", "symbol", "type", "exchange", "currency", ">con id"),
            [
                (
                    row["rank"] + 1,
                    row["symbol"],
                    row["sec_type"],
                    row["exchange"],
                    row["currency"],
                    row["con_id"],
                )
                for row in found["rows"]
            ],
            title=found["scan_code"],
        )


def _codes(server: Server, instrument: str, as_json: bool) -> None:
    found = server.get("/api/market/scanner/parameters", instrument=instrument)
    if as_json:
        print_json(found)
        return
    print_table(("scan code", "name"), [(each["code"], each["name"]) for each in found["scan_codes"]])
    print_table(("location", "name"), [(each["code"], each["name"]) for each in found["locations"]])


def _filter(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (name and mark and value):
        detail = f"--filter {text}: give a name and a value, such as priceAbove=5"
        raise CommandFailed.because(Exit.USAGE, "usage", detail, retry_safe=False)
    return name, value
