"""The place-order request: IB's longest, with every attribute an order can have.

Strategy: read all of it, in order, keep what the paper exchange trades by, and collect by name every
other attribute that is set and would change what the order does. Whoever places the order decides what
to do about those; ignoring one in silence would trade something else than was asked for.
"""

from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldError, FieldReader, is_unset

_NEUTRAL = frozenset({"", "0", "0.0", "-1", "None", "?", "false", "False"})
"""What an attribute that is not used is sent as; `None` and `?` come back from open-order messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A new order, or a change of a working one with the same id."""

    order_id: int
    contract: WireContract
    action: str
    quantity: Decimal | None
    order_type: str
    limit_price: Decimal | None
    aux_price: Decimal | None
    tif: str
    account: str
    order_ref: str
    transmit: bool
    outside_rth: bool
    what_if: bool
    attributes: tuple[str, ...]
    """Names of further attributes that are set and change what the order means."""


class _Attributes:
    """Reads attributes one by one and remembers which are in use."""

    def __init__(self, reader: FieldReader) -> None:
        self.reader = reader
        self.used: list[str] = []

    def read(self, *names: str) -> None:
        for name in names:
            self.take(name)

    def take(self, name: str) -> str:
        """Reads one attribute; returns it, or an empty text where it is not used."""
        value = self.reader.text()
        if value in _NEUTRAL or is_unset(value):
            return ""
        self.used.append(name)
        return value


def read_place_order(reader: FieldReader, version: int) -> PlaceOrder:
    """Reads the fields after the message id.

    Raises:
        FieldError: a number is none, or there are more or fewer fields than the version has.
    """
    order_id = reader.integer()
    contract = read_contract(reader)
    more = _Attributes(reader)
    reader.skip(2)  # security id and its type: the contract is named otherwise
    action, quantity, order_type = reader.name("action"), reader.number(), reader.name("order type")
    limit_price, aux_price = reader.number(), reader.number()
    tif = reader.name("time in force")
    more.read("OCA group")
    account = reader.name("account")
    reader.skip(2)  # open or close, origin: for institutions
    order_ref, transmit = reader.name("order reference"), reader.flag()
    more.read("parent order", "block order", "sweep to fill", "display size", "trigger method")
    outside_rth = reader.flag()
    more.read("hidden")
    if contract.sec_type == "BAG":
        _read_combo(more)
    reader.skip()  # shares allocation, retired
    more.read("discretionary amount", "good-after time", "good-till date")
    more.read("adviser group", "adviser method", "adviser percentage")
    if version < versions.NO_FA_PROFILE:
        more.read("adviser profile")
    more.read("model code", "short sale slot")
    reader.skip(3)  # where the shares to sell short are; exempt code; OCA type, idle without a group
    reader.skip(2)  # rule 80A, settling firm
    more.read("all or none", "minimum quantity", "percent offset")
    reader.skip(3)  # retired
    more.read("auction strategy", "starting price", "stock reference price", "delta")
    more.read("stock range", "stock range")
    reader.skip()  # override of percentage constraints
    more.read("volatility")
    reader.skip()  # volatility type, idle without a volatility
    if _read_delta_neutral_type(more):
        reader.skip(8)
    more.read("continuous update")
    reader.skip()  # reference price type, idle otherwise
    more.read("trailing stop price", "trailing percent")
    _read_scale(more)
    more.read("scale table", "active start time", "active stop time")
    if _is_set(reader, more, "hedge"):
        reader.skip()
    reader.skip(4)  # opt out of smart routing, clearing account and intent, not held
    if reader.flag():
        more.used.append("delta-neutral contract")
        reader.skip(3)
    if _is_set(reader, more, "algorithm"):
        reader.skip(2 * reader.integer())
    reader.skip()  # the client's id for its algorithm
    what_if = reader.flag()
    reader.skip(2)  # miscellaneous options, solicited
    more.read("randomized size", "randomized price")
    if order_type in ("PEG BENCH", "PEGBENCH"):
        reader.skip(5)
    conditions = reader.integer()
    if conditions:
        # Each kind of condition has its own fields. The order will be refused, so they can stay unread.
        more.used.append("conditions")
    else:
        _read_tail(more, version, contract.exchange, order_type)
        if reader.remaining:
            raise FieldError(f"{reader.remaining} fields too many")
    return PlaceOrder(
        order_id=order_id,
        contract=contract,
        action=action,
        quantity=quantity,
        order_type=order_type,
        limit_price=limit_price,
        aux_price=aux_price,
        tif=tif,
        account=account,
        order_ref=order_ref,
        transmit=transmit,
        outside_rth=outside_rth,
        what_if=what_if,
        attributes=tuple(dict.fromkeys(more.used)),
    )


def _is_set(reader: FieldReader, more: _Attributes, name: str) -> bool:
    """Reads a text that announces further fields merely by not being empty."""
    if reader.text() == "":
        return False
    more.used.append(name)
    return True


def _read_combo(more: _Attributes) -> None:
    reader = more.reader
    more.used.append("combination")
    reader.skip(8 * reader.integer())
    reader.skip(reader.integer())
    reader.skip(2 * reader.integer())


def _read_delta_neutral_type(more: _Attributes) -> bool:
    """Whether the eight fields of a delta-neutral order follow: they do even for the type `None`."""
    order_type = more.reader.text()
    if order_type not in _NEUTRAL:
        more.used.append("delta-neutral order")
    more.reader.skip()  # its auxiliary price
    return order_type != ""


def _read_scale(more: _Attributes) -> None:
    more.read("scale", "scale")
    increment = more.take("scale")
    if increment:
        more.reader.skip(7)


def _read_tail(more: _Attributes, version: int, exchange: str, order_type: str) -> None:
    """What follows the conditions; this is where new versions add their fields."""
    reader = more.reader
    more.read("adjusted order type")
    # Trigger and limit offset, three adjusted prices, the unit: idle without an adjusted order type,
    # and a limit offset without a trailing order.
    reader.skip(6)
    reader.skip(3)  # external operator, soft-dollar tier
    more.read("cash quantity")
    reader.skip(4)  # MiFID II decision maker and execution trader
    reader.skip()  # automatic price for a hedge
    more.read("OMS container", "discretionary up to limit price")
    reader.skip()  # price management algorithm: at IB's discretion in any case
    if version >= versions.DURATION:
        more.read("duration")
    if version >= versions.POST_TO_ATS:
        more.read("post to ATS")
    if version >= versions.AUTO_CANCEL_PARENT:
        reader.skip()  # idle without a parent
    if version >= versions.ADVANCED_ORDER_REJECT:
        reader.skip()  # which rejections to override
    if version >= versions.MANUAL_ORDER_TIME:
        reader.skip()
    if version >= versions.PEG_OFFSETS:
        _skip_peg_offsets(reader, exchange, order_type)
    if version >= versions.CUSTOMER_ACCOUNT:
        reader.skip()
    if version >= versions.PROFESSIONAL_CUSTOMER:
        reader.skip()
    if versions.RFQ_FIELDS <= version < versions.NO_RFQ_FIELDS:
        reader.skip(2)  # external user id, manual order indicator
    if version >= versions.INCLUDE_OVERNIGHT:
        reader.skip()  # the paper market never closes
    if version >= versions.CME_TAGGING:
        reader.skip()  # manual order indicator
    if version >= versions.IMBALANCE_ONLY:
        more.read("imbalance only")


def _skip_peg_offsets(reader: FieldReader, exchange: str, order_type: str) -> None:
    """Fields of pegged orders, which are there for some order types and for the exchange IBKRATS only."""
    if exchange == "IBKRATS":
        reader.skip()
    if order_type in ("PEG BEST", "PEGBEST"):
        reader.skip()
        if reader.text() in ("Infinite", "Infinity", "inf"):
            reader.skip(2)
    elif order_type in ("PEG MID", "PEGMID"):
        reader.skip(2)
