"""TradeMind: an asyncio-native trading server for Interactive Brokers, with a paper gateway built in.

The broker, the application and the settings are loaded when they are first asked for, so that a script
pays only for what it uses and the command line answers at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trademind.domain import (
    BarRequest,
    Channel,
    ContractQuery,
    Event,
    Gap,
    Order,
    OrderChange,
    OrderGroup,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    Resumed,
    ScanRequest,
    SecType,
    Side,
    StopLoss,
    TimeInForce,
    bracket,
)
from trademind.errors import TradeMindError

if TYPE_CHECKING:
    from trademind.api.app import create_app
    from trademind.brokers.base import Broker
    from trademind.brokers.ibkr.client import IBKRBroker
    from trademind.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "BarRequest",
    "Broker",
    "Channel",
    "ContractQuery",
    "Event",
    "Gap",
    "IBKRBroker",
    "Order",
    "OrderChange",
    "OrderGroup",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "Quote",
    "Resumed",
    "ScanRequest",
    "SecType",
    "Settings",
    "Side",
    "StopLoss",
    "TimeInForce",
    "TradeMindError",
    "__version__",
    "bracket",
    "create_app",
]

_LOADED_ON_DEMAND = {
    "Broker": "trademind.brokers.base",
    "IBKRBroker": "trademind.brokers.ibkr.client",
    "Settings": "trademind.settings",
    "create_app": "trademind.api.app",
}


def __getattr__(name: str) -> Any:
    if name in _LOADED_ON_DEMAND:
        return getattr(import_module(_LOADED_ON_DEMAND[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
