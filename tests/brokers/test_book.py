"""The book: what IB repeats, reorders and contradicts becomes one account of what happened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trademind.brokers.book import Book, OrderReport
from trademind.clock import ManualClock
from trademind.domain import (
    Contract,
    DataSource,
    Execution,
    Order,
    OrderStatus,
    Position,
    SecType,
    Side,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
AAPL = Contract(con_id=265598, symbol="AAPL", sec_type=SecType.STOCK, exchange="SMART", currency="USD")


def book() -> Book:
    book = Book(ManualClock(NOW), own_client_id=1)
    book.open_account("DU1", DataSource.PAPER)
    return book


def report(**changes: object) -> OrderReport:
    terms = OrderReport(
        perm_id=77,
        ib_order_id=5,
        client_id=1,
        account_id="DU1",
        contract=AAPL,
        side=Side.BUY,
        quantity=Decimal(100),
        order_type="LMT",
        limit_price=Decimal("10.00"),
        stop_price=None,
        tif="DAY",
        outside_rth=False,
        order_ref="key-1",
    )
    return replace(terms, **changes)  # type: ignore[arg-type]


def fill(number: int, quantity: int, price: str = "10.00", **changes: object) -> Execution:
    execution = Execution(
        exec_id=f"0000e0d5.69e02bfb.{number:02d}.01",
        time=NOW,
        account_id="DU1",
        contract=AAPL,
        side=Side.BUY,
        quantity=Decimal(quantity),
        price=Decimal(price),
        exchange="NASDAQ",
        perm_id=77,
        ib_order_id=5,
        client_id=1,
        order_ref="key-1",
    )
    return replace(execution, **changes)  # type: ignore[arg-type]


def working(book: Book) -> Order:
    order = book.report_order(report())
    return book.report_status(order, OrderStatus.SUBMITTED, filled=Decimal(0), avg_price=None)


def test_an_order_of_ours_is_known_by_its_key_and_another_by_its_perm_id() -> None:
    the_book = book()
    assert the_book.report_order(report()).id == "key-1"
    foreign = the_book.report_order(report(perm_id=78, client_id=9, ib_order_id=5, order_ref="key-9"))
    assert (foreign.id, foreign.external, foreign.client_order_id) == ("ib-78", True, None)


def test_the_same_reference_twice_never_merges_two_orders() -> None:
    the_book = book()
    first = the_book.report_order(report())
    second = the_book.report_order(report(perm_id=78, ib_order_id=6))
    assert first.id != second.id
    assert second.id == "ib-78"


def test_a_reused_order_id_does_not_cross_over() -> None:
    """ib-facts 8: after a reconnect order ids may restart; the perm id tells the orders apart."""
    the_book = book()
    old = working(the_book)
    new = the_book.report_order(report(perm_id=99, ib_order_id=5, order_ref="key-2"))
    assert new.id == "key-2"
    assert the_book.order(old.id) == old


def test_fills_decide_and_late_status_reports_do_not_undo_them() -> None:
    """ib-facts 13: Filled, then a late Submitted."""
    the_book = book()
    order = working(the_book)
    the_book.add_execution(fill(1, 40))
    partly = the_book.order(order.id)
    assert partly is not None
    assert (partly.status, partly.remaining_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal(60))
    the_book.add_execution(fill(2, 60, "11.00"))
    full = the_book.order(order.id)
    assert full is not None
    assert (full.status, full.avg_fill_price) == (OrderStatus.FILLED, Decimal("10.60"))
    for late in (OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL, OrderStatus.CANCELED):
        the_book.report_status(full, late, filled=Decimal(0), avg_price=None)
    assert the_book.order(order.id) == full


def test_a_fill_that_crossed_the_cancel_wins() -> None:
    the_book = book()
    order = working(the_book)
    the_book.report_status(order, OrderStatus.CANCELED, filled=Decimal(0), avg_price=None)
    the_book.add_execution(fill(1, 100))
    filled = the_book.order(order.id)
    assert filled is not None
    assert filled.status is OrderStatus.FILLED


def test_the_same_fill_counts_once_and_a_correction_replaces_it() -> None:
    the_book = book()
    order = working(the_book)
    the_book.add_execution(fill(1, 40))
    the_book.add_execution(fill(1, 40))
    the_book.add_execution(fill(1, 50, exec_id="0000e0d5.69e02bfb.01.02"))
    corrected = the_book.order(order.id)
    assert corrected is not None
    assert corrected.filled_quantity == 50
    assert len(the_book.executions()) == 1


def test_a_commission_is_unknown_until_reported_even_when_its_report_comes_first() -> None:
    """ib-facts 11: ib_async's 0.0 until then, and its dropping of early reports."""
    the_book = book()
    order = working(the_book)
    the_book.add_execution(fill(1, 40))
    the_book.report_commission("0000e0d5.69e02bfb.02.01", Decimal("1.10"), "USD", None)
    the_book.add_execution(fill(2, 60))
    assert (before := the_book.order(order.id)) is not None
    assert before.commission is None
    the_book.report_commission("0000e0d5.69e02bfb.01.01", Decimal("1.00"), "USD", Decimal("5"))
    assert (after := the_book.order(order.id)) is not None
    assert after.commission == Decimal("2.10")
    assert {e.realized_pnl for e in the_book.executions()} == {None, Decimal(5)}


def test_what_was_sent_and_not_acknowledged_is_unknown_after_a_drop_and_then_settled() -> None:
    """ib-facts 7."""
    the_book = book()
    pending = replace(working(book()), id="key-1", perm_id=None, status=OrderStatus.PENDING_SUBMIT)
    the_book.add_order(pending)
    the_book.add_order(
        replace(pending, id="key-2", client_order_id="key-2", order_ref="key-2", ib_order_id=6)
    )
    the_book.connection_lost()
    assert {o.status for o in the_book.orders()} == {OrderStatus.UNKNOWN}
    found = the_book.report_order(report())
    the_book.report_status(found, OrderStatus.SUBMITTED, filled=Decimal(0), avg_price=None)
    the_book.synchronised({77}, is_final=True)
    assert {o.id: o.status for o in the_book.orders()} == {
        "key-1": OrderStatus.SUBMITTED,
        "key-2": OrderStatus.NEVER_SENT,
    }


def test_a_working_order_that_ib_no_longer_lists_is_unknown() -> None:
    the_book = book()
    order = working(the_book)
    the_book.synchronised(set(), is_final=True)
    assert (now := the_book.order(order.id)) is not None
    assert now.status is OrderStatus.UNKNOWN


def test_what_may_still_be_on_its_way_is_not_called_never_sent() -> None:
    the_book = book()
    the_book.add_order(replace(working(book()), id="k", perm_id=None, status=OrderStatus.UNKNOWN))
    the_book.synchronised(set(), is_final=False)
    assert (order := the_book.order("k")) is not None
    assert order.status is OrderStatus.UNKNOWN


def test_ib_is_believed_over_what_was_taken_for_never_sent() -> None:
    the_book = book()
    the_book.add_order(replace(working(book()), id="key-1", perm_id=None, status=OrderStatus.UNKNOWN))
    the_book.synchronised(set(), is_final=True)
    order = the_book.report_order(report())
    the_book.report_status(order, OrderStatus.SUBMITTED, filled=Decimal(0), avg_price=None)
    the_book.add_execution(fill(1, 100))
    assert (filled := the_book.order("key-1")) is not None
    assert (filled.status, filled.reason) == (OrderStatus.FILLED, None)


def test_a_day_order_of_an_earlier_day_that_is_not_listed_has_expired() -> None:
    clock = ManualClock(NOW)
    the_book = Book(clock, own_client_id=1)
    order = working(the_book)
    clock.advance(timedelta(days=1))
    the_book.synchronised(set(), is_final=True)
    assert (now := the_book.order(order.id)) is not None
    assert now.status is OrderStatus.EXPIRED


def test_a_commission_is_none_again_while_a_new_fill_has_no_report() -> None:
    the_book = book()
    order = working(the_book)
    the_book.add_execution(fill(1, 40))
    the_book.report_commission(fill(1, 40).exec_id, Decimal(1), "USD", None)
    the_book.add_execution(fill(2, 40))
    assert (now := the_book.order(order.id)) is not None
    assert now.commission is None


def test_an_older_revision_of_a_fill_does_not_undo_its_correction() -> None:
    the_book = book()
    working(the_book)
    the_book.add_execution(fill(1, 50, exec_id="a.b.01.02"))
    the_book.add_execution(fill(1, 40, exec_id="a.b.01.01"))
    assert [e.quantity for e in the_book.executions()] == [Decimal(50)]


def test_a_quantity_that_ib_has_cleared_is_kept() -> None:
    the_book = book()
    order = working(the_book)
    the_book.add_execution(fill(1, 40))
    the_book.report_status(order, OrderStatus.CANCELED, filled=Decimal(40), avg_price=None)
    again = the_book.report_order(report(quantity=None, client_id=None, ib_order_id=None))
    assert (again.status, again.quantity) == (OrderStatus.CANCELED, Decimal(100))


def test_the_fills_say_whose_completed_order_it_was() -> None:
    the_book = book()
    the_book.add_execution(fill(1, 100, client_id=9, perm_id=500))
    order = the_book.report_order(report(perm_id=500, client_id=None, ib_order_id=None))
    assert (order.external, order.client_id, order.client_order_id) == (True, 9, None)


def test_a_perm_id_that_comes_back_for_another_contract_is_another_order() -> None:
    the_book = book()
    first = working(the_book)
    other = replace(AAPL, con_id=272093, symbol="MSFT")
    second = the_book.report_order(report(contract=other, ib_order_id=9, order_ref="key-2"))
    assert second.id == "key-2"
    assert the_book.order(first.id) == first


def test_commissions_of_other_accounts_do_not_pile_up() -> None:
    the_book = book()
    for number in range(3000):
        the_book.report_commission(f"x.{number}.01", Decimal(1), "USD", None)
    assert len(the_book._early_commissions) == 1000


def test_unknown_figures_are_none_and_a_new_account_starts_unknown() -> None:
    the_book = book()
    assert the_book.account().net_liquidation is None
    the_book.set_value("NetLiquidation", Decimal("5.5"), "USD")
    assert (the_book.account().net_liquidation, the_book.account().currency) == (Decimal("5.5"), "USD")
    the_book.open_account("DU1", DataSource.PAPER)
    assert the_book.account().net_liquidation is None


def test_positions_close_at_zero_and_when_a_full_list_leaves_them_out() -> None:
    the_book = book()
    holding = Position(
        account_id="DU1",
        contract=AAPL,
        quantity=Decimal(10),
        avg_cost=Decimal(9),
        market_price=Decimal(10),
        market_value=Decimal(100),
        unrealized_pnl=Decimal(10),
        realized_pnl=Decimal(0),
    )
    the_book.set_position(holding)
    the_book.set_holding(AAPL, Decimal(12), Decimal(9))
    assert the_book.positions()[0].market_value is None, "reckoned for another quantity"
    the_book.keep_positions({AAPL.con_id})
    assert len(the_book.positions()) == 1
    the_book.keep_positions(set())
    assert the_book.positions() == ()
    the_book.set_position(holding)
    the_book.set_position(replace(holding, quantity=Decimal(0)))
    assert the_book.positions() == ()


@given(st.permutations(range(12)))
def test_no_order_of_reports_changes_the_end(order_of_messages: list[int]) -> None:
    """Statuses, fills and commissions of one filled order, in any order: the end is the same."""
    the_book = book()
    messages: list[Callable[[], object]] = [
        *(lambda n=n: the_book.add_execution(fill(n, 25)) for n in range(4)),
        *(
            lambda n=n: the_book.report_commission(fill(n, 25).exec_id, Decimal("0.25"), "USD", None)
            for n in range(4)
        ),
        *(
            lambda s=s, f=f: the_book.report_status(
                the_book.report_order(report()), s, filled=Decimal(f), avg_price=Decimal(10)
            )
            for s, f in (
                (OrderStatus.SUBMITTED, 0),
                (OrderStatus.SUBMITTED, 50),
                (OrderStatus.PENDING_CANCEL, 75),
                (OrderStatus.FILLED, 100),
            )
        ),
    ]
    for index in order_of_messages:
        messages[index]()
    end = the_book.order("key-1")
    assert end is not None
    assert (end.status, end.filled_quantity, end.remaining_quantity, end.commission) == (
        OrderStatus.FILLED,
        Decimal(100),
        Decimal(0),
        Decimal("1.00"),
    )


def test_notices_are_bounded() -> None:
    the_book = book()
    order = working(the_book)
    for number in range(100):
        order = the_book.note(order, 399, f"message {number}")
    assert len(order.notices) == 20
    assert order.notices[-1].message == "message 99"


@pytest.mark.parametrize("status", list(OrderStatus))
def test_every_status_has_its_row(status: OrderStatus) -> None:
    from trademind.domain.orders import TRANSITIONS

    assert status in TRANSITIONS
