"""What trading is made of, in plain immutable values: standard library only, no I/O, no IB types.

Money, order prices and quantities are `Decimal`; times are aware and in UTC; unknown is `None`.
"""

from trademind.domain.account import Account, DataSource, PnL, Position
from trademind.domain.executions import Execution
from trademind.domain.instruments import Contract, ContractDetails, ContractMatch, ContractQuery, SecType
from trademind.domain.market import Bar, BarRequest, DataType, Quote
from trademind.domain.orders import (
    Notice,
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trademind.domain.session import SessionInfo, SessionState

__all__ = [
    "Account",
    "Bar",
    "BarRequest",
    "Contract",
    "ContractDetails",
    "ContractMatch",
    "ContractQuery",
    "DataSource",
    "DataType",
    "Execution",
    "Notice",
    "Order",
    "OrderChange",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "PnL",
    "Position",
    "Quote",
    "SecType",
    "SessionInfo",
    "SessionState",
    "Side",
    "TimeInForce",
]
