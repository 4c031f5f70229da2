"""Several accounts in one login, as ib_async and IB's own client see them."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Any

import ib_async
import pytest
from ib_async import MarketOrder

from tests.gateway.bench import Bench, open_bench, until

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]

FIRST, SECOND = "DUTM00001", "DUTM00002"
CASH = {FIRST: Decimal(100_000), SECOND: Decimal(50_000)}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench(accounts=CASH) as opened:
        yield opened


@pytest.fixture
async def ib(bench: Bench) -> AsyncIterator[ib_async.IB]:
    async with bench.client() as connected:
        yield connected


async def buy(
    ib: ib_async.IB, account: str, quantity: float, contract: ib_async.Contract | None = None
) -> ib_async.Trade:
    contract = contract or ib_async.Stock("AAPL", "SMART", "USD")
    trade = ib.placeOrder(contract, MarketOrder("BUY", quantity, account=account))
    await until(trade.isDone)
    return trade


async def summary(ib: ib_async.IB, account: str = "") -> dict[tuple[str, str, str], str]:
    return {
        (each.account, each.tag, each.currency): each.value for each in await ib.accountSummaryAsync(account)
    }


async def test_both_are_managed_and_have_their_own_money(ib: ib_async.IB) -> None:
    assert ib.managedAccounts() == [FIRST, SECOND]
    values = await summary(ib)
    for account, cash in CASH.items():
        assert Decimal(values[account, "NetLiquidation", "USD"]) == cash
        assert Decimal(values[account, "BuyingPower", "USD"]) == 2 * cash


async def test_an_order_goes_to_the_account_it_names(ib: ib_async.IB) -> None:
    trade = await buy(ib, SECOND, 10)
    assert trade.orderStatus.status == "Filled"
    (fill,) = trade.fills
    assert fill.execution.acctNumber == SECOND
    await until(ib.positions)
    [position] = ib.positions()
    assert (position.account, position.position) == (SECOND, 10)
    assert ib.positions(FIRST) == []


async def test_an_order_has_to_name_one_of_them(ib: ib_async.IB, bench: Bench) -> None:
    await buy(ib, "", 10)
    await buy(ib, "DU9", 10)
    assert [code for _, code, _ in bench.errors] == [435, 201]
    assert ib.positions() == []


async def test_account_updates_are_of_one_account(ib: ib_async.IB, bench: Bench) -> None:
    notices: list[int] = []
    ib.errorEvent += lambda req_id, code, text, contract: notices.append(code)
    await ib.reqAccountUpdatesAsync(FIRST)
    await buy(ib, SECOND, 10)
    await until(ib.positions)
    assert ib.portfolio() == []
    await ib.reqAccountUpdatesAsync(SECOND)
    assert 2100 in notices  # the first account's have ended by that
    [item] = ib.portfolio()
    assert (item.account, item.position) == (SECOND, 10)


@pytest.mark.parametrize("account", ["", "All", "DU9"])
async def test_account_updates_need_an_account(ib: ib_async.IB, bench: Bench, account: str) -> None:
    ib.client.reqAccountUpdates(True, account)
    await until(lambda: bench.errors)
    assert [(req_id, code) for req_id, code, _ in bench.errors] == [(-1, 321)]


async def test_updates_of_all_accounts_at_once(ib: ib_async.IB) -> None:
    await ib.reqAccountUpdatesMultiAsync("", "")
    values = {(each.account, each.tag, each.currency): each.value for each in ib.accountValues()}
    for account, cash in CASH.items():
        assert Decimal(values[account, "CashBalance", "USD"]) == cash
        assert Decimal(values[account, "CashBalance", "BASE"]) == cash


async def test_profit_and_loss_of_one_and_of_all(ib: ib_async.IB, bench: Bench) -> None:
    await buy(ib, SECOND, 10)
    con_id = 265598
    of = {account: ib.reqPnL(account) for account in (FIRST, SECOND, "All")}
    single = {account: ib.reqPnLSingle(account, "", con_id) for account in (FIRST, SECOND)}
    await until(lambda: all(each.dailyPnL == each.dailyPnL for each in of.values()))  # not NaN any more
    await until(lambda: single[SECOND].position == 10)
    assert of[FIRST].dailyPnL == 0
    assert of[SECOND].dailyPnL == of["All"].dailyPnL < 0  # the spread and the commission
    assert single[FIRST].position == 0


async def test_profit_and_loss_needs_an_account(ib: ib_async.IB, bench: Bench) -> None:
    ib.reqPnL("")
    await until(lambda: bench.errors)
    assert bench.errors[0][1] == 321


async def test_positions_by_account(ib: ib_async.IB, bench: Bench) -> None:
    await buy(ib, FIRST, 1)
    await buy(ib, SECOND, 2)
    heard: list[tuple[int, str, float]] = []
    ended: list[int] = []
    wrapper: Any = ib.wrapper
    wrapper.positionMulti = lambda req_id, account, model, contract, position, cost: heard.append(
        (req_id, account, position)
    )
    wrapper.positionMultiEnd = ended.append
    for req_id, account in ((9001, SECOND), (9002, "All")):
        ib.client.reqPositionsMulti(req_id, account, "")
    await until(lambda: len(ended) == 2)
    assert heard == [(9001, SECOND, 2.0), (9002, FIRST, 1.0), (9002, SECOND, 2.0)]


async def test_a_third_summary_is_one_too_many(ib: ib_async.IB, bench: Bench) -> None:
    for req_id in (9001, 9002, 9003):
        ib.client.reqAccountSummary(req_id, "All", "NetLiquidation")
    await until(lambda: bench.errors)
    [(req_id, code, text)] = bench.errors
    assert (req_id, code) == (9003, 322)
    assert "Maximum number of account summary requests exceeded" in text
    ib.client.cancelAccountSummary(9001)
    ib.client.reqAccountSummary(9004, "All", "NetLiquidation")
    assert await ib.reqCurrentTimeAsync() == bench.clock.now()
    assert len(bench.errors) == 1


async def test_cancels_of_what_there_is_not(ib: ib_async.IB, bench: Bench) -> None:
    client: Any = ib.client
    for cancel in (
        client.cancelPnL,
        client.cancelPnLSingle,
        client.cancelAccountSummary,
        client.cancelPositionsMulti,
        client.cancelAccountUpdatesMulti,
    ):
        cancel(77)
    await until(lambda: len(bench.errors) == 5)
    assert [code for _, code, _ in bench.errors] == [10185, 10186, 300, 300, 300]


async def test_bought_currency_is_a_balance(ib: ib_async.IB, bench: Bench) -> None:
    trade = await buy(ib, FIRST, 20_000, ib_async.Forex("EURUSD"))
    (fill,) = trade.fills
    price = Decimal(str(fill.execution.price))
    values = await summary(ib)
    assert Decimal(values[FIRST, "CashBalance", "EUR"]) == 20_000
    assert Decimal(values[FIRST, "CashBalance", "USD"]) == 100_000 - 20_000 * price - 2
    rate = Decimal(values[FIRST, "ExchangeRate", "EUR"])
    assert abs(rate - price) < Decimal("0.001")
    total = Decimal(values[FIRST, "CashBalance", "USD"]) + 20_000 * rate
    assert Decimal(values[FIRST, "TotalCashBalance", "BASE"]) == total
    assert Decimal(values[FIRST, "NetLiquidation", "USD"]) == total
    assert Decimal(values[FIRST, "NetLiquidationByCurrency", "EUR"]) == 20_000
    [position] = ib.positions()  # the virtual one
    assert (position.contract.localSymbol, position.position) == ("EUR.USD", 20_000)


async def test_the_ledger_by_currency(ib: ib_async.IB) -> None:
    await buy(ib, FIRST, 1000, ib_async.Forex("EURUSD"))
    heard: dict[int, set[tuple[str, str]]] = {}
    ended: list[int] = []

    def note(req_id: int, account: str, tag: str, value: str, currency: str) -> None:
        heard.setdefault(req_id, set()).add((tag, currency))

    wrapper: Any = ib.wrapper
    wrapper.accountSummary, wrapper.accountSummaryEnd = note, ended.append
    ib.client.cancelAccountSummary(1)
    for req_id, tags in ((9001, "$LEDGER"), (9002, "$LEDGER:EUR,NetLiquidation"), (9003, "$LEDGER:ALL")):
        ib.client.reqAccountSummary(req_id, FIRST, tags)
        await until(partial(ended.__contains__, req_id))
        ib.client.cancelAccountSummary(req_id)
    assert {currency for _, currency in heard[9001]} == {"BASE"}
    assert {currency for tag, currency in heard[9002] if tag != "NetLiquidation"} == {"EUR"}
    assert ("NetLiquidation", "USD") in heard[9002]
    assert {currency for _, currency in heard[9003]} == {"BASE", "USD", "EUR"}
    for tag in ("CashBalance", "ExchangeRate", "StockMarketValue", "OptionMarketValue", "FuturesPNL"):
        assert {(tag, "USD"), (tag, "EUR"), (tag, "BASE")} <= heard[9003]


async def test_family_codes(ib: ib_async.IB) -> None:
    codes: list[list[ib_async.FamilyCode]] = []
    wrapper: Any = ib.wrapper
    wrapper.familyCodes = codes.append
    ib.client.reqFamilyCodes()
    await until(lambda: codes)
    assert [(each.accountID, each.familyCodeStr) for each in codes[0]] == [(FIRST, ""), (SECOND, "")]


async def test_ibs_own_client_trades_for_the_second_account(bench: Bench) -> None:
    pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")
    from tests.gateway.test_with_ibapi import aapl, connected, order

    async with connected(bench) as app:
        assert (await asyncio.to_thread(app.wait, "managedAccounts")) == (f"{FIRST},{SECOND}",)
        made = order("BUY", 10)
        made.account = SECOND
        app.placeOrder(1, aapl(), made)
        (_, _, execution) = await asyncio.to_thread(app.wait, "execDetails")
        assert execution.acctNumber == SECOND
        app.reqPositionsMulti(5, SECOND, "")
        held = await asyncio.to_thread(app.wait, "positionMulti")
        assert (held[0], held[1], held[4]) == (5, SECOND, Decimal(10))
        app.reqAccountSummary(6, "All", "$LEDGER:USD")
        balances = {}
        for account in (FIRST, SECOND):
            wanted = (6, account, "CashBalance")
            _, _, _, value, currency = await asyncio.to_thread(
                app.wait, "accountSummary", partial(_starts_with, wanted)
            )
            balances[account, currency] = Decimal(value)
        assert balances[FIRST, "USD"] == CASH[FIRST]
        assert 0 < balances[SECOND, "USD"] < CASH[SECOND]


def _starts_with(wanted: tuple[Any, ...], args: tuple[Any, ...]) -> bool:
    return args[: len(wanted)] == wanted
