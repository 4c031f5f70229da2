"""The paper account as JSON: orders, executions, holdings and the records of the exchange's journal.

Decimals and times are strings, so that nothing is lost; instruments are con ids, resolved in the universe
of the program that reads them. What is read is checked field by field: a damaged file must be found out
here and not, as an account that is slightly wrong, later.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from trademind.domain import SecType, Side
from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.instruments import Universe
from trademind.gateway.engine.journal import AccountState, DayStarted, ExchangeState, Record
from trademind.gateway.engine.ledger import Holding, Payable
from trademind.gateway.engine.model import (
    IBOrderType,
    IBStatus,
    IBTif,
    Instrument,
    PaperExecution,
    PaperOrder,
    Ticket,
)

VERSION = 2
"""Of the format. Version 1, with one account and US dollars only, is read, too; a file of any other version
is refused, not guessed at."""

Json = dict[str, Any]
Value = TypeVar("Value")


def _text(value: Decimal | datetime | None) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)


_DIGITS = 20
"""Before the point; no number of an account has more."""


def _field(data: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    value = data[name]
    if type(value) is not kind:
        raise TypeError(f"{name}: a {kind.__name__} is expected, not a {type(value).__name__}")
    return value


def _number(data: Mapping[str, Any], name: str) -> Decimal:
    try:
        number = Decimal(_field(data, name, str))
    except ArithmeticError:
        raise ValueError(f"{name}: not a number") from None
    if not number.is_finite() or number.adjusted() >= _DIGITS:
        raise ValueError(f"{name}: {number} is not possible")
    return number


def _number_or_none(data: Mapping[str, Any], name: str) -> Decimal | None:
    return None if data[name] is None else _number(data, name)


def _numbers(data: Mapping[str, Any], name: str) -> dict[str, Decimal]:
    numbers = _field(data, name, dict)
    return {_field({"key": key}, "key", str): _number(numbers, key) for key in numbers}


def _day(data: Mapping[str, Any], name: str) -> date:
    return date.fromisoformat(_field(data, name, str))


def _moment(data: Mapping[str, Any], name: str) -> datetime:
    moment = datetime.fromisoformat(_field(data, name, str))
    if moment.tzinfo is None:
        raise ValueError(f"{name}: a time without its zone")
    return moment


def _count(data: Mapping[str, Any], name: str) -> int:
    count = _field(data, name, int)
    if not 0 <= count < 1 << 63:
        raise ValueError(f"{name}: {count} is not possible")
    return count


def dump_record(record: Record) -> Json:
    """One record as JSON; `kind` says which."""
    if isinstance(record, PaperOrder):
        return {"kind": "order", **_dump_order(record)}
    if isinstance(record, PaperExecution):
        return {"kind": "execution", **_dump_execution(record)}
    return {"kind": "day", "day": record.day.isoformat()}


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
        "rates": _dump_amounts(state.rates),
        "accounts": [_dump_account(each) for each in state.accounts],
        "orders": [_dump_order(each) for each in state.orders],
        "executions": [_dump_execution(each) for each in state.executions],
    }


def _dump_amounts(amounts: Mapping[str, Decimal]) -> Json:
    return {name: str(amount) for name, amount in amounts.items()}


def _dump_account(state: AccountState) -> Json:
    return {
        "account_id": state.account_id,
        "opening_cash": str(state.opening_cash),
        "cash": _dump_amounts(state.cash),
        "accrued": _dump_amounts(state.accrued),
        "payables": [_dump_payable(each) for each in state.payables],
        "holdings": [_dump_holding(each) for each in state.holdings],
    }


def _dump_payable(payable: Payable) -> Json:
    return {
        "due": payable.due.isoformat(),
        "con_id": payable.con_id,
        "currency": payable.currency,
        "amount": str(payable.amount),
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
        "notes": dict(ticket.notes),
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
        "carried": str(holding.carried),
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
        if kind == "day":
            return DayStarted(day=_day(data, "day"))
        raise ValueError(f"unknown kind of record: {kind!r}")

    def state(self, data: Mapping[str, Any]) -> ExchangeState:
        if data["kind"] != "account" or data["version"] not in (1, VERSION):
            raise ValueError(f"not an account of version {VERSION}")
        high_water = _field(data, "high_water", dict)
        is_old = data["version"] == 1
        accounts = [data] if is_old else _field(data, "accounts", list)
        if not accounts:
            raise ValueError("no account in it")
        return ExchangeState(
            created_at=_moment(data, "created_at"),
            day=_day(data, "day"),
            next_perm=_count(data, "next_perm"),
            next_exec=_count(data, "next_exec"),
            high_water={int(client): _field(high_water, client, int) for client in high_water},
            rates={} if is_old else _numbers(data, "rates"),
            accounts=[self._old_account(data)] if is_old else [self._account(each) for each in accounts],
            orders=[self._order(each) for each in _field(data, "orders", list)],
            executions=[self._execution(each) for each in _field(data, "executions", list)],
        )

    def _account(self, data: Mapping[str, Any]) -> AccountState:
        return AccountState(
            account_id=_field(data, "account_id", str),
            opening_cash=_number(data, "opening_cash"),
            cash=_numbers(data, "cash"),
            accrued=_numbers(data, "accrued"),
            payables=[self._payable(each) for each in _field(data, "payables", list)],
            holdings=[self._holding(each) for each in _field(data, "holdings", list)],
        )

    def _old_account(self, data: Mapping[str, Any]) -> AccountState:
        """The account of version 1, where bought currency was a holding and not a balance."""
        holdings = [self._holding({"carried": "0", **each}) for each in _field(data, "holdings", list)]
        cash = {BASE: _number(data, "cash")}
        for each in holdings:
            if each.instrument.sec_type is SecType.CASH:
                cash[each.instrument.symbol] = each.quantity
        return AccountState(
            account_id=_field(data, "account_id", str),
            opening_cash=_number(data, "opening_cash"),
            cash=cash,
            holdings=holdings,
        )

    @staticmethod
    def _payable(data: Mapping[str, Any]) -> Payable:
        return Payable(
            due=_day(data, "due"),
            con_id=_count(data, "con_id"),
            currency=_field(data, "currency", str),
            amount=_number(data, "amount"),
        )

    def _instrument(self, data: Mapping[str, Any]) -> Instrument:
        instrument = self._universe.by_con_id(_count(data, "con_id"))
        if instrument is None:
            raise LookupError(f"con id {data['con_id']} is not traded here")
        return instrument

    def _order(self, data: Mapping[str, Any]) -> PaperOrder:
        order_type = IBOrderType(data["order_type"])
        limit_price, stop_price = _number_or_none(data, "limit_price"), _number_or_none(data, "stop_price")
        if (order_type.needs_limit and limit_price is None) or (order_type.needs_stop and stop_price is None):
            raise ValueError(f"an order of type {order_type} without its price")
        return PaperOrder(
            ticket=Ticket(
                client_id=_field(data, "client_id", int),
                order_id=_field(data, "order_id", int),
                account=_field(data, "account", str),
                instrument=self._instrument(data),
                side=Side(data["side"]),
                quantity=_number(data, "quantity"),
                order_type=order_type,
                tif=IBTif(data["tif"]),
                limit_price=limit_price,
                stop_price=stop_price,
                order_ref=_field(data, "order_ref", str),
                outside_rth=_field(data, "outside_rth", bool),
                notes=tuple((name, str(value)) for name, value in data.get("notes", {}).items()),
            ),
            perm_id=_count(data, "perm_id"),
            status=IBStatus(data["status"]),
            filled=_number(data, "filled"),
            avg_fill_price=_number(data, "avg_fill_price"),
            last_fill_price=_number(data, "last_fill_price"),
            why_held=_field(data, "why_held", str),
            triggered=_field(data, "triggered", bool),
            created_at=_moment(data, "created_at"),
            completed_at=None if data["completed_at"] is None else _moment(data, "completed_at"),
            completed_status=_field(data, "completed_status", str),
            filled_value=_number(data, "filled_value"),
            commission=_number(data, "commission"),
        )

    def _execution(self, data: Mapping[str, Any]) -> PaperExecution:
        return PaperExecution(
            exec_id=_field(data, "exec_id", str),
            time=_moment(data, "time"),
            perm_id=_count(data, "perm_id"),
            client_id=_field(data, "client_id", int),
            order_id=_field(data, "order_id", int),
            account=_field(data, "account", str),
            instrument=self._instrument(data),
            side=Side(data["side"]),
            quantity=_number(data, "quantity"),
            price=_number(data, "price"),
            cumulative_quantity=_number(data, "cumulative_quantity"),
            avg_price=_number(data, "avg_price"),
            exchange=_field(data, "exchange", str),
            order_ref=_field(data, "order_ref", str),
            commission=_number(data, "commission"),
            realized_pnl=_number_or_none(data, "realized_pnl"),
        )

    def _holding(self, data: Mapping[str, Any]) -> Holding:
        return Holding(
            instrument=self._instrument(data),
            quantity=_number(data, "quantity"),
            cost=_number(data, "cost"),
            mark=_number(data, "mark"),
            realized=_number(data, "realized"),
            day_quantity=_number(data, "day_quantity"),
            day_flow=_number(data, "day_flow"),
            prior_close=_number_or_none(data, "prior_close"),
            carried=_number(data, "carried"),
        )
