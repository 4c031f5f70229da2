"""Requests for the market as it moves: quotes, depth, ticks, five-second bars, option computations."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDepthRequest:
    req_id: int
    contract: WireContract
    rows: int
    smart: bool


class CancelMarketDepth(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeBarsRequest:
    req_id: int
    contract: WireContract
    bar_seconds: int
    what_to_show: str
    use_rth: bool


class CancelRealTimeBars(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TickByTickRequest:
    req_id: int
    contract: WireContract
    tick_type: str
    number_of_ticks: int
    ignore_size: bool


class CancelTickByTick(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpliedVolatilityRequest:
    req_id: int
    contract: WireContract
    option_price: Decimal | None
    underlying_price: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionPriceRequest:
    req_id: int
    contract: WireContract
    volatility: Decimal | None
    underlying_price: Decimal | None


class CancelImpliedVolatility(Number):
    __slots__ = ()


class CancelOptionPrice(Number):
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


def _market_depth(reader: FieldReader, version: int) -> MarketDepthRequest:
    reader.skip()
    return MarketDepthRequest(
        req_id=reader.integer(),
        contract=read_contract(reader),
        rows=reader.integer(),
        smart=reader.flag(),
    )


def _real_time_bars(reader: FieldReader, version: int) -> RealTimeBarsRequest:
    reader.skip()
    return RealTimeBarsRequest(
        req_id=reader.integer(),
        contract=read_contract(reader),
        bar_seconds=reader.integer(),
        what_to_show=reader.text(),
        use_rth=reader.flag(),
    )


def _tick_by_tick(reader: FieldReader, version: int) -> TickByTickRequest:
    return TickByTickRequest(
        req_id=reader.integer(),
        contract=read_contract(reader),
        tick_type=reader.text(),
        number_of_ticks=reader.integer(),
        ignore_size=reader.flag(),
    )


def _implied_volatility(reader: FieldReader, version: int) -> ImpliedVolatilityRequest:
    reader.skip()
    return ImpliedVolatilityRequest(
        req_id=reader.integer(),
        contract=read_contract(reader),
        option_price=reader.number(),
        underlying_price=reader.number(),
    )


def _option_price(reader: FieldReader, version: int) -> OptionPriceRequest:
    reader.skip()
    return OptionPriceRequest(
        req_id=reader.integer(),
        contract=read_contract(reader),
        volatility=reader.number(),
        underlying_price=reader.number(),
    )


REQUESTS: Mapping[int, RequestSpec] = {
    1: RequestSpec("reqMktData", 2, _market_data),
    2: RequestSpec("cancelMktData", 2, number(CancelMarketData)),
    10: RequestSpec("reqMktDepth", 2, _market_depth),
    11: RequestSpec("cancelMktDepth", 2, number(CancelMarketDepth)),
    50: RequestSpec("reqRealTimeBars", 2, _real_time_bars),
    51: RequestSpec("cancelRealTimeBars", 2, number(CancelRealTimeBars)),
    54: RequestSpec("calculateImpliedVolatility", 2, _implied_volatility),
    55: RequestSpec("calculateOptionPrice", 2, _option_price),
    56: RequestSpec("cancelCalculateImpliedVolatility", 2, number(CancelImpliedVolatility)),
    57: RequestSpec("cancelCalculateOptionPrice", 2, number(CancelOptionPrice)),
    59: RequestSpec("reqMarketDataType", None, number(MarketDataTypeRequest)),
    97: RequestSpec("reqTickByTickData", 1, _tick_by_tick),
    98: RequestSpec("cancelTickByTickData", 1, number(CancelTickByTick, skip=0)),
}
