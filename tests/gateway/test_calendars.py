import builtins
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trademind.domain import SecType, Side
from trademind.errors import SettingsError
from trademind.gateway import calendars
from trademind.gateway.calendars import ExchangeHours, market_hours
from trademind.gateway.engine.hours import AlwaysOpen, MarketHours, Phase
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.model import Instrument, Leg

NEW_YORK, CHICAGO, BERLIN = (
    ZoneInfo(name) for name in ("America/New_York", "America/Chicago", "Europe/Berlin")
)
HOURS: MarketHours = ExchangeHours()


def listed(con_id: int) -> Instrument:
    found = Universe().by_con_id(con_id)
    assert found is not None
    return found


def instrument(sec_type: SecType, exchange: str, con_id: int, **more: Any) -> Instrument:
    fields: dict[str, Any] = {
        "con_id": con_id,
        "symbol": "X",
        "sec_type": sec_type,
        "exchange": exchange,
        "primary_exchange": "",
        "currency": "USD",
        "local_symbol": "X",
        "trading_class": "X",
        "long_name": "X",
        "industry": "",
        "category": "",
        "subcategory": "",
        "stock_type": "",
        "min_tick": Decimal("0.01"),
        "size_increment": Decimal(1),
        "reference_price": 100.0,
        "annual_volatility": 0.2,
        "daily_volume": 1000,
        "spread_ticks": 1,
    }
    return Instrument(**(fields | more))


AAPL, SPY, EURUSD = listed(265598), listed(756733), listed(12087792)
ES = instrument(SecType.FUTURE, "CME", 1)
BTC = instrument(SecType.CRYPTO, "PAXOS", 2)
SAP = instrument(SecType.STOCK, "SMART", 3, primary_exchange="IBIS", currency="EUR")
VIX = instrument(SecType.INDEX, "CBOE", 4)
OPTION = instrument(SecType.OPTION, "SMART", 5, underlying=AAPL)
CFD = instrument(SecType.CFD, "SMART", 6, underlying=SAP)
COMBO = instrument(SecType.COMBO, "SMART", 0, legs=(Leg(instrument=OPTION, ratio=1, side=Side.BUY),))
ALL = (AAPL, SPY, EURUSD, ES, BTC, SAP, VIX, OPTION, CFD, COMBO)


def at(text: str, zone: ZoneInfo = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


C, PRE, REG, POST = Phase.CLOSED, Phase.PRE_MARKET, Phase.REGULAR, Phase.POST_MARKET


@pytest.mark.parametrize("stock", [AAPL, SPY])
@pytest.mark.parametrize(
    ("moment", "phase"),
    [
        ("2026-04-15T03:59:59", C),
        ("2026-04-15T04:00:00", PRE),
        ("2026-04-15T09:29:59", PRE),
        ("2026-04-15T09:30:00", REG),
        ("2026-04-15T15:59:59", REG),
        ("2026-04-15T16:00:00", POST),
        ("2026-04-15T19:59:59", POST),
        ("2026-04-15T20:00:00", C),
        ("2026-04-18T12:00:00", C),  # a Saturday
        ("2026-04-03T12:00:00", C),  # Good Friday
        ("2025-11-27T12:00:00", C),  # Thanksgiving
        ("2025-11-28T12:59:59", REG),  # and the half day after it
        ("2025-11-28T13:00:00", POST),
        ("2025-11-28T17:00:00", C),
        ("2001-09-13T12:00:00", C),  # closed out of turn
    ],
)
def test_us_stocks(stock: Instrument, moment: str, phase: Phase) -> None:
    assert HOURS.phase(stock, at(moment)) is phase


@pytest.mark.parametrize(
    ("other", "zone", "phases"),
    [
        (OPTION, NEW_YORK, {"2026-04-15T09:29": C, "2026-04-15T09:30": REG, "2026-04-15T16:00": C}),
        (COMBO, NEW_YORK, {"2026-04-15T09:29": C, "2026-04-15T09:30": REG, "2026-04-15T16:00": C}),
        (VIX, CHICAGO, {"2026-04-15T08:29": C, "2026-04-15T08:30": REG, "2026-04-15T15:15": C}),
        (SAP, BERLIN, {"2026-04-15T08:59": C, "2026-04-15T09:00": REG, "2026-04-15T17:30": C}),
        (CFD, BERLIN, {"2026-04-15T08:59": C, "2026-04-15T09:00": REG, "2026-05-01T12:00": C}),
        (BTC, NEW_YORK, {"2026-04-18T03:00": REG, "2025-12-25T12:00": REG}),
        (
            ES,
            CHICAGO,
            {
                "2026-04-12T16:59": C,
                "2026-04-12T17:00": PRE,  # Sunday evening
                "2026-04-13T08:30": REG,
                "2026-04-13T16:00": C,  # the daily break
                "2026-04-13T17:00": PRE,
                "2026-04-17T16:00": C,
                "2025-11-28T12:30": C,  # half day
            },
        ),
        (
            EURUSD,
            NEW_YORK,
            {
                "2026-04-12T16:59": C,
                "2026-04-12T17:00": REG,
                "2026-04-14T17:00": REG,
                "2026-04-17T16:59": REG,
                "2026-04-17T17:00": C,
            },
        ),
    ],
    ids=["option", "combo", "vix", "sap", "cfd", "btc", "es", "eurusd"],
)
def test_the_others(other: Instrument, zone: ZoneInfo, phases: Mapping[str, Phase]) -> None:
    assert {moment: HOURS.phase(other, at(moment, zone)) for moment in phases} == phases


@pytest.mark.parametrize(
    ("which", "now", "change"),
    [
        (AAPL, "2026-04-15T08:00", "2026-04-15T09:30"),
        (AAPL, "2026-04-15T09:30", "2026-04-15T16:00"),
        (AAPL, "2026-04-15T17:00", "2026-04-15T20:00"),
        (AAPL, "2026-04-17T20:00", "2026-04-20T04:00"),  # over the weekend
        (AAPL, "2026-04-02T21:00", "2026-04-06T04:00"),  # and Good Friday
        (AAPL, "2026-03-06T21:00", "2026-03-09T04:00"),  # and the clock change
        (EURUSD, "2026-04-14T12:00", "2026-04-17T17:00"),  # days without a break between them
        (EURUSD, "2026-04-17T18:00", "2026-04-19T17:00"),
        (ES, "2026-04-13T12:00", "2026-04-13T17:00"),
        (BTC, "2026-04-13T12:00", None),
    ],
)
def test_the_next_change(which: Instrument, now: str, change: str | None) -> None:
    assert HOURS.next_change(which, at(now)) == (at(change).astimezone(UTC) if change else None)


@pytest.mark.parametrize(
    ("which", "now", "outside", "end"),
    [
        (AAPL, "2026-04-15T12:00", False, "2026-04-15T16:00"),
        (AAPL, "2026-04-15T12:00", True, "2026-04-15T20:00"),
        (AAPL, "2026-04-15T16:00", False, "2026-04-16T16:00"),
        (AAPL, "2026-04-15T18:00", True, "2026-04-15T20:00"),
        (AAPL, "2026-04-17T20:30", True, "2026-04-20T20:00"),
        (AAPL, "2025-11-28T09:00", False, "2025-11-28T13:00"),
        (EURUSD, "2026-04-14T17:00", False, "2026-04-15T17:00"),
        (EURUSD, "2026-04-18T12:00", False, "2026-04-20T17:00"),
        (ES, "2026-04-14T19:00", False, "2026-04-15T17:00"),
        (BTC, "2026-04-18T12:00", False, "2026-04-19T00:00"),
    ],
)
def test_the_end_of_the_day(which: Instrument, now: str, outside: bool, end: str) -> None:
    found = HOURS.day_end(which, at(now), outside_rth=outside)
    assert found == at(end)
    assert found.tzinfo is UTC


def spans(which: Instrument, first: str, days: int, *, regular_only: bool) -> Sequence[tuple[str, ...]]:
    found = HOURS.sessions(which, date.fromisoformat(first), days, regular_only=regular_only)
    return [
        (f"{each.day:%m-%d}", *(f"{end.astimezone(NEW_YORK):%m-%d %H:%M}" for end in (each.start, each.end)))
        for each in found
    ]


def test_sessions() -> None:
    assert spans(AAPL, "2025-11-26", 5, regular_only=True) == [
        ("11-26", "11-26 09:30", "11-26 16:00"),
        ("11-28", "11-28 09:30", "11-28 13:00"),
    ]
    assert spans(AAPL, "2025-11-28", 1, regular_only=False) == [("11-28", "11-28 04:00", "11-28 17:00")]
    assert spans(EURUSD, "2026-04-17", 4, regular_only=True) == [
        ("04-17", "04-16 17:00", "04-17 17:00"),
        ("04-20", "04-19 17:00", "04-20 17:00"),
    ]
    assert spans(ES, "2026-04-15", 1, regular_only=False) == [("04-15", "04-14 18:00", "04-15 17:00")]
    assert spans(ES, "2026-04-15", 1, regular_only=True) == [("04-15", "04-15 09:30", "04-15 17:00")]


MOMENTS = st.integers(int(at("1995-01-01T00:00").timestamp()), int(at("2045-01-01T00:00").timestamp())).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALL), MOMENTS)
def test_all_answers_agree(which: Instrument, now: datetime) -> None:
    phase = HOURS.phase(which, now)
    day = now.astimezone(NEW_YORK).date()
    around = HOURS.sessions(which, day - timedelta(days=1), 4, regular_only=False)
    assert any(each.start <= now < each.end for each in around) is (phase is not C)
    regular = HOURS.sessions(which, day - timedelta(days=1), 4, regular_only=True)
    assert any(each.start <= now < each.end for each in regular) is (phase is REG)
    for before, after in pairwise(around):
        assert before.end <= after.start
    change = HOURS.next_change(which, now)
    if change is not None:
        assert change > now
        assert HOURS.phase(which, change) is not phase
        assert HOURS.phase(which, change - timedelta(seconds=1)) is phase
    end = HOURS.day_end(which, now, outside_rth=False)
    assert now < end <= HOURS.day_end(which, end - timedelta(seconds=1), outside_rth=True)
    assert end - now < timedelta(days=15)
    assert HOURS.phase(which, end - timedelta(seconds=1)) is REG or which is BTC


def test_hours_have_names() -> None:
    assert isinstance(market_hours("always"), AlwaysOpen)
    assert isinstance(market_hours("exchange"), ExchangeHours)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *args: Any, **more: Any) -> Any:
        if name == "exchange_calendars":
            raise ImportError(name)
        return original(name, *args, **more)

    calendars._openings.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(SettingsError, match=r"-e '\.\[calendars\]'"):
        market_hours("exchange")
