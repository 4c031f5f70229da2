"""Ticks of level I market data: the messages there are most of, laid out at the least cost.

Strategy: a tick's layout is the same at every version and for every subscription, but for the request id in
its middle. So a tick is kept as the bytes before and after that id, and `TickFrames` frames all ticks of
one move of the market once; a subscription's own frames are then a single join of bytes.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import IntEnum
from typing import Final

from trademind.gateway.wire.fields import Value, encode_fields
from trademind.gateway.wire.messages import Message


class Tick(IntEnum):
    """IB's tick types, as far as they are sent."""

    BID_SIZE = 0
    BID = 1
    ASK = 2
    ASK_SIZE = 3
    LAST = 4
    LAST_SIZE = 5
    HIGH = 6
    LOW = 7
    VOLUME = 8
    CLOSE = 9
    BID_OPTION = 10
    ASK_OPTION = 11
    LAST_OPTION = 12
    MODEL_OPTION = 13
    OPEN = 14
    LOW_13_WEEKS = 15
    HIGH_13_WEEKS = 16
    LOW_26_WEEKS = 17
    HIGH_26_WEEKS = 18
    LOW_52_WEEKS = 19
    HIGH_52_WEEKS = 20
    AVERAGE_VOLUME = 21
    HISTORICAL_VOLATILITY = 23
    IMPLIED_VOLATILITY = 24
    CALL_OPEN_INTEREST = 27
    PUT_OPEN_INTEREST = 28
    CALL_VOLUME = 29
    PUT_VOLUME = 30
    BID_EXCHANGE = 32
    ASK_EXCHANGE = 33
    AUCTION_VOLUME = 34
    AUCTION_PRICE = 35
    AUCTION_IMBALANCE = 36
    MARK_PRICE = 37
    LAST_TIMESTAMP = 45
    SHORTABLE = 46
    FUNDAMENTAL_RATIOS = 47
    RT_VOLUME = 48
    HALTED = 49
    CUSTOM_OPTION = 53
    """The answer to a request for an option computation."""
    TRADE_COUNT = 54
    TRADE_RATE = 55
    VOLUME_RATE = 56
    LAST_RTH_TRADE = 57
    RT_HISTORICAL_VOLATILITY = 58
    DIVIDENDS = 59
    REGULATORY_IMBALANCE = 61
    DELAYED_BID = 66
    DELAYED_ASK = 67
    DELAYED_LAST = 68
    DELAYED_BID_SIZE = 69
    DELAYED_ASK_SIZE = 70
    DELAYED_LAST_SIZE = 71
    DELAYED_HIGH = 72
    DELAYED_LOW = 73
    DELAYED_VOLUME = 74
    DELAYED_CLOSE = 75
    DELAYED_OPEN = 76
    DELAYED_BID_OPTION = 80
    DELAYED_ASK_OPTION = 81
    DELAYED_LAST_OPTION = 82
    DELAYED_MODEL_OPTION = 83
    LAST_EXCHANGE = 84
    FUTURES_OPEN_INTEREST = 86
    AVERAGE_OPTION_VOLUME = 87
    DELAYED_LAST_TIMESTAMP = 88
    SHORTABLE_SHARES = 89
    DELAYED_HALTED = 90


TickBytes = tuple[bytes, bytes]
"""A tick: the fields before its request id, and those after it, beginning with the end of the id."""

_NO_SIZE: Final = Decimal(0)
# By tick type, in tuples: an enum's member costs more to hash or to format than all the rest of a tick.
_TYPES: Final = tuple(f"\0{number}\0" for number in range(max(Tick) + 1))
_MASKS: Final = tuple(
    "\x001\0" if number in (Tick.BID, Tick.ASK) else "\x000\0" for number in range(len(_TYPES))
)


def plain(number: Decimal) -> str:
    """A number without an exponent, which few clients read. Most have none anyway, and that is fast."""
    text = str(number)
    return text if "E" not in text else f"{number:f}"


def price_tick(tick: Tick, price: Decimal, size: Decimal = _NO_SIZE) -> TickBytes:
    """A price with the size that belongs to it; clients report the size as a tick of its own.

    The last field is a mask: 1 says the price can be executed against automatically.
    """
    return b"1\x006\0", f"{_TYPES[tick]}{plain(price)}\0{plain(size)}{_MASKS[tick]}".encode()


def size_tick(tick: Tick, size: Decimal) -> TickBytes:
    return b"2\x006\0", f"{_TYPES[tick]}{plain(size)}\0".encode()


def generic_tick(tick: Tick, value: Decimal) -> TickBytes:
    return b"45\x006\0", f"{_TYPES[tick]}{plain(value)}\0".encode()


def string_tick(tick: Tick, value: str) -> TickBytes:
    return b"46\x006\0", f"{_TYPES[tick]}{value}\0".encode()


def option_tick(
    tick: Tick,
    *,
    price_based: bool,
    volatility: float | None,
    delta: float | None,
    price: float | None,
    pv_dividend: float | None,
    gamma: float | None,
    vega: float | None,
    theta: float | None,
    underlying: float | None,
) -> TickBytes:
    """An option computation. What cannot be computed is -1, or -2 where it may be below zero.

    Args:
        price_based: Whether the volatility is on price, rather than on return.
    """
    values: tuple[Value, ...] = (
        int(tick),
        1 if price_based else 0,
        _or(volatility, -1),
        _or(delta, -2),
        _or(price, -1),
        _or(pv_dividend, -1),
        _or(gamma, -2),
        _or(vega, -2),
        _or(theta, -2),
        _or(underlying, -1),
    )
    return b"21\0", b"\0" + encode_fields(values)


def _or(value: float | None, unknown: int) -> Value:
    return unknown if value is None else value


class TickFrames:
    """Ticks of one contract, framed for any number of subscriptions to it."""

    __slots__ = ("_by_length", "_ticks")

    def __init__(self, ticks: Iterable[TickBytes]) -> None:
        self._ticks = tuple(ticks)
        self._by_length: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._ticks)

    def of(self, req_id: bytes) -> bytes:
        """The frames of all ticks with this request id."""
        pieces = self._by_length.get(len(req_id))
        if pieces is None:
            pieces = self._by_length[len(req_id)] = self._pieces(len(req_id))
        return req_id.join(pieces)

    def _pieces(self, length: int) -> list[bytes]:
        """What stands between the request ids, if each is so long: the frames' lengths depend on that."""
        pieces, open_end = [], b""
        for head, tail in self._ticks:
            size = len(head) + length + len(tail)
            pieces.append(open_end + size.to_bytes(4, "big") + head)
            open_end = tail
        pieces.append(open_end)
        return pieces if self._ticks else []


class TickMessage(Message):
    """One tick for one subscription, as a message."""

    __slots__ = ("_req_id", "_tick")

    def __init__(self, req_id: int, tick: TickBytes) -> None:
        self._req_id = req_id
        self._tick = tick

    def encode(self, version: int) -> bytes:
        head, tail = self._tick
        return b"%b%d%b" % (head, self._req_id, tail)
