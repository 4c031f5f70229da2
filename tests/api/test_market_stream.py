"""Market data on `/api/stream`: at the pace that a client asks for, and what there is beside it on REST.

Over a real uvicorn and real sockets, the broker in memory; what clients cost that do not read is measured on
real processes. How a test was seen to fail is said at the end of its docstring.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.memory import AAPL, MSFT, NOW, runtime_of
from tests.api.test_stream import Client, Deaf, Frame, Served, WatchingBroker, listening, masked
from tests.bench.fanout import gateway
from tests.bench.stream_clients import measure
from tests.processes import free_port, running
from trademind.api import create_app, streaming
from trademind.api.routes import market as market_routes
from trademind.domain import Bar, Channel, Depth, DepthLevel, LiveBar, Missed, Tick, TickType
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.settings import Settings

TICK = Tick(contract=AAPL, tick_type=TickType.ALL_LAST, time=NOW, price=1.0, size=100.0)
BOOK = Depth(
    contract=AAPL,
    as_of=NOW,
    bids=(DepthLevel(150.0, 100.0, "ISLAND"),),
    asks=(DepthLevel(150.02, 300.0, "ARCA"), DepthLevel(150.03, 50.0, "BATS")),
    is_smart=True,
)


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[Served]:
    broker = WatchingBroker()
    broker.books[AAPL.con_id] = BOOK
    async with listening(create_app(settings, open_runtime=runtime_of(broker))) as (port, server):
        yield Served(broker, port, server)


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    async with served.client() as client:
        yield client


async def ask(client: Client, **command: Any) -> Frame:
    """Subscribe to market data; returns the acknowledgement."""
    await client.say({"action": "subscribe", "id": 1, **command})
    (ack,) = await client.hear_kinds("ack")
    return ack


# Pace ------------------------------------------------------------------------------------------


async def test_with_an_interval_there_is_one_frame_for_all_that_has_changed(
    served: Served, client: Client
) -> None:
    """The acknowledgement names the interval, and so do later ones. Seen to fail with a frame for each."""
    ack = await ask(client, interval_ms=200, channels={"quotes": ["AAPL", "MSFT"]})
    assert ack["data"] == {"channels": [], "interval_ms": 200}
    (first,) = await client.hear_kinds("event")
    assert {quote["symbol"] for quote in first["data"]} == {"AAPL", "MSFT"}
    for number in range(50):
        served.broker.tick(AAPL, last=float(number))
        served.broker.tick(MSFT)
    (frame,) = await client.hear_kinds("event")
    assert frame["channel"] == "quotes"
    assert [quote["last"] for quote in frame["data"]] == [49.0, 49.0]
    assert (await ask(client, channels={}))["data"] == {"channels": ["quotes"], "interval_ms": 200}


async def test_an_interval_of_nothing_is_batches_at_once(served: Served, client: Client) -> None:
    await ask(client, interval_ms=0, channels={"quotes": ["AAPL"]})
    (first,) = await client.hear_kinds("event")
    assert len(first["data"]) == 1
    began = time.monotonic()
    for number in range(10):
        served.broker.tick(AAPL, last=float(number))
        (frame,) = await client.hear_kinds("event")
        assert [quote["last"] for quote in frame["data"]] == [number]
    assert time.monotonic() - began < 1


async def test_without_an_interval_each_value_is_a_frame(served: Served, client: Client) -> None:
    assert "interval_ms" not in (await ask(client, channels={"quotes": ["AAPL", "MSFT"]}))["data"]
    frames = await client.hear_kinds("event", "event")
    assert {frame["data"]["symbol"] for frame in frames} == {"AAPL", "MSFT"}


@pytest.mark.parametrize("wrong", [-1, 1001, 1.5, "100", True])
async def test_an_interval_that_cannot_be_is_refused(client: Client, wrong: Any) -> None:
    await client.say({"action": "subscribe", "interval_ms": wrong, "channels": {"quotes": ["AAPL"]}})
    (error,) = await client.hear_kinds("error")
    assert error["data"]["code"] == "invalid"
    assert await client.hear_all() == []


async def test_an_interval_belongs_to_subscribe(client: Client) -> None:
    for command in (
        {"action": "unsubscribe", "interval_ms": 100, "channels": {}},
        {"action": "resume", "since": 0, "interval_ms": 100, "channels": {}},
    ):
        await client.say(command)
        (error,) = await client.hear_kinds("error")
        assert error["data"]["code"] == "invalid"


# Channels --------------------------------------------------------------------------------------


async def test_books_bars_and_ticks(served: Served, client: Client) -> None:
    """Bars and ticks each by itself, in order; of the book the latest."""
    await ask(client, channels={"depth": ["AAPL"], "bars": ["AAPL"], "ticks": ["AAPL"]})
    (book,) = await client.hear_kinds("event")
    assert book["channel"] == "depth"
    assert book["data"]["bids"] == [{"price": 150.0, "size": 100.0, "market_maker": "ISLAND"}]
    assert book["data"]["is_smart"] is True
    for number in range(3):
        served.broker.add(replace(TICK, price=float(number)))
    ticks = await client.hear_kinds("event", "event", "event")
    assert [(each["channel"], each["data"]["price"]) for each in ticks] == [("ticks", n) for n in (0, 1, 2)]
    bar = Bar(time=NOW, open=1.0, high=2.0, low=0.5, close=1.5, volume=10.0, wap=1.2, count=3)
    live = LiveBar(contract=AAPL, what_to_show="TRADES", bar=bar)
    served.broker.add(live)
    (told,) = await client.hear_kinds("event")
    assert (told["channel"], told["data"]["close"], told["data"]["what_to_show"]) == ("bars", 1.5, "TRADES")


async def test_what_was_missed_is_a_gap_of_its_instrument(served: Served, client: Client) -> None:
    await ask(client, interval_ms=0, channels={"ticks": ["AAPL"]})
    missed = Missed(channel=Channel.TICKS, contract=AAPL, reason="the line was lost", ib_code=10190)
    for value in (TICK, missed, TICK):
        served.broker.add(value)
    before, gap, after = await client.hear_kinds("event", "gap", "event")
    assert (len(before["data"]), len(after["data"])) == (1, 1)
    assert gap["channel"] == "ticks"
    assert gap["data"] == {
        "symbol": "AAPL", "con_id": AAPL.con_id, "exchange": "SMART", "reason": "the line was lost",
        "count": None, "ib_code": 10190, "bar_size": None,
    }  # fmt: skip


async def test_kinds_of_bars_and_ticks_are_followed_and_let_go_one_by_one(
    served: Served, client: Client
) -> None:
    """Without a kind, all there are of the instrument go. Seen to fail with kinds that are not looked at."""
    ticks = [{"symbol": "AAPL", "tick_type": kind} for kind in ("Last", "BidAsk", "MidPoint")]
    bars = ["AAPL", {"symbol": "AAPL", "what_to_show": "BID"}]
    await ask(client, channels={"ticks": ticks, "bars": bars})

    async def leave(**channels: Any) -> tuple[list[str], set[tuple[str, str]]]:
        await client.say({"action": "unsubscribe", "channels": channels})
        (ack,) = await client.hear_kinds("ack")
        held = {(topic.channel.value, topic.variant) for topic, _ in served.broker.holders}
        return ack["data"]["channels"], held

    assert await leave(ticks=[{"con_id": AAPL.con_id, "tick_type": "BidAsk"}]) == (
        ["bars", "ticks"],
        {("ticks", "Last"), ("ticks", "MidPoint"), ("bars", "TRADES"), ("bars", "BID")},
    )
    assert await leave(bars=[AAPL.con_id]) == (["ticks"], {("ticks", "Last"), ("ticks", "MidPoint")})
    assert await leave(ticks=["AAPL"]) == ([], set())


async def test_sizes_of_bars_are_followed_and_let_go_one_by_one(served: Served, client: Client) -> None:
    """Seen to fail with sizes that are not looked at, and with one that is taken for five seconds when it is
    left out of what is let go."""
    minute, hour = ({"symbol": "AAPL", "bar_size": size} for size in ("1 min", "1 hour"))
    regular = hour | {"use_rth": True}
    await ask(client, channels={"bars": ["AAPL", minute, hour, regular]})

    async def leave(bars: Any) -> list[tuple[str, bool]]:
        await client.say({"action": "unsubscribe", "channels": {"bars": [bars]}})
        await client.hear_kinds("ack")
        held = [topic.bars for topic, _ in served.broker.holders if topic.bars]
        return sorted((each.bar_size, each.use_rth) for each in held)

    assert await leave(minute) == [("1 hour", False), ("1 hour", True), ("5 secs", False)]
    assert await leave(regular) == [("1 hour", False), ("5 secs", False)]
    assert await leave("AAPL") == []


async def test_a_size_that_there_is_not_is_refused_by_itself(served: Served, client: Client) -> None:
    wanted = [{"symbol": "AAPL", "bar_size": "7 mins"}, {"symbol": "MSFT", "bar_size": "1 min"}]
    await client.say({"action": "subscribe", "channels": {"bars": wanted}})
    _, error = await client.hear_kinds("ack", "error")
    assert (error["channel"], error["data"]["code"], error["data"]["symbol"]) == ("bars", "invalid", "AAPL")
    assert [topic.contract.symbol for topic, _ in served.broker.holders] == ["MSFT"]


@pytest.mark.parametrize(
    "channels",
    [
        {"bars": [{"symbol": "AAPL", "what_to_show": "NONSENSE"}]},
        {"ticks": [{"symbol": "AAPL", "tick_type": "last"}]},
        {"quotes": [{"symbol": "AAPL", "tick_type": "Last"}]},
        {"depth": True},
        {"ticks": ["AAPL"] * 101},
        {"bars": [0]},
    ],
)
async def test_kinds_that_do_not_exist_are_refused(client: Client, channels: Any) -> None:
    await client.say({"action": "subscribe", "channels": channels})
    (error,) = await client.hear_kinds("error")
    assert error["data"]["code"] == "invalid"


async def test_an_error_names_its_channel(client: Client) -> None:
    await client.say({"action": "subscribe", "id": 5, "channels": {"depth": ["NOSUCH"]}})
    _, error = await client.hear_kinds("ack", "error")
    assert (error["channel"], error["id"], error["data"]["symbol"]) == ("depth", 5, "NOSUCH")
    assert error["data"]["code"] == "contract_not_found"


async def test_market_data_is_a_sign_of_life(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats are for silence. Seen to fail with a heartbeat by the clock of events alone."""
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.3)
    async with served.client() as client:
        await ask(client, channels={"quotes": ["AAPL"]})
        kinds = []
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            served.broker.tick(AAPL, last=time.monotonic())
            kinds.append((await client.hear())["type"])
            await asyncio.sleep(0.02)
        assert set(kinds) == {"event"}
        assert (await client.hear())["type"] == "heartbeat"


# REST ------------------------------------------------------------------------------------------


async def test_a_book_for_one_answer(served: Served) -> None:
    book = await served.get(f"/api/market/depth/{AAPL.con_id}")
    assert book["symbol"] == "AAPL"
    assert [row["price"] for row in book["asks"]] == [150.02, 150.03]
    assert served.broker.holders == set(), "and nobody follows it any more"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        assert (await http.get("/api/market/depth/999")).status_code == 404
        assert (await http.get("/api/market/depth/0")).status_code == 422


async def test_a_book_that_does_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_routes, "DEPTH_WAIT", 0.05)
    served.broker.books[AAPL.con_id] = Depth(contract=AAPL, as_of=None, bids=(), asks=(), is_smart=True)
    book = await served.get(f"/api/market/depth/{AAPL.con_id}")
    assert (book["as_of"], book["bids"], book["asks"]) == (None, [], [])


async def test_lines_and_what_the_stream_costs_are_told(served: Served, client: Client) -> None:
    await ask(client, channels={"quotes": ["AAPL", "MSFT"]})
    await client.hear_kinds("event", "event")
    lines = (await served.get("/api/market/lines"))["lines"]
    assert [line["channel"] for line in lines] == ["quotes", "depth", "bars", "ticks"]
    assert lines[0] == {"channel": "quotes", "limit": 3, "used": 2, "held": 2}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}") as http:
        metrics = (await http.get("/metrics")).text.splitlines()
    assert 'trademind_market_lines{channel="quotes",which="used"} 2.0' in metrics
    assert "trademind_stream_clients 1.0" in metrics
    assert "trademind_stream_topics 2.0" in metrics
    assert "trademind_stream_encoded_total 2.0" in metrics
    assert "trademind_stream_delivered_total 2.0" in metrics


# From the paper gateway to the client ------------------------------------------------------------


@contextlib.asynccontextmanager
async def on_a_gateway(settings: Settings, tmp_path: Path) -> AsyncIterator[Served]:
    """The real broker on the real gateway, over TCP."""
    paper = settings.model_copy(update={"data_dir": tmp_path})
    async with listening(create_app(paper)) as (port, server):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(20):
            while (await http.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - it is told when asked
                await asyncio.sleep(0.05)
        yield Served(None, port, server)  # type: ignore[arg-type]


async def test_every_kind_from_the_gateway_to_the_client(settings: Settings, tmp_path: Path) -> None:
    """Seen to fail with a kind that the broker does not know."""
    async with on_a_gateway(settings, tmp_path) as served:
        async with served.client() as client:
            channels = {"quotes": ["AAPL"], "depth": ["AAPL"], "ticks": ["AAPL"], "bars": ["AAPL"]}
            await ask(client, interval_ms=100, channels=channels)
            told: dict[str, list[Any]] = {}
            async with asyncio.timeout(20):
                while set(told) != {"quotes", "depth", "ticks", "bars"}:
                    frame = await client.hear()
                    assert frame["type"] == "event", frame
                    told.setdefault(frame["channel"], []).extend(frame["data"])
            assert all(each["symbol"] == "AAPL" for values in told.values() for each in values)
            assert told["depth"][-1]["bids"][0]["price"] < told["depth"][-1]["asks"][0]["price"]
            assert told["ticks"][0]["tick_type"] == "AllLast"
            assert told["bars"][0]["what_to_show"] == "TRADES"
            con_id = told["quotes"][0]["con_id"]
            book = await served.get(f"/api/market/depth/{con_id}")
            assert book["as_of"] is not None
            held = {
                line["channel"]: line["held"] for line in (await served.get("/api/market/lines"))["lines"]
            }
            assert held == {"quotes": 1, "depth": 1, "ticks": 1, "bars": 1}
        other = (await served.get("/api/market/quotes", symbols="MSFT"))["quotes"][0]
        assert other["missing"] == []
        assert (await served.get(f"/api/market/depth/{other['con_id']}"))["bids"]


async def test_an_instrument_is_followed_and_let_go_by_what_is_said_of_it(
    settings: Settings, tmp_path: Path
) -> None:
    """And nothing that is only called the same. Seen to fail where only symbol and type are looked at."""
    option = {"symbol": "AAPL", "sec_type": "OPT", "right": "C", "strike": "230"}
    async with on_a_gateway(settings, tmp_path) as served, served.client() as client:
        (stock,) = (await served.get("/api/market/quotes", symbols="AAPL"))["quotes"]
        (future,) = (await served.get("/api/market/quotes", symbols="ES", sec_type="CONTFUT"))["quotes"]
        chain = (await served.get(f"/api/contracts/{stock['con_id']}/options"))["parameters"][0]
        option["last_trade_date"] = chain["expirations"][3]
        quotes: list[Any] = [
            "AAPL",
            {"symbol": "AAPL", "exchange": "NASDAQ"},
            {"symbol": "EUR", "sec_type": "CASH"},
            {"symbol": "EUR", "sec_type": "CASH", "currency": "GBP"},
            {**option, "strike": "225"},
            option,
            future["con_id"],
        ]

        async def seen(wanted: set[str]) -> set[str]:
            """What comes, until all that is wanted has."""
            found: set[str] = set()
            async with asyncio.timeout(20):
                while not found >= wanted:
                    for each in (await client.hear())["data"]:
                        found.add(" ".join(each[name] for name in ("symbol", "exchange", "currency")))
            return found

        await ask(client, interval_ms=0, channels={"quotes": quotes})
        left = {"AAPL SMART USD", "EUR IDEALPRO GBP"}
        everything = left | {"AAPL NASDAQ USD", "EUR IDEALPRO USD", "ES CME USD"}
        assert await seen(everything) == everything
        await client.say({"action": "unsubscribe", "channels": {"quotes": [*quotes[1:3], *quotes[5:]]}})
        while (await client.hear())["type"] != "ack":
            pass
        assert await seen(left) == left
        (lines, *_) = (await served.get("/api/market/lines"))["lines"]
        assert lines["held"] == 3, "the other option as well"


# Clients that do not read, on real processes ----------------------------------------------------

DEAF = 40
LINES = 20


async def test_clients_that_never_read_cost_little_and_slow_nobody() -> None:
    """Twenty instruments that change ten times a second. They are told to go, and one who reads is told
    everything in time. Seen to fail with a socket that takes whatever is written to it."""
    con_ids = [instrument.con_id for instrument in INSTRUMENTS[:LINES]]
    command = json.dumps({"action": "subscribe", "channels": {"quotes": con_ids}})
    port = free_port()
    with (
        gateway() as gateway_port,
        running(
            ["trademind", "server", "start", "--port", str(port)],
            port,
            "/readyz",
            TRADEMIND_BROKER="ibkr",
            TRADEMIND_IBKR__PORT=str(gateway_port),
            TRADEMIND_SERVER__LOG_LEVEL="error",
        ) as server,
    ):
        await asyncio.to_thread(measure, port, 1, 1.0, 5.0, command)
        before = resident(server.pid)
        deaf = [Deaf(port) for _ in range(DEAF)]
        try:
            for each in deaf:
                await each.greet()
                await asyncio.get_running_loop().sock_sendall(each.socket, masked(command))
            heard = await asyncio.to_thread(measure, port, 1, 6.0, 1.0, command)
            grown = resident(server.pid) - before
            assert heard["values_per_second"] > 0.8 * LINES * 10
            assert heard["p99"] < 500
            assert grown < DEAF * 0.5, f"{grown:.1f} MB"
            async with asyncio.timeout(25):
                while await clients(port):  # noqa: ASYNC110 - the server tells it when asked
                    await asyncio.sleep(0.5)
        finally:
            for each in deaf:
                each.socket.close()


def resident(pid: int) -> float:
    """Megabytes that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


async def clients(port: int) -> int:
    """How many follow market data, by the server's own count."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        metrics = (await http.get("/metrics")).text
    (line,) = [line for line in metrics.splitlines() if line.startswith("trademind_stream_clients ")]
    return int(float(line.split()[1]))
