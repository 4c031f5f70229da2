"""Whether the limits let an order pass. Pure: limits, mode and facts in, nothing or a typed refusal out.

Where a limit is set and a figure that it needs is not known, the order is refused: no limit is passed over.
docs/risk.md says of each limit what counts.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal

from trademind.domain import RiskLimits, Side, TradingHours, TradingMode, TradingState
from trademind.domain.orders import plain
from trademind.errors import RiskLimitExceeded, TradingHalted
from trademind.trading.exposure import Candidate, Facts, NotKnown, reference
from trademind.trading.hours import trades


def check(
    orders: Sequence[Candidate],
    limits: RiskLimits,
    state: TradingState,
    facts: Facts,
    *,
    exits: Sequence[Candidate] = (),
) -> bool:
    """Check orders that are placed together, each as if those before it were working.

    Args:
        exits: Attached to the first of the orders: they work once it has filled, and IB lets one of them
            close what it has opened. Those of the other side that are not larger add no position.

    Returns:
        Whether all of them only shrink positions.

    Raises:
        TradingHalted: nothing is traded.
        RiskLimitExceeded: a limit does not let one of them pass.
    """
    check_halted(state)
    shrinks = True
    together = [(order, False) for order in orders]
    together += [(order, _closes(order, orders[0], state)) for order in exits]
    for order, closes in together:
        _check_order(order, limits, facts)
        _check_count(limits, facts)
        if not closes:
            shrinks = _check_position(order, limits, state, facts) and shrinks
        facts = facts.with_order(order)
    return shrinks


def check_change(order: Candidate, limits: RiskLimits, state: TradingState, facts: Facts) -> bool:
    """As `check`, for a working order as a change would make it, which is no further order. `facts` are those
    without it."""
    check_halted(state)
    _check_order(order, limits, facts)
    return _check_position(order, limits, state, facts)


def check_halted(state: TradingState) -> None:
    """Raises `TradingHalted` where trading is halted."""
    if state.mode is TradingMode.HALTED:
        raise TradingHalted(
            f"trading is halted since {state.since:%F %T} UTC{_because(state)}. Nothing was sent; cancels "
            "pass. POST /api/risk/resume or `trademind resume` ends it"
        )


def _because(state: TradingState) -> str:
    return f" ({state.reason})" if state.reason else ""


def _closes(order: Candidate, entry: Candidate, state: TradingState) -> bool:
    """Does an attached order close what its entry has opened, and no more?"""
    is_opposite = order.side is not entry.side and order.size <= entry.size
    # Where positions may only shrink, the entry shrinks one, and what closes it would open another.
    return is_opposite and state.mode is TradingMode.NORMAL


def _check_order(order: Candidate, limits: RiskLimits, facts: Facts) -> None:
    """What an order is by itself: how large, of what, when and at what price."""
    _at_most("max_order_quantity", limits, lambda: order.size)
    _at_most(
        "max_order_notional",
        limits,
        lambda: order.size * abs(order.cost(facts)) * facts.multiplier(order.contract),
    )
    if limits.denied_symbols:
        with _known("denied_symbols", limits):
            symbol = order.contract.symbol
        if symbol in limits.denied_symbols:
            raise _refusal("denied_symbols", f"not {symbol}", symbol)
    if limits.allowed_symbols is not None:
        with _known("allowed_symbols", limits):
            symbol = order.contract.symbol
        if symbol not in limits.allowed_symbols:
            raise _refusal("allowed_symbols", _text(limits.allowed_symbols), symbol)
    if limits.trading_hours is not None:
        with _known("trading_hours", limits):
            _check_hours(order, limits.trading_hours, facts)
    if limits.price_collar is not None and not (order.limit_price is None is order.stop_price):
        with _known("price_collar", limits):
            _check_collar(order, limits.price_collar, facts)


def _check_hours(order: Candidate, wanted: TradingHours, facts: Facts) -> None:
    if wanted is TradingHours.REGULAR and order.outside_rth:
        raise _refusal("trading_hours", wanted, "an order that may fill outside of them (outside_rth)")
    at = f"{order.name} at {facts.now:%F %T} UTC"
    is_tradable = trades(order.details, wanted, facts.now)
    if is_tradable is None:
        raise NotKnown(f"the {wanted} hours of {at}")
    if not is_tradable:
        raise _refusal("trading_hours", wanted, at)


def _check_collar(order: Candidate, collar: Decimal, facts: Facts) -> None:
    """A limit may not be too far on the side that costs: above the market for a buyer, below for a seller. A
    stop that is too far on the one side triggers at once, and on the other protects from nothing."""
    market = reference(facts.quotes.get(order.contract.con_id))
    if market is None:
        raise NotKnown(f"a quote of {order.name}")
    width = abs(market) * collar
    lowest, highest = market - width, market + width
    if (limit := order.limit_price) is not None:
        if order.side is Side.BUY and limit > highest:
            raise _refusal("price_collar", f"a limit of at most {_text(highest)}", _text(limit))
        if order.side is Side.SELL and limit < lowest:
            raise _refusal("price_collar", f"a limit of at least {_text(lowest)}", _text(limit))
    if (stop := order.stop_price) is not None and not lowest <= stop <= highest:
        raise _refusal("price_collar", f"a stop of {_text(lowest)} to {_text(highest)}", _text(stop))


def _check_count(limits: RiskLimits, facts: Facts) -> None:
    _at_most("max_open_orders", limits, lambda: Decimal(facts.open_orders + 1))
    wait = None if facts.free_in is None else max(1, round(facts.free_in + 0.5))
    _at_most("max_orders_per_minute", limits, lambda: Decimal(facts.recent_orders + 1), retry_after=wait)


def _check_position(order: Candidate, limits: RiskLimits, state: TradingState, facts: Facts) -> bool:
    """What the account may come to hold. Returns whether the order only shrinks a position."""
    if not needs_positions(limits, state):
        return False
    name = next((name for name in POSITION_LIMITS if getattr(limits, name) is not None), "mode")
    with _known(name, limits):
        contract = order.contract
    after = facts.with_order(order)
    worst = after.worst(contract, order.side)
    if worst <= 0:
        return True
    if state.mode is TradingMode.REDUCING:
        raise RiskLimitExceeded(
            f"only orders that shrink a position are taken{_because(state)}; with this {order.side} and "
            f"what is working, it could come to {_text(worst)} {contract.symbol}. Nothing was sent",
            limit="mode",
            allowed=state.mode,
            would_be=_text(worst),
        )
    if limits.max_daily_loss is not None:
        with _known("max_daily_loss", limits):
            if facts.daily_pnl is None:
                raise NotKnown("the day's profit and loss")
        if is_loss_reached(limits, facts.daily_pnl):
            raise _refusal("max_daily_loss", _text(limits.max_daily_loss), _text(-facts.daily_pnl))
    _at_most("max_position_quantity", limits, lambda: worst)
    _at_most("max_position_notional", limits, lambda: worst * after.unit_value(contract))
    _at_most("max_gross_exposure", limits, after.gross_exposure)
    return False


POSITION_LIMITS = ("max_daily_loss", "max_position_quantity", "max_position_notional", "max_gross_exposure")
"""What an order passes that only shrinks a position."""


def needs_positions(limits: RiskLimits, state: TradingState) -> bool:
    """Has it to be known what is held and what is working?"""
    is_any_set = any(getattr(limits, name) is not None for name in POSITION_LIMITS)
    return is_any_set or state.mode is TradingMode.REDUCING


def is_loss_reached(limits: RiskLimits, daily_pnl: Decimal | None) -> bool:
    """Is the day's loss, where it is known, as large as it may be?"""
    return limits.max_daily_loss is not None and daily_pnl is not None and daily_pnl <= -limits.max_daily_loss


def _at_most(
    limit: str, limits: RiskLimits, figure: Callable[[], Decimal], *, retry_after: int | None = None
) -> None:
    allowed = getattr(limits, limit)
    if allowed is None:
        return
    with _known(limit, limits):
        would_be = figure()
    if would_be > allowed:
        raise _refusal(limit, _text(allowed), _text(would_be), retry_after=retry_after)


@contextmanager
def _known(limit: str, limits: RiskLimits) -> Iterator[None]:
    """A figure that is not known inside the block is a refusal by `limit`."""
    try:
        yield
    except NotKnown as missing:
        raise RiskLimitExceeded(
            f"{limit} is set, and what it needs is not known: {missing}. Nothing was sent",
            limit=limit,
            allowed=_text(getattr(limits, limit, None)),
            would_be=None,
        ) from None


def _refusal(limit: str, allowed: str, would_be: str, *, retry_after: int | None = None) -> RiskLimitExceeded:
    return RiskLimitExceeded(
        f"{limit} allows {allowed}, and this would be {would_be}. Nothing was sent",
        limit=limit,
        allowed=allowed,
        would_be=would_be,
        retry_after=retry_after,
    )


def _text(value: object) -> str:
    match value:
        case Decimal():
            return f"{plain(value):f}"
        case tuple():
            return ", ".join(value)
        case _:
            return str(value)
