"""Historical bars as two client libraries ask for them and read them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.gateway.conversation import (
    AAPL_ID,
    EURUSD_ID,
    LIBRARIES,
    NOW,
    VERSIONS,
    Heard,
    LibraryClient,
    ShareHours,
    make_core,
)
from tests.gateway.handlers.test_option_ticks import option
from tests.gateway.test_gateway_core import steps
from trademind.domain.market import BAR_SIZES
from trademind.gateway.handlers import bar_kinds
from trademind.gateway.handlers.session_bars import seconds_in

LONGEST_STEP = 0.04
PRICES = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST")
OTHERS = ("HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "FEE_RATE")


def ask(
    client: LibraryClient,
    duration: str = "1 D",
    size: str = "1 hour",
    what: str = "TRADES",
    *,
    end: str = "",
    rth: bool = True,
    form: int = 1,
    live: bool = False,
    con_id: int = AAPL_ID,
    **fields: Any,
) -> Heard:
    contract = client.contract(con_id, **fields)
    return client.ask("reqHistoricalData", 5, contract, end, duration, size, what, rth, form, live, [])


def bars(heard: Heard) -> list[Any]:
    assert heard.errors() == []
    return [bar for _, bar in heard.named("historicalData")]


@pytest.fixture
def client() -> LibraryClient:
    return LibraryClient(make_core())


@pytest.fixture
def by_day() -> LibraryClient:
    """A client of a gateway with the hours of US shares."""
    return LibraryClient(make_core(hours=ShareHours()))


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize("what", [*PRICES, *OTHERS])
def test_every_kind_of_data(library: str, version: int, what: str) -> None:
    client = LibraryClient(make_core(), library, version)

    heard = ask(client, "2 D", "1 hour", what)

    found = bars(heard)
    assert len(found) == 48
    for bar in found:
        assert float(bar.low) <= min(float(bar.open), float(bar.close))
        assert max(float(bar.open), float(bar.close)) <= float(bar.high)
        has_volume = what in ("TRADES", "ADJUSTED_LAST")
        assert (float(bar.volume) > 0, int(bar.barCount) > 0) == (has_volume, has_volume)
    ((_, start, end),) = heard.named("historicalDataEnd")
    stamp = "20261121 10:30:20 US/Eastern" if version >= 174 else "20261121  10:30:20"
    assert (start, end[9:]) == (stamp, stamp[9:])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_is_a_message_of_its_own_from_version_196_on(version: int) -> None:
    client = LibraryClient(make_core(), version=version)

    names = [name for name, _ in ask(client)]

    assert names == ["historicalData"] * 24 + ["historicalDataEnd"]


@pytest.mark.parametrize("size", BAR_SIZES)
@pytest.mark.parametrize("rth", [True, False])
@pytest.mark.parametrize("hours", [None, ShareHours()], ids=["always open", "US shares"])
def test_every_bar_size(size: str, rth: bool, hours: Any) -> None:
    duration = "1800 S" if seconds_in(size) < 60 else "5 D" if seconds_in(size) < 86_400 else "6 M"
    found = bars(ask(LibraryClient(make_core(hours=hours)), duration, size, rth=rth))

    assert len(found) >= 5
    dates = [bar.date for bar in found]
    assert dates == sorted(set(dates))


@pytest.mark.parametrize("size", BAR_SIZES)
def test_a_duration_shorter_than_the_bar_gives_the_bar_that_forms(client: LibraryClient, size: str) -> None:
    found = bars(ask(client, "30 S", size))

    assert len(found) == max(1, 30 // seconds_in(size))


def test_an_hour_of_a_share_begins_with_its_session(by_day: LibraryClient) -> None:
    by_day.core.clock.advance(timedelta(hours=10))  # type: ignore[attr-defined]

    found = bars(ask(by_day, "1 D", "1 hour"))

    begins = ["09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]
    assert [bar.date for bar in found] == [f"20261123 {each}:00 US/Eastern" for each in begins]


def test_days_are_those_on_which_there_is_trading(by_day: LibraryClient) -> None:
    found = bars(ask(by_day, "5 D", "1 day"))

    assert [bar.date for bar in found] == ["20261117", "20261118", "20261119", "20261120", "20261123"]


@pytest.mark.parametrize("rth", [True, False])
@pytest.mark.parametrize(("size", "other"), [("1 day", "30 mins"), ("1 hour", "1 min"), ("1 week", "1 day")])
def test_bars_are_what_smaller_bars_make(by_day: LibraryClient, rth: bool, size: str, other: str) -> None:
    end = "20261120 23:00:00 US/Eastern"
    # Two whole weeks.
    large = bars(ask(by_day, "10 D", size, end=end, rth=rth, form=2))
    small = bars(ask(by_day, "10 D", other, end=end, rth=rth, form=2))

    assert sum(bar.volume for bar in large) == sum(bar.volume for bar in small)
    assert sum(bar.barCount for bar in large) == sum(bar.barCount for bar in small)
    assert max(bar.high for bar in large) == max(bar.high for bar in small)
    assert min(bar.low for bar in large) == min(bar.low for bar in small)
    assert (large[0].open, large[-1].close) == (small[0].open, small[-1].close)


def test_more_is_traded_in_all_hours_than_in_regular_ones(by_day: LibraryClient) -> None:
    regular, whole = (bars(ask(by_day, "3 D", "1 day", rth=rth)) for rth in (True, False))

    assert [bar.date for bar in regular] == [bar.date for bar in whole]
    assert all(one.volume < other.volume for one, other in zip(regular, whole, strict=True))


def test_nothing_at_the_weekend(by_day: LibraryClient) -> None:
    heard = ask(by_day, "3600 S", "1 min", end="20261122 12:00:00 US/Eastern")

    assert heard.errors() == [(5, 162)]
    assert heard.named("error")[0][3].endswith("HMDS query returned no data: AAPL@SMART Trades")


def test_kinds_of_quotes_lie_around_the_trades(client: LibraryClient) -> None:
    found = {what: bars(ask(client, "1 D", "1 hour", what))[-1] for what in PRICES}

    assert found["BID"].close < found["MIDPOINT"].close < found["ASK"].close
    both = found["BID_ASK"]
    assert (both.low, both.high) == (found["BID"].low, found["ASK"].high)
    assert both.open < both.close


def test_volatility_is_that_of_the_days_before(client: LibraryClient) -> None:
    days = bars(ask(client, "60 D", "1 day", "HISTORICAL_VOLATILITY"))

    assert all(0.05 < bar.close < 1.0 for bar in days)
    assert [bar.open for bar in days[1:]] == [bar.close for bar in days[:-1]]
    hours = bars(ask(client, "1 D", "1 hour", "HISTORICAL_VOLATILITY"))
    assert {hour.close for hour in hours[-5:]} == {days[-2].close}


@pytest.mark.parametrize(
    ("form", "size", "version", "expected"),
    [
        (1, "1 hour", 200, "20261123 10:00:00 US/Eastern"),
        (1, "1 hour", 157, "20261123  10:00:00"),
        (2, "1 hour", 200, "1795446000"),
        (1, "1 day", 200, "20261123"),
        (2, "1 day", 157, "20261123"),
    ],
)
def test_formats_of_dates(form: int, size: str, version: int, expected: str) -> None:
    client = LibraryClient(make_core(), version=version)

    assert bars(ask(client, "1 D", size, form=form))[-1].date == expected


def test_an_end_in_the_future_is_now(client: LibraryClient) -> None:
    assert [bar.close for bar in bars(ask(client, end="20301231-00:00:00"))] == [
        bar.close for bar in bars(ask(client))
    ]


def test_an_end_without_a_zone_is_warned_of(client: LibraryClient) -> None:
    heard = ask(client, end="20261120 15:00:00")

    assert heard.errors() == [(5, 2174)]
    assert len(heard.named("historicalData")) == 24


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"size": "7 mins"}, 321, "bar size setting is invalid. Legal ones are: 1 secs, 5 secs"),
    ({"duration": ""}, 321, "duration not specified"),
    ({"duration": "1 X"}, 321, "integer{SPACE}unit (S|D|W|M|Y)"),
    ({"duration": "1D"}, 321, "integer{SPACE}unit (S|D|W|M|Y)"),
    ({"duration": "0 D"}, 321, "requested duration is invalid"),
    ({"duration": "29 S"}, 321, "requested duration is invalid"),
    ({"duration": "86401 S"}, 321, "greater than 86400 seconds rejected"),
    ({"duration": "366 D"}, 321, "longer than 365 days must be made in years"),
    ({"duration": "53 W"}, 321, "longer than 52 weeks must be made in years"),
    ({"duration": "13 M"}, 321, "longer than 12 months must be made in years"),
    ({"duration": "9999 Y"}, 321, "requested duration is invalid"),
    ({"what": ""}, 321, "Source price must not be empty"),
    ({"what": "PRICES"}, 321, "Invalid source price"),
    ({"what": "ADJUSTED_LAST", "end": "20261120-15:00:00"}, 321, "End date not supported with adjusted last"),
    ({"what": "ADJUSTED_LAST", "size": "1W"}, 321, "Multi day bar size not supported with adjusted last"),
    ({"what": "SCHEDULE", "size": "1 hour"}, 321, "Only daily resolution supported for Schedule requests"),
    ({"form": 7}, 321, "Date formatting selection of 7 rejected"),
    ({"live": True, "end": "20261120-15:00:00"}, 321, "End date not supported with live updates"),
    ({"live": True, "what": "FEE_RATE"}, 321, "Source price not supported with live updates"),
    ({"end": "yesterday"}, 10314, "End Date/Time: The date, time, or time-zone entered is invalid"),
    ({"end": "99991231 23:59:59 US/Pacific"}, 10314, "the year is not one of 1970 to 2199"),
    ({"what": "YIELD_BID"}, 162, "No historical market data for AAPL/STK@BEST YieldBid 3600"),
    ({"what": "AGGTRADES"}, 10299, "Expected what to show is TRADES, please use that instead of AGGTRADES."),
    ({"con_id": EURUSD_ID}, 162, "No historical market data for EUR/CASH@FXSUBPIP Last 3600"),
    ({"con_id": EURUSD_ID, "size": "1 day"}, 162, "No historical market data for EUR/CASH@FXSUBPIP Last 1d"),
    ({"duration": "1 Y", "size": "1 secs"}, 162, "Time length exceed max."),
    ({"end": "19900101-00:00:00"}, 162, "HMDS query returned no data: AAPL@SMART Trades"),
    ({"con_id": 1}, 200, "No security definition has been found for the request"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), REFUSALS, ids=[text for _, _, text in REFUSALS])
def test_refusals(client: LibraryClient, arguments: dict[str, Any], code: int, text: str) -> None:
    heard = ask(client, **arguments)

    assert heard.errors() == [(5, code)]
    assert text in heard.named("error")[0][3]
    assert len(heard) == 1


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_schedule(library: str, version: int) -> None:
    client = LibraryClient(
        make_core(datetime(2026, 4, 11, 17, 52, tzinfo=UTC), ShareHours()), library, version
    )
    if version < 165:
        fields = (20, 5, AAPL_ID, *[""] * 11, 0, "", "1 day", "1 M", 1, "SCHEDULE", 1, 0, "")
        assert client.send(*fields).errors() == [(5, 321)]
        return

    heard = ask(client, "1 M", "1 day", "SCHEDULE")

    ((req_id, start, end, zone, sessions),) = heard.named("historicalSchedule")
    assert (req_id, start, end, zone) == (5, "20260312-09:30:00", "20260410-16:00:00", "US/Eastern")
    # A real gateway has 21: one of these Fridays was a holiday.
    assert len(sessions) == 22
    first = sessions[0]
    assert (first.startDateTime, first.endDateTime, first.refDate) == (
        "20260312-09:30:00", "20260312-16:00:00", "20260312",
    )  # fmt: skip


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize("what", sorted(bar_kinds.LIVE - {"AGGTRADES"}))
def test_bars_that_are_kept_up_to_date(library: str, version: int, what: str) -> None:
    client = LibraryClient(make_core(), library, version)
    ask(client, "300 S", "1 min", what, form=2, live=True)
    forming = int(NOW.replace(second=0).timestamp())

    heard = [move(client) for _ in range(6)]

    begins = [[int(bar.date) - forming for _, bar in each.named("historicalDataUpdate")] for each in heard]
    # The bar that was forming, as far as it changes; at last when it is complete and the next one has begun.
    assert all(each in ([0], []) for each in begins[:-1])
    assert any(begins[:-1])
    assert begins[-1] == [0, 60]
    updates = [bar for _, bar in heard[-1].named("historicalDataUpdate")]
    whole = bars(ask_again(client, what))
    assert [float(bar.volume) for bar in updates] == [float(bar.volume) for bar in whole]


def move(client: LibraryClient) -> Heard:
    """Seven seconds pass."""
    now = client.core.clock.advance(timedelta(seconds=7))  # type: ignore[attr-defined]
    for _ in client.core.pump_steps(now):
        pass
    return client.hear()


def ask_again(client: LibraryClient, what: str) -> Heard:
    contract = client.contract(AAPL_ID)
    return client.ask("reqHistoricalData", 6, contract, "", "120 S", "1 min", what, True, 2, False, [])


def test_cancelling(client: LibraryClient) -> None:
    ask(client, "300 S", "1 min", live=True)

    first, second = (client.ask("cancelHistoricalData", 5) for _ in range(2))

    assert (first.errors(), second.errors()) == ([(5, 162)], [(5, 366)])


def test_a_date_is_a_day_in_new_york(client: LibraryClient) -> None:
    days = bars(ask(client, "3 D", "1 day"))

    assert [datetime.strptime(bar.date, "%Y%m%d").date() for bar in days] == [  # noqa: DTZ007
        date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23),
    ]  # fmt: skip


@pytest.mark.parametrize("hours", [None, ShareHours()], ids=["always open", "US shares"])
@pytest.mark.parametrize(("what", "duration"), [("SCHEDULE", "60 Y"), ("HISTORICAL_VOLATILITY", "2 Y")])
def test_no_part_of_a_long_answer_takes_long(hours: Any, what: str, duration: str) -> None:
    client = LibraryClient(make_core(hours=hours))

    def longest() -> float:
        contract = client.contract(AAPL_ID)
        client.post("reqHistoricalData", 5, contract, "", duration, "1 day", what, True, 1, False, [])
        taken = max(steps(client.core, client.session))
        assert client.hear().errors() == []
        return taken

    # The best of three: a collection of garbage may hit any one step.
    assert min(longest() for _ in range(3)) < LONGEST_STEP


@pytest.mark.parametrize("size", ["1 min", "5 mins", "2 hours", "8 hours"])
def test_bars_that_are_made_of_others_are_asked_for_fewer_at_a_time(
    client: LibraryClient, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    con_id = option("C", client.core).con_id
    made: list[int] = []
    make = client.core.feed.bars

    def note(*args: Any, **kwargs: Any) -> Any:
        found = make(*args, **kwargs)
        made.append(len(found))
        return found

    monkeypatch.setattr(client.core.feed, "bars", note)

    assert len(bars(ask(client, "8 D", size, con_id=con_id))) > 20
    assert max(made) <= 60
