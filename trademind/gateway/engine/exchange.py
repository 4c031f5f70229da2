"""The paper exchange: takes orders for its accounts, fills them from the quotes it is shown, and keeps the
books. Pure: no I/O, and the time comes from the clock it is given.

Every command returns what happened as events, in the order in which a real gateway sends the messages:
an accepted order as PreSubmitted and then Submitted or its fills; each fill as execution, order status,
commission report; a cancel as Cancelled and then error 202. The market of an instrument is the last quote
shown; orders that find no liquidity, or arrive before the first quote, wait for the next one.

The exchange never closes: a DAY order expires at midnight in New York. Every command first lets the date
change when it is time, so that nothing that happens on a day is counted as the day's before.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from trademind.clock import Clock
from trademind.domain import Side
from trademind.gateway.engine import rules
from trademind.gateway.engine.account import PaperAccount, reference_price
from trademind.gateway.engine.book import Book
from trademind.gateway.engine.commissions import order_commission
from trademind.gateway.engine.currencies import BASE, Rates
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.journal import AccountState, DayStarted, ExchangeState, Record
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.margin import reserve_price
from trademind.gateway.engine.matching import RestingOrders, WorkingOrder, goes_to_the_back
from trademind.gateway.engine.model import (
    AccountFigures,
    CommissionReported,
    Event,
    Executed,
    IBStatus,
    IBTif,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    PaperExecution,
    PaperOrder,
    PaperPosition,
    PortfolioChanged,
    Ticket,
)

NEW_YORK = ZoneInfo("America/New_York")


def exchange_date(moment: datetime) -> date:
    """The exchange's date at a moment."""
    return moment.astimezone(NEW_YORK).date()


def _end_of(day: date) -> datetime:
    # In UTC, where comparing moments is cheap.
    return datetime.combine(day + timedelta(days=1), time.min, NEW_YORK).astimezone(UTC)


class _Market:
    """The last quote of an instrument, and what is left on offer of it."""

    __slots__ = ("_book", "quote")

    def __init__(self) -> None:
        self.quote: MarketQuote | None = None
        self._book: Book | None = None

    def show(self, quote: MarketQuote) -> None:
        self.quote = quote
        self._book = None

    def take(
        self, side: Side, quantity: Decimal, limit: Decimal | None, *, tick: Decimal
    ) -> list[tuple[Decimal, Decimal]]:
        if self.quote is None:
            return []
        if self._book is None:
            self._book = Book(self.quote, tick)
        return self._book.take(side, quantity, limit)


class _Desk:
    """One instrument's corner of the exchange: its market and its working orders."""

    __slots__ = ("instrument", "market", "orders")

    def __init__(self, instrument: Instrument, market: _Market) -> None:
        self.instrument = instrument
        self.market = market
        self.orders = RestingOrders()

    @property
    def quote(self) -> MarketQuote | None:
        return self.market.quote

    def take(self, order: WorkingOrder) -> list[tuple[Decimal, Decimal]]:
        """Take what is on offer for the rest of an order, as (price, quantity), best price first."""
        tick = self.instrument.min_tick
        return self.market.take(order.ticket.side, order.remaining, order.limit, tick=tick)


class PaperExchange:
    """The orders and fills of one login, and the books of its accounts.

    Args:
        accounts: Opening cash by account id, in the base currency; the first is that of orders without one.
        instruments: Where the currency pairs are that amounts in other currencies are valued by.

    `journal` collects the records a store needs; whoever runs the exchange takes them out after each
    command (and clears the list when nothing is stored).
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, Decimal],
        clock: Clock,
        instruments: Iterable[Instrument] = INSTRUMENTS,
    ) -> None:
        now = clock.now()
        self._start(
            ExchangeState(
                created_at=now,
                day=exchange_date(now),
                next_perm=1,
                next_exec=1,
                accounts=[
                    AccountState(account_id=account_id, opening_cash=cash, cash={BASE: cash})
                    for account_id, cash in accounts.items()
                ],
            ),
            clock,
            instruments,
        )

    @classmethod
    def restored(
        cls,
        state: ExchangeState,
        records: Iterable[Record],
        *,
        clock: Clock,
        instruments: Iterable[Instrument] = INSTRUMENTS,
    ) -> "PaperExchange":
        """The exchange as it was: a stored state, and every record that followed it."""
        self = cls.__new__(cls)
        self._start(state, clock, instruments)
        booked = {each.exec_id for each in state.executions}
        for record in records:
            # What is there twice, of a file that was copied together by hand, has happened once.
            if isinstance(record, PaperExecution):
                if record.exec_id in booked:
                    continue
                booked.add(record.exec_id)
            self._replay(record)
        return self

    def _start(self, state: ExchangeState, clock: Clock, instruments: Iterable[Instrument]) -> None:
        self.account_id = state.accounts[0].account_id
        """The account that is meant when none is named."""
        self.journal: list[Record] = []
        self._clock = clock
        self._created_at = state.created_at
        self._next_perm = state.next_perm
        self._next_exec = state.next_exec
        self._last_sequence = 0
        # Ids carry the account's birth, so that an account that was reset does not repeat them.
        self._perm_base = int(state.created_at.timestamp())
        self._exec_origin = int(state.created_at.timestamp() * 1_000_000) & 0xFFFFFFFF
        self._high_water = dict(state.high_water)
        self.rates = Rates(instruments)
        self.rates.load(state.rates)
        self.accounts: dict[str, PaperAccount] = {}
        self._desks: dict[int, _Desk] = {}
        self._markets: dict[int, _Market] = {}
        self._orders: dict[tuple[int, int], WorkingOrder] = {}
        self._working: dict[int, WorkingOrder] = {}
        self._completed: dict[int, PaperOrder] = {}
        self._executions = list(state.executions)
        self._day = state.day
        self._day_ends = _end_of(state.day)
        for stored in state.accounts:
            account = PaperAccount.restored(stored, rates=self.rates, last_price=self._last_price)
            self.accounts[stored.account_id] = account
            for holding in stored.holdings:
                self._desk(holding.instrument)
        for order in state.orders:
            self._put_back(order)

    # Reading

    def orders(self) -> list[PaperOrder]:
        """Working orders, oldest first."""
        return [order.report() for order in sorted(self._working.values(), key=lambda each: each.perm_id)]

    def completed_orders(self) -> list[PaperOrder]:
        """Orders that ended today, in the order in which they did."""
        return list(self._completed.values())

    def executions(self) -> list[PaperExecution]:
        """Today's executions, oldest first."""
        return list(self._executions)

    def order(self, client_id: int, order_id: int) -> PaperOrder | None:
        """A working order, or one that ended today."""
        order = self._orders.get((client_id, order_id))
        return None if order is None else order.report()

    def next_order_id(self, client_id: int) -> int:
        """The lowest order id this client may use: one above those of all orders that were taken from it."""
        return self._high_water.get(client_id, 0) + 1

    def figures(self, account: str | None = None) -> AccountFigures:
        """Of one account; of the first when none is named, here and below."""
        return self.accounts[account or self.account_id].figures()

    def positions(self, account: str | None = None) -> list[PaperPosition]:
        """Open positions."""
        return self.accounts[account or self.account_id].positions()

    def position(self, con_id: int, account: str | None = None) -> PaperPosition | None:
        """A position; with quantity 0 when it was closed today, None when there was none."""
        return self.accounts[account or self.account_id].position(con_id)

    def needs_quotes(self) -> set[int]:
        """Con ids of which the exchange must be shown the market: of working orders, and of positions, be
        they open or of last night and closed today."""
        wanted = {con_id for con_id, desk in self._desks.items() if desk.orders.count}
        return wanted.union(*(each.needs_quotes() for each in self.accounts.values()))

    def state(self) -> ExchangeState:
        """Everything there is to store. The records in `journal` are part of it."""
        working = sorted(self._working.values(), key=lambda each: each.sequence)
        orders = [*self._completed.values(), *(each.report() for each in working)]
        accounts = [each.state() for each in self.accounts.values()]
        return ExchangeState(
            created_at=self._created_at,
            day=self._day,
            next_perm=self._next_perm,
            next_exec=self._next_exec,
            high_water=dict(self._high_water),
            rates=self.rates.dump(currency for each in accounts for currency in each.currencies()),
            accounts=accounts,
            orders=orders,
            executions=list(self._executions),
        )

    # Commands

    def place(self, ticket: Ticket) -> list[Event]:
        """Take a new order, or change the working order of the same client and order id.

        A new order that is refused leaves nothing behind: its id may be used for the corrected one.
        """
        events = self.roll(self._clock.now())
        order = self._orders.get((ticket.client_id, ticket.order_id))
        if order is None or order.status.is_done:
            problem = self._take(order, ticket, events)
        else:
            problem = self._modify(order, ticket, events)
        if problem is not None:
            events.append(self._error(ticket, problem))
        return events

    def _take(self, former: WorkingOrder | None, ticket: Ticket, events: list[Event]) -> rules.Problem | None:
        """Take a new order, or say why not; `former` had its id before."""
        if former is not None and former.status is IBStatus.FILLED:
            return rules.FILLED
        # A client's order ids only go up, so any other id up to the highest is used or gone.
        if ticket.order_id < self.next_order_id(ticket.client_id):
            return rules.DUPLICATE_ID
        if (problem := rules.check_ticket(ticket)) is not None:
            return problem
        desk = self._desk(ticket.instrument)
        reserved_at = reserve_price(ticket, desk.quote)
        account = self.accounts[ticket.account]
        problem = account.reserve(ticket.instrument, [(ticket.side, ticket.quantity, reserved_at)])
        if problem is not None:
            return problem
        self._high_water[ticket.client_id] = ticket.order_id
        order = WorkingOrder(ticket, self._perm_base + self._next_perm, self._clock.now())
        self._next_perm += 1
        order.sequence = self._place_in_time()
        order.reserved_at = reserved_at
        self._orders[ticket.client_id, ticket.order_id] = order
        self._working[order.perm_id] = order
        if ticket.order_type.needs_stop:
            order.why_held = "trigger"
        events.append(OrderReported(order=order.report()))
        self._arrive(desk, order, events)
        return None

    def cancel(self, client_id: int, order_id: int, *, by_client_id: int) -> list[Event]:
        """Cancel an order. Only its own client and client 0 may; to others it does not exist."""
        events = self.roll(self._clock.now())
        order = self._orders.get((client_id, order_id))
        if order is None or by_client_id not in (client_id, 0):
            code, message = rules.not_found(order_id)
            events.append(OrderError(client_id=by_client_id, order_id=order_id, code=code, message=message))
        elif order.status.is_done:
            code, message = rules.not_cancellable(order_id, order.status)
            events.append(OrderError(client_id=by_client_id, order_id=order_id, code=code, message=message))
        else:
            self._cancel(order, "Cancelled by Trader", events)
        return events

    def cancel_all(self) -> list[Event]:
        """Cancel every working order of every client."""
        events = self.roll(self._clock.now())
        for order in list(self._working.values()):
            self._cancel(order, "Cancelled by Trader", events)
        return events

    def on_quote(self, quote: MarketQuote) -> list[Event]:
        """The market moved: fresh liquidity, triggers, fills, and positions at the new price."""
        events = self.roll(self._clock.now())
        con_id = quote.con_id
        self._market(con_id).show(quote)
        self.rates.on_quote(con_id, quote.last)
        desk = self._desks.get(con_id)
        if desk is None:
            return events
        for account in self.accounts.values():
            account.mark(desk.instrument, quote)
        if desk.orders.count:
            self._match(desk, quote, events)
        return events

    def roll(self, now: datetime) -> list[Event]:
        """Let the date change when it is time: DAY orders expire and the day's figures start anew.

        Every command does this by itself, by the clock; calling it as time passes makes the day end at
        midnight and not with the first command after it. Cheap when there is nothing to do.
        """
        if now < self._day_ends:
            return []
        events: list[Event] = []
        for order in [each for each in self._working.values() if each.ticket.tif is IBTif.DAY]:
            self._cancel(order, "Cancelled by System", events)
        record = DayStarted(day=exchange_date(now))
        self._start_day(record)
        self.journal.append(record)
        return events

    # Orders

    def _place_in_time(self) -> int:
        self._last_sequence += 1
        return self._last_sequence

    def _cancel(self, order: WorkingOrder, words: str, events: list[Event]) -> None:
        desk = self._desk(order.ticket.instrument)
        desk.orders.remove(order)
        self._end(desk, order, IBStatus.CANCELLED, words, events)
        events.append(self._error(order.ticket, rules.CANCELLED))

    def _modify(self, order: WorkingOrder, ticket: Ticket, events: list[Event]) -> rules.Problem | None:
        """Change a working order, or say why not."""
        problem = rules.check_change(order, ticket)
        desk = self._desk(ticket.instrument)
        if problem is None:
            reserved_at = reserve_price(ticket, desk.quote)
            problem = self.accounts[ticket.account].reserve(
                ticket.instrument,
                [
                    (ticket.side, -order.remaining, order.reserved_at),
                    (ticket.side, ticket.quantity - order.filled, reserved_at),
                ],
            )
        if problem is not None:
            return problem
        desk.orders.remove(order)
        old = order.ticket
        if goes_to_the_back(old, ticket):
            order.sequence = self._place_in_time()
        if not ticket.order_type.needs_stop or not old.order_type.needs_stop:
            order.triggered = False
        order.ticket = ticket
        order.remaining = ticket.quantity - order.filled
        order.reserved_at = reserved_at
        order.why_held = "trigger" if order.is_held else ""
        order.status = IBStatus.PRE_SUBMITTED if order.is_held else IBStatus.SUBMITTED
        if not order.remaining:
            self._end(desk, order, IBStatus.FILLED, f"Filled Size: {order.filled:f}", events)
            return None
        events.append(OrderReported(order=order.report()))
        self._arrive(desk, order, events)
        return None

    def _arrive(self, desk: _Desk, order: WorkingOrder, events: list[Event]) -> None:
        """Let a new or changed order meet the market; what is left of it rests, or ends if IOC."""
        if order.is_held:
            stop, quote = order.ticket.stop_price, desk.quote
            assert stop is not None
            touched = quote is not None and (
                quote.last >= stop if order.ticket.side is Side.BUY else quote.last <= stop
            )
            if not touched:
                desk.orders.add(order)
                self.journal.append(order.report())
                return
            order.triggered = True
            order.why_held = ""
        if self._enter(desk, order, events):
            events.append(PortfolioChanged(account=order.ticket.account, instrument=desk.instrument))

    def _enter(self, desk: _Desk, order: WorkingOrder, events: list[Event]) -> bool:
        """Fill an order that comes to the market now; what is left of it rests, or ends if IOC.

        Returns whether anything filled.
        """
        filled = self._walk(desk, order, events)
        if order.remaining and order.is_immediate:
            self._end(desk, order, IBStatus.CANCELLED, "Cancelled by System", events)
        elif order.remaining:
            news = order.status is not IBStatus.SUBMITTED
            order.status = IBStatus.SUBMITTED
            desk.orders.add(order)
            report = order.report()
            self.journal.append(report)
            if news:
                events.append(OrderReported(order=report))
        return filled

    def _match(self, desk: _Desk, quote: MarketQuote, events: list[Event]) -> None:
        """Match everything that works in an instrument against a new quote.

        First what was at the market already, then resting limits that are crossed, then the stops that
        this quote triggers: they arrive after the trade that set them off.
        """
        triggered = desk.orders.triggered_by(quote.last)
        touched: dict[str, None] = {}
        for order in desk.orders.at_market():
            desk.orders.remove(order)
            if self._settle(desk, order, self._walk(desk, order, events)):
                touched[order.ticket.account] = None
        for order in desk.orders.crossed_by(quote.bid, quote.ask):
            desk.orders.remove(order)
            if self._settle(desk, order, self._cross(desk, order, events)):
                touched[order.ticket.account] = None
        for order in triggered:
            desk.orders.remove(order)
            order.triggered = True
            order.why_held = ""
            order.status = IBStatus.SUBMITTED
            events.append(OrderReported(order=order.report()))
            if self._enter(desk, order, events):
                touched[order.ticket.account] = None
        for account in touched:
            events.append(PortfolioChanged(account=account, instrument=desk.instrument))

    def _settle(self, desk: _Desk, order: WorkingOrder, filled: bool) -> bool:
        if order.remaining:
            desk.orders.add(order)
            if filled:
                self.journal.append(order.report())
        return filled

    def _walk(self, desk: _Desk, order: WorkingOrder, events: list[Event]) -> bool:
        """Fill an arriving order level by level, up to its limit."""
        taken = desk.take(order)
        for price, quantity in taken:
            self._fill(desk, order, price, quantity, events)
        return bool(taken)

    def _cross(self, desk: _Desk, order: WorkingOrder, events: list[Event]) -> bool:
        """Fill a resting limit that the market has come to: at its limit, up to the size displayed."""
        limit = order.limit
        assert limit is not None
        quantity = sum((part for _, part in desk.take(order)), ZERO)
        if quantity:
            self._fill(desk, order, limit, quantity, events)
        return bool(quantity)

    def _fill(
        self, desk: _Desk, order: WorkingOrder, price: Decimal, quantity: Decimal, events: list[Event]
    ) -> None:
        ticket = order.ticket
        order.fill(price, quantity)
        due = order_commission(desk.instrument.sec_type, order.filled, order.filled_value)
        # Rounding of the whole keeps the sum exact; a cheap first fill may have been charged its maximum.
        commission = max(due - order.commission, ZERO)
        order.commission += commission
        account, quote = self.accounts[ticket.account], desk.quote
        assert quote is not None
        realized = account.book(
            desk.instrument, ticket.side, quantity, price, commission, reserved_at=order.reserved_at
        )
        account.mark(desk.instrument, quote)
        execution = PaperExecution(
            exec_id=f"{self._exec_origin:08x}.{self._perm_base + self._next_exec:08x}.01.01",
            time=self._clock.now(),
            perm_id=order.perm_id,
            client_id=ticket.client_id,
            order_id=ticket.order_id,
            account=ticket.account,
            instrument=desk.instrument,
            side=ticket.side,
            quantity=quantity,
            price=price,
            cumulative_quantity=order.filled,
            avg_price=order.avg_fill_price,
            exchange=desk.instrument.primary_exchange or desk.instrument.exchange,
            order_ref=ticket.order_ref,
            commission=commission,
            realized_pnl=realized,
        )
        self._next_exec += 1
        self._executions.append(execution)
        self.journal.append(execution)
        events.append(Executed(execution=execution))
        if order.remaining:
            order.status = IBStatus.SUBMITTED
            events.append(OrderReported(order=order.report()))
        else:
            self._end(desk, order, IBStatus.FILLED, f"Filled Size: {order.filled:f}", events)
        events.append(CommissionReported(execution=execution))

    def _end(
        self, desk: _Desk, order: WorkingOrder, status: IBStatus, words: str, events: list[Event]
    ) -> None:
        """End an order that is in no queue any more."""
        ticket = order.ticket
        if order.remaining:
            self.accounts[ticket.account].release(
                desk.instrument, ticket.side, order.remaining, order.reserved_at
            )
        order.status = status
        order.why_held = ""
        order.completed_at = self._clock.now()
        order.completed_status = words
        del self._working[order.perm_id]
        report = self._completed[order.perm_id] = order.report()
        self.journal.append(report)
        events.append(OrderReported(order=report))

    # Books

    def _desk(self, instrument: Instrument) -> _Desk:
        desk = self._desks.get(instrument.con_id)
        if desk is None:
            market = self._market(instrument.con_id)
            desk = self._desks[instrument.con_id] = _Desk(instrument, market)
        return desk

    def _last_price(self, instrument: Instrument) -> Decimal:
        market = self._markets.get(instrument.con_id)
        return reference_price(instrument) if market is None or market.quote is None else market.quote.last

    def _market(self, con_id: int) -> _Market:
        market = self._markets.get(con_id)
        if market is None:
            market = self._markets[con_id] = _Market()
        return market

    def _start_day(self, record: DayStarted) -> None:
        self._day = record.day
        self._day_ends = _end_of(record.day)
        self._executions.clear()
        self._completed.clear()
        self._orders = {key: order for key, order in self._orders.items() if not order.status.is_done}
        for account in self.accounts.values():
            account.start_day(record.day)

    def _put_back(self, report: PaperOrder) -> None:
        """Take an order in as it was stored, in place of what is known of it."""
        ticket = report.ticket
        key = (ticket.client_id, ticket.order_id)
        desk = self._desk(ticket.instrument)
        known = self._working.pop(report.perm_id, None)
        if known is not None:
            desk.orders.remove(known)
            self.accounts[known.ticket.account].release(
                desk.instrument, known.ticket.side, known.remaining, known.reserved_at
            )
        self._high_water[ticket.client_id] = max(self._high_water.get(ticket.client_id, 0), ticket.order_id)
        self._next_perm = max(self._next_perm, report.perm_id - self._perm_base + 1)
        order = self._orders[key] = WorkingOrder.restored(report)
        if known is None or goes_to_the_back(known.ticket, ticket):
            order.sequence = self._place_in_time()
        else:
            order.sequence = known.sequence
        if report.status.is_done:
            self._completed[report.perm_id] = report
        else:
            self._working[report.perm_id] = order
            order.reserved_at = reserve_price(ticket, desk.quote)
            desk.orders.add(order)
            change = (ticket.side, order.remaining, order.reserved_at)
            self.accounts[ticket.account].put_back(desk.instrument, change)

    def _replay(self, record: Record) -> None:
        if isinstance(record, PaperOrder):
            if record.perm_id not in self._completed:
                self._put_back(record)
        elif isinstance(record, PaperExecution):
            self.accounts[record.account].book(
                record.instrument, record.side, record.quantity, record.price, record.commission
            )
            self._executions.append(record)
            self._next_exec += 1
        else:
            self._start_day(record)

    @staticmethod
    def _error(ticket: Ticket, problem: rules.Problem) -> OrderError:
        code, message = problem
        return OrderError(client_id=ticket.client_id, order_id=ticket.order_id, code=code, message=message)
