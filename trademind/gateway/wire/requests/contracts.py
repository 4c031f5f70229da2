"""Requests about contracts: their details, option chains, price increments, exchanges."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldReader
from trademind.gateway.wire.requests.spec import Bare, Number, RequestSpec, bare, number


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDetailsRequest:
    req_id: int
    contract: WireContract
    include_expired: bool
    sec_id_type: str
    sec_id: str


@dataclass(frozen=True, slots=True)
class MatchingSymbolsRequest:
    req_id: int
    pattern: str


class MarketRuleRequest(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionParametersRequest:
    req_id: int
    symbol: str
    exchange: str
    """Of options on futures; empty for options on anything else, and for all exchanges."""
    sec_type: str
    con_id: int


@dataclass(frozen=True, slots=True)
class SmartComponentsRequest:
    req_id: int
    bbo_exchange: str
    """As the parameters of a market data request name it."""


class DepthExchangesRequest(Bare):
    __slots__ = ()


def _contract_details(reader: FieldReader, version: int) -> ContractDetailsRequest:
    reader.skip()
    req_id, contract = reader.integer(), read_contract(reader)
    return ContractDetailsRequest(
        req_id=req_id,
        contract=contract,
        include_expired=reader.flag(),
        sec_id_type=reader.text(),
        sec_id=reader.text(),
    )


def _matching_symbols(reader: FieldReader, version: int) -> MatchingSymbolsRequest:
    return MatchingSymbolsRequest(reader.integer(), reader.text())


def _option_parameters(reader: FieldReader, version: int) -> OptionParametersRequest:
    return OptionParametersRequest(
        req_id=reader.integer(),
        symbol=reader.text(),
        exchange=reader.text(),
        sec_type=reader.text(),
        con_id=reader.integer(),
    )


def _smart_components(reader: FieldReader, version: int) -> SmartComponentsRequest:
    return SmartComponentsRequest(reader.integer(), reader.text())


REQUESTS: Mapping[int, RequestSpec] = {
    9: RequestSpec("reqContractDetails", 2, _contract_details),
    78: RequestSpec("reqSecDefOptParams", 1, _option_parameters),
    81: RequestSpec("reqMatchingSymbols", 1, _matching_symbols),
    82: RequestSpec("reqMktDepthExchanges", None, bare(DepthExchangesRequest)),
    83: RequestSpec("reqSmartComponents", 1, _smart_components),
    91: RequestSpec("reqMarketRule", None, number(MarketRuleRequest, skip=0)),
    106: RequestSpec("cancelContractData", 1, since=215),
}
