"""`trademind account` and `trademind positions`."""

from trademind.cli.client import Server, Url
from trademind.cli.output import Json, print_json, print_table, reporting

_FIGURES = (
    "net_liquidation",
    "total_cash_value",
    "buying_power",
    "available_funds",
    "excess_liquidity",
    "equity_with_loan_value",
    "init_margin_req",
    "maint_margin_req",
    "gross_position_value",
    "unrealized_pnl",
    "realized_pnl",
)


def account(url: Url = None, as_json: Json = False) -> None:
    """Show the account's figures."""
    with reporting(as_json), Server(url) as server:
        found = server.get("/api/portfolio/account")
        if as_json:
            print_json(found)
            return
        title = f"{found['account_id']} ({found['source']}) as of {found['as_of']}"
        rows = [(name.replace("_", " "), found[name]) for name in _FIGURES]
        print_table(("figure", f">{found['currency']}"), rows, title=title)


def positions(url: Url = None, as_json: Json = False) -> None:
    """Show the open positions."""
    columns = ("symbol", ">quantity", ">avg cost", ">price", ">value", ">unrealized", ">realized", "currency")
    with reporting(as_json), Server(url) as server:
        found = server.get("/api/portfolio/positions")
        if as_json:
            print_json(found)
            return
        rows = [
            (
                held["symbol"],
                held["quantity"],
                held["avg_cost"],
                held["market_price"],
                held["market_value"],
                held["unrealized_pnl"],
                held["realized_pnl"],
                held["currency"],
            )
            for held in found["positions"]
        ]
        title = f"{found['account_id']} ({found['source']}) as of {found['as_of']}"
        print_table(columns, rows, title=title)
