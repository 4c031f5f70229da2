"""`trademind risk`, `trademind halt` and `trademind resume`."""

from typing import Annotated, Any

import typer

from trademind.cli.client import Server, Url
from trademind.cli.output import Exit, Json, print_json, print_table, reporting

_USED = {
    "max_position_quantity": "largest_position_quantity",
    "max_position_notional": "largest_position_notional",
    "max_gross_exposure": "gross_exposure",
    "max_open_orders": "open_orders",
    "max_orders_per_minute": "orders_last_minute",
    "max_daily_loss": "daily_pnl",
}
"""What shows how much of a limit is used."""


def risk(url: Url = None, as_json: Json = False) -> None:
    """Show whether orders are taken, the risk limits, and how much of them is used."""
    with reporting(as_json), Server(url) as server:
        found = server.get("/api/risk")
        if as_json:
            print_json(found)
            return
        usage = found["usage"] or {}
        rows = [
            (name.replace("_", " "), _text(limit), usage.get(_USED.get(name, "")))
            for name, limit in found["limits"].items()
        ]
        print_table(("limit", ">allowed", ">now"), rows, title=_mode(found))


def halt(
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")] = "",
    cancel_open: Annotated[
        bool, typer.Option("--cancel-open", help="Also cancel every working order of the server.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take no orders from now on, also after a restart. Cancels pass; `trademind resume` ends it."""
    with reporting(as_json), Server(url) as server:
        body = {"reason": reason, "cancel_open": cancel_open}
        done = server.send("POST", "/api/risk/halt", body)
        if as_json:
            print_json(done)
        else:
            typer.echo(_mode(done))
            if done["canceled"]:
                typer.echo(f"canceled: {', '.join(done['canceled'])}")
        if done["not_canceled"] or done["cancel_error"]:
            open_orders = ", ".join(done["not_canceled"]) or "unknown"
            typer.echo(f"not canceled: {open_orders} ({done['cancel_error']})", err=True)
            raise typer.Exit(Exit.FAILED)


def resume(url: Url = None, as_json: Json = False) -> None:
    """Take orders again. While the day's loss is at its limit, only those that shrink a position."""
    with reporting(as_json), Server(url) as server:
        done = server.send("POST", "/api/risk/resume")
        if as_json:
            print_json(done)
        else:
            typer.echo(_mode(done))


def _mode(state: dict[str, Any]) -> str:
    why = f": {state['reason']}" if state["reason"] else ""
    kept = "" if state["kept"] else "; NOT WRITTEN DOWN, a restart would forget it"
    return f"{state['mode']} since {state['since']}{why}{kept}"


def _text(limit: Any) -> Any:
    return (", ".join(limit) or None) if isinstance(limit, list) else limit
