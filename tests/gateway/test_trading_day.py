"""One scripted trading day gives the same orders, executions and account, whichever client library plays it
and whichever version it has agreed on."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.bench import Bench, open_bench

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")
pytest.importorskip("ib_insync", reason="ib_insync is not installed (`make test` does that)")

from tests.gateway.clients import NEWEST, Attributes, Fill, TradingClient, trading_client

VERSIONS = (157, 163, 176, 178, 187, 194, 200)
MATRIX = [(name, version) for name, newest in NEWEST.items() for version in VERSIONS if version <= newest]

AAPL: Attributes = {"secType": "STK", "symbol": "AAPL", "exchange": "SMART", "currency": "USD"}
MSFT: Attributes = AAPL | {"symbol": "MSFT"}
EURUSD: Attributes = {"secType": "CASH", "symbol": "EUR", "exchange": "IDEALPRO", "currency": "USD"}


@dataclass(frozen=True, slots=True)
class Day:
    """What a client knows at the end of the day. Orders are numbered as they were placed: libraries begin
    with different order ids."""

    version: int
    statuses: dict[int, str]
    errors: list[tuple[int, int]]
    fills: list[Fill]
    summary: dict[str, str]
    positions: dict[str, tuple[Decimal, Decimal]]


class Script:
    """The day: what is done, and how time passes in between."""

    def __init__(self, bench: Bench, client: TradingClient) -> None:
        self.bench = bench
        self.client = client
        self.numbers: dict[int, int] = {}
        """The number of each order, by order id."""

    def price(self, instrument: Attributes) -> float:
        """The last trade."""
        core = self.bench.server.core
        (found,) = (
            each
            for each in core.universe.instruments
            if (each.symbol, each.sec_type) == (instrument["symbol"], instrument["secType"])
        )
        return float(core.feed.quote(found, core.clock.now()).last)

    async def order(self, contract: Attributes, action: str, quantity: int, kind: str, **more: Any) -> int:
        order_id = self.client.next_id()
        self.numbers[order_id] = len(self.numbers) + 1
        self.change(order_id, contract, action, quantity, kind, **more)
        await self.client.settled()
        return order_id

    def change(
        self, order_id: int, contract: Attributes, action: str, quantity: int, kind: str, **more: Any
    ) -> None:
        order = {"action": action, "totalQuantity": quantity, "orderType": kind, "tif": "DAY", **more}
        self.client.place(order_id, contract, order)

    async def pass_time(self, seconds: int) -> None:
        """Let the market move on, second by second, to where everybody is up to date."""
        for _ in range(seconds):
            self.bench.clock.advance(timedelta(seconds=1))
            for _ in self.bench.server.core.pump_steps(self.bench.clock.now()):
                pass
        self.bench.server.flush()
        await self.client.settled()


async def play(script: Script) -> None:
    client, near = script.client, script.price
    await script.order(AAPL, "BUY", 100, "MKT", orderRef="first")
    await script.order(EURUSD, "BUY", 20_000, "MKT")
    resting = await script.order(AAPL, "BUY", 50, "LMT", lmtPrice=round(near(AAPL) * 0.9, 2), tif="GTC")
    script.change(resting, AAPL, "BUY", 60, "LMT", lmtPrice=round(near(AAPL) * 1.01, 2), tif="GTC")
    await client.settled()
    await script.pass_time(20)
    canceled = await script.order(MSFT, "BUY", 10, "LMT", lmtPrice=round(near(MSFT) * 0.5, 2))
    client.cancel(canceled)
    stop = round(near(AAPL) - 0.1, 2)
    await script.order(AAPL, "SELL", 40, "STP", auxPrice=stop)
    await script.order(AAPL, "SELL", 30, "STP LMT", auxPrice=stop, lmtPrice=round(stop * 0.99, 2))
    await script.pass_time(120)
    await script.order(MSFT, "SELL", 20, "MKT", orderRef="short")
    await script.order(MSFT, "BUY", 1_000_000, "MKT")  # more than the account can bear
    await script.order(AAPL, "BUY", 10, "LMT", lmtPrice=100.001)  # not a price there is
    await script.order(MSFT, "BUY", 20, "LMT", lmtPrice=round(near(MSFT) * 0.9, 2), tif="IOC")
    await script.pass_time(60)
    await script.order(MSFT, "BUY", 20, "MKT")
    await script.pass_time(10)
    await play_families(script)


async def play_families(script: Script) -> None:
    """A bracket, one order that cancels another, a trailing stop, conditions, and what would be."""
    near = script.price
    price = near(AAPL)
    parent = await script.order(AAPL, "BUY", 20, "LMT", lmtPrice=round(price + 1, 2), transmit=False)
    exits = {"parentId": parent, "tif": "GTC"}
    await script.order(AAPL, "SELL", 20, "LMT", lmtPrice=round(price + 0.05, 2), transmit=False, **exits)
    await script.order(AAPL, "SELL", 20, "STP", auxPrice=round(price - 20, 2), **exits)
    group = {"ocaGroup": "either", "ocaType": 1}
    await script.order(MSFT, "BUY", 5, "LMT", lmtPrice=round(near(MSFT) - 30, 2), **group)
    await script.order(MSFT, "BUY", 5, "LMT", lmtPrice=round(near(MSFT) + 1, 2), **group)
    await script.order(AAPL, "SELL", 10, "TRAIL", auxPrice=0.05)
    await script.order(AAPL, "SELL", 10, "TRAIL", trailingPercent=50.0, tif="GTC")
    await script.order(MSFT, "BUY", 3, "MIT", auxPrice=round(near(MSFT) - 0.1, 2))
    await script.order(AAPL, "BUY", 7, "FOK_IS_A_TIF")
    await script.order(AAPL, "BUY", 7, "LMT", lmtPrice=round(near(AAPL) + 1, 2), tif="FOK")
    await script.order(AAPL, "BUY", 1_000, "MKT", whatIf=True)
    await script.pass_time(300)


async def day_of(name: str, version: int) -> Day:
    async with open_bench() as bench:
        # The script moves the market; the gateway by itself does not.
        bench.server.core.feed.interval = 3600.0
        async with trading_client(name, bench.server.port, version) as client:
            script = Script(bench, client)
            await play(script)
            number = script.numbers
            return Day(
                version=client.version,
                statuses={number[order_id]: status for order_id, status in client.statuses().items()},
                errors=[(number[order_id], code) for order_id, code in client.errors()],
                fills=[replace(each, order_id=number[each.order_id]) for each in await client.fills()],
                summary=await client.summary(),
                positions=await client.positions(),
            )


_days: dict[str, Day] = {}


async def reference() -> Day:
    """The day as ib_async plays it at its newest version."""
    if "reference" not in _days:
        _days["reference"] = await day_of("ib_async", NEWEST["ib_async"])
    return _days["reference"]


async def test_the_day_is_a_day() -> None:
    day = await reference()
    assert len(day.fills) >= 7
    assert set(day.statuses.values()) >= {"Filled", "Cancelled"}
    assert {code for _, code in day.errors} >= {110, 201, 202}
    spent = sum(
        ((1 if each.side == "BOT" else -1) * each.quantity * each.price for each in day.fills), Decimal(0)
    )
    paid = sum((each.commission for each in day.fills), Decimal(0))
    # Cash in dollars, and the euros that were bought, at the market.
    euros, price = day.positions["EUR.USD"]
    cash = Decimal(day.summary["TotalCashValue"]) - euros * price
    assert abs(Decimal(100_000) - spent - paid - cash) < Decimal("0.01") * len(day.fills) + euros / 1000

    take_profit, stop_loss = day.statuses[13], day.statuses[14]
    assert (take_profit, stop_loss) == ("Filled", "Cancelled")
    assert (day.statuses[15], day.statuses[16]) == ("Cancelled", "Filled"), "one cancels the other"
    assert (day.statuses[17], day.statuses[18]) == ("Filled", "PreSubmitted"), "the wide trail waits"
    assert 22 not in day.statuses, "what would be is not"


@pytest.mark.parametrize(("name", "version"), MATRIX, ids=[f"{name}-{version}" for name, version in MATRIX])
async def test_every_client_has_the_same_day(name: str, version: int) -> None:
    expected, day = await reference(), await day_of(name, version)
    assert day.version == version
    assert day.statuses == expected.statuses
    assert day.errors == expected.errors
    assert day.fills == expected.fills
    assert day.positions == expected.positions
    shared = day.summary.keys() & expected.summary.keys()
    assert len(shared) >= 5
    assert {tag: day.summary[tag] for tag in shared} == {tag: expected.summary[tag] for tag in shared}
