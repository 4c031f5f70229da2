"""Whatever is asked for and whatever fills: no limit is ever exceeded by what was let pass."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.trading.making_risk import AAPL, MSFT, NORMAL, REDUCING, buy, facts, held, limits, quote
from trademind.domain import Contract, Position, Side
from trademind.errors import RiskLimitExceeded
from trademind.trading.exposure import Candidate, Facts, Line
from trademind.trading.limits import check

CONTRACTS = (AAPL, MSFT)
PRICE = Decimal(100)
"""Of both, all the time: what changes here are the holdings."""

sizes = st.integers(1, 20)
orders = st.builds(
    lambda side, quantity, of, limit: buy(
        quantity, of, side=side, **({"limit_price": limit} if limit else {})
    ),
    st.sampled_from(Side),
    sizes,
    st.sampled_from(CONTRACTS),
    st.none() | st.integers(80, 120),
)
lines = st.builds(
    lambda side, quantity, of: Line(contract=of, side=side, quantity=Decimal(quantity), price=PRICE),
    st.sampled_from(Side),
    sizes,
    st.sampled_from(CONTRACTS),
)
holdings = st.tuples(st.integers(-20, 20), st.integers(-20, 20))
amounts = st.none() | st.integers(1, 5000)
bounds = st.fixed_dictionaries(
    {
        "max_order_quantity": st.none() | sizes,
        "max_position_quantity": st.none() | st.integers(1, 60),
        "max_position_notional": amounts,
        "max_gross_exposure": amounts,
        "max_open_orders": st.none() | st.integers(1, 8),
    }
)


def begin(holding: tuple[int, int], working: list[Line]) -> Facts:
    return facts(
        positions=tuple(held(size, of) for size, of in zip(holding, CONTRACTS, strict=True) if size),
        lines=tuple(working),
        open_orders=len(working),
        quotes={of.con_id: quote(of, bid=100.0, ask=100.0) for of in CONTRACTS},
    )


def filled(at: Facts, line: Line, share: float) -> Facts:
    """A part of a working order, or all of it, has filled."""
    size = Decimal(max(1, round(int(line.quantity) * share)))
    now = next((p for p in at.positions if p.contract == line.contract), held(0, line.contract))
    others = tuple(p for p in at.positions if p.contract != line.contract)
    position = replace(now, quantity=now.quantity + line.side.sign * size)
    rest = replace(line, quantity=line.quantity - size)
    working = list(at.lines)
    working[working.index(line)] = rest
    return replace(at, positions=(*others, position), lines=tuple(o for o in working if o.quantity))


def value(positions: tuple[Position, ...]) -> Decimal:
    return sum((abs(p.quantity) * PRICE for p in positions), Decimal(0))


def size(at: Facts, of: Contract) -> Decimal:
    return sum((p.quantity for p in at.positions if p.contract == of), Decimal(0))


@given(
    holding=holdings,
    working=st.lists(lines, max_size=4),
    bound=bounds,
    asked=st.lists(orders, max_size=8),
    data=st.data(),
)
def test_no_order_that_passes_leads_above_a_limit(
    holding: tuple[int, int],
    working: list[Line],
    bound: dict[str, Any],
    asked: list[Candidate],
    data: st.DataObject,
) -> None:
    """Orders pass or are refused, and in between any that are working fill, in any order, in part or whole.
    At no time is anything larger than its limit, or than it could have become without what has passed."""
    held_to = limits(**bound)
    now = begin(holding, working)
    largest = {of: now.largest(of) for of in CONTRACTS}
    exposure = now.gross_exposure()
    for order in [*asked, None]:
        if order is not None:
            try:
                check([order], held_to, NORMAL, now)
            except RiskLimitExceeded:
                continue
            now = now.with_order(order)
            if held_to.max_order_quantity is not None:
                assert order.size <= held_to.max_order_quantity
            if held_to.max_open_orders is not None:
                assert now.open_orders <= held_to.max_open_orders
        while now.lines and (order is None or data.draw(st.booleans())):
            line = data.draw(st.sampled_from(now.lines))
            now = filled(now, line, data.draw(st.sampled_from((0.3, 1.0))))
            for of in CONTRACTS:
                position = abs(size(now, of))
                if held_to.max_position_quantity is not None:
                    assert position <= max(held_to.max_position_quantity, largest[of])
                if held_to.max_position_notional is not None:
                    assert position * PRICE <= max(held_to.max_position_notional, largest[of] * PRICE)
            if held_to.max_gross_exposure is not None:
                assert value(now.positions) <= max(held_to.max_gross_exposure, exposure)


@given(holding=holdings, asked=st.lists(orders, max_size=8), data=st.data())
def test_where_positions_may_only_shrink_none_grows_or_turns(
    holding: tuple[int, int], asked: list[Candidate], data: st.DataObject
) -> None:
    now = begin(holding, [])
    before = {of: size(now, of) for of in CONTRACTS}
    for order in [*asked, None]:
        if order is not None:
            try:
                check([order], limits(), REDUCING, now)
            except RiskLimitExceeded:
                continue
            now = now.with_order(order)
        while now.lines and (order is None or data.draw(st.booleans())):
            now = filled(now, data.draw(st.sampled_from(now.lines)), data.draw(st.sampled_from((0.3, 1.0))))
            for of, was in before.items():
                assert size(now, of) * was >= 0
                assert abs(size(now, of)) <= abs(was)
