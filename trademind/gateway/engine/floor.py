"""The trading floor: where orders wait, meet the market, fill and end.

An order passes gates on its way to the market, in the order of `Stage`; it waits at the first one that is
closed and goes on from there when something opens it: a parent's fill, the clock, a condition, a quote.
What happens is collected as events and as records of the journal, in the order in which it happens.

Whatever one fill sets off for other orders is done before the next order is looked at: its OCA group at
once, as no order of it may fill too much; its children when the order's own story has been told.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from trademind.gateway.engine import booking, gates, pegs, rules
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.agenda import Agenda
from trademind.gateway.engine.conditions import Watchlist, hold, method_of
from trademind.gateway.engine.desk import Desk, Market
from trademind.gateway.engine.fills import FillModel
from trademind.gateway.engine.groups import Families, Groups, cancels, reduced
from trademind.gateway.engine.hours import MarketHours, Phase
from trademind.gateway.engine.journal import Record
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.margin import reserve_price
from trademind.gateway.engine.model import (
    CommissionReported,
    Event,
    Executed,
    IBOrderType,
    IBStatus,
    IBTif,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    PaperExecution,
    PaperOrder,
    PortfolioChanged,
    PriceCondition,
    Stage,
    Ticket,
)
from trademind.gateway.engine.triggers import reaches
from trademind.gateway.engine.working import WorkingOrder, goes_to_the_back

MAX_SLICES = 20
"""Of an iceberg order, with one quote."""

Name = tuple[int, int]
"""Client id and order id."""


class Floor:
    """All orders of an exchange, and what becomes of them.

    `now` is set by whoever calls: it is the moment at which everything happens until it is set again.
    """

    def __init__(
        self,
        *,
        now: datetime,
        accounts: Mapping[str, PaperAccount],
        hours: MarketHours,
        fills: FillModel,
        ids: booking.Ids,
    ) -> None:
        self.now = now
        self.events: list[Event] = []
        self.journal: list[Record] = []
        self.agenda = Agenda()
        self.families = Families()
        self.groups = Groups()
        self.orders: dict[Name, WorkingOrder] = {}
        """Working orders and those that ended today."""
        self.working: dict[int, WorkingOrder] = {}
        """By perm id, oldest first."""
        self.completed: dict[int, PaperOrder] = {}
        self.executions: list[PaperExecution] = []
        self.ids = ids
        self._accounts = accounts
        self._hours = hours
        self._fills = fills
        self._desks: dict[int, Desk] = {}
        self._markets: dict[int, Market] = {}
        self._watchlist = Watchlist()
        self._sequence = 0
        self._touched: dict[tuple[str, int], Instrument] = {}
        """Accounts and instruments whose portfolio has changed since clients were told of it."""
        self._aftermath: deque[tuple[Callable[[WorkingOrder], None], WorkingOrder]] = deque()

    # Places

    def desk(self, instrument: Instrument) -> Desk:
        desk = self._desks.get(instrument.con_id)
        if desk is None:
            market = self.market(instrument.con_id)
            desk = self._desks[instrument.con_id] = Desk(instrument, market, self._hours, self._fills)
        return desk

    def market(self, con_id: int) -> Market:
        market = self._markets.get(con_id)
        if market is None:
            market = self._markets[con_id] = Market(self._fills.participation)
        return market

    def quote(self, con_id: int) -> MarketQuote | None:
        market = self._markets.get(con_id)
        return None if market is None else market.quote

    def needs_quotes(self) -> set[int]:
        """Con ids of which orders need to see the market."""
        wanted = self._watchlist.con_ids()
        for con_id, desk in self._desks.items():
            if desk.orders.count:
                wanted.add(con_id)
                wanted.update(leg.instrument.con_id for leg in desk.instrument.legs)
        return wanted

    # Coming and going

    def admit(self, ticket: Ticket, reserved_at: Decimal | None) -> None:
        """Take a new order, for which margin has been reserved unless it waits for its parent."""
        order = self._enrol(ticket)
        desk = self.desk(ticket.instrument)
        order.reserved_at = reserved_at
        if ticket.order_type.trails:
            order.trail_stop = ticket.stop_price
        if reserved_at is None:
            order.stage = Stage.CHILD
            self.families.add(order)
        else:
            order.stage = self._gate(desk, order, gates.START)
        order.why_held = gates.why_held(order)
        self.events.append(OrderReported(order.report()))
        if order.stage is not Stage.MARKET and order.stage is not Stage.CHILD:
            self._warn_of_the_hours(desk, order)
        self._arrive(desk, order)
        self.settle()

    def turn_away(self, ticket: Ticket) -> None:
        """Take a new order of a group that has filled: it is cancelled at once, as if it had come before."""
        order = self._enrol(ticket)
        self.events.append(OrderReported(order.report()))
        self._cancel(order, "Cancelled by System", rules.GROUP_FILLED)
        self.settle()

    def _enrol(self, ticket: Ticket) -> WorkingOrder:
        order = WorkingOrder(ticket, self.ids.perm_id(), self.now)
        order.sequence = self.next_place()
        self.desk(ticket.instrument).orders.count += 1
        self.orders[ticket.client_id, ticket.order_id] = order
        self.working[order.perm_id] = order
        self.groups.add(order)
        return order

    def change(self, order: WorkingOrder, ticket: Ticket, reserved_at: Decimal | None) -> None:
        """Turn an order into what a ticket says, which the rules allow."""
        desk = self.desk(ticket.instrument)
        self._leave(desk, order)
        old = order.ticket
        if goes_to_the_back(old, ticket):
            order.sequence = self.next_place()
        if not ticket.order_type.has_trigger or not old.order_type.has_trigger:
            order.triggered = False
        order.take_ticket(ticket)
        order.reserved_at = reserved_at
        if not ticket.order_type.trails:
            order.trail_stop = None
        elif ticket.stop_price != old.stop_price or not old.order_type.trails:
            order.trail_stop = ticket.stop_price
        if order.triggered and order.trail_stop is not None:
            self._set_triggered_limit(order)
        if order.stage is not Stage.CHILD:
            passed = Stage.CONDITION if gates.is_past_conditions(order, old) else None
            order.stage = self._gate(desk, order, gates.START if passed is None else gates.RANK[passed])
        order.why_held = gates.why_held(order)
        order.status = IBStatus.SUBMITTED if order.stage is Stage.MARKET else IBStatus.PRE_SUBMITTED
        if not order.remaining:
            self._end(desk, order, IBStatus.FILLED, f"Filled Size: {order.filled:f}")
        else:
            self.events.append(OrderReported(order.report()))
            self._arrive(desk, order)
        self.settle()

    def cancel(self, order: WorkingOrder, words: str) -> None:
        """Cancel an order, and the children that wait for it."""
        self._cancel(order, words)
        self.settle()

    def put_back(self, report: PaperOrder) -> None:
        """Take an order in as it was stored, in place of what is known of it."""
        ticket = report.ticket
        desk = self.desk(ticket.instrument)
        known = self.working.get(report.perm_id)
        if known is not None:
            self._leave(desk, known)
            self._forget(desk, known)
            self._release(known, known.remaining)
        self.ids.seen(report.perm_id)
        order = self.orders[ticket.client_id, ticket.order_id] = WorkingOrder.restored(report)
        if not order.sequence:
            moved = known is None or goes_to_the_back(known.ticket, ticket)
            order.sequence = self.next_place() if moved or known is None else known.sequence
        self._sequence = max(self._sequence, order.sequence)
        self.groups.note_fill(order)
        if report.status.is_done:
            self.working.pop(report.perm_id, None)
            self.completed[report.perm_id] = report
            return
        self.working[report.perm_id] = order
        desk.orders.count += 1
        self.groups.add(order)
        if order.stage is Stage.CHILD:
            self.families.add(order)
        else:
            order.reserved_at = reserve_price(ticket, desk.quote)
            change = (ticket.side, order.remaining, order.reserved_at)
            self._accounts[ticket.account].put_back(ticket.instrument, change)
        self._wait(desk, order)

    def next_place(self) -> int:
        self._sequence += 1
        return self._sequence

    def take_events(self) -> list[Event]:
        """What has happened since the last call."""
        events, self.events = self.events, []
        for (account, _), instrument in self._touched.items():
            events.append(PortfolioChanged(account, instrument))
        self._touched.clear()
        return events

    # The market

    def show(self, quote: MarketQuote) -> Iterator[None]:
        """The market moved: fresh liquidity, triggers, fills, and positions at the new price. Works in
        steps, of one order each."""
        con_id = quote.con_id
        self.market(con_id).show(quote)
        desk = self._desks.get(con_id)
        if desk is not None:
            for account in self._accounts.values():
                account.mark(desk.instrument, quote)
            if desk.orders.count:
                yield from self._match(desk, quote)
        for order in self._watchlist.watching(con_id):
            self._judge(order)
            yield

    def _match(self, desk: Desk, quote: MarketQuote) -> Iterator[None]:
        """Match everything that works in an instrument against a new quote.

        First what was at the market already, then resting limits that are crossed, then the stops that
        this quote triggers: they arrive after the trade that set them off. Prices that follow the market
        do so last, so that the market can come to where they stood.
        """
        phase = desk.phase(self.now)
        if phase is Phase.CLOSED:
            return
        regular = phase is Phase.REGULAR
        stops = self._reached_stops(desk, quote, regular=regular)
        if regular:
            for order in list(desk.orders.opening.values()):
                self._enter(desk, order, only_now=True)
                self.settle()
                yield
        for order in desk.orders.at_market():
            if order.completed_at is None and (regular or order.ticket.outside_rth):
                self._walk(desk, order)
                self.settle()
                yield
        if self._fills.queue_position:
            yield from self._serve_queues(desk, quote, regular=regular)
        yield from self._cross_limits(desk, quote, regular=regular)
        for order in stops:
            if order.completed_at is None and order.stage is Stage.TRIGGER:
                self._leave(desk, order)
                self._trigger(order)
                order.stage = self._gate(desk, order, gates.RANK[Stage.TRIGGER])
                if order.stage is Stage.MARKET:
                    order.status = IBStatus.SUBMITTED
                order.why_held = ""
                self.events.append(OrderReported(order.report()))
                self._arrive(desk, order)
                self.settle()
                yield
        for order in desk.orders.moving():
            if order.completed_at is None and (regular or order.ticket.outside_rth):
                self._follow(desk, order, quote)
                yield

    def _reached_stops(self, desk: Desk, quote: MarketQuote, *, regular: bool) -> list[WorkingOrder]:
        reached = desk.stops_reached(quote)
        reached += [
            each
            for each in desk.orders.moving()
            if each.stage is Stage.TRIGGER and each.ticket.order_type.trails and desk.is_touched(each)
        ]
        if not regular:
            reached = [each for each in reached if each.ticket.outside_rth]
        if len(reached) > 1:
            reached.sort(key=lambda order: order.sequence)
        return reached

    def _cross_limits(self, desk: Desk, quote: MarketQuote, *, regular: bool) -> Iterator[None]:
        """Fill what the market has come to; an iceberg slice by slice, each after what else is there."""
        crossed = desk.orders.crossed_by(quote.bid, quote.ask)
        for _ in range(MAX_SLICES):
            again: list[WorkingOrder] = []
            for order in crossed:
                if order.place is None or not (regular or order.ticket.outside_rth):
                    continue
                if self._cross(desk, order) and order.remaining and order.ticket.display_size is not None:
                    again.append(order)
                self.settle()
                yield
            if not again:
                return
            crossed = again

    def _serve_queues(self, desk: Desk, quote: MarketQuote, *, regular: bool) -> Iterator[None]:
        """Let the trades since the last quote fill resting limits, as the fill model says."""
        left = desk.market.traded
        for order in desk.orders.crossed_by(quote.last, quote.last):
            if order.place is None or not (regular or order.ticket.outside_rth) or order.ahead is None:
                continue
            if order.limit != quote.last:
                order.ahead = ZERO
            served = min(order.ahead, left)
            order.ahead -= served
            quantity = desk.whole(min(left - served, order.remaining))
            if order.ahead or not quantity or quantity < order.least():
                continue
            if desk.market.share_left is not None:
                quantity = min(quantity, desk.whole(desk.market.share_left))
                desk.market.share_left -= quantity
            if quantity:
                left -= quantity
                assert order.limit is not None
                self._fill(desk, order, order.limit, quantity, adds=True)
                self._note(order)
                self.settle()
                yield

    def _follow(self, desk: Desk, order: WorkingOrder, quote: MarketQuote) -> None:
        """Bring a price that follows the market up to date."""
        ticket = order.ticket
        if order.stage is Stage.MARKET and ticket.order_type.is_pegged:
            limit = pegs.pegged_limit(ticket, quote)
            if limit != order.limit:
                desk.orders.remove(order)
                order.limit = limit
                desk.put(order)
        elif order.stage is Stage.TRIGGER:
            rising = order.triggers_rising
            method = desk.method(ticket)
            if ticket.adjustment is not None:
                price = desk.market.reference(method, rising=not rising)
                if reaches(ticket.adjustment.trigger_price, price, rising=not rising):
                    self._adjust(desk, order)
                    return
            if ticket.order_type.trails:
                price = desk.market.reference(method, rising=rising)
                if price is not None and pegs.follow(order, price):
                    self._record(order)

    def _adjust(self, desk: Desk, order: WorkingOrder) -> None:
        """Turn a stop into what it is to become, once."""
        ticket = order.ticket
        change = ticket.adjustment
        assert change is not None
        self._leave(desk, order)
        order.take_ticket(
            replace(
                ticket,
                order_type=change.order_type,
                stop_price=change.stop_price if change.stop_price is not None else ticket.stop_price,
                limit_price=change.limit_price if change.limit_price is not None else ticket.limit_price,
                trailing_amount=None if change.is_percent else change.trailing,
                trailing_percent=change.trailing if change.is_percent else None,
                adjustment=None,
            )
        )
        order.trail_stop = order.ticket.stop_price if change.order_type.trails else None
        self.events.append(OrderReported(order.report()))
        self._arrive(desk, order)

    # The clock

    def pass_time(self, now: datetime) -> Iterator[None]:
        """Do what is due until `now`, each at its own moment. Works in steps, of one order each."""
        while (due := self.agenda.due(now)) is not None:
            order, self.now, wakes = due
            if wakes:
                self._wake(order)
            else:
                self._cancel(order, "Cancelled by System")
            self.settle()
            yield
        self.now = now

    def _wake(self, order: WorkingOrder) -> None:
        desk = self.desk(order.ticket.instrument)
        if order.ticket.conditions and order.stage in (Stage.CONDITION, Stage.MARKET, Stage.TRIGGER):
            self._judge(order)
            if order.completed_at is None and order.stage is Stage.CONDITION:
                self._schedule(desk, order)
        elif order.stage is Stage.AUCTION and order.ticket.tif is not IBTif.OPG:
            self._enter(desk, order, only_now=True)
        elif order.stage in (Stage.AFTER, Stage.AUCTION, Stage.CLOSED, Stage.TRANSIT):
            # A market may open later than its calendar said.
            passed = Stage.TRIGGER if order.stage is Stage.CLOSED else order.stage
            self._go_on(desk, order, passed)

    def _judge(self, order: WorkingOrder) -> None:
        """Look whether an order's conditions hold, and do what they say."""
        ticket = order.ticket
        if order.completed_at is not None or not self._hold(ticket):
            return
        if ticket.conditions_cancel:
            self._cancel(order, "Cancelled by System")
        elif order.stage is Stage.CONDITION:
            self._go_on(self.desk(ticket.instrument), order, Stage.CONDITION)
        self.settle()

    def _hold(self, ticket: Ticket) -> bool:
        def price_of(condition: PriceCondition) -> Decimal | None:
            instrument = condition.instrument
            market = self.market(instrument.con_id)
            if not ticket.conditions_outside_rth:
                phase = self.desk(instrument).phase(self.now)
                if phase is not Phase.REGULAR:
                    return None
            return market.reference(method_of(condition, instrument), rising=condition.is_more)

        return hold(ticket.conditions, self.now, price_of)

    # Gates

    def _gate(self, desk: Desk, order: WorkingOrder, passed: int) -> Stage:
        return gates.first_closed(desk, order, passed, self.now, self._hold, self._fills.latency)

    def _go_on(self, desk: Desk, order: WorkingOrder, passed: Stage) -> None:
        """An order's gate has opened: on to the next one, or to the market."""
        self._leave(desk, order)
        order.stage = self._gate(desk, order, gates.RANK[passed])
        self._arrive(desk, order)

    def _arrive(self, desk: Desk, order: WorkingOrder) -> None:
        """Let an order meet what its stage has for it: the market, its stop, or waiting."""
        if order.stage is Stage.TRIGGER:
            if desk.trades(order.ticket, self.now) and desk.is_touched(order):
                self._trigger(order)
                order.stage = self._gate(desk, order, gates.RANK[Stage.TRIGGER])
            elif order.ticket.order_type.trails:
                price = desk.market.reference(desk.method(order.ticket), rising=order.triggers_rising)
                if price is not None and order.trail_stop is None:
                    pegs.follow(order, price)
        if order.stage is Stage.MARKET and order.ticket.tif is not IBTif.OPG:
            self._enter(desk, order)
        else:
            if order.stage is Stage.MARKET:
                order.status = IBStatus.SUBMITTED
            self._rest(desk, order)
        if order.completed_at is None and order.ticket.conditions_cancel and self._hold(order.ticket):
            self._cancel(order, "Cancelled by System")

    def _trigger(self, order: WorkingOrder) -> None:
        order.triggered = True
        order.why_held = ""
        if order.trail_stop is not None:
            self._set_triggered_limit(order)

    @staticmethod
    def _set_triggered_limit(order: WorkingOrder) -> None:
        assert order.trail_stop is not None
        limited = order.ticket.order_type is IBOrderType.TRAIL_LIMIT
        order.limit = pegs.limit_of_trail(order.ticket, order.trail_stop) if limited else None

    def _enter(self, desk: Desk, order: WorkingOrder, *, only_now: bool = False) -> None:
        """Fill an order that comes to the market now; what is left of it rests, or ends if immediate."""
        order.stage = Stage.MARKET
        order.why_held = ""
        kind, quote = order.ticket.order_type, desk.quote
        if quote is not None:
            if kind.is_pegged:
                order.limit = pegs.pegged_limit(order.ticket, quote)
            elif kind is IBOrderType.MARKET_WITH_PROTECTION and order.limit is None:
                order.limit = pegs.protection_price(order.ticket, quote)
        self._walk(desk, order, record=False)
        if order.completed_at is not None:
            return
        if only_now or order.is_immediate:
            self._leave(desk, order)
            self._end(desk, order, IBStatus.CANCELLED, "Cancelled by System")
            return
        order.status = IBStatus.SUBMITTED
        if self._fills.queue_position and order.limit is not None:
            order.ahead = desk.size_ahead(order)
        self._rest(desk, order)

    def _rest(self, desk: Desk, order: WorkingOrder) -> None:
        """Have an order wait in its stage, and tell of it if that is news."""
        order.why_held = gates.why_held(order)
        self._wait(desk, order)
        told = order.reported
        news = told is None or told.status is not order.status or told.why_held != order.why_held
        self._record(order)
        if news:
            assert order.reported is not None
            self.events.append(OrderReported(order.reported))

    def _wait(self, desk: Desk, order: WorkingOrder) -> None:
        desk.put(order)
        if order.ticket.conditions and (order.stage is Stage.CONDITION or order.ticket.conditions_cancel):
            self._watchlist.add(order)
        self._schedule(desk, order)

    def _leave(self, desk: Desk, order: WorkingOrder) -> None:
        """Take an order out of wherever it waits."""
        desk.orders.remove(order)
        if order.ticket.conditions:
            self._watchlist.remove(order)

    def _schedule(self, desk: Desk, order: WorkingOrder) -> None:
        """Note when an order expires and when it goes on."""
        now = self.now
        ends = gates.end_of_life(desk, order, now)
        if ends is None:
            order.expires_at = None
        else:
            self.agenda.expire(order, ends)
        wakes = gates.wakes_at(desk, order, now, self._fills.latency)
        if wakes is None:
            order.wakes_at = None
        else:
            self.agenda.wake(order, wakes)

    def _warn_of_the_hours(self, desk: Desk, order: WorkingOrder) -> None:
        ticket = order.ticket
        for_the_open = ticket.tif is IBTif.OPG
        if for_the_open or not desk.trades(ticket, self.now):
            opens = desk.next_open(self.now, outside_rth=ticket.outside_rth and not for_the_open)
            if opens is not None:
                self.events.append(self.error(ticket, rules.not_before(ticket, opens)))

    # Filling

    def _walk(self, desk: Desk, order: WorkingOrder, *, record: bool = True) -> None:
        """Fill an arriving order level by level, up to its limit."""
        if desk.instrument.legs and not booking.legs_are_quoted(desk.instrument, self.quote):
            return
        taken = desk.take_in_passing(order)
        for price, quantity in taken:
            self._fill(desk, order, price, quantity)
        if taken and record:
            self._note(order)

    def _cross(self, desk: Desk, order: WorkingOrder) -> bool:
        """Fill a resting limit that the market has come to: at its limit, up to the size on offer."""
        limit, most, shown = order.limit, order.remaining, order.ticket.display_size
        assert limit is not None
        if desk.instrument.legs and not booking.legs_are_quoted(desk.instrument, self.quote):
            return False
        if shown is not None and shown < most:
            most = shown
        taken = desk.take(order, most)
        if not taken:
            return False
        quantity = taken[0][1] if len(taken) == 1 else sum((part for _, part in taken), ZERO)
        self._fill(desk, order, limit, quantity, adds=True)
        if shown is not None and order.remaining:
            desk.orders.remove(order)
            order.sequence = self.next_place()
            desk.put(order)
            order.report()
        self._note(order)
        return True

    def _note(self, order: WorkingOrder) -> None:
        """Write down an order that has filled and goes on."""
        if order.completed_at is None:
            assert order.reported is not None
            self.journal.append(order.reported)

    def _fill(
        self, desk: Desk, order: WorkingOrder, price: Decimal, quantity: Decimal, *, adds: bool = False
    ) -> None:
        order.fill(price, quantity)
        account = self._accounts[order.ticket.account]
        executions = booking.book_fill(account, order, price, quantity, self.quote, self.ids, self.now)
        if adds:
            executions = [each._replace(adds_liquidity=True) for each in executions]
        events = self.events
        for execution in executions:
            self.executions.append(execution)
            self.journal.append(execution)
            events.append(Executed(execution))
            self._touched[execution.account, execution.instrument.con_id] = execution.instrument
        if order.remaining:
            order.status = IBStatus.SUBMITTED
            events.append(OrderReported(order.report()))
        else:
            self._leave(desk, order)
            self._end(desk, order, IBStatus.FILLED, f"Filled Size: {order.filled:f}")
        for execution in executions:
            if not execution.instrument.legs:
                events.append(CommissionReported(execution))
        if order.group is not None:
            self._settle_group(order, quantity)

    def _settle_group(self, order: WorkingOrder, quantity: Decimal) -> None:
        """A fill of one order cancels or reduces the others of its group."""
        before = order.remaining + quantity
        self.groups.note_fill(order)
        for other in self.groups.others(order):
            if cancels(order.ticket):
                self._cancel(other, "Cancelled by System")
                continue
            step = other.ticket.instrument.size_increment
            rest = reduced(other.remaining, before=before, after=order.remaining, step=step)
            if not rest:
                self._cancel(other, "Cancelled by System")
            elif rest < other.remaining:
                self._release(other, other.remaining - rest)
                self._shrink(other, rest)
        if not order.remaining:
            self.groups.remove(order)

    def _shrink(self, order: WorkingOrder, remaining: Decimal) -> None:
        order.ticket = replace(order.ticket, quantity=order.filled + remaining)
        order.remaining = remaining
        self._record(order)
        assert order.reported is not None
        self.events.append(OrderReported(order.reported))

    # Ending

    def _cancel(self, order: WorkingOrder, words: str, why: rules.Problem = rules.CANCELLED) -> None:
        if order.completed_at is not None:
            return
        desk = self.desk(order.ticket.instrument)
        self._leave(desk, order)
        self._end(desk, order, IBStatus.CANCELLED, words)
        self.events.append(self.error(order.ticket, why))

    def _end(self, desk: Desk, order: WorkingOrder, status: IBStatus, words: str) -> None:
        """End an order that is in no queue any more."""
        ticket = order.ticket
        self._release(order, order.remaining)
        order.status = status
        order.why_held = ""
        order.completed_at = self.now
        order.completed_status = words
        del self.working[order.perm_id]
        if status is not IBStatus.FILLED:
            # A filled one is still needed by its group, which is settled once the fill has been told.
            self.groups.remove(order)
        self._leave_family(order)
        desk.orders.count -= 1
        report = self.completed[order.perm_id] = order.report()
        self.journal.append(report)
        self.events.append(OrderReported(report))
        for child in self.families.waiting((ticket.client_id, ticket.order_id)):
            then = self._activate if status is IBStatus.FILLED else self._orphan
            self._aftermath.append((then, child))

    def _forget(self, desk: Desk, order: WorkingOrder) -> None:
        """Take an order out of the registers; another version of it comes in."""
        self.groups.remove(order)
        self._leave_family(order)
        desk.orders.count -= 1
        order.expires_at = order.wakes_at = None

    def _leave_family(self, order: WorkingOrder) -> None:
        if order.stage is Stage.CHILD:
            self.families.remove(order)

    def settle(self) -> None:
        """Do what the ends of orders have set off for their children."""
        while self._aftermath:
            then, child = self._aftermath.popleft()
            if child.completed_at is None:
                then(child)

    def _activate(self, child: WorkingOrder) -> None:
        """A parent has filled: its child works, if the account can bear it."""
        ticket = child.ticket
        desk = self.desk(ticket.instrument)
        price = reserve_price(ticket, desk.quote)
        change = (ticket.side, child.remaining, price)
        problem = self._accounts[ticket.account].reserve(ticket.instrument, [change])
        if problem is not None:
            self._leave(desk, child)
            self._end(desk, child, IBStatus.CANCELLED, "Cancelled by System")
            self.events.append(self.error(ticket, problem))
            return
        child.reserved_at = price
        self.families.remove(child)
        self._leave(desk, child)
        child.stage = self._gate(desk, child, gates.START)
        self._arrive(desk, child)

    def _orphan(self, child: WorkingOrder) -> None:
        self._cancel(child, "Cancelled by System")

    def _release(self, order: WorkingOrder, quantity: Decimal) -> None:
        if quantity and order.reserved_at is not None:
            ticket = order.ticket
            self._accounts[ticket.account].release(
                ticket.instrument, ticket.side, quantity, order.reserved_at
            )

    def _record(self, order: WorkingOrder) -> None:
        self.journal.append(order.report())

    @staticmethod
    def error(ticket: Ticket, problem: rules.Problem) -> OrderError:
        code, message = problem
        return OrderError(ticket.client_id, ticket.order_id, code, message)
