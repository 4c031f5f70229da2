"""The paper gateway without I/O: clients on one side, the exchange and its market on the other.

Strategy: a client's bytes become requests, a request goes to the handler of its class, a handler tells
the session what to send. Whatever the exchange does, on request or because the market moved, comes back
as events; `commit` has them written down first and then puts them into the outbox of every client.
`pump_steps` moves the market once and brings all subscriptions up to date.

The owner of the sockets hands received bytes to the session's connection, calls `step` until there is
nothing left to do, and sends what the sessions have to send. Any call can fill any session's outbox,
which is emptied by further steps. No single step takes long.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from trademind.clock import Clock
from trademind.gateway import codes
from trademind.gateway.by_hand import ByHand
from trademind.gateway.connection import ClientStarted, ConnectionFailed, RequestReceived
from trademind.gateway.connectivity import (
    RESTORED_WITHOUT_DATA,
    Connectivity,
    DailyReset,
    Farm,
    FarmState,
    Notice,
)
from trademind.gateway.control import MarketControl
from trademind.gateway.engine.corporate_actions import CorporateAction
from trademind.gateway.engine.exchange import PaperExchange, exchange_date
from trademind.gateway.engine.hours import AlwaysOpen, MarketHours
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import Event, Instrument, MarketQuote, OrderReported, PaperOrder
from trademind.gateway.entitlements import ALL_LIVE, Entitlements
from trademind.gateway.feeds.base import Feed
from trademind.gateway.feeds.derived import DerivedFeed
from trademind.gateway.handlers import (
    HANDLERS,
    account,
    depth,
    greeting,
    history,
    limits,
    link,
    market_data,
    news,
    orders,
    real_time_bars,
    scanner,
)
from trademind.gateway.handlers.telling import Telling, tell
from trademind.gateway.pacing import UNPACED, HistoricalPacing, MessageRate, Pacing
from trademind.gateway.session import Session
from trademind.gateway.statistics import Statistics
from trademind.gateway.store import AccountStore
from trademind.gateway.timeline import Timeline
from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import FieldError
from trademind.gateway.wire.order_terms import OrderTerms
from trademind.gateway.wire.reading import UnknownRequest, message_id, read_request, request_id

log = logging.getLogger(__name__)

SOON: Final = timedelta(seconds=2)
"""What is due later than that, the market's next move will find in time."""


class PaperGateway:
    """The core of the paper gateway.

    Args:
        exchange: Holds the account and the orders, and executes.
        feed: Makes the market of what is listed; those of derivatives follow from it.
        universe: What can be traded.
        clock: The time, for the market as for everything else.
        store: Where everything the exchange does is written before any client hears of it.
        pacing: What clients may ask, and how fast.
        reset: The nightly restart of IB's servers; None for none.
        hours: When the instruments trade; always, unless given.
        entitlements: Whose market data may be seen; everything live, unless given.
        actions: Dividends and splits, which happen when their days begin.
    """

    def __init__(
        self,
        *,
        exchange: PaperExchange,
        feed: Feed,
        universe: Universe,
        clock: Clock,
        store: AccountStore,
        pacing: Pacing = UNPACED,
        reset: DailyReset | None = None,
        hours: MarketHours | None = None,
        entitlements: Entitlements = ALL_LIVE,
        actions: Iterable[CorporateAction] = (),
    ) -> None:
        self.exchange = exchange
        self.feed = DerivedFeed(feed)
        self.universe = universe
        self.clock = clock
        self.control = MarketControl(self)
        self.timeline = Timeline(self)
        self.connectivity = Connectivity(clock.now(), reset)
        self.pacing = pacing
        self.historical_pacing = HistoricalPacing(pacing)
        self.hours = hours or AlwaysOpen()
        self._actions = deque(sorted(actions, key=lambda action: action.day))
        """Dividends and splits to come, the next one first."""
        self.entitlements = entitlements
        self.statistics = Statistics(self.feed)
        self.sessions: list[Session] = []
        self.display_groups: dict[int, str] = {}
        """What each of the display groups shows, as clients write it."""
        self._store = store
        self._shown: dict[int, MarketQuote] = {}
        """The quotes that the exchange has been shown last, by con id."""
        self._failing: set[str] = set()
        """Parts of the market's move that failed the last time."""
        self.cannot_write = ""
        """Why no orders are taken: empty, or that the account could not be written, in words."""
        self.working: dict[int, set[int]] = {}
        """Whose orders work: client ids by order id."""
        self.chores: deque[Iterator[None]] = deque()
        """Work in steps that goes beyond the client who asked for it. It is finished before any further
        request is served, by whoever comes first: the next step of any client, or the market's move."""
        known = [*exchange.orders(), *exchange.completed_orders()]
        self.by_hand = ByHand(order.ticket.order_id for order in known)
        for order in exchange.orders():
            self._note(order)
        # What was due while the gateway was not running; the exchange knows what it has dealt with.
        for _ in self._pass_time(clock.now()):
            pass
        # Positions and orders taken over from a former run need prices before the first client asks.
        for con_id in sorted(exchange.needs_quotes()):
            instrument = universe.by_con_id(con_id)
            if instrument is not None:
                self.refresh(instrument)

    def open_session(self) -> Session:
        """A client has connected."""
        session = Session(self.clock, MessageRate(self.pacing))
        self.sessions.append(session)
        self.timeline.watch(session)
        if self.timeline.refuses_connection():
            self.close(session)
        return session

    def close(self, session: Session) -> None:
        """The client has gone, or has to go. Its orders stay, its subscriptions end."""
        session.connection.close()
        session.outbox.clear()
        session.withheld.clear()
        session.late.clear()
        self.timeline.forget(session)
        if session in self.sessions:
            self.sessions.remove(session)

    def step(self, session: Session) -> bool:
        """Do the next thing: of a chore, for a client a part of what it is to be told, a request of its,
        or a part of a long answer.

        Returns False when there is nothing left to do.
        """
        if self.chores:
            self._do_chore()
            return True
        if session.outbox:
            self._tell(session)
            return True
        if session.late:
            self.serve(session, session.late.popleft())
            return True
        if self._must_wait(session):
            return self._work(session)
        match session.connection.next_event():
            case None:
                return self._work(session)
            case ClientStarted(client_id):
                self._start(session, client_id)
            case RequestReceived(fields):
                (self.serve if self.timeline.is_empty else self.timeline.receive)(session, fields)
            case ConnectionFailed(reason):
                log.warning("dropping %s: %s", session, reason)
        return True

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to do that only time sets off: `attend` does it."""
        if self.chores or any(session.is_held or session.late for session in self.sessions):
            return True
        due = None if self.timeline.is_empty else self.timeline.next_due()
        return due is not None and due - self.clock.now() < SOON

    def attend(self) -> list[Session]:
        """Do what was waiting for its time. Returns the clients for whom there is something to do."""
        self.timeline.attend(self.clock.now())
        return [each for each in self.sessions if self.chores or each.is_held or each.late]

    def _must_wait(self, session: Session) -> bool:
        """Whether no request of this client is taken before some time has passed."""
        if session.client_id is None:
            session.is_held = self.timeline.is_silent(session)
        else:
            session.is_held = session.wants_pacing and not session.rate.has_room(self.clock.now())
        return session.is_held

    def finish_chores(self) -> None:
        """Do what has been asked for and goes beyond its client, all at once."""
        while self.chores:
            self._do_chore()

    def _do_chore(self) -> None:
        try:
            next(self.chores[0])
        except StopIteration:
            self.chores.popleft()
        except Exception:
            # The edge of a request whose client may be gone: others' requests wait for it to end.
            self.chores.popleft()
            log.exception("a chore failed")

    def _tell(self, session: Session) -> None:
        """Tell a client a part of what waits for it."""
        if not session.is_open:
            session.outbox.clear()
            return
        try:
            next(session.outbox[0])
        except StopIteration:
            session.outbox.popleft()
        except Exception as error:  # noqa: BLE001 - the edge of a connection, see _failed
            session.outbox.popleft()
            self._failed(session, -1, error)

    def _start(self, session: Session, client_id: int) -> None:
        is_taken = any(other.client_id == client_id and other.is_open for other in self.sessions)
        if is_taken or self.timeline.refuses_client(client_id):
            session.error(-1, codes.CLIENT_ID_IN_USE, codes.CLIENT_ID_IN_USE_TEXT)
            session.connection.close()
            return
        session.client_id = client_id
        log.info("client %d has started, at version %d", client_id, session.version)
        greeting.greet(self, session)

    def serve(self, session: Session, fields: Sequence[str]) -> None:
        """Answer a request, given as its fields."""
        if limits.is_too_fast(self, session):
            return
        req_id = request_id(fields, session.version)
        if link.is_cut_off(self, session, message_id(fields), req_id):
            return
        now = self.clock.now()
        if self.exchange.is_due(now):
            # A request of the new day must not find the last one's orders.
            self.chores.append(self._pass_time(now))
        self.when_settled(session, req_id, lambda: self._answer(session, fields, req_id))

    def _answer(self, session: Session, fields: Sequence[str], req_id: int) -> None:
        try:
            request = read_request(fields, session.version)
            if not limits.is_too_often(self, session, request):
                HANDLERS[type(request)](self, session, request)
        except UnknownRequest:
            session.error(req_id, codes.UNKNOWN_MESSAGE, codes.UNKNOWN_MESSAGE_TEXT)
        except FieldError as error:
            session.error(req_id, codes.READING, f"Error reading request. Unable to parse data. {error}")

    def when_settled(self, session: Session, req_id: int, work: Callable[[], None]) -> None:
        """Do something for a client once the exchange has finished what it is at: at once, or as a chore."""

        def do() -> Iterator[None]:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - the edge of a connection, see _failed
                self._failed(session, req_id, error)
            yield

        if self.chores:
            self.chores.append(do())
        else:
            next(do())

    def _work(self, session: Session) -> bool:
        """Do a part of the first long answer that is in the making."""
        if not session.jobs or not session.is_open:
            return False
        req_id, job = next(iter(session.jobs.items()))
        try:
            next(job)
        except StopIteration:
            session.jobs.pop(req_id, None)
        except Exception as error:  # noqa: BLE001 - the edge of a connection, see _failed
            session.jobs.pop(req_id, None)
            self._failed(session, req_id, error)
        return True

    @staticmethod
    def _failed(session: Session, req_id: int, error: Exception) -> None:
        """One request that fails must not take the gateway, and the other clients, with it: its client is
        told, and the traceback is logged."""
        log.error("request %d of %s failed", req_id, session, exc_info=error)
        session.error(req_id, codes.PROCESSING, f"Error processing request. {type(error).__name__}")

    def enter_by_hand(self, contract: WireContract, terms: OrderTerms) -> PaperOrder:
        """Enter an order as if by hand in TWS; clients see it with the order id 0 until client 0 binds it.

        Raises:
            OrderRefused: it is not taken.
        """
        return orders.enter_by_hand(self, contract, terms)

    def refresh(self, instrument: Instrument) -> MarketQuote:
        """Look at an instrument's market, and let the exchange see it, too."""
        quote = self.control.quote(self.feed.quote(instrument, self.clock.now()))
        # The same quote twice is the same market: showing it again would put back what has been bought.
        shown = self._shown.get(instrument.con_id)
        if shown == quote:
            return shown
        self._shown[instrument.con_id] = quote
        self._commit_in_steps(self.exchange.show(quote))
        return quote

    def _commit_in_steps(self, steps: Iterator[Sequence[Event]]) -> None:
        """Have the exchange do the first part of something; the rest of it, if there is any, is a chore."""

        def rest() -> Iterator[None]:
            for events in steps:
                self.commit(events)
                yield

        doing = rest()
        next(doing, None)
        if self.exchange.is_busy:
            self.chores.append(doing)

    def _pass_time(self, now: datetime) -> Iterator[None]:
        for events in self.exchange.pass_time(now):
            self.commit(events)
            yield
        today = exchange_date(now)
        while self._actions and self._actions[0].day <= today:
            self.commit(self.exchange.apply(self._actions.popleft()))
            yield

    def commit(self, events: Sequence[Event]) -> None:
        """Write down what the exchange has done, then let the clients that may know be told.

        What could not be written has happened all the same, and is told; but no order is taken then.
        """
        self._save()
        for event in events:
            if isinstance(event, OrderReported):
                self._note(event.order)
        if not events:
            return
        telling = Telling(events)
        for session in self._started():
            if telling.concerns(self, session):
                told = tell(self, session, telling)
                (session.outbox if self.connectivity.is_up else session.withheld).append(told)

    def notify(self, notices: Sequence[Notice]) -> None:
        """Tell every client of the state of the link and the farms, and do what it means."""
        for session in self._started():
            for notice in notices:
                session.error(-1, notice.code, notice.text)
                if notice is RESTORED_WITHOUT_DATA:
                    session.drop_subscriptions()
            if notices and self.connectivity.is_up:
                session.outbox.extend(session.withheld)
                session.withheld.clear()

    def _save(self) -> None:
        try:
            self._store.save(self.exchange)
        except OSError as error:
            if not self.cannot_write:
                log.critical(
                    "the paper account cannot be written: %s; no orders are taken until it can", error
                )
            self.cannot_write = f"the paper account cannot be written ({error.strerror or error})"
        else:
            if self.cannot_write:
                log.warning("the paper account can be written again")
            self.cannot_write = ""

    def _note(self, order: PaperOrder) -> None:
        """Keep track of which orders work."""
        order_id, client_id = order.ticket.order_id, order.ticket.client_id
        if not order.status.is_done:
            self.working.setdefault(order_id, set()).add(client_id)
        elif order_id in self.working:
            self.working[order_id].discard(client_id)
            if not self.working[order_id]:
                del self.working[order_id]

    def pump_steps(self, now: datetime) -> Iterator[None]:
        """Move the market to `now` and bring every client up to date, in small steps, between which other
        work can be done. What fails for one instrument or one client goes on for the others."""
        yield from self._chores_first()
        self.timeline.attend(now)
        self.notify(self.connectivity.due(now))
        if self.exchange.is_due(now):
            self.chores.append(self._pass_time(now))
            yield from self._chores_first()
        wanted = self.exchange.needs_quotes().union(*(session.watched() for session in self.sessions))
        for con_id in sorted(wanted):
            instrument = self.universe.by_con_id(con_id)
            if instrument is not None:
                yield from self._chores_first()
                yield from self._guarded(instrument.symbol, self.move(instrument))
        for session in self._started():
            yield from self._guarded(str(session), self._update(session, now))

    def _chores_first(self) -> Iterator[None]:
        while self.chores:
            self._do_chore()
            yield

    def move(self, instrument: Instrument) -> Iterator[None]:
        """Bring one instrument's market up to date, for the exchange and for every client, in steps.

        It may itself be a chore, so it does none.
        """
        quote = self.refresh(instrument)
        yield
        if self.connectivity.farms[Farm.MARKET] is FarmState.BROKEN:
            for session in self._started():
                depth.cut_off(session, instrument.con_id)
            return
        move = market_data.Move(self, instrument, quote)
        for session in self._started():
            yield from market_data.moved(session, move)

    def _update(self, session: Session, now: datetime) -> Iterator[None]:
        if not self.connectivity.is_up:
            return
        account.update(self, session, now)
        yield
        yield from history.update(self, session, now)
        yield from scanner.update(self, session, now)
        news.update_bulletins(session, now)
        yield from real_time_bars.update(self, session, now)

    def _guarded(self, name: str, steps: Iterator[None]) -> Iterator[None]:
        """Steps of the market's move, ended by what fails in them. Logged once until they work again."""
        try:
            yield from steps
        except Exception:
            # The edge of one instrument's or one client's part of the market.
            if name not in self._failing:
                self._failing.add(name)
                log.exception("a move of the market failed for %s", name)
        else:
            self._failing.discard(name)

    def _started(self) -> list[Session]:
        return [session for session in self.sessions if session.client_id is not None and session.is_open]
