"""What a company does to those who hold its shares: dividends and splits.

An action is applied to the positions held when its day begins, before anything trades on that day: with
the ex-date the price no longer contains the dividend, and who was short pays it instead of receiving it.
"""

from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """Cash per share, in the instrument's currency, to those who held it when the ex-date began."""

    con_id: int
    ex_date: Date
    amount: Decimal
    """Above zero."""
    pay_date: Date | None = None
    """When it is paid; None for the ex-date itself."""

    @property
    def day(self) -> Date:
        return self.ex_date


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`ratio` new shares for each old one: 2 for a two-for-one split, 0.1 for a reverse one of ten."""

    con_id: int
    date: Date
    ratio: Decimal
    """Above zero."""

    @property
    def day(self) -> Date:
        return self.date


CorporateAction = Dividend | Split


def name_of(action: CorporateAction) -> str:
    """What an action is known by, so that it is not dealt with twice."""
    return f"{type(action).__name__} {action.con_id} {action.day:%Y-%m-%d}"
