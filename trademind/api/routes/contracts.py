"""Contracts: what can be traded."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from trademind.api.deps import BrokerDep
from trademind.api.schemas.base import In
from trademind.api.schemas.market import ContractOut, ContractsOut
from trademind.api.schemas.problem import problems
from trademind.errors import Invalid

router = APIRouter(prefix="/api/contracts", tags=["contracts"])


class Search(In):
    query: str = Field(max_length=64, description="The beginning of a symbol, or part of a name.")


@router.get("/search", responses=problems(422, 429, 502, 503, 504))
async def search(broker: BrokerDep, wanted: Annotated[Search, Query()]) -> ContractsOut:
    """Contracts whose symbol or name matches."""
    text = wanted.query.strip()
    # A NUL would end the field on IB's wire, which is ASCII in practice.
    if not text or not text.isascii() or not text.isprintable():
        raise Invalid([("query", "must be some printable ASCII characters")])
    return ContractsOut(contracts=[ContractOut.of(match) for match in await broker.search_contracts(text)])
