"""`/api/stream` over a real uvicorn and real sockets; the broker behind it is in memory.

The server runs on the loop of the test, as `trademind server start` configures it, so that a test can make
the broker say something and see what a client of the `websockets` library is sent.

How the tests were seen to fail: a snapshot left out, in one piece, or sent after what came later; events of
what was unsubscribed; an error that is not about its symbol or ends the connection; the checks of Origin and
Host left out for WebSockets; no heartbeat; no deadline for a client that does not read, and none for the last
words; a close without its code; a stream that is not closed when its client has gone, also in the middle of a
subscription; `drain` that tells nobody.
"""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.api.memory import AAPL, MSFT, NOW, READY, MemoryBroker, make_execution, make_order, runtime_of
from trademind.aio import Tasks
from trademind.api import create_app, streaming
from trademind.brokers import streams as brokers_streams
from trademind.brokers.topics import Topic
from trademind.cli.serving import WS_MAX_SIZE
from trademind.domain import Channel, Order, SessionState, Subject
from trademind.errors import NotConnected
from trademind.settings import Settings

PATIENCE = 10.0
Frame = dict[str, Any]


@dataclass
class WatchingBroker(MemoryBroker):
    """The broker in memory, whose answers about contracts can be held back."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.may_answer.set()
        self.streams.resume(1)

    async def hold(self, subject: Subject, holder: object) -> Topic:
        self.asked += 1
        await self.may_answer.wait()
        return await super().hold(subject, holder)

    def held(self) -> set[int]:
        """The con ids of what is followed."""
        return {topic.contract.con_id for topic, _ in self.holders}


class Client:
    """A client of the stream that reads its frames as JSON."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, command: Any) -> None:
        await self.connection.send(json.dumps(command))

    async def subscribe(self, identity: Any = None, **channels: Any) -> None:
        await self.say({"action": "subscribe", "id": identity, "channels": channels})

    async def hear(self) -> Frame:
        async with asyncio.timeout(PATIENCE):
            frame: Frame = json.loads(await self.connection.recv())
        return frame

    async def hear_kinds(self, *kinds: str) -> list[Frame]:
        """The next frames, which are of these types."""
        frames = [await self.hear() for _ in kinds]
        assert [frame["type"] for frame in frames] == list(kinds), frames
        return frames

    async def hear_all(self) -> list[Frame]:
        """What has been sent until now: every command is answered after what was asked for before it."""
        await self.subscribe("that is all")
        frames = []
        while (frame := await self.hear()).get("id") != "that is all":
            frames.append(frame)
        return frames

    async def end(self) -> tuple[list[Frame], int | None]:
        """What still comes until the connection is closed, and the code it is closed with."""
        frames = []
        while True:
            try:
                frames.append(await self.hear())
            except ConnectionClosed as closed:
                return frames, closed.rcvd.code if closed.rcvd else None


@dataclass
class Served:
    """A running server and the broker behind it."""

    broker: WatchingBroker
    port: int
    server: uvicorn.Server

    @contextlib.asynccontextmanager
    async def client(
        self, *, host: str | None = None, path: str = "/api/stream", **headers: str
    ) -> AsyncIterator[Client]:
        """A client that calls the server `host` and sends these headers besides."""
        with socket.socket(proto=socket.IPPROTO_TCP) as sock:
            sock.connect(("127.0.0.1", self.port))
            uri = f"ws://{host or f'127.0.0.1:{self.port}'}{path}"
            async with connect(uri, sock=sock, additional_headers=headers, compression=None) as connection:
                yield Client(connection)

    async def get(self, path: str, **params: str) -> Any:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            answer = await client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - what is awaited belongs to somebody else
                await asyncio.sleep(0.005)

    async def until_left(self) -> None:
        """Every client has gone, and left nothing."""
        await self.until(lambda: not self.server.server_state.connections)
        await self.until(lambda: len(self.broker.streams) == 0)
        assert self.broker.holders == set()
        assert stream_tasks() == []


def stream_tasks() -> list[str]:
    """The tasks that serve clients."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    return [name for name in names if name.startswith("stream ")]


@contextlib.asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """`app` on a port of this machine, as `trademind server start` has it."""
    # Told its protocol, asyncio sends what is written at once.
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
            ws_max_size=WS_MAX_SIZE,
            ws_per_message_deflate=False,
        )
        # Without `serve`, which takes the signals of the process, and looks ten times a second only whether
        # it is to end.
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup([sock])
        assert server.started
        yield sock.getsockname()[1], server
        await server.shutdown([sock])


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[Served]:
    broker = WatchingBroker()
    async with listening(create_app(settings, open_runtime=runtime_of(broker))) as (port, server):
        yield Served(broker, port, server)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    async with served.client() as client:
        yield client


# What a client is told -----------------------------------------------------------------------------


async def test_a_subscription_is_acknowledged_and_begins_with_how_things_stand(
    served: Served, client: Client
) -> None:
    """As the REST routes tell it."""
    broker = served.broker
    broker.orders = [make_order(2), make_order(1)]
    broker.executions = (make_execution(2), make_execution(1))
    await client.subscribe("first", orders=True, executions=True, account=True, session=True)
    ack, *snapshots = await client.hear_kinds("ack", "snapshot", "snapshot", "snapshot", "snapshot")
    assert ack["id"] == "first"
    assert ack["data"] == {"channels": ["account", "executions", "orders", "session"]}
    data = {frame["channel"]: frame["data"] for frame in snapshots}
    assert all(frame["more"] is False for frame in snapshots)
    assert data["orders"] == (await served.get("/api/orders"))["orders"]
    assert data["executions"] == (await served.get("/api/executions"))["executions"]
    assert data["account"] == [await served.get("/api/portfolio/account")]
    connection = await served.get("/api/system/connection")
    (session,) = data["session"]
    shared = session.keys() & connection.keys()
    assert {"state", "since", "account_id", "connection_number", "last_error"} <= shared
    assert {name: session[name] for name in shared} == {name: connection[name] for name in shared}


async def test_events_are_what_the_routes_say_from_then_on(served: Served, client: Client) -> None:
    broker = served.broker
    await client.subscribe(orders=True, executions=True, account=True, session=True, quotes=["AAPL"])
    await client.hear_kinds("ack", "snapshot", "snapshot", "snapshot", "snapshot", "event")
    broker.orders = [make_order(1)]
    broker.executions = (make_execution(1),)
    broker.session = replace(READY, state=SessionState.UPSTREAM_LOST, last_error="1100")
    broker.account = replace(broker.account, net_liquidation=broker.account.net_liquidation)
    broker.streams.publish(Channel.ORDERS, broker.orders[0])
    broker.streams.publish(Channel.EXECUTIONS, broker.executions[0])
    broker.streams.publish(Channel.SESSION, broker.session)
    broker.streams.touch(Channel.ACCOUNT, lambda: broker.account)
    broker.tick(AAPL, bid=150.0, ask=150.02, last=float("nan"))
    frames = await client.hear_kinds(*["event"] * 5)
    data = {frame["channel"]: frame["data"] for frame in frames}
    assert data["orders"] == await served.get("/api/orders/order-1")
    assert [data["executions"]] == (await served.get("/api/executions"))["executions"]
    assert data["account"] == await served.get("/api/portfolio/account")
    assert [data["quotes"]] == (await served.get("/api/market/quotes", symbols="AAPL"))["quotes"]
    assert data["quotes"]["last"] is None, "what is not a number is not sent as one"
    assert (data["session"]["state"], data["session"]["last_error"]) == ("upstream_lost", "1100")
    assert all(frame["ts"].endswith("Z") for frame in frames)


async def test_what_changes_while_it_subscribes_comes_after_the_snapshot(
    served: Served, client: Client
) -> None:
    """Each order is told in the snapshot or after it, never before, and none is left out."""
    broker = served.broker

    def place(number: int) -> None:
        broker.orders.append(make_order(number))
        broker.streams.publish(Channel.ORDERS, broker.orders[-1])

    async def trade() -> None:
        for number in range(300):
            place(number)
            await asyncio.sleep(0)

    tasks = Tasks()
    trading = tasks.spawn(trade(), name="trading")
    await client.subscribe(orders=True)
    seen: list[int] = []
    await client.hear_kinds("ack")
    while len(seen) < 300:
        frame = await client.hear()
        if frame["type"] == "snapshot":
            seen += [order["ib_order_id"] for order in frame["data"]]
        else:
            seen.append(frame["data"]["ib_order_id"])
    await trading
    assert seen == list(range(300))


async def test_a_long_list_comes_in_pages(served: Served, client: Client) -> None:
    served.broker.orders = [make_order(number) for number in range(450)]
    await client.subscribe(orders=True)
    _, *pages = await client.hear_kinds("ack", "snapshot", "snapshot", "snapshot")
    assert [(len(page["data"]), page["more"]) for page in pages] == [(200, True), (200, True), (50, False)]
    assert [order["ib_order_id"] for page in pages for order in page["data"]] == list(range(450))


async def test_subscribing_again_to_the_same_repeats_nothing(served: Served, client: Client) -> None:
    await client.subscribe(1, orders=True)
    await client.hear_kinds("ack", "snapshot")
    await client.subscribe(2, orders=True, session=True)
    ack, snapshot = await client.hear_kinds("ack", "snapshot")
    assert ack["data"] == {"channels": ["orders", "session"]}
    assert snapshot["channel"] == "session"
    served.broker.streams.publish(Channel.ORDERS, make_order(1))
    await client.hear_kinds("event")
    assert await client.hear_all() == []


async def test_whoever_subscribes_to_nothing_hears_nothing_but_gaps(served: Served, client: Client) -> None:
    await client.subscribe()
    (ack,) = await client.hear_kinds("ack")
    assert ack["data"] == {"channels": []}
    assert "id" not in ack
    served.broker.streams.publish(Channel.ORDERS, make_order(1))
    assert await client.hear_all() == []


async def test_a_gap_and_its_end(served: Served, client: Client) -> None:
    broker = served.broker
    await client.subscribe(orders=True, quotes=["AAPL"])
    await client.hear_kinds("ack", "snapshot", "event")
    broker.streams.interrupt(NOW, "the gateway went away", 1)
    broker.streams.publish(Channel.ORDERS, make_order(1))
    broker.streams.resume(2)
    gap, event, resumed = await client.hear_kinds("gap", "event", "resumed")
    since = "2026-01-30T15:30:00.250000Z"
    assert gap["data"] == {"since": since, "reason": "the gateway went away", "connection_number": 1}
    assert event["data"]["ib_order_id"] == 1
    assert resumed["data"] == {
        "gap_since": since,
        "connection_number": 2,
        "recovered": ["orders"],
        "lost": ["quotes"],
    }


async def test_what_is_not_known_yet_is_told_when_it_is(served: Served) -> None:
    broker = served.broker
    states = dict(broker.streams._states)

    def unknown() -> tuple[Any, ...]:
        raise NotConnected("there is no session")

    broker.streams._states = {**states, Channel.ORDERS: unknown}
    broker.streams.interrupt(NOW, "the gateway went away", 1)
    async with served.client() as client:
        await client.hear_kinds("gap")
        await client.subscribe(orders=True, session=True)
        _, session = await client.hear_kinds("ack", "snapshot")
        assert session["channel"] == "session"
        assert await client.hear_all() == []
        broker.orders = [make_order(1)]
        broker.streams._states = states
        broker.streams.resume(2)
        orders, _ = await client.hear_kinds("snapshot", "resumed")
        assert [order["ib_order_id"] for order in orders["data"]] == [1]


# What it asks for ----------------------------------------------------------------------------------


async def test_what_is_unsubscribed_is_told_no_more(served: Served, client: Client) -> None:
    broker = served.broker
    await client.subscribe(orders=True, session=True, quotes=["AAPL", MSFT.con_id])
    await client.hear_kinds("ack", "snapshot", "snapshot", "event", "event")
    await client.say(
        {
            "action": "unsubscribe",
            "id": "x",
            "channels": {"orders": True, "account": True, "quotes": ["aapl"]},
        }
    )
    (ack,) = await client.hear_kinds("ack")
    assert (ack["id"], ack["data"]) == ("x", {"channels": ["quotes", "session"]})
    assert broker.held() == {MSFT.con_id}
    broker.streams.publish(Channel.ORDERS, make_order(1))
    broker.tick(AAPL, last=1.0)
    broker.tick(MSFT, last=2.0)
    (event,) = await client.hear_kinds("event")
    assert event["data"]["symbol"] == "MSFT"
    await client.say({"action": "unsubscribe", "channels": {"quotes": [{"con_id": MSFT.con_id}, "NOSUCH"]}})
    (ack,) = await client.hear_kinds("ack")
    assert ack["data"] == {"channels": ["session"]}
    assert broker.holders == set()


async def test_unsubscribing_a_symbol_leaves_another_type_of_that_name_alone(
    served: Served, client: Client
) -> None:
    await client.subscribe(quotes=["AAPL"])
    await client.hear_kinds("ack", "event")
    await client.say(
        {"action": "unsubscribe", "channels": {"quotes": [{"symbol": "AAPL", "sec_type": "CASH"}]}}
    )
    await client.hear_kinds("ack")
    assert served.broker.held() == {AAPL.con_id}


async def test_a_symbol_that_does_not_exist_is_told_for_itself(served: Served, client: Client) -> None:
    await client.subscribe(7, quotes=["NOSUCH", "AAPL", {"con_id": 999}, "MSFT"])
    frames = await client.hear_all()
    errors = {
        (frame["data"].get("symbol"), frame["data"].get("con_id")): frame
        for frame in frames
        if frame["type"] == "error"
    }
    assert set(errors) == {("NOSUCH", None), (None, 999)}
    error = errors["NOSUCH", None]
    assert (error["channel"], error["id"]) == ("quotes", 7)
    assert error["data"]["code"] == "contract_not_found"
    assert (error["data"]["ib_code"], error["data"]["retry_safe"]) == (200, False)
    events = [frame["data"]["symbol"] for frame in frames if frame["type"] == "event"]
    if len(events) < 2:  # the other side may still be sending
        events += [(await client.hear())["data"]["symbol"] for _ in range(2 - len(events))]
    assert set(events) == {"AAPL", "MSFT"}


BAD: list[tuple[Any, str]] = [
    ("", "malformed"),
    ("{", "malformed"),
    ('"orders"', "malformed"),
    ("null", "malformed"),
    ("[]", "malformed"),
    ("[" * 50_000, "malformed"),
    ('{"action": "subscribe", "id": ' + "9" * 5000 + ', "channels": {}}', "malformed"),
    (b'{"action": "subscribe", "channels": {}}', "malformed"),
    (b"\xff\xfe", "malformed"),
    ("{}", "invalid"),
    ({"action": "subscribe"}, "invalid"),
    ({"channels": {"orders": True}}, "invalid"),
    ({"action": "resume", "channels": {"orders": True}}, "invalid"),
    ({"action": ["subscribe"], "channels": {}}, "invalid"),
    ({"action": "subscribe", "channels": None}, "invalid"),
    ({"action": "subscribe", "channels": ["orders"]}, "invalid"),
    ({"action": "subscribe", "channels": {"depth": True}}, "invalid"),
    ({"action": "subscribe", "channels": {"orders": True}, "since": 1}, "invalid"),
    ({"action": "subscribe", "channels": {"orders": ["AAPL"]}}, "invalid"),
    ({"action": "subscribe", "channels": {"orders": None}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": True}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": "AAPL"}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [None]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [1.5]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [0]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [-1]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [2**31]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [10**30]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [""]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": ["A" * 101]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [["AAPL"]]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [{"symbol": "AAPL", "strike": 1}]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [{"symbol": 5}]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": ["AAPL"] * 101}}, "invalid"),
    ({"action": "unsubscribe", "channels": {"quotes": [0]}}, "invalid"),
    ({"action": "unsubscribe", "channels": {"quotes": ["A" * 101]}}, "invalid"),
    # Each is about an instrument, of which the broker can say no more than that it cannot be.
    ({"action": "subscribe", "channels": {"quotes": [{}]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": ["  "]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": ["A\0B"]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [{"symbol": "X", "sec_type": "nonsense"}]}}, "invalid"),
    ({"action": "subscribe", "channels": {"quotes": [{"symbol": "X", "exchange": "Ü"}]}}, "invalid"),
    # Half of a surrogate pair is no text that could be sent back.
    ('{"action": "subscribe", "id": "\\ud800", "channels": {}}', "malformed"),
    ('{"action": "subscribe", "channels": {"quotes": ["\\udfff"]}}', "malformed"),
    ('{"\\ud800": 1}', "malformed"),
]


async def test_a_bad_command_is_answered_and_changes_nothing(
    served: Served, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for command, code in BAD:
        if isinstance(command, str | bytes):
            await client.connection.send(command)
        else:
            await client.say({"id": "bad", **command})
        frames = await client.hear_all()
        errors = [frame for frame in frames if frame["type"] == "error"]
        assert [error["data"]["code"] for error in errors] == [code], command
        assert errors[0]["data"]["detail"]
        if isinstance(command, dict):
            assert errors[0]["id"] == "bad"
        assert all(frame in errors or frame["data"] == {"channels": []} for frame in frames)
    assert served.broker.holders == set()
    served.broker.streams.publish(Channel.ORDERS, make_order(1))
    assert await client.hear_all() == []
    assert caplog.records == []


async def test_the_id_of_a_command_comes_back_as_it_is(client: Client) -> None:
    for identity in ("", "x" * 1000, 0, -1, 10**100, "ünïcode ✓"):
        await client.subscribe(identity)
        assert (await client.hear())["id"] == identity
        await client.say({"action": "nonsense", "id": identity})
        assert (await client.hear())["id"] == identity


async def test_a_command_that_is_too_long_ends_the_connection_and_nothing_else(served: Served) -> None:
    async with served.client() as client, served.client() as other:
        await client.connection.send(" " * WS_MAX_SIZE)
        assert (await client.hear())["data"]["code"] == "malformed"
        await client.connection.send(" " * (WS_MAX_SIZE + 1))
        assert await client.end() == ([], 1009)
        assert await other.hear_all() == []
    await served.until_left()


async def test_a_flood_of_commands_is_answered_one_by_one(served: Served, client: Client) -> None:
    async def ask() -> None:
        for number in range(1000):
            await client.subscribe(number)

    asking = Tasks().spawn(ask(), name="asking")
    assert [(await client.hear())["id"] for _ in range(1000)] == list(range(1000))
    await asking


# Who may come --------------------------------------------------------------------------------------


async def test_pages_of_others_are_not_let_in(served: Served) -> None:
    for origin in ("http://evil.example", "null", "", f"http://127.0.0.1:{served.port}.evil.example"):
        await check_refused(served, Origin=origin)
    for host in ("evil.example", "127.0.0.1.evil.example", f"evil.example:{served.port}"):
        await check_refused(served, host=host)
        await check_refused(served, host=host, Origin=f"http://{host}")
    assert len(served.broker.streams) == 0


async def check_refused(served: Served, **how: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with served.client(**how):
            pass
    assert refused.value.response.status_code == 403, how


async def test_pages_of_the_server_and_programs_are_let_in(served: Served) -> None:
    for headers in ({}, {"Origin": f"http://127.0.0.1:{served.port}"}):
        async with served.client(**headers) as client:
            assert await client.hear_all() == []


async def test_another_path_is_not_a_stream(served: Served) -> None:
    await check_refused(served, path="/api/streams")


# How it ends ---------------------------------------------------------------------------------------


async def test_a_quiet_connection_is_told_that_it_lives(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.05)
    async with served.client() as client:
        await client.subscribe(orders=True)
        kinds: list[str] = []
        for awaited in ("ack", "snapshot", "heartbeat", "heartbeat", "event", "heartbeat"):
            if awaited == "event":
                served.broker.streams.publish(Channel.ORDERS, make_order(1))
            kinds.append((frame := await client.hear())["type"])
            while kinds[-1] != awaited:
                # On a slow machine it may be quiet for so long at any time.
                assert kinds[-1] == "heartbeat"
                kinds.append((frame := await client.hear())["type"])
            if awaited == "heartbeat":
                assert frame.keys() == {"type", "ts"}


async def test_no_event_is_lost_to_a_heartbeat(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served.client() as client:
        await client.subscribe(orders=True)
        await client.hear_kinds("ack", "snapshot")
        monkeypatch.setattr(streaming, "HEARTBEAT", 0.001)
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_later(0.001 * number, served.broker.streams.publish, Channel.ORDERS, make_order(number))
        seen: list[int] = []
        while len(seen) < 100:
            if (frame := await client.hear())["type"] == "event":
                seen.append(frame["data"]["ib_order_id"])
        assert seen == list(range(100))


async def test_the_end_of_the_server_is_told(served: Served) -> None:
    async with served.client() as client, served.client() as idle:
        await client.subscribe(orders=True)
        await client.hear_kinds("ack", "snapshot")
        await idle.subscribe()
        await idle.hear_kinds("ack")
        served.broker.streams.publish(Channel.ORDERS, make_order(1))
        served.broker.drain()
        served.broker.streams.publish(Channel.ORDERS, make_order(2))
        frames, code = await client.end()
        assert ([frame["type"] for frame in frames], code) == (["event", "gap"], 1012)
        assert frames[-1]["data"]["reason"] == "the server is stopping"
        frames, code = await idle.end()
        assert ([frame["type"] for frame in frames], code) == (["gap"], 1012)
    await served.until_left()


async def test_the_end_of_the_server_in_the_middle_of_a_subscription(served: Served) -> None:
    async with served.client() as client:
        served.broker.may_answer.clear()
        await client.subscribe(quotes=["AAPL", "MSFT"])
        await served.until(lambda: served.broker.asked == 2)
        served.broker.drain()
        frames, code = await client.end()
        assert ([frame["type"] for frame in frames], code) == (["ack", "gap"], 1012)
    await served.until_left()


async def test_a_client_that_goes_in_the_middle_of_a_subscription_leaves_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens for its going while IB is asked: the next frame finds it gone."""
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.05)
    served.broker.may_answer.clear()
    for abruptly in (False, True):
        async with served.client() as client:
            await client.subscribe(quotes=["AAPL", "MSFT"])
            await served.until(lambda: served.broker.asked == 2)
            assert len(served.broker.streams) == 1
            if abruptly:
                client.connection.transport.abort()
        await served.until_left()
        served.broker.asked = 0


async def test_a_hundred_clients_that_come_and_vanish_leave_nothing(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """At every stage: while greeting, before a word, in the middle of one, and while being told something."""
    command = masked('{"action": "subscribe", "channels": {"orders": true, "quotes": ["AAPL", "NOSUCH"]}}')
    served.broker.orders = [make_order(number) for number in range(300)]

    async def vanish(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        hello = greeting(served.port)
        stage = number % 5
        writer.write(hello[: len(hello) // 2] if stage == 0 else hello)
        if stage > 1:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(command[: len(command) // 2] if stage == 2 else command)
        if stage > 3:
            await reader.read(100)
        await asyncio.sleep(0.001 * (number % 7))
        if number % 2:
            writer.transport.abort()
        else:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async with served.client() as stays:
        await stays.subscribe(orders=True)
        await stays.hear_kinds("ack", "snapshot", "snapshot")
        vanishing = [Tasks().spawn(vanish(number), name="vanish") for number in range(100)]
        for number in range(100):
            served.broker.streams.publish(Channel.ORDERS, make_order(number))
            served.broker.tick(AAPL, last=float(number))
            await asyncio.sleep(0)
        await asyncio.gather(*vanishing)
        events = await stays.hear_kinds(*["event"] * 100)
        assert [event["data"]["ib_order_id"] for event in events] == list(range(100))
        await served.until(lambda: len(served.broker.streams) == 1)
    await served.until_left()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def greeting(port: int) -> bytes:
    return (
        f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(text: str) -> bytes:
    """A frame as a client sends it, by a mask of zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


class Deaf:
    """A client that subscribes to orders and then reads only when it is told to."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.port = port

    async def greet(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, greeting(self.port))
        heard = b""
        while not heard.endswith(b"\r\n\r\n"):
            heard += await loop.sock_recv(self.socket, 1)

    async def subscribe(self) -> None:
        await self.greet()
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, masked('{"action": "subscribe", "channels": {"orders": true}}'))

    async def read_farewell(self) -> tuple[int, str]:
        """Read on until the server's close frame; returns its code and reason."""
        loop, tail = asyncio.get_running_loop(), b""
        async with asyncio.timeout(PATIENCE):
            while not (found := re.search(rb"\x88([\x03-\x7d])([\x03\x0f].)(.*)", tail, re.S)) or (
                len(found[3]) + 2 < found[1][0]
            ):
                data = await loop.sock_recv(self.socket, 65536)
                assert data, "the connection was closed without a farewell"
                tail = (tail + data)[-200:]
        return int.from_bytes(found[2], "big"), found[3].decode()


@pytest.fixture
async def deaf(served: Served) -> AsyncIterator[Deaf]:
    deaf = Deaf(served.port)
    with deaf.socket:
        await deaf.subscribe()
        await served.until(lambda: [s for s in served.broker.streams._streams if s.follows])
        yield deaf


def long_order(number: int) -> Order:
    """Of which a few dozen fill every buffer on the way."""
    return make_order(number, reason="x" * 100_000)


async def test_a_client_that_does_not_read_is_let_go_and_slows_nobody(
    served: Served, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "SEND_WITHIN", 1.0)
    monkeypatch.setattr(streaming, "LAST_WORDS", 0.1)
    loop = asyncio.get_running_loop()
    async with served.client() as client:
        await client.subscribe(orders=True)
        await client.hear_kinds("ack", "snapshot")
        number, slowest = 0, 0.0
        async with asyncio.timeout(PATIENCE):
            while len(served.broker.streams) > 1:
                began = loop.time()
                served.broker.streams.publish(Channel.ORDERS, long_order(number))
                assert (await client.hear())["data"]["ib_order_id"] == number
                slowest = max(slowest, loop.time() - began)
                number += 1
        assert number > 10
        assert slowest < 0.9, "it waited for the other one"
    await served.until(lambda: len(served.broker.streams) == 0)


async def test_a_client_that_is_too_far_behind_is_told_so_when_it_reads_again(
    served: Served, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers_streams, "MAX_PENDING", 20)
    await fill(served)
    for number in range(20):
        served.broker.streams.publish(Channel.ORDERS, make_order(number))
    code, reason = await deaf.read_farewell()
    assert code == 4008
    assert reason.startswith("too slow")
    deaf.socket.close()
    await served.until_left()


async def test_a_client_that_is_behind_is_told_of_the_end_of_the_server(served: Served, deaf: Deaf) -> None:
    await fill(served)
    served.broker.drain()
    assert len(served.broker.streams) == 0
    await asyncio.sleep(0.05)  # it takes its time, less than it has
    assert await deaf.read_farewell() == (1012, "the server is stopping")


async def test_a_client_that_does_not_read_does_not_hold_up_the_end_of_the_server(
    served: Served, deaf: Deaf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "LAST_WORDS", 0.1)
    await fill(served)
    served.broker.drain()
    async with asyncio.timeout(1):
        while stream_tasks():  # noqa: ASYNC110 - a task is no event
            await asyncio.sleep(0.01)


async def fill(served: Served) -> None:
    """Have so much said that the only client can be sent no more."""
    (stream,) = served.broker.streams._streams
    waiting = -1
    async with asyncio.timeout(PATIENCE):
        while not 5 < len(stream._pending) == waiting:
            for number in range(5):
                served.broker.streams.publish(Channel.ORDERS, long_order(number))
            await asyncio.sleep(0)
            waiting = len(stream._pending)
            await asyncio.sleep(0.02)  # in which the sockets take what they can


async def test_a_client_that_goes_while_it_is_not_reading_leaves_nothing(served: Served, deaf: Deaf) -> None:
    await fill(served)
    deaf.socket.close()
    await served.until_left()


async def test_a_lost_connection_is_no_error_of_the_server(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.client() as client:
        await client.subscribe(orders=True)
        await client.hear_kinds("ack", "snapshot")
        client.connection.transport.abort()
        with pytest.raises(ConnectionClosedError):
            await client.hear()
        for number in range(10):
            served.broker.streams.publish(Channel.ORDERS, make_order(number))
            await asyncio.sleep(0)
    await served.until_left()
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []
