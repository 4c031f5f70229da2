"""What a company does to those who hold its shares: dividends and splits.

An action is applied to the positions held when its day begins, before anything trades on that day: with
the ex-date the price no longer contains the dividend, and who was short pays it instead of receiving it.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """Cash per share, in the instrument's currency, to those who held it when the ex-date began."""

    con_id: int
    ex_date: date
    amount: Decimal
    """Above zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`ratio` new shares for each old one: 2 for a two-for-one split, 0.1 for a reverse one of ten."""

    con_id: int
    date: date
    ratio: Decimal
    """Above zero."""


CorporateAction = Dividend | Split
