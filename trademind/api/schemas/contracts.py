"""Contracts: how they are asked for, and what is known of them."""

from decimal import Decimal
from typing import Any, Self

from pydantic import ConfigDict, Field, StrictInt

from trademind.api.schemas.base import EXCHANGE, In, Out, Price, Time, price, time
from trademind.api.schemas.order_requests import Number
from trademind.domain import (
    Contract,
    ContractDetails,
    ContractMatch,
    ContractQuery,
    OptionParameters,
    SecType,
)
from trademind.domain.orders import exact

MAX_BATCH = 50
"""Contracts asked for at once. Each that is not known yet takes a message of IB's 50 in a second."""


class ContractIn(In):
    """What is known of a contract: a con id; a symbol, local symbol or ISIN with its circumstances."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"symbol": "AAPL"},
                {"con_id": 265598},
                {"isin": "US0378331005"},
                {
                    "symbol": "AAPL",
                    "sec_type": "OPT",
                    "last_trade_date": "20270115",
                    "strike": "200",
                    "right": "C",
                },
            ]
        }
    )

    symbol: str = ""
    con_id: StrictInt | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = Field(default="", description=EXCHANGE)
    currency: str = "USD"
    primary_exchange: str = ""
    local_symbol: str = ""
    isin: str = ""
    last_trade_date: str = Field(default="", description="YYYYMMDD, or YYYYMM for any day of the month.")
    strike: Number | None = None
    right: str = Field(default="", description="C or P.")
    multiplier: str = ""
    trading_class: str = ""

    def query(self) -> ContractQuery:
        """The question in the domain's terms. Raises `Invalid`."""
        fields: dict[str, Any] = self.model_dump()
        if self.strike is not None:
            fields["strike"] = exact(self.strike, "strike")
        return ContractQuery(**fields)


class QualifyIn(In):
    contracts: list[ContractIn] = Field(min_length=1, max_length=MAX_BATCH)


class ContractOut(Out):
    """One match of a search."""

    con_id: int
    symbol: str
    sec_type: SecType
    primary_exchange: str
    currency: str
    description: str
    derivative_sec_types: list[str]

    @classmethod
    def of(cls, match: ContractMatch) -> Self:
        return cls(
            con_id=match.con_id,
            symbol=match.symbol,
            sec_type=match.sec_type,
            primary_exchange=match.primary_exchange,
            currency=match.currency,
            description=match.description,
            derivative_sec_types=list(match.derivative_sec_types),
        )


class ContractsOut(Out):
    contracts: list[ContractOut]


class ContractDetailsOut(Out):
    """One contract, and what is known of it."""

    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    currency: str
    primary_exchange: str
    local_symbol: str
    trading_class: str
    last_trade_date: str | None = Field(description="Of a derivative: YYYYMMDD.")
    strike: Price | None
    right: str | None = Field(description="Of an option: C or P.")
    multiplier: str | None
    long_name: str
    min_tick: str = Field(description="The smallest step of its price.")
    size_increment: str = Field(description="The smallest step of a quantity.")
    industry: str
    category: str
    subcategory: str
    stock_type: str
    time_zone: str
    trading_hours: str = Field(description="In IB's form: 20260130:0400-20260130:2000;20260131:CLOSED")
    liquid_hours: str
    order_types: list[str]
    valid_exchanges: list[str]
    as_of: Time = Field(description="When IB told it; the hours are those of the days after.")

    @classmethod
    def of(cls, details: ContractDetails) -> Self:
        contract: Contract = details.contract
        return cls(
            con_id=contract.con_id,
            symbol=contract.symbol,
            sec_type=contract.sec_type,
            exchange=contract.exchange,
            currency=contract.currency,
            primary_exchange=contract.primary_exchange,
            local_symbol=contract.local_symbol,
            trading_class=contract.trading_class,
            last_trade_date=contract.last_trade_date or None,
            strike=price(contract.strike),
            right=contract.right or None,
            multiplier=contract.multiplier or None,
            long_name=details.long_name,
            min_tick=_plain(details.min_tick),
            size_increment=_plain(details.size_increment),
            industry=details.industry,
            category=details.category,
            subcategory=details.subcategory,
            stock_type=details.stock_type,
            time_zone=details.time_zone,
            trading_hours=details.trading_hours,
            liquid_hours=details.liquid_hours,
            order_types=list(details.order_types),
            valid_exchanges=list(details.valid_exchanges),
            as_of=time(details.as_of),
        )


def _plain(number: Decimal) -> str:
    return f"{number:f}"


class QualifiedOut(Out):
    """The answer to one question of a batch: the contract, or why there is none."""

    contract: ContractDetailsOut | None
    error: dict[str, Any] | None = Field(description="A problem document, as a request of its own would get.")


class QualifiedContractsOut(Out):
    contracts: list[QualifiedOut] = Field(description="In the order asked.")


class OptionParametersOut(Out):
    """Options of one exchange and trading class. Not every expiration has every strike: ask for one."""

    exchange: str
    trading_class: str
    multiplier: str
    expirations: list[str] = Field(description="YYYYMMDD.")
    strikes: list[Price]

    @classmethod
    def of(cls, found: OptionParameters) -> Self:
        return cls(
            exchange=found.exchange,
            trading_class=found.trading_class,
            multiplier=found.multiplier,
            expirations=list(found.expirations),
            strikes=[f"{strike:f}" for strike in found.strikes],
        )


class OptionsOut(Out):
    """Without an expiration what there is to choose from; with one, its contracts."""

    con_id: int = Field(description="The underlying's.")
    parameters: list[OptionParametersOut]
    contracts: list[ContractDetailsOut] = Field(description="By strike and right.")
