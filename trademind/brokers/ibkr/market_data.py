"""Quotes: one market data line per instrument, however often it is asked for.

The first question about an instrument subscribes; from then on its quote is read from memory. Lines are
scarce (100 per IB login), so the one that was asked for longest ago makes room for a new one, unless a stream
holds it. Lines belong to a connection: on a new one, and when IB has dropped them, the instruments are
subscribed again, one by one as pacing allows. What cannot be vouched for is marked as stale.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import ib_async

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.contracts import Contracts
from trademind.brokers.ibkr.pacing import Priority, Turn
from trademind.brokers.ibkr.session import Session
from trademind.brokers.topics import LatestTopic, Topic
from trademind.clock import Clock
from trademind.domain import Channel, Contract, LineUsage, Notice, Quote, Subject
from trademind.errors import CompetingSession, TooManySubscriptions, TradeMindError, Unavailable

MAX_LINES: Final = 90
"""Lines used of the 100 that IB grants a login by default; the rest is left to the user's own TWS."""

QUOTE_WAIT: Final = 3.0
"""Seconds that the first question about an instrument waits for a full quote."""

FARM_GRACE: Final = 5.0
"""Seconds after a data farm is back in which its ticks come again by themselves, if they do."""

REFUSED_RETRY: Final = 30.0
"""Seconds until a line that a stream holds is asked for again after it was refused, as by another session of
the login (10197): IB gives no sign when the reason is gone. Then twice as long each time."""

UNTOLD: Final = 0
"""No market data type of IB's: none has been told yet."""

FIRST_TICK: Final = 10.0
"""Seconds in which a line has its first tick, or an error: IB tells the last known figures at once. One that
has neither has got lost, with a gateway that hung for a moment for instance, and is subscribed again; then
after twice as long each time, as an instrument may have no figures at all."""

MAX_NOTICES: Final = 5
"""Notices kept for each line."""


@dataclass(slots=True, eq=False)
class _Line:
    contract: Contract
    topic: LatestTopic
    ticker: ib_async.Ticker
    req_id: int
    turn: Turn
    """The subscription's place in the queue to the gateway."""
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when bid, ask and last are all in, or when the line has failed."""
    as_of: datetime | None = None
    """When the last tick came; None before the first."""
    is_in_doubt: bool = False
    """A data farm has broken since the last tick."""
    error: TradeMindError | None = None
    """What IB refused it with."""
    interruption: TradeMindError | None = None
    """Why whoever waits for the first quote waits in vain."""
    notices: tuple[Notice, ...] = ()
    waiting: int = 0
    """How many callers wait for the first quote: a line with waiters is not given up for another."""
    holders: set[object] = field(default_factory=set)
    """Who follows it: then it is not given up at all."""
    deadline: asyncio.TimerHandle | None = None
    """When its first tick has to be there."""
    attempt: int = 0
    """How often it was subscribed before without a tick."""
    is_incomplete: bool = False
    """The wait for a full quote was used up once; nobody waits again."""


class Quotes:
    """The quote desk. `session` gives a session that is ready, or raises what there is to say instead."""

    def __init__(
        self,
        session: Callable[[], Session],
        contracts: Contracts,
        clock: Clock,
        *,
        max_lines: int = MAX_LINES,
    ) -> None:
        self._session = session
        self._contracts = contracts
        self._clock = clock
        self._max_lines = max_lines
        self._lines: OrderedDict[int, _Line] = OrderedDict()
        """By con id, the one asked for longest ago first."""
        self._by_req_id: dict[int, _Line] = {}
        self._is_stale = True
        """Whether the session itself cannot be vouched for."""
        self._broken_farms: set[str] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    # Asking ------------------------------------------------------------------------------------

    async def get(self, contracts: Sequence[Contract]) -> tuple[Quote, ...]:
        """The latest quotes, in the order asked. What has not come in `QUOTE_WAIT` seconds is None.

        Raises:
            Unavailable: the session is not ready, or ended meanwhile.
            Refused: IB refused market data for one of them.
            TooManySubscriptions: every line is taken by somebody who waits for a first quote, or by a stream.
        """
        session = self._session()
        lines: list[_Line] = []
        try:
            for contract in contracts:
                line = self._line(session, contract)
                line.waiting += 1
                lines.append(line)
            await self._first_quotes([line for line in lines if not line.filled.is_set()])
        finally:
            for line in lines:
                line.waiting -= 1
        for line in lines:
            if line.interruption is not None:
                raise line.interruption
            if line.error is not None:
                if self._lines.get(line.contract.con_id) is line and not line.holders:
                    self._drop(session, line)
                raise line.error
        return tuple(self._quote(line) for line in lines)

    async def _first_quotes(self, lines: Sequence[_Line]) -> None:
        if not lines or all(line.is_incomplete for line in lines):
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
        line = self._line(self._session(), contract)
        line.holders.add(holder)
        return line.topic

    def release(self, topic: Topic, holder: object) -> None:
        """As `MarketSource.release`; the line stays until another one needs the room."""
        if (line := self._lines.get(topic.contract.con_id)) is not None:
            line.holders.discard(holder)

    def usage(self) -> LineUsage:
        """As `Broker.line_usage`, of quotes."""
        held = sum(bool(line.holders) for line in self._lines.values())
        return LineUsage(channel=Channel.QUOTES, limit=self._max_lines, used=len(self._lines), held=held)

    def _quote(self, line: _Line) -> Quote:
        is_stale = self._is_stale or line.is_in_doubt or line.error is not None
        return convert.to_quote(
            line.contract, line.ticker, as_of=line.as_of, stale=is_stale, notices=line.notices
        )

    def _latest(self, con_id: int) -> Quote:
        return self._quote(self._lines[con_id])

    # Lines -------------------------------------------------------------------------------------

    def _line(self, session: Session, contract: Contract) -> _Line:
        line = self._lines.get(contract.con_id)
        if line is not None:
            if line.error is not None:  # it may be different now
                self._renew(session, [line])
            self._lines.move_to_end(contract.con_id)
            return self._lines[contract.con_id]
        if len(self._lines) >= self._max_lines:
            unused = next((o for o in self._lines.values() if not o.waiting and not o.holders), None)
            if unused is None:
                raise TooManySubscriptions(
                    f"all {self._max_lines} market data lines are in use; ask again when a stream has let "
                    "one go",
                    retry_after=5,
                )
            self._drop(session, unused)
        return self._subscribe(session, contract)

    def _subscribe(
        self, session: Session, contract: Contract, topic: LatestTopic | None = None, attempt: int = 0
    ) -> _Line:
        reference = convert.to_ib_reference(contract)
        req_id = session.requests.new_id()
        # ib_async would go on with the ticker of an earlier line, and old prices would look like new ones.
        session.ib.wrapper.tickers.pop(hash(reference), None)
        ticker = session.ib.wrapper.startTicker(req_id, reference, "mktData")
        ticker.marketDataType = UNTOLD  # ib_async takes it for live before anything has been delivered
        turn = session.requests.post(
            Priority.DATA,
            lambda: session.ib.client.reqMktData(req_id, reference, "", False, False, []),
        )
        topic = topic or LatestTopic(Channel.QUOTES, contract, partial(self._latest, contract.con_id))
        line = _Line(contract, topic, ticker, req_id, turn, attempt=attempt)
        self._lines[contract.con_id] = line
        self._by_req_id[req_id] = line
        self._expect_ticks(line)
        return line

    def _expect_ticks(self, line: _Line) -> None:
        line.deadline = self._later(
            FIRST_TICK * 2 ** min(line.attempt, 5), partial(self._renew_if_mute, line)
        )

    def _expect_no_longer(self, line: _Line) -> None:
        if line.deadline is not None:
            line.deadline.cancel()
            self._timers.discard(line.deadline)
            line.deadline = None

    def _renew_if_mute(self, line: _Line) -> None:
        if (
            self._lines.get(line.contract.con_id) is not line
            or line.as_of is not None
            or line.error is not None
        ):
            return
        if self._is_stale or not line.turn.is_over:
            self._expect_ticks(line)  # there was no way for any to come
        else:
            self._renew_if_ready([line])

    def _drop(self, session: Session, line: _Line) -> None:
        """Give a line up."""
        del self._lines[line.contract.con_id]
        self._unsubscribe(session, line)

    def _unsubscribe(self, session: Session, line: _Line, *, is_lost: bool = False) -> None:
        """Let ib_async forget a line, and IB as well unless it has lost or refused it.

        Its request id may be another line's by now: each connection counts from where IB tells it to.
        """
        self._expect_no_longer(line)
        if self._by_req_id.get(line.req_id) is line:
            del self._by_req_id[line.req_id]
        wrapper = session.ib.wrapper
        wrapper.endTicker(line.ticker, "mktData")
        # ib_async keeps these for ever otherwise.
        if wrapper.reqId2Ticker.get(line.req_id) is line.ticker:
            del wrapper.reqId2Ticker[line.req_id]
        if wrapper.tickers.get(hash(line.ticker.contract)) is line.ticker:
            del wrapper.tickers[hash(line.ticker.contract)]
        if is_lost or line.error is not None:
            return
        if line.turn.is_over:
            session.requests.post(Priority.DATA, lambda: session.ib.client.cancelMktData(line.req_id))
        else:
            session.requests.give_up(line.turn)

    def _renew(self, session: Session, lines: Iterable[_Line], *, is_lost: bool = False) -> None:
        """Subscribe again to each of them, for whoever holds or awaits it."""
        for old in list(lines):
            self._unsubscribe(session, old, is_lost=is_lost)
            attempt = old.attempt + 1 if old.as_of is None else 0
            line = self._subscribe(session, old.contract, old.topic, attempt)
            line.holders = old.holders
            line.is_in_doubt = old.is_in_doubt and not is_lost
            old.filled.set()
            line.topic.touch()

    def restore(self, session: Session) -> None:
        """Subscribe again to everything, on a new connection or after IB has dropped the lines (1101)."""
        self._by_req_id.clear()
        self._broken_farms.clear()
        self._renew(session, self._lines.values(), is_lost=True)

    def mark_stale(self, is_stale: bool) -> None:
        """Whether the session as a whole can be vouched for."""
        self._is_stale = is_stale
        for line in self._lines.values():
            if not is_stale and line.interruption is not None:
                line.interruption = None
                line.filled.clear()
            line.topic.touch()
        if not is_stale:  # what was to be subscribed again meanwhile could not be
            self._renew_doubtful()
            self._renew_if_ready([line for line in self._lines.values() if _may_be_back(line)])

    def interrupted(self, error: TradeMindError) -> None:
        """Whoever waits for a first quote is told."""
        for line in self._lines.values():
            if not line.filled.is_set():
                line.interruption = error
                line.filled.set()

    def close(self) -> None:
        """Nothing is tried again from now on."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # What IB says ------------------------------------------------------------------------------

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None:
        """Ticks have come in. Runs inside the socket's callback."""
        now = self._clock.now()
        for ticker in tickers:
            contract = ticker.contract
            line = self._lines.get(contract.conId) if contract else None
            if line is None or line.ticker is not ticker:
                continue
            line.as_of = now
            line.is_in_doubt = False
            self._expect_no_longer(line)
            if not line.filled.is_set() and ticker.hasBidAsk() and ticker.last == ticker.last:
                line.filled.set()
            line.topic.touch()

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """An error about a market data line. Returns whether it was one of ours.

        Whoever holds the line is told by its quote, which has the notice; a notice is no failure, and of a
        code that is in no table only the ticks, or their absence, tell what it meant.
        """
        line = self._by_req_id.get(req_id)
        if line is None:
            return False
        notice = Notice(time=self._clock.now(), ib_code=code, message=message)
        line.notices = (*line.notices, notice)[-MAX_NOTICES:]
        if code_of(code).severity not in (Severity.NOTICE, Severity.UNLISTED):
            line.error = error_from(code, message, f"quote of {line.contract.symbol}")
            line.filled.set()
            self._later(REFUSED_RETRY * 2 ** min(line.attempt, 5), partial(self._retry, line))
        line.topic.touch()
        return True

    def on_farm(self, name: str, state: str) -> None:
        """A market data farm has broken, or is back (2103, 2104).

        Which instruments come from it is not told. While one is broken, a line without ticks is in doubt;
        when it is back, lines that stay without are subscribed again. The session is never torn down for it.
        """
        if state == "broken":
            self._broken_farms.add(name)
            for line in self._lines.values():
                line.is_in_doubt = True
                line.topic.touch()
        elif state == "ok" and name in self._broken_farms:
            self._broken_farms.discard(name)
            self._later(FARM_GRACE, self._renew_doubtful)

    def _renew_doubtful(self) -> None:
        if not self._broken_farms:
            self._renew_if_ready([line for line in self._lines.values() if line.is_in_doubt])

    def _retry(self, line: _Line) -> None:
        if self._lines.get(line.contract.con_id) is line and line.holders:
            self._renew_if_ready([line])

    def _renew_if_ready(self, lines: Sequence[_Line]) -> None:
        try:
            self._renew(self._session(), lines)
        except TradeMindError:
            return  # the session is not ready: see `mark_stale`

    def _later(self, seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        def fire() -> None:
            self._timers.discard(timer)
            act()

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)
        return timer


def _may_be_back(line: _Line) -> bool:
    """Was a line that a stream holds refused for a reason that passes by itself?"""
    return bool(line.holders) and isinstance(line.error, CompetingSession | Unavailable)
