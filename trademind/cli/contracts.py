"""`trademind contracts`: find what can be traded, and what is known of it."""

from typing import Annotated, Any

import typer

from trademind.cli.client import Server, Url, exit_code
from trademind.cli.market import Currency, Exchange, SecType
from trademind.cli.output import CommandFailed, Json, print_json, print_table, reporting

app = typer.Typer(help="Find contracts and options, and show what is known of them.", no_args_is_help=True)

Named = Annotated[str, typer.Argument(metavar="SYMBOL|CON_ID", help="A symbol, or a con id as 265598.")]

_SHOWN = (
    "con_id", "symbol", "sec_type", "exchange", "primary_exchange", "currency", "local_symbol",
    "trading_class", "last_trade_date", "strike", "right", "multiplier", "long_name", "industry", "category",
    "subcategory", "stock_type", "min_tick", "size_increment", "time_zone", "liquid_hours", "valid_exchanges",
    "as_of",
)  # fmt: skip
_COLUMNS = (
    ">con id",
    "symbol",
    "type",
    "exchange",
    "currency",
    "local symbol",
    "expires",
    ">strike",
    "right",
)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="The beginning of a symbol, or a part of a name.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Find contracts whose symbol or name matches."""
    with reporting(as_json), Server(url) as server:
        found = server.get("/api/contracts/search", query=text)
        if as_json:
            print_json(found)
            return
        rows = [
            (
                each["con_id"],
                each["symbol"],
                each["sec_type"],
                each["primary_exchange"],
                each["currency"],
                each["description"],
                " ".join(each["derivative_sec_types"]),
            )
            for each in found["contracts"]
        ]
        columns = (">con id", "symbol", "type", "exchange", "currency", "name", "derivatives")
        print_table(columns, rows)


@app.command()
def show(
    name: Named,
    sec_type: SecType = "STK",
    exchange: Exchange = None,
    currency: Currency = "USD",
    expiration: Annotated[str, typer.Option(help="Of a derivative: YYYYMMDD or YYYYMM.")] = "",
    strike: Annotated[str | None, typer.Option(help="Of an option.")] = None,
    right: Annotated[str, typer.Option(help="Of an option: C or P.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask IB again, whatever is known.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a contract. Of several that match, the candidates are listed.

    trademind contracts show ES --sec-type FUT --expiration 202612
    """
    with reporting(as_json), Server(url) as server:
        terms = _terms(name, sec_type, exchange, currency)
        terms |= {"last_trade_date": expiration, "strike": strike, "right": right}
        found = _the(server, terms, as_json)
        if fresh:
            found = server.get(f"/api/contracts/{found['con_id']}", fresh=True)
        if as_json:
            print_json(found)
            return
        rows = [(field.replace("_", " "), _text(found[field])) for field in _SHOWN]
        print_table(("", ""), [row for row in rows if row[1]])


@app.command()
def options(
    name: Named,
    expiration: Annotated[
        str | None, typer.Option(help="YYYYMMDD: list the contracts that expire then.")
    ] = None,
    trading_class: Annotated[str, typer.Option(help="Where there are several: SPX or SPXW.")] = "",
    sec_type: SecType = "STK",
    exchange: Exchange = None,
    currency: Currency = "USD",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show the options on an underlying: what there is to choose from, or those of one expiration."""
    with reporting(as_json), Server(url) as server:
        underlying = _the(server, _terms(name, sec_type, exchange, currency), as_json)
        found = server.get(
            f"/api/contracts/{underlying['con_id']}/options",
            expiration=expiration,
            trading_class=trading_class or None,
        )
        if as_json:
            print_json(found)
        elif expiration is not None:
            print_table(_COLUMNS, map(_row, found["contracts"]))
        else:
            rows = [
                (
                    each["exchange"],
                    each["trading_class"],
                    each["multiplier"],
                    " ".join(each["expirations"]),
                    f"{len(each['strikes'])}, {each['strikes'][0]} to {each['strikes'][-1]}"
                    if each["strikes"]
                    else None,
                )
                for each in found["parameters"]
            ]
            print_table(("exchange", "class", ">multiplier", "expirations", "strikes"), rows)


def _terms(name: str, sec_type: str, exchange: str | None, currency: str) -> dict[str, Any]:
    """A number is a con id, but where an exchange is named: in Hong Kong it is a symbol."""
    if name.isascii() and name.isdecimal() and exchange is None:
        return {"con_id": int(name)}
    return {"symbol": name, "sec_type": sec_type, "exchange": exchange or "", "currency": currency}


def _the(server: Server, terms: dict[str, Any], as_json: bool) -> Any:
    """The one contract meant. Raises `CommandFailed`, after a list of candidates where there are several."""
    (found,) = server.question("/api/contracts/qualify", {"contracts": [terms]})["contracts"]
    if (problem := found["error"]) is not None:
        if not as_json and (candidates := problem.get("candidates")):
            print_table(_COLUMNS, map(_row, candidates))
        raise CommandFailed(exit_code(problem), problem)
    return found["contract"]


def _row(contract: dict[str, Any]) -> tuple[object, ...]:
    return (
        contract["con_id"],
        contract["symbol"],
        contract["sec_type"],
        contract["exchange"],
        contract["currency"],
        contract["local_symbol"],
        contract["last_trade_date"] or None,
        contract["strike"],
        contract["right"] or None,
    )


def _text(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else value
