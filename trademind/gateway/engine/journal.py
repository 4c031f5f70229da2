"""What must be remembered of the accounts: a whole state, and the records that lead on from it.

The exchange appends a record for every change that a restart must not lose. The store keeps them; replayed
onto the state they started from, they give the same accounts again.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from trademind.gateway.engine.ledger import Holding, Payable
from trademind.gateway.engine.model import Instrument, PaperExecution, PaperOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStarted:
    """The exchange's date changed; the finished orders and executions of the day before are dropped."""

    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestAccrued:
    """Interest (below zero: interest and fees owed) of the days before `DayStarted`."""

    account: str
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DividendEntitled:
    """A dividend on what an account held when the ex-date began; below zero when it is owed."""

    account: str
    instrument: Instrument
    amount: Decimal
    due: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesSplit:
    """A holding was split at the price it had before."""

    account: str
    instrument: Instrument
    ratio: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A holding's move became cash, or, where it is final, all of it did."""

    account: str
    instrument: Instrument
    price: Decimal
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTaken:
    """A corporate action has been dealt with, for all accounts."""

    name: str
    """See `corporate_actions.name_of`."""


AccountRecord = InterestAccrued | DividendEntitled | SharesSplit | Settled
"""What happens to one account without an order."""
Record = PaperOrder | PaperExecution | DayStarted | ActionTaken | AccountRecord
"""An order replaces what was known of it; an execution moves cash and holdings."""


@dataclass(slots=True, kw_only=True)
class AccountState:
    """Everything about an account at one moment, but for its orders and executions."""

    account_id: str
    opening_cash: Decimal
    """In the base currency."""
    cash: dict[str, Decimal]
    """By currency, the base currency first."""
    accrued: dict[str, Decimal] = field(default_factory=dict)
    """Interest and fees not paid yet, by currency."""
    payables: list[Payable] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)

    def currencies(self) -> set[str]:
        return {*self.cash, *(each.instrument.currency for each in self.holdings)}


@dataclass(slots=True, kw_only=True)
class ExchangeState:
    """Everything about a login's accounts at one moment."""

    created_at: datetime
    day: date
    """The exchange's date, in US/Eastern."""
    next_perm: int
    next_exec: int
    """Running numbers of the next order and the next execution, from 1; they never start over."""
    accounts: list[AccountState]
    """At least one; the first is that of orders that name none."""
    high_water: dict[int, int] = field(default_factory=dict)
    """Highest order id under which an order was taken, by client id."""
    rates: dict[str, Decimal] = field(default_factory=dict)
    """What one unit of a currency was worth in the base currency, of those that there are."""
    actions: set[str] = field(default_factory=set)
    """Names of the corporate actions that have been dealt with."""
    orders: list[PaperOrder] = field(default_factory=list)
    """Those of today that are done, then the working ones, in the order in which they are served."""
    executions: list[PaperExecution] = field(default_factory=list)
    """Today's, oldest first; already contained in cash and holdings."""

    @property
    def has_traded(self) -> bool:
        return self.next_exec > 1
