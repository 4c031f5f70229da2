"""Contracts: what can be traded, how one is asked for, and what is known about it."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from trademind.errors import Invalid


class SecType(StrEnum):
    """IB's security types."""

    STOCK = "STK"
    CASH = "CASH"
    FUTURE = "FUT"
    CONTINUOUS_FUTURE = "CONTFUT"
    OPTION = "OPT"
    FUTURE_OPTION = "FOP"
    INDEX = "IND"
    CRYPTO = "CRYPTO"
    CFD = "CFD"
    BOND = "BOND"
    FUND = "FUND"
    COMMODITY = "CMDTY"
    WARRANT = "WAR"
    STRUCTURED = "IOPT"
    COMBO = "BAG"
    NEWS = "NEWS"
    OTHER = "OTHER"
    """A type this version does not know; never sent to IB."""

    @classmethod
    def _missing_(cls, value: object) -> "SecType":
        return cls.OTHER


_EXCHANGES = {
    SecType.STOCK: "SMART", SecType.OPTION: "SMART", SecType.CFD: "SMART", SecType.BOND: "SMART",
    SecType.WARRANT: "SMART", SecType.STRUCTURED: "SMART", SecType.COMMODITY: "SMART",
    SecType.CASH: "IDEALPRO", SecType.CRYPTO: "PAXOS", SecType.FUND: "FUNDSERV",
}  # fmt: skip


def default_exchange(sec_type: SecType) -> str:
    """Where IB routes a type of security that may trade anywhere. Empty for futures, options on them and
    indices: each has an exchange of its own, which IB finds by the symbol."""
    return _EXCHANGES.get(sec_type, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A contract IB has identified. `con_id` alone says which."""

    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    currency: str
    primary_exchange: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    last_trade_date: str = ""
    """Expiry of a derivative, YYYYMMDD; empty otherwise."""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractQuery:
    """What a person knows of the contract they want: a con id, a symbol with its circumstances, a symbol of
    the exchange's own, or its ISIN. Of a derivative, what is left out may be anything.

    Raises:
        Invalid: it names nothing, or a field has an impossible value.
    """

    symbol: str = ""
    con_id: int | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = ""
    """That of `default_exchange` if left out; beside a con id, IB's own choice for it."""
    currency: str = "USD"
    primary_exchange: str = ""
    local_symbol: str = ""
    """As the exchange writes it: ESZ6, or an option's 21 letters."""
    isin: str = ""
    last_trade_date: str = ""
    """YYYYMMDD, or YYYYMM for any day of the month."""
    strike: Decimal | None = None
    right: str = ""
    """C or P."""
    multiplier: str = ""
    trading_class: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sec_type", SecType(self.sec_type))
        errors: list[tuple[str, str]] = []
        for field in _TEXTS:
            value = getattr(self, field)
            # A NUL would end the field on the wire and shift every field after it.
            if not isinstance(value, str) or not (
                len(value) <= 40 and value.isascii() and value.isprintable()
            ):
                errors.append((field, "must be at most 40 printable ASCII characters"))
        if self.con_id is not None and not (type(self.con_id) is int and 0 < self.con_id < 2**31):
            errors.append(("con_id", "must be a positive 32-bit integer"))
        if self.sec_type is SecType.OTHER:
            errors.append(("sec_type", "is not one of IB's security types; a stock is STK"))
        if self.last_trade_date and not _EXPIRY.fullmatch(str(self.last_trade_date)):
            errors.append(("last_trade_date", "must be YYYYMMDD, or YYYYMM"))
        if self.isin and not _ISIN.fullmatch(str(self.isin)):
            errors.append(("isin", "must be an ISIN: two letters, nine letters or digits, and a digit"))
        right = _RIGHTS.get(str(self.right).upper())
        if right is None:
            errors.append(("right", "must be C or P"))
        if self.strike is not None and not (self.strike.is_finite() and 0 < self.strike < MAX_STRIKE):
            errors.append(("strike", f"must be above 0 and below {MAX_STRIKE}"))
        if errors:
            raise Invalid(errors)
        object.__setattr__(self, "right", right)
        for field in ("symbol", "isin"):
            object.__setattr__(self, field, getattr(self, field).strip().upper())
        if self.con_id is None and not (self.symbol or self.local_symbol or self.isin):
            raise Invalid([("symbol", "give a symbol, a con_id, a local_symbol or an isin")])
        if not self.exchange and self.con_id is None:
            object.__setattr__(self, "exchange", default_exchange(self.sec_type))

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return str(self.con_id or self.symbol or self.local_symbol or self.isin)

    def is_about(self, contract: Contract) -> bool:
        """Does all that is said here hold of `contract`? It does not say its own ISIN."""
        if self.con_id is not None:
            return self.con_id == contract.con_id and self.exchange in ("", contract.exchange)
        return (
            self.sec_type is contract.sec_type
            and self.strike in (None, contract.strike)
            and contract.last_trade_date.startswith(self.last_trade_date)
            and all(getattr(self, field).upper() in ("", getattr(contract, field)) for field in _TERMS)
        )


MAX_STRIKE = Decimal(10**9)
_TEXTS = (
    "symbol", "exchange", "currency", "primary_exchange", "local_symbol", "isin", "last_trade_date", "right",
    "multiplier", "trading_class",
)  # fmt: skip
_TERMS = (
    "symbol", "exchange", "currency", "primary_exchange", "local_symbol", "right", "multiplier",
    "trading_class",
)  # fmt: skip
"""What of a query is to be found in its contract as it is."""
_EXPIRY = re.compile(r"\d{6}(\d{2})?", re.ASCII)
_ISIN = re.compile(r"\s*[A-Za-z]{2}[A-Za-z0-9]{9}\d\s*", re.ASCII)
_RIGHTS = {"": "", "C": "C", "CALL": "C", "P": "P", "PUT": "P"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetails:
    """What the gateway knows of a contract beyond its identity."""

    contract: Contract
    as_of: datetime
    """When the gateway told it."""
    long_name: str
    min_tick: Decimal
    """The smallest price increment. Where increments depend on the price, the smallest of them."""
    size_increment: Decimal
    """The smallest quantity step, in shares or contracts."""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    stock_type: str = ""
    time_zone: str = ""
    trading_hours: str = ""
    liquid_hours: str = ""
    order_types: tuple[str, ...] = ()
    valid_exchanges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractMatch:
    """One answer to a symbol search."""

    con_id: int
    symbol: str
    sec_type: SecType
    primary_exchange: str
    currency: str
    description: str
    derivative_sec_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionParameters:
    """Which options there are on an underlying, by IB's summary of one exchange and trading class.

    Not every expiration has every strike: which there really are, the contracts of one expiration tell.
    """

    exchange: str
    trading_class: str
    multiplier: str
    expirations: tuple[str, ...]
    """YYYYMMDD, in order."""
    strikes: tuple[Decimal, ...]
    """Of any of the expirations, in order."""
