"""The nouns of the paper exchange: instruments, quotes, tickets, orders, and what happens to them.

The engine speaks IB's vocabulary (statuses, reasons, error codes), since its only users are the message
handlers that put its events on the wire.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from trademind.domain import SecType, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One part of a combination."""

    instrument: "Instrument"
    ratio: int
    side: Side
    """What buying the combination does with this part."""
    exchange: str = "SMART"


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
    multiplier: Decimal = Decimal(1)
    """How many units one contract is about; an amount of money is quantity times price times this."""
    last_trade_date: str = ""
    """YYYYMMDD of a derivative; empty for what does not expire."""
    strike: Decimal | None = None
    right: str = ""
    """C or P of an option."""
    underlying: "Instrument | None" = None
    """What an option, a future or a CFD is about, or an index is measured by; its price follows from it."""
    legs: tuple[Leg, ...] = ()
    """The parts of a combination, which is priced by theirs; empty for everything else."""
    market_rule: int = 26
    """IB's number for the price increments."""
    contract_month: str = ""
    """YYYYMM of a derivative: the month it is named after, which need not be the one it expires in."""
    last_trade_time: str = ""
    """When it stops trading on its last day, as in 08:30, in its time zone; empty for the usual close."""
    time_zone: str = "US/Eastern"
    """Of its exchange, as IB names it."""
    exchanges: tuple[str, ...] = ()
    """Where it can be routed, beside `exchange`."""
    min_size: Decimal = Decimal(1)
    """The smallest order."""
    isin: str = ""


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

    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"

    @property
    def is_done(self) -> bool:
        return self in (IBStatus.CANCELLED, IBStatus.FILLED)


class IBOrderType(StrEnum):
    """Order types as IB spells them."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"
    TRAIL = "TRAIL"
    TRAIL_LIMIT = "TRAIL LIMIT"
    MARKET_IF_TOUCHED = "MIT"
    LIMIT_IF_TOUCHED = "LIT"
    MARKET_ON_CLOSE = "MOC"
    LIMIT_ON_CLOSE = "LOC"
    MARKET_WITH_PROTECTION = "MKT PRT"
    RELATIVE = "REL"
    PEGGED_TO_MIDPOINT = "PEG MID"

    # Set below for each, since orders are asked for them all the time.
    needs_limit: bool
    needs_stop: bool
    """Whether it waits for the market to come to `stop_price`."""
    trails: bool
    has_trigger: bool
    """Whether it is held until the market comes to a stop, which stands still or trails."""
    is_pegged: bool
    """Whether its limit moves with the market."""


for _kind in IBOrderType:
    _kind.needs_limit = _kind.value in ("LMT", "STP LMT", "LIT", "LOC")
    _kind.needs_stop = _kind.value in ("STP", "STP LMT", "MIT", "LIT")
    _kind.trails = _kind.value in ("TRAIL", "TRAIL LIMIT")
    _kind.has_trigger = _kind.needs_stop or _kind.trails
    _kind.is_pegged = _kind.value in ("REL", "PEG MID")


class IBTif(StrEnum):
    """Times in force as IB spells them."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"
    """At the opening only."""
    GTD = "GTD"
    """Until `good_till`."""
    CLS = "CLS"
    """At the close only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCondition:
    """Holds while the last trade of another instrument is at or beyond a price."""

    instrument: Instrument
    price: Decimal
    is_more: bool
    """At or above the price; otherwise at or below."""
    trigger_method: int = 0
    is_and: bool = True
    """How it combines with the condition after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCondition:
    """Holds after (or, with `is_more` false, before) a moment."""

    moment: datetime
    is_more: bool
    is_and: bool = True


Condition = PriceCondition | TimeCondition


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """What a stop turns into, once, when the market reaches `trigger_price`."""

    order_type: IBOrderType
    trigger_price: Decimal
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None
    trailing: Decimal | None = None
    """The trailing amount, or the percentage where `is_percent`."""
    is_percent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as a client hands it in. (client_id, order_id) names it for that client."""

    client_id: int
    order_id: int
    account: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: IBOrderType
    tif: IBTif
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    """Where it is triggered; of a trailing order where its stop starts, None to start at the market."""
    order_ref: str = ""
    outside_rth: bool = False
    exchange: str = ""
    """Where it is to be routed; empty for the instrument's own routing."""
    trailing_amount: Decimal | None = None
    trailing_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    """TRAIL LIMIT: how far the limit is from the stop."""
    offset: Decimal | None = None
    """REL and PEG MID: how much more aggressive than the price it is pegged to."""
    good_till: datetime | None = None
    good_after: datetime | None = None
    all_or_none: bool = False
    min_quantity: Decimal | None = None
    display_size: Decimal | None = None
    """How much of it is shown; None for all."""
    hidden: bool = False
    parent_id: int = 0
    """The order id of the parent, whose fill lets it work; 0 for none."""
    transmit: bool = True
    """False: kept until an order of its family comes with True."""
    oca_group: str = ""
    oca_type: int = 0
    """1 cancel the others, with block; 2 reduce, with block; 3 reduce, without block."""
    trigger_method: int = 0
    """0 default; 1 double bid/ask; 2 last; 3 double last; 4 bid/ask; 7 last or bid/ask; 8 mid-point."""
    conditions: tuple[Condition, ...] = ()
    conditions_cancel: bool = False
    """When the conditions hold the order is cancelled, instead of submitted."""
    conditions_outside_rth: bool = False
    adjustment: Adjustment | None = None
    notes: tuple[tuple[str, str], ...] = ()
    """Names and values of what changes nothing here and is shown to clients again."""


class Stage(StrEnum):
    """How far an order has come on its way to the market."""

    CHILD = "child"
    """Its parent has not filled."""
    AFTER = "after"
    """It waits for its good-after time."""
    CONDITION = "condition"
    """It waits for its conditions."""
    AUCTION = "auction"
    """It waits for the opening or the close."""
    TRIGGER = "trigger"
    """It waits for the market to come to its stop."""
    CLOSED = "closed"
    """It waits for its market to open."""
    TRANSIT = "transit"
    """It is on its way to the exchange, which the fill model gives a latency."""
    MARKET = "market"
    """It works."""


class PaperOrder(NamedTuple):
    """An order in the engine's book, at one moment; every change makes a new one. (A tuple, since many
    are made.)"""

    ticket: Ticket
    perm_id: int
    status: IBStatus
    filled: Decimal
    avg_fill_price: Decimal
    """Zero while nothing has filled, as IB reports it."""
    last_fill_price: Decimal
    why_held: str
    """`trigger` for a stop that has not been triggered, `child` for one whose parent has not filled, both
    with a comma in between; empty otherwise."""
    triggered: bool
    created_at: datetime
    completed_at: datetime | None = None
    completed_status: str = ""
    """IB's words for how it ended, as in `Filled Size: 10` or `Cancelled by Trader`."""
    filled_value: Decimal = Decimal(0)
    """Sum of price times quantity over all fills; what the average price and the commission rest on."""
    commission: Decimal = Decimal(0)
    """Charged so far, over all fills."""
    stage: Stage = Stage.MARKET
    sequence: int = 0
    """Its place in time among orders at the same price; 0 for one that is not known."""
    trail_stop: Decimal | None = None
    """Where the stop of a trailing order stands."""
    working_limit: Decimal | None = None
    """The limit of a working order that the exchange has set: of MKT PRT, and of TRAIL LIMIT once
    triggered."""

    @property
    def remaining(self) -> Decimal:
        return self.ticket.quantity - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What an order would do to its account, had it been placed: (before, change, after) each."""

    init_margin: tuple[Decimal, Decimal, Decimal]
    maint_margin: tuple[Decimal, Decimal, Decimal]
    equity_with_loan: tuple[Decimal, Decimal, Decimal]
    commission: Decimal
    min_commission: Decimal
    max_commission: Decimal
    currency: str
    warning: str = ""


class PaperExecution(NamedTuple):
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
    adds_liquidity: bool = False
    """Whether the order rested at its price before the market came to it."""


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
class CurrencyFigures:
    """What an account has in one currency, in that currency."""

    currency: str
    exchange_rate: Decimal
    """What one unit is worth in the base currency."""
    cash_balance: Decimal
    accrued_cash: Decimal
    net_dividend: Decimal
    stock_market_value: Decimal
    option_market_value: Decimal
    future_option_value: Decimal
    futures_pnl: Decimal
    """What futures have moved since they were last settled in cash."""
    crypto_value: Decimal
    net_liquidation: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal


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
    """Interest and fees not paid yet; below zero when they are owed."""
    accrued_dividend: Decimal
    cushion: Decimal
    """Excess liquidity as a share of net liquidation."""
    currencies: tuple[CurrencyFigures, ...]
    """By currency, the base currency first."""


# What the engine reports, in the order in which a real gateway puts it on the wire.


class OrderReported(NamedTuple):
    """The order was accepted or has changed: an open-order and an order-status message."""

    order: PaperOrder


class Executed(NamedTuple):
    """A fill happened. Its commission report follows with `CommissionReported`."""

    execution: PaperExecution


class CommissionReported(NamedTuple):
    execution: PaperExecution


class OrderError(NamedTuple):
    """An error about an order, for the client that placed it; `code` and `message` are IB's."""

    client_id: int
    order_id: int
    code: int
    message: str


class PortfolioChanged(NamedTuple):
    """Cash or a position has changed: position, portfolio and account-value messages are due."""

    account: str
    instrument: Instrument


Event = OrderReported | Executed | CommissionReported | OrderError | PortfolioChanged
