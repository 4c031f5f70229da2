"""IB's own decoder reads what the gateway writes, at every version from 157 to 200, to the last field."""

import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.wire import samples
from trademind.gateway.wire import accounts, history, market, messages, orders, reference
from trademind.gateway.wire.ticks import Tick, TickMessage, price_tick, size_tick, string_tick

pytest.importorskip("ibapi", reason="IB's own client is not installed (dependency group `conformance`)")

from ibapi.const import UNSET_DOUBLE, UNSET_INTEGER
from ibapi.decoder import Decoder

VERSIONS = samples.VERSIONS


class Recorder:
    """Stands where ibapi's wrapper does and remembers what the decoder calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(*args: Any) -> None:
            self.calls.append((name, args))

        return record


@pytest.fixture
def read(caplog: pytest.LogCaptureFixture) -> Any:
    def run(message: messages.Message, version: int = 200) -> list[tuple[str, tuple[Any, ...]]]:
        msg_id, *fields = message.encode(version).split(b"\0")[:-1]
        recorder = Recorder()
        decoder = Decoder(recorder, version)
        info = Decoder.msgId2handleInfo[int(msg_id)]
        with caplog.at_level(logging.ERROR, logger="ibapi"):
            if info.processMeth is None:
                decoder.interpret(fields, int(msg_id))
            else:
                left: Iterator[bytes] = iter(fields)
                info.processMeth(decoder, left)
                assert not list(left), "fields that the decoder does not expect"
        assert not caplog.records, caplog.text
        return recorder.calls

    return run


def assert_is_aapl(contract: Any) -> None:
    assert (contract.conId, contract.symbol, contract.secType) == (265598, "AAPL", "STK")
    assert (contract.currency, contract.localSymbol, contract.tradingClass) == ("USD", "AAPL", "NMS")
    assert (contract.strike, contract.right, contract.multiplier) == (0.0, "", "")


@pytest.mark.parametrize("version", VERSIONS)
def test_open_order(read: Any, version: int) -> None:
    ((name, (order_id, contract, order, state)),) = read(samples.OPEN_ORDER, version)

    assert (name, order_id) == ("openOrder", 7)
    assert_is_aapl(contract)
    assert contract.exchange == "SMART"
    assert (order.clientId, order.permId) == (3, 1_426_086_048)
    assert (order.action, order.totalQuantity, order.orderType) == ("SELL", Decimal("12.5"), "STP LMT")
    assert (order.lmtPrice, order.auxPrice, order.tif) == (149.5, 150.0, "GTC")
    assert (order.account, order.orderRef, order.outsideRth) == ("DU1000001", "né;1", True)
    assert (order.whatIf, order.parentId, order.ocaGroup, order.ocaType) == (False, 0, "", 3)
    assert (order.clearingIntent, order.deltaNeutralOrderType, order.adjustedOrderType) == (
        "IB",
        "None",
        "None",
    )
    assert (order.algoStrategy, order.hedgeType, order.conditions) == ("", "", [])
    assert (order.exemptCode, order.dontUseAutoPriceForHedge) == (-1, True)
    assert (order.displaySize, order.scaleInitLevelSize) == (UNSET_INTEGER, UNSET_INTEGER)
    assert (order.duration, order.postToAts) == (UNSET_INTEGER, UNSET_INTEGER)
    assert (order.manualOrderIndicator, order.imbalanceOnly) == (UNSET_INTEGER, False)
    assert (state.status, state.commissionAndFees, state.warningText) == ("PreSubmitted", UNSET_DOUBLE, "")
    assert state.rejectReason == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_what_if(read: Any, version: int) -> None:
    ((_, (_, _, order, state)),) = read(samples.PREVIEW, version)

    assert order.whatIf is True
    assert (state.initMarginBefore, state.initMarginChange, state.initMarginAfter) == ("1", "2", "3")
    assert (state.maintMarginBefore, state.maintMarginChange, state.maintMarginAfter) == ("4", "5", "9")
    assert (state.equityWithLoanBefore, state.equityWithLoanAfter) == ("10", "9")
    assert (state.commissionAndFees, state.commissionAndFeesCurrency) == (1.25, "USD")
    assert state.warningText == "mind the step"
    if version >= 195:
        assert (state.marginCurrency, state.initMarginAfterOutsideRTH) == ("EUR", UNSET_DOUBLE)


@pytest.mark.parametrize("version", VERSIONS)
def test_completed_order(read: Any, version: int) -> None:
    ((name, (contract, order, state)),) = read(samples.COMPLETED_ORDER, version)

    assert name == "completedOrder"
    assert_is_aapl(contract)
    assert (order.permId, order.action, order.filledQuantity) == (1_426_086_048, "SELL", Decimal("2.5"))
    assert (order.orderType, order.lmtPrice, order.auxPrice, order.tif) == ("STP LMT", 149.5, 150.0, "GTC")
    assert (order.account, order.orderRef, order.parentPermId) == ("DU1000001", "né;1", 0)
    assert (order.refFuturesConId, order.autoCancelDate) == (UNSET_INTEGER, "")
    assert (state.status, state.completedStatus) == ("PreSubmitted", "Cancelled by Trader")
    assert state.completedTime.startswith("20261123 ")


@pytest.mark.parametrize("version", VERSIONS)
def test_execution(read: Any, version: int) -> None:
    ((name, (req_id, contract, execution)),) = read(samples.EXECUTION, version)

    assert (name, req_id) == ("execDetails", -1)
    assert_is_aapl(contract)
    zone = " 10:30:05 US/Eastern" if version >= 174 else "  10:30:05"
    assert execution.time == f"20261123{zone}"
    assert (execution.execId, execution.orderId, execution.clientId) == ("0000e0d5.69e02bfb.01.01", 7, 3)
    assert (execution.side, execution.shares, execution.price) == ("SLD", Decimal("2.5"), 149.505)
    assert (execution.cumQty, execution.avgPrice, execution.orderRef) == (Decimal(5), 149.51, "né;1")
    assert (execution.acctNumber, execution.exchange, execution.lastLiquidity) == ("DU1000001", "NASDAQ", 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_contract_details(read: Any, version: int) -> None:
    ((name, (req_id, details)),) = read(samples.CONTRACT_DETAILS, version)

    assert (name, req_id) == ("contractDetails", 9)
    assert_is_aapl(details.contract)
    assert (details.contract.primaryExchange, details.contract.exchange) == ("NASDAQ", "SMART")
    assert (details.minTick, details.longName, details.marketName) == (0.01, "CAFÉ \\ SÖHNE", "NMS")
    assert (details.orderTypes, details.validExchanges) == ("LMT,MKT", "SMART,NASDAQ")
    assert (details.timeZoneId, details.marketRuleIds, details.stockType) == ("US/Eastern", "26,26", "COMMON")
    assert not details.ineligibilityReasonList
    if version >= 164:
        assert (details.minSize, details.sizeIncrement) == (Decimal(1), Decimal("0.5"))


@pytest.mark.parametrize("version", VERSIONS)
def test_symbol_samples(read: Any, version: int) -> None:
    ((_, (req_id, (first, second))),) = read(samples.SYMBOL_SAMPLES, version)

    assert req_id == 9
    assert (first.derivativeSecTypes, second.derivativeSecTypes) == (["OPT", "WAR"], [])
    assert second.contract.description == ("APPLE INC" if version >= 176 else "")


@pytest.mark.parametrize("version", VERSIONS)
def test_error(read: Any, version: int) -> None:
    error = messages.Error(req_id=7, code=201, text="né \\ n", time_millis=5, advanced_reject="{}")

    expected = (7, 5 if version >= 194 else 0, 201, "né \\ n", "{}" if version >= 166 else "")
    assert read(error, version) == [("error", expected)]


@pytest.mark.parametrize("version", [195, 196])
def test_historical_data_and_its_end(read: Any, version: int) -> None:
    calls = read(samples.HISTORICAL_DATA, version)
    bars = [args[1] for name, args in calls if name == "historicalData"]

    assert [bar.date for bar in bars] == ["20261120", "20261123"]
    assert (bars[1].open, bars[1].high, bars[1].low, bars[1].close) == (1.5, 3.0, 1.0, 2.5)
    assert (bars[1].volume, bars[1].wap, bars[1].barCount) == (Decimal(1200), Decimal("2.1"), 17)
    # From 196 on the end is a message of its own.
    assert len(calls) == (3 if version == 195 else 2)
    assert read(history.historical_data_end(9, "a", "b")) == [("historicalDataEnd", (9, "a", "b"))]


def test_historical_update(read: Any) -> None:
    ((name, (req_id, bar)),) = read(history.historical_data_update(9, samples.BARS[0]))

    assert (name, req_id, bar.date, bar.barCount) == ("historicalDataUpdate", 9, "20261120", 17)
    assert (bar.open, bar.high, bar.low, bar.close) == (1.5, 3.0, 1.0, 2.5)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (messages.managed_accounts(["DU1"]), ("managedAccounts", ("DU1",))),
        (messages.next_valid_id(5), ("nextValidId", (5,))),
        (messages.current_time(1_700_000_000), ("currentTime", (1_700_000_000,))),
        (messages.current_time_millis(17), ("currentTimeInMillis", (17,))),
        (messages.option_parameters_end(4), ("securityDefinitionOptionParameterEnd", (4,))),
        (messages.no_soft_dollar_tiers(4), ("softDollarTiers", (4, []))),
        (accounts.family_codes([]), ("familyCodes", ([],))),
        (reference.news_providers([]), ("newsProviders", ([],))),
        (messages.user_info(4, ""), ("userInfo", (4, ""))),
        (accounts.account_value("K", "V", "USD", "DU1"), ("updateAccountValue", ("K", "V", "USD", "DU1"))),
        (accounts.account_time("15:30"), ("updateAccountTime", ("15:30",))),
        (accounts.account_download_end("DU1"), ("accountDownloadEnd", ("DU1",))),
        (accounts.position_end(), ("positionEnd", ())),
        (accounts.position_multi_end(4), ("positionMultiEnd", (4,))),
        (
            accounts.account_summary(4, "DU1", "T", "V", "USD"),
            ("accountSummary", (4, "DU1", "T", "V", "USD")),
        ),
        (accounts.account_summary_end(4), ("accountSummaryEnd", (4,))),
        (
            accounts.account_update_multi(4, "DU1", "M", "K", "V", "USD"),
            ("accountUpdateMulti", (4, "DU1", "M", "K", "V", "USD")),
        ),
        (accounts.account_update_multi_end(4), ("accountUpdateMultiEnd", (4,))),
        (accounts.pnl(4, Decimal("1.5"), Decimal(-2), Decimal(0)), ("pnl", (4, 1.5, -2.0, 0.0))),
        (
            accounts.pnl_single(4, Decimal(10), Decimal("1.5"), None, Decimal(0), Decimal(5)),
            ("pnlSingle", (4, Decimal(10), 1.5, UNSET_DOUBLE, 0.0, 5.0)),
        ),
        (TickMessage(4, size_tick(Tick.VOLUME, Decimal(900))), ("tickSize", (4, 8, Decimal(900)))),
        (TickMessage(4, string_tick(Tick.LAST_TIMESTAMP, "17")), ("tickString", (4, 45, "17"))),
        (
            market.tick_request_parameters(4, Decimal("0.01"), "9c0001", 3),
            ("tickReqParams", (4, 0.01, "9c0001", 3)),
        ),
        (market.snapshot_end(4), ("tickSnapshotEnd", (4,))),
        (market.market_data_type(4, 1), ("marketDataType", (4, 1))),
        (history.head_timestamp(4, "20000103-05:00:00"), ("headTimestamp", (4, "20000103-05:00:00"))),
        (orders.open_order_end(), ("openOrderEnd", ())),
        (orders.completed_orders_end(), ("completedOrdersEnd", ())),
        (orders.executions_end(4), ("execDetailsEnd", (4,))),
    ],
)
def test_plain_messages(read: Any, message: messages.Message, call: tuple[str, tuple[Any, ...]]) -> None:
    assert read(message) == [call]


def test_a_price_brings_its_size(read: Any) -> None:
    price, size = read(TickMessage(4, price_tick(Tick.BID, Decimal("1.5"), Decimal(300))))

    assert (price[0], price[1][:3], price[1][3].canAutoExecute) == ("tickPrice", (4, 1, 1.5), True)
    assert size == ("tickSize", (4, 0, Decimal(300)))


def test_order_status(read: Any) -> None:
    status = orders.OrderStatus(
        order_id=7,
        client_id=3,
        perm_id=11,
        status="Submitted",
        filled=Decimal(1),
        remaining=Decimal(2),
        avg_fill_price=Decimal("3.5"),
        last_fill_price=Decimal("4.5"),
        why_held="trigger",
    )

    assert read(status) == [
        ("orderStatus", (7, "Submitted", Decimal(1), Decimal(2), 3.5, 11, 0, 4.5, 3, "trigger", 0.0))
    ]


def test_commission_report(read: Any) -> None:
    ((name, (report,)),) = read(orders.commission_report("e1", Decimal("1.05"), "USD", None))

    assert name == "commissionAndFeesReport"
    assert (report.execId, report.commissionAndFees, report.currency) == ("e1", 1.05, "USD")
    assert report.realizedPNL == UNSET_DOUBLE


def test_portfolio_and_positions(read: Any) -> None:
    portfolio = accounts.PortfolioValue(
        contract=samples.AAPL,
        position=Decimal(-3),
        market_price=Decimal("1.5"),
        market_value=Decimal("-4.5"),
        average_cost=Decimal("1.25"),
        unrealized_pnl=Decimal("-0.75"),
        realized_pnl=Decimal(2),
        account="DU1",
    )
    position = accounts.PositionMessage(
        account="DU1", contract=samples.AAPL, position=Decimal(-3), average_cost=Decimal("1.25")
    )
    multi = accounts.PositionMessage(
        account="DU1", contract=samples.AAPL, position=Decimal(-3), average_cost=Decimal("1.25"),
        req_id=4, model_code="M",
    )  # fmt: skip

    ((_, (contract, *figures)),) = read(portfolio)
    assert_is_aapl(contract)
    assert figures == [Decimal(-3), 1.5, -4.5, 1.25, -0.75, 2.0, "DU1"]
    ((_, (account, contract, *figures)),) = read(position)
    assert_is_aapl(contract)
    assert (account, *figures) == ("DU1", Decimal(-3), 1.25)
    ((_, (req_id, account, model, contract, *figures)),) = read(multi)
    assert_is_aapl(contract)
    assert (req_id, account, model, *figures) == (4, "DU1", "M", Decimal(-3), 1.25)
