"""Who takes ticks: a program with a hundred quotes in view, by TradeMind's broker or by ib_async alone.

    python -m tests.bench.tick_takers ours|bare PORT LINES

For each line of its input it asks the gateway a question, and prints an empty line when it has the answer. At
the end of the input it prints the bids that it has.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import ib_async

from trademind import ContractQuery, IBKRBroker, Quote
from trademind.aio import Tasks
from trademind.brokers.topics import MarketStream
from trademind.gateway.engine.instruments import INSTRUMENTS

PATIENCE: Final = 60.0
EVERY: Final = 0.1
"""Seconds between two looks at what has changed."""


async def ours(port: int, lines: int) -> dict[int, float | None]:
    """Everything is followed by one stream, which takes what has come every tenth of a second, as a client of
    the server does."""
    queries = [ContractQuery(con_id=instrument.con_id) for instrument in INSTRUMENTS[:lines]]
    async with IBKRBroker(
        port=port, client_id=51, max_requests_per_second=0, request_timeout=PATIENCE
    ) as broker:
        async with broker.quotes(*queries) as stream:
            tasks = Tasks()
            tasks.spawn(_read(stream), name="reader")
            await _obey(lambda: broker.search_contracts("AAPL"))
            await tasks.cancel_all()
        return {quote.contract.con_id: quote.bid for quote in await broker.get_quotes(queries)}


async def _read(stream: MarketStream[Quote]) -> None:
    while True:
        stream.take()
        await asyncio.sleep(EVERY)


async def bare(port: int, lines: int) -> dict[int, float | None]:
    """The handler only counts."""
    told = 0

    def count(tickers: set[ib_async.Ticker]) -> None:
        nonlocal told
        told += len(tickers)

    ib = ib_async.IB()
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", port, clientId=52)
    try:
        ib.pendingTickersEvent += count
        contracts = [
            ib_async.Contract(conId=one.con_id, exchange=one.exchange) for one in INSTRUMENTS[:lines]
        ]
        tickers = {contract.conId: ib.reqMktData(contract) for contract in contracts}
        await _obey(ib.reqCurrentTimeAsync)
        return {con_id: ticker.bid for con_id, ticker in tickers.items()}
    finally:
        ib.disconnect()


async def _obey(ask: Callable[[], Awaitable[object]]) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while await commands.readline():
        await ask()
        print(flush=True)


if __name__ == "__main__":
    taker = {"ours": ours, "bare": bare}[sys.argv[1]]
    print(json.dumps(asyncio.run(taker(int(sys.argv[2]), int(sys.argv[3])))))
