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
    sec_id_type: str
    sec_id: str


@dataclass(frozen=True, slots=True)
class MatchingSymbolsRequest:
    req_id: int
    pattern: str


class MarketRuleRequest(Number):
    __slots__ = ()


class OptionParametersRequest(Number):
    __slots__ = ()


class DepthExchangesRequest(Bare):
    __slots__ = ()


def _contract_details(reader: FieldReader, version: int) -> ContractDetailsRequest:
    reader.skip()
    req_id, contract = reader.integer(), read_contract(reader)
    reader.skip()  # include expired
    return ContractDetailsRequest(
        req_id=req_id, contract=contract, sec_id_type=reader.text(), sec_id=reader.text()
    )


def _matching_symbols(reader: FieldReader, version: int) -> MatchingSymbolsRequest:
    return MatchingSymbolsRequest(reader.integer(), reader.text())


REQUESTS: Mapping[int, RequestSpec] = {
    9: RequestSpec("reqContractDetails", 2, _contract_details),
    78: RequestSpec("reqSecDefOptParams", 1, number(OptionParametersRequest, skip=0)),
    81: RequestSpec("reqMatchingSymbols", 1, _matching_symbols),
    82: RequestSpec("reqMktDepthExchanges", None, bare(DepthExchangesRequest)),
    83: RequestSpec("reqSmartComponents", 1),
    91: RequestSpec("reqMarketRule", None, number(MarketRuleRequest, skip=0)),
    106: RequestSpec("cancelContractData", 1, since=215),
}
