"""The real client libraries without sockets: they write the requests, and read what the gateway answers."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import ib_async
import ib_async.decoder
import ibapi.contract
import ibapi.decoder

from tests.gateway.wire import test_requests_of_ib_async, test_requests_of_ibapi
from trademind.clock import ManualClock
from trademind.gateway.engine.hours import NEW_YORK, MarketHours, Phase, TradingSession
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.store import AccountStore, open_exchange
from trademind.gateway.wire.fields import encode_fields
from trademind.gateway.wire.frames import FrameBuffer, encode_frame

VERSIONS = (157, 163, 176, 178, 187, 194, 200)
AAPL_ID = 265598
SPY_ID = 756733
EURUSD_ID = 12087792
NOW = datetime(2026, 11, 23, 15, 30, 20, tzinfo=UTC)
"""A Monday, 10:30:20 in New York."""

Call = tuple[str, tuple[Any, ...]]


class Heard(list[Call]):
    """What a client library made of the gateway's answers: names of callbacks and their arguments."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            self.append((name, args))

        return record

    class ib:
        TimezoneTWS = "US/Eastern"

    defaultTimezone = UTC

    def errors(self) -> list[tuple[int, int]]:
        """Request ids and codes of errors."""
        found = []
        for name, args in self:
            if name == "error":
                # ibapi passes the time of the error between its id and its code.
                found.append((int(args[0]), int(args[2] if len(args) == 5 else args[1])))
        return found

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [args for each, args in self if each == name]


@dataclass
class LibraryClient:
    """A client of the core, by one of the two libraries: `ibapi`, or `ib_async` up to version 178."""

    core: PaperGateway
    library: str = "ibapi"
    version: int = 200
    client_id: int = 1

    def __post_init__(self) -> None:
        self.session = self.core.open_session()
        self._frames = FrameBuffer()
        requests = test_requests_of_ibapi if self.library == "ibapi" else test_requests_of_ib_async
        self._wire: Any = requests.Wire(self.version)
        if self.library == "ib_async":
            # Its own way of sending asks for an event loop, to slow itself down.
            wire = self._wire
            wire.client.sendMsg = lambda text: wire.sent.feed(wire.client._prefix(text.encode()))
        start = encode_frame(encode_fields((71, 2, self.client_id, "")))
        self.session.connection.receive_data(b"API\0" + encode_frame(b"v100..%d" % self.version) + start)
        self.settle()
        self._frames.feed(self.session.connection.data_to_send())
        self.greeting = list(iter(self._frames.next_frame, None))

    def settle(self) -> None:
        while self.core.step(self.session):
            pass

    def ask(self, name: str, *args: Any) -> Heard:
        """Call a method of the library's client, and hear what comes back at once."""
        self.post(name, *args)
        return self.hear()

    def post(self, name: str, *args: Any) -> None:
        """Have a request received, and nothing done about it yet."""
        fields = self.written(name, *args)
        self.session.connection.receive_data(encode_frame(encode_fields(fields)))

    def written(self, name: str, *args: Any) -> list[str]:
        """The fields of a request as the library writes it."""
        return list(self._wire.write(name, *args))

    def send(self, *fields: Any) -> Heard:
        """Send what no library would."""
        self.session.connection.receive_data(encode_frame(encode_fields(fields)))
        return self.hear()

    def hear(self) -> Heard:
        """Everything since the last call, read by the library's own decoder."""
        self.settle()
        self._frames.feed(self.session.connection.data_to_send())
        heard = Heard()
        for payload in iter(self._frames.next_frame, None):
            if self.library == "ibapi":
                self._by_ibapi(payload, heard)
            else:
                self._by_ib_async(payload, heard)
        return heard

    def _by_ibapi(self, payload: bytes, heard: Heard) -> None:
        msg_id, *fields = payload.split(b"\0")[:-1]
        decoder = ibapi.decoder.Decoder(heard, self.version)
        info = ibapi.decoder.Decoder.msgId2handleInfo[int(msg_id)]
        if info.processMeth is None:
            decoder.interpret(fields, int(msg_id))
        else:
            left: Iterator[bytes] = iter(fields)
            info.processMeth(decoder, left)
            assert not list(left), "fields that the decoder does not expect"

    def _by_ib_async(self, payload: bytes, heard: Heard) -> None:
        failures: list[str] = []

        class Failures(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                failures.append(record.getMessage())

        logger, handler = logging.getLogger("ib_async.Decoder"), Failures(logging.ERROR)
        logger.addHandler(handler)
        try:
            decoder = ib_async.decoder.Decoder(heard, self.version)  # type: ignore[arg-type]
            decoder.interpret(payload.decode().split("\0")[:-1])
        finally:
            logger.removeHandler(handler)
        assert not failures, failures

    def contract(self, con_id: int, **fields: Any) -> Any:
        """A contract as the library has them."""
        contract: Any = ibapi.contract.Contract() if self.library == "ibapi" else ib_async.Contract()
        for name, value in {"conId": con_id, "exchange": "SMART", "currency": "USD", **fields}.items():
            setattr(contract, name, value)
        return contract


LIBRARIES = [("ibapi", version) for version in VERSIONS] + [
    ("ib_async", version) for version in VERSIONS if version <= 178
]
"""Both libraries at every version of the handshake matrix that they speak."""


class ShareHours:
    """Regular and extended hours of US shares from Monday to Friday, without holidays."""

    def phase(self, instrument: Instrument, at: datetime) -> Phase:
        local = at.astimezone(NEW_YORK)
        minute = local.hour * 60 + local.minute
        if local.weekday() > 4 or not 240 <= minute < 1200:
            return Phase.CLOSED
        if minute < 570:
            return Phase.PRE_MARKET
        return Phase.REGULAR if minute < 960 else Phase.POST_MARKET

    def next_change(self, instrument: Instrument, at: datetime) -> datetime | None:
        return at + timedelta(hours=1)

    def day_end(self, instrument: Instrument, at: datetime, *, outside_rth: bool) -> datetime:
        return at + timedelta(hours=1)

    def sessions(
        self, instrument: Instrument, first: Any, days: int, *, regular_only: bool
    ) -> list[TradingSession]:
        begin, end = (570, 960) if regular_only else (240, 1200)
        found = []
        for day in (first + timedelta(days=number) for number in range(days)):
            if day.weekday() < 5:
                midnight = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK)
                opens, closes = midnight + timedelta(minutes=begin), midnight + timedelta(minutes=end)
                found.append(TradingSession(day, opens.astimezone(UTC), closes.astimezone(UTC)))
        return found


def make_core(now: datetime = NOW, hours: MarketHours | None = None) -> PaperGateway:
    """A gateway without sockets, whose clock stands still."""
    universe, clock, store = Universe(), ManualClock(now), AccountStore(None)
    exchange = open_exchange(store, cash=Decimal(100_000), clock=clock, universe=universe)
    return PaperGateway(
        exchange=exchange, feed=SyntheticFeed(7), universe=universe, clock=clock, store=store, hours=hours
    )
