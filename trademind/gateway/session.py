"""One client as the gateway sees it: its connection, its id, and what it has subscribed to."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from trademind.clock import Clock
from trademind.gateway.connection import Connection, ConnectionState
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.pacing import PACE_API, UNPACED, MessageRate
from trademind.gateway.wire.history import WireBar
from trademind.gateway.wire.messages import Error, Message

if TYPE_CHECKING:
    from trademind.gateway.handlers.bar_query import BarQuery

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


@dataclass(slots=True)
class TickStream:
    """A subscription to market data."""

    instrument: Instrument
    sent: MarketQuote | None = None


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


class Session:
    """One client.

    Subscriptions are kept here by request id, so that they end with the connection.
    """

    def __init__(self, clock: Clock, rate: MessageRate | None = None) -> None:
        self._clock = clock
        self.rate = rate or MessageRate(UNPACED)
        """Counts its messages."""
        self.is_held = False
        """Whether the next request waits until the client may make one more."""
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
        self.ticks: dict[int, TickStream] = {}
        self.ticks_of: dict[int, dict[int, TickStream]] = {}
        """The same streams, by con id and request id."""
        self.bars: dict[int, BarStream] = {}
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

    def add_ticks(self, req_id: int, stream: TickStream) -> None:
        self.ticks[req_id] = stream
        self.ticks_of.setdefault(stream.instrument.con_id, {})[req_id] = stream

    def drop_ticks(self, req_id: int) -> bool:
        """End a stream of market data. Returns whether there was one."""
        stream = self.ticks.pop(req_id, None)
        if stream is None:
            return False
        con_id = stream.instrument.con_id
        del self.ticks_of[con_id][req_id]
        if not self.ticks_of[con_id]:
            del self.ticks_of[con_id]
        return True

    def drop_subscriptions(self) -> None:
        """End everything that comes from a data farm."""
        self.ticks.clear()
        self.ticks_of.clear()
        self.bars.clear()
        self.jobs.clear()

    def send(self, message: Message) -> None:
        self.connection.send(message)

    def error(self, req_id: int, code: int, text: str) -> None:
        """Tell the client of an error; `req_id` is -1 where it concerns no request."""
        millis = int(self._clock.now().timestamp() * 1000)
        self.send(Error(req_id=req_id, code=code, text=text, time_millis=millis))

    def __str__(self) -> str:
        return f"client {self.client_id}" if self.client_id is not None else "a client without id"
