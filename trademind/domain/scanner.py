"""Market scanners: what can be scanned for, a scan, and what it finds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trademind.domain.instruments import Contract
from trademind.errors import Invalid

MAX_ROWS: Final = 50
"""As many as IB sends for one scan."""
MAX_FILTERS: Final = 50

Filters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to rank, and by what: by IB's names, which `ScannerParameters` lists.

    Raises:
        Invalid: a text that cannot go over the wire, or a number of rows that IB does not give.
    """

    scan_code: str
    """TOP_PERC_GAIN, MOST_ACTIVE …"""
    instrument: str = "STK"
    location: str = "STK.US.MAJOR"
    rows: int = MAX_ROWS
    stock_type: str = ""
    """ALL, STOCK, ETF …; empty for all."""
    filters: Filters | Mapping[str, object] = ()
    """By IB's names, as {"priceAbove": 5}."""

    def __post_init__(self) -> None:
        given: Iterable[tuple[str, object]] = (
            self.filters.items() if isinstance(self.filters, Mapping) else self.filters
        )
        filters = tuple(sorted((str(name), str(value)) for name, value in given))
        errors = [
            (field, "must be 1 to 64 printable ASCII characters")
            for field in ("scan_code", "instrument", "location", "stock_type")
            if not _is_text(getattr(self, field)) and not (field == "stock_type" and self.stock_type == "")
        ]
        # On the wire they are `name=value;` one after the other.
        if len(filters) > MAX_FILTERS or not all(
            _is_text(text) and not set(text) & set("=;") for each in filters for text in each
        ):
            errors.append(("filters", f"must be at most {MAX_FILTERS} names with values, without = and ;"))
        if type(self.rows) is not int or not 1 <= self.rows <= MAX_ROWS:
            errors.append(("rows", f"must be 1 to {MAX_ROWS}"))
        if errors:
            raise Invalid(errors)
        object.__setattr__(self, "filters", filters)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRow:
    """What a scan has found. IB tells the order, and not the figure it ranks by."""

    rank: int
    """0 is the first."""
    contract: Contract
    distance: str = ""
    benchmark: str = ""
    projection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanCode:
    code: str
    name: str
    instruments: tuple[str, ...]
    """The instruments that can be ranked by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanInstrument:
    """A kind of instrument, such as STK or FUT.US."""

    type: str
    name: str
    sec_type: str
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanLocation:
    """A market, such as STK.US.MAJOR."""

    code: str
    name: str
    instruments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerParameters:
    """Everything that can be scanned for."""

    scan_codes: tuple[ScanCode, ...]
    instruments: tuple[ScanInstrument, ...]
    locations: tuple[ScanLocation, ...]
    filters: tuple[str, ...]
    """The names that a request's filters may have."""
