"""The account as IB reports it: figures, positions, profit and loss."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from trademind.domain.instruments import Contract

_PAPER_ACCOUNT: Final = re.compile(r"D[A-Z]+[0-9]+", re.ASCII)
"""The ids of IB's paper accounts: those of live ones with a D before them, as in DU1234567 or DF1234567."""


def check_paper_account(account_id: str) -> str:
    """The id, if a paper account can have it. Clients separate ids by commas, and "All" means every account.

    Raises:
        ValueError: it does not have the form of IB's paper accounts.
    """
    if _PAPER_ACCOUNT.fullmatch(account_id) is None:
        raise ValueError(
            f"{account_id!r} is no paper account's id; those are a D, further capital letters and digits, "
            "as in DUTM00001"
        )
    return account_id


class DataSource(StrEnum):
    """Where figures come from, so that nobody takes paper for live."""

    PAPER = "paper"
    """TradeMind's own paper gateway."""
    IB_PAPER = "ib_paper"
    """A paper account at IB (its id starts with D)."""
    IB_LIVE = "ib_live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A snapshot of an account's figures, all in `currency`. None where IB has not reported one."""

    account_id: str
    currency: str
    source: DataSource
    as_of: datetime
    net_liquidation: Decimal | None
    total_cash_value: Decimal | None
    buying_power: Decimal | None
    available_funds: Decimal | None
    excess_liquidity: Decimal | None
    equity_with_loan_value: Decimal | None
    init_margin_req: Decimal | None
    maint_margin_req: Decimal | None
    gross_position_value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    stale: bool = False
    """Not kept up to date at the moment: the gateway is not heard, or has lost IB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A holding. `quantity` is negative for a short one; the market figures are None until reported."""

    account_id: str
    contract: Contract
    quantity: Decimal
    avg_cost: Decimal | None
    """Average price paid per share, commissions included, as IB reckons it; None until IB has reported it."""
    market_price: Decimal | None
    market_value: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PnL:
    """Profit and loss of an account, in its base currency. None where IB has not reported it."""

    account_id: str
    source: DataSource
    as_of: datetime
    daily_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    stale: bool = False
    """As of the account."""
