"""Historical ticks, the head of history and the histogram, by two client libraries, and beside the bars."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.conversation import (
    AAPL_ID,
    EURUSD_ID,
    LIBRARIES,
    NOW,
    SPY_ID,
    Heard,
    LibraryClient,
    ShareHours,
    make_core,
)

CALLBACKS = {
    "TRADES": "historicalTicksLast",
    "MIDPOINT": "historicalTicks",
    "BID_ASK": "historicalTicksBidAsk",
}
LONGEST_STEP = 0.05
"""Seconds of the thread's own time that a turn of the event loop may take."""
START = "20261123-14:31:00"


def ask(
    client: LibraryClient,
    what: str = "TRADES",
    start: str = "",
    end: str = "",
    number: int = 100,
    *,
    rth: bool = True,
    ignore_size: bool = False,
    con_id: int = AAPL_ID,
    **fields: Any,
) -> Heard:
    contract = client.contract(con_id, **fields)
    return client.ask("reqHistoricalTicks", 8, contract, start, end, number, what, rth, ignore_size, [])


def ticks(heard: Heard, what: str = "TRADES") -> list[Any]:
    assert heard.errors() == []
    ((req_id, found, done),) = heard.named(CALLBACKS[what])
    assert (req_id, done) == (8, True)
    return list(found)


def second(tick: Any) -> int:
    return int(tick.time if isinstance(tick.time, int) else tick.time.timestamp())


@pytest.fixture
def client() -> LibraryClient:
    return LibraryClient(make_core())


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize("what", CALLBACKS)
@pytest.mark.parametrize("backwards", [False, True])
def test_every_kind_in_both_directions(library: str, version: int, what: str, backwards: bool) -> None:
    client = LibraryClient(make_core(), library, version)
    moment = datetime(2026, 11, 23, 14, 31, tzinfo=UTC).timestamp()

    found = ticks(ask(client, what, *(("", START) if backwards else (START, ""))), what)

    seconds = [second(tick) for tick in found]
    assert seconds == sorted(seconds)
    assert 100 <= len(found) < 400
    # Without the second that completes it, there would be too few.
    outermost = seconds[0] if backwards else seconds[-1]
    assert len([each for each in seconds if each != outermost]) < 100
    assert (max(seconds) < moment) if backwards else (min(seconds) >= moment)


def test_going_on_from_the_next_second_misses_nothing(client: LibraryClient) -> None:
    whole = ticks(ask(client, start=START, number=1000))
    parts: list[Any] = []
    while len(parts) < len(whole):
        since = (
            datetime.fromtimestamp(parts[-1].time + 1, UTC)
            if parts
            else datetime(2026, 11, 23, 14, 31, tzinfo=UTC)
        )
        parts += ticks(ask(client, start=f"{since:%Y%m%d-%H:%M:%S}", number=150))

    assert [(each.time, each.price, each.size) for each in parts[: len(whole)]] == [
        (each.time, each.price, each.size) for each in whole
    ]


def test_no_more_than_a_thousand_and_their_second(client: LibraryClient) -> None:
    found = ticks(ask(client, start=START, number=50_000))

    assert 1000 <= len(found) < 1400


def test_a_start_and_an_end(client: LibraryClient) -> None:
    window = ("20261123 09:31:00 US/Eastern", "20261123 09:31:05 America/New_York")
    found = ticks(ask(client, "TRADES", *window, number=1000))

    begin = int(datetime(2026, 11, 23, 14, 31, tzinfo=UTC).timestamp())
    assert {each.time - begin for each in found} <= set(range(5))
    assert len(found) < 1000


def test_quotes_of_which_only_the_size_changes_can_be_left_out(client: LibraryClient) -> None:
    whole = ticks(ask(client, "BID_ASK", START, "20261123-14:31:30", 1000), "BID_ASK")
    moves = ticks(ask(client, "BID_ASK", START, "20261123-14:31:30", 1000, ignore_size=True), "BID_ASK")

    assert len(whole) == len(moves) + 30
    assert {each.priceBid for each in whole} == {each.priceBid for each in moves}


def test_regular_hours_only() -> None:
    client = LibraryClient(make_core(hours=ShareHours()))
    begin = "20261120-20:59:59"

    regular, whole = (ticks(ask(client, start=begin, number=500, rth=rth)) for rth in (True, False))

    # The weekend, and all but one second of Friday, are left out.
    close = int(datetime(2026, 11, 20, 21, tzinfo=UTC).timestamp())
    opening = int(datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp())
    assert {each.time < close or each.time >= opening for each in regular} == {True}
    assert any(each.time >= opening for each in regular)
    assert any(close <= each.time < opening for each in whole)


def test_currencies_have_midpoints_for_trades(client: LibraryClient) -> None:
    assert ticks(ask(client, "TRADES", START, con_id=EURUSD_ID), "MIDPOINT")


def test_an_end_before_all_history_has_no_ticks(client: LibraryClient) -> None:
    assert ticks(ask(client, end="19990101-00:00:00")) == []


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"start": "soon"}, 10314, "Start Date/Time: The date, time, or time-zone entered is invalid"),
    ({"end": "soon"}, 10314, "End Date/Time: The date, time, or time-zone entered is invalid"),
    ({"exchange": ""}, 321, "Exchange must not be empty"),
    ({"number": 0}, 321, "Number of ticks must be > 0"),
    ({"what": ""}, 321, "Source price must not be empty"),
    ({"what": "BID"}, 321, "Invalid source price"),
    ({"what": "NONSENSE"}, 321, "Invalid source price"),
    ({"what": "AGGTRADES"}, 10299, "Expected what to show is TRADES"),
    ({"what": "BID_ASK", "con_id": 416904}, 162, "No historical market data for SPX/IND"),
    ({"con_id": 1}, 200, "No security definition has been found for the request"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), REFUSALS, ids=[text for _, _, text in REFUSALS])
def test_refusals(client: LibraryClient, arguments: dict[str, Any], code: int, text: str) -> None:
    heard = ask(client, **arguments)

    assert heard.errors() == [(8, code)]
    assert text in heard.named("error")[0][3]
    assert len(heard) == 1


# Beside the bars


def bar_of(client: LibraryClient, start: datetime, what: str, seconds: int, con_id: int) -> Any:
    end = f"{start + timedelta(seconds=seconds):%Y%m%d-%H:%M:%S}"
    size = {30: "30 secs", 60: "1 min", 300: "5 mins"}[seconds]
    contract = client.contract(con_id)
    heard = client.ask("reqHistoricalData", 9, contract, end, f"{seconds} S", size, what, False, 2, False, [])
    assert heard.errors() == []
    (bar,) = (bar for _, bar in heard.named("historicalData"))
    return bar


@settings(max_examples=40, deadline=None)
@given(
    minutes=st.integers(0, 3 * 24 * 12),
    seconds=st.sampled_from([30, 60]),
    con_id=st.sampled_from([AAPL_ID, SPY_ID]),
    what=st.sampled_from(["TRADES", "MIDPOINT", "BID", "ASK"]),
)
def test_ticks_are_what_the_bars_are_made_of(minutes: int, seconds: int, con_id: int, what: str) -> None:
    client = LibraryClient(make_core())
    start = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=5 * minutes)
    bar = bar_of(client, start, what, seconds, con_id)
    kind = what if what in CALLBACKS else "BID_ASK"
    found: list[Any] = []
    begin, until = start, start + timedelta(seconds=seconds)
    while begin < until:
        window = (f"{begin:%Y%m%d-%H:%M:%S}", f"{until:%Y%m%d-%H:%M:%S}")
        part = ticks(ask(client, kind, *window, number=1000, rth=False, con_id=con_id), kind)
        found += part
        if len(part) < 1000:
            break
        begin = datetime.fromtimestamp(second(part[-1]) + 1, UTC)

    attribute = {"BID": "priceBid", "ASK": "priceAsk"}.get(what, "price")
    prices = [getattr(tick, attribute) for tick in found]
    if not prices:
        assert (bar.volume, bar.high) == (0, bar.low)
        return
    assert (prices[0], max(prices), min(prices), prices[-1]) == (bar.open, bar.high, bar.low, bar.close)
    if what == "TRADES":
        assert sum(tick.size for tick in found) == bar.volume
        assert all(tick.tickAttribLast.unreported == (not tick.size) for tick in found)


# The head of history, and the histogram


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_the_head_of_history(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)

    def head(what: str, form: int = 1, con_id: int = AAPL_ID) -> Heard:
        return client.ask("reqHeadTimeStamp", 8, client.contract(con_id), what, True, form)

    first = client.core.feed.head(client.core.universe.instruments[0])
    assert head("TRADES").named("headTimestamp") == [(8, f"{first:%Y%m%d-%H:%M:%S}")]
    assert head("MIDPOINT", 2).named("headTimestamp") == [(8, str(int(first.timestamp())))]
    assert head("PRICES").errors() == [(8, 321)]
    assert head("TRADES", con_id=EURUSD_ID).errors() == [(8, 162)]
    assert head("TRADES", con_id=1).errors() == [(8, 200)]
    assert client.ask("cancelHeadTimeStamp", 8) == []


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_histogram_has_the_volume_of_the_bars(library: str, version: int) -> None:
    client = LibraryClient(make_core(NOW.replace(second=0, minute=0)), library, version)

    heard = client.ask("reqHistogramData", 8, client.contract(AAPL_ID), True, "3 days")

    ((req_id, levels),) = heard.named("histogramData")
    assert req_id == 8
    prices = [level.price for level in levels]
    assert prices == sorted(set(prices))
    bars = client.ask(
        "reqHistoricalData", 9, client.contract(AAPL_ID), "", "3 D", "1 hour", "TRADES", True, 2, False, []
    )
    volumes = [bar.volume for _, bar in bars.named("historicalData")]
    assert sum(getattr(level, "size", None) or level.count for level in levels) == sum(volumes)


@pytest.mark.parametrize("period", ["30 secs", "20 mins", "2 hours", "1 day", "2 weeks", "6 months", "1 Y"])
def test_periods_of_histograms(client: LibraryClient, period: str) -> None:
    ((_, levels),) = client.ask("reqHistogramData", 8, client.contract(AAPL_ID), True, period).named(
        "histogramData"
    )

    assert 0 < len(levels) <= 1000


@pytest.mark.parametrize(
    ("con_id", "period", "code"),
    [(AAPL_ID, "long", 321), (AAPL_ID, "0 days", 321), (AAPL_ID, "9 years", 321), (EURUSD_ID, "1 day", 162),
     (1, "1 day", 200)],
)  # fmt: skip
def test_histograms_that_cannot_be_had(client: LibraryClient, con_id: int, period: str, code: int) -> None:
    heard = client.ask("reqHistogramData", 8, client.contract(con_id), True, period)

    assert heard.errors() == [(8, code)]


def test_cancelling_a_histogram_that_is_not_there(client: LibraryClient) -> None:
    assert client.ask("cancelHistogramData", 8).errors() == [(8, 300)]


LONG: list[tuple[str, tuple[Any, ...]]] = [
    ("reqHistoricalTicks", (START, "", 1000, "BID_ASK", 0, False, [])),
    ("reqHistoricalTicks", ("", "20261123-03:00:00", 1000, "TRADES", 1, False, [])),
    ("reqHistogramData", (True, "1 Y")),
    ("reqHistogramData", (True, "1 M")),
    ("reqHistoricalData", ("", "2 Y", "1 day", "TRADES", 1, 2, False, [])),
    ("reqHistoricalData", ("", "10 Y", "1 month", "HISTORICAL_VOLATILITY", 1, 2, False, [])),
    ("reqHistoricalData", ("", "1 Y", "1 hour", "OPTION_IMPLIED_VOLATILITY", 1, 2, False, [])),
]


@pytest.mark.parametrize("hours", [None, ShareHours()], ids=["always open", "US shares"])
@pytest.mark.parametrize(("name", "rest"), LONG, ids=range(len(LONG)))
def test_no_step_of_a_long_answer_takes_long(name: str, rest: tuple[Any, ...], hours: Any) -> None:
    client = LibraryClient(make_core(hours=hours))
    client.post(name, 8, client.contract(AAPL_ID), *rest)
    taken = []
    is_more = True
    while is_more:
        begin = time.thread_time()
        is_more = client.core.step(client.session)
        taken.append(time.thread_time() - begin)

    assert client.hear().errors() == []
    # The best of the slowest: a collection of garbage may hit any one step.
    assert sorted(taken)[-2] < LONGEST_STEP, f"{max(taken)} s"
