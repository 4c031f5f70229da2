"""From IB's messages to the book: one method for each message that states something about the account."""

import logging
from decimal import Decimal

import ib_async

from trademind.brokers.book import Book
from trademind.brokers.ibkr import convert
from trademind.domain import OrderStatus, Position

log = logging.getLogger(__name__)

BASE_TAGS = frozenset(
    {
        "NetLiquidation",
        "TotalCashValue",
        "BuyingPower",
        "AvailableFunds",
        "ExcessLiquidity",
        "EquityWithLoanValue",
        "InitMarginReq",
        "MaintMarginReq",
        "GrossPositionValue",
    }
)
"""Account values that IB states once, in the account's base currency."""

LEDGER_TAGS = frozenset({"UnrealizedPnL", "RealizedPnL"})
"""Account values that IB states per currency, and for the whole account under the currency BASE."""


class Reports:
    """Enters what IB reports into the book. See `listener.Sink` for when each method is called.

    Args:
        book: Where it goes.
        own_client_id: This program's id at the gateway.
    """

    def __init__(self, book: Book, own_client_id: int) -> None:
        self._book = book
        self._own_client_id = own_client_id
        self.account_id: str | None = None
        """The account that counts; of others nothing is entered."""
        self.pnl_request: int | None = None
        self.on_record: dict[int, tuple[ib_async.Contract, ib_async.Order]] = {}
        """This client's orders as IB last listed them, by order id: what a modification starts from."""
        self.listed_orders: set[int] = set()
        """Perm ids of the orders that were listed since `begin_listing`."""
        self.listed_positions: set[int] = set()
        """Con ids of the positions that were."""

    def begin_listing(self) -> None:
        """The snapshots come in anew."""
        self.begin_listing_orders()
        self.listed_positions = set()

    def begin_listing_orders(self) -> None:
        """Orders are listed anew."""
        self.listed_orders = set()

    def on_open_order(self, contract: ib_async.Contract, order: ib_async.Order) -> None:
        if self._is_ours(order.account):
            self.listed_orders.add(order.permId)
            if order.clientId == self._own_client_id:
                self.on_record[order.orderId] = (contract, order)
            self._book.report_order(convert.to_order_report(contract, order, completed=False))

    def on_completed_order(
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None:
        if not self._is_ours(order.account):
            return
        self.listed_orders.add(order.permId)
        known = self._book.report_order(convert.to_order_report(contract, order, completed=True))
        filled = convert.decimal_or_none(order.filledQuantity) or Decimal(0)
        status = convert.STATUSES.get(state.status, OrderStatus.UNKNOWN)
        known = self._book.report_status(known, status, filled=filled, avg_price=None)
        if state.completedStatus and status is not OrderStatus.FILLED and known.reason is None:
            self._book.give_reason(known, known.status, state.completedStatus)

    def on_order_status(
        self,
        order_id: int,
        client_id: int,
        perm_id: int,
        status: str,
        filled: float,
        avg_price: float,
    ) -> None:
        order = self._book.order_of(client_id, order_id, perm_id)
        if order is None or status not in convert.STATUSES:
            log.debug("status %s of an order that is not in the book (perm id %d)", status, perm_id)
            return
        self._book.report_status(
            order,
            convert.STATUSES[status],
            filled=convert.decimal_or_none(filled) or Decimal(0),
            avg_price=convert.decimal_or_none(avg_price),
        )

    def on_execution(
        self, contract: ib_async.Contract, execution: ib_async.Execution, *, is_live: bool
    ) -> None:
        if self._is_ours(execution.acctNumber):
            self._book.add_execution(convert.to_execution(contract, execution), is_live=is_live)

    def on_commission(self, report: ib_async.CommissionReport) -> None:
        commission = convert.decimal_or_none(report.commission)
        if commission is not None:
            self._book.report_commission(
                report.execId, commission, report.currency, convert.decimal_or_none(report.realizedPNL)
            )

    def on_account_value(self, tag: str, value: str, currency: str, account: str) -> None:
        wanted = tag in BASE_TAGS or (tag in LEDGER_TAGS and currency == "BASE")
        if wanted and account == self.account_id and (number := convert.decimal_or_none(value)) is not None:
            self._book.set_value(tag, number, currency)

    def on_portfolio(self, item: ib_async.PortfolioItem) -> None:
        quantity = convert.decimal_or_none(item.position)
        if item.account == self.account_id and quantity is not None:
            self._book.set_position(
                Position(
                    account_id=item.account,
                    contract=convert.to_contract(item.contract),
                    quantity=quantity,
                    avg_cost=convert.decimal_or_none(item.averageCost),
                    market_price=convert.decimal_or_none(item.marketPrice),
                    market_value=convert.decimal_or_none(item.marketValue),
                    unrealized_pnl=convert.decimal_or_none(item.unrealizedPNL),
                    realized_pnl=convert.decimal_or_none(item.realizedPNL),
                )
            )

    def on_position(
        self, account: str, contract: ib_async.Contract, quantity: float, avg_cost: float
    ) -> None:
        if account == self.account_id:
            self.listed_positions.add(contract.conId)
            held = convert.decimal_or_none(quantity)
            if held is not None:
                self._book.set_holding(convert.to_contract(contract), held, convert.decimal_or_none(avg_cost))

    def on_pnl(self, req_id: int, daily: float, unrealized: float, realized: float) -> None:
        if req_id == self.pnl_request:
            number = convert.decimal_or_none
            self._book.set_pnl(number(daily), number(unrealized), number(realized))

    def _is_ours(self, account: str) -> bool:
        # Before the account is chosen nothing has been asked for, so nothing of an account can come.
        return account in (self.account_id, "")
