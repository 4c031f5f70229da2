"""`trademind orders`, `trademind reconcile`, and the commands of `trademind order`."""

import secrets
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trademind.cli.client import Server, Url
from trademind.cli.output import CommandFailed, Exit, Json, print_json, print_table, reporting
from trademind.domain.orders import DONE

app = typer.Typer(
    help="Place, look at and cancel orders; bring positions to a quantity.", no_args_is_help=True
)

_COLUMNS = (
    "id", "side", ">quantity", "symbol", "type", ">limit", ">stop", "tif", "status", ">filled", ">avg price",
    ">commission", "created",
)  # fmt: skip


class Which(StrEnum):
    WORKING = "working"
    DONE = "done"


def orders(
    status: Annotated[
        Which | None, typer.Option(help="Only working ones, or only those that are done.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, the newest.")] = 100,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show working orders, then every event as it comes, until Ctrl-C.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the orders of this day and those still working, newest first.

    With --watch --json every line is a JSON document: a snapshot of all orders, then events, as they are told
    by the server's stream.
    """
    with reporting(as_json), Server(url) as server:
        if watch:
            _watch(server.url, status or Which.WORKING, symbol, limit, as_json)
            return
        wanted = status.value if status else None
        found = server.get("/api/orders", status=wanted, symbol=symbol, limit=limit)
        if as_json:
            print_json(found)
            return
        title = f"{found['account_id']} ({found['source']}) as of {found['as_of']}"
        print_table(_COLUMNS, map(_row, found["orders"]), title=title)


def reconcile(url: Url = None, as_json: Json = False) -> None:
    """Have IB list all orders and fills now, also those placed elsewhere, and tell how orders stand.

    That happens by itself on every connection, and every half minute.
    """
    with reporting(as_json), Server(url) as server:
        found = server.send("POST", "/api/system/reconcile")
        if as_json:
            print_json(found)
            return
        typer.echo(f"{found['working']} orders are working, {found['external']} were placed elsewhere")
        if found["unknown"]:
            typer.echo(f"of unknown outcome: {', '.join(found['unknown'])}")


def _watch(url: str, status: Which, symbol: str | None, limit: int, as_json: bool) -> None:
    """Print frames as they come, for ever."""
    from trademind.cli.watch import frames

    wanted = symbol.strip().upper() if symbol else None
    for frame in frames(url, "orders"):
        data = frame["data"]
        if frame["type"] == "snapshot":
            data = [order for order in data if wanted in (None, order["symbol"])]
        elif frame["type"] == "event" and wanted not in (None, data["symbol"]):
            continue
        if as_json:
            print_json({**frame, "data": data}, in_one_line=True)
            continue
        match frame["type"]:
            case "snapshot":
                is_done = status is Which.DONE
                shown = [order for order in data if (order["status"] in DONE) is is_done][:limit]
                print_table(_COLUMNS, map(_row, shown), title=f"{status} orders as of {frame['ts']}")
            case "event":
                typer.echo(_line(frame))
            case "gap":
                typer.echo(f"{frame['ts']}  may be missing something: {_in_a_line(data['reason'])}")
            case "resumed":
                typer.echo(f"{frame['ts']}  nothing is missing")


def _line(event: dict[str, Any]) -> str:
    """An event, for people: when, what, and how the order stands now."""
    order = event["data"]
    prices = [f"{name} {order[name + '_price']}" for name in ("limit", "stop") if order[name + "_price"]]
    terms = [order["side"], order["quantity"], order["symbol"], order["order_type"], *prices]
    filled = f"{order['filled_quantity']} filled"
    if order["avg_fill_price"]:
        filled += f" at {order['avg_fill_price']}"
    parts = [event["ts"], f"{event['name']:<14}", order["id"], " ".join(terms), order["status"], filled]
    return "  ".join([*parts, *([_in_a_line(order["reason"])] if order["reason"] else [])])


def _in_a_line(text: str) -> str:
    return " ".join(text.split())


@app.command()
def place(
    side: Annotated[str, typer.Argument(help="BUY or SELL.")],
    quantity: Annotated[str, typer.Argument(help="How many.")],
    symbol: Annotated[str, typer.Argument(help="Of what, such as AAPL.")],
    limit: Annotated[str | None, typer.Option(help="Limit price.")] = None,
    stop: Annotated[str | None, typer.Option(help="Stop price.")] = None,
    trail: Annotated[
        str | None, typer.Option(help="A trailing stop at this distance, such as 2.50 or 1.5%.")
    ] = None,
    take_profit: Annotated[
        str | None, typer.Option(help="With an exit at this limit price: a bracket.")
    ] = None,
    stop_loss: Annotated[str | None, typer.Option(help="With an exit at this stop price: a bracket.")] = None,
    tif: Annotated[
        str | None, typer.Option(help="DAY, GTC, IOC or GTD; DAY if left out, GTD with --good-till.")
    ] = None,
    good_till: Annotated[
        str | None, typer.Option(help="When it ends, with --tif GTD, such as 2026-01-31T21:00:00Z.")
    ] = None,
    sec_type: Annotated[str, typer.Option(help="IB's security type.")] = "STK",
    exchange: Annotated[str | None, typer.Option(help="SMART, or IDEALPRO for CASH, if left out.")] = None,
    currency: Annotated[str, typer.Option(help="What it is paid in.")] = "USD",
    outside_rth: Annotated[bool, typer.Option("--outside-rth", help="Also outside regular hours.")] = False,
    key: Annotated[
        str | None, typer.Option(help="Your own name for the order or bracket: given twice, it makes one.")
    ] = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview", help="Only show what IB reckons of margin and commission; nothing is placed."
        ),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Place an order: at the market, or with --limit, --stop, both, or --trail.

    trademind order place BUY 10 AAPL --limit 150 --take-profit 170 --stop-loss 140
    """
    # With a key of its own the order can be found, and the command repeated, whatever happens on the way.
    key = key or f"cli-{secrets.token_hex(8)}"
    order: dict[str, Any] = {
        "side": side,
        "quantity": quantity,
        "symbol": symbol,
        "order_type": "TRAIL" if trail else _ORDER_TYPES[limit is not None, stop is not None],
        "limit_price": limit,
        "stop_price": stop,
        "tif": tif or ("DAY" if good_till is None else "GTD"),
        "good_till": good_till,
        "sec_type": sec_type,
        "exchange": exchange or "",
        "currency": currency,
        "outside_rth": outside_rth,
        "client_order_id": key,
    }
    if trail is not None:
        order |= {"trailing_percent": trail[:-1]} if trail.endswith("%") else {"trailing_amount": trail}
    if take_profit is not None or stop_loss is not None:
        order |= {
            "order_class": "bracket",
            "take_profit": take_profit and {"limit_price": take_profit},
            "stop_loss": stop_loss and {"stop_price": stop_loss},
        }
    if preview:
        with reporting(as_json), Server(url) as server:
            show_preview(server.send("POST", "/api/orders/preview", order), as_json)
        return
    with reporting(as_json), Server(url) as server:
        try:
            placed = server.send("POST", "/api/orders", order)
        except CommandFailed as failure:
            if failure.exit_code is not Exit.UNKNOWN:
                raise
            detail = f"{failure}. The order's id, if it exists, is {key}; with --key {key} the same "
            raise CommandFailed(
                Exit.UNKNOWN,
                {**failure.document, "detail": detail + "command is safe to repeat", "client_order_id": key},
            ) from failure
        _show(placed, as_json)


@app.command()
def cancel(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id, as `orders` shows it.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask for an order to be cancelled. A fill may still cross the cancel."""
    with reporting(as_json), Server(url) as server:
        _show(server.send("DELETE", f"/api/orders/{quote(order_id, safe='')}"), as_json)


@app.command()
def target(
    symbol: Annotated[str, typer.Argument(help="Of what, such as AAPL.")],
    quantity: Annotated[str, typer.Argument(help="How many are to be held; 0 closes the position.")],
    limit: Annotated[str | None, typer.Option(help="Limit price.")] = None,
    cancel_working: Annotated[
        bool, typer.Option("--cancel-working", help="Cancel the server's working orders in it first.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="Your own name for the order: what it has placed once is all it places."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring a position to a quantity. It is safe to repeat: what is held and on its way counts.

    trademind order target AAPL 100

    A short position is asked for after --: trademind order target AAPL -- -100
    """
    wanted = {
        "symbol": symbol,
        "target_quantity": quantity,
        "order_type": "MKT" if limit is None else "LMT",
        "limit_price": limit,
        "cancel_working": cancel_working,
        "client_order_id": key,
    }
    with reporting(as_json), Server(url) as server:
        reached = server.send("POST", "/api/orders/target", wanted)
        if as_json:
            print_json(reached)
        elif reached["order"] is None:
            typer.echo(f"nothing is missing: {reached['position']} held, {reached['on_its_way']} on the way")
        else:
            _show(reached["order"], as_json)
        if reached["still_working"] and not as_json:
            typer.echo(f"still working: {', '.join(reached['still_working'])}")


@app.command("cancel-all")
def cancel_all(
    everywhere: Annotated[
        bool,
        typer.Option("--everywhere", help="Every order of the login: of other programs and by hand, too."),
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask for every working order of this server to be cancelled."""
    with reporting(as_json), Server(url) as server:
        query = "?everywhere=true" if everywhere else ""
        found = server.send("DELETE", f"/api/orders{query}")
        if as_json:
            print_json(found)
        else:
            print_table(_COLUMNS, map(_row, found["orders"]))


@app.command()
def show(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id, as `orders` shows it.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show an order and its whole history."""
    with reporting(as_json), Server(url) as server:
        path = f"/api/orders/{quote(order_id, safe='')}"
        order, found = server.get(path), server.get(f"{path}/events")
        if as_json:
            print_json({**order, "events": found["events"]})
            return
        print_table(_COLUMNS, [_row(order)])
        print_table(
            (">seq", "time", "event", "status", ">filled", "reason"),
            [
                (e["seq"], e["time"], e["name"], *(e["data"].get(key) for key in _SHOWN))
                for e in found["events"]
            ],
        )


_SHOWN = ("status", "filled_quantity", "reason")
_ORDER_TYPES = {
    (False, False): "MKT",
    (True, False): "LMT",
    (False, True): "STP",
    (True, True): "STP LMT",
}


def _show(order: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(order)
    else:
        print_table(_COLUMNS, map(_row, [order, *(order["legs"] or ())]))


def show_preview(preview: dict[str, Any], as_json: bool) -> None:
    """Print IB's reckoning of what an order would do."""
    if as_json:
        print_json(preview)
        return
    names = ("init_margin", "maint_margin", "equity_with_loan")
    print_table(
        ("", ">before", ">change", ">after"),
        [(name, *(preview[name][when] for when in ("before", "change", "after"))) for name in names],
        title=f"commission: {preview['commission'] or 'unknown'} {preview['commission_currency'] or ''}",
    )
    if preview["warning"]:
        typer.echo(preview["warning"])


def _row(order: dict[str, Any]) -> tuple[object, ...]:
    return (
        order["id"],
        order["side"],
        order["quantity"],
        order["symbol"],
        order["order_type"],
        order["limit_price"],
        order["stop_price"],
        order["tif"],
        order["status"],
        order["filled_quantity"],
        order["avg_fill_price"],
        order["commission"],
        order["created_at"],
    )
