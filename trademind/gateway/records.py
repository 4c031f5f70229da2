"""The paper account as JSON: orders, executions, holdings and the records of the exchange's journal.

Decimals and times are strings, so that nothing is lost; instruments are con ids, resolved in the universe
of the program that reads them. What is read is checked field by field: a damaged file must be found out
here and not, as an account that is slightly wrong, later.
"""

from collections.abc import Mapping
from typing import Any

from trademind.domain import Side
from trademind.gateway.accountrecords import (
    dump_account,
    dump_account_record,
    dump_amounts,
    read_account,
    read_account_record,
    read_old_account,
)
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.journal import ActionTaken, DayStarted, ExchangeState, Record
from trademind.gateway.engine.model import (
    IBOrderType,
    IBStatus,
    IBTif,
    Instrument,
    Leg,
    PaperExecution,
    PaperOrder,
    Stage,
    Ticket,
)
from trademind.gateway.jsonfields import (
    Json,
    count_field,
    day_field,
    field,
    moment_field,
    number_field,
    number_or_none,
    numbers_field,
    text_of,
)
from trademind.gateway.ticketrecords import dump_attributes, read_attributes

VERSION = 2
"""Of the format. Version 1, with one account and US dollars only, is read, too; a file of any other version
is refused, not guessed at."""


def dump_record(record: Record) -> Json:
    """One record as JSON; `kind` says which."""
    if isinstance(record, PaperOrder):
        return {"kind": "order", **_dump_order(record)}
    if isinstance(record, PaperExecution):
        return {"kind": "execution", **_dump_execution(record)}
    if isinstance(record, DayStarted):
        return {"kind": "day", "day": record.day.isoformat()}
    if isinstance(record, ActionTaken):
        return {"kind": "action", "name": record.name}
    return dump_account_record(record)


def dump_state(state: ExchangeState) -> Json:
    """All accounts as JSON."""
    return {
        "kind": "account",
        "version": VERSION,
        "created_at": state.created_at.isoformat(),
        "day": state.day.isoformat(),
        "next_perm": state.next_perm,
        "next_exec": state.next_exec,
        "high_water": {str(client): order_id for client, order_id in state.high_water.items()},
        "rates": dump_amounts(state.rates),
        "actions": sorted(state.actions),
        "accounts": [dump_account(each) for each in state.accounts],
        "orders": [_dump_order(each) for each in state.orders],
        "executions": [_dump_execution(each) for each in state.executions],
    }


def _dump_instrument(instrument: Instrument) -> Json:
    """A con id; of a combination, which is listed nowhere, its legs besides."""
    if not instrument.legs:
        return {"con_id": instrument.con_id}
    legs = [
        {"con_id": leg.instrument.con_id, "ratio": leg.ratio, "side": leg.side, "exchange": leg.exchange}
        for leg in instrument.legs
    ]
    return {"con_id": instrument.con_id, "legs": legs}


def _dump_order(order: PaperOrder) -> Json:
    ticket = order.ticket
    return {
        "client_id": ticket.client_id,
        "order_id": ticket.order_id,
        "account": ticket.account,
        **_dump_instrument(ticket.instrument),
        "side": ticket.side,
        "quantity": str(ticket.quantity),
        "order_type": ticket.order_type,
        "tif": ticket.tif,
        "limit_price": text_of(ticket.limit_price),
        "stop_price": text_of(ticket.stop_price),
        "order_ref": ticket.order_ref,
        "outside_rth": ticket.outside_rth,
        "perm_id": order.perm_id,
        "status": order.status,
        "filled": str(order.filled),
        "avg_fill_price": str(order.avg_fill_price),
        "last_fill_price": str(order.last_fill_price),
        "why_held": order.why_held,
        "triggered": order.triggered,
        "created_at": text_of(order.created_at),
        "completed_at": text_of(order.completed_at),
        "completed_status": order.completed_status,
        "filled_value": str(order.filled_value),
        "commission": str(order.commission),
        "stage": order.stage,
        "sequence": order.sequence,
        "trail_stop": text_of(order.trail_stop),
        "working_limit": text_of(order.working_limit),
        **dump_attributes(ticket),
    }


def _dump_execution(execution: PaperExecution) -> Json:
    return {
        "exec_id": execution.exec_id,
        "time": text_of(execution.time),
        "perm_id": execution.perm_id,
        "client_id": execution.client_id,
        "order_id": execution.order_id,
        "account": execution.account,
        **_dump_instrument(execution.instrument),
        "side": execution.side,
        "quantity": str(execution.quantity),
        "price": str(execution.price),
        "cumulative_quantity": str(execution.cumulative_quantity),
        "avg_price": str(execution.avg_price),
        "exchange": execution.exchange,
        "order_ref": execution.order_ref,
        "commission": str(execution.commission),
        "realized_pnl": text_of(execution.realized_pnl),
        **({"adds_liquidity": True} if execution.adds_liquidity else {}),
    }


def _stage(data: Mapping[str, Any], order_type: IBOrderType) -> Stage:
    """How far an order has come; files that do not say so know no more than held stops."""
    if "stage" in data:
        return Stage(data["stage"])
    held = order_type.needs_stop and not data["triggered"] and data["completed_at"] is None
    return Stage.TRIGGER if held else Stage.MARKET


class RecordReader:
    """Turns JSON back into the engine's objects.

    Its methods raise LookupError, TypeError or ValueError (of which ArithmeticError for a bad decimal) for
    what was not written by the functions above.
    """

    def __init__(self, universe: Universe) -> None:
        self._universe = universe

    def record(self, data: Mapping[str, Any]) -> Record:
        kind = data["kind"]
        if kind == "order":
            return self._order(data)
        if kind == "execution":
            return self._execution(data)
        if kind == "day":
            return DayStarted(day=day_field(data, "day"))
        if kind == "action":
            return ActionTaken(name=field(data, "name", str))
        return read_account_record(kind, data, self._listed)

    def state(self, data: Mapping[str, Any]) -> ExchangeState:
        if data["kind"] != "account" or data["version"] not in (1, VERSION):
            raise ValueError(f"not an account of version {VERSION}")
        high_water = field(data, "high_water", dict)
        is_old = data["version"] == 1
        accounts = [data] if is_old else field(data, "accounts", list)
        if not accounts:
            raise ValueError("no account in it")
        return ExchangeState(
            created_at=moment_field(data, "created_at"),
            day=day_field(data, "day"),
            next_perm=count_field(data, "next_perm"),
            next_exec=count_field(data, "next_exec"),
            high_water={int(client): field(high_water, client, int) for client in high_water},
            rates={} if is_old else numbers_field(data, "rates"),
            actions=set() if is_old else {field({"name": each}, "name", str) for each in data["actions"]},
            accounts=[
                read_old_account(each, self._listed) if is_old else read_account(each, self._listed)
                for each in accounts
            ],
            orders=[self._order(each) for each in field(data, "orders", list)],
            executions=[self._execution(each) for each in field(data, "executions", list)],
        )

    def _instrument(self, data: Mapping[str, Any]) -> Instrument:
        if "legs" in data:
            return self._universe.combine([self._leg(each) for each in field(data, "legs", list)])
        return self._listed(count_field(data, "con_id"))

    def _leg(self, data: Mapping[str, Any]) -> Leg:
        return Leg(
            instrument=self._listed(count_field(data, "con_id")),
            ratio=count_field(data, "ratio"),
            side=Side(data["side"]),
            exchange=field(data, "exchange", str),
        )

    def _listed(self, con_id: int) -> Instrument:
        instrument = self._universe.by_con_id(con_id)
        if instrument is None:
            raise LookupError(f"con id {con_id} is not traded here")
        return instrument

    def _order(self, data: Mapping[str, Any]) -> PaperOrder:
        order_type = IBOrderType(data["order_type"])
        limit_price, stop_price = number_or_none(data, "limit_price"), number_or_none(data, "stop_price")
        if (order_type.needs_limit and limit_price is None) or (order_type.needs_stop and stop_price is None):
            raise ValueError(f"an order of type {order_type} without its price")
        return PaperOrder(
            ticket=Ticket(
                client_id=field(data, "client_id", int),
                order_id=field(data, "order_id", int),
                account=field(data, "account", str),
                instrument=self._instrument(data),
                side=Side(data["side"]),
                quantity=number_field(data, "quantity"),
                order_type=order_type,
                tif=IBTif(data["tif"]),
                limit_price=limit_price,
                stop_price=stop_price,
                order_ref=field(data, "order_ref", str),
                outside_rth=field(data, "outside_rth", bool),
                **read_attributes(data, self._listed),
            ),
            perm_id=count_field(data, "perm_id"),
            status=IBStatus(data["status"]),
            filled=number_field(data, "filled"),
            avg_fill_price=number_field(data, "avg_fill_price"),
            last_fill_price=number_field(data, "last_fill_price"),
            why_held=field(data, "why_held", str),
            triggered=field(data, "triggered", bool),
            created_at=moment_field(data, "created_at"),
            completed_at=None if data["completed_at"] is None else moment_field(data, "completed_at"),
            completed_status=field(data, "completed_status", str),
            filled_value=number_field(data, "filled_value"),
            commission=number_field(data, "commission"),
            stage=_stage(data, order_type),
            sequence=count_field(data, "sequence") if "sequence" in data else 0,
            trail_stop=number_or_none(data, "trail_stop") if "trail_stop" in data else None,
            working_limit=number_or_none(data, "working_limit") if "working_limit" in data else None,
        )

    def _execution(self, data: Mapping[str, Any]) -> PaperExecution:
        return PaperExecution(
            exec_id=field(data, "exec_id", str),
            time=moment_field(data, "time"),
            perm_id=count_field(data, "perm_id"),
            client_id=field(data, "client_id", int),
            order_id=field(data, "order_id", int),
            account=field(data, "account", str),
            instrument=self._instrument(data),
            side=Side(data["side"]),
            quantity=number_field(data, "quantity"),
            price=number_field(data, "price"),
            cumulative_quantity=number_field(data, "cumulative_quantity"),
            avg_price=number_field(data, "avg_price"),
            exchange=field(data, "exchange", str),
            order_ref=field(data, "order_ref", str),
            commission=number_field(data, "commission"),
            realized_pnl=number_or_none(data, "realized_pnl"),
            adds_liquidity="adds_liquidity" in data,
        )
