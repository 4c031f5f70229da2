"""The paper gateway without I/O: clients on one side, the exchange and its market on the other.

Strategy: a client's bytes become requests, a request goes to the handler of its class, a handler tells
the session what to send. Whatever the exchange does, on request or because the market moved, comes back
as events; `commit` has them written down first and then tells every client that may see them. `pump`
moves the market once and brings all subscriptions up to date.

The owner of the sockets calls `receive`, `pump` and `close`, and after each of them sends what the
sessions have to send.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from trademind.clock import Clock
from trademind.gateway import codes
from trademind.gateway.connection import ClientStarted, ConnectionFailed, RequestReceived
from trademind.gateway.engine.exchange import PaperExchange
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import (
    CommissionReported,
    Event,
    Executed,
    Instrument,
    MarketQuote,
    OrderError,
    OrderReported,
    PortfolioChanged,
)
from trademind.gateway.feeds.base import Feed
from trademind.gateway.handlers import HANDLERS, account, greeting, history, market_data, orders
from trademind.gateway.session import Session
from trademind.gateway.store import AccountStore
from trademind.gateway.wire.fields import FieldError
from trademind.gateway.wire.reading import UnknownRequest, read_request, request_id

log = logging.getLogger(__name__)


class PaperGateway:
    """The core of the paper gateway.

    Args:
        exchange: Holds the account and the orders, and executes.
        feed: Makes the market.
        universe: What can be traded.
        clock: The time, for the market as for everything else.
        store: Where everything the exchange does is written before any client hears of it.
    """

    def __init__(
        self,
        *,
        exchange: PaperExchange,
        feed: Feed,
        universe: Universe,
        clock: Clock,
        store: AccountStore,
    ) -> None:
        self.exchange = exchange
        self.feed = feed
        self.universe = universe
        self.clock = clock
        self.sessions: list[Session] = []
        self._store = store
        self._shown: dict[int, MarketQuote] = {}
        """The quotes that the exchange has been shown last, by con id."""
        # Positions and orders taken over from a former run need prices before the first client asks.
        for con_id in sorted(exchange.needs_quotes()):
            instrument = universe.by_con_id(con_id)
            if instrument is not None:
                self.refresh(instrument)

    def open_session(self) -> Session:
        """A client has connected."""
        session = Session(self.clock)
        self.sessions.append(session)
        return session

    def close(self, session: Session) -> None:
        """The client has gone, or has to go. Its orders stay, its subscriptions end."""
        session.connection.close()
        if session in self.sessions:
            self.sessions.remove(session)

    def receive(self, session: Session, data: bytes) -> None:
        """Take what a client has sent, and do all of it at once."""
        session.connection.receive_data(data)
        while self.step(session):
            pass

    def step(self, session: Session) -> bool:
        """Do the next thing for a client: a request, or else a part of a long answer.

        Returns False when there is nothing left to do.
        """
        match session.connection.next_event():
            case None:
                return self._work(session)
            case ClientStarted(client_id):
                self._start(session, client_id)
            case RequestReceived(fields):
                self._serve(session, fields)
            case ConnectionFailed(reason):
                log.warning("dropping %s: %s", session, reason)
        return True

    def _start(self, session: Session, client_id: int) -> None:
        if any(other.client_id == client_id and other.is_open for other in self.sessions):
            session.error(-1, codes.CLIENT_ID_IN_USE, codes.CLIENT_ID_IN_USE_TEXT)
            session.connection.close()
            return
        session.client_id = client_id
        log.info("client %d has started, at version %d", client_id, session.version)
        greeting.greet(self, session)

    def _serve(self, session: Session, fields: Sequence[str]) -> None:
        req_id = request_id(fields, session.version)
        try:
            request = read_request(fields, session.version)
            HANDLERS[type(request)](self, session, request)
        except UnknownRequest:
            session.error(req_id, codes.UNKNOWN_MESSAGE, codes.UNKNOWN_MESSAGE_TEXT)
        except FieldError as error:
            session.error(req_id, codes.READING, f"Error reading request. Unable to parse data. {error}")
        except Exception as error:  # noqa: BLE001 - the edge of a connection, see _failed
            self._failed(session, req_id, error)

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

    def refresh(self, instrument: Instrument) -> MarketQuote:
        """Look at an instrument's market, and let the exchange see it, too."""
        quote = self.feed.quote(instrument, self.clock.now())
        # The same quote twice is the same market: showing it again would put back what has been bought.
        if self._shown.get(instrument.con_id) != quote:
            self._shown[instrument.con_id] = quote
            self.commit(self.exchange.on_quote(quote))
        return quote

    def commit(self, events: Sequence[Event]) -> None:
        """Write down what the exchange has done, then tell the clients that may know."""
        self._store.save(self.exchange)
        changed: dict[int, Instrument] = {}
        for event in events:
            match event:
                case OrderReported(order=order):
                    for session in self._watchers(order.ticket.client_id):
                        orders.report(session, order)
                case Executed(execution=execution):
                    for session in self._watchers(execution.client_id):
                        orders.report_execution(session, execution)
                case CommissionReported(execution=execution):
                    for session in self._watchers(execution.client_id):
                        orders.report_commission(session, execution)
                case OrderError():
                    for session in self._started():
                        if session.client_id == event.client_id:
                            session.error(event.order_id, event.code, event.message)
                case PortfolioChanged(instrument=instrument):
                    changed[instrument.con_id] = instrument
        if changed:
            for session in self._started():
                account.portfolio_changed(self, session, changed.values())

    def pump(self, now: datetime) -> None:
        """Move the market to `now` and bring every client up to date."""
        for _ in self.pump_steps(now):
            pass

    def pump_steps(self, now: datetime) -> Iterator[None]:
        """As `pump`, in small steps, between which other work can be done."""
        self.commit(self.exchange.roll(now))
        wanted = self.exchange.needs_quotes() | {
            stream.instrument.con_id for session in self.sessions for stream in session.ticks.values()
        }
        for con_id in sorted(wanted):
            instrument = self.universe.by_con_id(con_id)
            if instrument is None:
                continue
            quote = self.refresh(instrument)
            for session in self._started():
                market_data.quote_changed(session, quote)
            yield
        for session in self._started():
            account.update(self, session, now)
            yield
            for _ in history.update(self, session, now):
                yield

    def _started(self) -> list[Session]:
        return [session for session in self.sessions if session.client_id is not None and session.is_open]

    def _watchers(self, client_id: int) -> list[Session]:
        return [session for session in self._started() if session.sees_orders_of(client_id)]
