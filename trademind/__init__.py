"""TradeMind: an asyncio-native trading server for Interactive Brokers, with a paper gateway built in."""

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
]
