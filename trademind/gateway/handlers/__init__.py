"""What the gateway does about each request: one handler per class of request, by topic.

A handler is a function of the gateway, the session that asks, and the request. It tells the session what
to send, through the session's `send` and `error`. Each topic's module has the table of what it handles.
"""

from collections.abc import Callable, Mapping

from trademind.gateway.handlers import (
    account,
    contracts,
    depth,
    display_groups,
    executions,
    exercise,
    greeting,
    head_timestamp,
    histogram,
    historical_ticks,
    history,
    listings,
    market_data,
    news,
    option_ticks,
    orders,
    real_time_bars,
    reference,
    scanner,
    tick_by_tick,
    unserved,
)

HANDLERS: Mapping[type, Callable[..., None]] = {
    **greeting.HANDLERS,
    **account.HANDLERS,
    **orders.HANDLERS,
    **executions.HANDLERS,
    **exercise.HANDLERS,
    **contracts.HANDLERS,
    **listings.HANDLERS,
    **market_data.HANDLERS,
    **option_ticks.HANDLERS,
    **tick_by_tick.HANDLERS,
    **depth.HANDLERS,
    **real_time_bars.HANDLERS,
    **history.HANDLERS,
    **head_timestamp.HANDLERS,
    **historical_ticks.HANDLERS,
    **histogram.HANDLERS,
    **reference.HANDLERS,
    **scanner.HANDLERS,
    **news.HANDLERS,
    **display_groups.HANDLERS,
    **unserved.HANDLERS,
}

__all__ = ["HANDLERS"]
