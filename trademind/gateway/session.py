"""One client as the gateway sees it: its connection, its id, and what it has subscribed to."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from trademind.clock import Clock
from trademind.gateway.connection import Connection, ConnectionState
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.entitlements import DataType
from trademind.gateway.pacing import PACE_API, UNPACED, MessageRate
from trademind.gateway.wire.frames import split_frames
from trademind.gateway.wire.history import WireBar
from trademind.gateway.wire.market import TradeKind
from trademind.gateway.wire.messages import Encoded, Error, Message
from trademind.gateway.wire.ticks import Tick, TickBytes

if TYPE_CHECKING:
    from trademind.gateway.handlers.bar_kinds import Kind
    from trademind.gateway.handlers.bar_query import BarQuery
    from trademind.gateway.handlers.scanner import ScannerStream

MASTER_CLIENT_ID = 0
"""The client that sees every order, as at IB the client 0 sees those entered by hand."""

ValueKey = tuple[str, str]
"""An account value's name and currency."""


@dataclass(slots=True)
class ValueStream:
    """A subscription to account values: what was sent last, and what the client wants to see."""

    accounts: tuple[str, ...]
    send: Callable[[str, str, str, str], None]
    """Sends one value: account, key, value, currency."""
    wanted: Callable[[ValueKey], bool]
    sent: dict[tuple[str, ValueKey], str] = field(default_factory=dict)


@dataclass(slots=True)
class AccountStream:
    """The subscription to account updates, of which a client has at most one."""

    account: str
    values: ValueStream
    portfolio: dict[int, tuple[Decimal, ...]] = field(default_factory=dict)
    """What was sent last of each position, by con id."""


class MarketStream(Protocol):
    """A subscription to the market of one instrument."""

    @property
    def instrument(self) -> Instrument: ...


@dataclass(slots=True)
class NewsStream:
    """A subscription to headlines about an instrument, a part of one to its market data."""

    providers: frozenset[str]
    due: datetime
    """When the next headline may come out."""


@dataclass(slots=True)
class TickStream:
    """A subscription to market data."""

    instrument: Instrument
    req_id: bytes
    """The request id as it is written in ticks."""
    data_type: DataType = DataType.LIVE
    """Which data it gets, as the client has been told."""
    asked: DataType = DataType.LIVE
    """Which data was asked for."""
    generic: tuple[int, ...] = ()
    """The numbers of the generic ticks asked for."""
    wants_quotes: bool = True
    """Whether it gets more than generic ticks."""
    sent: MarketQuote | None = None
    shown: dict[Tick, TickBytes] = field(default_factory=dict)
    """What was sent last of generic ticks and option computations."""
    news: NewsStream | None = None


@dataclass(slots=True)
class BarStream:
    """Bars that are kept up to date."""

    query: "BarQuery"
    since: datetime
    """Where the last bar begins."""
    sent_at: datetime
    sent: WireBar | None = None


@dataclass(slots=True)
class PnLStream:
    """A subscription to profit and loss: of accounts, or of one contract in them."""

    accounts: tuple[str, ...]
    con_id: int | None
    sent: tuple[Decimal | None, ...] | None = None


@dataclass(frozen=True, slots=True)
class DepthRow:
    """One row of one side of an order book."""

    price: Decimal
    size: Decimal
    maker: str
    """Who quotes it: an exchange in SMART depth; empty where nobody is named."""


@dataclass(slots=True)
class TickByTickStream:
    """A subscription to every trade, or every change of bid and ask."""

    instrument: Instrument
    kind: TradeKind
    ignore_size: bool
    since: datetime
    """Up to which moment trades have been told; a whole second."""
    sent: MarketQuote | None = None


@dataclass(slots=True)
class DepthStream:
    """A subscription to the order book."""

    instrument: Instrument
    venue: str
    """SMART, or the exchange whose book it is."""
    rows: int
    bids: list[DepthRow] = field(default_factory=list)
    asks: list[DepthRow] = field(default_factory=list)
    """The book as the client has it."""
    is_cut_off: bool = False
    """Whether what the client has may be old: then it is told to empty its book first."""


@dataclass(slots=True)
class RealTimeBarStream:
    """A subscription to bars of five seconds."""

    instrument: Instrument
    kind: "Kind"
    use_rth: bool
    since: datetime
    """Where the next bar begins."""


S = TypeVar("S", bound=MarketStream)


class MarketStreams(Generic[S]):
    """Subscriptions of one kind: by request id, and by what they are about."""

    def __init__(self) -> None:
        self._by_req_id: dict[int, S] = {}
        self._by_con_id: dict[int, dict[int, S]] = {}

    def __len__(self) -> int:
        return len(self._by_req_id)

    def __contains__(self, req_id: int) -> bool:
        return req_id in self._by_req_id

    def get(self, req_id: int) -> S | None:
        return self._by_req_id.get(req_id)

    def all(self) -> list[tuple[int, S]]:
        """All streams, with their request ids."""
        return list(self._by_req_id.items())

    def con_ids(self) -> Iterable[int]:
        return self._by_con_id.keys()

    def of(self, con_id: int) -> list[tuple[int, S]]:
        """The streams of one instrument, with their request ids."""
        streams = self._by_con_id.get(con_id)
        return [] if streams is None else list(streams.items())

    def add(self, req_id: int, stream: S) -> None:
        """Begin a stream; the request id is not in use."""
        self._by_req_id[req_id] = stream
        self._by_con_id.setdefault(stream.instrument.con_id, {})[req_id] = stream

    def drop(self, req_id: int) -> bool:
        """End a stream. Returns whether there was one."""
        stream = self._by_req_id.pop(req_id, None)
        if stream is None:
            return False
        con_id = stream.instrument.con_id
        del self._by_con_id[con_id][req_id]
        if not self._by_con_id[con_id]:
            del self._by_con_id[con_id]
        return True

    def clear(self) -> None:
        self._by_req_id.clear()
        self._by_con_id.clear()


class Session:
    """One client.

    Subscriptions are kept here by request id, so that they end with the connection.
    """

    def __init__(self, clock: Clock, rate: MessageRate | None = None) -> None:
        self._clock = clock
        self.rate = rate or MessageRate(UNPACED)
        """Counts its messages."""
        self.is_held = False
        """Whether the next request waits for its time: until the client may make one more."""
        self.filter: Callable[[Session, Message], None] | None = None
        """Takes every message instead of the connection, while faults are scripted."""
        self.late: deque[list[str]] = deque()
        """Requests that were held back, and are to be served now."""
        self.connection = Connection(clock.now())
        self.client_id: int | None = None
        """None until the client has started the API."""
        self.binds = False
        """Whether orders entered by hand are bound to it, which only client 0 may ask for."""
        self.account: AccountStream | None = None
        self.account_multi: dict[int, ValueStream] = {}
        self.summaries: dict[int, ValueStream] = {}
        self.positions = False
        self.positions_multi: dict[int, tuple[tuple[str, ...], str]] = {}
        """Accounts and model code by request id."""
        self.pnl: dict[int, PnLStream] = {}
        self.data_type = DataType.LIVE
        """The market data type asked for, which holds for what is subscribed from then on."""
        self.ticks: MarketStreams[TickStream] = MarketStreams()
        self.tick_by_tick: MarketStreams[TickByTickStream] = MarketStreams()
        self.depth: MarketStreams[DepthStream] = MarketStreams()
        self.real_time_bars: MarketStreams[RealTimeBarStream] = MarketStreams()
        self.bars: dict[int, BarStream] = {}
        self.scanners: dict[int, ScannerStream] = {}
        self.bulletin: int | None = None
        """The number of the last bulletin sent; None where none are wanted."""
        self.groups: dict[int, int] = {}
        """Display groups followed, by request id."""
        self.jobs: dict[int, Iterator[None]] = {}
        """Answers in the making, in steps, by request id."""
        self.outbox: deque[Iterator[None]] = deque()
        """What the client is told next, in steps and in this order: events, and lists it has asked for.
        No further request is served before all of it is sent, so answers and events never overtake
        each other."""
        self.withheld: list[Iterator[None]] = []
        """What the client is told when IB can be reached again."""
        self.accounted_at: datetime | None = None
        """When values and portfolio were last compared with what the client knows."""

    @property
    def version(self) -> int:
        return self.connection.version

    @property
    def is_open(self) -> bool:
        return self.connection.state is not ConnectionState.CLOSED

    @property
    def wants_pacing(self) -> bool:
        """Whether the client asked to be slowed down where others are warned and dropped."""
        return PACE_API in self.connection.options.split()

    def sees_orders_of(self, client_id: int) -> bool:
        return self.client_id in (client_id, MASTER_CLIENT_ID)

    def watched(self) -> Iterable[int]:
        """The con ids of all whose market is shown to this client as it moves."""
        return chain(self.ticks.con_ids(), self.tick_by_tick.con_ids(), self.depth.con_ids())

    def drop_subscriptions(self) -> None:
        """End everything that comes from a data farm."""
        self.ticks.clear()
        self.tick_by_tick.clear()
        self.depth.clear()
        self.real_time_bars.clear()
        self.bars.clear()
        self.scanners.clear()
        self.jobs.clear()

    def send(self, message: Message) -> None:
        if self.filter is None:
            self.connection.send(message)
        else:
            self.filter(self, message)

    def send_frames(self, frames: bytes) -> None:
        """Send what is framed already, in the layout of this client's version."""
        if self.filter is None:
            self.connection.send_frames(frames)
        else:
            for payload in split_frames(frames):
                self.filter(self, Encoded(payload))

    def error(self, req_id: int, code: int, text: str) -> None:
        """Tell the client of an error; `req_id` is -1 where it concerns no request."""
        millis = int(self._clock.now().timestamp() * 1000)
        self.send(Error(req_id=req_id, code=code, text=text, time_millis=millis))

    def __str__(self) -> str:
        return f"client {self.client_id}" if self.client_id is not None else "a client without id"
