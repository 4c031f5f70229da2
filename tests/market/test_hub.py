"""The quote hub over real topics: how often, in what order and at what cost its clients are told.

How a test was seen to fail is said at the end of its docstring.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest

from tests.api.memory import AAPL, MSFT, NOW, MemoryBroker
from trademind.aio import Tasks
from trademind.brokers.topics import MAX_KEPT, Batch, SequenceTopic
from trademind.domain import (
    Channel,
    ContractQuery,
    Depth,
    DepthLevel,
    Missed,
    Quote,
    Subject,
    Tick,
    TickType,
)
from trademind.errors import ContractNotFound
from trademind.market.hub import Hub, HubClient

BOOK = Depth(contract=AAPL, as_of=None, bids=(), asks=(), is_smart=True)


def subject(symbol: str, channel: Channel = Channel.QUOTES) -> Subject:
    return Subject(channel=channel, query=ContractQuery(symbol=symbol))


def encode(value: object) -> str:
    return repr(value)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def hub(broker: MemoryBroker) -> Hub:
    return Hub(broker, encode)


@asynccontextmanager
async def flushing(client: HubClient) -> AsyncIterator[list[tuple[float, Batch]]]:
    """What a client that takes everything at once has been given, and when."""
    told: list[tuple[float, Batch]] = []
    loop = asyncio.get_running_loop()

    async def take() -> None:
        while batch := await client.flush():
            told.append((loop.time(), batch))

    tasks = Tasks()
    tasks.spawn(take(), name="taking")
    try:
        yield told
    finally:
        await tasks.cancel_all()


async def ticking(broker: MemoryBroker, seconds: float) -> None:
    """A market that never rests."""
    loop = asyncio.get_running_loop()
    until, number = loop.time() + seconds, 0
    while loop.time() < until:
        number += 1
        broker.tick(AAPL, last=float(number))
        await asyncio.sleep(0.002)


def lasts(batch: Batch) -> list[float | None]:
    return [cast(Quote, item.value).last for item in batch[Channel.QUOTES]]


# Pace ------------------------------------------------------------------------------------------


async def test_a_client_without_an_interval_is_told_at_once(broker: MemoryBroker, hub: Hub) -> None:
    async with hub.open() as client, flushing(client) as told:
        await client.follow(subject("AAPL"))
        for number in range(3):
            broker.tick(AAPL, last=float(number))
            await asyncio.sleep(0.01)
        assert [lasts(batch) for _, batch in told] == [[0.0], [1.0], [2.0]]


async def test_an_interval_holds_and_what_is_told_is_the_latest(broker: MemoryBroker, hub: Hub) -> None:
    """Also where several instruments change: all of them come together. Seen to fail without the wait."""
    async with hub.open() as client:
        client.interval = 0.1
        await client.follow(subject("AAPL"))
        await client.follow(subject("MSFT"))
        async with flushing(client) as told:
            await ticking(broker, 0.55)
        assert 4 <= len(told) <= 6
        assert len(told[0][1][Channel.QUOTES]) == 2
        seen = [last for _, batch in told[1:] for last in lasts(batch)]
        assert seen == sorted(cast(list[float], seen))
        assert len(seen) == len(told) - 1, "one value, not all there were"


async def test_a_quiet_market_is_not_told_of(broker: MemoryBroker, hub: Hub) -> None:
    async with hub.open() as client, flushing(client) as told:
        client.interval = 0.02
        await client.follow(subject("AAPL"))
        await asyncio.sleep(0.2)
        assert len(told) == 1


async def test_clients_of_one_interval_have_times_of_their_own(broker: MemoryBroker, hub: Hub) -> None:
    """One tick after a long rest wakes all of them, and they are not told at the same moment. Seen to fail
    with the same phase for all."""
    async with AsyncExitStack() as stack:
        told = []
        for _ in range(20):
            client = await stack.enter_async_context(hub.open())
            client.interval = 0.4
            await client.follow(subject("AAPL"))
            told.append(await stack.enter_async_context(flushing(client)))
        await asyncio.sleep(0.5)
        for each in told:
            each.clear()
        broker.tick(AAPL, last=1.0)
        await asyncio.sleep(0.5)
        moments = sorted(each[0][0] for each in told)
        gaps = [after - before for before, after in pairwise(moments)]
        assert max(gaps) < 0.15, "somewhere nobody is flushed"
        assert moments[-1] - moments[0] > 0.25


async def test_others_have_their_turn_between_two_flushes(broker: MemoryBroker, hub: Hub) -> None:
    """However many are due. Seen to fail with flushes that do not wait for their turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    at: list[int] = []

    async def take(client: HubClient) -> None:
        while await client.flush():
            at.append(turns)

    tasks = Tasks()
    async with AsyncExitStack() as stack:
        for _ in range(50):
            client = await stack.enter_async_context(hub.open())
            await client.follow(subject("AAPL"))
            tasks.spawn(take(client), name="taking")
        await asyncio.sleep(0.05)
        at.clear()
        tasks.spawn(count(), name="counting")
        broker.tick(AAPL, last=1.0)
        await asyncio.sleep(0.05)
        await tasks.cancel_all()
    assert len(at) == len(set(at)) == 50


async def test_one_that_goes_while_it_waits_for_its_turn_holds_up_nobody(
    broker: MemoryBroker, hub: Hub
) -> None:
    """Seen to fail with a turn that is given to whoever has gone."""
    tasks = Tasks()
    gone = tasks.spawn(hub.turn(), name="gone")
    stays = tasks.spawn(hub.turn(), name="stays")
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(1):
        await stays
        await hub.turn()


# Cost ------------------------------------------------------------------------------------------


async def test_a_value_is_written_once_for_all(broker: MemoryBroker, hub: Hub) -> None:
    """Seen to fail with an item that forgets its text."""
    async with AsyncExitStack() as stack:
        told = []
        for _ in range(30):
            client = await stack.enter_async_context(hub.open())
            await client.follow(subject("AAPL"))
            told.append(await stack.enter_async_context(flushing(client)))
        for number in range(3):
            broker.tick(AAPL, last=float(number))
            await asyncio.sleep(0.02)
        texts = [
            [item.text(hub.write) for _, batch in each for item in batch[Channel.QUOTES]] for each in told
        ]
        assert all(each == texts[0] for each in texts)
        statistics = hub.statistics
        assert (statistics.clients, statistics.topics) == (30, 1)
        assert (statistics.encoded, statistics.delivered, statistics.flushes) == (3, 90, 90)
    assert (hub.statistics.clients, hub.statistics.topics) == (0, 0)
    assert broker.holders == set()


async def test_one_that_does_not_take_costs_nothing_and_then_sees_the_latest(
    broker: MemoryBroker, hub: Hub
) -> None:
    """Of ticks as many as are kept, and how many are not."""
    async with hub.open() as client:
        await client.follow(subject("AAPL"))
        topic = cast(SequenceTopic, await client.follow(subject("MSFT", Channel.TICKS)))
        await client.flush()
        tick = Tick(contract=MSFT, tick_type=TickType.ALL_LAST, time=NOW, price=1.0)
        for number in range(MAX_KEPT + 7):
            broker.tick(AAPL, last=float(number))
            topic.add(replace(tick, price=float(number)))
        batch = await client.flush()
        assert lasts(batch) == [MAX_KEPT + 6.0]
        missed, *ticks = [item.value for item in batch[Channel.TICKS]]
        assert isinstance(missed, Missed)
        assert missed.count == 7
        assert [cast(Tick, each).price for each in ticks] == [7.0 + n for n in range(MAX_KEPT)]


async def test_it_ends_with_the_broker(broker: MemoryBroker, hub: Hub) -> None:
    async with hub.open() as client:
        await client.follow(subject("AAPL"))
        await client.flush()
        broker.tick(AAPL, last=1.0)
        broker.drain()
        assert await client.flush() == {}


# One value -------------------------------------------------------------------------------------


def has_come(book: Any) -> bool:
    return cast(Depth, book).as_of is not None


async def test_the_first_book_that_is_enough(broker: MemoryBroker, hub: Hub) -> None:
    """And nobody follows it any more. Seen to fail with the first value there is."""
    broker.books[AAPL.con_id] = BOOK
    asking = Tasks().spawn(hub.first(subject("AAPL", Channel.DEPTH), has_come, within=5), name="asking")
    await asyncio.sleep(0.02)
    assert broker.holders
    full = replace(BOOK, as_of=NOW, bids=(DepthLevel(1.0, 2.0),))
    broker.show(full)
    assert await asking is full
    assert broker.holders == set()


async def test_at_the_deadline_there_is_what_has_come(broker: MemoryBroker, hub: Hub) -> None:
    broker.books[AAPL.con_id] = BOOK
    assert await hub.first(subject("AAPL", Channel.DEPTH), has_come, within=0.02) is BOOK
    assert broker.holders == set()
    with pytest.raises(ContractNotFound):
        await hub.first(subject("NOSUCH", Channel.DEPTH), has_come, within=0.02)
