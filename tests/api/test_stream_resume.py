"""`/api/stream` and the journal: who comes back is told what came meanwhile, each event once.

Real sockets, a real journal. Where the broker is in memory, the server runs on the loop of the test; where
processes are killed, the server and its paper gateway are processes. What clients were told is compared with
what the journal has, number by number.
"""

import asyncio
import json
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.api.memory import make_order
from tests.api.test_stream import Client, Deaf, Frame, Served, listening, long_order
from tests.brokers.test_faults import until
from tests.journal.test_trouble import locked
from tests.processes import free_port, running
from tests.trading.test_feed import TalkingBroker
from trademind.aio import Tasks
from trademind.analysis.backtests.queue import Backtests
from trademind.analysis.service import SignalService
from trademind.api import create_app
from trademind.brokers import streams as brokers_streams
from trademind.brokers.base import Broker
from trademind.clock import SystemClock
from trademind.domain import SessionState
from trademind.errors import StateNotKept
from trademind.journal import Journal, StoredEvent, open_journal
from trademind.market.bars.archive import BarArchive
from trademind.market.bars.jobs import BarJobs
from trademind.settings import Settings
from trademind.trading import feed
from trademind.trading.entry import OrderEntry
from trademind.trading.feed import KEPT, Feed
from trademind.trading.recorder import Recorder
from trademind.trading.risk import Risk
from trademind.trading.targets import Targets

EVERYTHING = {channel.value: True for channel in KEPT}


@dataclass(frozen=True)
class JournalingRuntime:
    settings: Settings
    broker: Broker
    orders: OrderEntry
    targets: Targets
    risk: Risk
    journal: Journal
    bars: BarArchive
    bar_jobs: BarJobs
    backtests: Backtests
    signals: SignalService
    feed: Feed


@dataclass
class Journaled:
    """A server on the loop of the test, and what is behind it."""

    broker: TalkingBroker
    journal: Journal
    feed: Feed
    port: int
    path: Path

    def client(self) -> Any:
        served: Any = Served(None, self.port, None)  # type: ignore[arg-type]
        return served.client()


@asynccontextmanager
async def journaled(settings: Settings, path: Path) -> AsyncIterator[Journaled]:
    broker = TalkingBroker()
    broker.streams.resume(1)
    opened: list[JournalingRuntime] = []

    @asynccontextmanager
    async def open_runtime(settings: Settings) -> AsyncIterator[JournalingRuntime]:
        clock = SystemClock()
        async with (
            open_journal(path) as journal,
            Recorder(broker, journal, ()) as recorder,
            Risk(broker, journal, clock) as risk,
            BarJobs(bars := BarArchive(broker, journal, clock), journal, clock) as jobs,
        ):
            entry = OrderEntry(broker, journal, risk, clock)
            targets = Targets(broker, journal, entry, SystemClock())
            feed = recorder.feed
            async with (
                SignalService(
                    broker, journal, bars, entry, targets, clock, settings.signals, feed=feed
                ) as signals,
                Backtests(
                    path.parent / "backtests", bars, jobs, journal, signals.strategies, clock
                ) as backtests,
            ):
                opened.append(
                    JournalingRuntime(
                        settings, broker, entry, targets, risk, journal, bars, jobs, backtests, signals, feed
                    )
                )
                yield opened[0]

    async with listening(create_app(settings, open_runtime=open_runtime)) as (port, _):
        (runtime,) = opened
        await until(lambda: runtime.feed.streams.gap is None)
        yield Journaled(broker, runtime.journal, runtime.feed, port, path)


@pytest.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[Journaled]:
    async with journaled(settings, tmp_path / "journal.db") as server:
        yield server


async def resume(client: Client, since: Any, identity: Any = None, **channels: Any) -> None:
    await client.say({"action": "resume", "id": identity, "since": since, "channels": channels})


# What a client is told -----------------------------------------------------------------------------


async def test_frames_have_the_journals_numbers_and_names(server: Journaled) -> None:
    async with server.client() as client:
        await client.subscribe(**EVERYTHING, quotes=["AAPL"])
        heard = [await client.hear() for _ in range(6)]
        snapshots = [frame for frame in heard if frame["type"] == "snapshot"]
        quotes = [frame for frame in heard if frame.get("channel") == "quotes"]
        assert (heard[0]["type"], len(snapshots)) == ("ack", 4)
        assert [quote.keys() for quote in quotes] == [{"type", "channel", "ts", "data"}]
        last = server.journal.last_seq
        assert [frame["seq"] for frame in snapshots] == [last] * 4
        server.broker.say(make_order(1))
        server.broker.fill(1)
        server.broker.account = replace(server.broker.account, stale=True)
        server.broker.enter(SessionState.UPSTREAM_LOST)
        frames = await client.hear_kinds("event", "event", "gap", "event", "event")
    told = [(frame["channel"], frame["seq"] - last, frame["name"]) for frame in frames if "seq" in frame]
    assert told == [
        ("orders", 1, "accepted"), ("executions", 2, "fill"), ("account", 3, "changed"),
        ("session", 4, "upstream_lost"),
    ]  # fmt: skip


async def test_who_resumes_gets_an_ack_then_what_came_then_what_comes(server: Journaled) -> None:
    """No snapshot. What was told and what is read from the journal are the same frames."""
    begin = server.journal.last_seq
    async with server.client() as first, server.client() as second:
        await first.subscribe(orders=True, executions=True)
        await first.hear_kinds("ack", "snapshot", "snapshot")
        for number in range(450):
            server.broker.say(make_order(number))
        server.broker.fill(1)
        told = await first.hear_kinds(*["event"] * 451)
        await resume(second, begin, "back", orders=True, executions=True)
        server.broker.say(make_order(451))
        told += await first.hear_kinds("event")
        ack, *again = await second.hear_kinds("ack", *["event"] * 452)
    assert (ack["id"], ack["data"]) == ("back", {"channels": ["executions", "orders"]})
    assert again == told
    assert [frame["seq"] for frame in again] == list(range(begin + 1, begin + 453))


async def test_a_number_the_journal_does_not_have_is_an_error_and_changes_nothing(server: Journaled) -> None:
    async with server.client() as client:
        for since in (server.journal.last_seq + 1, 10**30):
            await resume(client, since, "x", orders=True)
            (error,) = await client.hear_kinds("error")
            assert (error["id"], error["data"]["code"]) == ("x", "unknown_sequence")
            assert "subscribe anew" in error["data"]["detail"]
        assert await client.hear_all() == []
        for command in (
            {"action": "resume", "channels": {"orders": True}},
            {"action": "resume", "since": -1, "channels": {"orders": True}},
            {"action": "resume", "since": "1", "channels": {"orders": True}},
            {"action": "resume", "since": 1.5, "channels": {"orders": True}},
            {"action": "unsubscribe", "since": 1, "channels": {"orders": True}},
        ):
            await client.say(command)
            (error,) = await client.hear_kinds("error")
            assert error["data"]["code"] == "invalid", command


async def test_a_past_that_cannot_be_read_ends_the_connection_and_can_be_asked_for_again(
    server: Journaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be left out, so nothing goes on. Seen to fail without an answer to that error."""
    begin = server.journal.last_seq
    server.broker.say(make_order(1))
    await until(lambda: server.journal.last_seq > begin)

    async def events_since(*_: object, **__: object) -> Any:
        raise StateNotKept("the disk fails")

    with monkeypatch.context() as patch:
        patch.setattr(server.journal.reading, "events_since", events_since)
        async with server.client() as client:
            await resume(client, begin, orders=True)
            frames, code = await client.end()
    assert [frame["type"] for frame in frames] == ["ack", "error"]
    assert (frames[-1]["data"]["code"], code) == ("state_not_kept", 1013)
    async with server.client() as client:
        await resume(client, begin, orders=True)
        await client.hear_kinds("ack", "event")


async def test_the_journals_trouble_is_a_gap(server: Journaled) -> None:
    async with server.client() as client:
        await client.subscribe(orders=True)
        await client.hear_kinds("ack", "snapshot")
        async with locked(str(server.path)):
            server.broker.say(make_order(1))
            server.broker.say(make_order(2))
            (gap,) = await client.hear_kinds("gap")
            assert "is locked by another program" in gap["data"]["reason"]
        first, second, resumed = await client.hear_kinds("event", "event", "resumed")
    assert second["seq"] == first["seq"] + 1 == server.journal.last_seq
    assert resumed["data"]["recovered"] == ["orders"]


async def test_a_client_that_was_too_slow_comes_back_and_has_missed_nothing(
    server: Journaled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed with 4008, it resumes after the last event it has read."""
    begin = server.journal.last_seq
    monkeypatch.setattr(brokers_streams, "MAX_PENDING", 40)
    monkeypatch.setattr(feed, "PAGE", 20)
    deaf = Deaf(server.port)
    with deaf.socket:
        await deaf.subscribe()
        await until(lambda: [s for s in server.feed.streams._streams if s.follows])
        number = 0
        while any(s.follows and not s._has_overrun for s in server.feed.streams._streams):
            server.broker.say(long_order(number))
            number += 1
            await asyncio.sleep(0.001)
        code, reason = await deaf.read_farewell()
        assert code == 4008
        assert "resume" in reason
    await server.journal.flushed()
    many, last = number + 200, server.journal.last_seq
    seen: list[int] = []
    while not seen or seen[-1] < last:
        # It is as slow as it was, is closed again and again, and gets on all the same.
        async with server.client() as client:
            await resume(client, seen[-1] if seen else begin, orders=True)
            with suppress(ConnectionClosed):
                for _ in range(60):
                    if (frame := await client.hear())["type"] == "event":
                        seen.append(frame["seq"])
                    if number < many:
                        server.broker.say(make_order(number))
                        number += 1
                    elif seen and seen[-1] == last:
                        break
        await server.journal.flushed()
        last = server.journal.last_seq
    assert seen == list(range(begin + 1, last + 1))


# Over restarts -------------------------------------------------------------------------------------


@dataclass
class Follower:
    """A client that follows everything for as long as it takes, and comes back whenever it was cut off."""

    port: int
    told: list[Frame] = field(default_factory=list)
    """Events, in the order in which they came."""
    others: list[str] = field(default_factory=list)
    seq: int | None = None
    connections: int = 0

    async def follow(self) -> None:
        while True:
            with suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                async with connect(f"ws://127.0.0.1:{self.port}/api/stream", compression=None) as websocket:
                    self.connections += 1
                    command: Frame = {"action": "subscribe", "channels": EVERYTHING}
                    if self.seq is not None:
                        command |= {"action": "resume", "since": self.seq}
                    await websocket.send(json.dumps(command))
                    whole: set[str] = set()
                    while True:
                        frame = json.loads(await websocket.recv())
                        if frame["type"] == "event":
                            self.told.append(frame)
                            self.seq = frame["seq"] if self.seq is not None else None
                        elif frame["type"] == "snapshot":
                            whole.add(frame["channel"])
                            if len(whole) == len(EVERYTHING):
                                self.seq = frame["seq"]
                        else:
                            self.others.append(frame["type"])
            await asyncio.sleep(0.02)


def start(stack: AsyncExitStack, port: int, gateway_port: int, folder: Path) -> "subprocess.Popen[bytes]":
    return stack.enter_context(
        running(
            ["trademind", "server", "start", "--port", str(port)],
            port,
            "/readyz",
            folder=folder,
            TRADEMIND_BROKER="ibkr",
            TRADEMIND_IBKR__PORT=str(gateway_port),
        )
    )


def start_gateway(stack: AsyncExitStack, port: int, folder: Path) -> "subprocess.Popen[bytes]":
    command = ["trademind", "gateway", "start", "--port", str(port)]
    return stack.enter_context(running(command, port, folder=folder))


async def test_nothing_is_lost_or_doubled_over_restarts_of_server_and_gateway(tmp_path: Path) -> None:
    """The server is killed in the middle of trading, again and again, and its gateway once. Seen to fail with
    a client that subscribes anew instead of resuming, and with a feed that begins at 0."""
    port, gateway_port = free_port(), free_port()
    (tmp_path / "server").mkdir()
    (tmp_path / "gateway").mkdir()
    rng, tasks = random.Random(5), Tasks()
    follower = Follower(port)
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        gateway = await asyncio.to_thread(start_gateway, stack, gateway_port, tmp_path / "gateway")
        server = await asyncio.to_thread(start, stack, port, gateway_port, tmp_path / "server")

        async def trade() -> None:
            while True:
                body: dict[str, Any] = {"symbol": "AAPL", "side": rng.choice(["BUY", "SELL"]), "quantity": 1}
                if rng.random() < 0.5:
                    body |= {"order_type": "LMT", "limit_price": "1.00"}
                with suppress(httpx.TransportError):
                    await http.post("/api/orders", json=body)
                await asyncio.sleep(0.01)

        following = tasks.spawn(follower.follow(), name="follower")
        await until(lambda: follower.seq is not None)
        trading = tasks.spawn(trade(), name="trader")
        for victim in ("server", "gateway", "server", "server"):
            await asyncio.sleep(rng.uniform(0.3, 0.8))
            process = server if victim == "server" else gateway
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            if victim == "server":
                server = await asyncio.to_thread(start, stack, port, gateway_port, tmp_path / "server")
            else:
                gateway = await asyncio.to_thread(start_gateway, stack, gateway_port, tmp_path / "gateway")
        await asyncio.sleep(0.5)
        trading.cancel()
        await asyncio.sleep(1.5)  # until all is settled, the figures as well
        server.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait)
        await asyncio.sleep(0.1)
        following.cancel()
        await asyncio.gather(following, trading, return_exceptions=True)
    async with open_journal(tmp_path / "server" / "data" / "journal.db") as journal:
        stored: dict[int, StoredEvent] = {}
        while page := await journal.reading.events_since(max(stored, default=0)):
            stored |= {event.seq: event for event in page}
    seen = [frame["seq"] for frame in follower.told]
    assert seen == list(range(seen[0], seen[-1] + 1)), "lost or doubled"
    assert seen[-1] >= journal_end_told(stored), "the last ones were not told"
    for frame in follower.told:
        event = stored[frame["seq"]]
        assert (frame["channel"], frame["name"]) == (event.channel, event.name)
    assert follower.connections >= 4
    assert {frame["channel"] for frame in follower.told} == set(EVERYTHING)
    assert "resumed" in follower.others


def journal_end_told(stored: dict[int, StoredEvent]) -> int:
    """The last event that was written before the server began to stop: streams end then."""
    return max(seq for seq, event in stored.items() if event.channel != "session")
