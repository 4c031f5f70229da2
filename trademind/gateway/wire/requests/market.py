"""Requests for the market as it moves: quotes, depth, ticks, five-second bars, option computations."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldError, FieldReader
from trademind.gateway.wire.order_terms import WireLeg
from trademind.gateway.wire.requests.spec import Number, RequestSpec, number


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDataRequest:
    req_id: int
    contract: WireContract
    legs: tuple[WireLeg, ...]
    generic_ticks: str
    snapshot: bool
    regulatory_snapshot: bool


class CancelMarketData(Number):
    __slots__ = ()


class MarketDataTypeRequest(Number):
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""

    __slots__ = ()


MAX_LEGS = 20
"""More legs than any exchange takes; a longer list is nonsense."""


def read_legs(reader: FieldReader) -> tuple[WireLeg, ...]:
    """The legs of a combination, as in requests that are no orders: four fields each."""
    count = reader.integer()
    if not 0 <= count <= MAX_LEGS:
        raise FieldError(f"{count} legs")
    return tuple(
        WireLeg(
            con_id=reader.integer(),
            ratio=reader.integer(),
            action=reader.name("action"),
            exchange=reader.name("exchange"),
        )
        for _ in range(count)
    )


def _market_data(reader: FieldReader, version: int) -> MarketDataRequest:
    reader.skip()
    req_id, contract = reader.integer(), read_contract(reader)
    legs = read_legs(reader) if contract.sec_type == "BAG" else ()
    if reader.flag():
        reader.skip(3)  # delta-neutral contract
    return MarketDataRequest(
        req_id=req_id,
        contract=contract,
        legs=legs,
        generic_ticks=reader.text(),
        snapshot=reader.flag(),
        regulatory_snapshot=reader.flag(),
    )


REQUESTS: Mapping[int, RequestSpec] = {
    1: RequestSpec("reqMktData", 2, _market_data),
    2: RequestSpec("cancelMktData", 2, number(CancelMarketData)),
    10: RequestSpec("reqMktDepth", 2),
    11: RequestSpec("cancelMktDepth", 2),
    50: RequestSpec("reqRealTimeBars", 2),
    51: RequestSpec("cancelRealTimeBars", 2),
    54: RequestSpec("calculateImpliedVolatility", 2),
    55: RequestSpec("calculateOptionPrice", 2),
    56: RequestSpec("cancelCalculateImpliedVolatility", 2),
    57: RequestSpec("cancelCalculateOptionPrice", 2),
    59: RequestSpec("reqMarketDataType", None, number(MarketDataTypeRequest)),
    97: RequestSpec("reqTickByTickData", 1),
    98: RequestSpec("cancelTickByTickData", 1),
}
