"""The nouns of the paper exchange: instruments, quotes, tickets, orders, and what happens to them.

The engine speaks IB's vocabulary (statuses, reasons, error codes), since its only users are the message
handlers that put its events on the wire.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from trademind.domain import OrderType, SecType, Side, TimeInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Something the paper exchange trades."""

    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    """Where orders are routed: SMART, or IDEALPRO for FX."""
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    long_name: str
    industry: str
    category: str
    subcategory: str
    stock_type: str
    """COMMON, ETF, ADR …; empty for what is not a stock."""
    min_tick: Decimal
    size_increment: Decimal
    reference_price: float
    """The price that the synthetic market moves around."""
    annual_volatility: float
    daily_volume: int
    spread_ticks: int
    """The usual spread, in minimum ticks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketQuote:
    """The market of one instrument at one moment. Sizes and volume in shares; `close` is yesterday's."""

    con_id: int
    time: datetime
    bid: Decimal
    ask: Decimal
    last: Decimal
    bid_size: Decimal
    ask_size: Decimal
    last_size: Decimal
    volume: Decimal
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class IBStatus(StrEnum):
    """Order statuses as IB spells them."""

    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    CANCELLED = "Cancelled"
    FILLED = "Filled"

    @property
    def is_done(self) -> bool:
        return self in (IBStatus.CANCELLED, IBStatus.FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as a client hands it in. (client_id, order_id) names it for that client."""

    client_id: int
    order_id: int
    account: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    tif: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    order_ref: str = ""
    outside_rth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOrder:
    """An order in the engine's book, at one moment; every change makes a new one."""

    ticket: Ticket
    perm_id: int
    status: IBStatus
    filled: Decimal
    avg_fill_price: Decimal
    """Zero while nothing has filled, as IB reports it."""
    last_fill_price: Decimal
    why_held: str
    """`trigger` for a stop that has not been triggered; empty otherwise."""
    triggered: bool
    created_at: datetime
    completed_at: datetime | None = None
    completed_status: str = ""
    """IB's words for how it ended, as in `Filled Size: 10` or `Cancelled by Trader`."""
    filled_value: Decimal = Decimal(0)
    """Sum of price times quantity over all fills; what the average price and the commission rest on."""
    commission: Decimal = Decimal(0)
    """Charged so far, over all fills."""

    @property
    def remaining(self) -> Decimal:
        return self.ticket.quantity - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperExecution:
    """One fill. Prices and amounts are in the instrument's currency."""

    exec_id: str
    time: datetime
    perm_id: int
    client_id: int
    order_id: int
    account: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    avg_price: Decimal
    exchange: str
    order_ref: str
    commission: Decimal
    realized_pnl: Decimal | None
    """Profit this fill realised, after its commission; None when it only opened or added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPosition:
    """A holding; `avg_cost` includes commissions, as IB's does."""

    instrument: Instrument
    quantity: Decimal
    avg_cost: Decimal
    market_price: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    """Realised today."""
    daily_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFigures:
    """The account's figures in its base currency, by IB's definitions for a Reg-T margin account."""

    net_liquidation: Decimal
    total_cash_value: Decimal
    settled_cash: Decimal
    buying_power: Decimal
    available_funds: Decimal
    excess_liquidity: Decimal
    equity_with_loan_value: Decimal
    init_margin_req: Decimal
    maint_margin_req: Decimal
    gross_position_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    daily_pnl: Decimal
    accrued_cash: Decimal
    cushion: Decimal
    """Excess liquidity as a share of net liquidation."""


# What the engine reports, in the order in which a real gateway puts it on the wire.


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReported:
    """The order was accepted or has changed: an open-order and an order-status message."""

    order: PaperOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A fill happened. Its commission report follows with `CommissionReported`."""

    execution: PaperExecution


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionReported:
    execution: PaperExecution


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderError:
    """An error about an order, for the client that placed it; `code` and `message` are IB's."""

    client_id: int
    order_id: int
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioChanged:
    """Cash or a position has changed: position, portfolio and account-value messages are due."""

    instrument: Instrument


Event = OrderReported | Executed | CommissionReported | OrderError | PortfolioChanged
