"""Market data as text: the same as the REST answers have it, and frames that hold what they should.

How a test was seen to fail is said at the end of its docstring.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.memory import AAPL, MSFT, NOW
from trademind.api.market_frames import MAX_VALUES, joined_frames, market_text, single_frames
from trademind.api.schemas.base import Out
from trademind.api.schemas.market import DepthOut, QuoteOut
from trademind.brokers.topics import Batch, Item
from trademind.domain import (
    Bar,
    Channel,
    Contract,
    DataType,
    Depth,
    DepthLevel,
    Greeks,
    LiveBar,
    Missed,
    Notice,
    Quote,
    SecType,
    Tick,
    TickType,
)

NUMBERS = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 1e16, 0.1])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5))])
TIMES = st.integers(-(10**12), 10**13).flatmap(
    lambda ms: ZONES.map(lambda zone: datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone))
)
NOTICES = st.lists(st.builds(Notice, time=TIMES, ib_code=st.integers(-1, 20_000), message=TEXT), max_size=3)
CONTRACTS = st.builds(
    Contract,
    con_id=st.integers(1, 2**31 - 1),
    symbol=TEXT,
    sec_type=st.sampled_from(SecType),
    exchange=st.just("SMART"),
    currency=TEXT,
)
GREEKS = st.builds(Greeks, **dict.fromkeys(Greeks.__dataclass_fields__, NUMBERS))
PRICES = ("bid", "ask", "last", "bid_size", "ask_size", "last_size", "volume", "open", "high", "low", "close")
QUOTES = st.builds(
    Quote,
    contract=CONTRACTS,
    as_of=st.none() | TIMES,
    last_time=st.none() | TIMES,
    data_type=st.none() | st.sampled_from(DataType),
    stale=st.booleans(),
    notices=NOTICES.map(tuple),
    greeks=st.none() | GREEKS,
    **dict.fromkeys(PRICES, NUMBERS),
)
LEVELS = st.lists(st.builds(DepthLevel, st.floats(), st.floats(), TEXT), max_size=5).map(tuple)
BOOKS = st.builds(
    Depth,
    contract=CONTRACTS,
    as_of=st.none() | TIMES,
    bids=LEVELS,
    asks=LEVELS,
    is_smart=st.booleans(),
    stale=st.booleans(),
    notices=NOTICES.map(tuple),
)


def parsed(text: str) -> Any:
    """JSON as it is defined, which knows no NaN."""
    return json.loads(text, parse_constant=pytest.fail)


@given(QUOTES)
def test_a_quote_is_written_as_the_rest_answer_has_it(quote: Quote) -> None:
    """Seen to fail with a field that only one of the two has."""
    check_same(quote, QuoteOut.of(quote))
    missing = {name for name in ("bid", "ask", "last") if parsed(market_text(quote))[name] is None}
    assert set(QuoteOut.of(quote).missing) == missing


@given(BOOKS)
def test_a_book_is_written_as_the_rest_answer_has_it(book: Depth) -> None:
    check_same(book, DepthOut.of(book))


def check_same(value: object, answer: Out) -> None:
    written = parsed(market_text(value))
    assert written == parsed(answer.model_dump_json())
    assert list(written) == list(type(answer).model_fields)


def test_ticks_bars_and_what_was_missed() -> None:
    tick = Tick(contract=AAPL, tick_type=TickType.BID_ASK, time=NOW, bid=1.5, ask=float("nan"))
    told = parsed(market_text(tick))
    assert told.keys() == {"symbol", "con_id", *Tick.__dataclass_fields__} - {"contract"}
    assert (told["symbol"], told["tick_type"], told["bid"], told["ask"]) == ("AAPL", "BidAsk", 1.5, None)
    bar = Bar(time=NOW, open=1.0, high=2.0, low=0.5, close=1.5, volume=10.0, wap=1.25, count=3)
    told = parsed(market_text(LiveBar(contract=AAPL, what_to_show="TRADES", bar=bar)))
    assert told == {
        "symbol": "AAPL", "con_id": AAPL.con_id, "exchange": "SMART", "what_to_show": "TRADES",
        "bar_size": "5 secs",
        "time": "2026-01-30T15:30:00.250000Z",
        "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0, "wap": 1.25, "count": 3,
        "complete": True,
    }  # fmt: skip
    missed = Missed(channel=Channel.TICKS, contract=MSFT, reason="lost", count=None, ib_code=10190)
    assert parsed(market_text(missed)) == {
        "symbol": "MSFT", "con_id": MSFT.con_id, "exchange": "SMART",
        "reason": "lost", "count": None, "ib_code": 10190, "bar_size": None,
    }  # fmt: skip
    with pytest.raises(TypeError):
        market_text(AAPL)


def batch() -> Batch:
    tick = Tick(contract=AAPL, tick_type=TickType.LAST, time=NOW, price=1.0)
    missed = Missed(channel=Channel.TICKS, contract=AAPL, reason="lost")
    return {
        Channel.QUOTES: [
            Item(Quote(contract=each, as_of=NOW, data_type=None, last=1.0)) for each in (AAPL, MSFT)
        ],
        Channel.TICKS: [Item(value) for value in (tick, tick, missed, tick)],
    }


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (single_frames, [("event", "quotes", 0)] * 2 + [("event", "ticks", 0)] * 2 + [("gap", "ticks", 0)]
            + [("event", "ticks", 0)]),
        (joined_frames, [("event", "quotes", 2), ("event", "ticks", 2), ("gap", "ticks", 0),
            ("event", "ticks", 1)]),
    ],
)  # fmt: skip
def test_frames_in_order(frames: Callable[..., Any], expected: list[tuple[str, str, int]]) -> None:
    """A gap is a frame of its own and stands where it belongs. Seen to fail with gaps in the lists."""
    told = [parsed(frame) for frame in frames(batch(), market_text)]
    shapes = [
        (each["type"], each["channel"], len(each["data"]) if isinstance(each["data"], list) else 0)
        for each in told
    ]
    assert shapes == expected
    assert all(each["ts"].endswith("Z") for each in told)


@pytest.mark.parametrize("channel", [Channel.QUOTES, Channel.TICKS])
def test_a_frame_has_a_bound(channel: Channel) -> None:
    """Seen to fail with one frame for all there is."""
    item = Item(Tick(contract=AAPL, tick_type=TickType.LAST, time=NOW, price=1.0))
    told = [parsed(frame) for frame in joined_frames({channel: [item] * (2 * MAX_VALUES + 1)}, market_text)]
    assert [len(each["data"]) for each in told] == [MAX_VALUES, MAX_VALUES, 1]
