"""A stage for a gateway that misbehaves: the real paper gateway over TCP, its timeline, and brokers.

The gateway's clock, which is the brokers' as well, stands still until a test moves it, so that nothing moves
in the market by itself. Deadlines are of the real time; tests make them short and wait for conditions.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from tests.gateway.bench import START, until
from trademind import IBKRBroker, Order
from trademind.aio import Tasks
from trademind.brokers.streams import EventStream
from trademind.brokers.topics import MarketStream
from trademind.clock import Clock, ManualClock
from trademind.domain import SessionState, State
from trademind.domain.events import Event, StreamItem
from trademind.errors import TradeMindError
from trademind.gateway.faults import REQUEST_IDS, Step
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.gateway import PaperGateway
from trademind.gateway.server import PaperGatewayServer
from trademind.gateway.session import Session
from trademind.gateway.timeline import Timeline
from trademind.gateway.wire.messages import Error, Message

T = TypeVar("T")

SECOND = timedelta(seconds=1)
NAMES = {str(number): name for name, number in REQUEST_IDS.items()}


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it came over the wire."""

    client_id: int | None
    name: str
    fields: list[str]


class ListeningTimeline(Timeline):
    """The gateway's timeline, which keeps what clients have asked, whatever became of it then, and which
    errors the gateway has told by itself."""

    def __init__(self, gateway: PaperGateway) -> None:
        super().__init__(gateway)
        self.heard: list[Heard] = []
        self.told: list[int] = []

    @property
    def is_empty(self) -> bool:
        """Never, so that everything goes through here."""
        return False

    def receive(self, session: Session, fields: list[str]) -> None:
        self.heard.append(Heard(session.client_id, NAMES[fields[0]], fields))
        super().receive(session, fields)

    def send(self, session: Session, message: Message) -> None:
        if isinstance(message, Error):
            self.told.append(message.code)
        super().send(session, message)


@dataclass
class Stage:
    """A gateway that can be made to misbehave, and brokers that are connected to it."""

    server: PaperGatewayServer
    clock: Clock
    timeline: ListeningTimeline
    stack: AsyncExitStack
    tasks: Tasks = field(default_factory=Tasks)

    # The gateway's side

    def play(self, *steps: Step) -> None:
        self.timeline.add(*steps)

    def move(self, seconds: float) -> None:
        """Let time pass; the gateway notices with its next look."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(timedelta(seconds=seconds))

    def asked(self, name: str, having: str | None = None, client_id: int | None = None) -> list[list[str]]:
        """The fields of the requests of that name, in the order in which they came.

        Args:
            having: A text that must be among the fields.
            client_id: Whose; everybody's, unless given.
        """
        return [
            heard.fields
            for heard in self.timeline.heard
            if heard.name == name
            and (having is None or having in heard.fields)
            and client_id in (None, heard.client_id)
        ]

    def has_heard(self, count: int) -> bool:
        """Whether so many requests have come in all."""
        return len(self.timeline.heard) >= count

    def has_asked(self, name: str, count: int) -> bool:
        """Whether so many requests of that name have come."""
        return len(self.asked(name)) >= count

    def session(self, client_id: int = 1) -> Session:
        """The gateway's side of a client's connection."""
        (found,) = (each for each in self.server.core.sessions if each.client_id == client_id)
        return found

    # The brokers' side

    def broker(self, **settings: Any) -> IBKRBroker:
        """A broker that is disconnected in the end. Nothing limits how fast it sends, unless it is said."""
        defaults: dict[str, Any] = {"max_requests_per_second": 0, "settle_after": 0.2, "clock": self.clock}
        broker = IBKRBroker(port=self.server.port, **(defaults | settings))
        self.stack.push_async_callback(broker.disconnect)
        return broker

    async def connect(self, **settings: Any) -> IBKRBroker:
        broker = self.broker(**settings)
        await broker.connect()
        return broker

    async def leave(self, broker: IBKRBroker) -> None:
        """Disconnect, and wait until the gateway has noticed."""
        client_id = broker.session.client_id
        await broker.disconnect()
        await until(lambda: all(each.client_id != client_id for each in self.server.core.sessions))

    def begin(self, call: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A call that is not waited for yet."""
        return self.tasks.spawn(call, name="a call under test", expected=TradeMindError)

    def read(self, stream: EventStream) -> list[StreamItem]:
        """Everything that a stream brings from now on, but for how things stood to begin with."""
        items: list[StreamItem] = []

        async def read() -> None:
            async with stream:
                async for item in stream:
                    if not isinstance(item, State):
                        items.append(item)

        self.tasks.spawn(read(), name="a reader of a stream")
        return items

    def watch(self, stream: MarketStream[T]) -> list[T]:
        """Everything that a stream of market data brings from now on."""
        values: list[T] = []

        async def read() -> None:
            async with stream:
                async for value in stream:
                    values.append(value)

        self.tasks.spawn(read(), name="a reader of market data", expected=TradeMindError)
        return values


def data_in(items: Iterable[StreamItem], kind: type[T]) -> list[T]:
    """What events have told of this kind, such as orders."""
    return [item.data for item in items if isinstance(item, Event) and isinstance(item.data, kind)]


async def round_trip(broker: IBKRBroker) -> None:
    """Everything the gateway has said so far has reached the broker, and its streams' readers."""
    requests, client = broker._session().requests, broker._session().ib.client
    await requests.ask_shared("currentTime", "the time", client.reqCurrentTime)
    for _ in range(3):
        await asyncio.sleep(0)


async def stands(broker: IBKRBroker, state: SessionState) -> None:
    """Wait until the session is in this state."""
    await until(lambda: broker.session.state is state)


async def reconnected(broker: IBKRBroker, number: int = 2) -> None:
    """Wait until the session is ready on its connection of this number."""
    await until(lambda: broker.session.connection_number == number)
    await stands(broker, SessionState.READY)


async def order_that(broker: IBKRBroker, order_id: str, condition: Callable[[Order], object]) -> Order:
    """Wait until `condition` holds for an order, and return it."""

    def known() -> Order | None:
        order = broker._book.order(order_id)
        return order if order is not None and condition(order) else None

    await until(known)
    found = known()
    assert found is not None
    return found


@asynccontextmanager
async def open_stage(*, clock: Clock | None = None, **gateway: Any) -> AsyncIterator[Stage]:
    """A stage with a new gateway.

    Args:
        clock: The time, if it is not to stand still.
        gateway: As for `PaperGatewayServer`.
    """
    clock = clock or ManualClock(START)
    feed = SyntheticFeed(7)
    feed.interval = 0.005
    async with PaperGatewayServer(clock=clock, feed=feed, **gateway) as server, AsyncExitStack() as stack:
        timeline = ListeningTimeline(server.core)
        server.core.timeline = timeline
        stage = Stage(server, clock, timeline, stack)
        try:
            yield stage
        finally:
            timeline.clear()
            await stage.tasks.cancel_all()
