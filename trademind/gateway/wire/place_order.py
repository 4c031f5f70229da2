"""The place-order request: IB's longest, with every attribute an order can have.

Strategy: read all of it, in order. What the paper exchange trades by becomes the order's terms; what changes
nothing on paper is kept to be shown again, or skipped where no open order shows it; every other attribute
that is set would change what the order does, and is collected by name. Whoever places the order decides what
to do about those; ignoring one in silence would trade something else than was asked for.
"""

from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldError, FieldReader, is_unset
from trademind.gateway.wire.order_terms import (
    NOTED,
    PRICE_CONDITION,
    TIME_CONDITION,
    OrderTerms,
    WireAdjustment,
    WireCondition,
    WireLeg,
    WirePriceCondition,
    WireTimeCondition,
)

_NEUTRAL = frozenset({"", "0", "0.0", "-1", "None", "?", "false", "False"})
"""What an attribute that is not used is sent as; `None` and `?` come back from open-order messages."""
_OTHER_CONDITIONS = {4: ("margin", 3), 5: ("execution", 4), 6: ("volume", 5), 7: ("percentChange", 5)}
"""Kinds of conditions that are refused: their names, and how many fields each has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A new order, or a change of a working one with the same id."""

    order_id: int
    contract: WireContract
    terms: OrderTerms
    attributes: tuple[str, ...]
    """Further attributes that are set and change what the order means, by their names in IB's clients."""


class _Attributes:
    """Reads attributes one by one and remembers which are in use."""

    def __init__(self, reader: FieldReader) -> None:
        self.reader = reader
        self.refused: list[str] = []
        self.notes: dict[str, str] = {}

    def refuse(self, *names: str) -> None:
        """Reads attributes that change the order's meaning in a way that is not simulated."""
        for name in names:
            if self._set():
                self.refused.append(name)

    def note(self, name: str) -> None:
        """Reads an attribute that is kept as it is, if it is set."""
        assert name in NOTED
        value = self.reader.name(name)
        if value not in _NEUTRAL and not is_unset(value):
            self.notes[name] = value

    def size(self) -> Decimal | None:
        """A price or a size, for which 0 stands for none, too."""
        return self.reader.number() or None

    def text(self) -> str:
        """A text, of which some clients write `None` for an empty one."""
        value = self.reader.text().strip()
        return "" if value in _NEUTRAL else value

    def _set(self) -> bool:
        value = self.reader.text()
        return value not in _NEUTRAL and not is_unset(value)


def read_place_order(reader: FieldReader, version: int) -> PlaceOrder:
    """Reads the fields after the message id.

    Raises:
        FieldError: a number is none, or there are more or fewer fields than the version has.
    """
    order_id = reader.integer()
    contract = read_contract(reader)
    more = _Attributes(reader)
    reader.skip(2)  # security id and its type: the contract is named otherwise
    terms: dict[str, object] = {}
    _read_main(more, terms)
    if contract.sec_type == "BAG":
        _read_combination(more, terms)
    _read_times_and_sizes(more, terms, version)
    _read_refused_kinds(more, terms)
    if terms["order_type"] in ("PEG BENCH", "PEGBENCH"):
        reader.skip(5)
    _read_conditions(more, terms)
    _read_adjustment(more, terms)
    _read_tail(more, terms, version, contract.exchange)
    if reader.remaining:
        raise FieldError(f"{reader.remaining} fields too many")
    return PlaceOrder(
        order_id=order_id,
        contract=contract,
        terms=OrderTerms(**terms, notes=more.notes),  # type: ignore[arg-type]
        attributes=tuple(dict.fromkeys(more.refused)),
    )


def _read_main(more: _Attributes, terms: dict[str, object]) -> None:
    reader = more.reader
    terms["action"], terms["quantity"] = reader.name("action"), reader.number()
    terms["order_type"] = reader.name("order type")
    terms["limit_price"], terms["aux_price"] = reader.number(), reader.number()
    terms["tif"], terms["oca_group"] = reader.name("time in force"), reader.name("OCA group")
    terms["account"] = reader.name("account")
    more.note("openClose")
    more.note("origin")
    terms["order_ref"], terms["transmit"] = reader.name("order reference"), reader.flag()
    terms["parent_id"] = reader.integer()
    more.refuse("blockOrder")
    more.note("sweepToFill")
    terms["display_size"], terms["trigger_method"] = more.size(), reader.integer()
    terms["outside_rth"], terms["hidden"] = reader.flag(), reader.flag()


def _read_combination(more: _Attributes, terms: dict[str, object]) -> None:
    reader = more.reader
    terms["legs"] = tuple(_read_leg(reader) for _ in range(_count(reader)))
    prices = tuple(reader.number() for _ in range(_count(reader)))
    if any(price is not None for price in prices):
        more.refused.append("orderComboLegs")
    terms["leg_prices"] = prices
    terms["routing"] = tuple(
        (reader.name("routing tag"), reader.name("routing value")) for _ in range(_count(reader))
    )


def _read_leg(reader: FieldReader) -> WireLeg:
    return WireLeg(
        con_id=reader.integer(),
        ratio=reader.integer(),
        action=reader.name("leg's action"),
        exchange=reader.name("leg's exchange"),
        open_close=reader.integer(),
        short_sale_slot=reader.integer(),
        designated_location=reader.name("leg's location"),
        exempt_code=reader.integer(default=-1),
    )


def _read_times_and_sizes(more: _Attributes, terms: dict[str, object], version: int) -> None:
    reader = more.reader
    reader.skip()  # shares allocation, retired
    more.refuse("discretionaryAmt")
    terms["good_after"] = reader.name("good-after time").strip()
    terms["good_till"] = reader.name("good-till date").strip()
    more.refuse("faGroup", "faMethod", "faPercentage")
    if version < versions.NO_FA_PROFILE:
        more.refuse("faProfile")
    more.refuse("modelCode", "shortSaleSlot")
    reader.skip(2)  # where the shares to sell short are, idle without a slot; exempt code
    terms["oca_type"] = reader.integer()
    more.note("rule80A")
    more.note("settlingFirm")
    terms["all_or_none"], terms["min_quantity"] = reader.flag(), more.size()
    terms["percent_offset"] = more.size()


def _read_refused_kinds(more: _Attributes, terms: dict[str, object]) -> None:
    """From the retired flags to the randomising ones: most of it is of kinds of orders that are refused."""
    reader = more.reader
    reader.skip(3)  # electronic trade only, firm quote only, NBBO price cap: retired
    more.refuse("auctionStrategy", "startingPrice", "stockRefPrice", "delta")
    more.refuse("stockRangeLower", "stockRangeUpper")
    reader.skip()  # override of percentage constraints
    more.refuse("volatility")
    reader.skip()  # volatility type, idle without a volatility
    if _read_delta_neutral_type(more):
        reader.skip(8)
    more.refuse("continuousUpdate")
    reader.skip()  # reference price type, idle otherwise
    terms["trail_stop_price"], terms["trailing_percent"] = more.size(), more.size()
    _read_scale(more)
    more.refuse("scaleTable", "activeStartTime", "activeStopTime")
    if _announces(more, "hedgeType"):
        reader.skip()
    for name in ("optOutSmartRouting", "clearingAccount", "clearingIntent", "notHeld"):
        more.note(name)
    if reader.flag():
        more.refused.append("deltaNeutralContract")
        reader.skip(3)
    if _announces(more, "algoStrategy"):
        reader.skip(2 * _count(reader))
    reader.skip()  # the client's id for its algorithm
    terms["what_if"] = reader.flag()
    reader.skip()  # miscellaneous options
    more.note("solicited")
    more.refuse("randomizeSize", "randomizePrice")


def _announces(more: _Attributes, name: str) -> bool:
    """Reads a text that announces further fields merely by not being empty."""
    if more.reader.text() == "":
        return False
    more.refused.append(name)
    return True


def _count(reader: FieldReader) -> int:
    """How many things follow, of at least a field each."""
    count = reader.integer()
    if not 0 <= count <= reader.remaining:
        raise FieldError(f"{count} are announced, {reader.remaining} fields follow")
    return count


def _read_delta_neutral_type(more: _Attributes) -> bool:
    """Whether the eight fields of a delta-neutral order follow: they do even for the type `None`."""
    order_type = more.reader.text()
    if order_type not in _NEUTRAL:
        more.refused.append("deltaNeutralOrderType")
    more.reader.skip()  # its auxiliary price
    return order_type != ""


def _read_scale(more: _Attributes) -> None:
    more.refuse("scaleInitLevelSize", "scaleSubsLevelSize")
    increment = more.size()
    if increment is not None:
        more.refused.append("scalePriceIncrement")
        if increment > 0:
            more.reader.skip(7)


def _read_conditions(more: _Attributes, terms: dict[str, object]) -> None:
    reader = more.reader
    conditions: list[WireCondition] = []
    count = _count(reader)
    for _ in range(count):
        kind = reader.integer()
        if kind in _OTHER_CONDITIONS:
            name, length = _OTHER_CONDITIONS[kind]
            more.refused.append(f"{name}Condition")
            reader.skip(length)
        else:
            conditions.append(_read_condition(reader, kind))
    terms["conditions"] = tuple(conditions)
    if count:
        terms["conditions_outside_rth"], terms["conditions_cancel"] = reader.flag(), reader.flag()


def _read_condition(reader: FieldReader, kind: int) -> WireCondition:
    is_and = reader.text() != "o"
    is_more = reader.flag()
    if kind == PRICE_CONDITION:
        return WirePriceCondition(
            is_and=is_and,
            is_more=is_more,
            price=reader.number() or Decimal(0),
            con_id=reader.integer(),
            exchange=reader.name("condition's exchange"),
            trigger_method=reader.integer(),
        )
    if kind == TIME_CONDITION:
        return WireTimeCondition(is_and=is_and, is_more=is_more, time=reader.name("condition's time"))
    raise FieldError(f"{kind} is no kind of condition")


def _read_adjustment(more: _Attributes, terms: dict[str, object]) -> None:
    """The adjusted order; without its type everything but the limit offset is idle."""
    reader = more.reader
    order_type = more.text()
    trigger_price, terms["limit_offset"] = more.size(), more.size()
    stop_price, limit_price, trailing = more.size(), more.size(), more.size()
    unit = reader.integer()
    if order_type:
        terms["adjustment"] = WireAdjustment(
            order_type=order_type,
            trigger_price=trigger_price,
            stop_price=stop_price,
            limit_price=limit_price,
            trailing=trailing,
            unit=unit,
        )


def _read_tail(more: _Attributes, terms: dict[str, object], version: int, exchange: str) -> None:
    """What follows the adjustment; this is where new versions add their fields."""
    reader = more.reader
    more.note("extOperator")
    more.note("softDollarTierName")
    more.note("softDollarTierValue")
    terms["cash_quantity"] = more.size()
    reader.skip(4)  # MiFID II decision maker and execution trader
    reader.skip()  # automatic price for a hedge
    more.refuse("isOmsContainer", "discretionaryUpToLimitPrice")
    more.note("usePriceMgmtAlgo")
    if version >= versions.DURATION:
        more.refuse("duration")
    if version >= versions.POST_TO_ATS:
        more.refuse("postToAts")
    if version >= versions.AUTO_CANCEL_PARENT:
        more.note("autoCancelParent")
    if version >= versions.ADVANCED_ORDER_REJECT:
        reader.skip()  # which rejections to override
    if version >= versions.MANUAL_ORDER_TIME:
        reader.skip()
    if version >= versions.PEG_OFFSETS:
        _read_peg_offsets(more, exchange, str(terms["order_type"]))
    if version >= versions.CUSTOMER_ACCOUNT:
        more.note("customerAccount")
    if version >= versions.PROFESSIONAL_CUSTOMER:
        more.note("professionalCustomer")
    if versions.RFQ_FIELDS <= version < versions.NO_RFQ_FIELDS:
        reader.skip(2)  # external user id, manual order indicator
    if version >= versions.INCLUDE_OVERNIGHT:
        more.note("includeOvernight")
    if version >= versions.CME_TAGGING:
        more.note("manualOrderIndicator")
    if version >= versions.IMBALANCE_ONLY:
        more.refuse("imbalanceOnly")


def _read_peg_offsets(more: _Attributes, exchange: str, order_type: str) -> None:
    """Fields of pegged orders, which are there for some order types and for the exchange IBKRATS only."""
    reader = more.reader
    if exchange == "IBKRATS":
        more.refuse("minTradeQty")
    if order_type in ("PEG BEST", "PEGBEST"):
        reader.skip()
        if reader.text() in ("Infinite", "Infinity", "inf"):
            reader.skip(2)
    elif order_type in ("PEG MID", "PEGMID"):
        more.refuse("midOffsetAtWhole", "midOffsetAtHalf")
