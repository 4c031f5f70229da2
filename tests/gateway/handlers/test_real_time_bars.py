"""Real-time bars, as the real client libraries read them."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.conversation import AAPL_ID, EURUSD_ID, LIBRARIES, NOW, Heard, LibraryClient, make_core
from tests.gateway.handlers.watching import instrument, move
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.handlers.bar_kinds import half_spread
from trademind.gateway.handlers.real_time_bars import MAX_BEHIND
from trademind.gateway.pacing import Pacing


def subscribe(client: LibraryClient, what: str, req_id: int = 1, con_id: int = AAPL_ID) -> Heard:
    return client.ask("reqRealTimeBars", req_id, client.contract(con_id), 5, what, False, [])


def figures(args: tuple[Any, ...]) -> tuple[float, ...]:
    return tuple(float(each) for each in args[1:])


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_bar_comes_every_five_seconds(library: str, version: int) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)
    assert not subscribe(client, "TRADES")
    bars: list[tuple[float, ...]] = []
    for second in range(1, 16):
        move(core)
        heard = client.hear().named("realtimeBar")
        assert len(heard) == (1 if second % 5 == 0 else 0)
        bars += [figures(args) for args in heard]

    expected = core.feed.bars(
        instrument(core, AAPL_ID), start=NOW, end=NOW + timedelta(seconds=15), bar_size="5 secs"
    )
    assert bars == [
        (
            bar.start.timestamp(), float(bar.open), float(bar.high), float(bar.low), float(bar.close),
            float(bar.volume), float(bar.wap), float(bar.count),
        )
        for bar in expected
    ]  # fmt: skip
    assert not client.ask("cancelRealTimeBars", 1).errors()
    move(core, 10)
    assert not client.hear()


@pytest.mark.parametrize(("what", "halves"), [("BID", -1), ("MIDPOINT", 0), ("ASK", 1)])
def test_quotes_lie_beside_the_trades(what: str, halves: int) -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, what, con_id=EURUSD_ID)
    move(core, 5)
    ((_, _, *bar),) = client.hear().named("realtimeBar")

    pair = instrument(core, EURUSD_ID)
    (own,) = core.feed.bars(pair, start=NOW, end=NOW + timedelta(seconds=5), bar_size="5 secs")
    shift = halves * half_spread(pair)
    assert bar[:4] == [float(each + shift) for each in (own.open, own.high, own.low, own.close)]
    assert bar[4:] == [Decimal(-1), Decimal(-1), -1]


def test_a_client_is_not_flooded_after_a_jump_in_time() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, "TRADES")
    move(core, 3600)

    assert len(client.hear().named("realtimeBar")) == MAX_BEHIND
    move(core, 5)
    assert len(client.hear().named("realtimeBar")) == 1


def test_refusals() -> None:
    core = make_core()
    core.pacing = Pacing(max_lines=1)
    core.entitlements = Entitlements({"MSFT": Access.NONE})
    client = LibraryClient(core)

    assert subscribe(client, "VOLUME").errors() == [(1, 321)]
    assert subscribe(client, "TRADES", con_id=EURUSD_ID).errors() == [(1, 420)]
    (error,) = subscribe(client, "TRADES", con_id=272093).named("error")
    assert error[2:4] == (
        10089,
        "Requested market data requires additional subscription for API. "
        "See link in 'Market Data Connections' dialog for more details.",
    )
    assert not subscribe(client, "TRADES")
    assert subscribe(client, "TRADES").errors() == [(1, 322)]
    assert subscribe(client, "TRADES", 2).errors() == [(2, 101)]
    assert client.ask("cancelRealTimeBars", 2).errors() == [(2, 300)]
