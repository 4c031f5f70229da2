"""Quotes, generic ticks, delayed data and permissions, as the real client libraries read them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.conversation import (
    AAPL_ID,
    EURUSD_ID,
    LIBRARIES,
    NOW,
    Heard,
    LibraryClient,
    ShareHours,
    make_core,
)
from tests.gateway.handlers.watching import instrument, move
from trademind.clock import ManualClock
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.handlers.market_data import DELAY
from trademind.gateway.pacing import Pacing

ALL_GENERIC = "100,101,104,105,106,165,221,225,233,236,258,293,294,295,318,411,456"
DEFAULT = {1, 2, 4, 6, 7, 9, 14}
"""The tick types of a stock's prices."""


def prices(heard: Heard) -> dict[int, float]:
    """Prices by tick type, of either library."""
    return {args[1]: args[2] for name in ("tickPrice", "priceSizeTick") for args in heard.named(name)}


def values(heard: Heard) -> dict[int, Any]:
    """The last value of every tick by its type."""
    found = dict(prices(heard))
    for name in ("tickSize", "tickGeneric", "tickString"):
        found |= {args[1]: args[2] for args in heard.named(name)}
    return found


def subscribe(client: LibraryClient, req_id: int = 1, generic: str = "", *, con_id: int = AAPL_ID) -> Heard:
    return client.ask("reqMktData", req_id, client.contract(con_id), generic, False, False, [])


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_all_default_ticks_come_first(library: str, version: int) -> None:
    core = make_core()
    client = LibraryClient(core, library, version)

    heard = subscribe(client)

    quote = core.feed.quote(instrument(core, AAPL_ID), NOW)
    assert [name for name, _ in heard[:2]] == ["tickReqParams", "marketDataType"]
    assert prices(heard) == {
        1: float(quote.bid), 2: float(quote.ask), 4: float(quote.last), 6: float(quote.high),
        7: float(quote.low), 9: float(quote.close), 14: float(quote.open),
    }  # fmt: skip
    ticks = values(heard)
    assert float(ticks[8]) == float(quote.volume)
    assert int(ticks[45]) == int(quote.time.timestamp())
    assert float(ticks[49]) == 0
    for kind in (32, 33, 84):
        assert set(ticks[kind]) <= set("KNPQVZ")
    assert len(ticks[84]) == 1
    assert not client.ask("cancelMktData", 1).errors()


def test_what_a_client_has_seen_is_always_the_market() -> None:
    core = make_core()
    client = LibraryClient(core)
    seen = values(subscribe(client, req_id=12345678))
    for _ in range(30):
        move(core)
        seen |= values(client.hear())
        quote = core.feed.quote(instrument(core, AAPL_ID), core.clock.now())
        assert [seen[kind] for kind in (1, 2, 4, 6, 7)] == [
            float(each) for each in (quote.bid, quote.ask, quote.last, quote.high, quote.low)
        ]
        assert [seen[kind] for kind in (0, 3, 5, 8)] == [
            quote.bid_size, quote.ask_size, quote.last_size, quote.volume,
        ]  # fmt: skip


def test_a_currency_pair_has_no_tape() -> None:
    core = make_core()
    ticks = values(subscribe(LibraryClient(core), con_id=EURUSD_ID))

    assert not {32, 33, 84} & set(ticks)
    assert set(ticks) >= DEFAULT


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_generic_ticks(library: str, version: int) -> None:
    core = make_core()
    ticks = values(subscribe(LibraryClient(core, library, version), generic=ALL_GENERIC))

    quote = core.feed.quote(instrument(core, AAPL_ID), NOW)
    expected = {15, 16, 17, 18, 19, 20, 21, 23, 24, 27, 28, 29, 30, 34, 35, 36, 37, 46, 47, 48, 54, 55, 56,
                57, 58, 59, 61, 87, 89}  # fmt: skip
    assert expected <= set(ticks)
    year = core.feed.bars(
        instrument(core, AAPL_ID), start=NOW - timedelta(weeks=52), end=NOW, bar_size="1 day"
    )
    assert ticks[19] == float(min(bar.low for bar in year))
    assert ticks[20] == float(max(bar.high for bar in year))
    assert ticks[19] <= ticks[17] <= ticks[15] <= ticks[4] <= ticks[16] <= ticks[18] <= ticks[20]
    assert quote.bid <= Decimal(str(ticks[37])) <= quote.ask
    price, size, millis, total, average, single = ticks[48].split(";")
    assert (Decimal(price), Decimal(size), Decimal(total)) == (quote.last, quote.last_size, quote.volume)
    assert int(millis) == int(quote.time.timestamp() * 1000)
    assert quote.low <= Decimal(average) <= quote.high
    assert single == "true"
    assert 0.05 < float(ticks[23]) < 1
    assert float(ticks[46]) == 3
    assert ticks[59].count(",") == 3


def test_generic_ticks_differ_between_instruments_and_are_the_same_again() -> None:
    core = make_core()
    client = LibraryClient(core)
    apple = values(subscribe(client, 1, ALL_GENERIC))
    microsoft = values(subscribe(client, 2, ALL_GENERIC, con_id=272093))
    again = values(subscribe(LibraryClient(make_core()), 1, ALL_GENERIC))

    assert again == apple
    constant = {46, 49, 59, 45}
    shared = [each for each in apple if each not in constant and apple[each] == microsoft[each]]
    assert not set(shared) - {32, 33, 84, 36, 0, 3, 5}, shared


def test_a_trade_brings_its_rt_volume() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, generic="233,mdoff")
    move(core, 5)
    heard = client.hear()

    assert [args[1] for args in heard.named("tickString")] == [48]
    assert not heard.named("tickPrice")


@pytest.mark.parametrize("generic", ["999", "233,nonsense", "100;101"])
def test_a_list_with_something_else_in_it_is_refused(generic: str) -> None:
    core = make_core()
    client = LibraryClient(core)
    heard = subscribe(client, generic=generic)

    assert heard.errors() == [(1, 321)]
    (error,) = heard.named("error")
    assert "Incorrect generic tick list" in error[3]
    assert "233(RTVolume)" in error[3]
    assert not client.session.ticks


def test_snapshots_end_and_take_no_generic_ticks() -> None:
    core = make_core()
    client = LibraryClient(core)
    contract = client.contract(AAPL_ID)
    heard = client.ask("reqMktData", 1, contract, "", True, False, [])
    regulatory = client.ask("reqMktData", 1, contract, "", False, True, [])

    for each in (heard, regulatory):
        assert set(prices(each)) == DEFAULT
        assert each[-1] == ("tickSnapshotEnd", (1,))
    assert client.ask("reqMktData", 2, contract, "233", True, False, []).errors() == [(2, 321)]
    move(core)
    assert not client.hear()


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_delayed_data_is_a_quarter_of_an_hour_old(library: str, version: int) -> None:
    core = make_core()
    core.entitlements = Entitlements({"AAPL": Access.DELAYED})
    client = LibraryClient(core, library, version)
    client.ask("reqMarketDataType", 3)

    heard = subscribe(client)

    past = core.feed.quote(instrument(core, AAPL_ID), NOW - DELAY)
    assert heard.errors() == [(1, 10167)]
    assert ("marketDataType", (1, 3)) in heard
    assert prices(heard) == {
        66: float(past.bid), 67: float(past.ask), 68: float(past.last), 72: float(past.high),
        73: float(past.low), 75: float(past.close), 76: float(past.open),
    }  # fmt: skip
    ticks = values(heard)
    assert (float(ticks[74]), int(ticks[88])) == (float(past.volume), int(past.time.timestamp()))
    assert 90 in ticks
    seen: dict[int, Any] = ticks
    for _ in range(10):
        move(core)
        seen |= values(client.hear())
    past = core.feed.quote(instrument(core, AAPL_ID), core.clock.now() - DELAY)
    assert (seen[66], seen[68]) == (float(past.bid), float(past.last))


@pytest.mark.parametrize(
    ("access", "data_type", "code"),
    [
        (Access.DELAYED, 1, 10168),
        (Access.DELAYED, 2, 10168),
        (Access.NONE, 1, 354),
        (Access.NONE, 3, 354),
        (Access.COMPETING, 1, 10197),
    ],
)
def test_without_a_subscription_there_is_no_data(access: Access, data_type: int, code: int) -> None:
    core = make_core()
    core.entitlements = Entitlements({"AAPL": access})
    client = LibraryClient(core)
    client.ask("reqMarketDataType", data_type)

    heard = subscribe(client)

    assert heard.errors() == [(1, code)]
    assert len(heard) == 1
    assert not subscribe(client, 2, con_id=EURUSD_ID).errors()


def test_live_data_replaces_delayed() -> None:
    core = make_core()
    client = LibraryClient(core)
    client.ask("reqMarketDataType", 3)

    heard = subscribe(client)

    assert ("marketDataType", (1, 1)) in heard
    assert set(prices(heard)) == DEFAULT


def test_data_is_frozen_while_the_market_is_closed() -> None:
    # A Monday, a minute before the extended hours end in New York.
    core = make_core(datetime(2026, 11, 24, 0, 59, tzinfo=UTC), ShareHours())
    client = LibraryClient(core)
    client.ask("reqMarketDataType", 2)
    assert ("marketDataType", (1, 1)) in subscribe(client)

    move(core, 61)

    assert ("marketDataType", (1, 2)) in client.hear()


def test_an_unknown_type_is_refused() -> None:
    client = LibraryClient(make_core())

    assert client.ask("reqMarketDataType", 5).errors() == [(-1, 321)]


def test_lines_are_counted() -> None:
    core = make_core()
    core.pacing = Pacing(max_lines=2)
    client = LibraryClient(core)
    for req_id in (1, 2):
        assert not subscribe(client, req_id).errors()

    assert subscribe(client, 3).errors() == [(3, 101)]
    assert subscribe(client, 2).errors() == [(2, 322)]
    client.ask("cancelMktData", 1)
    assert client.ask("cancelMktData", 1).errors() == [(1, 300)]
    assert not subscribe(client, 3).errors()


def test_streams_that_have_seen_different_quotes_get_what_each_lacks() -> None:
    core = make_core()
    early, late = LibraryClient(core, client_id=1), LibraryClient(core, client_id=2)
    seen_early = values(subscribe(early, 7))
    assert isinstance(core.clock, ManualClock)
    core.clock.advance(timedelta(seconds=3))
    seen_late = values(subscribe(late, 1007))
    move(core, 2)
    seen_early |= values(early.hear())
    seen_late |= values(late.hear())

    assert seen_early == seen_late
