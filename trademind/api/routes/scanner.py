"""Market scanners: instruments ranked by a figure of their market."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from trademind.api.deps import BrokerDep
from trademind.api.schemas.base import In
from trademind.api.schemas.problem import problems
from trademind.api.schemas.scanner import ScanIn, ScannerParametersOut, ScanOut, ScanRowOut
from trademind.api.strict import StrictRoute

router = APIRouter(prefix="/api/market/scanner", tags=["market"], route_class=StrictRoute)


class ParametersFilter(In):
    instrument: str = Field(default="", description="Only what concerns this one, such as STK.")


@router.get("/parameters", responses=problems(422, 429, 502, 503, 504))
async def parameters(broker: BrokerDep, wanted: Annotated[ParametersFilter, Query()]) -> ScannerParametersOut:
    """What can be scanned for: scan codes, instruments, locations and filters, by IB's names."""
    return ScannerParametersOut.of(await broker.get_scanner_parameters(), wanted.instrument)


@router.post("", responses=problems(400, 413, 415, 422, 429, 502, 503, 504))
async def scan(broker: BrokerDep, asked: ScanIn) -> ScanOut:
    """What ranks highest at the moment. IB takes ten scans at a time; a further one waits for its turn."""
    found = await broker.scan(asked.request())
    return ScanOut(scan_code=asked.scan_code, rows=[ScanRowOut.of(row) for row in found])
