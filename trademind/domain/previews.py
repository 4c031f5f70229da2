"""What an order would do to the account, were it placed: IB's answer to a what-if order."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trademind.domain.account import DataSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """One figure before the order, its change, and after; in the account's base currency."""

    before: Decimal | None
    change: Decimal | None
    after: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPreview:
    """Nothing was placed. None where IB gives no figure, as for commissions that depend on the fill."""

    account_id: str
    source: DataSource
    as_of: datetime
    init_margin: Margin
    maint_margin: Margin
    equity_with_loan: Margin
    commission: Decimal | None
    min_commission: Decimal | None
    max_commission: Decimal | None
    commission_currency: str | None
    warning: str | None
