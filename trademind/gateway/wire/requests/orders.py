"""Requests about orders and executions. `place_order` reads the longest of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from trademind.gateway.wire import versions
from trademind.gateway.wire.contracts import WireContract, read_contract
from trademind.gateway.wire.fields import FieldError, FieldReader
from trademind.gateway.wire.place_order import read_place_order
from trademind.gateway.wire.requests.spec import Bare, RequestSpec, bare


@dataclass(frozen=True, slots=True)
class CancelOrder:
    order_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionsRequest:
    """Filters that are empty, or a client id of 0, let everything through."""

    req_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str
    specific_dates: tuple[str, ...] = ()
    last_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExerciseRequest:
    """Exercise options, or have them lapse."""

    req_id: int
    contract: WireContract
    action: int
    """1 exercise, 2 lapse."""
    quantity: int
    account: str
    override: bool
    """Do it although it makes no sense: exercise out of the money, lapse in the money."""


class OpenOrdersRequest(Bare):
    __slots__ = ()


class AllOpenOrdersRequest(Bare):
    __slots__ = ()


class GlobalCancel(Bare):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AutoOpenOrdersRequest:
    bind: bool


@dataclass(frozen=True, slots=True)
class CompletedOrdersRequest:
    api_only: bool


def _cancel_order(reader: FieldReader, version: int) -> CancelOrder:
    if version < versions.CME_TAGGING:
        reader.skip()
    return CancelOrder(reader.integer())


def _executions(reader: FieldReader, version: int) -> ExecutionsRequest:
    reader.skip()
    req_id, client_id = reader.integer(), reader.integer()
    account, time, symbol, sec_type, exchange, side = (reader.text() for _ in range(6))
    last_days: int | None = None
    dates: tuple[str, ...] = ()
    if version >= versions.DAYS_OF_EXECUTIONS:
        days = reader.number()
        last_days = None if days is None else int(days)
        count = reader.integer()
        if count > reader.remaining:
            raise FieldError(f"{count} dates are announced, {reader.remaining} follow")
        dates = tuple(reader.text() for _ in range(count))
    return ExecutionsRequest(
        req_id=req_id,
        client_id=client_id,
        account=account,
        time=time,
        symbol=symbol,
        sec_type=sec_type,
        exchange=exchange,
        side=side,
        last_days=last_days,
        specific_dates=dates,
    )


def _exercise(reader: FieldReader, version: int) -> ExerciseRequest:
    reader.skip()
    req_id = reader.integer()
    request = ExerciseRequest(
        req_id=req_id,
        contract=read_contract(reader, with_primary_exchange=False),
        action=reader.integer(),
        quantity=reader.integer(),
        account=reader.name("account"),
        override=reader.flag(),
    )
    # Manual order time, customer account, professional customer: by the version.
    reader.skip(reader.remaining)
    return request


def _auto_open_orders(reader: FieldReader, version: int) -> AutoOpenOrdersRequest:
    reader.skip()
    return AutoOpenOrdersRequest(reader.flag())


def _completed_orders(reader: FieldReader, version: int) -> CompletedOrdersRequest:
    return CompletedOrdersRequest(reader.flag())


REQUESTS: Mapping[int, RequestSpec] = {
    3: RequestSpec("placeOrder", 1, read_place_order),
    4: RequestSpec("cancelOrder", 2, _cancel_order),
    5: RequestSpec("reqOpenOrders", None, bare(OpenOrdersRequest)),
    7: RequestSpec("reqExecutions", 2, _executions),
    15: RequestSpec("reqAutoOpenOrders", None, _auto_open_orders),
    16: RequestSpec("reqAllOpenOrders", None, bare(AllOpenOrdersRequest)),
    21: RequestSpec("exerciseOptions", 2, _exercise),
    58: RequestSpec("reqGlobalCancel", None, bare(GlobalCancel)),
    99: RequestSpec("reqCompletedOrders", None, _completed_orders),
}
