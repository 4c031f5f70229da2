"""The market data desk: one line for each kind of data of an instrument, however many follow it or ask.

IB grants few lines at once, so one that nobody uses is given up after a while, or at once where another needs
its place; the one used longest ago goes first. Subscriptions belong to a connection: on a new one, and when
IB has dropped them, lines are asked for again, one by one as pacing allows. What cannot be vouched for is
marked as stale where the latest value counts, and told as missed where every value does.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import ib_async

from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.contracts import Contracts
from trademind.brokers.ibkr.depth import DepthLine
from trademind.brokers.ibkr.history_pacing import HistoryPacing, is_limited
from trademind.brokers.ibkr.kept_bars import KeptBarLine
from trademind.brokers.ibkr.line_limits import MAX_LINES, in_the_way_of, usage
from trademind.brokers.ibkr.line_pacing import AsHistory, Spaced, Spacing, Unlimited
from trademind.brokers.ibkr.lines import Key, Line, SequenceLine, Subscription, key_of
from trademind.brokers.ibkr.live_bars import LiveBarLine
from trademind.brokers.ibkr.pacing import Priority, too_many
from trademind.brokers.ibkr.quotes import QuoteLine
from trademind.brokers.ibkr.session import Session
from trademind.brokers.ibkr.ticks import TickLine
from trademind.brokers.topics import Topic
from trademind.clock import Clock
from trademind.domain import Channel, Contract, LineUsage, LiveBars, Notice, Quote, Subject, TickType
from trademind.errors import CompetingSession, TradeMindError, Unavailable

GRACE: Final = 30.0
"""Seconds for which a line that nobody uses is kept: whoever comes back finds it warm."""

QUOTE_WAIT: Final = 3.0
"""Seconds that the first question about an instrument waits for a full quote."""

FARM_GRACE: Final = 6.0
"""Seconds after a data farm is back in which its data come again by themselves, if they do: bars come every
five."""

REFUSED_RETRY: Final = 30.0
"""Seconds until a line that is followed is asked for again after it was refused, as by another session of the
login (10197): IB gives no sign when the reason is gone. Then twice as long each time."""

NOT_READY_RETRY: Final = 1.0
"""Seconds at least until what could not be done, for the session was not ready, is looked at again."""

FARM_BROKEN: Final = 2103

DOUBLINGS: Final = 5
"""How often a wait is doubled."""

CLOSED_DOUBLINGS: Final = 2
"""How often it is where a market is closed: each time counts as a request for history, but when it opens,
bars are late by as much."""

ENDED: Final = frozenset({316, 10225})
"""IB has ended a line that it served, and wants to be asked again."""


class MarketData:
    """All market data lines of one broker.

    Args:
        session: Gives a session that is ready, or raises what there is to say instead.
        pacing: Counts requests for history, of which bars take some; None where IB's limits are not in force.
        max_lines: Of quotes and bars together.
        market: The time of the market, by which bars end.
    """

    def __init__(
        self,
        session: Callable[[], Session],
        contracts: Contracts,
        clock: Clock,
        *,
        pacing: HistoryPacing | None,
        max_lines: int = MAX_LINES,
        market: Clock | None = None,
    ) -> None:
        self._session = session
        self._contracts = contracts
        self._max_lines = max_lines
        self._clock = clock
        self._market = market or clock
        self._pacing = pacing
        self._spacing = Spacing()
        self._lines: OrderedDict[Key, Line] = OrderedDict()
        """The one used longest ago first."""
        self._by_req_id: dict[int, Line] = {}
        self._by_ticker: dict[ib_async.Ticker, QuoteLine] = {}
        self._is_stale = True
        """Whether the session itself cannot be vouched for."""
        self._broken_farms: set[str] = set()
        self._farm_timer: asyncio.TimerHandle | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    # Asking and following ----------------------------------------------------------------------

    async def get(self, contracts: Sequence[Contract]) -> tuple[Quote, ...]:
        """The latest quotes, in the order asked. What has not come in `QUOTE_WAIT` seconds is None.

        Raises:
            Unavailable: the session is not ready, or ended meanwhile.
            Refused: IB refused market data for one of them.
            TooManySubscriptions: every line is taken by somebody who follows it or waits for a first quote.
        """
        lines: list[QuoteLine] = []
        try:
            for contract in contracts:
                line = self._line(Channel.QUOTES, contract)
                assert isinstance(line, QuoteLine)
                line.waiting += 1
                lines.append(line)
            await self._first_quotes([line for line in lines if line.is_awaited])
        finally:
            for line in lines:
                line.waiting -= 1
                self._left(line)
        for line in lines:
            if (failure := line.interruption or line.error) is not None:
                raise failure
        return tuple(line.read() for line in lines)

    async def _first_quotes(self, lines: Sequence[QuoteLine]) -> None:
        if not lines:
            return
        try:
            async with asyncio.timeout(QUOTE_WAIT):
                await asyncio.gather(*(line.filled.wait() for line in lines))
        except TimeoutError:
            for line in lines:
                line.is_incomplete = not line.filled.is_set()

    async def hold(self, subject: Subject, holder: object) -> Topic:
        """As `MarketSource.hold`."""
        contract = (await self._contracts.qualify(subject.query)).contract
        subject = subject.of(contract.sec_type)
        line = self._line(subject.channel, contract, subject.variant, subject.bars)
        line.holders.add(holder)
        return line.topic

    def release(self, topic: Topic, holder: object) -> None:
        """As `MarketSource.release`."""
        line = self._lines.get(key_of(topic.channel, topic.contract, topic.variant, topic.bars))
        if line is not None and line.topic is topic:
            line.holders.discard(holder)
            self._left(line)

    def usage(self) -> tuple[LineUsage, ...]:
        return usage(self._lines.values(), self._max_lines)

    def kept(self) -> int:
        """How many bars IB is asked to keep up to date."""
        return sum(isinstance(line, KeptBarLine) for line in self._lines.values())

    # Lines -------------------------------------------------------------------------------------

    def _line(
        self, channel: Channel, contract: Contract, variant: str = "", bars: LiveBars | None = None
    ) -> Line:
        """The line, which is asked for if it is not there, or was refused before."""
        session = self._session()
        key = key_of(channel, contract, variant, bars)
        line = self._lines.get(key)
        if line is None:
            line = self._new(channel, contract, variant, bars)
            line.is_cut_off, line.is_in_doubt = self._is_stale, bool(self._broken_farms)
            wait = line.pace.wait(asyncio.get_running_loop().time())
            if wait > session.options.request_timeout:
                raise too_many(line.what, 0, wait)
            if (other := in_the_way_of(line, self._lines.values(), self._max_lines)) is not None:
                self._drop(other)
            self._subscribe(session, line)
            self._lines[key] = line
        elif line.error is not None:  # it may be different now
            self._renew(session, [line])
        self._lines.move_to_end(key)
        return line

    def _new(self, channel: Channel, contract: Contract, variant: str, bars: LiveBars | None) -> Line:
        match channel:
            case Channel.QUOTES:
                return QuoteLine(contract)
            case Channel.DEPTH:
                return DepthLine(contract)
            case Channel.BARS:
                assert bars is not None
                pacing = self._pacing if is_limited(bars.bar_size) else None
                pace = AsHistory(pacing) if pacing is not None else Unlimited()
                if bars.are_real_time:
                    return LiveBarLine(contract, variant, bars, pace)
                return KeptBarLine(contract, variant, bars, pace, self._market)
            case _:
                spaced = Spaced(self._spacing, contract.con_id)
                return TickLine(
                    contract, TickType(variant), spaced if self._pacing is not None else Unlimited()
                )

    def _left(self, line: Line) -> None:
        """Somebody uses it no longer: where nobody does, it is kept for a while, unless it is of no use."""
        if line.is_used or self._lines.get(line.key) is not line:
            return
        if line.error is not None:
            self._drop(line)
            return
        line.used_at = asyncio.get_running_loop().time()
        self._lines.move_to_end(line.key)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(GRACE, self._sweep)

    def _sweep(self) -> None:
        """Give up what nobody has used for a while."""
        self._sweeper = None
        loop = asyncio.get_running_loop()
        unused = [line for line in self._lines.values() if not line.is_used]
        for line in unused:
            if line.used_at + GRACE > loop.time():  # those that follow were used later
                self._sweeper = loop.call_at(line.used_at + GRACE, self._sweep)
                break
            self._drop(line)

    def _drop(self, line: Line) -> None:
        del self._lines[line.key]
        self._unsubscribe(line)

    # Subscriptions -----------------------------------------------------------------------------

    def _subscribe(self, session: Session, line: Line) -> None:
        """Ask for it, or later, where IB does not let it be asked for yet."""
        now = asyncio.get_running_loop().time()
        if (wait := line.pace.wait(now)) > 0:
            self._renew_later(line, wait)
            return
        req_id = session.requests.new_id()
        line.begin(session, req_id)
        line.pace.reserve(now)
        self._by_req_id[req_id] = line
        if isinstance(line, QuoteLine):
            self._by_ticker[line.ticker] = line

        def send() -> None:
            line.pace.count(asyncio.get_running_loop().time())
            line.send(session.ib.client, req_id)

        line.subscription = Subscription(session, req_id, session.requests.post(Priority.DATA, send))
        self._renew_later(line, line.PATIENCE * 2 ** min(line.attempt, DOUBLINGS))

    def _unsubscribe(self, line: Line, *, is_lost: bool = False) -> None:
        """Let ib_async forget it, and IB as well unless it has lost or refused it.

        One that was served before it was refused is cancelled, too: IB may go on with it, and wants it to be
        before it begins it anew (10225). Its request id may be another line's by now: each connection counts
        from where IB tells it to.
        """
        line.stop_timer()
        subscription, line.subscription = line.subscription, None
        if subscription is None:
            return
        session, req_id = subscription.session, subscription.req_id
        if self._by_req_id.get(req_id) is line:
            del self._by_req_id[req_id]
        if isinstance(line, QuoteLine):
            self._by_ticker.pop(line.ticker, None)
        line.end(session, req_id)
        if not subscription.turn.is_over:
            session.requests.give_up(subscription.turn)
            line.pace.withdraw()
        elif not is_lost and (line.error is None or line.as_of is not None):
            with suppress(TradeMindError):  # with the connection the line has ended, too
                session.requests.post(Priority.DATA, partial(line.cancel, session.ib.client, req_id))

    def _renew(self, session: Session, lines: Iterable[Line], *, is_lost: bool = False) -> None:
        """Ask again for each of them, for whoever holds or awaits it."""
        for line in list(lines):
            if line.subscription is not None:
                line.attempt = line.attempt + 1 if line.as_of is None else 0
            self._unsubscribe(line, is_lost=is_lost)
            if is_lost or isinstance(line, SequenceLine):
                line.is_in_doubt = False
            self._subscribe(session, line)

    def _renew_if_ready(self, lines: Sequence[Line]) -> bool:
        try:
            self._renew(self._session(), lines)
        except TradeMindError:
            return False  # the session is not ready: see `mark_stale`
        return True

    def _renew_later(self, line: Line, seconds: float) -> None:
        """Ask again in so many seconds, unless something comes."""
        line.stop_timer()
        line.timer = asyncio.get_running_loop().call_later(seconds, self._on_timer, line, seconds)

    def _on_timer(self, line: Line, seconds: float) -> None:
        line.timer = None
        is_on_its_way = line.subscription is not None and not line.subscription.turn.is_over
        # There was no way for anything to come, or nobody to whom it would matter yet.
        if self._is_stale or is_on_its_way or not line.is_used:
            self._renew_later(line, max(seconds, NOT_READY_RETRY))
            return
        if line.subscription is not None and line.error is None:
            line.doubted(f"{line.what}: nothing came for {seconds:g} s, so IB is asked again")
        if not self._renew_if_ready([line]):
            self._renew_later(line, max(seconds, NOT_READY_RETRY))

    # What becomes of the session ---------------------------------------------------------------

    def restore(self, session: Session) -> None:
        """Ask again for everything, on a new connection or after IB has dropped the lines (1101)."""
        self._broken_farms.clear()
        # A second's messages are some forty lines: who waits for data has them before they are kept warm.
        self._renew(session, sorted(self._lines.values(), key=lambda line: not line.is_used), is_lost=True)

    def mark_stale(self, is_stale: bool) -> None:
        """Whether the session as a whole can be vouched for."""
        self._is_stale = is_stale
        for line in self._lines.values():
            if is_stale:
                line.cut_off()
            else:
                line.connected()
        if not is_stale:  # what was to be asked again meanwhile could not be
            self._renew_doubtful()
            self._renew_if_ready([line for line in self._lines.values() if _may_be_back(line)])

    def interrupted(self, error: TradeMindError) -> None:
        """Whoever waits for a first quote is told."""
        for line in self._lines.values():
            if isinstance(line, QuoteLine):
                line.interrupted(error)

    def close(self) -> None:
        """The session was ended for good: nothing is asked again from now on."""
        for timer in (self._farm_timer, self._sweeper):
            if timer is not None:
                timer.cancel()
        self._farm_timer = self._sweeper = None
        for line in list(self._lines.values()):
            self._drop(line)

    # What IB says ------------------------------------------------------------------------------

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None:
        now = self._clock.now()
        for ticker in tickers:
            line = self._by_ticker.get(ticker)
            if line is not None:
                line.heard(now)
                line.ticked()

    def on_depth_row(
        self, req_id: int, position: int, maker: str, operation: int, side: int, price: float, size: float
    ) -> None:
        if isinstance(line := self._by_req_id.get(req_id), DepthLine):
            line.heard(self._clock.now())
            line.row(position, maker, operation, side, price, size)

    def on_bar(self, req_id: int, bar: ib_async.BarData) -> None:
        if isinstance(line := self._by_req_id.get(req_id), LiveBarLine):
            line.bar(self._clock.now(), bar)

    def on_past_bar(self, req_id: int, bar: ib_async.BarData) -> bool:
        if not isinstance(line := self._by_req_id.get(req_id), KeptBarLine):
            return False
        line.past(bar)
        return True

    def on_past_bars_end(self, req_id: int) -> bool:
        if not isinstance(line := self._by_req_id.get(req_id), KeptBarLine):
            return False
        line.answered(self._clock.now())
        return True

    def on_bar_update(self, req_id: int, bar: ib_async.BarData) -> None:
        if isinstance(line := self._by_req_id.get(req_id), KeptBarLine) and not line.update(
            self._clock.now(), bar
        ):
            self._renew_if_ready([line])

    def on_trade(
        self,
        req_id: int,
        time: int,
        price: float,
        size: float,
        attributes: ib_async.TickAttribLast,
        exchange: str,
        conditions: str,
    ) -> None:
        if isinstance(line := self._by_req_id.get(req_id), TickLine):
            line.trade(self._clock.now(), time, price, size, attributes, exchange, conditions)

    def on_bid_ask(
        self, req_id: int, time: int, bid: float, ask: float, bid_size: float, ask_size: float
    ) -> None:
        if isinstance(line := self._by_req_id.get(req_id), TickLine):
            line.bid_ask(self._clock.now(), time, bid, ask, bid_size, ask_size)

    def on_mid_point(self, req_id: int, time: int, price: float) -> None:
        if isinstance(line := self._by_req_id.get(req_id), TickLine):
            line.mid_point(self._clock.now(), time, price)

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """An error about a line. Returns whether it was one of ours.

        Whoever holds the line is told, and nobody else. A notice is no failure, and of a code that is in no
        table only what comes, or does not, tells what it meant.
        """
        line = self._by_req_id.get(req_id)
        if line is None:
            return KeptBarLine.is_cancelled(code, message)
        if isinstance(line, KeptBarLine) and line.has_nothing(code, message):
            self._unsubscribe(line, is_lost=True)
            self._renew_later(line, REFUSED_RETRY * 2 ** min(line.attempt, CLOSED_DOUBLINGS))
            line.attempt += 1
            return True
        notice = Notice(time=self._clock.now(), ib_code=code, message=message)
        if code_of(code).severity in (Severity.NOTICE, Severity.UNLISTED):
            line.noted(notice)
            return True
        has_ended = code in ENDED and line.as_of is not None
        line.refused(error_from(code, message, line.what), notice)
        if line.is_used:
            wait = 0.0 if has_ended else REFUSED_RETRY * 2 ** min(line.attempt, DOUBLINGS)
            self._renew_later(line, wait)
        else:
            self._drop(line)
        return True

    def on_farm(self, name: str, state: str) -> None:
        """A market data farm has broken, or is back (2103, 2104).

        Which instruments come from it is not told. While one is broken, a line of which nothing comes is in
        doubt; when it is back, those that stay so are asked for again. The session is never torn down for it.
        """
        if state == "broken":
            self._broken_farms.add(name)
            for line in self._lines.values():
                line.is_in_doubt = True
                line.doubted(f"{line.what}: IB's data farm {name} is disconnected", FARM_BROKEN)
        elif state == "ok" and name in self._broken_farms:
            self._broken_farms.discard(name)
            if self._farm_timer is not None:
                self._farm_timer.cancel()
            self._farm_timer = asyncio.get_running_loop().call_later(FARM_GRACE, self._after_farm)

    def _after_farm(self) -> None:
        self._farm_timer = None
        self._renew_doubtful()

    def _renew_doubtful(self) -> None:
        if not self._broken_farms:
            self._renew_if_ready([line for line in self._lines.values() if line.is_in_doubt])


def _may_be_back(line: Line) -> bool:
    """Was a line that is followed refused for a reason that passes by itself?"""
    return bool(line.holders) and isinstance(line.error, CompetingSession | Unavailable)
