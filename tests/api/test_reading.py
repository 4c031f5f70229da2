"""What the reading routes answer, field by field."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.api.memory import AAPL, NOW, MemoryBroker, make_execution, make_order
from trademind.domain import Bar, Notice, OrderStatus, Position, SessionState, Snapshot


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_account(client: httpx.AsyncClient) -> None:
    assert await get(client, "/api/portfolio/account") == {
        "account_id": "DU1234567",
        "currency": "USD",
        "source": "paper",
        "as_of": "2026-01-30T15:30:00.250000Z",
        "stale": False,
        "net_liquidation": "250000.00",
        "total_cash_value": "250000.00",
        "buying_power": "1000000.00",
        "available_funds": "250000.00",
        "excess_liquidity": "250000.00",
        "equity_with_loan_value": "250000.00",
        "init_margin_req": "0.00",
        "maint_margin_req": "0.00",
        "gross_position_value": "0.00",
        "unrealized_pnl": None,
        "realized_pnl": "-12.34",
    }


async def test_account_follows_the_book(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    await get(client, "/api/portfolio/account")
    broker.account = replace(broker.account, total_cash_value=Decimal("1.5"))
    assert (await get(client, "/api/portfolio/account"))["total_cash_value"] == "1.50"


async def test_positions(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.positions = (
        Position(
            account_id="DU1234567",
            contract=AAPL,
            quantity=Decimal("-10.50"),
            avg_cost=Decimal("150.1234567"),
            market_price=Decimal("151"),
            market_value=Decimal("-1585.5"),
            unrealized_pnl=None,
            realized_pnl=Decimal(0),
        ),
    )
    body = await get(client, "/api/portfolio/positions")
    assert (body["account_id"], body["source"]) == ("DU1234567", "paper")
    assert body["as_of"].endswith("Z")
    assert body["positions"] == [
        {
            "account_id": "DU1234567",
            "con_id": 265598,
            "symbol": "AAPL",
            "sec_type": "STK",
            "currency": "USD",
            "exchange": "SMART",
            "quantity": "-10.5",
            "avg_cost": "150.1234567",
            "market_price": "151.00",
            "market_value": "-1585.50",
            "unrealized_pnl": None,
            "realized_pnl": "0.00",
        }
    ]


async def test_positions_of_a_lost_session_are_as_of_the_loss(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.session = replace(broker.session, state=SessionState.UPSTREAM_LOST)
    lost = await get(client, "/api/portfolio/positions")
    assert (lost["as_of"], lost["stale"]) == ("2026-01-30T15:30:00.250000Z", True)


async def test_pnl(client: httpx.AsyncClient) -> None:
    assert await get(client, "/api/portfolio/pnl") == {
        "account_id": "DU1234567",
        "source": "paper",
        "as_of": "2026-01-30T15:30:00.250000Z",
        "stale": False,
        "daily_pnl": "12.50",
        "unrealized_pnl": None,
        "realized_pnl": "3.00",
    }


async def test_one_order(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    notice = Notice(time=NOW, ib_code=399, message="held until the market opens")
    broker.orders = [
        make_order(1, commission=Decimal("1"), avg_fill_price=Decimal("150.50"), notices=(notice,))
    ]
    assert await get(client, "/api/orders/order-1") == {
        "id": "order-1",
        "client_order_id": "order-1",
        "perm_id": 1001,
        "ib_order_id": 1,
        "client_id": 1,
        "account_id": "DU1234567",
        "con_id": 265598,
        "symbol": "AAPL",
        "sec_type": "STK",
        "exchange": "SMART",
        "currency": "USD",
        "side": "BUY",
        "quantity": "10",
        "order_type": "LMT",
        "limit_price": "150.50",
        "stop_price": None,
        "trailing_amount": None,
        "trailing_percent": None,
        "tif": "DAY",
        "good_till": None,
        "outside_rth": False,
        "order_ref": "order-1",
        "status": "submitted",
        "filled_quantity": "0",
        "remaining_quantity": "10",
        "avg_fill_price": "150.50",
        "commission": "1.00",
        "created_at": "2026-01-30T15:30:01.250000Z",
        "updated_at": "2026-01-30T15:30:01.250000Z",
        "external": False,
        "group_id": None,
        "parent_id": None,
        "oca_group": None,
        "legs": None,
        "reason": None,
        "notices": [
            {
                "time": "2026-01-30T15:30:00.250000Z",
                "ib_code": 399,
                "message": "held until the market opens",
            }
        ],
    }


async def test_orders_page_by_cursor_even_while_new_ones_come(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.orders = [make_order(number) for number in range(1, 8)]
    seen: list[str] = []
    token: str | None = None
    for _ in range(4):
        params = {"limit": 2} | ({"page_token": token} if token else {})
        body = await get(client, "/api/orders", **params)
        seen += [order["id"] for order in body["orders"]]
        token = body["next_page_token"]
        broker.orders.append(make_order(100 + len(seen)))
        if token is None:
            break
    assert token is None
    assert seen == [f"order-{number}" for number in range(7, 0, -1)]


async def test_orders_made_at_the_same_moment_page_without_loss(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.orders = [make_order(number, created_at=NOW) for number in range(1, 6)]
    first = await get(client, "/api/orders", limit=3)
    second = await get(client, "/api/orders", limit=3, page_token=first["next_page_token"])
    seen = [order["id"] for order in first["orders"] + second["orders"]]
    assert sorted(seen) == [f"order-{number}" for number in range(1, 6)]
    assert second["next_page_token"] is None


async def test_orders_by_status_and_symbol(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.orders = [make_order(1), make_order(2, status=OrderStatus.FILLED)]

    async def ids(**params: Any) -> list[str]:
        return [order["id"] for order in (await get(client, "/api/orders", **params))["orders"]]

    assert await ids() == ["order-2", "order-1"]
    assert await ids(status="working") == ["order-1"]
    assert await ids(status="done") == ["order-2"]
    assert await ids(symbol="aapl") == ["order-2", "order-1"]
    assert await ids(symbol="MSFT") == []


async def test_executions(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.executions = (
        make_execution(1, commission=Decimal("1"), commission_currency="USD", realized_pnl=Decimal("2.5")),
        make_execution(2, order_id="order-2"),
    )
    body = await get(client, "/api/executions")
    assert [execution["exec_id"] for execution in body["executions"]] == ["0001.0002", "0001.0001"]
    assert body["executions"][0]["commission"] is None
    assert body["executions"][1] == {
        "exec_id": "0001.0001",
        "time": "2026-01-30T15:30:01.250000Z",
        "account_id": "DU1234567",
        "order_id": "order-1",
        "perm_id": 1001,
        "ib_order_id": 1,
        "client_id": 1,
        "order_ref": "order-1",
        "con_id": 265598,
        "symbol": "AAPL",
        "sec_type": "STK",
        "currency": "USD",
        "exchange": "ISLAND",
        "side": "BUY",
        "quantity": "5",
        "price": "150.125",
        "commission": "1.00",
        "commission_currency": "USD",
        "realized_pnl": "2.50",
    }
    of_one = await get(client, "/api/executions", order_id="order-2")
    assert [execution["exec_id"] for execution in of_one["executions"]] == ["0001.0002"]
    first = await get(client, "/api/executions", limit=1)
    second = await get(client, "/api/executions", limit=1, page_token=first["next_page_token"])
    assert second["executions"][0]["exec_id"] == "0001.0001"
    assert second["next_page_token"] is None


async def test_quotes_in_the_order_asked_and_never_nan(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.quote = {"bid": 150.1, "ask": float("nan"), "last": float("inf"), "last_time": NOW}
    body = await get(client, "/api/market/quotes", symbols="MSFT, aapl")
    assert [quote["symbol"] for quote in body["quotes"]] == ["MSFT", "AAPL"]
    quote = body["quotes"][1]
    assert (quote["con_id"], quote["bid"], quote["ask"], quote["last"]) == (265598, 150.1, None, None)
    assert (quote["data_type"], quote["stale"]) == ("live", False)
    assert quote["as_of"] == quote["last_time"] == "2026-01-30T15:30:00.250000Z"


async def test_currencies_are_asked_for_at_idealpro(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    await client.get("/api/market/quotes", params={"symbols": "EUR", "sec_type": "CASH"})
    assert (broker.queries[0].exchange, broker.queries[0].sec_type) == ("IDEALPRO", "CASH")


async def test_search(client: httpx.AsyncClient) -> None:
    assert await get(client, "/api/contracts/search", query="AAP") == {
        "contracts": [
            {
                "con_id": 265598,
                "symbol": "AAPL",
                "sec_type": "STK",
                "primary_exchange": "NASDAQ",
                "currency": "USD",
                "description": "AAPL INC",
                "derivative_sec_types": ["OPT"],
            }
        ]
    }


def hourly(count: int, start: datetime) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            time=start + timedelta(hours=hour),
            open=1.0,
            high=float("nan"),
            low=0.5,
            close=1.5,
            volume=None,
            wap=None,
            count=3,
        )
        for hour in range(count)
    )


async def test_bars_default_to_a_day_of_hours(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    broker.bars = hourly(2, NOW.replace(microsecond=0))
    body = await get(client, "/api/market/bars", symbol="aapl")
    (request,) = broker.bar_requests
    assert (request.bar_size, request.duration, request.end) == ("1 hour", "1 D", None)
    assert (body["symbol"], body["bar_size"], body["next_page_token"]) == ("AAPL", "1 hour", None)
    assert body["bars"][0] == {
        "time": "2026-01-30T15:30:00Z",
        "open": 1.0,
        "high": None,
        "low": 0.5,
        "close": 1.5,
        "volume": None,
        "wap": None,
        "count": 3,
        "complete": True,
    }
    assert body["adjusted"] == {"splits": True, "dividends": False}


async def test_bars_from_start_to_end_in_pages(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    midnight = datetime(2026, 1, 28, tzinfo=UTC)
    broker.bars = hourly(72, midnight - timedelta(hours=5))
    asked = {
        "symbol": "AAPL",
        "start": "2026-01-28T00:00:00Z",
        "end": "2026-01-29T19:00:00+01:00",
        "limit": 20,
    }
    first = await get(client, "/api/market/bars", **asked)
    second = await get(client, "/api/market/bars", **asked, page_token=first["next_page_token"])
    third = await get(client, "/api/market/bars", **asked, page_token=second["next_page_token"])
    times = [bar["time"] for page in (first, second, third) for bar in page["bars"]]
    assert third["next_page_token"] is None
    assert times[0] == "2026-01-28T00:00:00Z"
    assert times[-1] == "2026-01-29T17:00:00Z"
    assert len(times) == len(set(times)) == 42
    assert [request.duration for request in broker.bar_requests] == ["1 M"]
    assert all(bar["complete"] for page in (first, second, third) for bar in page["bars"])


async def test_adjusted_prices_are_asked_for_up_to_now(
    client: httpx.AsyncClient, broker: MemoryBroker
) -> None:
    broker.bars = hourly(72, datetime(2026, 1, 28, tzinfo=UTC))
    asked = {
        "symbol": "AAPL",
        "what_to_show": "ADJUSTED_LAST",
        "start": "2026-01-28T20:00:00Z",
        "end": "2026-01-29T20:00:00Z",
        "limit": 20,
    }
    first = await get(client, "/api/market/bars", **asked)
    second = await get(client, "/api/market/bars", **asked, page_token=first["next_page_token"])
    assert (len(first["bars"]), len(second["bars"]), second["next_page_token"]) == (20, 4, None)
    assert first["bars"][0]["time"] == "2026-01-28T20:00:00Z"
    assert first["adjusted"] == {"splits": True, "dividends": True}
    assert [request.end for request in broker.bar_requests] == [None, None]


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.READY])
async def test_readiness_says_what_is_missing(
    client: httpx.AsyncClient, broker: MemoryBroker, state: SessionState
) -> None:
    broker.session = replace(
        broker.session,
        state=state,
        snapshots=(Snapshot("account", True, NOW), Snapshot("positions", False, NOW)),
        last_error="connection refused",
        last_error_at=NOW,
        advice="Start it.",
        next_attempt_at=NOW,
    )
    answer = await client.get("/readyz")
    body = answer.json()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert (body["state"], body["missing"]) == (state.value, ["positions"])
    assert body["snapshots"][1] == {
        "name": "positions",
        "arrived": False,
        "since": "2026-01-30T15:30:00.250000Z",
    }
    assert body["last_error"] == "connection refused"
    assert body["last_error_at"] == body["next_attempt_at"] == "2026-01-30T15:30:00.250000Z"
    assert body["advice"] == "Start it."
    assert body["retry_safe"] is True
    assert "connection refused" in body["detail"]


async def test_health_and_readiness(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    assert (await get(client, "/readyz"))["status"] == "ready"
    broker.session = replace(broker.session, state=SessionState.DISCONNECTED)
    assert (await get(client, "/healthz"))["status"] == "ok"


async def test_connection(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    body = await get(client, "/api/system/connection")
    assert body["broker"] == "paper"
    assert (body["state"], body["ready"], body["server_version"]) == ("ready", True, 178)
    assert (body["host"], body["port"], body["client_id"]) == ("127.0.0.1", 4002, 1)
    assert (body["event_loop"], body["nest_asyncio"]) == ("asyncio", False)
    assert body["farms"] == {"usfarm": "ok"}


async def test_reconnecting_is_asked_for(client: httpx.AsyncClient, broker: MemoryBroker) -> None:
    answer = await client.post("/api/system/reconnect")
    assert (answer.status_code, answer.json()["state"]) == (202, "connecting")
