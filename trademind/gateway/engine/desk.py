"""One instrument's corner of the exchange: its market, its hours, and its working orders."""

from datetime import datetime, timedelta
from decimal import Decimal

from trademind.gateway.engine.book import Book
from trademind.gateway.engine.fills import FillModel
from trademind.gateway.engine.hours import NEW_YORK, MarketHours, Phase, TradingSession
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.matching import RestingOrders
from trademind.gateway.engine.model import IBTif, Instrument, MarketQuote, Stage, Ticket
from trademind.gateway.engine.triggers import WaitingStops, method_for, reference
from trademind.gateway.engine.working import WorkingOrder

_LOOK_AHEAD = 14
"""Days in which a market opens again, whatever the holidays."""

Parts = list[tuple[Decimal, Decimal]]
"""What was taken from the market: (price, quantity), best price first."""


class Market:
    """The last quote of an instrument, and what is left on offer of it."""

    __slots__ = ("_book", "_share", "before", "quote", "share_left")

    def __init__(self, share: Decimal | None) -> None:
        self._share = share
        self.quote: MarketQuote | None = None
        self.before: MarketQuote | None = None
        """The quote before that."""
        self.share_left: Decimal | None = None
        """What orders may still have of this quote; None for no limit."""
        self._book: Book | None = None

    def show(self, quote: MarketQuote) -> None:
        self.before, self.quote = self.quote, quote
        self._book = None
        if self._share is not None:
            self.share_left = self.traded * self._share

    @property
    def traded(self) -> Decimal:
        """What has traded between the last two quotes."""
        if self.quote is None or self.before is None:
            return ZERO
        return max(self.quote.volume - self.before.volume, ZERO)

    def book(self, tick: Decimal) -> Book | None:
        if self._book is None and self.quote is not None:
            self._book = Book(self.quote, tick)
        return self._book

    def reference(self, method: int, *, rising: bool) -> Decimal | None:
        """The price that reaches a level under a trigger method; None without a quote."""
        return None if self.quote is None else reference(method, self.quote, self.before, rising=rising)


class Desk:
    """An instrument, its market and hours, and the orders in it."""

    __slots__ = (
        "_day_ends",
        "_fills",
        "_hours",
        "_phase",
        "_phase_until",
        "_stops",
        "instrument",
        "market",
        "orders",
    )

    def __init__(self, instrument: Instrument, market: Market, hours: MarketHours, fills: FillModel) -> None:
        self.instrument = instrument
        self.market = market
        self._stops = WaitingStops()
        self.orders = RestingOrders(self._stops)
        self._hours = hours
        self._fills = fills
        self._phase: Phase | None = None
        self._phase_until: datetime | None = None
        self._day_ends: dict[bool, tuple[datetime, datetime]] = {}
        """From when on which moment is the end, by whether it is that of the extended hours."""

    @property
    def quote(self) -> MarketQuote | None:
        return self.market.quote

    # Hours

    def phase(self, now: datetime) -> Phase:
        if self._phase is None or (self._phase_until is not None and now >= self._phase_until):
            self._phase = self._hours.phase(self.instrument, now)
            self._phase_until = self._hours.next_change(self.instrument, now)
        return self._phase

    def trades(self, ticket: Ticket, now: datetime) -> bool:
        """Whether an order may trade at this time of the day."""
        phase = self.phase(now)
        return phase is Phase.REGULAR or (ticket.outside_rth and phase.is_extended)

    def day_end(self, now: datetime, *, outside_rth: bool) -> datetime:
        """When a DAY order of this moment expires."""
        known = self._day_ends.get(outside_rth)
        if known is not None and known[0] <= now < known[1]:
            return known[1]
        end = self.day_end_of(now, outside_rth=outside_rth)
        self._day_ends[outside_rth] = now, end
        return end

    def day_end_of(self, moment: datetime, *, outside_rth: bool) -> datetime:
        """When a DAY order expires that begins to work later."""
        return self._hours.day_end(self.instrument, moment, outside_rth=outside_rth)

    def next_open(self, now: datetime, *, outside_rth: bool) -> datetime | None:
        """When an order that may not trade now may do so; None when that is not known."""
        for session in self._sessions(now, regular_only=not outside_rth):
            if session.start > now:
                return session.start
        return None

    def next_close(self, now: datetime) -> datetime | None:
        """The next end of regular trading."""
        for session in self._sessions(now, regular_only=True):
            if session.end > now:
                return session.end
        return None

    def _sessions(self, now: datetime, *, regular_only: bool) -> list[TradingSession]:
        first = (now - timedelta(days=1)).astimezone(NEW_YORK).date()
        return self._hours.sessions(self.instrument, first, _LOOK_AHEAD, regular_only=regular_only)

    # Taking

    def take(self, order: WorkingOrder, most: Decimal) -> Parts:
        """Take up to `most` of what is on offer for an order, within its limit and the fill model."""
        book = self.market.book(self.instrument.min_tick)
        if book is None:
            return []
        left = self.market.share_left
        if left is not None and left < most:
            most = self.whole(left)
        if not most:
            return []
        least = order.least()
        side = order.ticket.side
        if least and (least > most or not book.offers(side, least, order.limit)):
            return []
        taken = book.take(side, most, order.limit)
        if left is not None:
            self.market.share_left = left - sum((quantity for _, quantity in taken), ZERO)
        return taken

    def take_in_passing(self, order: WorkingOrder) -> Parts:
        """Take for an order that comes to the market: level by level, with slippage."""
        taken = self.take(order, order.remaining)
        ticks = self._fills.slippage_ticks
        if not ticks or not taken:
            return taken
        worse = order.ticket.side.sign * ticks * self.instrument.min_tick
        limit = order.limit
        slipped = [(price + worse, quantity) for price, quantity in taken if price + worse > 0]
        if limit is not None:
            pick = min if order.buys else max
            slipped = [(pick(price, limit), quantity) for price, quantity in slipped]
        return slipped

    def whole(self, quantity: Decimal) -> Decimal:
        """What of a quantity can trade."""
        step = self.instrument.size_increment
        return quantity // step * step

    def size_ahead(self, order: WorkingOrder) -> Decimal:
        """What is displayed at an order's limit, before it."""
        book = self.market.book(self.instrument.min_tick)
        if book is None or order.limit is None:
            return ZERO
        return book.size_at(order.ticket.side, order.limit)

    # Waiting

    def stops_reached(self, quote: MarketQuote) -> list[WorkingOrder]:
        """The stops that stand still and have been reached."""
        return self._stops.reached_by(quote, self.market.before)

    def put(self, order: WorkingOrder) -> None:
        """Have an order wait where its stage says."""
        orders, ticket = self.orders, order.ticket
        order.waits = True
        if order.stage is Stage.MARKET:
            if ticket.tif is IBTif.OPG:
                orders.opening[order.perm_id] = order
            elif ticket.order_type.is_pegged:
                orders.add_moving(order)
                if order.limit is not None:
                    orders.add_limit(order, order.limit)
            elif order.limit is None:
                orders.add_at_market(order)
            else:
                orders.add_limit(order, order.limit)
        elif order.stage is Stage.TRIGGER:
            if ticket.order_type.trails:
                orders.add_moving(order)
            else:
                assert ticket.stop_price is not None
                orders.add_stop(order, self.method(ticket), ticket.stop_price)
            if ticket.adjustment is not None:
                orders.add_moving(order)

    def method(self, ticket: Ticket) -> int:
        return method_for(self.instrument, ticket.trigger_method)

    def is_touched(self, order: WorkingOrder) -> bool:
        """Whether the market as it is has come to an order's stop."""
        stop, rising = order.stop, order.triggers_rising
        if stop is None:
            return False
        price = self.market.reference(self.method(order.ticket), rising=rising)
        return price is not None and (price >= stop if rising else price <= stop)
