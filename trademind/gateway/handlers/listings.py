"""What is listed where: option chains, symbol search, price increments, exchanges."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from trademind.gateway import codes
from trademind.gateway.engine.derivatives import OPTION_EXCHANGES, OPTION_MULTIPLIER
from trademind.gateway.engine.increments import MARKET_RULES
from trademind.gateway.engine.model import Instrument
from trademind.gateway.handlers.contracts import today, wire_contract
from trademind.gateway.session import Session
from trademind.gateway.wire import messages
from trademind.gateway.wire.contracts import (
    DepthExchange,
    DepthExchanges,
    MarketRule,
    OptionParameters,
    SmartComponents,
    SymbolSample,
    SymbolSamples,
)
from trademind.gateway.wire.requests.contracts import (
    DepthExchangesRequest,
    MarketRuleRequest,
    MatchingSymbolsRequest,
    OptionParametersRequest,
    SmartComponentsRequest,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_SAMPLES: Final = 16
"""As many matches as IB sends for one search."""

US_STOCK_BBO: Final = "9c0001"
"""How a market data request's parameters name the consolidated quote of US stocks."""
_TAPE_LETTERS = {
    "A": "AMEX", "B": "BEX", "C": "NYSENAT", "D": "DRCTEDGE", "H": "PEARL", "I": "ISE", "J": "EDGEA",
    "K": "EDGX", "L": "LTSE", "M": "CHX", "N": "NYSE", "P": "ARCA", "Q": "NASDAQ", "U": "MEMX", "V": "IEX",
    "W": "CBOE", "X": "PSX", "Y": "BYX", "Z": "BATS",
}  # fmt: skip
"""The letters that the consolidated tape has for the exchanges (CTA's and UTP's participant ids)."""
SMART_COMPONENTS: Mapping[str, tuple[tuple[int, str, str], ...]] = {
    US_STOCK_BBO: tuple((bit, name, letter) for bit, (letter, name) in enumerate(_TAPE_LETTERS.items())),
}
"""The exchanges of a consolidated quote: bit, name and letter."""

DEPTH_EXCHANGES: Final = (
    DepthExchange("NASDAQ", "STK", "NASDAQ", "Deep2", 1),
    DepthExchange("NYSE", "STK", "NYSE", "Deep", 2),
    DepthExchange("ARCA", "STK", "ARCA", "Deep", 4),
    DepthExchange("BATS", "STK", "", "Deep", 5),
    DepthExchange("IEX", "STK", "", "Deep", 6),
    DepthExchange("IBIS", "STK", "IBIS", "Deep", 7),
    DepthExchange("IDEALPRO", "CASH"),
    DepthExchange("CME", "FUT"),
    DepthExchange("NYMEX", "FUT"),
    DepthExchange("COMEX", "FUT"),
    DepthExchange("CBOE", "OPT"),
    DepthExchange("ISE", "OPT"),
    DepthExchange("PAXOS", "CRYPTO"),
)


def option_parameters(gateway: "PaperGateway", session: Session, request: OptionParametersRequest) -> None:
    """The option chain of an underlying: a message for each exchange and trading class, then the end."""
    if request.con_id <= 0:
        session.error(request.req_id, codes.VALIDATING, codes.invalid("Invalid contract id"))
        return
    underlying = gateway.universe.by_con_id(request.con_id)
    if underlying is None or (request.symbol and request.symbol.upper() != underlying.symbol):
        session.error(request.req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
        return
    if request.req_id in session.jobs:
        session.error(request.req_id, codes.DUPLICATE_TICKER_ID, "Duplicate ticker id")
        return
    session.jobs[request.req_id] = _chains(gateway, session, request, underlying)


def _chains(
    gateway: "PaperGateway", session: Session, request: OptionParametersRequest, underlying: Instrument
) -> Iterator[None]:
    chain = gateway.universe.derivatives.chain(underlying, today(gateway))
    exchanges = ("SMART", *(OPTION_EXCHANGES if underlying.stock_type else ("CBOE",)))
    for exchange in exchanges:
        if request.exchange.upper() not in ("", exchange):
            continue
        for trading_class, (expirations, strikes) in chain.items():
            session.send(
                OptionParameters(
                    req_id=request.req_id,
                    exchange=exchange,
                    under_con_id=underlying.con_id,
                    trading_class=trading_class,
                    multiplier=str(OPTION_MULTIPLIER),
                    expirations=tuple(f"{day:%Y%m%d}" for day in expirations),
                    strikes=tuple(strikes),
                )
            )
        yield
    session.send(messages.option_parameters_end(request.req_id))


def matching_symbols(gateway: "PaperGateway", session: Session, request: MatchingSymbolsRequest) -> None:
    types_on = gateway.universe.derivatives.types_on
    samples = tuple(
        SymbolSample(
            contract=wire_contract(instrument),
            description=instrument.long_name,
            derivative_sec_types=types_on(instrument),
        )
        for instrument in gateway.universe.search(request.pattern, limit=MAX_SAMPLES)
    )
    session.send(SymbolSamples(req_id=request.req_id, samples=samples))


def market_rule(gateway: "PaperGateway", session: Session, request: MarketRuleRequest) -> None:
    increments = MARKET_RULES.get(request.number)
    if increments is None:
        session.error(-1, codes.VALIDATING, codes.invalid(f"Invalid market rule id: {request.number}"))
        return
    session.send(MarketRule(rule_id=request.number, increments=increments))


def smart_components(gateway: "PaperGateway", session: Session, request: SmartComponentsRequest) -> None:
    components = SMART_COMPONENTS.get(request.bbo_exchange.lower())
    if components is None:
        cause = f"Invalid BBO exchange: {request.bbo_exchange[:40]}"
        session.error(request.req_id, codes.VALIDATING, codes.invalid(cause))
        return
    session.send(SmartComponents(req_id=request.req_id, components=components))


def depth_exchanges(gateway: "PaperGateway", session: Session, request: Any) -> None:
    session.send(DepthExchanges(exchanges=DEPTH_EXCHANGES))


HANDLERS: Mapping[type, Callable[..., None]] = {
    OptionParametersRequest: option_parameters,
    MatchingSymbolsRequest: matching_symbols,
    MarketRuleRequest: market_rule,
    SmartComponentsRequest: smart_components,
    DepthExchangesRequest: depth_exchanges,
}
