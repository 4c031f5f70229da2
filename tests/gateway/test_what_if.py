"""What-if orders: answered with margin and commission, and not placed."""

from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.conversation import Heard
from tests.gateway.order_desk import LIBRARIES, Desk, OrderClient, open_desk, stands, story


@pytest.fixture
def desk() -> Desk:
    return open_desk()


@pytest.fixture
def client(desk: Desk, library: str, version: int) -> OrderClient:
    return desk.client(library, version)


def preview(heard: Heard) -> tuple[Any, Any]:
    """The order and the state of the one open order."""
    ((_, _, order, state),) = heard.named("openOrder")
    return order, state


@pytest.mark.parametrize(
    ("library", "version"),
    [*LIBRARIES, ("ibapi", 157), ("ibapi", 176), ("ibapi", 194), ("ibapi", 195), ("ib_async", 157)],
)
def test_a_preview(client: OrderClient, library: str) -> None:
    order, state = preview(client.place(3, "BUY", 100, "LMT", lmtPrice=150.05, whatIf=True))

    assert (order.whatIf, order.permId, state.status) == (True, 0, "PreSubmitted")
    assert (order.orderType, order.lmtPrice, order.totalQuantity) == ("LMT", 150.05, 100)
    for figure in ("initMargin", "maintMargin", "equityWithLoan"):
        before, change, after = (
            Decimal(getattr(state, f"{figure}{when}")) for when in ("Before", "Change", "After")
        )
        assert before + change == after
    assert Decimal(state.initMarginBefore) == 0
    assert Decimal(state.equityWithLoanBefore) == 1_000_000
    assert Decimal(state.initMarginAfter) == pytest.approx(Decimal("7502.50"), abs=Decimal(50))
    if library == "ibapi":
        assert (state.commissionAndFees, state.commissionAndFeesCurrency) == (1.0, "USD")
        assert state.minCommissionAndFees <= 1.0 <= state.maxCommissionAndFees
    else:
        assert (state.commission, state.commissionCurrency) == (1.0, "USD")


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_nothing_comes_of_a_preview(client: OrderClient) -> None:
    client.place(3, "BUY", 100, "MKT", whatIf=True)

    core = client.core.exchange
    assert (core.orders(), core.completed_orders(), core.executions()) == ([], [], [])
    assert (core.next_order_id(1), core.journal) == (1, [])
    assert story(client.place(3, "BUY", 1, "LMT", lmtPrice=1.0)) == stands(3, "PreSubmitted", "Submitted")


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_a_preview_counts_what_is_held(client: OrderClient) -> None:
    client.place(1, "BUY", 100, "MKT")

    _, state = preview(client.place(2, "SELL", 100, "MKT", whatIf=True))

    assert float(state.initMarginBefore) > 0
    assert float(state.initMarginAfter) == 0


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_an_order_that_would_be_refused(client: OrderClient) -> None:
    assert story(client.place(1, "BUY", 100, "LMT", lmtPrice=1.001, whatIf=True)) == [("error", 1, 110)]
