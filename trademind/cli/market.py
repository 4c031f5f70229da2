"""`trademind quote` and `trademind bars`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from trademind.cli.client import Server, Url
from trademind.cli.follow import follow_bars
from trademind.cli.output import CommandFailed, Exit, Json, print_json, print_table, reporting
from trademind.cli.plot import print_plot

SecType = Annotated[str, typer.Option(help="IB's security type: STK, CASH, FUT, CRYPTO, …")]
Exchange = Annotated[str | None, typer.Option(help="Where, if not where IB trades its type.")]
Currency = Annotated[str, typer.Option()]
What = Annotated[
    str | None, typer.Option("--what", help="TRADES (MIDPOINT for currencies), BID, ASK, BID_ASK …")
]
AllHours = Annotated[bool, typer.Option("--all-hours", help="Also outside of regular trading hours.")]


def quote(
    symbols: Annotated[list[str], typer.Argument(help="One or more, such as AAPL MSFT.")],
    sec_type: SecType = "STK",
    exchange: Exchange = None,
    currency: Currency = "USD",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the latest quotes."""
    columns = (
        "symbol",
        ">bid",
        ">ask",
        ">last",
        ">bid size",
        ">ask size",
        ">volume",
        ">close",
        "data",
        "as of",
    )
    with reporting(as_json), Server(url) as server:
        found = server.get(
            "/api/market/quotes",
            symbols=",".join(symbols),
            sec_type=sec_type,
            exchange=exchange,
            currency=currency,
        )
        if as_json:
            print_json(found)
            return
        rows = [
            (
                each["symbol"],
                each["bid"],
                each["ask"],
                each["last"],
                _count(each["bid_size"]),
                _count(each["ask_size"]),
                _count(each["volume"]),
                each["close"],
                "stale" if each["stale"] else each["data_type"],
                each["as_of"],
            )
            for each in found["quotes"]
        ]
        print_table(columns, rows)


def bars(
    symbol: Annotated[str, typer.Argument(help="Such as AAPL.")],
    size: Annotated[str, typer.Option(help="Of one bar, in IB's spelling: '5 mins', '1 hour'.")] = "1 hour",
    duration: Annotated[str | None, typer.Option(help="Back from the end: '2 D', '1 W'.")] = None,
    start: Annotated[str | None, typer.Option(help="From when: 2026-01-30, or a time with its zone.")] = None,
    end: Annotated[str | None, typer.Option(help="Until when; now if left out.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, the oldest first.")] = 500,
    sec_type: SecType = "STK",
    exchange: Exchange = None,
    currency: Currency = "USD",
    what: What = None,
    all_hours: AllHours = False,
    plotted: Annotated[bool, typer.Option("--plot", help="Draw them as candles.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show each bar from now on when it has ended; Ctrl-C ends it.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show historical bars, oldest first, or with --follow those of now."""
    with reporting(as_json), Server(url) as server:
        if follow:
            if plotted or any(option is not None for option in (duration, start, end)):
                detail = "--follow goes with none of --duration, --start, --end and --plot"
                raise CommandFailed.because(Exit.USAGE, "usage", detail)
            wanted = {
                "symbol": symbol,
                "sec_type": sec_type.upper(),
                "exchange": exchange or "",
                "currency": currency,
                "bar_size": size,
                "what_to_show": what and what.upper(),
                "use_rth": not all_hours,
            }
            follow_bars(server.url, wanted, as_json=as_json)
            return
        found = server.get(
            "/api/market/bars",
            symbol=symbol,
            bar_size=size,
            duration=duration,
            start=None if start is None else moment("--start", start).isoformat(),
            end=None if end is None else moment("--end", end).isoformat(),
            limit=limit,
            sec_type=sec_type,
            exchange=exchange,
            currency=currency,
            what_to_show=what and what.upper(),
            use_rth=not all_hours,
        )
        if as_json:
            print_json(found)
            return
        if plotted:
            print_plot(found["bars"], title=f"{found['symbol']} {found['bar_size']}")
            return
        rows = [
            (
                bar["time"],
                bar["open"],
                bar["high"],
                bar["low"],
                bar["close"],
                _count(bar["volume"]),
                bar["wap"],
                bar["count"],
            )
            for bar in found["bars"]
        ]
        columns = ("time", ">open", ">high", ">low", ">close", ">volume", ">wap", ">trades")
        print_table(columns, rows, title=f"{found['symbol']} {found['bar_size']}")
        if found["next_page_token"] is not None:
            typer.echo("there are more; take a shorter time, or --limit 500", err=True)


def moment(option: str, text: str) -> datetime:
    """A day means its beginning in UTC."""
    try:
        when = datetime.fromisoformat(text)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        detail = f"{option} {text}: not a day such as 2024-01-31, nor a time such as 2024-01-31T15:00:00Z"
        raise CommandFailed.because(Exit.USAGE, "usage", detail, retry_safe=False) from error


def _count(value: float | None) -> str | None:
    """Shares without the `.0` that JSON numbers bring along."""
    return None if value is None else f"{value:.10g}"
