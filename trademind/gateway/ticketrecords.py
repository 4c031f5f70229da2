"""The rarer attributes of an order as JSON: only those that are set are written.

So the record of a plain order stays short, and files from before an attribute existed can be read.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from trademind.gateway.engine.model import (
    Adjustment,
    Condition,
    IBOrderType,
    Instrument,
    PriceCondition,
    Ticket,
    TimeCondition,
)
from trademind.gateway.jsonfields import (
    Json,
    count_field,
    field,
    moment_field,
    number_field,
    number_or_none,
    text_of,
)

Lookup = Callable[[int], Instrument]
"""The instrument of a con id; raises LookupError."""

_NUMBERS = (
    "trailing_amount",
    "trailing_percent",
    "limit_offset",
    "offset",
    "min_quantity",
    "display_size",
)
_MOMENTS = ("good_till", "good_after")
_FLAGS = ("all_or_none", "hidden", "transmit", "conditions_cancel", "conditions_outside_rth")
_COUNTS = ("parent_id", "oca_type", "trigger_method")
_TEXTS = ("exchange", "oca_group")
_DEFAULTS = {each.name: each.default for each in fields(Ticket)}


def dump_attributes(ticket: Ticket) -> Json:
    """The attributes that are not at their defaults."""
    found: Json = {}
    for name in (*_NUMBERS, *_MOMENTS, *_FLAGS, *_COUNTS, *_TEXTS):
        value = getattr(ticket, name)
        if value != _DEFAULTS[name]:
            found[name] = text_of(value) if name in _NUMBERS or name in _MOMENTS else value
    if ticket.conditions:
        found["conditions"] = [_dump_condition(each) for each in ticket.conditions]
    if ticket.adjustment is not None:
        found["adjustment"] = _dump_adjustment(ticket.adjustment)
    if ticket.notes:
        found["notes"] = dict(ticket.notes)
    return found


def read_attributes(data: Mapping[str, Any], listed: Lookup) -> dict[str, Any]:
    """Arguments for a ticket, of those attributes that were written."""
    found: dict[str, Any] = {}
    for names, read in (
        (_NUMBERS, number_field),
        (_MOMENTS, moment_field),
        (_COUNTS, count_field),
    ):
        found.update((name, read(data, name)) for name in names if name in data)
    found.update((name, field(data, name, bool)) for name in _FLAGS if name in data)
    found.update((name, field(data, name, str)) for name in _TEXTS if name in data)
    if "conditions" in data:
        found["conditions"] = tuple(_condition(each, listed) for each in field(data, "conditions", list))
    if "adjustment" in data:
        found["adjustment"] = _adjustment(field(data, "adjustment", dict))
    if "notes" in data:
        notes = field(data, "notes", dict)
        found["notes"] = tuple((name, field(notes, name, str)) for name in notes)
    return found


def _dump_condition(condition: Condition) -> Json:
    if isinstance(condition, TimeCondition):
        return {
            "kind": "time",
            "moment": text_of(condition.moment),
            "is_more": condition.is_more,
            "is_and": condition.is_and,
        }
    return {
        "kind": "price",
        "con_id": condition.instrument.con_id,
        "price": str(condition.price),
        "is_more": condition.is_more,
        "trigger_method": condition.trigger_method,
        "is_and": condition.is_and,
    }


def _condition(data: Mapping[str, Any], listed: Lookup) -> Condition:
    is_more, is_and = field(data, "is_more", bool), field(data, "is_and", bool)
    if data["kind"] == "time":
        return TimeCondition(moment=moment_field(data, "moment"), is_more=is_more, is_and=is_and)
    if data["kind"] != "price":
        raise ValueError(f"unknown kind of condition: {data['kind']!r}")
    return PriceCondition(
        instrument=listed(count_field(data, "con_id")),
        price=number_field(data, "price"),
        is_more=is_more,
        trigger_method=count_field(data, "trigger_method"),
        is_and=is_and,
    )


def _dump_adjustment(change: Adjustment) -> Json:
    return {
        "order_type": change.order_type,
        "trigger_price": str(change.trigger_price),
        "stop_price": text_of(change.stop_price),
        "limit_price": text_of(change.limit_price),
        "trailing": text_of(change.trailing),
        "is_percent": change.is_percent,
    }


def _adjustment(data: Mapping[str, Any]) -> Adjustment:
    return Adjustment(
        order_type=IBOrderType(data["order_type"]),
        trigger_price=number_field(data, "trigger_price"),
        stop_price=number_or_none(data, "stop_price"),
        limit_price=number_or_none(data, "limit_price"),
        trailing=number_or_none(data, "trailing"),
        is_percent=field(data, "is_percent", bool),
    )
