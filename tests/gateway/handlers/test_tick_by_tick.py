"""Tick-by-tick data, as the real client libraries read it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.conversation import AAPL_ID, EURUSD_ID, LIBRARIES, NOW, Heard, LibraryClient, make_core
from tests.gateway.handlers.watching import instrument, move
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.pacing import Pacing


def subscribe(
    client: LibraryClient,
    kind: str,
    req_id: int = 1,
    *,
    number: int = 0,
    ignore_size: bool = False,
    con_id: int = AAPL_ID,
) -> Heard:
    return client.ask("reqTickByTickData", req_id, client.contract(con_id), kind, number, ignore_size)


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_all_trades_make_the_volume(library: str, version: int) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)
    assert not subscribe(client, "AllLast")
    trades: list[tuple[Any, ...]] = []
    for _ in range(5):
        move(core)
        trades += client.hear().named("tickByTickAllLast")

    bars = core.feed.bars(
        instrument(core, AAPL_ID), start=NOW, end=NOW + timedelta(seconds=5), bar_size="1 secs"
    )
    assert sum(Decimal(str(args[4])) for args in trades) == sum(bar.volume for bar in bars) > 0
    assert trades[-1][3] == float(core.feed.quote(instrument(core, AAPL_ID), core.clock.now()).last)
    assert {args[1] for args in trades} == {2}
    assert all(NOW.timestamp() <= args[2] < NOW.timestamp() + 5 for args in trades)
    assert {args[6] for args in trades} == {"NASDAQ"}
    assert not client.ask("cancelTickByTickData", 1).errors()
    move(core)
    assert not client.hear()


def test_last_leaves_out_what_is_not_reported() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, "Last", 1)
    subscribe(client, "AllLast", 2)
    move(core, 30)
    heard = client.hear().named("tickByTickAllLast")

    last = [args[2:] for args in heard if args[0] == 1]
    everything = [args for args in heard if args[0] == 2]
    reported = [args for args in everything if not args[5].unreported]
    assert [args[:3] for args in last] == [args[2:5] for args in reported]
    assert all((args[4] == 0) is args[5].unreported for args in everything)


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_bid_and_ask_are_the_quote(library: str, version: int) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)
    subscribe(client, "BidAsk", 1, con_id=EURUSD_ID)
    subscribe(client, "MidPoint", 2, con_id=EURUSD_ID)
    seen = 0
    for _ in range(5):
        move(core)
        heard = client.hear()
        quote = core.feed.quote(instrument(core, EURUSD_ID), core.clock.now())
        for args in heard.named("tickByTickBidAsk"):
            assert args[:2] == (1, int(quote.time.timestamp()))
            assert args[2:4] == (float(quote.bid), float(quote.ask))
            assert [float(each) for each in args[4:6]] == [float(quote.bid_size), float(quote.ask_size)]
            seen += 1
        for args in heard.named("tickByTickMidPoint"):
            assert args == (2, int(quote.time.timestamp()), float((quote.bid + quote.ask) / 2))
    assert seen == 5


def test_sizes_alone_can_be_ignored() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, "BidAsk", 1)
    subscribe(client, "BidAsk", 2, ignore_size=True)
    for _ in range(60):
        move(core)
    heard = client.hear().named("tickByTickBidAsk")

    prices = [args[2:4] for args in heard if args[0] == 1]
    ignoring = [args[2:4] for args in heard if args[0] == 2]
    assert len(ignoring) < len(prices)
    assert ignoring == [
        each for number, each in enumerate(prices) if not number or each != prices[number - 1]
    ]


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize(
    ("kind", "callback"),
    [
        ("AllLast", "historicalTicksLast"),
        ("BidAsk", "historicalTicksBidAsk"),
        ("MidPoint", "historicalTicks"),
    ],
)
def test_the_past_comes_first(library: str, version: int, kind: str, callback: str) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)
    heard = subscribe(client, kind, number=10)

    ((name, args),) = heard
    assert (name, args[0]) == (callback, 1)
    assert len(args[1]) >= 10
    move(core, 2)
    live = client.hear()
    assert live
    assert all(name.startswith("tickByTick") for name, _ in live)
    assert subscribe(client, kind, number=10).errors() == [(1, 322)]


@pytest.mark.parametrize(
    ("kind", "con_id", "number"),
    [("Last", EURUSD_ID, 0), ("Trades", AAPL_ID, 0), ("Last", AAPL_ID, 1001), ("Last", AAPL_ID, -1)],
)
def test_what_there_is_not_is_refused(kind: str, con_id: int, number: int) -> None:
    client = LibraryClient(make_core())

    assert subscribe(client, kind, con_id=con_id, number=number).errors() == [(1, 10189)]
    assert client.ask("cancelTickByTickData", 1).errors() == [(1, 300)]


def test_permission_and_number_are_limited() -> None:
    core = make_core()
    core.pacing = Pacing(max_tick_by_tick=1)
    core.entitlements = Entitlements({"AAPL": Access.DELAYED})
    client = LibraryClient(core)

    assert subscribe(client, "Last").errors() == [(1, 10189)]
    assert not subscribe(client, "BidAsk", 2, con_id=EURUSD_ID).errors()
    assert subscribe(client, "BidAsk", 3, con_id=EURUSD_ID).errors() == [(3, 10190)]


def test_a_put_price_and_a_halt_are_seen() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, "Last")
    core.control.set_price("AAPL", Decimal(123))
    move(core, 3)
    assert {args[3] for args in client.hear().named("tickByTickAllLast")} == {123.0}
    core.control.halt("AAPL")
    move(core)
    client.hear()
    move(core, 3)
    assert not client.hear().named("tickByTickAllLast")
