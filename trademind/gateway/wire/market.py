"""Messages of live market data other than ticks: around a subscription, depth, single trades, bars."""

from decimal import Decimal

from trademind.gateway.wire.messages import Message, Plain


def tick_request_parameters(
    req_id: int, min_tick: Decimal, bbo_exchange: str, snapshot_permissions: int
) -> Message:
    return Plain(values=(81, req_id, min_tick, bbo_exchange, snapshot_permissions))


def snapshot_end(req_id: int) -> Message:
    return Plain(values=(57, 1, req_id))


def market_data_type(req_id: int, data_type: int) -> Message:
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen."""
    return Plain(values=(58, 1, req_id, data_type))
