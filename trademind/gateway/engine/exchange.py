"""The paper exchange: takes orders for its accounts, fills them from the quotes it is shown, and keeps the
books. Pure: no I/O, and the time comes from the clock it is given.

Every command returns what happened as events, in the order in which a real gateway sends the messages:
an accepted order as PreSubmitted and then Submitted or its fills; each fill as execution, order status,
commission report; a cancel as Cancelled and then error 202. The market of an instrument is the last quote
shown; orders that find no liquidity, or arrive before the first quote, wait for the next one.

Before every command what was due by the clock happens, and what an earlier command has left to do. So
nothing that happens on a day is counted as the day's before. A quote and the passing of time may move
thousands of orders: `show` and `pass_time` do that in steps, `on_quote` and `roll` at once.

Without market hours an exchange never closes; its trading day is New York's calendar day. Then an order for
the opening works with the first quote after midnight, one for the close fills at midnight against the last
quote before, and a DAY order expires at that moment.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from trademind.clock import Clock
from trademind.gateway.engine import rules
from trademind.gateway.engine.account import PaperAccount, reference_price
from trademind.gateway.engine.accruals import PUBLISHED, InterestSchedule
from trademind.gateway.engine.booking import Ids, leg_prices, leg_side, legs_are_quoted
from trademind.gateway.engine.commissions import FIXED, CommissionSchedule
from trademind.gateway.engine.corporate_actions import CorporateAction, Split, name_of
from trademind.gateway.engine.currencies import BASE, Rates
from trademind.gateway.engine.exercise import check_exercise, exercise
from trademind.gateway.engine.fills import FRIENDLY, FillModel
from trademind.gateway.engine.floor import Floor
from trademind.gateway.engine.groups import MAX_GENERATIONS, MAX_MEMBERS, group_of, parent_of
from trademind.gateway.engine.hours import AlwaysOpen, MarketHours
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.journal import (
    AccountRecord,
    AccountState,
    ActionTaken,
    DayStarted,
    ExchangeState,
    InterestAccrued,
    Record,
)
from trademind.gateway.engine.margin import reserve_price
from trademind.gateway.engine.model import (
    AccountFigures,
    CommissionReported,
    Event,
    Executed,
    IBStatus,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    PaperExecution,
    PaperOrder,
    PaperPosition,
    PortfolioChanged,
    Preview,
    Ticket,
)
from trademind.gateway.engine.settlement import expired
from trademind.gateway.engine.working import WorkingOrder

NEW_YORK = ZoneInfo("America/New_York")
MAX_STAGED: Final = 1000
"""Tickets of all clients that wait to be transmitted."""
ORDERS_PER_STEP: Final = 32
"""So many orders are looked at in one step of a quote or of the clock: about 2 ms of work."""


def exchange_date(moment: datetime) -> date:
    """The exchange's date at a moment."""
    return moment.astimezone(NEW_YORK).date()


def _end_of(day: date) -> datetime:
    # In UTC, where comparing moments is cheap.
    return datetime.combine(day + timedelta(days=1), time.min, NEW_YORK).astimezone(UTC)


class PaperExchange:
    """The orders and fills of one login, and the books of its accounts.

    Args:
        accounts: Opening cash by account id, in the base currency; the first is that of orders without one.
        instruments: Where the currency pairs are that amounts in other currencies are valued by.
        hours: When markets are open.
        fills: How orders meet the market.
        commissions: What trades cost.
        interest: What balances and short positions bear.

    `journal` collects the records a store needs; whoever runs the exchange takes them out after each
    command (and clears the list when nothing is stored).
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, Decimal],
        clock: Clock,
        instruments: Iterable[Instrument] = INSTRUMENTS,
        hours: MarketHours | None = None,
        fills: FillModel = FRIENDLY,
        commissions: CommissionSchedule = FIXED,
        interest: InterestSchedule = PUBLISHED,
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
            hours or AlwaysOpen(),
            fills,
            commissions,
            interest,
        )

    @classmethod
    def restored(
        cls,
        state: ExchangeState,
        records: Iterable[Record],
        *,
        clock: Clock,
        instruments: Iterable[Instrument] = INSTRUMENTS,
        hours: MarketHours | None = None,
        fills: FillModel = FRIENDLY,
        commissions: CommissionSchedule = FIXED,
    ) -> "PaperExchange":
        """The exchange as it was: a stored state, and every record that followed it."""
        self = cls.__new__(cls)
        self._start(state, clock, instruments, hours or AlwaysOpen(), fills, commissions, PUBLISHED)
        booked = {each.exec_id for each in state.executions}
        for record in records:
            # What is there twice, of a file that was copied together by hand, has happened once.
            if isinstance(record, PaperExecution):
                if record.exec_id in booked:
                    continue
                booked.add(record.exec_id)
            self._replay(record)
        return self

    def _start(
        self,
        state: ExchangeState,
        clock: Clock,
        instruments: Iterable[Instrument],
        hours: MarketHours,
        fills: FillModel,
        commissions: CommissionSchedule,
        interest: InterestSchedule,
    ) -> None:
        self.account_id = state.accounts[0].account_id
        """The account that is meant when none is named."""
        self._clock = clock
        self._created_at = state.created_at
        self._high_water = dict(state.high_water)
        self._actions = set(state.actions)
        self._interest = interest
        self.rates = Rates(instruments)
        self.rates.load(state.rates)
        self.accounts: dict[str, PaperAccount] = {}
        self._ids = Ids(state.created_at, state.next_perm, state.next_exec)
        self._floor = Floor(now=clock.now(), accounts=self.accounts, hours=hours, fills=fills, ids=self._ids)
        self._day = state.day
        self._day_ends = _end_of(state.day)
        self._unfinished: Iterator[None] | None = None
        """What a command that works in steps has left to do."""
        self._floor.executions += state.executions
        for stored in state.accounts:
            account = PaperAccount.restored(
                stored, rates=self.rates, last_price=self._last_price, commissions=commissions
            )
            self.accounts[stored.account_id] = account
            for holding in stored.holdings:
                self._floor.desk(holding.instrument)
        for order in sorted(state.orders, key=lambda each: each.perm_id):
            self._put_back(order)
        self._floor.completed = {
            each.perm_id: each for each in state.orders if each.perm_id in self._floor.completed
        }

    @property
    def journal(self) -> list[Record]:
        return self._floor.journal

    # Reading

    def orders(self) -> list[PaperOrder]:
        """Working orders, oldest first. Those that have not been transmitted are not among them."""
        return [each.reported for each in self._floor.working.values() if each.reported is not None]

    def completed_orders(self) -> list[PaperOrder]:
        """Orders that ended today, in the order in which they did."""
        return list(self._floor.completed.values())

    def executions(self) -> list[PaperExecution]:
        """Today's executions, oldest first."""
        return list(self._floor.executions)

    def order(self, client_id: int, order_id: int) -> PaperOrder | None:
        """A working order, or one that ended today."""
        order = self._floor.orders.get((client_id, order_id))
        return None if order is None else order.reported

    def staged(self) -> list[tuple[int, int]]:
        """Client and order ids of tickets that wait to be transmitted."""
        return list(self._floor.families.staged)

    def is_staged(self, client_id: int, order_id: int) -> bool:
        """Whether a ticket waits to be transmitted."""
        return (client_id, order_id) in self._floor.families.staged

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
        """Con ids of which the exchange must be shown the market: of working orders and what their
        conditions watch, and of positions, be they open or of last night and closed today."""
        return self._floor.needs_quotes().union(*(each.needs_quotes() for each in self.accounts.values()))

    def state(self) -> ExchangeState:
        """Everything there is to store. The records in `journal` are part of it."""
        working = sorted(self._floor.working.values(), key=lambda each: each.sequence)
        orders = [*self._floor.completed.values(), *(each.report() for each in working)]
        accounts = [each.state() for each in self.accounts.values()]
        return ExchangeState(
            created_at=self._created_at,
            day=self._day,
            next_perm=self._ids.next_perm,
            next_exec=self._ids.next_exec,
            high_water=dict(self._high_water),
            rates=self.rates.dump(currency for each in accounts for currency in each.currencies()),
            accounts=accounts,
            actions=set(self._actions),
            orders=orders,
            executions=list(self._floor.executions),
        )

    def preview(self, ticket: Ticket) -> Preview | OrderError:
        """What an order would do to margin, equity and commissions if it filled, or why it would be
        refused. Nothing is changed, and no id is used up."""
        problem = rules.check_ticket(ticket, now=self._clock.now())
        if problem is not None:
            return self._floor.error(ticket, problem)
        instrument = ticket.instrument
        price = reserve_price(ticket, self._floor.quote(instrument.con_id))
        account = self.accounts[ticket.account]
        if not instrument.legs:
            return account.preview(instrument, ticket.side, ticket.quantity, price)
        if not legs_are_quoted(instrument, self._floor.quote):
            return self._floor.error(ticket, rules.invalid("The legs of the combination have no market yet"))
        prices = leg_prices(instrument, ticket.side, price, self._floor.quote)
        legs = [
            (leg.instrument, leg_side(ticket.side, leg), ticket.quantity * leg.ratio, each)
            for leg, each in zip(instrument.legs, prices, strict=True)
        ]
        return account.preview(instrument, ticket.side, ticket.quantity, price, legs=legs)

    # Commands

    def place(self, ticket: Ticket) -> list[Event]:
        """Take a new order, or change the working order of the same client and order id.

        A new order that is refused leaves nothing behind: its id may be used for the corrected one. An
        order with transmit off is kept, and nothing is told of it, until one of its family comes with
        transmit on (as recorded of a real gateway); then parents go first.
        """
        self._begin()
        self._transmit(ticket)
        return self._floor.take_events()

    def cancel(self, client_id: int, order_id: int, *, by_client_id: int) -> list[Event]:
        """Cancel an order. Only its own client and client 0 may; to others it does not exist."""
        self._begin()
        floor = self._floor
        name = (client_id, order_id)
        order = floor.orders.get(name)
        is_staged = name in floor.families.staged
        if (order is None and not is_staged) or by_client_id not in (client_id, 0):
            code, message = rules.not_found(order_id)
            floor.events.append(OrderError(by_client_id, order_id, code, message))
        elif is_staged:
            self._drop_staged(name)
        elif order is not None and order.status.is_done:
            code, message = rules.not_cancellable(order_id, order.status)
            floor.events.append(OrderError(by_client_id, order_id, code, message))
        elif order is not None:
            floor.cancel(order, "Cancelled by Trader")
        return floor.take_events()

    def cancel_all(self) -> list[Event]:
        """Cancel every order of every client, also those that have not been transmitted."""
        self._begin()
        for order in list(self._floor.working.values()):
            self._floor.cancel(order, "Cancelled by Trader")
        for name in list(self._floor.families.staged):
            if name in self._floor.families.staged:
                self._drop_staged(name)
        return self._floor.take_events()

    def exercise(
        self,
        option: Instrument,
        quantity: Decimal,
        *,
        account: str,
        client_id: int,
        order_id: int,
        override: bool,
    ) -> list[Event]:
        """Exercise options that an account holds; `override` where they are out of the money.

        Executions and errors carry `order_id`, which uses up no id.
        """
        self._begin()
        floor, books = self._floor, self.accounts[account]
        market = None if option.underlying is None else floor.quote(option.underlying.con_id)
        outcome: list[PaperExecution] | rules.Problem | None
        outcome = check_exercise(books, option, quantity, market, override=override)
        if outcome is None:
            outcome = exercise(
                books, option, quantity, self._ids, client_id=client_id, order_id=order_id, now=floor.now
            )
        if isinstance(outcome, tuple):
            floor.events.append(OrderError(client_id, order_id, *outcome))
            return floor.take_events()
        for execution in outcome:
            floor.executions.append(execution)
            self.journal.append(execution)
            floor.events += (Executed(execution), CommissionReported(execution))
        floor.events += (PortfolioChanged(account=account, instrument=each.instrument) for each in outcome)
        return floor.take_events()

    def on_quote(self, quote: MarketQuote) -> list[Event]:
        """The market moved: fresh liquidity, triggers, fills, and positions at the new price."""
        return [event for events in self.show(quote) for event in events]

    def show(self, quote: MarketQuote) -> Iterator[list[Event]]:
        """The same in steps. Commands that come in between have the rest done first, and its events are
        then theirs."""
        self._begin()
        self.rates.on_quote(quote.con_id, quote.last)
        return self._in_steps(self._floor.show(quote))

    def roll(self, now: datetime) -> list[Event]:
        """Let happen what is due by the clock: orders expire, open or go on; the date changes, and the
        day's figures start anew.

        Every command does this by itself; calling it as time passes makes things happen on time and not
        with the first command after it. Cheap when there is nothing to do.
        """
        return [event for events in self.pass_time(now) for event in events]

    def pass_time(self, now: datetime) -> Iterator[list[Event]]:
        """The same in steps, as with `show`."""
        self._finish()
        if not self.is_due(now):
            return iter([self._floor.take_events()] if self._floor.events else [])
        return self._in_steps(self._pass_time(now))

    # Time

    @property
    def is_busy(self) -> bool:
        """Whether a command that works in steps has something left to do."""
        return self._unfinished is not None

    def _begin(self) -> None:
        """Before a command: the rest of the one before it, and what is due."""
        now = self._clock.now()
        self._finish()
        if self.is_due(now):
            for _ in self._pass_time(now):
                pass
        self._floor.now = now

    def _finish(self) -> None:
        if self._unfinished is not None:
            rest, self._unfinished = self._unfinished, None
            for _ in rest:
                pass

    def is_due(self, now: datetime) -> bool:
        """Whether something happens by the clock until `now`."""
        due = self._floor.agenda.next
        return now >= self._day_ends or (due is not None and now >= due)

    def _pass_time(self, now: datetime) -> Iterator[None]:
        yield from self._floor.pass_time(now)
        if now >= self._day_ends:
            yield from self._end_day(exchange_date(now))

    def _end_day(self, following: date) -> Iterator[None]:
        """Settle and accrue what the days until `following` have left, and begin it."""
        for order in list(self._floor.working.values()):
            if expired(order.ticket.instrument, following) and order.completed_at is None:
                self._floor.cancel(order, "Cancelled by System")
                yield
        # In one step, and so written down at once: half of it, done again after a crash, would be done twice.
        for account in self.accounts.values():
            self._book(account.day_ends(following, (following - self._day).days, self._interest))
        record = DayStarted(day=following)
        self._start_day(record)
        self.journal.append(record)

    def apply(self, action: CorporateAction) -> list[Event]:
        """Let a dividend or a split happen to all who hold the instrument, once, on its day or later.

        A split cancels the orders in the instrument, as IB cancels them. What happened before the accounts
        were opened does not concern them.

        Raises:
            ValueError: its day has not come.
        """
        self._begin()
        if action.day > self._day:
            raise ValueError(f"{name_of(action)} is in the future")
        taken = ActionTaken(name=name_of(action))
        if taken.name not in self._actions and action.day >= exchange_date(self._created_at):
            self._replay(taken)
            self.journal.append(taken)
            if isinstance(action, Split):
                for order in list(self._floor.working.values()):
                    if order.ticket.instrument.con_id == action.con_id and order.completed_at is None:
                        self._floor.cancel(order, "Cancelled by System")
            for account in self.accounts.values():
                self._book(account.action(action))
        return self._floor.take_events()

    def _book(self, records: Iterable[AccountRecord]) -> None:
        for record in records:
            self._replay(record)
            self.journal.append(record)
            if not isinstance(record, InterestAccrued):
                changed = PortfolioChanged(account=record.account, instrument=record.instrument)
                self._floor.events.append(changed)

    def _in_steps(self, work: Iterator[None]) -> Iterator[list[Event]]:
        """Work of an order each, in larger steps, with what happened in each."""
        self._unfinished = work
        return self._steps(work)

    def _steps(self, work: Iterator[None]) -> Iterator[list[Event]]:
        # Another command may have finished it in between, and has its events then.
        while self._unfinished is work:
            for _ in range(ORDERS_PER_STEP):
                if next(work, work) is work:
                    self._unfinished = None
                    break
            yield self._floor.take_events()

    def _start_day(self, record: DayStarted) -> None:
        floor = self._floor
        former, self._day = self._day, record.day
        self._day_ends = _end_of(record.day)
        floor.executions.clear()
        floor.completed.clear()
        floor.groups.forget_fills()
        floor.orders = {key: order for key, order in floor.orders.items() if order.completed_at is None}
        for account in self.accounts.values():
            account.start_day(record.day, former)

    # Taking orders

    def _transmit(self, ticket: Ticket) -> None:
        """Stage a ticket, or hand it on together with what of its family has waited for it."""
        floor = self._floor
        name = (ticket.client_id, ticket.order_id)
        staged = floor.families.staged
        order = floor.orders.get(name)
        if order is not None and order.completed_at is None:
            problem = self._modify(order, ticket)
        elif not ticket.transmit:
            problem = self._stage(order, ticket)
        elif not staged:
            problem = self._check_new(order, ticket, is_staged=False) or self._take(ticket)
        else:
            problem = self._check_new(order, ticket, is_staged=name in staged)
            if problem is None:
                self._transmit_family(ticket)
        self._tell(ticket, problem)

    def _transmit_family(self, ticket: Ticket) -> None:
        """Hand on a ticket and all that was staged of its family, the parent first."""
        staged = self._floor.families.staged
        name = (ticket.client_id, ticket.order_id)
        staged[name] = ticket
        family = self._floor.families.staged_with(name)
        for each in family:
            del staged[each.client_id, each.order_id]
        for each in family:
            # Since it was staged its parent may have been refused.
            is_orphan = each.parent_id and not self._is_parent(parent_of(each))
            problem = rules.no_such_order(each.parent_id) if is_orphan else self._take(each)
            self._tell(each, problem)

    def _tell(self, ticket: Ticket, problem: rules.Problem | None) -> None:
        if problem is not None:
            self._floor.events.append(self._floor.error(ticket, problem))

    def _stage(self, former: WorkingOrder | None, ticket: Ticket) -> rules.Problem | None:
        name = (ticket.client_id, ticket.order_id)
        staged = self._floor.families.staged
        problem = self._check_new(former, ticket, is_staged=name in staged)
        if problem is not None:
            return problem
        if len(staged) >= MAX_STAGED:
            return rules.TOO_MANY_STAGED
        staged[name] = ticket
        self._raise_ids(ticket)
        return None

    def _drop_staged(self, name: tuple[int, int]) -> None:
        """Cancel a ticket that was not transmitted, and all that was staged below it."""
        floor = self._floor
        staged = floor.families.staged
        for each in (name, *floor.families.descendants(name)):
            if (ticket := staged.pop(each, None)) is not None:
                order = WorkingOrder(ticket, 0, floor.now)
                order.status = IBStatus.CANCELLED
                floor.events.append(OrderReported(order.report()))
                self._tell(ticket, rules.CANCELLED)

    def _check_new(
        self, former: WorkingOrder | None, ticket: Ticket, *, is_staged: bool
    ) -> rules.Problem | None:
        """What forbids taking a new order; `former` had its id before."""
        if former is not None and former.status is IBStatus.FILLED:
            return rules.FILLED
        # A client's order ids only go up, so any other id up to the highest is used or gone. Orders entered
        # by hand have ids below zero, which are given here and not by a client.
        if not is_staged and 0 < ticket.order_id < self.next_order_id(ticket.client_id):
            return rules.DUPLICATE_ID
        if (problem := rules.check_ticket(ticket, now=self._floor.now)) is not None:
            return problem
        if self._floor.groups.size(group_of(ticket)) >= MAX_MEMBERS:
            return rules.CROWDED
        if ticket.parent_id:
            return self._check_parent(ticket)
        return None

    def _check_parent(self, ticket: Ticket) -> rules.Problem | None:
        """What forbids waiting for a parent: that it is not there, or that its family would be too large."""
        families = self._floor.families
        own, name = (ticket.client_id, ticket.order_id), parent_of(ticket)
        known = families.staged.get(own)
        if known is not None:
            return None if known.parent_id == ticket.parent_id else rules.MISMATCH
        if name not in families.staged and not self._is_parent(name):
            return rules.no_such_order(ticket.parent_id)
        generations = 1
        while (above := self._waiting_ticket(name)) is not None:
            generations += 1
            if generations > MAX_GENERATIONS:
                return rules.TOO_DEEP
            if not above.parent_id:
                break
            name = parent_of(above)
        return rules.CROWDED if len(families.descendants(name)) >= MAX_MEMBERS else None

    def _is_parent(self, name: tuple[int, int]) -> bool:
        """Whether an order may have children: it works, or has filled today."""
        order = self._floor.orders.get(name)
        return order is not None and order.status is not IBStatus.CANCELLED

    def _waiting_ticket(self, name: tuple[int, int]) -> Ticket | None:
        """A staged ticket, or that of a working order."""
        order = self._floor.orders.get(name)
        if order is not None and order.completed_at is None:
            return order.ticket
        return self._floor.families.staged.get(name)

    def _take(self, ticket: Ticket) -> rules.Problem | None:
        """Take a new order that is right by itself, or say why the account cannot bear it."""
        floor = self._floor
        left = floor.groups.left_for(ticket)
        if not left:
            self._raise_ids(ticket)
            floor.turn_away(ticket)
            return None
        if left < ticket.quantity:
            ticket = replace(ticket, quantity=left)
        reserved_at: Decimal | None = None
        if not self._waits_for_parent(ticket):
            reserved_at = reserve_price(ticket, floor.quote(ticket.instrument.con_id))
            account = self.accounts[ticket.account]
            problem = account.reserve(ticket.instrument, ((ticket.side, ticket.quantity, reserved_at),))
            if problem is not None:
                return problem
        self._raise_ids(ticket)
        floor.admit(ticket, reserved_at)
        return None

    def _raise_ids(self, ticket: Ticket) -> None:
        """The client's next order id is above this one."""
        known = self._high_water.get(ticket.client_id, 0)
        self._high_water[ticket.client_id] = max(known, ticket.order_id)

    def _waits_for_parent(self, ticket: Ticket) -> bool:
        if not ticket.parent_id:
            return False
        parent = self._floor.orders.get(parent_of(ticket))
        return parent is not None and parent.completed_at is None

    def _modify(self, order: WorkingOrder, ticket: Ticket) -> rules.Problem | None:
        """Change a working order, or say why not."""
        problem = rules.check_change(order, ticket, now=self._floor.now)
        if problem is not None:
            return problem
        reserved_at = order.reserved_at
        if reserved_at is not None:
            reserved_at = reserve_price(ticket, self._floor.quote(ticket.instrument.con_id))
            assert order.reserved_at is not None
            problem = self.accounts[ticket.account].reserve(
                ticket.instrument,
                [
                    (ticket.side, -order.remaining, order.reserved_at),
                    (ticket.side, ticket.quantity - order.filled, reserved_at),
                ],
            )
            if problem is not None:
                return problem
        self._floor.change(order, ticket, reserved_at)
        return None

    # Restarting

    def _last_price(self, instrument: Instrument) -> Decimal:
        quote = self._floor.quote(instrument.con_id)
        return reference_price(instrument) if quote is None else quote.last

    def _put_back(self, report: PaperOrder) -> None:
        ticket = report.ticket
        self._raise_ids(ticket)
        # A DAY order belongs to the day on which it was placed, or to which it has come since.
        self._floor.now = max(report.created_at, _end_of(self._day - timedelta(days=1)))
        self._floor.put_back(report)

    def _replay(self, record: Record) -> None:
        floor = self._floor
        if isinstance(record, PaperOrder):
            if record.perm_id not in floor.completed:
                self._put_back(record)
        elif isinstance(record, PaperExecution):
            if not record.instrument.legs:
                self.accounts[record.account].book(
                    record.instrument, record.side, record.quantity, record.price, record.commission
                )
            floor.executions.append(record)
            self._ids.seen_execution(record.exec_id)
            self._ids.seen(record.perm_id)
        elif isinstance(record, DayStarted):
            self._start_day(record)
        elif isinstance(record, ActionTaken):
            self._actions.add(record.name)
        else:
            self.accounts[record.account].record(record, self._day)
