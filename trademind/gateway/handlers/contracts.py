"""Contracts: their details; and finding what other requests are about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from trademind.domain import SecType, Side
from trademind.gateway import codes
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.model import Instrument, Leg
from trademind.gateway.session import Session
from trademind.gateway.wire.contracts import ContractDetails, ContractDetailsEnd, WireContract
from trademind.gateway.wire.order_terms import WireLeg
from trademind.gateway.wire.requests.contracts import ContractDetailsRequest
from trademind.gateway.wire.times import EASTERN

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

SCHEDULED_DAYS: Final = 6
"""For how many days ahead trading hours are told."""
DETAILS_A_STEP: Final = 25
"""So many details are sent in one step of a long answer."""
MAX_LEGS: Final = 6
"""As many legs as IB takes in a combination."""
COMBO_CON_ID: Final = 28812380
"""The con id that IB shows for every combination in US dollars."""

_ORDERS = (
    "ACTIVETIM", "ADJUST", "ALERT", "AON", "COND", "CONDORDER", "DAY", "FOK", "GAT", "GTC", "GTD", "IOC",
    "LIT", "LMT", "MIT", "MKT", "OCA", "STP", "STPLMT", "TRAIL", "TRAILLMT", "TRAILMIT", "WHATIF",
)  # fmt: skip
_STOCK_ORDERS = ("HID", "ICE", "LOC", "MOC", "OPG", "PEGMID", "REL")
_FUTURE_ORDERS = ("HID", "ICE", "MKTPROT")
_NO_ORDERS = (SecType.INDEX, SecType.CONTINUOUS_FUTURE)
_UNSET_GROUP: Final = 2_147_483_647
_AGG_GROUPS = {SecType.STOCK: 1, SecType.OPTION: 2, SecType.CASH: 4}
"""IB's numbers for the exchanges whose quotes belong together."""


# What an instrument is called on the wire


def wire_contract(instrument: Instrument, *, exchange: str | None = None) -> WireContract:
    """`exchange` is where it is routed, unless another is given."""
    is_combo = bool(instrument.legs)
    return WireContract(
        con_id=COMBO_CON_ID if is_combo else instrument.con_id,
        symbol=instrument.symbol,
        sec_type=instrument.sec_type,
        last_trade_date=instrument.last_trade_date,
        strike=instrument.strike or Decimal(0),
        right=instrument.right,
        multiplier=f"{instrument.multiplier:f}" if instrument.last_trade_date else "",
        exchange=instrument.exchange if exchange is None else exchange,
        primary_exchange=instrument.primary_exchange,
        currency=instrument.currency,
        local_symbol=str(COMBO_CON_ID) if is_combo else instrument.local_symbol,
        trading_class=instrument.trading_class,
    )


def held_contract(instrument: Instrument) -> WireContract:
    """As in positions, where the exchange is the one it is listed at."""
    return wire_contract(instrument, exchange=instrument.primary_exchange or instrument.exchange)


# What a contract on the wire means


def today(gateway: "PaperGateway") -> date:
    """The day by which derivatives are listed."""
    return gateway.clock.now().astimezone(EASTERN).date()


def find_all(
    gateway: "PaperGateway", contract: WireContract, *, expired: bool = False, isin: str = ""
) -> Iterator[Instrument]:
    """Everything a contract can mean, one by one: of an option chain there may be thousands.

    A con id alone decides, as it does at IB; where it is to be routed must fit all the same.
    """
    wanted = Description(
        sec_type=SecType(contract.sec_type),
        symbol=contract.symbol,
        currency=contract.currency,
        exchange=contract.exchange,
        primary_exchange=contract.primary_exchange,
        local_symbol=contract.local_symbol,
        trading_class=contract.trading_class,
        last_trade_date=contract.last_trade_date,
        strike=contract.strike or None,
        right="" if contract.right in ("0", "?") else contract.right,
        multiplier=contract.multiplier,
        isin=isin,
        expired=expired,
    )
    if contract.con_id:
        instrument = gateway.universe.by_con_id(contract.con_id)
        # SMART leaves the routing to IB, whatever the instrument.
        if instrument is not None and (contract.exchange == "SMART" or wanted.trades_at(instrument)):
            yield instrument
        return
    yield from gateway.universe.find(wanted, today(gateway))


def find(
    gateway: "PaperGateway",
    session: Session,
    req_id: int,
    contract: WireContract,
    legs: Sequence[WireLeg] = (),
) -> Instrument | None:
    """The one instrument a contract means; otherwise the client is told, and None is returned."""
    if contract.sec_type == SecType.COMBO:
        return _combine(gateway, session, req_id, contract, legs)
    found = list(islice(find_all(gateway, contract), 2))
    if not found:
        session.error(req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
        return None
    if len(found) > 1:
        session.error(req_id, codes.NO_SECURITY, _ambiguous(contract))
        return None
    conflicts = _conflicts(contract, found[0]) if contract.con_id else ""
    if conflicts:
        session.error(req_id, codes.CONFLICT, codes.CONFLICT_TEXT + conflicts)
        return None
    return found[0]


def _ambiguous(contract: WireContract) -> str:
    symbol = contract.symbol or contract.local_symbol
    hint = "; you must specify the multiplier or trading class" if contract.sec_type in ("FUT", "OPT") else ""
    return f"The contract description specified for {symbol} is ambiguous{hint}."


def _conflicts(contract: WireContract, instrument: Instrument) -> str:
    """How a contract contradicts what its con id says, in IB's words; empty when it does not."""
    held = wire_contract(instrument)
    pairs = (
        ("symbol", contract.symbol.upper(), held.symbol),
        ("currency", contract.currency.upper(), held.currency),
        ("expiry", contract.last_trade_date.replace("-", "")[:8], held.last_trade_date),
        ("strike", f"{contract.strike:f}" if contract.strike else "", f"{held.strike:f}"),
        ("right", contract.right.upper()[:1].strip("0?"), held.right),
        ("ibLocalSymbol", contract.local_symbol.upper(), held.local_symbol),
    )
    return "".join(
        f" requested {name} {wanted}, in contract {actual};"
        for name, wanted, actual in pairs
        if wanted and wanted != actual and not (name == "strike" and contract.strike == held.strike)
    )


def _combine(
    gateway: "PaperGateway",
    session: Session,
    req_id: int,
    contract: WireContract,
    legs: Sequence[WireLeg],
) -> Instrument | None:
    parts = []
    for leg in legs[: MAX_LEGS + 1]:
        instrument = gateway.universe.by_con_id(leg.con_id)
        if instrument is None or leg.action not in ("BUY", "SELL"):
            session.error(req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
            return None
        side = Side.BUY if leg.action == "BUY" else Side.SELL
        parts.append(Leg(instrument=instrument, ratio=leg.ratio, side=side, exchange=leg.exchange or "SMART"))
    try:
        if len(parts) > MAX_LEGS:
            raise ValueError(f"a combination has at most {MAX_LEGS} legs")
        return gateway.universe.combine(parts)
    except ValueError as error:
        session.error(req_id, codes.VALIDATING, codes.invalid(f"Invalid combination: {error}"))
        return None


# Details


def contract_details(gateway: "PaperGateway", session: Session, request: ContractDetailsRequest) -> None:
    """Answers with everything that a description can mean; a long answer is given in steps."""
    req_id = request.req_id
    if request.sec_id_type not in ("", "ISIN"):
        session.error(req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
        return
    if req_id in session.jobs:
        session.error(req_id, codes.DUPLICATE_TICKER_ID, "Duplicate ticker id")
        return
    answer = _answer(gateway, session, request)
    # What is short is answered at once, so that answers come in the order of the requests.
    if next(answer, "done") != "done":
        session.jobs[req_id] = answer


def _answer(gateway: "PaperGateway", session: Session, request: ContractDetailsRequest) -> Iterator[None]:
    isin = request.sec_id if request.sec_id_type else ""
    found = find_all(gateway, request.contract, expired=request.include_expired, isin=isin)
    hours: dict[tuple[str, ...], tuple[str, str]] = {}
    count = 0
    for instrument in found:
        # All of a chain trade at the same hours.
        key = (instrument.sec_type, instrument.exchange, instrument.primary_exchange, instrument.time_zone)
        if key not in hours:
            hours[key] = (
                trading_hours(gateway, instrument, regular_only=False),
                trading_hours(gateway, instrument, regular_only=True),
            )
        session.send(_details(request.req_id, instrument, request.contract.exchange, hours[key]))
        count += 1
        if count % DETAILS_A_STEP == 0:
            yield
    if count:
        session.send(ContractDetailsEnd(req_id=request.req_id))
    else:
        session.error(request.req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)


def _details(req_id: int, instrument: Instrument, exchange: str, hours: tuple[str, str]) -> ContractDetails:
    exchanges = dict.fromkeys((instrument.exchange, instrument.primary_exchange, *instrument.exchanges))
    exchanges.pop("", None)
    underlying = instrument.underlying if instrument.sec_type is not SecType.INDEX else None
    return ContractDetails(
        req_id=req_id,
        contract=wire_contract(instrument, exchange=exchange or None),
        market_name=instrument.trading_class,
        min_tick=instrument.min_tick,
        order_types=order_types(instrument),
        valid_exchanges=",".join(exchanges),
        long_name=instrument.long_name,
        industry=instrument.industry,
        category=instrument.category,
        subcategory=instrument.subcategory,
        time_zone=instrument.time_zone,
        trading_hours=hours[0],
        liquid_hours=hours[1],
        market_rule_ids=",".join([str(instrument.market_rule)] * len(exchanges)),
        stock_type=instrument.stock_type,
        min_size=instrument.min_size,
        size_increment=instrument.size_increment,
        contract_month=instrument.contract_month,
        last_trade_time=instrument.last_trade_time,
        real_expiration_date=instrument.last_trade_date,
        under_con_id=underlying.con_id if underlying else 0,
        under_symbol=underlying.symbol if underlying else "",
        under_sec_type=underlying.sec_type if underlying else "",
        sec_ids=(("ISIN", instrument.isin),) if instrument.isin else (),
        agg_group=_AGG_GROUPS.get(instrument.sec_type, _UNSET_GROUP),
    )


def order_types(instrument: Instrument) -> str:
    """What orders are taken for an instrument, as IB spells and sorts them."""
    if instrument.sec_type in _NO_ORDERS:
        return ""
    more = {SecType.STOCK: _STOCK_ORDERS, SecType.FUTURE: _FUTURE_ORDERS}.get(instrument.sec_type, ())
    return ",".join(sorted((*_ORDERS, *more)))


def trading_hours(gateway: "PaperGateway", instrument: Instrument, *, regular_only: bool) -> str:
    """The hours of the next days as IB writes them, as in `20260417:0930-20260417:1600;20260418:CLOSED`."""
    zone = ZoneInfo(instrument.time_zone)
    first = gateway.clock.now().astimezone(zone).date()
    sessions = gateway.hours.sessions(instrument, first, SCHEDULED_DAYS, regular_only=regular_only)
    days: dict[date, list[str]] = {first + timedelta(days=ahead): [] for ahead in range(SCHEDULED_DAYS)}
    for each in sessions:
        start, end = each.start.astimezone(zone), each.end.astimezone(zone)
        days[each.day].append(f"{start:%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}")
    return ";".join(",".join(spans) or f"{day:%Y%m%d}:CLOSED" for day, spans in days.items())


HANDLERS: Mapping[type, Callable[..., None]] = {
    ContractDetailsRequest: contract_details,
}
