"""Accounts as JSON: balances, holdings, and what happens to them without an order.

Like `records.py`, whose part it is: decimals are strings, instruments are con ids, and what is read is
checked field by field.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from trademind.domain import SecType
from trademind.gateway.engine.currencies import BASE
from trademind.gateway.engine.journal import (
    AccountRecord,
    AccountState,
    DividendEntitled,
    InterestAccrued,
    Settled,
    SharesSplit,
)
from trademind.gateway.engine.ledger import Holding, Payable
from trademind.gateway.engine.model import Instrument
from trademind.gateway.jsonfields import (
    Json,
    count_field,
    day_field,
    field,
    number_field,
    number_or_none,
    numbers_field,
    text_of,
)

Listed = Callable[[int], Instrument]
"""Finds an instrument by its con id, and raises LookupError where there is none."""


def dump_amounts(amounts: Mapping[str, Decimal]) -> Json:
    return {name: str(amount) for name, amount in amounts.items()}


def dump_account(state: AccountState) -> Json:
    return {
        "account_id": state.account_id,
        "opening_cash": str(state.opening_cash),
        "cash": dump_amounts(state.cash),
        "accrued": dump_amounts(state.accrued),
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


def _dump_holding(holding: Holding) -> Json:
    return {
        "con_id": holding.instrument.con_id,
        "quantity": str(holding.quantity),
        "cost": str(holding.cost),
        "mark": str(holding.mark),
        "realized": str(holding.realized),
        "day_quantity": str(holding.day_quantity),
        "day_flow": str(holding.day_flow),
        "prior_close": text_of(holding.prior_close),
        "carried": str(holding.carried),
    }


def dump_account_record(record: AccountRecord) -> Json:
    """One record as JSON; `kind` says which."""
    if isinstance(record, InterestAccrued):
        return {
            "kind": "interest",
            "account": record.account,
            "currency": record.currency,
            "amount": str(record.amount),
        }
    data = {"account": record.account, "con_id": record.instrument.con_id}
    match record:
        case DividendEntitled(amount=amount, due=due):
            return {"kind": "dividend", **data, "amount": str(amount), "due": due.isoformat()}
        case SharesSplit(ratio=ratio, price=price):
            return {"kind": "split", **data, "ratio": str(ratio), "price": str(price)}
        case Settled(price=price, is_final=is_final):
            return {"kind": "settlement", **data, "price": str(price), "is_final": is_final}


def read_account_record(kind: object, data: Mapping[str, Any], listed: Listed) -> AccountRecord:
    """The record of a kind, out of what `dump_account_record` has made of it."""
    if kind not in ("interest", "dividend", "split", "settlement"):
        raise ValueError(f"unknown kind of record: {kind!r}")
    account = field(data, "account", str)
    if kind == "interest":
        currency = field(data, "currency", str)
        return InterestAccrued(account=account, currency=currency, amount=number_field(data, "amount"))
    instrument = listed(count_field(data, "con_id"))
    if kind == "dividend":
        amount, due = number_field(data, "amount"), day_field(data, "due")
        return DividendEntitled(account=account, instrument=instrument, amount=amount, due=due)
    price = number_field(data, "price")
    if kind == "split":
        ratio = number_field(data, "ratio")
        if ratio <= 0:
            raise ValueError(f"ratio: {ratio} is not possible")
        return SharesSplit(account=account, instrument=instrument, ratio=ratio, price=price)
    is_final = field(data, "is_final", bool)
    return Settled(account=account, instrument=instrument, price=price, is_final=is_final)


def read_account(data: Mapping[str, Any], listed: Listed) -> AccountState:
    return AccountState(
        account_id=field(data, "account_id", str),
        opening_cash=number_field(data, "opening_cash"),
        cash=numbers_field(data, "cash"),
        accrued=numbers_field(data, "accrued"),
        payables=[_payable(each) for each in field(data, "payables", list)],
        holdings=[_holding(each, listed) for each in field(data, "holdings", list)],
    )


def read_old_account(data: Mapping[str, Any], listed: Listed) -> AccountState:
    """The account of version 1, where bought currency was a holding and not a balance."""
    holdings = [_holding({"carried": "0", **each}, listed) for each in field(data, "holdings", list)]
    cash = {BASE: number_field(data, "cash")}
    for each in holdings:
        if each.instrument.sec_type is SecType.CASH:
            cash[each.instrument.symbol] = each.quantity
    return AccountState(
        account_id=field(data, "account_id", str),
        opening_cash=number_field(data, "opening_cash"),
        cash=cash,
        holdings=holdings,
    )


def _payable(data: Mapping[str, Any]) -> Payable:
    return Payable(
        due=day_field(data, "due"),
        con_id=count_field(data, "con_id"),
        currency=field(data, "currency", str),
        amount=number_field(data, "amount"),
    )


def _holding(data: Mapping[str, Any], listed: Listed) -> Holding:
    return Holding(
        instrument=listed(count_field(data, "con_id")),
        quantity=number_field(data, "quantity"),
        cost=number_field(data, "cost"),
        mark=number_field(data, "mark"),
        realized=number_field(data, "realized"),
        day_quantity=number_field(data, "day_quantity"),
        day_flow=number_field(data, "day_flow"),
        prior_close=number_or_none(data, "prior_close"),
        carried=number_field(data, "carried"),
    )
