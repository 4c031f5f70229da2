"""Executions: the fills, which are the one truth about what was traded."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trademind.domain.instruments import Contract
from trademind.domain.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill of one order."""

    exec_id: str
    time: datetime
    account_id: str
    contract: Contract
    side: Side
    quantity: Decimal
    price: Decimal
    exchange: str
    perm_id: int
    ib_order_id: int
    client_id: int
    order_ref: str
    order_id: str | None = None
    """TradeMind's id of the order, where the book has it."""
    commission: Decimal | None = None
    """None until IB's report for this exec id came: it is never taken for zero."""
    commission_currency: str | None = None
    realized_pnl: Decimal | None = None
    """Profit this fill realised, after commissions, as IB reports it. None until reported, and None for an
    opening fill."""
