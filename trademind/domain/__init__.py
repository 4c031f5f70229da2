"""What trading is made of, in plain immutable values: standard library only, no I/O, no IB types.

Money, order prices and quantities are `Decimal`; times are aware and in UTC; unknown is `None`.
"""

from trademind.domain.account import Account, DataSource, PnL, Position
from trademind.domain.events import Channel, Event, Gap, Resumed, State
from trademind.domain.executions import Execution
from trademind.domain.instruments import Contract, ContractDetails, ContractMatch, ContractQuery, SecType
from trademind.domain.market import Bar, BarRequest, DataType, Quote
from trademind.domain.notices import Notice
from trademind.domain.orders import (
    Order,
    OrderChange,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from trademind.domain.risk import RiskLimits, TradingHours, TradingMode, TradingState
from trademind.domain.session import SessionInfo, SessionState, Snapshot

__all__ = [
    "Account",
    "Bar",
    "BarRequest",
    "Channel",
    "Contract",
    "ContractDetails",
    "ContractMatch",
    "ContractQuery",
    "DataSource",
    "DataType",
    "Event",
    "Execution",
    "Gap",
    "Notice",
    "Order",
    "OrderChange",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "PnL",
    "Position",
    "Quote",
    "Resumed",
    "RiskLimits",
    "SecType",
    "SessionInfo",
    "SessionState",
    "Side",
    "Snapshot",
    "State",
    "TimeInForce",
    "TradingHours",
    "TradingMode",
    "TradingState",
]
