"""Bars for scripts and notebooks, and data frames of them."""

import math
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas
import polars
import pytest

from tests.brokers.stage import Stage, open_stage
from tests.gateway.bench import START
from trademind import BarRequest, ContractQuery, IBKRBroker
from trademind.brokers.bars import Bars
from trademind.domain import Bar, SecType
from trademind.errors import ContractNotFound, Invalid, NotInstalled

COLUMNS = ["open", "high", "low", "close", "volume", "wap", "count"]
DAY = timedelta(days=1)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.fixture
async def broker(stage: Stage) -> IBKRBroker:
    return await stage.connect()


async def test_bars_of_a_symbol(broker: IBKRBroker) -> None:
    found = await broker.bars("AAPL", bar_size="5 mins", duration="2 D")
    assert isinstance(found, Bars)
    assert tuple(found) == await broker.get_bars(
        ContractQuery(symbol="AAPL"), BarRequest(bar_size="5 mins", duration="2 D")
    )
    assert len(await broker.bars("AAPL")) > 0


async def test_bars_of_anything(broker: IBKRBroker) -> None:
    euro = await broker.bars(ContractQuery(symbol="EUR", sec_type=SecType.CASH), duration="1 D")
    assert all(bar.volume is None for bar in euro)
    coin = ContractQuery(symbol="BTC", sec_type=SecType.CRYPTO)
    bid = await broker.bars(coin, duration="1 D", what_to_show="BID")
    traded = await broker.bars(coin, duration="1 D")
    assert bid[-1].close < traded[-1].close
    assert traded[-1].volume is not None


@pytest.mark.parametrize(
    ("bar_size", "days", "requests"), [("1 hour", 100, 4), ("30 mins", 20, 1), ("1 day", 800, 3)]
)
async def test_a_long_span_is_asked_for_in_pieces(
    stage: Stage, broker: IBKRBroker, bar_size: str, days: int, requests: int
) -> None:
    start = START - days * DAY
    found = await broker.bars("AAPL", bar_size=bar_size, start=start)
    assert len(stage.asked("reqHistoricalData")) == requests
    whole = await broker.get_bars(
        ContractQuery(symbol="AAPL"),
        BarRequest(bar_size=bar_size, duration=f"{days + 1} D" if days < 365 else "3 Y"),
    )
    assert list(found) == [bar for bar in whole if bar.time >= start]


async def test_a_span_begins_at_its_start_and_ends_before_its_end(broker: IBKRBroker) -> None:
    start, end = datetime(2026, 11, 19, 15, tzinfo=UTC), datetime(2026, 11, 19, 18, tzinfo=UTC)
    found = await broker.bars("AAPL", bar_size="1 hour", start=start, end=end)
    assert [bar.time for bar in found] == [start, start + timedelta(hours=1), start + timedelta(hours=2)]
    before = await broker.bars("AAPL", bar_size="1 hour", duration="1 D", end=end)
    assert before[-1].time < end
    assert list(found) == [bar for bar in before if bar.time >= start]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"start": START - DAY, "duration": "1 D"}, "duration"),
        ({"start": (START - DAY).replace(tzinfo=None)}, "start"),
        ({"end": START.replace(tzinfo=None)}, "end"),
        ({"start": START + DAY}, "start"),
        ({"start": START - DAY, "end": START - 2 * DAY}, "start"),
        ({"bar_size": "1 fortnight", "start": START - DAY}, "bar_size"),
        ({"bar_size": "1 secs", "start": START - 30 * DAY}, "start"),
        ({"what_to_show": "ALL"}, "what_to_show"),
    ],
)
async def test_what_is_no_span(broker: IBKRBroker, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as raised:
        await broker.bars("AAPL", **terms)
    assert [name for name, _ in raised.value.errors] == [field]


async def test_no_bars_of_what_there_is_not(broker: IBKRBroker) -> None:
    with pytest.raises(ContractNotFound):
        await broker.bars("NOSUCH")


# Frames


def made(*volumes: float | None) -> Bars:
    return Bars(
        Bar(
            time=START + number * DAY,
            open=1,
            high=2.5,
            low=0.5,
            close=2,
            volume=volume,
            wap=None if volume is None else 1.5,
            count=None if volume is None else 7,
        )
        for number, volume in enumerate(volumes)
    )


async def test_a_pandas_frame(broker: IBKRBroker) -> None:
    bars = await broker.bars("AAPL", bar_size="1 day", duration="10 D")
    frame = bars.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == COLUMNS
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert frame.index.name == "time"
    assert str(frame.index.tz) == "UTC"
    assert list(frame.index) == [bar.time for bar in bars]
    assert list(frame["close"]) == [bar.close for bar in bars]
    # What people do with it first.
    assert frame["close"].resample("7D").last().iloc[-1] == bars[-1].close


async def test_a_polars_frame(broker: IBKRBroker) -> None:
    bars = await broker.bars("AAPL", bar_size="1 day", duration="10 D")
    frame = bars.to_polars()
    assert frame.columns == ["time", *COLUMNS]
    assert frame.schema["time"] == polars.Datetime("us", "UTC")
    assert {frame.schema[name] for name in COLUMNS} == {polars.Float64}
    assert frame["time"].to_list() == [bar.time for bar in bars]
    assert frame["close"].to_list() == [bar.close for bar in bars]


def test_what_is_unknown_is_no_number() -> None:
    bars = made(None, 100.0)
    volume = bars.to_pandas()["volume"]
    assert math.isnan(volume.iloc[0])
    assert volume.iloc[1] == 100
    assert bars.to_polars()["count"].to_list() == [None, 7.0]
    assert {str(kind) for kind in made(None).to_pandas().dtypes} == {"float64"}
    assert made(None).to_polars().schema["wap"] == polars.Float64


def test_no_bars_make_an_empty_frame() -> None:
    frame = Bars().to_pandas()
    assert (list(frame.columns), len(frame), str(frame.index.tz)) == (COLUMNS, 0, "UTC")
    assert Bars().to_polars().shape == (0, 8)


@pytest.mark.parametrize(("library", "method"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_without_the_library(monkeypatch: pytest.MonkeyPatch, library: str, method: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(NotInstalled, match=f"pip install {library}"):
        getattr(made(1.0), method)()
