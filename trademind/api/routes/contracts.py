"""Contracts: what can be traded."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from trademind.api.deps import BrokerDep
from trademind.api.errors import problem_document
from trademind.api.schemas.base import In
from trademind.api.schemas.contracts import (
    ContractDetailsOut,
    ContractIn,
    ContractOut,
    ContractsOut,
    OptionParametersOut,
    OptionsOut,
    QualifiedContractsOut,
    QualifiedOut,
    QualifyIn,
)
from trademind.api.schemas.problem import problems
from trademind.api.strict import StrictRoute
from trademind.brokers.base import Broker
from trademind.domain import ContractDetails, ContractQuery, SecType
from trademind.errors import Invalid, TradeMindError, Unavailable

router = APIRouter(prefix="/api/contracts", tags=["contracts"], route_class=StrictRoute)

ConId = Annotated[int, Path(ge=1, lt=2**31)]


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


@router.post("/qualify", responses=problems(400, 413, 415, 422, 503))
async def qualify(broker: BrokerDep, asked: QualifyIn, request: Request) -> QualifiedContractsOut:
    """The one contract that each question means. One that means none, or several, fails alone.

    Of several, the error names the candidates: choose one by its con id.
    """
    found = await asyncio.gather(*(_qualified(broker, each) for each in asked.contracts))
    if (away := next((each for each in found if isinstance(each, Unavailable)), None)) is not None:
        raise away
    request_id = request.scope["state"]["request_id"]
    return QualifiedContractsOut(
        contracts=[
            QualifiedOut(
                contract=None,
                error=problem_document(each, instance=request.url.path, request_id=request_id),
            )
            if isinstance(each, TradeMindError)
            else QualifiedOut(contract=ContractDetailsOut.of(each), error=None)
            for each in found
        ]
    )


async def _qualified(broker: Broker, asked: ContractIn) -> ContractDetails | TradeMindError:
    try:
        return await broker.qualify(asked.query())
    except TradeMindError as error:
        return error


class Freshness(In):
    fresh: bool = Field(default=False, description="Ask IB again, whatever is known already.")


@router.get("/{con_id}", responses=problems(404, 422, 429, 502, 503, 504))
async def contract(
    con_id: ConId, broker: BrokerDep, wanted: Annotated[Freshness, Query()]
) -> ContractDetailsOut:
    """What is known of a contract: its increments, hours and exchanges. IB has told it at `as_of`; what is
    older than a day is asked again after this answer."""
    return ContractDetailsOut.of(await broker.qualify(ContractQuery(con_id=con_id), fresh=wanted.fresh))


class OptionsFilter(In):
    expiration: str | None = Field(
        default=None, pattern=r"^[0-9]{8}$", description="YYYYMMDD: tell the contracts of this one."
    )
    trading_class: str = Field(default="", description="Where there are several, such as SPX and SPXW.")


@router.get("/{con_id}/options", responses=problems(404, 422, 502, 503, 504))
async def options(con_id: ConId, broker: BrokerDep, wanted: Annotated[OptionsFilter, Query()]) -> OptionsOut:
    """The options on an underlying: what there is to choose from, or the contracts of one expiration.

    IB's summary has every strike of any expiration; the contracts are those that there really are.
    """
    if wanted.expiration is None:
        found = await broker.get_options(con_id)
        return OptionsOut(
            con_id=con_id, parameters=[OptionParametersOut.of(each) for each in found], contracts=[]
        )
    underlying = (await broker.qualify(ContractQuery(con_id=con_id))).contract
    is_future = underlying.sec_type is SecType.FUTURE
    chain = await broker.find_contracts(
        ContractQuery(
            symbol=underlying.symbol,
            sec_type=SecType.FUTURE_OPTION if is_future else SecType.OPTION,
            exchange=underlying.exchange if is_future else "",
            currency=underlying.currency,
            last_trade_date=wanted.expiration,
            trading_class=wanted.trading_class,
        )
    )
    ordered = sorted(chain, key=lambda each: (each.contract.strike or 0, each.contract.right))
    return OptionsOut(
        con_id=con_id, parameters=[], contracts=[ContractDetailsOut.of(each) for each in ordered]
    )
