"""`trademind signals` and `trademind strategies`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from trademind.cli.client import Server, Url
from trademind.cli.output import Json, print_json, print_table, reporting


def signals(
    symbol: Annotated[str | None, typer.Argument(help="Of what; left out, all of the watch list.")] = None,
    strategy: Annotated[str | None, typer.Option(help="By which; all there are, if left out.")] = None,
    size: Annotated[str | None, typer.Option(help="Of which bars: '1 hour', '1 day' …")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show how an instrument stands by each strategy, or what is to be done of the watch list."""
    with reporting(as_json), Server(url) as server:
        if symbol is None:
            found = server.get("/api/signals")
        else:
            found = server.get(f"/api/signals/{quote(symbol, safe='')}", strategy=strategy, bar_size=size)
        if as_json:
            print_json(found)
            return
        looks = found["signals"]
        shown = looks if symbol is not None else [look for look in looks if look["action"] != "hold"]
        title = None
        if symbol is None:
            title = f"{len(shown)} of {len(looks)}; nothing is to be done of the others"
        print_table(
            (
                "symbol",
                "strategy",
                "bar",
                "action",
                ">strength",
                ">entry",
                ">stop",
                ">target",
                ">quantity",
                "why",
            ),
            map(_row, shown),
            title=title,
        )


def strategies(url: Url = None, as_json: Json = False) -> None:
    """Show the strategies with their parameters, and those that cannot be used."""
    with reporting(as_json), Server(url) as server:
        found = server.get("/api/strategies")
        if as_json:
            print_json(found)
            return
        print_table(
            ("strategy", "what it does", "parameters", "from"),
            [
                (each["name"], each["description"], _parameters(each["parameters"]), each["origin"])
                for each in found["strategies"]
            ],
        )
        if found["broken"]:
            print_table(
                ("broken", "from", "why"),
                [(each["name"], each["origin"], each["error"]) for each in found["broken"]],
            )


def _row(look: dict[str, Any]) -> tuple[Any, ...]:
    why = look["error"] or "; ".join([*look["reasons"], *look["notes"]])
    return (
        look["symbol"],
        look["strategy"],
        None
        if look["bar_time"] is None
        else f"{look['bar_time'][:16].replace('T', ' ')}, {look['bar_size']}",
        look["action"],
        None if look["action"] in (None, "hold") else f"{look['strength']:.2f}",
        _price(look["entry"]),
        _price(look["stop"]),
        _price(look["target"]),
        look["quantity"],
        why,
    )


def _price(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"


def _parameters(parameters: list[dict[str, Any]]) -> str:
    return ", ".join(f"{each['name']} {each['default']}" for each in parameters)
