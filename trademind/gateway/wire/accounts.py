"""Messages about the account: values, portfolio, positions, summary, profit and loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import UNSET_DOUBLE, Value
from trademind.gateway.wire.messages import Message, Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioValue(Message):
    contract: WireContract
    position: Decimal
    market_price: Decimal
    market_value: Decimal
    average_cost: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal
    account: str

    def fields(self, version: int) -> tuple[Value, ...]:
        contract = self.contract
        return (
            7, 8, contract.con_id, contract.symbol, contract.sec_type, contract.last_trade_date,
            contract.strike, contract.right, contract.multiplier, contract.primary_exchange,
            contract.currency, contract.local_symbol, contract.trading_class, self.position,
            self.market_price, self.market_value, self.average_cost, self.unrealized_pnl,
            self.realized_pnl, self.account,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionMessage(Message):
    """A position; with a request id, in answer to a request for one account and model."""

    account: str
    contract: WireContract
    position: Decimal
    average_cost: Decimal
    req_id: int | None = None
    model_code: str = ""

    def fields(self, version: int) -> tuple[Value, ...]:
        content = (*self.contract.fields(), self.position, self.average_cost)
        if self.req_id is None:
            return (61, 3, self.account, *content)
        return (71, 1, self.req_id, self.account, *content, self.model_code)


def account_value(key: str, value: str, currency: str, account: str) -> Message:
    return Plain(values=(6, 2, key, value, currency, account))


def account_time(clock: str) -> Message:
    """`clock` is the time of day as HH:MM."""
    return Plain(values=(8, 1, clock))


def account_download_end(account: str) -> Message:
    return Plain(values=(54, 1, account))


def position_end() -> Message:
    return Plain(values=(62, 1))


def position_multi_end(req_id: int) -> Message:
    return Plain(values=(72, 1, req_id))


def account_summary(req_id: int, account: str, tag: str, value: str, currency: str) -> Message:
    return Plain(values=(63, 1, req_id, account, tag, value, currency))


def account_summary_end(req_id: int) -> Message:
    return Plain(values=(64, 1, req_id))


def account_update_multi(
    req_id: int, account: str, model_code: str, key: str, value: str, currency: str
) -> Message:
    return Plain(values=(73, 1, req_id, account, model_code, key, value, currency))


def account_update_multi_end(req_id: int) -> Message:
    return Plain(values=(74, 1, req_id))


def pnl(req_id: int, daily: Decimal, unrealized: Decimal, realized: Decimal) -> Message:
    return Plain(values=(94, req_id, daily, unrealized, realized))


def pnl_single(
    req_id: int,
    position: Decimal,
    daily: Decimal | None,
    unrealized: Decimal | None,
    realized: Decimal | None,
    value: Decimal | None,
) -> Message:
    """One position's profit and loss; figures that do not exist, as for no position, are None."""
    figures = (UNSET_DOUBLE if figure is None else figure for figure in (daily, unrealized, realized, value))
    return Plain(values=(95, req_id, position, *figures))


def family_codes(codes: Sequence[tuple[str, str]]) -> Message:
    """Account ids, each with the code of its family."""
    return Plain(values=(78, len(codes), *(field for code in codes for field in code)))
