"""Orders: what is asked for, what becomes of it, and which status may follow which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from trademind.domain.instruments import Contract, ContractQuery, SecType
from trademind.domain.notices import Notice
from trademind.errors import Invalid

MAX_QUANTITY = Decimal(100_000_000)
"""No order is larger. IB's own limits are lower; this only stops nonsense before it reaches the wire."""
MAX_PRICE = Decimal(100_000_000)
MAX_DECIMALS = 12
"""More than the finest increment of any instrument (crypto quantities have eight)."""


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

    @property
    def needs_limit(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop(self) -> bool:
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(StrEnum):
    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"


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
    exchange: str = "SMART"
    currency: str = "USD"
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
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
        for name in ("quantity", "limit_price", "stop_price"):
            if (value := getattr(self, name)) is None:
                continue
            try:
                object.__setattr__(self, name, exact(value, name))
            except Invalid as error:
                errors.extend(error.errors)
        try:
            query = ContractQuery(
                symbol=self.symbol,
                con_id=self.con_id,
                sec_type=self.sec_type,
                exchange=self.exchange,
                currency=self.currency,
            )
            for name in ("symbol", "sec_type"):
                object.__setattr__(self, name, getattr(query, name))
            object.__setattr__(self, "query", query)
        except Invalid as error:
            errors.extend(error.errors)
        if not errors:
            errors.extend(self._contradictions())
        if errors:
            raise Invalid(errors)

    def _contradictions(self) -> list[tuple[str, str]]:
        errors: list[tuple[str, str]] = []
        if not 0 < self.quantity <= MAX_QUANTITY:
            errors.append(("quantity", f"must be above 0 and at most {MAX_QUANTITY}"))
        wanted = {
            "limit_price": self.order_type.needs_limit,
            "stop_price": self.order_type.needs_stop,
        }
        for name, needed in wanted.items():
            price: Decimal | None = getattr(self, name)
            if price is None:
                if needed:
                    errors.append((name, f"a {self.order_type} order needs it"))
            elif not needed:
                errors.append((name, f"a {self.order_type} order has none; leave it out"))
            elif not 0 < price <= MAX_PRICE:
                errors.append((name, f"must be above 0 and at most {MAX_PRICE}"))
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
    tif: TimeInForce | None = None

    def __post_init__(self) -> None:
        errors: list[tuple[str, str]] = []
        for name, limit in (
            ("quantity", MAX_QUANTITY),
            ("limit_price", MAX_PRICE),
            ("stop_price", MAX_PRICE),
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
            except ValueError:
                errors.append(("tif", f"must be one of {', '.join(TimeInForce)}"))
        if all(value is None for value in (self.quantity, self.limit_price, self.stop_price, self.tif)):
            errors.append(("body", "give at least one of quantity, limit_price, stop_price, tif"))
        if errors:
            raise Invalid(errors)


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
    reason: str | None = None
    """Why it was rejected or cancelled, in IB's words."""
    notices: tuple[Notice, ...] = ()

    @property
    def is_queued(self) -> bool:
        """Waits for its turn within IB's 50 messages a second: nothing of it has been sent."""
        return self.status is OrderStatus.PENDING_SUBMIT and self.ib_order_id is None and not self.external
