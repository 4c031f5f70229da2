"""Contracts: details, symbol search, price increments; and finding what other requests are about."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument
from trademind.gateway.session import Session
from trademind.gateway.wire import messages
from trademind.gateway.wire.contracts import (
    ContractDetails,
    ContractDetailsEnd,
    MarketRule,
    SymbolSample,
    SymbolSamples,
    WireContract,
)
from trademind.gateway.wire.requests.contracts import (
    ContractDetailsRequest,
    DepthExchangesRequest,
    MarketRuleRequest,
    MatchingSymbolsRequest,
    OptionParametersRequest,
)
from trademind.gateway.wire.times import EASTERN, EASTERN_NAME

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

ORDER_TYPES = "DAY,GTC,IOC,LMT,MKT,STP,STPLMT"
"""As IB spells them in contract details, sorted as there."""
SCHEDULED_DAYS = 6
"""For how many days ahead trading hours are told."""
MAX_SAMPLES = 16
"""As many matches as IB sends for one search."""

MARKET_RULES = {26: Decimal("0.01"), 239: Decimal("0.00005"), 59: Decimal("0.005")}
"""Price increments by IB's rule ids: US stocks, FX in half pips, yen."""


def wire_contract(instrument: Instrument, *, exchange: str | None = None) -> WireContract:
    """`exchange` is where it is routed, unless another is given."""
    return WireContract(
        con_id=instrument.con_id,
        symbol=instrument.symbol,
        sec_type=instrument.sec_type,
        exchange=instrument.exchange if exchange is None else exchange,
        primary_exchange=instrument.primary_exchange,
        currency=instrument.currency,
        local_symbol=instrument.local_symbol,
        trading_class=instrument.trading_class,
    )


def held_contract(instrument: Instrument) -> WireContract:
    """As in positions, where the exchange is the one it is listed at."""
    return wire_contract(instrument, exchange=instrument.primary_exchange or instrument.exchange)


def find_all(gateway: "PaperGateway", contract: WireContract) -> list[Instrument]:
    """Everything a contract can mean. A con id alone decides, as it does at IB."""
    if contract.con_id:
        instrument = gateway.universe.by_con_id(contract.con_id)
        return [] if instrument is None else [instrument]
    return gateway.universe.find(
        contract.symbol,
        SecType(contract.sec_type),
        contract.currency,
        contract.exchange,
        contract.primary_exchange,
        contract.local_symbol,
    )


def find(gateway: "PaperGateway", session: Session, req_id: int, contract: WireContract) -> Instrument | None:
    """The one instrument a contract means; otherwise the client is told, and None is returned."""
    found = find_all(gateway, contract)
    if len(found) == 1:
        return found[0]
    if not found:
        session.error(req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
    else:
        session.error(
            req_id,
            codes.NO_SECURITY,
            f"The contract description specified for {contract.symbol} is ambiguous.",
        )
    return None


def contract_details(gateway: "PaperGateway", session: Session, request: ContractDetailsRequest) -> None:
    found = [] if request.sec_id_type else find_all(gateway, request.contract)
    if not found:
        session.error(request.req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
        return
    for instrument in found:
        hours = (
            trading_hours(gateway, instrument, regular_only=False),
            trading_hours(gateway, instrument, regular_only=True),
        )
        session.send(_details(request.req_id, instrument, request.contract.exchange, hours))
    session.send(ContractDetailsEnd(req_id=request.req_id))


def _details(req_id: int, instrument: Instrument, exchange: str, hours: tuple[str, str]) -> ContractDetails:
    exchanges = dict.fromkeys((instrument.exchange, instrument.primary_exchange))
    rule = _rule_of(instrument)
    return ContractDetails(
        req_id=req_id,
        contract=wire_contract(instrument, exchange=exchange or None),
        market_name=instrument.trading_class,
        min_tick=instrument.min_tick,
        order_types=ORDER_TYPES,
        valid_exchanges=",".join(exchanges),
        long_name=instrument.long_name,
        industry=instrument.industry,
        category=instrument.category,
        subcategory=instrument.subcategory,
        time_zone=EASTERN_NAME,
        trading_hours=hours[0],
        liquid_hours=hours[1],
        market_rule_ids=",".join([str(rule)] * len(exchanges)),
        stock_type=instrument.stock_type,
        min_size=instrument.size_increment,
        size_increment=instrument.size_increment,
    )


def _rule_of(instrument: Instrument) -> int:
    return next((rule for rule, tick in MARKET_RULES.items() if tick == instrument.min_tick), 0)


def trading_hours(gateway: "PaperGateway", instrument: Instrument, *, regular_only: bool) -> str:
    """The hours of the next days as IB writes them, as in `20260417:0930-20260417:1600;20260418:CLOSED`."""
    first = gateway.clock.now().astimezone(EASTERN).date()
    sessions = gateway.hours.sessions(instrument, first, SCHEDULED_DAYS, regular_only=regular_only)
    days: dict[date, list[str]] = {first + timedelta(days=ahead): [] for ahead in range(SCHEDULED_DAYS)}
    for each in sessions:
        start, end = each.start.astimezone(EASTERN), each.end.astimezone(EASTERN)
        days[each.day].append(f"{start:%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}")
    return ";".join(",".join(spans) or f"{day:%Y%m%d}:CLOSED" for day, spans in days.items())


def matching_symbols(gateway: "PaperGateway", session: Session, request: MatchingSymbolsRequest) -> None:
    found = gateway.universe.search(request.pattern, limit=MAX_SAMPLES)
    samples = tuple(
        SymbolSample(contract=wire_contract(instrument), description=instrument.long_name)
        for instrument in found
    )
    session.send(SymbolSamples(req_id=request.req_id, samples=samples))


def market_rule(gateway: "PaperGateway", session: Session, request: MarketRuleRequest) -> None:
    increment = MARKET_RULES.get(request.number)
    if increment is None:
        session.error(-1, codes.VALIDATING, codes.invalid(f"Invalid market rule id: {request.number}"))
        return
    session.send(MarketRule(rule_id=request.number, increments=((Decimal(0), increment),)))


def no_option_parameters(gateway: "PaperGateway", session: Session, request: OptionParametersRequest) -> None:
    session.send(messages.option_parameters_end(request.number))


def no_depth_exchanges(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(messages.no_depth_exchanges())


HANDLERS: Mapping[type, Callable[..., None]] = {
    OptionParametersRequest: no_option_parameters,
    DepthExchangesRequest: no_depth_exchanges,
    ContractDetailsRequest: contract_details,
    MatchingSymbolsRequest: matching_symbols,
    MarketRuleRequest: market_rule,
}
