"""Orders: what is asked for, what becomes of it, and which status may follow which."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from uuid import uuid4

from trademind.domain.instruments import Contract, ContractQuery, SecType
from trademind.domain.notices import Notice
from trademind.errors import Invalid

MAX_QUANTITY = Decimal(100_000_000)
"""No order is larger. IB's own limits are lower; this only stops nonsense before it reaches the wire."""
MAX_PRICE = Decimal(100_000_000)
MAX_DECIMALS = 12
"""More than the finest increment of any instrument (crypto quantities have eight)."""


_PRICES = ("limit_price", "stop_price", "trailing_amount", "trailing_percent")

FOREIGN = "ib-"
"""How the ids begin that the book gives to orders placed elsewhere."""


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """The order types TradeMind places, by IB's names."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"
    TRAIL = "TRAIL"
    """A stop that follows the market at a distance, and becomes a market order."""

    @property
    def needs_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)

    @property
    def takes_stop(self) -> bool:
        """A stop price may be given; a trailing stop begins at its distance from the market without one."""
        return self.needs_stop or self is OrderType.TRAIL


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    GTD = "GTD"
    """Until `good_till`."""


class OrderStatus(StrEnum):
    """Where an order stands, by TradeMind's own account of it."""

    PENDING_SUBMIT = "pending_submit"
    """Handed to the session; IB has not acknowledged it."""
    SUBMITTED = "submitted"
    """IB has it: working, or held until its trigger."""
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """It was sent and no answer came: it may or may not exist."""
    NEVER_SENT = "never_sent"

    @property
    def is_done(self) -> bool:
        """No further fill can come."""
        return self in DONE


DONE = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.NEVER_SENT,
    }
)

_WORKING = frozenset(
    {
        OrderStatus.SUBMITTED,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.UNKNOWN,
    }
)

TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING_SUBMIT: _WORKING | {OrderStatus.NEVER_SENT},
    OrderStatus.SUBMITTED: _WORKING - {OrderStatus.SUBMITTED},
    # A cancel that came too late, and a modify: IB reports the order as Submitted again. With fills on
    # record it is still partially filled, so nothing leads back to SUBMITTED from here.
    OrderStatus.PARTIALLY_FILLED: _WORKING - {OrderStatus.SUBMITTED},
    OrderStatus.PENDING_CANCEL: _WORKING - {OrderStatus.PENDING_CANCEL},
    OrderStatus.UNKNOWN: _WORKING | {OrderStatus.NEVER_SENT, OrderStatus.PENDING_SUBMIT},
    # Fills are the truth: an order that was reported cancelled and then turns out to have filled in
    # the meantime is filled (the cancel crossed the fill on the wire).
    OrderStatus.CANCELED: frozenset({OrderStatus.FILLED}),
    OrderStatus.EXPIRED: frozenset({OrderStatus.FILLED}),
    # An error on a new order is taken for a rejection; if IB then reports it as working, it works.
    OrderStatus.REJECTED: _WORKING - {OrderStatus.REJECTED},
    OrderStatus.FILLED: frozenset(),
    # Believed on good grounds; should IB report it all the same, IB is right.
    OrderStatus.NEVER_SENT: _WORKING,
}
"""Which status may follow which. IB repeats and reorders its reports, so whatever is not in the table is
a late report and is ignored."""


def exact(value: Any, name: str) -> Decimal:
    """`value` as an exact decimal. A float is read by its shortest notation, so 0.1 is 0.1.

    Raises:
        Invalid: not a number, or not finite.
    """
    text = str(value)
    try:
        # Decimal would also take 1_000 and digits of other scripts.
        number = Decimal(text) if text.isascii() and "_" not in text else None
    except (InvalidOperation, ValueError):
        number = None
    if number is None:
        raise Invalid([(name, "must be a number")])
    if not number.is_finite():
        raise Invalid([(name, "must be a finite number")])
    # "1e-999999" is a number, too, and every sum it takes part in has a million digits.
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMALS:
        raise Invalid([(name, f"must have at most {MAX_DECIMALS} decimals")])
    return number


def plain(number: Decimal) -> Decimal:
    """10.0 as 10 and 1E+2 as 100: the same number without trailing zeros or an exponent."""
    number = number.normalize()
    exponent = number.as_tuple().exponent
    return number.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else number


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as somebody asks for it.

    Enumerations may be given by their names ("BUY", "LMT") and numbers as `Decimal`, `int`, `str` or
    `float`; the fields then hold the exact types.

    Raises:
        Invalid: with one (field, message) pair for everything that is wrong.
    """

    side: Side
    quantity: Decimal
    symbol: str = ""
    con_id: int | None = None
    sec_type: SecType = SecType.STOCK
    exchange: str = ""
    """As in `ContractQuery`."""
    currency: str = "USD"
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_amount: Decimal | None = None
    """How far a trailing stop stays from the market, as a price."""
    trailing_percent: Decimal | None = None
    """The same, in per cent of the market's price: 1.5 is 1.5 %."""
    tif: TimeInForce = TimeInForce.DAY
    good_till: datetime | None = None
    """When a GTD order ends; aware, kept in UTC to the second, as IB takes no finer time."""
    outside_rth: bool = False
    account_id: str | None = None
    client_order_id: str | None = None
    """The caller's own name for this order: the same key never makes a second order."""

    query: ContractQuery = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        for name, kind in (("side", Side), ("order_type", OrderType), ("tif", TimeInForce)):
            text = str(getattr(self, name))
            try:
                object.__setattr__(self, name, kind(text.upper() if text.isascii() else text))
            except ValueError:
                errors.append((name, f"must be one of {', '.join(kind)}"))
        for name in ("quantity", *_PRICES):
            if (value := getattr(self, name)) is None:
                continue
            try:
                object.__setattr__(self, name, exact(value, name))
            except Invalid as error:
                errors.extend(error.errors)
        errors.extend(self._read_good_till())
        try:
            query = ContractQuery(
                symbol=self.symbol,
                con_id=self.con_id,
                sec_type=self.sec_type,
                exchange=self.exchange,
                currency=self.currency,
            )
            for name in ("symbol", "sec_type", "exchange"):
                object.__setattr__(self, name, getattr(query, name))
            object.__setattr__(self, "query", query)
        except Invalid as error:
            errors.extend(error.errors)
        if not errors:
            errors.extend(self._contradictions())
        if errors:
            raise Invalid(errors)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key of the order it makes, where it has one: as of a group, which has several."""
        return (self.client_order_id,) if self.client_order_id else ()

    @property
    def requests(self) -> tuple["OrderRequest", ...]:
        """The orders it asks for: as of a group."""
        return (self,)

    def _read_good_till(self) -> list[tuple[str, str]]:
        moment: object = self.good_till
        if moment is None:
            return []
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            return [("good_till", "must be a time with its zone, such as 2026-01-31T15:00:00Z")]
        try:
            object.__setattr__(self, "good_till", moment.astimezone(UTC).replace(microsecond=0))
        except OverflowError:
            return [("good_till", "is out of range")]
        return []

    def _contradictions(self) -> list[tuple[str, str]]:
        errors: list[tuple[str, str]] = []
        if not 0 < self.quantity <= MAX_QUANTITY:
            errors.append(("quantity", f"must be above 0 and at most {MAX_QUANTITY}"))
        kind = self.order_type
        trails = kind is OrderType.TRAIL
        for name, needed, taken in (
            ("limit_price", kind.needs_limit, kind.needs_limit),
            ("stop_price", kind.needs_stop, kind.takes_stop),
            ("trailing_amount", trails and self.trailing_percent is None, trails),
            ("trailing_percent", False, trails),
        ):
            price: Decimal | None = getattr(self, name)
            if price is None:
                if needed:
                    errors.append((name, f"a {kind} order needs it"))
            elif not taken:
                errors.append((name, f"a {kind} order has none; leave it out"))
            elif not 0 < price <= MAX_PRICE:
                errors.append((name, f"must be above 0 and at most {MAX_PRICE}"))
        if self.trailing_percent is not None:
            if self.trailing_amount is not None:
                errors.append(("trailing_percent", "give this or trailing_amount, not both"))
            if self.trailing_percent >= 100:
                errors.append(("trailing_percent", "must be below 100"))
        if (self.tif is TimeInForce.GTD) is not (self.good_till is not None):
            message = "a GTD order needs it" if self.good_till is None else "only a GTD order has one"
            errors.append(("good_till", message))
        if self.client_order_id is not None and not is_key(self.client_order_id):
            message = f"must be 1 to 40 letters, digits or any of . _ : - and not begin with {FOREIGN}"
            errors.append(("client_order_id", message))
        account: object = self.account_id
        if account is not None and not (isinstance(account, str) and account.isascii() and account.isalnum()):
            errors.append(("account_id", "must be an IB account id, such as DU1234567"))
        if self.outside_rth not in (True, False):
            errors.append(("outside_rth", "must be true or false"))
        return errors


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """What to change of a working order; None leaves a field as it is.

    Raises:
        Invalid: nothing to change, or a value that cannot be.
    """

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_amount: Decimal | None = None
    trailing_percent: Decimal | None = None
    tif: TimeInForce | None = None

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        for name, limit in (
            ("quantity", MAX_QUANTITY),
            ("limit_price", MAX_PRICE),
            ("stop_price", MAX_PRICE),
            ("trailing_amount", MAX_PRICE),
            ("trailing_percent", Decimal(99)),
        ):
            if (value := getattr(self, name)) is None:
                continue
            try:
                object.__setattr__(self, name, exact(value, name))
            except Invalid as error:
                errors.extend(error.errors)
                continue
            if not 0 < getattr(self, name) <= limit:
                errors.append((name, f"must be above 0 and at most {limit}"))
        if self.tif is not None:
            try:
                object.__setattr__(self, "tif", TimeInForce(str(self.tif).upper()))
                if self.tif is TimeInForce.GTD:
                    errors.append(("tif", "an order cannot be made GTD; cancel it and place it anew"))
            except ValueError:
                errors.append(("tif", f"must be one of {', '.join(TimeInForce)}"))
        names = [each.name for each in fields(self)]
        if all(getattr(self, name) is None for name in names):
            errors.append(("body", f"give at least one of {', '.join(names)}"))
        if errors:
            raise Invalid(errors)


def new_key() -> str:
    """A client order id for what its sender has given none."""
    return f"tm-{uuid4().hex[:24]}"


def is_key(text: object) -> bool:
    """Can `text` be a client order id? It travels as IB's order reference and in URLs."""
    if not isinstance(text, str) or text.startswith(FOREIGN):
        return False
    return 1 <= len(text) <= 40 and text.isascii() and all(c.isalnum() or c in "._:-" for c in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the book knows it."""

    id: str
    """TradeMind's own id: the client order id of an order it placed, `ib-<perm_id>` of any other."""
    client_order_id: str | None
    perm_id: int | None
    """IB's permanent id: unique across clients and days. None until acknowledged."""
    ib_order_id: int | None
    """The order id within `client_id`; None for a completed order of an earlier connection, which IB reports
    without it."""
    client_id: int | None
    account_id: str
    contract: Contract
    side: Side
    quantity: Decimal
    order_type: str
    """IB's name. Orders made elsewhere may have types that TradeMind does not place itself."""
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    outside_rth: bool
    order_ref: str
    status: OrderStatus
    filled_quantity: Decimal
    remaining_quantity: Decimal
    avg_fill_price: Decimal | None
    commission: Decimal | None
    """Sum of its fills' commissions; None until every fill has its report."""
    created_at: datetime | None
    """When it was placed; for one of before this process, when it first filled. None where neither is known:
    IB does not tell."""
    updated_at: datetime
    external: bool
    """Placed by another client id or by hand in TWS."""
    trailing_amount: Decimal | None = None
    trailing_percent: Decimal | None = None
    good_till: datetime | None = None
    group_id: str | None = None
    """The key of the bracket or one-cancels-all group it was placed in."""
    parent_id: str | None = None
    """The order that has to fill before this one works: a bracket's entry."""
    oca_group: str | None = None
    """IB's name of the group of which one fill cancels the others."""
    reason: str | None = None
    """Why it was rejected or cancelled, in IB's words."""
    notices: tuple[Notice, ...] = ()

    @classmethod
    def of_request(
        cls,
        request: OrderRequest,
        *,
        contract: Contract,
        account_id: str,
        client_id: int,
        at: datetime,
        status: OrderStatus,
        group_id: str | None = None,
        parent_id: str | None = None,
        oca_group: str | None = None,
    ) -> "Order":
        """The order that a request with a key makes, before IB has said anything of it."""
        key = request.client_order_id
        assert key is not None
        return cls(
            id=key,
            client_order_id=key,
            perm_id=None,
            ib_order_id=None,
            client_id=client_id,
            account_id=account_id,
            contract=contract,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            trailing_amount=request.trailing_amount,
            trailing_percent=request.trailing_percent,
            tif=request.tif,
            good_till=request.good_till,
            outside_rth=request.outside_rth,
            order_ref=key,
            group_id=group_id,
            parent_id=parent_id,
            oca_group=oca_group,
            status=status,
            filled_quantity=Decimal(0),
            remaining_quantity=request.quantity,
            avg_fill_price=None,
            commission=None,
            created_at=at,
            updated_at=at,
            external=False,
        )

    @property
    def is_queued(self) -> bool:
        """Waits for its turn within IB's 50 messages a second: nothing of it has been sent."""
        return self.status is OrderStatus.PENDING_SUBMIT and self.ib_order_id is None and not self.external
