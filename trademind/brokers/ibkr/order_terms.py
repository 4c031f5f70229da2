"""The terms of orders: whether two are the same, and what IB would refuse, found before it is sent."""

from datetime import datetime
from decimal import Decimal

from trademind.domain import ContractDetails, Order, OrderChange, OrderRequest, OrderType
from trademind.errors import Invalid


def same_terms(order: Order, request: OrderRequest) -> bool:
    """Is `order` what `request` asks for? The order may have been modified since; then it is not."""
    wanted = request.con_id or request.symbol
    stop = order.stop_price if order.order_type != OrderType.TRAIL else request.stop_price
    return (
        wanted in (order.contract.con_id, order.contract.symbol)
        and order.side is request.side
        and order.quantity == request.quantity
        and order.order_type == request.order_type
        and order.limit_price == request.limit_price
        and stop == request.stop_price
        and order.trailing_amount == request.trailing_amount
        and order.trailing_percent == request.trailing_percent
        and order.tif == request.tif
    )


def check_request(details: ContractDetails, request: OrderRequest, now: datetime) -> None:
    """Refuse what IB would refuse of a new order (110, 10243 …) before it is sent. Raises `Invalid`."""
    prices = {name: getattr(request, name) for name in ("limit_price", "stop_price", "trailing_amount")}
    _check_increments(details, request.quantity, prices)
    symbol = details.contract.symbol
    if request.con_id is not None and request.symbol not in ("", symbol):
        raise Invalid([("symbol", f"contract {request.con_id} is {symbol}; give only one of the two")])
    if request.good_till is not None and request.good_till <= now:
        raise Invalid([("good_till", "is over already")])


def check_change(details: ContractDetails, order: Order, change: OrderChange) -> None:
    """Refuse what IB would refuse of a change. Raises `Invalid`."""
    prices = {name: getattr(change, name) for name in ("limit_price", "stop_price", "trailing_amount")}
    errors = []
    for name in (*prices, "trailing_percent"):
        if getattr(change, name) is not None and getattr(order, name) is None:
            errors.append((name, f"order {order.id} has none"))
    if change.stop_price is not None and order.order_type == OrderType.TRAIL:
        errors.append(("stop_price", "follows the market; change trailing_amount or trailing_percent"))
    if errors:
        raise Invalid(errors)
    quantity = order.quantity if change.quantity is None else change.quantity
    _check_increments(details, quantity, prices)
    if quantity < order.filled_quantity:
        raise Invalid([("quantity", f"{order.filled_quantity} are filled already; it cannot be less")])


def has_terms(order: Order, change: OrderChange) -> bool:
    """Does the order have all that the change asks for?"""
    return all(
        (wanted := getattr(change, name)) is None or getattr(order, name) == wanted
        for name in ("quantity", "limit_price", "stop_price", "trailing_amount", "trailing_percent", "tif")
    )


def _check_increments(details: ContractDetails, quantity: Decimal, prices: dict[str, Decimal | None]) -> None:
    symbol, errors = details.contract.symbol, []
    if quantity % details.size_increment:
        errors.append(("quantity", f"{symbol} trades in steps of {details.size_increment:f}"))
    for name, price in prices.items():
        if price is not None and price % details.min_tick:
            errors.append((name, f"{symbol} is priced in steps of {details.min_tick:f}"))
    if errors:
        raise Invalid(errors)
