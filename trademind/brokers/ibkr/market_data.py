"""Quotes: one market data line per instrument, however often it is asked for.

The first question about an instrument subscribes; from then on its quote is read from memory. Lines are
scarce (100 per IB login), so the one that was asked for longest ago makes room for a new one. Lines belong
to a connection; on a new one the instruments are subscribed again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import ib_async

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.codes import Severity, code_of, error_from
from trademind.brokers.ibkr.session import Session
from trademind.clock import Clock
from trademind.domain import Contract, Quote
from trademind.errors import PacingViolation, TradeMindError

MAX_LINES = 90
"""Lines used of the 100 that IB grants a login by default; the rest is left to the user's own TWS."""

QUOTE_WAIT = 3.0
"""Seconds that the first question about an instrument waits for a full quote."""


@dataclass(slots=True)
class _Line:
    contract: Contract
    ticker: ib_async.Ticker
    req_id: int
    filled: asyncio.Event
    """Set when bid, ask and last are all in, or when the line has failed."""
    as_of: datetime | None = None
    """When the last tick came; None before the first."""
    error: TradeMindError | None = None
    waiting: int = 0
    """How many callers wait for the first quote: a line with waiters is not given up for another."""
    is_incomplete: bool = False
    """The wait for a full quote was used up once; nobody waits again."""

    def quote(self) -> Quote:
        return convert.to_quote(self.contract, self.ticker, as_of=self.as_of, stale=self.error is not None)


class Quotes:
    """The quote desk."""

    def __init__(self, session: Callable[[], Session], clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._lines: OrderedDict[int, _Line] = OrderedDict()
        """By con id, the one asked for longest ago first."""
        self._by_req_id: dict[int, _Line] = {}

    async def get(self, contracts: Sequence[Contract]) -> tuple[Quote, ...]:
        """The latest quotes, in the order asked. What has not come in `QUOTE_WAIT` seconds is None.

        Raises:
            Unavailable: the session is not ready, or ended meanwhile.
            Refused: IB refused market data for one of them.
            PacingViolation: every line is taken by somebody who waits for a first quote.
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
            if line.error is not None:
                if self._lines.get(line.contract.con_id) is line:
                    del self._lines[line.contract.con_id]
                    if line.req_id in self._by_req_id:
                        self._cancel(session, line)
                raise line.error
        return tuple(line.quote() for line in lines)

    async def _first_quotes(self, lines: Sequence[_Line]) -> None:
        if not lines or all(line.is_incomplete for line in lines):
            return
        try:
            async with asyncio.timeout(QUOTE_WAIT):
                await asyncio.gather(*(line.filled.wait() for line in lines))
        except TimeoutError:
            for line in lines:
                line.is_incomplete = not line.filled.is_set()

    def _line(self, session: Session, contract: Contract) -> _Line:
        line = self._lines.get(contract.con_id)
        if line is not None:
            self._lines.move_to_end(contract.con_id)
            return line
        if len(self._lines) >= MAX_LINES:
            unused = next((con_id for con_id, line in self._lines.items() if not line.waiting), None)
            if unused is None:
                raise PacingViolation(f"all {MAX_LINES} market data lines are in use; ask again in a moment")
            self._cancel(session, self._lines.pop(unused))
        return self._subscribe(session, contract)

    def _subscribe(self, session: Session, contract: Contract) -> _Line:
        reference = convert.to_ib_reference(contract)
        req_id = session.requests.new_id()
        # ib_async would go on with the ticker of an earlier line, and old prices would look like new ones.
        session.ib.wrapper.tickers.pop(hash(reference), None)
        ticker = session.ib.wrapper.startTicker(req_id, reference, "mktData")
        session.ib.client.reqMktData(req_id, reference, "", False, False, [])
        line = _Line(contract, ticker, req_id, asyncio.Event())
        self._lines[contract.con_id] = line
        self._by_req_id[req_id] = line
        return line

    def _cancel(self, session: Session, line: _Line) -> None:
        wrapper = session.ib.wrapper
        wrapper.endTicker(line.ticker, "mktData")
        # ib_async keeps these for ever otherwise.
        wrapper.reqId2Ticker.pop(line.req_id, None)
        wrapper.tickers.pop(hash(line.ticker.contract), None)
        self._by_req_id.pop(line.req_id, None)
        session.ib.client.cancelMktData(line.req_id)

    def on_tickers(self, tickers: set[ib_async.Ticker]) -> None:
        """Ticks have come in. Runs inside the socket's callback."""
        now = self._clock.now()
        for ticker in tickers:
            contract = ticker.contract
            line = self._lines.get(contract.conId) if contract else None
            if line is None or line.ticker is not ticker:
                continue
            line.as_of = now
            if not line.filled.is_set() and ticker.hasBidAsk() and ticker.last == ticker.last:
                line.filled.set()

    def on_error(self, req_id: int, code: int, message: str) -> bool:
        """An error about a market data line. Returns whether it was one of ours."""
        line = self._by_req_id.get(req_id)
        if line is None:
            return False
        if code_of(code).severity is not Severity.NOTICE:
            line.error = error_from(code, message, f"quote of {line.contract.symbol}")
            line.filled.set()
        return True

    def connection_lost(self, error: TradeMindError) -> None:
        """Whoever waits for a first quote is told."""
        for line in self._lines.values():
            line.error = error
            line.filled.set()
        self._by_req_id.clear()

    def restore(self, session: Session) -> None:
        """Subscribe again, on a new connection or after IB has dropped the lines (1101)."""
        contracts = [line.contract for line in self._lines.values()]
        self._lines.clear()
        self._by_req_id.clear()
        for contract in contracts:
            self._subscribe(session, contract)
