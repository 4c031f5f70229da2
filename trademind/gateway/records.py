"""The paper account as JSON: orders, executions, holdings and the records of the exchange's journal.

Decimals and times are strings, so that nothing is lost; instruments are con ids, resolved in the universe
of the program that reads them.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trademind.domain import OrderType, Side, TimeInForce
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.journal import AccountState, DayStarted, IdUsed, Record
from trademind.gateway.engine.ledger import Holding
from trademind.gateway.engine.model import IBStatus, Instrument, PaperExecution, PaperOrder, Ticket

VERSION = 1
"""Of the format. A file of another version is refused, not guessed at."""

Json = dict[str, Any]


def _text(value: Decimal | datetime | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def dump_record(record: Record) -> Json:
    """One record as JSON; `kind` says which."""
    if isinstance(record, PaperOrder):
        return {"kind": "order", **_dump_order(record)}
    if isinstance(record, PaperExecution):
        return {"kind": "execution", **_dump_execution(record)}
    if isinstance(record, IdUsed):
        return {"kind": "id", "client_id": record.client_id, "order_id": record.order_id}
    return {"kind": "day", "day": record.day.isoformat()}


def dump_state(state: AccountState) -> Json:
    """A whole account as JSON."""
    return {
        "kind": "account",
        "version": VERSION,
        "account_id": state.account_id,
        "opening_cash": str(state.opening_cash),
        "cash": str(state.cash),
        "created_at": state.created_at.isoformat(),
        "day": state.day.isoformat(),
        "next_perm": state.next_perm,
        "next_exec": state.next_exec,
        "high_water": {str(client): order_id for client, order_id in state.high_water.items()},
        "holdings": [_dump_holding(each) for each in state.holdings],
        "orders": [_dump_order(each) for each in state.orders],
        "executions": [_dump_execution(each) for each in state.executions],
    }


def _dump_order(order: PaperOrder) -> Json:
    ticket = order.ticket
    return {
        "client_id": ticket.client_id,
        "order_id": ticket.order_id,
        "account": ticket.account,
        "con_id": ticket.instrument.con_id,
        "side": ticket.side,
        "quantity": str(ticket.quantity),
        "order_type": ticket.order_type,
        "tif": ticket.tif,
        "limit_price": _text(ticket.limit_price),
        "stop_price": _text(ticket.stop_price),
        "order_ref": ticket.order_ref,
        "outside_rth": ticket.outside_rth,
        "perm_id": order.perm_id,
        "status": order.status,
        "filled": str(order.filled),
        "avg_fill_price": str(order.avg_fill_price),
        "last_fill_price": str(order.last_fill_price),
        "why_held": order.why_held,
        "triggered": order.triggered,
        "created_at": _text(order.created_at),
        "completed_at": _text(order.completed_at),
        "completed_status": order.completed_status,
        "filled_value": str(order.filled_value),
        "commission": str(order.commission),
    }


def _dump_execution(execution: PaperExecution) -> Json:
    return {
        "exec_id": execution.exec_id,
        "time": _text(execution.time),
        "perm_id": execution.perm_id,
        "client_id": execution.client_id,
        "order_id": execution.order_id,
        "account": execution.account,
        "con_id": execution.instrument.con_id,
        "side": execution.side,
        "quantity": str(execution.quantity),
        "price": str(execution.price),
        "cumulative_quantity": str(execution.cumulative_quantity),
        "avg_price": str(execution.avg_price),
        "exchange": execution.exchange,
        "order_ref": execution.order_ref,
        "commission": str(execution.commission),
        "realized_pnl": _text(execution.realized_pnl),
    }


def _dump_holding(holding: Holding) -> Json:
    return {
        "con_id": holding.instrument.con_id,
        "quantity": str(holding.quantity),
        "cost": str(holding.cost),
        "mark": str(holding.mark),
        "realized": str(holding.realized),
        "day_quantity": str(holding.day_quantity),
        "day_flow": str(holding.day_flow),
        "prior_close": _text(holding.prior_close),
    }


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
        if kind == "id":
            return IdUsed(client_id=int(data["client_id"]), order_id=int(data["order_id"]))
        if kind == "day":
            return DayStarted(day=date.fromisoformat(data["day"]))
        raise ValueError(f"unknown kind of record: {kind!r}")

    def state(self, data: Mapping[str, Any]) -> AccountState:
        if data["kind"] != "account" or data["version"] != VERSION:
            raise ValueError(f"not an account of version {VERSION}")
        return AccountState(
            account_id=data["account_id"],
            opening_cash=Decimal(data["opening_cash"]),
            cash=Decimal(data["cash"]),
            created_at=datetime.fromisoformat(data["created_at"]),
            day=date.fromisoformat(data["day"]),
            next_perm=int(data["next_perm"]),
            next_exec=int(data["next_exec"]),
            high_water={int(client): int(order_id) for client, order_id in data["high_water"].items()},
            holdings=[self._holding(each) for each in data["holdings"]],
            orders=[self._order(each) for each in data["orders"]],
            executions=[self._execution(each) for each in data["executions"]],
        )

    def _instrument(self, data: Mapping[str, Any]) -> Instrument:
        instrument = self._universe.by_con_id(data["con_id"])
        if instrument is None:
            raise LookupError(f"con id {data['con_id']} is not traded here")
        return instrument

    def _order(self, data: Mapping[str, Any]) -> PaperOrder:
        completed_at = data["completed_at"]
        return PaperOrder(
            ticket=Ticket(
                client_id=data["client_id"],
                order_id=data["order_id"],
                account=data["account"],
                instrument=self._instrument(data),
                side=Side(data["side"]),
                quantity=Decimal(data["quantity"]),
                order_type=OrderType(data["order_type"]),
                tif=TimeInForce(data["tif"]),
                limit_price=_number(data["limit_price"]),
                stop_price=_number(data["stop_price"]),
                order_ref=data["order_ref"],
                outside_rth=data["outside_rth"],
            ),
            perm_id=data["perm_id"],
            status=IBStatus(data["status"]),
            filled=Decimal(data["filled"]),
            avg_fill_price=Decimal(data["avg_fill_price"]),
            last_fill_price=Decimal(data["last_fill_price"]),
            why_held=data["why_held"],
            triggered=data["triggered"],
            created_at=datetime.fromisoformat(data["created_at"]),
            completed_at=None if completed_at is None else datetime.fromisoformat(completed_at),
            completed_status=data["completed_status"],
            filled_value=Decimal(data["filled_value"]),
            commission=Decimal(data["commission"]),
        )

    def _execution(self, data: Mapping[str, Any]) -> PaperExecution:
        return PaperExecution(
            exec_id=data["exec_id"],
            time=datetime.fromisoformat(data["time"]),
            perm_id=data["perm_id"],
            client_id=data["client_id"],
            order_id=data["order_id"],
            account=data["account"],
            instrument=self._instrument(data),
            side=Side(data["side"]),
            quantity=Decimal(data["quantity"]),
            price=Decimal(data["price"]),
            cumulative_quantity=Decimal(data["cumulative_quantity"]),
            avg_price=Decimal(data["avg_price"]),
            exchange=data["exchange"],
            order_ref=data["order_ref"],
            commission=Decimal(data["commission"]),
            realized_pnl=_number(data["realized_pnl"]),
        )

    def _holding(self, data: Mapping[str, Any]) -> Holding:
        return Holding(
            instrument=self._instrument(data),
            quantity=Decimal(data["quantity"]),
            cost=Decimal(data["cost"]),
            mark=Decimal(data["mark"]),
            realized=Decimal(data["realized"]),
            day_quantity=Decimal(data["day_quantity"]),
            day_flow=Decimal(data["day_flow"]),
            prior_close=_number(data["prior_close"]),
        )
