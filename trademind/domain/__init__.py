"""What trading is made of, in plain immutable values: standard library only, no I/O, no IB types.

Money, order prices and quantities are `Decimal`; times are aware and in UTC; unknown is `None`.
"""

from trademind.domain.account import Account, DataSource, PnL, Position
from trademind.domain.channels import LATEST_VALUE, MARKET, Channel
from trademind.domain.events import Event, Gap, Resumed, State
from trademind.domain.executions import Execution
from trademind.domain.groups import OCAType, OrderClass, OrderGroup, StopLoss, bracket
from trademind.domain.instruments import (
    Contract,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    OptionParameters,
    SecType,
    default_exchange,
)
from trademind.domain.market import (
    Bar,
    BarRequest,
    DataType,
    Depth,
    DepthLevel,
    Greeks,
    LineUsage,
    LiveBar,
    LiveBars,
    Missed,
    Quote,
    Subject,
    Tick,
    TickType,
    default_data,
)
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
from trademind.domain.previews import Margin, OrderPreview
from trademind.domain.risk import RiskLimits, TradingHours, TradingMode, TradingState
from trademind.domain.scanner import (
    ScanCode,
    ScanInstrument,
    ScanLocation,
    ScannerParameters,
    ScanRequest,
    ScanRow,
)
from trademind.domain.session import SessionInfo, SessionState, Snapshot
from trademind.domain.signals import SignalOutcome, TrackedSignal
from trademind.domain.targets import Standing, Target

__all__ = [
    "LATEST_VALUE",
    "MARKET",
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
    "Depth",
    "DepthLevel",
    "Event",
    "Execution",
    "Gap",
    "Greeks",
    "LineUsage",
    "LiveBar",
    "LiveBars",
    "Margin",
    "Missed",
    "Notice",
    "OCAType",
    "OptionParameters",
    "Order",
    "OrderChange",
    "OrderClass",
    "OrderGroup",
    "OrderPreview",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "PnL",
    "Position",
    "Quote",
    "Resumed",
    "RiskLimits",
    "ScanCode",
    "ScanInstrument",
    "ScanLocation",
    "ScanRequest",
    "ScanRow",
    "ScannerParameters",
    "SecType",
    "SessionInfo",
    "SessionState",
    "Side",
    "SignalOutcome",
    "Snapshot",
    "Standing",
    "State",
    "StopLoss",
    "Subject",
    "Target",
    "Tick",
    "TickType",
    "TimeInForce",
    "TrackedSignal",
    "TradingHours",
    "TradingMode",
    "TradingState",
    "bracket",
    "default_data",
    "default_exchange",
]
