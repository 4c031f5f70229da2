"""Orders and facts for the tests of the limits."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trademind.domain import (
    Contract,
    ContractDetails,
    DataType,
    Position,
    Quote,
    RiskLimits,
    SecType,
    Side,
    TradingMode,
    TradingState,
)
from trademind.trading.exposure import Candidate, Facts, Line

NOW = datetime(2026, 4, 15, 14, 0, tzinfo=UTC)
"""10:00 in New York."""
NORMAL = TradingState(mode=TradingMode.NORMAL, since=NOW)
REDUCING = TradingState(mode=TradingMode.REDUCING, since=NOW, reason="the day's loss")
HALTED = TradingState(mode=TradingMode.HALTED, since=NOW, reason="something is odd")


def contract(symbol: str = "AAPL", **terms: Any) -> Contract:
    sound: dict[str, Any] = {"sec_type": SecType.STOCK, "exchange": "SMART", "currency": "USD"}
    return Contract(con_id=sum(map(ord, symbol)), symbol=symbol, **(sound | terms))


AAPL = contract()
MSFT = contract("MSFT")


def details(of: Contract = AAPL, **terms: Any) -> ContractDetails:
    sound: dict[str, Any] = {
        "long_name": "",
        "min_tick": Decimal("0.01"),
        "size_increment": Decimal(1),
        "time_zone": "US/Eastern",
        "liquid_hours": "20260415:0930-20260415:1600",
        "trading_hours": "20260415:0400-20260415:2000",
    }
    return ContractDetails(contract=of, as_of=NOW, **(sound | terms))


def buy(quantity: Any = 10, of: Contract = AAPL, **terms: Any) -> Candidate:
    """An order: a limit, a stop or both where prices are given, otherwise at the market."""
    prices: dict[str, Any] = {
        name: Decimal(terms.pop(name)) for name in ("limit_price", "stop_price") if name in terms
    }
    size = Decimal(quantity)
    sound: dict[str, Any] = {
        "name": of.symbol,
        "side": Side.BUY,
        "size": size,
        "quantity": size,
        "order_type": "LMT" if "limit_price" in prices else "STP" if prices else "MKT",
        "known": details(of),
    }
    return Candidate(**(sound | prices | terms))


def sell(quantity: Any = 10, of: Contract = AAPL, **terms: Any) -> Candidate:
    return buy(quantity, of, side=Side.SELL, **terms)


def held(quantity: Any, of: Contract = AAPL, price: Any = 100) -> Position:
    return Position(
        account_id="DU1",
        contract=of,
        quantity=Decimal(quantity),
        avg_cost=None,
        market_price=None if price is None else Decimal(price),
        market_value=None,
        unrealized_pnl=None,
        realized_pnl=None,
    )


def working(side: str, quantity: Any, of: Contract = AAPL, price: Any = 100) -> Line:
    return Line(
        contract=of,
        side=Side(side),
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
    )


def quote(of: Contract = AAPL, bid: Any = 99.0, ask: Any = 101.0, **terms: Any) -> Quote:
    return Quote(contract=of, as_of=NOW, data_type=DataType.LIVE, bid=bid, ask=ask, **terms)


def facts(**terms: Any) -> Facts:
    """An account in dollars that holds nothing, and a market of Apple at 99 to 101."""
    sound: dict[str, Any] = {"now": NOW, "currency": "USD", "quotes": {AAPL.con_id: quote()}}
    return Facts(**(sound | terms))


def limits(**terms: Any) -> RiskLimits:
    return RiskLimits(**terms)
