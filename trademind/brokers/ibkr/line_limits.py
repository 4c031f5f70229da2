"""How many market data lines IB grants at once, and which one makes room for another.

Bars of five seconds are lines and requests for history at once ("5 Second Real Time Bars" in the TWS API's
documentation). Of bars that are kept up to date IB does not say whether they take a line; they count as one.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Final

from trademind.brokers.ibkr.kept_bars import MAX_KEPT, KeptBarLine
from trademind.brokers.ibkr.lines import Line
from trademind.domain import Channel, LineUsage
from trademind.errors import TooManySubscriptions

MAX_LINES: Final = 90
"""Quotes and bars together, unless another number is set: of the 100 that IB grants a login by default; the
rest is left to the user's own TWS."""

MAX_DEPTH: Final = 3
MAX_TICKS: Final = 3
"""What IB grants a login with 100 lines, of either."""

_SHARED: Final[Mapping[Channel, frozenset[Channel]]] = {
    Channel.QUOTES: frozenset({Channel.QUOTES, Channel.BARS}),
    Channel.BARS: frozenset({Channel.QUOTES, Channel.BARS}),
    Channel.DEPTH: frozenset({Channel.DEPTH}),
    Channel.TICKS: frozenset({Channel.TICKS}),
}
"""Which kinds share their lines at IB."""

_NAMES: Final = {
    Channel.QUOTES: "market data lines",
    Channel.BARS: "market data lines",
    Channel.DEPTH: "market depth lines",
    Channel.TICKS: "tick-by-tick lines",
}


def _limit(channel: Channel, max_lines: int) -> int:
    return {Channel.DEPTH: MAX_DEPTH, Channel.TICKS: MAX_TICKS}.get(channel, max_lines)


def usage(lines: Collection[Line], max_lines: int) -> tuple[LineUsage, ...]:
    used = Counter(line.topic.channel for line in lines)
    held = Counter(line.topic.channel for line in lines if line.holders)
    return tuple(
        LineUsage(channel=channel, limit=_limit(channel, max_lines), used=used[channel], held=held[channel])
        for channel in _SHARED
    )


def in_the_way_of(newcomer: Line, lines: Collection[Line], max_lines: int) -> Line | None:
    """The line that has to be given up for the newcomer; None where there is room.

    Args:
        lines: The one used longest ago first.
        max_lines: Of quotes and bars together.

    Raises:
        TooManySubscriptions: all of them are used.
    """
    channel = newcomer.topic.channel
    limit, name = _limit(channel, max_lines), _NAMES[channel]
    sharing = [line for line in lines if line.topic.channel in _SHARED[channel]]
    if isinstance(newcomer, KeptBarLine):
        kept: list[Line] = [line for line in sharing if isinstance(line, KeptBarLine)]
        if len(kept) >= MAX_KEPT:
            limit, name, sharing = MAX_KEPT, "places for bars that IB keeps up to date", kept
    if len(sharing) < limit:
        return None
    for line in sharing:
        if not line.is_used:
            return line
    raise TooManySubscriptions(
        f"{newcomer.what}: all {limit} {name} are in use; ask again when one is let go",
        extra={
            "limit": limit,
            "in_use": len(sharing),
            "used_by": [line.what for line in sharing],
        },
        retry_after=5,
    )
