"""How values look on the wire: exact decimals as strings, times in UTC with a Z, unknown as null.

Domain objects are checked when they are made, so nothing is validated again on the way out: each schema
has an `of` that copies a domain object field by field through the functions here.
"""

from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

Money = Annotated[str, Field(description="An amount, with two decimals.", examples=["250000.00"])]
Price = Annotated[str, Field(description="An exact price.", examples=["150.25"])]
Quantity = Annotated[str, Field(description="An exact quantity.", examples=["10"])]
Stale = Annotated[
    bool, Field(description="Not kept up to date at the moment: the gateway is not heard, or has lost IB.")
]
Time = Annotated[str, Field(description="RFC 3339, in UTC.", json_schema_extra={"format": "date-time"})]

EXCHANGE = (
    "If empty, SMART for stocks and options, IDEALPRO for currencies, PAXOS for crypto, else IB's choice."
)


def in_utc(value: datetime) -> datetime:
    """The same moment, told by UTC. Raises `ValueError` for one that UTC has no date for."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A time as somebody gives it, with its zone; in UTC, in which it may be before the first year or after the
last."""


class Out(BaseModel):
    """Base of everything the API sends."""

    model_config = ConfigDict(frozen=True)


class In(BaseModel):
    """Base of everything the API takes: a field it does not know is refused, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def money(value: Decimal | None) -> str | None:
    """Two decimals, and no minus before a zero."""
    return None if value is None else f"{value:z.2f}"


def price(value: Decimal | None) -> str | None:
    """All its decimals, and at least two."""
    return None if value is None else exact_price(value)


def exact_price(value: Decimal) -> str:
    whole, _, decimals = f"{value:zf}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def quantity(value: Decimal) -> str:
    """All its decimals, without trailing zeros: 10 and 0.5, never 1E+1 or 10.00."""
    text = f"{value:zf}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def time(value: datetime) -> str:
    """As `2026-01-31T15:00:00Z`, with microseconds where there are any."""
    return value.astimezone(UTC).isoformat()[:-6] + "Z"


def time_or_none(value: datetime | None) -> str | None:
    return None if value is None else time(value)


def number(value: float | None) -> float | None:
    """Market data: JSON knows neither NaN nor infinity, so what is not a number is unknown."""
    return value if value is not None and isfinite(value) else None
