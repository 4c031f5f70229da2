"""Market data as it is sent: the text of each value, and of the frames that values are put together in.

A value is written once and put into the frames of everybody who follows it: a frame is text joined to text.
Quotes, order books and bars have the fields of the REST answers; orjson writes them several times as fast as
their pydantic models, which say the same (a test compares the two).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

import orjson

from trademind.api.schemas.base import number, time
from trademind.api.schemas.market import bar_fields, depth_fields, quote_fields
from trademind.brokers.topics import Batch, Item
from trademind.domain import LATEST_VALUE, Channel, Contract, Depth, LiveBar, Missed, Quote, Tick

MAX_VALUES: Final = 500
"""Values in a frame: some 200 kB of quotes."""


def market_text(value: object) -> str:
    """A value as JSON."""
    return orjson.dumps(_fields(value)).decode()


def _fields(value: object) -> dict[str, Any]:
    match value:
        case Quote():
            return quote_fields(value)
        case Depth():
            return depth_fields(value)
        case Tick():
            return _tick_fields(value)
        case LiveBar():
            about = {"what_to_show": value.what_to_show, "bar_size": value.bar_size}
            return _named(value.contract) | about | bar_fields(value.bar) | {"complete": value.complete}
        case Missed():
            return _named(value.contract) | {
                "reason": value.reason,
                "count": value.count,
                "ib_code": value.ib_code,
                "bar_size": value.bar_size,
            }
        case _:
            raise TypeError(f"nothing is sent of {value!r}")


def _named(contract: Contract) -> dict[str, Any]:
    return {"symbol": contract.symbol, "con_id": contract.con_id, "exchange": contract.exchange}


def _tick_fields(tick: Tick) -> dict[str, Any]:
    return _named(tick.contract) | {
        "tick_type": tick.tick_type,
        "time": time(tick.time),
        "price": number(tick.price),
        "size": number(tick.size),
        "exchange": tick.exchange,
        "special_conditions": tick.special_conditions,
        "past_limit": tick.past_limit,
        "unreported": tick.unreported,
        "bid": number(tick.bid),
        "ask": number(tick.ask),
        "bid_size": number(tick.bid_size),
        "ask_size": number(tick.ask_size),
        "mid_point": number(tick.mid_point),
    }


def single_frames(batch: Batch, write: Callable[[object], str]) -> Iterator[str]:
    """A frame for each value."""
    for channel, items in batch.items():
        for item in items:
            kind = "gap" if isinstance(item.value, Missed) else "event"
            yield _frame(kind, channel, item.text(write))


def joined_frames(batch: Batch, write: Callable[[object], str]) -> Iterator[str]:
    """A frame for each channel, with a list of values. Where some were missed, the list ends and a gap comes
    in between."""
    for channel, items in batch.items():
        for is_gap, some in _runs(channel, items):
            texts = [item.text(write) for item in some]
            if is_gap:
                yield from (_frame("gap", channel, text) for text in texts)
            else:
                yield _frame("event", channel, f"[{','.join(texts)}]")


def _runs(channel: Channel, items: list[Item]) -> Iterator[tuple[bool, list[Item]]]:
    """What belongs into a frame each, and whether it was missed."""
    if channel in LATEST_VALUE and len(items) <= MAX_VALUES:
        yield False, items
        return
    for is_gap, run in groupby(items, lambda item: isinstance(item.value, Missed)):
        rest = list(run)
        for begin in range(0, len(rest), MAX_VALUES):
            yield is_gap, rest[begin : begin + MAX_VALUES]


def _frame(kind: str, channel: Channel, data: str) -> str:
    now = time(datetime.now(UTC))
    return f'{{"type":"{kind}","channel":"{channel}","ts":"{now}","data":{data}}}'
