"""Account, positions, profit and loss."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from trademind.api.schemas.base import (
    Money,
    Out,
    Price,
    Quantity,
    Stale,
    Time,
    money,
    price,
    quantity,
    time,
)
from trademind.domain import Account, DataSource, PnL, Position, SecType, SessionInfo, SessionState
from trademind.journal import EquityPoint

_HEAD: JsonDict = {
    "account_id": "DU1234567",
    "source": "paper",
    "as_of": "2026-01-30T15:30:00.250000Z",
    "stale": False,
}
_POSITION: JsonDict = {
    "account_id": "DU1234567",
    "con_id": 265598,
    "symbol": "AAPL",
    "sec_type": "STK",
    "currency": "USD",
    "exchange": "SMART",
    "quantity": "10",
    "avg_cost": "150.10",
    "market_price": "151.00",
    "market_value": "1510.00",
    "unrealized_pnl": "9.00",
    "realized_pnl": "0.00",
}


class AccountOut(Out):
    """The account's figures by IB's names, all in `currency`; null where IB has not reported one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_HEAD,
                    "currency": "USD",
                    "net_liquidation": "250000.00",
                    "total_cash_value": "250000.00",
                    "buying_power": "1000000.00",
                    "available_funds": "250000.00",
                    "excess_liquidity": "250000.00",
                    "equity_with_loan_value": "250000.00",
                    "init_margin_req": "0.00",
                    "maint_margin_req": "0.00",
                    "gross_position_value": "0.00",
                    "unrealized_pnl": "0.00",
                    "realized_pnl": "0.00",
                }
            ]
        }
    )

    account_id: str
    currency: str
    source: DataSource
    as_of: Time
    stale: Stale
    net_liquidation: Money | None
    total_cash_value: Money | None
    buying_power: Money | None
    available_funds: Money | None
    excess_liquidity: Money | None
    equity_with_loan_value: Money | None
    init_margin_req: Money | None
    maint_margin_req: Money | None
    gross_position_value: Money | None
    unrealized_pnl: Money | None
    realized_pnl: Money | None

    @classmethod
    def of(cls, account: Account) -> Self:
        return cls(
            account_id=account.account_id,
            currency=account.currency,
            source=account.source,
            as_of=time(account.as_of),
            stale=account.stale,
            net_liquidation=money(account.net_liquidation),
            total_cash_value=money(account.total_cash_value),
            buying_power=money(account.buying_power),
            available_funds=money(account.available_funds),
            excess_liquidity=money(account.excess_liquidity),
            equity_with_loan_value=money(account.equity_with_loan_value),
            init_margin_req=money(account.init_margin_req),
            maint_margin_req=money(account.maint_margin_req),
            gross_position_value=money(account.gross_position_value),
            unrealized_pnl=money(account.unrealized_pnl),
            realized_pnl=money(account.realized_pnl),
        )


class PositionOut(Out):
    """A holding; `quantity` is negative for a short one."""

    account_id: str
    con_id: int
    symbol: str
    sec_type: SecType
    currency: str
    exchange: str
    quantity: Quantity
    avg_cost: Price | None
    market_price: Price | None
    market_value: Money | None
    unrealized_pnl: Money | None
    realized_pnl: Money | None

    @classmethod
    def of(cls, position: Position) -> Self:
        contract = position.contract
        return cls(
            account_id=position.account_id,
            con_id=contract.con_id,
            symbol=contract.symbol,
            sec_type=contract.sec_type,
            currency=contract.currency,
            exchange=contract.exchange,
            quantity=quantity(position.quantity),
            avg_cost=price(position.avg_cost),
            market_price=price(position.market_price),
            market_value=money(position.market_value),
            unrealized_pnl=money(position.unrealized_pnl),
            realized_pnl=money(position.realized_pnl),
        )


class SnapshotOut(Out):
    """What every list of the account's affairs says first: whose, from where, as of when."""

    account_id: str | None
    source: DataSource | None
    as_of: Time
    stale: Stale


class PositionsOut(SnapshotOut):
    model_config = ConfigDict(json_schema_extra={"examples": [{**_HEAD, "positions": [_POSITION]}]})

    positions: list[PositionOut]

    @classmethod
    def of(cls, positions: Iterable[Position], session: SessionInfo, as_of: datetime) -> Self:
        return cls(
            account_id=session.account_id,
            source=session.source,
            as_of=time(as_of),
            stale=session.state is not SessionState.READY,
            positions=[PositionOut.of(position) for position in positions],
        )


class PnLOut(Out):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_HEAD, "daily_pnl": "12.50", "unrealized_pnl": "9.00", "realized_pnl": "3.50"}]
        }
    )

    account_id: str
    source: DataSource
    as_of: Time
    stale: Stale
    daily_pnl: Money | None
    unrealized_pnl: Money | None
    realized_pnl: Money | None

    @classmethod
    def of(cls, pnl: PnL) -> Self:
        return cls(
            account_id=pnl.account_id,
            source=pnl.source,
            as_of=time(pnl.as_of),
            stale=pnl.stale,
            daily_pnl=money(pnl.daily_pnl),
            unrealized_pnl=money(pnl.unrealized_pnl),
            realized_pnl=money(pnl.realized_pnl),
        )


class EquityPointOut(Out):
    """The account's figures at one moment."""

    time: Time
    currency: str
    net_liquidation: Money | None
    total_cash_value: Money | None
    unrealized_pnl: Money | None
    realized_pnl: Money | None

    @classmethod
    def of(cls, point: EquityPoint) -> Self:
        return cls(
            time=time(point.time),
            currency=point.currency,
            net_liquidation=money(point.net_liquidation),
            total_cash_value=money(point.total_cash_value),
            unrealized_pnl=money(point.unrealized_pnl),
            realized_pnl=money(point.realized_pnl),
        )


class HistoryOut(Out):
    account_id: str
    points: list[EquityPointOut] = Field(description="Oldest first.")

    @classmethod
    def of(cls, account_id: str, points: Iterable[EquityPoint]) -> Self:
        return cls(account_id=account_id, points=[EquityPointOut.of(point) for point in points])
