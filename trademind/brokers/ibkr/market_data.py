"""Quotes: one market data line per instrument, however often it is asked for.

The first question about an instrument subscribes; from then on its quote is read from memory. Lines are
scarce (100 per IB login), so the one that was asked for longest ago makes room for a new one. Lines belong
to a connection; on a new one the instruments are subscribed again.
"""

import asyncio
import logging
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
from trademind.errors import TradeMindError

log = logging.getLogger(__name__)

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
    as_of: datetime
    error: TradeMindError | None = None

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
        """
        session = self._session()
        lines = [self._line(session, contract) for contract in contracts]
        waiting = [line for line in lines if not line.filled.is_set()]
        if waiting:
            try:
                async with asyncio.timeout(QUOTE_WAIT):
                    await asyncio.gather(*(line.filled.wait() for line in waiting))
            except TimeoutError:
                log.debug("no full quote in time for %s", [line.contract.symbol for line in waiting])
        for line in lines:
            if line.error is not None:
                self._lines.pop(line.contract.con_id, None)
                raise line.error
        return tuple(line.quote() for line in lines)

    def _line(self, session: Session, contract: Contract) -> _Line:
        line = self._lines.get(contract.con_id)
        if line is not None:
            self._lines.move_to_end(contract.con_id)
            return line
        while len(self._lines) >= MAX_LINES:
            _, oldest = self._lines.popitem(last=False)
            self._cancel(session, oldest)
        return self._subscribe(session, contract)

    def _subscribe(self, session: Session, contract: Contract) -> _Line:
        reference = convert.to_ib_reference(contract)
        req_id = session.requests.new_id()
        ticker = session.ib.wrapper.startTicker(req_id, reference, "mktData")
        session.ib.client.reqMktData(req_id, reference, "", False, False, [])
        line = _Line(contract, ticker, req_id, asyncio.Event(), self._clock.now())
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
