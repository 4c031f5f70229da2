"""From a place-order request to a ticket for the exchange, or to IB's refusal.

Strategy: what a request says is checked here as far as it can be without looking at the market: the order's
type and times, attributes that contradict each other or are missing, what it refers to. What remains (sizes
and price increments, the account's means, orders that cannot be changed any more) is the exchange's business.
Codes and texts are those of IB's published message codes.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from trademind.domain import SecType, Side
from trademind.domain.orders import plain
from trademind.gateway import codes
from trademind.gateway.engine.model import (
    Adjustment,
    Condition,
    IBOrderType,
    IBTif,
    Instrument,
    PaperOrder,
    PriceCondition,
    Ticket,
    TimeCondition,
)
from trademind.gateway.wire.order_terms import (
    PERCENT_UNIT,
    OrderTerms,
    WireAdjustment,
    WireCondition,
    WirePriceCondition,
    WireTimeCondition,
)
from trademind.gateway.wire.place_order import PlaceOrder
from trademind.gateway.wire.times import has_zone, parse_moment

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

ORDER_TYPES: Final[Mapping[str, IBOrderType]] = {
    **{each.value: each for each in IBOrderType},
    "STPLMT": IBOrderType.STOP_LIMIT,
    "TRAILLMT": IBOrderType.TRAIL_LIMIT,
    "TRAILLIMIT": IBOrderType.TRAIL_LIMIT,
    "MKTPRT": IBOrderType.MARKET_WITH_PROTECTION,
    "PEGMID": IBOrderType.PEGGED_TO_MIDPOINT,
    "MKTCLS": IBOrderType.MARKET_ON_CLOSE,
    "LMTCLS": IBOrderType.LIMIT_ON_CLOSE,
}
"""Order types that are taken, in all of IB's spellings."""
UNSERVED_TYPES: Final = frozenset(
    {
        "AUC", "BOX TOP", "FUNARI", "LWC", "MIDPRICE", "MTL", "MTL AUC", "PASSV REL", "PEG BENCH",
        "PEG BEST", "PEG MKT", "PEG PRIM", "PEG STK", "PEGBENCH", "PEGBEST", "PEGMKT", "PEGPRI", "PEGSTK",
        "REL + LMT", "REL + MKT", "RPI", "SNAP MID", "SNAP MKT", "SNAP PRIM", "STP PRT", "STPPRT",
        "TRAIL LIT", "TRAIL MIT", "VOL", "VWAP",
    }
)  # fmt: skip
"""Order types that IB has and the paper exchange has not; any other one is no order type at all."""

_SIDES = {side.value: side for side in Side}
_TIFS = {tif.value: tif for tif in IBTif}
_CONDITIONAL = (IBOrderType.MARKET, IBOrderType.LIMIT, IBOrderType.RELATIVE)
_OWN_WORDS: Final[Mapping[str, tuple[int, str]]] = {
    "discretionaryAmt": (
        325,
        "Discretionary orders are not supported for this combination of exchange and order type.",
    ),
    "hedgeType": (10007, "Invalid hedge type."),
    "algoStrategy": (442, "Specified algorithm is not allowed for this order."),
    "faGroup": (344, "The account logged into is not a financial advisor account."),
    "volatility": (
        371,
        "VOL order requires positive floating point value for volatility. Do not set it for other order "
        "types.",
    ),
    "startingPrice": (387, codes.UNSUPPORTED_ORDER_TYPE_TEXT),
    "deltaNeutralContract": (429, "Delta neutral orders are only supported for combos (BAG security type)."),
    "minTradeQty": (10302, "Min trade quantity is not allowed for this order."),
    "midOffsetAtWhole": (10306, "Mid offsets are not allowed."),
    "midOffsetAtHalf": (10306, "Mid offsets are not allowed."),
    "imbalanceOnly": (10342, "The 'ImbalanceOnly' order attribute may not be specified for this order."),
}
"""Attributes of whose refusal IB has an error of its own."""


class OrderRefused(Exception):
    """An order that never gets to the exchange, by IB's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


def rejected(reason: str) -> OrderRefused:
    return OrderRefused(codes.ORDER_REJECTED, f"Order rejected - reason:{reason}")


def invalid(cause: str) -> OrderRefused:
    return OrderRefused(codes.VALIDATING, f"Error validating request.-'bF' : cause - {cause}")


def unsupported(names: str) -> OrderRefused:
    return OrderRefused(codes.UNSUPPORTED_ATTRIBUTE, codes.UNSUPPORTED_ATTRIBUTE_TEXT.format(names=names))


def check_request(gateway: "PaperGateway", request: PlaceOrder) -> None:
    """What can be said before it is known what is to be traded.

    Raises:
        OrderRefused: the order type, the time in force, the side or the account is none, or an attribute is
            set that the paper exchange does not simulate.
    """
    terms = request.terms
    if terms.order_type not in ORDER_TYPES:
        if terms.order_type in UNSERVED_TYPES:
            raise OrderRefused(codes.UNSUPPORTED_ORDER_TYPE, codes.UNSUPPORTED_ORDER_TYPE_TEXT)
        raise invalid("Invalid order type was entered")
    if terms.tif and terms.tif not in _TIFS:
        raise OrderRefused(codes.INVALID_TIF, codes.INVALID_TIF_TEXT.format(tif=terms.tif))
    if terms.action not in _SIDES:
        raise rejected(f"Invalid order action {terms.action}")
    accounts = gateway.exchange.accounts
    if terms.account and terms.account not in accounts:
        raise rejected(f"Invalid account code '{terms.account}'")
    if not terms.account and len(accounts) > 1:
        raise OrderRefused(codes.NO_ACCOUNT, codes.NO_ACCOUNT_TEXT)
    for name in request.attributes:
        if name in _OWN_WORDS:
            raise OrderRefused(*_OWN_WORDS[name])
    if request.attributes:
        raise unsupported(", ".join(request.attributes))


def ticket_of(gateway: "PaperGateway", client_id: int, request: PlaceOrder, instrument: Instrument) -> Ticket:
    """The ticket for a request that `check_request` has let pass.

    Raises:
        OrderRefused: the request contradicts itself, lacks something, or refers to what is not there.
    """
    terms = request.terms
    order_type, tif = ORDER_TYPES[terms.order_type], _TIFS[terms.tif or "DAY"]
    _check_kind(terms, order_type, instrument)
    known = gateway.exchange.order(client_id, request.order_id)
    if known is not None and not known.status.is_done:
        _check_relations_kept(known, terms)
    return Ticket(
        client_id=client_id,
        order_id=request.order_id,
        account=terms.account or gateway.exchange.account_id,
        instrument=instrument,
        side=_SIDES[terms.action],
        # ib_async writes 10 as 10.0, and IB shows it as 10 again.
        quantity=plain(terms.quantity or Decimal(0)),
        order_type=order_type,
        tif=tif,
        limit_price=_limit_price(terms, order_type),
        stop_price=_stop_price(terms, order_type),
        order_ref=terms.order_ref,
        outside_rth=terms.outside_rth,
        exchange=_route(request.contract.exchange, instrument),
        trailing_amount=_trailing_amount(terms, order_type),
        trailing_percent=terms.trailing_percent if order_type.trails else None,
        limit_offset=terms.limit_offset if order_type is IBOrderType.TRAIL_LIMIT else None,
        offset=terms.aux_price if order_type.is_pegged else None,
        good_till=_good_till(terms, tif),
        good_after=_moment(terms.good_after) if terms.good_after else None,
        all_or_none=terms.all_or_none,
        min_quantity=terms.min_quantity,
        display_size=terms.display_size,
        hidden=terms.hidden,
        parent_id=terms.parent_id,
        transmit=terms.transmit,
        oca_group=terms.oca_group,
        oca_type=terms.oca_type if terms.oca_group else 0,
        trigger_method=terms.trigger_method,
        conditions=tuple(_condition(gateway, each) for each in terms.conditions),
        conditions_cancel=bool(terms.conditions) and terms.conditions_cancel,
        conditions_outside_rth=bool(terms.conditions) and terms.conditions_outside_rth,
        adjustment=_adjustment(terms.adjustment),
        notes=tuple(sorted(terms.notes.items())),
    )


def _check_kind(terms: OrderTerms, order_type: IBOrderType, instrument: Instrument) -> None:
    """Whether the order's attributes go together with its type."""
    if order_type is IBOrderType.RELATIVE and instrument.sec_type is not SecType.STOCK:
        raise OrderRefused(114, "Relative orders are valid for stocks only.")
    if terms.percent_offset is not None:
        raise unsupported("percentOffset")
    if terms.cash_quantity is not None:
        raise OrderRefused(10244, "Cash Quantity cannot be used for this order")
    if terms.hidden and instrument.sec_type is SecType.CASH:
        raise OrderRefused(152, 'The "hidden" order attribute may not be specified for this order.')
    if terms.conditions:
        _check_conditional(terms, order_type)
    if terms.notes.get("autoCancelParent") and terms.parent_id:
        raise unsupported("autoCancelParent")
    if terms.what_if and not terms.transmit:
        raise OrderRefused(413, "What-if order should have the transmit flag set to true.")


def _check_conditional(terms: OrderTerms, order_type: IBOrderType) -> None:
    cancelled = terms.conditions_cancel and order_type is not IBOrderType.LIMIT
    if cancelled or order_type not in _CONDITIONAL:
        raise OrderRefused(
            148,
            "Conditional submission of orders is supported for Limit, Market, MidPrice, Relative and Snap "
            "order types only. Conditional cancelation of orders is supported for Limit and MidPrice order "
            "types only.",
        )


def _check_relations_kept(known: PaperOrder, terms: OrderTerms) -> None:
    """A change of a working order leaves its parent and its group as they are."""
    old = known.ticket
    if terms.parent_id != old.parent_id:
        raise OrderRefused(10341, "Parent order id cannot be modified")
    if terms.oca_group != old.oca_group:
        raise OrderRefused(10326, "OCA group revision is not allowed")
    # What open orders show of an order without a type comes back as 3.
    if terms.oca_group and (terms.oca_type or 3) != (old.oca_type or 3):
        raise OrderRefused(10327, "OCA group type revision is not allowed")


def _limit_price(terms: OrderTerms, order_type: IBOrderType) -> Decimal | None:
    """Clients send prices that the type has no use for (0, or what an open order said): not orders.

    Pegged orders have a limit if they want to; a trailing limit follows the stop where its offset is said.
    """
    if order_type.needs_limit:
        return terms.limit_price
    if order_type.is_pegged:
        return terms.limit_price or None
    if order_type is IBOrderType.TRAIL_LIMIT and terms.limit_offset is None:
        return terms.limit_price or None
    return None


def _stop_price(terms: OrderTerms, order_type: IBOrderType) -> Decimal | None:
    if order_type.trails:
        return terms.trail_stop_price
    return terms.aux_price if order_type.needs_stop else None


def _trailing_amount(terms: OrderTerms, order_type: IBOrderType) -> Decimal | None:
    """The distance of a trailing stop, unless it is a percentage."""
    if not order_type.trails or terms.trailing_percent is not None:
        return None
    return terms.aux_price or None


def _good_till(terms: OrderTerms, tif: IBTif) -> datetime | None:
    if not terms.good_till:
        return None
    if tif is not IBTif.GTD:
        raise OrderRefused(334, "Invalid Good Till Date order")
    return _moment(terms.good_till, end_of_day=True)


def _moment(text: str, *, end_of_day: bool = False) -> datetime:
    try:
        return parse_moment(text, end_of_day=end_of_day)
    except ValueError:
        raise OrderRefused(codes.INVALID_DATE, codes.INVALID_DATE_TEXT) from None


def implies_zone(terms: OrderTerms) -> bool:
    """Whether a time of the order leaves its zone unsaid, of which IB warns."""
    times = [each.time for each in terms.conditions if isinstance(each, WireTimeCondition)]
    return not all(has_zone(each) for each in (*times, terms.good_after, terms.good_till) if each)


def _condition(gateway: "PaperGateway", wire: WireCondition) -> Condition:
    if not isinstance(wire, WirePriceCondition):
        return TimeCondition(moment=_moment(wire.time), is_more=wire.is_more, is_and=wire.is_and)
    instrument = gateway.universe.by_con_id(wire.con_id)
    if instrument is None:
        raise OrderRefused(147, "The conditional contract info is incomplete.")
    return PriceCondition(
        instrument=instrument,
        price=wire.price,
        is_more=wire.is_more,
        trigger_method=wire.trigger_method,
        is_and=wire.is_and,
    )


def _adjustment(wire: WireAdjustment | None) -> Adjustment | None:
    """What a stop turns into."""
    if wire is None:
        return None
    adjusted = ORDER_TYPES.get(wire.order_type)
    if adjusted is None:
        raise OrderRefused(codes.UNSUPPORTED_ORDER_TYPE, codes.UNSUPPORTED_ORDER_TYPE_TEXT)
    return Adjustment(
        order_type=adjusted,
        trigger_price=wire.trigger_price or Decimal(0),
        stop_price=wire.stop_price,
        limit_price=wire.limit_price,
        trailing=wire.trailing,
        is_percent=wire.unit == PERCENT_UNIT,
    )


def _route(exchange: str, instrument: Instrument) -> str:
    """Where it goes: empty for the instrument's own routing."""
    return "" if exchange in ("", instrument.exchange) else exchange
