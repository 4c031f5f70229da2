"""Exercising options: the options go at a price of nothing, their underlying comes or goes at the strike.

At IB an exercise is carried out by the clearing house after the close. Here it happens at once, as two
executions without a commission, so that the account is what it will be on the next morning.
"""

from datetime import datetime
from decimal import Decimal

from trademind.domain import Side
from trademind.gateway.engine import rules
from trademind.gateway.engine.account import PaperAccount
from trademind.gateway.engine.booking import Ids
from trademind.gateway.engine.ledger import ZERO
from trademind.gateway.engine.model import Instrument, MarketQuote, PaperExecution


def processing(cause: str) -> rules.Problem:
    """A request that fails when it is carried out."""
    return 322, f"Error processing request.-'bG' : cause - {cause}"


def check_exercise(
    account: PaperAccount,
    option: Instrument,
    quantity: Decimal,
    market: MarketQuote | None,
    *,
    override: bool,
) -> rules.Problem | None:
    """What forbids exercising; None when nothing does.

    Args:
        market: That of the underlying.
        override: Exercise even what is out of the money.
    """
    held = account.position(option.con_id)
    if option.strike is None or option.underlying is None or option.right not in ("C", "P"):
        return processing("The contract is not an option that can be exercised.")
    if held is None or held.quantity <= 0:
        return processing(f"No unlapsed position exists in this option in account {account.account_id}.")
    if not 0 < quantity <= held.quantity or quantity % 1:
        return processing(f"Exercise quantity {quantity:f} is not within the position of {held.quantity:f}.")
    if market is not None and not override:
        gain = market.last - option.strike if option.right == "C" else option.strike - market.last
        if gain <= 0:
            return processing("Exercise ignored because option is not in-the-money.")
    return None


def exercise(
    account: PaperAccount,
    option: Instrument,
    quantity: Decimal,
    ids: Ids,
    *,
    client_id: int,
    order_id: int,
    now: datetime,
) -> list[PaperExecution] | rules.Problem:
    """Exercise what may be exercised; or a problem, where the account cannot bear what comes of it."""
    underlying, strike = option.underlying, option.strike
    assert underlying is not None
    assert strike is not None
    side = Side.BUY if option.right == "C" else Side.SELL
    shares = quantity * option.multiplier
    problem = account.reserve(underlying, [(side, shares, strike)])
    if problem is not None:
        return problem
    perm_id = ids.perm_id()
    trades = ((option, Side.SELL, quantity, ZERO, None), (underlying, side, shares, strike, strike))
    executions: list[PaperExecution] = []
    for instrument, way, size, price, reserved_at in trades:
        realized = account.book(instrument, way, size, price, ZERO, reserved_at=reserved_at)
        executions.append(
            PaperExecution(
                exec_id=f"{ids.execution_id()}.01.01",
                time=now,
                perm_id=perm_id,
                client_id=client_id,
                order_id=order_id,
                account=account.account_id,
                instrument=instrument,
                side=way,
                quantity=size,
                price=price,
                cumulative_quantity=size,
                avg_price=price,
                exchange=instrument.primary_exchange or instrument.exchange,
                order_ref="",
                commission=ZERO,
                realized_pnl=realized,
            )
        )
    return executions
