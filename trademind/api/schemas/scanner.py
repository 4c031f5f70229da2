"""Market scanners, as they are asked for and answered."""

from typing import Self

from pydantic import ConfigDict, Field, StrictInt

from trademind.api.schemas.base import In, Out
from trademind.api.schemas.order_requests import Number
from trademind.domain import ScannerParameters, ScanRequest, ScanRow, SecType
from trademind.domain.scanner import MAX_ROWS


class ScanIn(In):
    """By IB's names, which `/api/market/scanner/parameters` lists."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"scan_code": "TOP_PERC_GAIN", "rows": 10, "filters": {"priceAbove": 5}}]
        }
    )

    scan_code: str = Field(examples=["TOP_PERC_GAIN"])
    instrument: str = "STK"
    location: str = "STK.US.MAJOR"
    rows: StrictInt = Field(default=MAX_ROWS, description=f"1 to {MAX_ROWS}, as many as IB tells.")
    stock_type: str = Field(default="", description="ALL, STOCK, ETF …")
    filters: dict[str, Number] = Field(default={}, description="As {'priceAbove': 5, 'volumeAbove': 100000}.")

    def request(self) -> ScanRequest:
        """The scan in the domain's terms. Raises `Invalid`."""
        return ScanRequest(
            scan_code=self.scan_code,
            instrument=self.instrument,
            location=self.location,
            rows=self.rows,
            stock_type=self.stock_type,
            filters=self.filters,
        )


class ScanRowOut(Out):
    """IB tells the order, and not the figure it ranks by: ask for a quote."""

    rank: int = Field(description="0 is the first.")
    con_id: int
    symbol: str
    sec_type: SecType
    exchange: str
    currency: str
    local_symbol: str
    last_trade_date: str | None
    distance: str
    benchmark: str
    projection: str

    @classmethod
    def of(cls, row: ScanRow) -> Self:
        contract = row.contract
        return cls(
            rank=row.rank,
            con_id=contract.con_id,
            symbol=contract.symbol,
            sec_type=contract.sec_type,
            exchange=contract.exchange,
            currency=contract.currency,
            local_symbol=contract.local_symbol,
            last_trade_date=contract.last_trade_date or None,
            distance=row.distance,
            benchmark=row.benchmark,
            projection=row.projection,
        )


class ScanOut(Out):
    scan_code: str
    rows: list[ScanRowOut] = Field(description="Best first; empty where IB finds nothing.")


class ScanCodeOut(Out):
    code: str
    name: str
    instruments: list[str]


class ScanInstrumentOut(Out):
    type: str
    name: str
    sec_type: str


class ScanLocationOut(Out):
    code: str
    name: str
    instruments: list[str]


class ScannerParametersOut(Out):
    """Everything that can be scanned for."""

    scan_codes: list[ScanCodeOut]
    instruments: list[ScanInstrumentOut]
    locations: list[ScanLocationOut]
    filters: list[str] = Field(description="The names of filters.")

    @classmethod
    def of(cls, found: ScannerParameters, instrument: str) -> Self:
        """All of it, or what concerns one kind of instrument."""

        def concerns(*kinds: str) -> bool:
            return not instrument or instrument in kinds

        return cls(
            scan_codes=[
                ScanCodeOut(code=each.code, name=each.name, instruments=list(each.instruments))
                for each in found.scan_codes
                if concerns(*each.instruments)
            ],
            instruments=[
                ScanInstrumentOut(type=each.type, name=each.name, sec_type=each.sec_type)
                for each in found.instruments
                if concerns(each.type)
            ],
            locations=[
                ScanLocationOut(code=each.code, name=each.name, instruments=list(each.instruments))
                for each in found.locations
                if concerns(*each.instruments)
            ],
            filters=list(found.filters),
        )
