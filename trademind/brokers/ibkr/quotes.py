"""Quotes: lines of level I market data, whose latest values ib_async keeps in a ticker."""

import asyncio
from typing import Final

import ib_async
from ib_async.client import Client

from trademind.brokers.ibkr import convert
from trademind.brokers.ibkr.lines import LatestLine
from trademind.brokers.ibkr.session import Session
from trademind.domain import Channel, Contract, Notice, Quote, SecType
from trademind.errors import TradeMindError

UNTOLD: Final = 0
"""No market data type of IB's: none has been told yet."""

_UNQUOTED: Final = frozenset({SecType.INDEX})
_UNTRADED: Final = frozenset({SecType.CASH, SecType.CFD, SecType.COMMODITY})
"""Of these there are no trades, of those no bids and asks."""


class QuoteLine(LatestLine):
    PATIENCE = 10.0
    """IB tells the last known figures at once."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(Channel.QUOTES, contract)
        self.filled = asyncio.Event()
        """Set when whoever waits for the first quote waits no longer: it is full, or does not come."""
        self.interruption: TradeMindError | None = None
        """Why whoever waits for the first quote waits in vain."""
        self.is_incomplete = False
        """The wait for a full quote was used up once; nobody waits again."""
        self._ticker = ib_async.Ticker()

    @property
    def what(self) -> str:
        return f"quote of {self.name}"

    @property
    def is_awaited(self) -> bool:
        """Is it worth while to wait for the first quote?"""
        return not (self.filled.is_set() or self.is_incomplete)

    @property
    def ticker(self) -> ib_async.Ticker:
        return self._ticker

    def begin(self, session: Session, req_id: int) -> None:
        super().begin(session, req_id)
        # ib_async would go on with the ticker of an earlier line, whose old prices would look like new ones,
        # and keeps what it is told of tickers for ever. So it knows this one by its request id alone.
        wrapper = session.ib.wrapper
        self._ticker = ib_async.Ticker(
            contract=convert.to_ib_reference(self.contract), defaults=wrapper.defaults
        )
        self._ticker.marketDataType = UNTOLD  # ib_async takes it for live before anything has been delivered
        wrapper.reqId2Ticker[req_id] = self._ticker
        self.is_incomplete, self.interruption = False, None
        self.filled.clear()

    def send(self, client: Client, req_id: int) -> None:
        client.reqMktData(req_id, self._ticker.contract, "", False, False, [])

    def cancel(self, client: Client, req_id: int) -> None:
        client.cancelMktData(req_id)

    def refused(self, error: TradeMindError, notice: Notice) -> None:
        super().refused(error, notice)
        self.filled.set()

    def interrupted(self, error: TradeMindError) -> None:
        """Whoever waits for the first quote is told."""
        if not self.filled.is_set():
            self.interruption = error
            self.filled.set()

    def connected(self) -> None:
        super().connected()
        if self.interruption is not None:  # the wait is worth while again
            self.interruption = None
            self.filled.clear()

    def ticked(self) -> None:
        """Ticks have come in."""
        if not self.filled.is_set() and self._is_full():
            self.filled.set()
        self.latest.touch()

    def _is_full(self) -> bool:
        kind, ticker = self.contract.sec_type, self._ticker
        return (kind in _UNQUOTED or ticker.hasBidAsk()) and (
            kind in _UNTRADED or not ticker.isUnset(ticker.last)
        )

    def read(self) -> Quote:
        return convert.to_quote(
            self.contract, self._ticker, as_of=self.as_of, stale=self.is_stale, notices=self.notices
        )
