"""The book: what TradeMind knows of the account, its orders, fills and figures.

A broker implementation feeds it reports as they arrive; reads are answered from it and never go over the
wire. The book is where IB's repeated, reordered and contradictory reports become one monotonic account of
what happened: order statuses follow the transition table, fills are counted by exec id, and what has not
been reported is None.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from trademind.clock import Clock
from trademind.domain import (
    Account,
    Contract,
    DataSource,
    Execution,
    Notice,
    Order,
    OrderStatus,
    PnL,
    Position,
    Side,
)
from trademind.domain.orders import FOREIGN, TRANSITIONS, is_key, plain

log = logging.getLogger(__name__)

MAX_EARLY_COMMISSIONS = 1000
"""Commission reports that wait for their fill. Those of other accounts wait in vain and are pushed out."""

CROSSING = timedelta(seconds=2)
"""How long before its fill a changed position may be reported: two messages of one event lie closer."""

MAX_NOTICES = 20
"""Notices kept per order: an order that IB comments on all day must not grow without bound."""

AVG_PRICE_STEP = Decimal("0.00000001")
"""Average prices are rounded here: finer than any price increment, and printable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """The terms of an order, as an open-order or completed-order message states them."""

    perm_id: int
    ib_order_id: int | None
    client_id: int | None
    account_id: str
    contract: Contract
    side: Side
    quantity: Decimal | None
    """None where IB has cleared it, as it may for completed orders."""
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    outside_rth: bool
    order_ref: str
    trailing_amount: Decimal | None = None
    trailing_percent: Decimal | None = None
    good_till: datetime | None = None
    oca_group: str | None = None
    parent_ib_order_id: int = 0
    """Of an order that waits for another of its client; 0 where it waits for none."""


class Book:
    """One account's truth. `own_client_id` tells TradeMind's orders from those made elsewhere."""

    def __init__(self, clock: Clock, own_client_id: int) -> None:
        self._clock = clock
        self._own_client_id = own_client_id
        self._orders: dict[str, Order] = {}
        self._by_perm_id: dict[int, str] = {}
        self._by_ib_id: dict[tuple[int, int], str] = {}
        self._executions: dict[str, Execution] = {}
        """By the part of the exec id that a correction shares with what it corrects."""
        self._fills_by_perm_id: dict[int, set[str]] = {}
        self._early_commissions: dict[str, tuple[Decimal, str, Decimal | None]] = {}
        self._order_watchers: list[Callable[[Order], None]] = []
        self._execution_watchers: list[Callable[[Execution], None]] = []
        self._account_watchers: list[Callable[[], None]] = []
        self._remembered: list[Order] = []
        self._is_stale = True
        """Until the session is ready, nothing is kept up to date."""
        self.highest_order_id = 0
        """The highest order id used by this client so far. IB may hand out lower ones after a reconnect, and
        an id that is used again changes the old order instead of making a new one."""
        self.open_account("", DataSource.IB_LIVE)

    # The account -------------------------------------------------------------------------------

    def open_account(self, account_id: str, source: DataSource) -> None:
        """Begin a new set of snapshots: figures and positions start out unknown."""
        self._account_id = account_id
        self._source = source
        self._as_of = self._clock.now()
        self._currency = ""
        self._values: dict[str, Decimal] = {}
        self._positions: dict[int, Position] = {}
        self._ahead_of_fills: dict[int, tuple[datetime, Decimal]] = {}
        """What IB's reports have changed of holdings before the fills that explain it came, and when."""
        self._pnl = PnL(
            account_id=account_id,
            source=source,
            as_of=self._as_of,
            daily_pnl=None,
            unrealized_pnl=None,
            realized_pnl=None,
        )
        self._enter_remembered(account_id)

    def mark_stale(self, is_stale: bool) -> None:
        """Whether what is reported of the account is kept up to date."""
        self._is_stale = is_stale
        for watcher in self._account_watchers:
            watcher()

    def set_value(self, tag: str, value: Decimal, currency: str) -> None:
        """Record one of IB's account values, stated in the account's base currency."""
        if tag == "NetLiquidation":
            self._currency = currency
        self._values[tag] = value
        self._as_of = self._clock.now()
        for watcher in self._account_watchers:
            watcher()

    def set_position(self, position: Position) -> None:
        """Record a holding, as IB reports it; a quantity of zero closes it."""
        con_id = position.contract.con_id
        change = position.quantity - self._held(con_id)
        if change:
            self._ahead_of_fills[con_id] = (self._clock.now(), change)
        self._hold(position)

    def _hold(self, position: Position) -> None:
        if position.quantity == 0:
            self._positions.pop(position.contract.con_id, None)
        else:
            self._positions[position.contract.con_id] = position
        self._as_of = self._clock.now()

    def _held(self, con_id: int) -> Decimal:
        known = self._positions.get(con_id)
        return known.quantity if known is not None else Decimal(0)

    def _move_position(self, fill: Execution) -> None:
        """A fill has happened just now: what is held has changed, though IB reports that later.

        Where IB's report has come first, the fill explains what it has changed, and changes nothing more.
        """
        con_id, change = fill.contract.con_id, fill.side.sign * fill.quantity
        reported_at, ahead = self._ahead_of_fills.pop(con_id, (None, Decimal(0)))
        if reported_at is not None and self._clock.now() - reported_at < CROSSING and ahead * change > 0:
            if rest := ahead - change:
                self._ahead_of_fills[con_id] = (reported_at, rest)
            return
        known = self._positions.get(con_id)
        self._hold(
            Position(
                account_id=self._account_id,
                contract=known.contract if known else fill.contract,
                quantity=self._held(con_id) + change,
                avg_cost=None,
                market_price=known.market_price if known else None,
                market_value=None,
                unrealized_pnl=None,
                realized_pnl=known.realized_pnl if known else None,
            )
        )

    def set_holding(self, contract: Contract, quantity: Decimal, avg_cost: Decimal | None) -> None:
        """Record a holding from a message that knows no market value; known market figures are kept only
        while the quantity they were reckoned for is still the same."""
        known = self._positions.get(contract.con_id)
        if known is not None and known.quantity == quantity:
            position = replace(known, avg_cost=avg_cost)
        else:
            position = Position(
                account_id=self._account_id,
                contract=contract,
                quantity=quantity,
                avg_cost=avg_cost,
                market_price=known.market_price if known else None,
                market_value=None,
                unrealized_pnl=None,
                realized_pnl=known.realized_pnl if known else None,
            )
        self.set_position(position)

    def keep_positions(self, con_ids: set[int]) -> None:
        """A complete list of holdings has come: whatever is not on it has been closed."""
        for con_id in self._positions.keys() - con_ids:
            del self._positions[con_id]

    def set_pnl(self, daily: Decimal | None, unrealized: Decimal | None, realized: Decimal | None) -> None:
        self._pnl = PnL(
            account_id=self._account_id,
            source=self._source,
            as_of=self._clock.now(),
            daily_pnl=daily,
            unrealized_pnl=unrealized,
            realized_pnl=realized,
        )

    def account(self) -> Account:
        value = self._values.get
        return Account(
            account_id=self._account_id,
            currency=self._currency,
            source=self._source,
            as_of=self._as_of,
            net_liquidation=value("NetLiquidation"),
            total_cash_value=value("TotalCashValue"),
            buying_power=value("BuyingPower"),
            available_funds=value("AvailableFunds"),
            excess_liquidity=value("ExcessLiquidity"),
            equity_with_loan_value=value("EquityWithLoanValue"),
            init_margin_req=value("InitMarginReq"),
            maint_margin_req=value("MaintMarginReq"),
            gross_position_value=value("GrossPositionValue"),
            unrealized_pnl=value("UnrealizedPnL"),
            realized_pnl=value("RealizedPnL"),
            stale=self._is_stale,
        )

    def positions(self) -> tuple[Position, ...]:
        return tuple(sorted(self._positions.values(), key=lambda p: (p.contract.symbol, p.contract.con_id)))

    def pnl(self) -> PnL:
        return replace(self._pnl, stale=self._is_stale)

    # Orders ------------------------------------------------------------------------------------

    def watch_orders(self, watcher: Callable[[Order], None]) -> None:
        """Have `watcher` called with every order that changes. It must be quick and must not raise."""
        self._order_watchers.append(watcher)

    def watch_executions(self, watcher: Callable[[Execution], None]) -> None:
        """Have `watcher` called with every fill, and again when its commission is reported."""
        self._execution_watchers.append(watcher)

    def watch_account(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called when a figure of the account has changed."""
        self._account_watchers.append(watcher)

    def order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def orders(self) -> tuple[Order, ...]:
        """All orders, newest first."""
        return tuple(
            # IB numbers orders as they come; those that it has not acknowledged are the newest.
            sorted(self._orders.values(), key=lambda o: o.perm_id or math.inf, reverse=True)
        )

    def order_of(self, client_id: int | None, ib_order_id: int | None, perm_id: int) -> Order | None:
        """The order a message speaks of. The perm id decides; the pair of ids is reused over time."""
        if perm_id and (key := self._by_perm_id.get(perm_id)):
            return self._orders[key]
        if client_id is None or not ib_order_id:
            return None
        order = self._orders.get(self._by_ib_id.get((client_id, ib_order_id), ""))
        if order is not None and perm_id and order.perm_id not in (None, perm_id):
            return None
        return order

    def add_order(self, order: Order) -> None:
        """Enter an order that waits to be sent."""
        self._put(order)

    def remember(self, order: Order) -> None:
        """Keep an order of before this process, as it stood last, until its account is opened. What became of
        it since, IB's lists will tell."""
        self._remembered.append(order)

    def _enter_remembered(self, account_id: str) -> None:
        remembered, self._remembered = self._remembered, []
        for order in remembered:
            if order.account_id not in ("", account_id):
                self._remembered.append(order)  # another account's, which may be traded from here, too
            elif order.id not in self._orders:
                if order.perm_id is None and not order.status.is_done:
                    reason = "the server was started anew meanwhile"
                    order = replace(order, account_id=account_id, status=OrderStatus.UNKNOWN, reason=reason)
                self._put(order)

    def number(self, order: Order, ib_order_id: int | None) -> None:
        """The order is being sent, with this id; or was not after all."""
        self._put(replace(order, ib_order_id=ib_order_id))

    def report_order(self, report: OrderReport) -> Order:
        """Enter or update an order from a message that states its terms."""
        now = self._clock.now()
        order = self.order_of(report.client_id, report.ib_order_id, report.perm_id)
        if order is not None and (order.contract.con_id, order.side) != (report.contract.con_id, report.side):
            order = None  # a gateway that was started over hands out the same perm ids again
        if order is None and (pending := self._orders.get(report.order_ref)) and pending.perm_id is None:
            order = pending
        if order is None:
            fills = self._fills_of(report.perm_id)
            filled = sum((fill.quantity for fill in fills), Decimal(0))
            client_id = report.client_id if report.client_id is not None or not fills else fills[0].client_id
            quantity = filled if report.quantity is None else report.quantity
            own = client_id in (None, self._own_client_id) and is_key(report.order_ref)
            is_free = own and report.order_ref not in self._orders
            key = report.order_ref if is_free else f"{FOREIGN}{report.perm_id}"
            order = Order(
                id=key,
                client_order_id=key if key == report.order_ref else None,
                perm_id=report.perm_id or None,
                ib_order_id=report.ib_order_id,
                client_id=client_id,
                account_id=report.account_id,
                contract=report.contract,
                side=report.side,
                quantity=quantity,
                order_type=report.order_type,
                limit_price=report.limit_price,
                stop_price=report.stop_price,
                trailing_amount=report.trailing_amount,
                trailing_percent=report.trailing_percent,
                tif=report.tif,
                good_till=report.good_till,
                oca_group=report.oca_group,
                parent_id=self._parent_of(report),
                outside_rth=report.outside_rth,
                order_ref=report.order_ref,
                status=OrderStatus.PENDING_SUBMIT,
                filled_quantity=filled,
                remaining_quantity=quantity - filled,
                avg_fill_price=None,
                commission=None,
                created_at=min((fill.time for fill in fills), default=None),
                updated_at=now,
                external=not own,
            )
        else:
            quantity = order.quantity if report.quantity is None else report.quantity
            order = replace(
                order,
                perm_id=report.perm_id or order.perm_id,
                ib_order_id=report.ib_order_id or order.ib_order_id,
                client_id=order.client_id if report.client_id is None else report.client_id,
                contract=order.contract if order.contract.con_id else report.contract,
                quantity=quantity,
                limit_price=report.limit_price,
                stop_price=report.stop_price,
                trailing_amount=report.trailing_amount,
                trailing_percent=report.trailing_percent,
                order_type=report.order_type,
                tif=report.tif,
                good_till=report.good_till or order.good_till,
                oca_group=report.oca_group or order.oca_group,
                parent_id=order.parent_id or self._parent_of(report),
                remaining_quantity=quantity - order.filled_quantity,
            )
        return self._settle(order)

    def _parent_of(self, report: OrderReport) -> str | None:
        """The order that one waits for, by IB's id where it is not in the book, as when it is done."""
        number, client_id = report.parent_ib_order_id, report.client_id
        if not number or client_id is None:
            return None
        return self._by_ib_id.get((client_id, number), f"{FOREIGN}client{client_id}-{number}")

    def report_status(
        self, order: Order, status: OrderStatus, *, filled: Decimal, avg_price: Decimal | None
    ) -> Order:
        """Apply a status message. Fills never shrink, and a status the table does not allow is ignored."""
        if filled > order.filled_quantity:
            order = replace(
                order,
                filled_quantity=filled,
                remaining_quantity=order.quantity - filled,
                avg_fill_price=avg_price or order.avg_fill_price,
            )
        return self._settle(self._moved(order, status))

    def reject(self, order: Order, reason: str) -> Order:
        """IB refused the order."""
        return self.give_reason(order, OrderStatus.REJECTED, reason)

    def note(self, order: Order, ib_code: int, message: str) -> Order:
        """Keep what IB said about an order; its status stays."""
        notice = Notice(time=self._clock.now(), ib_code=ib_code, message=message)
        return self._settle(replace(order, notices=(*order.notices, notice)[-MAX_NOTICES:]))

    def give_reason(self, order: Order, status: OrderStatus, reason: str) -> Order:
        """Move the order to `status` and say why, unless the table does not allow that status."""
        order = self._moved(order, status)
        return self._settle(replace(order, reason=reason) if order.status is status else order)

    def connection_lost(self) -> None:
        """Orders without an acknowledgement may or may not exist from now on; those that waited do not."""
        for order in list(self._orders.values()):
            if order.is_queued:
                self.give_reason(order, OrderStatus.NEVER_SENT, "the connection broke before it was sent")
            elif order.status is OrderStatus.PENDING_SUBMIT:
                self.give_reason(order, OrderStatus.UNKNOWN, "the connection broke before IB acknowledged it")

    def synchronised(self, reported: set[int], *, is_final: bool) -> None:
        """Open and completed orders and executions are all in; `reported` are the perm ids of the orders.

        An order that IB never acknowledged and does not list was never sent, if the listing is final: if it
        cannot still be on its way. One that was working and is on neither list has ended
        with its day, if a day has passed; otherwise how it ended is unknown.
        """
        for order in list(self._orders.values()):
            if order.status.is_done:
                continue
            if order.perm_id is None:
                if order.status is OrderStatus.UNKNOWN and is_final:
                    self.give_reason(order, OrderStatus.NEVER_SENT, "IB does not know this order")
            elif order.perm_id not in reported:
                is_of_today = self._clock.now() - order.updated_at < timedelta(days=1)
                if order.tif == "DAY" and not is_of_today:
                    self.give_reason(order, OrderStatus.EXPIRED, "its day is over")
                else:
                    self.give_reason(order, OrderStatus.UNKNOWN, "IB no longer lists this order")

    def no_fills_to_come(self) -> None:
        """Positions and fills have been listed together: the ones are explained by the others."""
        self._ahead_of_fills.clear()

    @property
    def has_unsettled_orders(self) -> bool:
        """Are there orders of unknown outcome that IB has never acknowledged?"""
        return any(
            order.status is OrderStatus.UNKNOWN and order.perm_id is None for order in self._orders.values()
        )

    def _moved(self, order: Order, status: OrderStatus) -> Order:
        if status is order.status:
            return order
        if status not in TRANSITIONS[order.status]:
            log.debug("order %s: late report %s ignored while %s", order.id, status, order.status)
            return order
        # What was the reason for one status is none for the next.
        return replace(order, status=status, reason=None)

    def _settle(self, order: Order) -> Order:
        """Let the fills on record have the last word, then store the order and tell the watchers."""
        fills = self._fills_of(order.perm_id)
        filled = sum((fill.quantity for fill in fills), Decimal(0))
        if fills and filled >= order.filled_quantity:
            cost = sum((fill.price * fill.quantity for fill in fills), Decimal(0))
            order = replace(
                order,
                filled_quantity=filled,
                remaining_quantity=order.quantity - filled,
                avg_fill_price=plain((cost / filled).quantize(AVG_PRICE_STEP)),
            )
            commissions = [fill.commission for fill in fills if fill.commission is not None]
            is_complete = len(commissions) == len(fills)
            order = replace(order, commission=sum(commissions, Decimal(0)) if is_complete else None)
        if 0 < order.quantity <= order.filled_quantity:
            order = self._moved(order, OrderStatus.FILLED)
        elif order.filled_quantity > 0 and order.status in (
            OrderStatus.PENDING_SUBMIT,
            OrderStatus.SUBMITTED,
            OrderStatus.UNKNOWN,
        ):
            order = self._moved(order, OrderStatus.PARTIALLY_FILLED)
        known = self._orders.get(order.id)
        if order != known:
            order = replace(order, updated_at=self._clock.now())
            self._put(order)
        return order

    def _put(self, order: Order) -> None:
        self._orders[order.id] = order
        if order.perm_id and self._by_perm_id.get(order.perm_id) != order.id:
            self._by_perm_id[order.perm_id] = order.id
            for fill in self._fills_of(order.perm_id):  # those that came before their order
                self._record(replace(fill, order_id=order.id))
        if order.client_id is not None and order.ib_order_id:
            self._by_ib_id[order.client_id, order.ib_order_id] = order.id
            if order.client_id == self._own_client_id:
                self.highest_order_id = max(self.highest_order_id, order.ib_order_id)
        for watcher in self._order_watchers:
            watcher(order)

    # Executions --------------------------------------------------------------------------------

    def add_execution(self, execution: Execution, *, is_live: bool = False) -> None:
        """Record a fill. The same exec id again changes nothing; a correction replaces what it corrects.

        Args:
            is_live: Whether it happens now, and is not one of a list of fills.
        """
        known = self._executions.get(_fill_key(execution.exec_id))
        if known is not None and _revision(known.exec_id) >= _revision(execution.exec_id):
            return
        if is_live and known is None:
            self._move_position(execution)
        early = self._early_commissions.pop(execution.exec_id, None)
        if early is not None:
            commission, currency, realized = early
            execution = replace(
                execution, commission=commission, commission_currency=currency, realized_pnl=realized
            )
        order = self.order_of(execution.client_id, execution.ib_order_id, execution.perm_id)
        if order is not None:
            execution = replace(execution, order_id=order.id)
            if order.perm_id is None:
                order = replace(order, perm_id=execution.perm_id)
        self._fills_by_perm_id.setdefault(execution.perm_id, set()).add(_fill_key(execution.exec_id))
        self._record(execution)
        if order is not None:
            self._settle(order)

    def report_commission(
        self, exec_id: str, commission: Decimal, currency: str, realized_pnl: Decimal | None
    ) -> None:
        """Record a commission report. One that comes before its fill waits for it."""
        execution = self._executions.get(_fill_key(exec_id))
        if execution is None or execution.exec_id != exec_id:
            self._early_commissions[exec_id] = (commission, currency, realized_pnl)
            if len(self._early_commissions) > MAX_EARLY_COMMISSIONS:
                del self._early_commissions[next(iter(self._early_commissions))]
            return
        self._record(
            replace(execution, commission=commission, commission_currency=currency, realized_pnl=realized_pnl)
        )
        if order := self.order_of(execution.client_id, execution.ib_order_id, execution.perm_id):
            self._settle(order)

    def _record(self, execution: Execution) -> None:
        key = _fill_key(execution.exec_id)
        if self._executions.get(key) == execution:  # IB tells everything again on every connection
            return
        self._executions[key] = execution
        for watcher in self._execution_watchers:
            watcher(execution)

    def executions(self) -> tuple[Execution, ...]:
        """All fills, newest first, each with the id of its order where the book has it."""
        return tuple(
            sorted(self._executions.values(), key=lambda fill: (fill.time, fill.exec_id), reverse=True)
        )

    def _fills_of(self, perm_id: int | None) -> list[Execution]:
        return [self._executions[key] for key in self._fills_by_perm_id.get(perm_id or 0, ())]


def _fill_key(exec_id: str) -> str:
    """What a fill and its corrections have in common: all but the part after the last full stop.

    Source: IB's TWS API documentation on executions: a correction has the id of what it corrects, but for
    the digits after the final period.
    """
    return exec_id.rpartition(".")[0] or exec_id


def _revision(exec_id: str) -> int:
    last = exec_id.rpartition(".")[2]
    return int(last) if last.isdecimal() else 0
