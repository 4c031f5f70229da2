"""Contracts of every type: real ib_async against the real gateway, over TCP."""

from collections.abc import AsyncIterator
from typing import Any

import ib_async
import pytest
from ib_async import CFD, Contract, Crypto, Forex, Future, Index, Option, Stock

from tests.gateway.bench import Bench, open_bench, until

pytestmark = [
    # Python 3.11's asyncio warns of transports that ib_async closes only when they are collected.
    pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning"),
]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened


@pytest.fixture
async def ib(bench: Bench) -> AsyncIterator[ib_async.IB]:
    async with bench.client() as connected:
        yield connected


async def the(ib: ib_async.IB, contract: Contract) -> ib_async.ContractDetails:
    (found,) = await ib.reqContractDetailsAsync(contract)
    return found


async def qualified(ib: ib_async.IB, contract: Contract) -> Contract:
    (found,) = await ib.qualifyContractsAsync(contract)
    assert isinstance(found, Contract)
    return found


@pytest.mark.parametrize(
    ("contract", "con_id"),
    [
        (Stock("AAPL", "SMART", "USD"), 265598),
        (Stock("SAP", "SMART", "EUR"), 14204),
        (Stock("SPY", "SMART", "USD"), 756733),
        (Forex("EURUSD"), 12087792),
        (Forex("USDJPY"), 15016059),
        (Index("SPX", "CBOE", "USD"), 416904),
        (Index("VIX", "CBOE"), 13455763),
        (Crypto("BTC", "PAXOS", "USD"), 479624278),
        (Contract(secType="STK", secIdType="ISIN", secId="US0378331005", exchange="SMART"), 265598),
    ],
    ids=lambda value: getattr(value, "symbol", "") or None,
)
async def test_what_ib_has_a_con_id_for(ib: ib_async.IB, contract: Contract, con_id: int) -> None:
    details = await the(ib, contract)
    assert details.contract is not None
    assert details.contract.conId == con_id
    assert details.marketRuleIds
    assert details.validExchanges.split(",")[0] == details.contract.exchange
    rules = await ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0]))
    assert rules
    assert rules[0].increment == details.minTick


async def test_details_of_a_future(ib: ib_async.IB) -> None:
    found = await ib.reqContractDetailsAsync(Future("ES", exchange="CME", currency="USD"))
    assert len(found) == 5
    first = found[0]
    assert first.contract is not None
    assert (first.contract.multiplier, first.minTick, first.marketRuleIds) == ("50", 0.25, "67")
    assert (first.underConId, first.underSymbol, first.underSecType) == (11004968, "ES", "IND")
    assert (first.lastTradeTime, first.timeZoneId) == ("08:30", "US/Central")
    assert first.realExpirationDate == first.contract.lastTradeDateOrContractMonth
    assert first.contractMonth
    again = await qualified(ib, Future("ES", first.contractMonth, "CME"))
    assert again.conId == first.contract.conId
    by_name = await the(ib, Future(localSymbol=first.contract.localSymbol, exchange="CME"))
    assert by_name.contract == first.contract
    (continuous,) = await ib.reqContractDetailsAsync(ib_async.ContFuture("ES", "CME"))
    assert continuous.contract is not None
    assert (continuous.contract.secType, continuous.contract.conId) == ("CONTFUT", first.contract.conId)


async def test_an_option_chain(ib: ib_async.IB) -> None:
    chains = await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", 265598)
    assert {"SMART", "CBOE"} <= {chain.exchange for chain in chains}
    smart = next(chain for chain in chains if chain.exchange == "SMART")
    assert (smart.tradingClass, smart.multiplier) == ("AAPL", "100")
    expiry, strike = sorted(smart.expirations)[2], sorted(smart.strikes)[20]

    of_expiry = await ib.reqContractDetailsAsync(Option("AAPL", expiry, exchange="SMART"))
    assert len(of_expiry) == 2 * len(smart.strikes)
    call = await the(ib, Option("AAPL", expiry, strike, "C", "SMART"))
    assert call.contract is not None
    assert (call.underConId, call.underSymbol, call.contract.multiplier) == (265598, "AAPL", "100")
    assert call.contract.localSymbol.startswith(f"AAPL  {expiry[2:]}C")
    by_id = await the(ib, Contract(conId=call.contract.conId))
    assert by_id.contract == call.contract


async def test_a_chain_at_one_exchange_and_none_at_all(bench: Bench, ib: ib_async.IB) -> None:
    (only,) = await ib.reqSecDefOptParamsAsync("AAPL", "CBOE", "STK", 265598)
    assert only.exchange == "CBOE"
    assert await ib.reqSecDefOptParamsAsync("BTC", "", "CRYPTO", 479624278) == []
    assert {chain.tradingClass for chain in await ib.reqSecDefOptParamsAsync("SPX", "", "IND", 416904)} == {
        "SPX",
        "SPXW",
    }


async def test_market_data_of_an_option_and_a_future(ib: ib_async.IB) -> None:
    (chain,) = await ib.reqSecDefOptParamsAsync("AAPL", "SMART", "STK", 265598)
    price = await snapshot(ib, await qualified(ib, Stock("AAPL", "SMART", "USD")))
    strike = min(chain.strikes, key=lambda each: abs(each - price.last))
    expiry = sorted(chain.expirations)[-1]
    call, put = [
        await snapshot(ib, await qualified(ib, Option("AAPL", expiry, strike, right, "SMART")))
        for right in ("C", "P")
    ]
    assert 0 < call.bid <= call.last <= call.ask < price.last
    assert call.last - put.last == pytest.approx(price.last - strike, abs=0.1 * strike)
    (es,) = (await ib.reqContractDetailsAsync(Future("ES", exchange="CME")))[:1]
    assert es.contract is not None
    future = await snapshot(ib, es.contract)
    spx = await snapshot(ib, await qualified(ib, Index("SPX", "CBOE")))
    assert future.last == pytest.approx(spx.last, rel=0.02)
    assert future.last % 0.25 == 0


async def snapshot(ib: ib_async.IB, contract: Contract) -> ib_async.Ticker:
    (ticker,) = await ib.reqTickersAsync(contract)
    return ticker


async def test_history_of_an_option(ib: ib_async.IB) -> None:
    (chain,) = await ib.reqSecDefOptParamsAsync("SPY", "SMART", "STK", 756733)
    strikes = sorted(chain.strikes)
    option = await qualified(
        ib, Option("SPY", sorted(chain.expirations)[-1], strikes[len(strikes) // 2], "C", "SMART")
    )
    bars = await ib.reqHistoricalDataAsync(
        option, endDateTime="", durationStr="2 D", barSizeSetting="1 hour", whatToShow="TRADES", useRTH=True
    )
    assert len(bars) > 5
    assert all(bar.low <= bar.close <= bar.high for bar in bars)


async def test_a_spread_has_a_market(ib: ib_async.IB) -> None:
    spread = await a_spread(ib)
    ticker = ib.reqMktData(spread)
    await until(lambda: ticker.bid == ticker.bid and ticker.ask == ticker.ask)
    assert ticker.bid <= ticker.ask


async def a_spread(ib: ib_async.IB) -> ib_async.Bag:
    (chain,) = await ib.reqSecDefOptParamsAsync("SPY", "SMART", "STK", 756733)
    strikes, expiry = sorted(chain.strikes), sorted(chain.expirations)[-1]
    middle = len(strikes) // 2
    legs = [
        await qualified(ib, Option("SPY", expiry, strikes[middle + index], "C", "SMART")) for index in (0, 5)
    ]
    return ib_async.Bag(
        symbol="SPY",
        exchange="SMART",
        currency="USD",
        comboLegs=[
            ib_async.ComboLeg(conId=leg.conId, ratio=1, action=action, exchange="SMART")
            for leg, action in zip(legs, ("BUY", "SELL"), strict=True)
        ],
    )


# What cannot be told


async def test_an_ambiguous_contract_has_several_details_and_no_market_data(
    bench: Bench, ib: ib_async.IB
) -> None:
    several = await ib.reqContractDetailsAsync(Stock("SAP", "SMART", ""))
    assert {each.contract.currency for each in several if each.contract} == {"EUR", "USD"}

    ib.client.reqMktData(900, Stock("SAP", "SMART", ""), "", False, False, [])
    ib.client.reqMktData(901, Future("ES", exchange="CME"), "", False, False, [])
    await until(lambda: len([error for error in bench.errors if error[1] == 200]) == 2)

    assert [error[:3] for error in bench.errors] == [
        (900, 200, "The contract description specified for SAP is ambiguous."),
        (
            901,
            200,
            "The contract description specified for ES is ambiguous; you must specify the multiplier or "
            "trading class.",
        ),
    ]


@pytest.mark.parametrize(
    "contract",
    [
        Stock("AAPL", "IBIS", "USD"),
        Stock("AAPL", "SMART", "EUR"),
        Option("AAPL", "19990101", 200, "C", "SMART"),
        Future("ES", "199912", "CME"),
        Future("ES", exchange="NYMEX"),
        CFD("NOSUCH"),
        Contract(secType="STK", secIdType="CUSIP", secId="037833100"),
        Contract(conId=2_147_483_647),
    ],
)
async def test_what_does_not_exist(bench: Bench, ib: ib_async.IB, contract: Any) -> None:
    assert await ib.reqContractDetailsAsync(contract) == []
    assert bench.errors[-1][1:3] == (200, "No security definition has been found for the request")


async def test_a_con_id_that_contradicts_the_rest(bench: Bench, ib: ib_async.IB) -> None:
    ib.client.reqMktData(900, Contract(conId=265598, symbol="MSFT", exchange="SMART"), "", False, False, [])
    await until(lambda: bool(bench.errors))
    assert bench.errors[-1][:3] == (
        900,
        478,
        "Parameters in request conflicts with contract parameters received by contract id: "
        "requested symbol MSFT, in contract AAPL;",
    )


async def test_symbols_with_their_derivatives(ib: ib_async.IB) -> None:
    found = await ib.reqMatchingSymbolsAsync("AAPL")
    assert found
    first = found[0]
    assert first.contract is not None
    assert (first.contract.conId, first.derivativeSecTypes) == (265598, ["CFD", "OPT", "BAG"])


async def test_exchanges(ib: ib_async.IB) -> None:
    components = await ib.reqSmartComponentsAsync("9c0001")
    assert {"NYSE": "N", "ARCA": "P", "NASDAQ": "Q"}.items() <= {
        each.exchange: each.exchangeLetter for each in components
    }.items()
    assert len({each.bitNumber for each in components}) == len(components)
    depth = await ib.reqMktDepthExchangesAsync()
    assert ("ARCA", "STK", 4) in [(each.exchange, each.secType, each.aggGroup) for each in depth]
