"""Messages about orders: open and completed orders, status, executions, commissions.

An open order is IB's longest message: every attribute an order can have, set or not. The paper gateway
takes orders without most of them, so those are written here as the constants a real gateway sends for
an order that does not use them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import UNSET_DOUBLE, UNSET_INTEGER, Value
from trademind.gateway.wire.messages import Message, Plain
from trademind.gateway.wire.times import format_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOrder:
    """The attributes of an order that differ from one to the other."""

    contract: WireContract
    order_id: int
    client_id: int
    perm_id: int
    action: str
    quantity: Decimal
    order_type: str
    limit_price: Decimal
    """Zero where the order has none."""
    aux_price: Decimal
    """The stop price; zero where there is none."""
    tif: str
    account: str
    order_ref: str
    outside_rth: bool
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPreview:
    """What an order would do to the margin, for the answer to a what-if order."""

    init_margin: tuple[Decimal, Decimal, Decimal]
    """Before, change, after."""
    maint_margin: tuple[Decimal, Decimal, Decimal]
    equity_with_loan: tuple[Decimal, Decimal, Decimal]
    commission: Decimal
    currency: str
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder(Message):
    order: WireOrder
    preview: OrderPreview | None = None
    """Set where this answers a what-if order, which is never placed."""

    def fields(self, version: int) -> Iterator[Value]:
        order = self.order
        yield from (5, order.order_id)
        yield from _core(order)
        yield from (order.order_ref, order.client_id, order.perm_id, order.outside_rth)
        # Not hidden, no discretionary amount, no good-after time, no share allocation.
        yield from (False, 0, "", "")
        yield from _allocation(version)
        yield from _routing()
        # Auction strategy 0; starting, reference and range prices; display size.
        yield from (0, "", "", "", "", "", UNSET_INTEGER)
        # Not a block, no sweep, not all-or-none, no minimum; OCA type 3; three retired flags.
        yield from (False, False, False, "", 3, False, False, "")
        # No parent, the usual trigger method, no volatility.
        yield from (0, 0, "", 0)
        # Delta-neutral order type None (spelt out), with the eight fields that any type brings along.
        yield from ("None", "", 0, "", "", "", "?", False, 0, "")
        # Not updated continuously, no reference price, no trail, no basis points.
        yield from (False, 0, "", "", "", "")
        yield from _no_legs()
        # Smart-routed; held.
        yield from (False, "", "IB", False)
        # No delta-neutral contract, no algorithm, not solicited.
        yield from (False, "", False)
        yield self.preview is not None
        yield from self._state(version)
        # Neither size nor price randomised, no conditions.
        yield from (False, False, 0)
        # No adjustment: order type, trigger, trail, limit offset, three adjusted prices, unit.
        yield from ("None", *(UNSET_DOUBLE,) * 6, 0)
        # No soft-dollar tier, no cash quantity, no automatic hedge price, no container.
        yield from ("", "", "", 0, True, False)
        # Not discretionary up to the limit, price management off.
        yield from (False, False)
        if version >= versions.DURATION:
            yield UNSET_INTEGER
        if version >= versions.POST_TO_ATS:
            yield UNSET_INTEGER
        if version >= versions.AUTO_CANCEL_PARENT:
            yield False
        if version >= versions.PEG_OFFSETS:
            yield from _no_peg_offsets()
        if version >= versions.CUSTOMER_ACCOUNT:
            yield ""
        if version >= versions.PROFESSIONAL_CUSTOMER:
            yield False
        if version >= versions.BOND_ACCRUED_INTEREST:
            yield ""
        if version >= versions.INCLUDE_OVERNIGHT:
            yield False
        if version >= versions.CME_TAGGING_IN_OPEN_ORDER:
            yield from ("", UNSET_INTEGER)
        if version >= versions.SUBMITTER:
            yield ""
        if version >= versions.IMBALANCE_ONLY:
            yield False

    def _state(self, version: int) -> Iterator[Value]:
        """Status, margin before, change and after, commission, warning."""
        yield self.order.status
        preview = self.preview
        if preview is None:
            yield from (UNSET_DOUBLE,) * 9
            yield from (UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, "")
        else:
            yield from zip_phases(preview.init_margin, preview.maint_margin, preview.equity_with_loan)
            yield from (preview.commission, "", "", preview.currency)
        if version >= versions.FULL_ORDER_PREVIEW:
            yield preview.currency if preview else ""
            # The same nine outside regular hours, no suggested size, no reason to reject, no allocations.
            yield from (*(UNSET_DOUBLE,) * 9, "", "", 0)
        yield preview.warning if preview else ""


def zip_phases(*figures: tuple[Decimal, Decimal, Decimal]) -> Iterator[Decimal]:
    """Every figure before the order, then every change, then every figure after it."""
    for phase in zip(*figures, strict=True):
        yield from phase


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedOrder(Message):
    order: WireOrder
    filled: Decimal
    completed_time: datetime
    completed_status: str

    def fields(self, version: int) -> Iterator[Value]:
        order = self.order
        yield 101
        yield from _core(order)
        yield from (order.order_ref, order.perm_id, order.outside_rth, False, 0, "")
        yield from _allocation(version)
        yield from _routing(rule_80a="0")
        yield from ("", "", "", "", "", UNSET_INTEGER)
        # No sweep, not all-or-none, no minimum, OCA type 3, the usual trigger method, no volatility.
        yield from (False, False, "", 3, 0, "", 0)
        yield from ("None", "", 0, False, 0, "")
        yield from (False, 0, "", "")
        yield from _no_legs()
        yield from ("", "IB", False)
        yield from (False, "", False)
        yield order.status
        # Neither size nor price randomised, no conditions, no trail or offset, no cash quantity.
        yield from (False, False, 0, UNSET_DOUBLE, UNSET_DOUBLE, 0)
        # No automatic hedge price, no container, no auto-cancel date.
        yield from (True, False, "")
        yield from (self.filled, UNSET_INTEGER, False, "", False, False, 0)
        yield from (format_moment(self.completed_time, version), self.completed_status)
        if version >= versions.PEG_OFFSETS:
            yield from _no_peg_offsets()
        if version >= versions.CUSTOMER_ACCOUNT:
            yield ""
        if version >= versions.PROFESSIONAL_CUSTOMER:
            yield False
        if version >= versions.SUBMITTER:
            yield ""


def _core(order: WireOrder) -> tuple[Value, ...]:
    """From the contract to the origin, as both kinds of order begin; no OCA group, open/close unsaid."""
    return (
        *order.contract.fields(), order.action, order.quantity, order.order_type, order.limit_price,
        order.aux_price, order.tif, "", order.account, "", 0,
    )  # fmt: skip


def _allocation(version: int) -> tuple[Value, ...]:
    """No adviser's group, method, percentage and, up to version 176, profile."""
    return ("", "", "") if version >= versions.NO_FA_PROFILE else ("", "", "", "")


def _routing(*, rule_80a: str = "") -> tuple[Value, ...]:
    """No model, no good-till date, rule 80A, offset, settling firm; short-sale slot, place, exempt code."""
    return ("", "", rule_80a, "", "", 0, "", -1)


def _no_legs() -> tuple[Value, ...]:
    """No combo legs, leg prices or routing parameters; no scale; no hedge."""
    return ("", 0, 0, 0, UNSET_INTEGER, UNSET_INTEGER, "", "")


def _no_peg_offsets() -> tuple[Value, ...]:
    """No minimum trade quantity, compete size and offset, mid offsets at whole and half."""
    return ("", "", "", "", "")


def open_order_end() -> Message:
    return Plain(values=(53, 1))


def completed_orders_end() -> Message:
    return Plain(values=(102,))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatus(Message):
    order_id: int
    client_id: int
    perm_id: int
    status: str
    filled: Decimal
    remaining: Decimal
    avg_fill_price: Decimal
    last_fill_price: Decimal
    why_held: str

    def fields(self, version: int) -> tuple[Value, ...]:
        # Zeros are the parent's id and the market cap price.
        return (
            3, self.order_id, self.status, self.filled, self.remaining, self.avg_fill_price, self.perm_id,
            0, self.last_fill_price, self.client_id, self.why_held, 0,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution(Message):
    """A fill: as it happens (`req_id` -1) or in answer to a request."""

    req_id: int
    order_id: int
    client_id: int
    perm_id: int
    contract: WireContract
    exec_id: str
    time: datetime
    account: str
    exchange: str
    side: str
    """BOT or SLD."""
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    avg_price: Decimal
    order_ref: str

    def fields(self, version: int) -> Iterator[Value]:
        yield from (11, self.req_id, self.order_id, *self.contract.fields())
        yield from (self.exec_id, format_moment(self.time, version))
        yield from (self.account, self.exchange, self.side, self.quantity, self.price, self.perm_id)
        # No liquidation; no economic value rule and multiplier; no model; liquidity removed.
        yield from (self.client_id, 0, self.cumulative_quantity, self.avg_price, self.order_ref, "", "")
        yield from ("", 2)
        if version >= versions.PENDING_PRICE_REVISION:
            yield False
        if version >= versions.SUBMITTER:
            yield ""


def executions_end(req_id: int) -> Message:
    return Plain(values=(55, 1, req_id))


def commission_report(
    exec_id: str, commission: Decimal, currency: str, realized_pnl: Decimal | None
) -> Message:
    """`realized_pnl` is None for a fill that closed nothing. Yield is for bonds."""
    realized = UNSET_DOUBLE if realized_pnl is None else realized_pnl
    return Plain(values=(59, 1, exec_id, commission, currency, realized, UNSET_DOUBLE, ""))
