"""The two designs under comparison: how each is started, and where its HTTP routes have the common verbs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tests.bench import thread_server
from trademind.settings import setting_names

HEARTBEAT, SILENT_AFTER = 1.0, 4.0
"""Seconds, for the design that has them."""
_WATCHES: Final = {
    "TRADEMIND_IBKR__HEARTBEAT": f"{HEARTBEAT:g}",
    "TRADEMIND_IBKR__SILENT_AFTER": f"{SILENT_AFTER:g}",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """An order as a server lists it."""

    id: str
    ref: str
    status: str
    limit: Any


class Design(Protocol):
    """One server: its command line, its routes, and what its answers say."""

    name: str
    client_id: int
    alive: str
    """Answers 200 as soon as the process serves, whether or not it is connected."""
    health: str
    """Answers 200 while the server believes that it is connected."""
    account: str
    positions: str
    orders: str

    def command(self, port: int, gateway_port: int) -> list[str]: ...
    def environment(self, gateway_port: int) -> dict[str, str]: ...
    def look_up(self, symbol: str) -> str: ...
    def quote(self, symbol: str) -> str: ...
    def held(self, body: Any, symbol: str) -> float: ...
    def listed(self, body: Any) -> list[Listed]: ...
    def order_id(self, body: Any) -> str: ...
    def bid_and_ask(self, body: Any) -> tuple[Any, Any]: ...


class Threads:
    name = "ibapi in a thread with queues"
    client_id = thread_server.CLIENT_ID
    alive, health = "/openapi.json", "/healthz"
    account, positions, orders = "/account", "/positions", "/orders"

    def command(self, port: int, gateway_port: int) -> list[str]:
        return ["tests.bench.thread_server", str(port), str(gateway_port)]

    def environment(self, gateway_port: int) -> dict[str, str]:
        return {}

    def look_up(self, symbol: str) -> str:
        return f"/contracts/{symbol}"

    def quote(self, symbol: str) -> str:
        return f"/quote?symbol={symbol}"

    def held(self, body: Any, symbol: str) -> float:
        return sum(float(each["quantity"]) for each in body if each["symbol"] == symbol)

    def listed(self, body: Any) -> list[Listed]:
        return [
            Listed(str(each["order_id"]), each["client_order_id"], each["status"], each["limit_price"])
            for each in body
        ]

    def order_id(self, body: Any) -> str:
        return str(body["order_id"])

    def bid_and_ask(self, body: Any) -> tuple[Any, Any]:
        return body.get("bid"), body.get("ask")


class TradeMind:
    name = "TradeMind"
    client_id = 22
    alive, health = "/healthz", "/readyz"
    account, positions, orders = "/api/portfolio/account", "/api/portfolio/positions", "/api/orders"

    def command(self, port: int, gateway_port: int) -> list[str]:
        return ["trademind", "server", "start", "--port", str(port)]

    def environment(self, gateway_port: int) -> dict[str, str]:
        return {
            "TRADEMIND_BROKER": "ibkr",
            "TRADEMIND_IBKR__PORT": str(gateway_port),
            "TRADEMIND_IBKR__CLIENT_ID": str(self.client_id),
            "TRADEMIND_IBKR__CONNECT_TIMEOUT": f"{thread_server.CONNECT_TIMEOUT:g}",
            "TRADEMIND_IBKR__REQUEST_TIMEOUT": f"{thread_server.REQUEST_TIMEOUT:g}",
            "TRADEMIND_IBKR__ORDER_TIMEOUT": f"{thread_server.ORDER_TIMEOUT:g}",
            "TRADEMIND_SERVER__LOG_LEVEL": "error",
            **watching(),
        }

    def look_up(self, symbol: str) -> str:
        return f"/api/contracts/search?query={symbol}"

    def quote(self, symbol: str) -> str:
        return f"/api/market/quotes?symbols={symbol}"

    def held(self, body: Any, symbol: str) -> float:
        return sum(float(each["quantity"]) for each in body["positions"] if each["symbol"] == symbol)

    def listed(self, body: Any) -> list[Listed]:
        return [
            Listed(each["id"], each["order_ref"], each["status"], each["limit_price"])
            for each in body["orders"]
        ]

    def order_id(self, body: Any) -> str:
        return str(body["id"])

    def bid_and_ask(self, body: Any) -> tuple[Any, Any]:
        (quote,) = body["quotes"]
        return quote["bid"], quote["ask"]


def watching() -> Mapping[str, str]:
    """Settings by which TradeMind notices a silent gateway, as far as it has them."""
    known = setting_names()
    return {name: value for name, value in _WATCHES.items() if name in known}


DESIGNS: Final[tuple[Design, ...]] = (Threads(), TradeMind())
