"""Orders over the wire: from one client, as fast as the gateway takes them, with pacing off.

The client is a bare socket: the orders are laid out beforehand, by ib_async's own encoder, and of the answers
only the message ids are looked at. So it is the gateway that is measured, in a process of its own.
"""

import asyncio
import time
from collections import Counter
from typing import Final

import ib_async
from ib_async.client import Client

from tests.bench.report import show
from tests.bench.servers import paper_gateway

VERSION: Final = 178
ORDERS: Final = 4000
OPEN_ORDER, ORDER_STATUS, NEXT_ID, COMMISSION = b"5", b"3", b"9", b"59"


async def table(_quick: bool) -> None:
    with paper_gateway("--no-pacing", "--cash", "100000000") as gateway:
        rates = {
            "resting, to the acknowledgement": await orders_per_second(gateway.port, ORDERS, filling=False),
            "filling, to the commission": await orders_per_second(gateway.port, ORDERS, filling=True),
        }
    show(
        f"Orders over the wire, {ORDERS:,} at once from one bare socket, pacing off",
        ("orders", "orders/s"),
        ((name, f"{rate:,.0f}") for name, rate in rates.items()),
    )


def _frames(first: int, count: int, price: float) -> bytes:
    """`count` orders for one share of AAPL, with order ids from `first` on, as ib_async writes them."""
    client = Client(object())
    client.connState, client._serverVersion = Client.CONNECTED, VERSION
    written = bytearray()
    client.conn.sendMsg = written.extend  # type: ignore[method-assign]
    client.MaxRequests = 0
    contract = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)
    for order_id in range(first, first + count):
        client.placeOrder(order_id, contract, ib_async.LimitOrder("BUY", 1, price, tif="DAY"))
    return bytes(written)


class _Answers:
    """Counts the gateway's messages by id."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = b""
        self.seen: Counter[bytes] = Counter()
        self.next_id = 0

    async def until(self, message_id: bytes, count: int) -> None:
        while self.seen[message_id] < count:
            data = await asyncio.wait_for(self._reader.read(1 << 20), 30)
            if not data:
                raise RuntimeError("the gateway hung up")
            self._take(self._rest + data)

    def _take(self, data: bytes) -> None:
        at = 0
        while at + 4 <= len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            if end > len(data):
                break
            kind = data[at + 4 : data.index(b"\0", at + 4)]
            self.seen[kind] += 1
            if kind == NEXT_ID:
                self.next_id = int(data[at + 4 : end].split(b"\0")[2])
            at = end
        self._rest = data[at:]


def _frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


async def orders_per_second(port: int, count: int, *, filling: bool) -> float:
    """Orders per second, until each is acknowledged, or, where they fill, has its commission report."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    try:
        writer.write(b"API\0" + _frame(f"v157..{VERSION}".encode()))
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        writer.write(_frame(b"71\0" + b"2\0" + b"41\0\0"))
        answers = _Answers(reader)
        await answers.until(NEXT_ID, 1)
        orders = _frames(answers.next_id, count, 10_000.0 if filling else 1.0)
        started = time.perf_counter()
        writer.write(orders)
        await answers.until(COMMISSION if filling else OPEN_ORDER, count if filling else 2 * count)
        return count / (time.perf_counter() - started)
    finally:
        writer.close()
        await writer.wait_closed()
