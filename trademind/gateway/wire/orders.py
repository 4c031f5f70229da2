"""Messages about orders: open and completed orders, status, executions, commissions.

An open order is IB's longest message: every attribute an order can have, set or not. What the gateway takes
orders with comes from the order's terms; the attributes with which it refuses them are the constants a real
gateway sends for an order that does not use them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import UNSET_DOUBLE, UNSET_INTEGER, Value
from trademind.gateway.wire.messages import Message, Plain
from trademind.gateway.wire.order_terms import OrderTerms
from trademind.gateway.wire.times import format_moment


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOrder:
    """An order as it stands."""

    contract: WireContract
    order_id: int
    client_id: int
    perm_id: int
    terms: OrderTerms
    status: str
    parent_perm_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPreview:
    """What an order would do to the margin, for the answer to a what-if order."""

    init_margin: tuple[Decimal, Decimal, Decimal]
    """Before, change, after."""
    maint_margin: tuple[Decimal, Decimal, Decimal]
    equity_with_loan: tuple[Decimal, Decimal, Decimal]
    commission: Decimal | None
    """None where there is only a range."""
    currency: str
    min_commission: Decimal | None = None
    max_commission: Decimal | None = None
    margin_currency: str = "USD"
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder(Message):
    order: WireOrder
    preview: OrderPreview | None = None
    """Set where this answers a what-if order, which is never placed."""

    def fields(self, version: int) -> Iterator[Value]:
        order, terms = self.order, self.order.terms
        yield from (5, order.order_id)
        yield from _core(order)
        yield from (terms.order_ref, order.client_id, order.perm_id, terms.outside_rth)
        # No discretionary amount, no share allocation.
        yield from (terms.hidden, 0, terms.good_after, "")
        yield from _allocation(version)
        yield from _routing(terms)
        yield 0  # auction strategy
        yield from _box_and_display(terms)
        # Not a block; three retired flags.
        yield from (False, terms.note("sweepToFill", "0"), terms.all_or_none, terms.min_quantity)
        yield from (_oca_type(terms), False, False, "")
        # No volatility.
        yield from (terms.parent_id, terms.trigger_method, "", 0)
        # Delta-neutral order type None (spelt out), with the eight fields that any type brings along.
        yield from ("None", "", 0, "", "", "", "?", False, 0, "")
        yield from _trail(terms)
        yield from ("", "")  # no basis points
        yield from terms.leg_fields()
        yield from _no_scale_nor_hedge()
        yield terms.note("optOutSmartRouting", "0")
        yield from _clearing(terms)
        # No delta-neutral contract, no algorithm.
        yield from (False, "", terms.note("solicited", "0"))
        yield terms.what_if
        yield from self._state(version)
        yield from (False, False)  # neither size nor price randomised
        yield from terms.condition_fields()
        yield from _adjustment(terms)
        yield from (terms.note("softDollarTierName"), terms.note("softDollarTierValue"), "")
        # No automatic hedge price, no container, not discretionary up to the limit.
        yield from (terms.cash_quantity or 0, True, False, False, terms.note("usePriceMgmtAlgo", "0"))
        yield from self._tail(version)

    def _tail(self, version: int) -> Iterator[Value]:
        terms = self.order.terms
        if version >= versions.DURATION:
            yield UNSET_INTEGER
        if version >= versions.POST_TO_ATS:
            yield UNSET_INTEGER
        if version >= versions.AUTO_CANCEL_PARENT:
            yield terms.note("autoCancelParent", "0")
        if version >= versions.PEG_OFFSETS:
            yield from _no_peg_offsets()
        if version >= versions.CUSTOMER_ACCOUNT:
            yield terms.note("customerAccount")
        if version >= versions.PROFESSIONAL_CUSTOMER:
            yield terms.note("professionalCustomer", "0")
        if version >= versions.BOND_ACCRUED_INTEREST:
            yield ""
        if version >= versions.INCLUDE_OVERNIGHT:
            yield terms.note("includeOvernight", "0")
        if version >= versions.CME_TAGGING_IN_OPEN_ORDER:
            yield from (terms.note("extOperator"), terms.note("manualOrderIndicator", UNSET_INTEGER))
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
            for amount in (preview.commission, preview.min_commission, preview.max_commission):
                yield UNSET_DOUBLE if amount is None else amount
            yield preview.currency
        if version >= versions.FULL_ORDER_PREVIEW:
            yield preview.margin_currency if preview else ""
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
        order, terms = self.order, self.order.terms
        yield 101
        yield from _core(order)
        yield from (terms.order_ref, order.perm_id, terms.outside_rth, terms.hidden, 0, terms.good_after)
        yield from _allocation(version)
        yield from _routing(terms, no_rule_80a="0")
        yield from _box_and_display(terms)
        yield from (terms.note("sweepToFill", "0"), terms.all_or_none, terms.min_quantity)
        # No volatility.
        yield from (_oca_type(terms), terms.trigger_method, "", 0)
        yield from ("None", "", 0, False, 0, "")
        yield from _trail(terms)
        yield from terms.leg_fields()
        yield from _no_scale_nor_hedge()
        yield from _clearing(terms)
        yield from (False, "", terms.note("solicited", "0"))
        yield order.status
        yield from (False, False)  # neither size nor price randomised
        yield from terms.condition_fields()
        yield from (_double(terms.trail_stop_price), _double(terms.limit_offset), terms.cash_quantity or 0)
        # No automatic hedge price, no container, no auto-cancel date.
        yield from (True, False, "")
        yield from (self.filled, UNSET_INTEGER, terms.note("autoCancelParent", "0"), "", False, False)
        yield order.parent_perm_id
        yield from (format_moment(self.completed_time, version), self.completed_status)
        if version >= versions.PEG_OFFSETS:
            yield from _no_peg_offsets()
        if version >= versions.CUSTOMER_ACCOUNT:
            yield terms.note("customerAccount")
        if version >= versions.PROFESSIONAL_CUSTOMER:
            yield terms.note("professionalCustomer", "0")
        if version >= versions.SUBMITTER:
            yield ""


def _core(order: WireOrder) -> tuple[Value, ...]:
    """From the contract to the origin, as both kinds of order begin. A price that is not set is a zero."""
    terms = order.terms
    return (
        *order.contract.fields(), terms.action, terms.quantity, terms.order_type, terms.limit_price or 0,
        terms.aux_price or 0, terms.tif, terms.oca_group, terms.account, terms.note("openClose"),
        terms.note("origin", "0"),
    )  # fmt: skip


def _allocation(version: int) -> tuple[Value, ...]:
    """No adviser's group, method, percentage and, up to version 176, profile."""
    return ("", "", "") if version >= versions.NO_FA_PROFILE else ("", "", "", "")


def _routing(terms: OrderTerms, *, no_rule_80a: str = "") -> tuple[Value, ...]:
    """No model; until when, rule 80A, offset, settling firm; no short-sale slot, place, exempt code."""
    return (
        "", terms.good_till, terms.note("rule80A", no_rule_80a), terms.percent_offset,
        terms.note("settlingFirm"), 0, "", -1,
    )  # fmt: skip


def _box_and_display(terms: OrderTerms) -> tuple[Value, ...]:
    """No starting, reference and range prices nor delta; how much of the order is shown."""
    return ("", "", "", "", "", UNSET_INTEGER if terms.display_size is None else terms.display_size)


def _oca_type(terms: OrderTerms) -> int:
    """An order of no group is shown with type 3, reduce without block."""
    return terms.oca_type or 3


def _trail(terms: OrderTerms) -> tuple[Value, ...]:
    """Not updated continuously, no reference price; where the trailing stop is, and its distance."""
    return (False, 0, terms.trail_stop_price, terms.trailing_percent)


def _no_scale_nor_hedge() -> tuple[Value, ...]:
    return (UNSET_INTEGER, UNSET_INTEGER, "", "")


def _clearing(terms: OrderTerms) -> tuple[Value, ...]:
    return (terms.note("clearingAccount"), terms.note("clearingIntent", "IB"), terms.note("notHeld", "0"))


def _adjustment(terms: OrderTerms) -> tuple[Value, ...]:
    """What a stop turns into, with the trailing stop and the limit offset in the middle."""
    adjusted = terms.adjustment
    trail = (_double(terms.trail_stop_price), _double(terms.limit_offset))
    if adjusted is None:
        return ("None", UNSET_DOUBLE, *trail, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, 0)
    return (
        adjusted.order_type, _double(adjusted.trigger_price), *trail, _double(adjusted.stop_price),
        _double(adjusted.limit_price), _double(adjusted.trailing), adjusted.unit,
    )  # fmt: skip


def _double(number: Decimal | None) -> Value:
    return UNSET_DOUBLE if number is None else number


def _no_peg_offsets() -> tuple[Value, ...]:
    """No minimum trade quantity, compete size and offset, mid offsets at whole and half."""
    return ("", "", "", "", "")


def order_bound(perm_id: int, client_id: int, order_id: int) -> Message:
    """An order that was entered by hand has an id from here on."""
    return Plain(values=(100, perm_id, client_id, order_id))


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
    parent_id: int = 0

    def fields(self, version: int) -> tuple[Value, ...]:
        # The last one is the market cap price.
        return (
            3, self.order_id, self.status, self.filled, self.remaining, self.avg_fill_price, self.perm_id,
            self.parent_id, self.last_fill_price, self.client_id, self.why_held, 0,
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
    last_liquidity: int = 2
    """1 added, 2 removed, 3 routed out."""

    def fields(self, version: int) -> Iterator[Value]:
        yield from (11, self.req_id, self.order_id, *self.contract.fields())
        yield from (self.exec_id, format_moment(self.time, version))
        yield from (self.account, self.exchange, self.side, self.quantity, self.price, self.perm_id)
        # No liquidation; no economic value rule and multiplier; no model.
        yield from (self.client_id, 0, self.cumulative_quantity, self.avg_price, self.order_ref, "", "")
        yield from ("", self.last_liquidity)
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
