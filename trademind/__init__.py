"""TradeMind: an asyncio-native trading server for Interactive Brokers, with a paper gateway built in."""

from typing import TYPE_CHECKING, Any

from trademind.brokers.base import Broker
from trademind.brokers.ibkr.client import IBKRBroker
from trademind.domain import (
    BarRequest,
    ContractQuery,
    OrderChange,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trademind.errors import TradeMindError
from trademind.settings import Settings

if TYPE_CHECKING:
    from trademind.api.app import create_app

__version__ = "0.1.0"

__all__ = [
    "BarRequest",
    "Broker",
    "ContractQuery",
    "IBKRBroker",
    "OrderChange",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "Settings",
    "Side",
    "TimeInForce",
    "TradeMindError",
    "__version__",
    "create_app",
]


def __getattr__(name: str) -> Any:
    # FastAPI is loaded only by those who want the application: scripts and notebooks start without it.
    if name == "create_app":
        from trademind.api.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
