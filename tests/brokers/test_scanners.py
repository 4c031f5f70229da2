"""Scanners and the beginnings of histories: real brokers at the real paper gateway."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.brokers.stage import Stage, open_stage, round_trip
from tests.gateway.bench import until
from trademind import ContractQuery, IBKRBroker
from trademind.brokers.ibkr.scanners import AT_ONCE, read_parameters
from trademind.domain import ScanRequest, SecType
from trademind.errors import Invalid, NotSubscribed, PacingViolation, Refused, TooManySubscriptions
from trademind.gateway.faults import Delay, Fail, Step
from trademind.gateway.handlers.scanner import FILTERS, LOCATIONS, SCANS

GAINERS = ScanRequest(scan_code="TOP_PERC_GAIN", rows=5)
AAPL = ContractQuery(symbol="AAPL")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as opened:
        yield opened


@pytest.fixture
async def broker(stage: Stage) -> IBKRBroker:
    return await stage.connect()


# Scans


async def test_a_scan_is_answered_and_ended(
    stage: Stage, broker: IBKRBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to fail with ib_async's own end of a scan, which fails and says so in the log."""
    found = await broker.scan(GAINERS)
    assert [row.rank for row in found] == [0, 1, 2, 3, 4]
    assert {row.contract.sec_type for row in found} == {SecType.STOCK}
    assert all(row.contract.con_id and row.contract.symbol for row in found)
    await round_trip(broker)
    assert not stage.session().scanners
    assert len(stage.asked("cancelScannerSubscription")) == 1
    # IB confirms the end by an error, which is no news.
    assert broker.session.notices == ()
    assert [record.getMessage() for record in caplog.records if record.name.startswith("ib_async")] == []


async def test_a_scan_can_be_made_again_and_again(stage: Stage, broker: IBKRBroker) -> None:
    for rows in range(1, 2 * AT_ONCE):
        assert len(await broker.scan(ScanRequest(scan_code="MOST_ACTIVE", rows=rows))) == rows
    await round_trip(broker)
    assert not stage.session().scanners


async def test_filters_and_places_are_told(broker: IBKRBroker) -> None:
    cheap = ScanRequest(scan_code="MOST_ACTIVE", location="STK.NYSE", filters={"priceBelow": "60"})
    found = await broker.scan(cheap)
    assert 0 < len(found) < 50
    for quote in await broker.get_quotes([ContractQuery(con_id=row.contract.con_id) for row in found[:5]]):
        assert quote.last is not None
        assert quote.last < 61
    funds = await broker.scan(
        ScanRequest(scan_code="MOST_ACTIVE", instrument="ETF.EQ.US", location="ETF.EQ.US.MAJOR")
    )
    assert "SPY" in {row.contract.symbol for row in funds}


async def test_a_scan_that_finds_nothing_is_empty(stage: Stage, broker: IBKRBroker) -> None:
    nothing = ScanRequest(scan_code="MOST_ACTIVE", filters={"priceAbove": 10**9})
    assert await broker.scan(nothing) == ()
    # It is also said by an error alone.
    text = "Historical Market Data Service error message:no items retrieved"
    stage.play(Step(do=Fail(162, text), request="reqScannerSubscription"))
    assert await broker.scan(GAINERS) == ()


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        (162, "Historical Market Data Service error message:Scan code is not available", Refused),
        (490, "You must subscribe for additional permissions to run scanner", NotSubscribed),
        (322, "Only 10 simultaneous API scanner subscriptions are allowed", TooManySubscriptions),
    ],
)
async def test_what_ib_says_against_a_scan(
    stage: Stage, broker: IBKRBroker, code: int, text: str, error: type[Refused]
) -> None:
    stage.play(Step(do=Fail(code, text), request="reqScannerSubscription"))
    with pytest.raises(error) as raised:
        await broker.scan(GAINERS)
    assert type(raised.value) is error
    assert raised.value.ib_code == code
    # What was refused there is nothing to cancel of.
    assert not stage.asked("cancelScannerSubscription")


async def test_a_word_about_precision_does_not_end_a_scan(stage: Stage, broker: IBKRBroker) -> None:
    text = "You must subscribe for additional permissions to obtain precise results for scanner"
    stage.play(Step(do=Fail(492, text, instead=False), request="reqScannerSubscription"))
    assert len(await broker.scan(GAINERS)) == 5


async def test_the_same_scan_at_the_same_time_is_one(stage: Stage, broker: IBKRBroker) -> None:
    first, second = await asyncio.gather(broker.scan(GAINERS), broker.scan(GAINERS))
    assert first == second
    assert len(stage.asked("reqScannerSubscription")) == 1


async def test_ten_scans_run_at_once_and_the_others_wait(stage: Stage, broker: IBKRBroker) -> None:
    stage.play(Step(do=Delay(timedelta(seconds=1)), message="scannerData", times=None))
    scans = [
        stage.begin(broker.scan(ScanRequest(scan_code="MOST_ACTIVE", rows=n + 1))) for n in range(AT_ONCE + 3)
    ]
    await until(lambda: stage.has_asked("reqScannerSubscription", AT_ONCE))
    await round_trip(broker)
    assert len(stage.asked("reqScannerSubscription")) == AT_ONCE
    stage.timeline.clear()
    stage.move(2)
    assert [len(await scan) for scan in scans] == [n + 1 for n in range(AT_ONCE + 3)]


async def test_a_scan_that_is_not_answered_is_ended_too(stage: Stage) -> None:
    hasty = await stage.connect(request_timeout=0.3)
    stage.play(Step(do=Delay(timedelta(seconds=60)), message="scannerData"))
    with pytest.raises(Exception, match="no answer"):
        await hasty.scan(GAINERS)
    await until(lambda: stage.asked("cancelScannerSubscription"))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"scan_code": ""}, "scan_code"),
        ({"scan_code": "A\0B"}, "scan_code"),
        ({"instrument": "x" * 65}, "instrument"),
        ({"location": "Zürich"}, "location"),
        ({"rows": 0}, "rows"),
        ({"rows": 51}, "rows"),
        ({"filters": {"price=Above": 1}}, "filters"),
        ({"filters": {"priceAbove": "1;x"}}, "filters"),
        ({"filters": {str(n): "1" for n in range(51)}}, "filters"),
    ],
)
def test_what_no_scan_can_ask_for(fields: dict[str, object], wrong: str) -> None:
    with pytest.raises(Invalid) as raised:
        ScanRequest(**({"scan_code": "MOST_ACTIVE"} | fields))  # type: ignore[arg-type]
    assert [field for field, _ in raised.value.errors] == [wrong]


# What can be scanned for


async def test_the_parameters_are_told_and_asked_for_once(stage: Stage, broker: IBKRBroker) -> None:
    first, second = await asyncio.gather(broker.get_scanner_parameters(), broker.get_scanner_parameters())
    assert first is second is await broker.get_scanner_parameters()
    assert len(stage.asked("reqScannerParameters")) == 1
    assert [each.code for each in first.scan_codes] == list(SCANS)
    assert first.scan_codes[0].name == "Top % Gainers"
    assert [each.type for each in first.instruments] == list(LOCATIONS)
    assert {each.code for each in first.locations} == {*LOCATIONS, *itertools.chain(*LOCATIONS.values())}
    assert first.filters == tuple(FILTERS)


async def test_ibs_own_structure_is_read() -> None:
    """As in IB's document: filters are named by their fields, locations lie within one another."""
    found = await read_parameters(
        """<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse>
        <InstrumentList varName="instrumentList"><Instrument><name>US Stocks</name><type>STK</type>
        <filters>PRICE,VOLUME</filters><secType>STK</secType></Instrument></InstrumentList>
        <LocationTree varName="locationTree"><Location><displayName>US Stocks</displayName>
        <locationCode>STK.US</locationCode><instruments>STK</instruments><LocationTree><Location>
        <displayName>Listed/NASDAQ</displayName><locationCode>STK.US.MAJOR</locationCode>
        <instruments>STK</instruments></Location></LocationTree></Location></LocationTree>
        <ScanTypeList varName="scanTypeList"><ScanType><displayName>Top % Gainers</displayName>
        <scanCode>TOP_PERC_GAIN</scanCode><instruments>STK,STOCK.NA,FUT.US</instruments></ScanType></ScanTypeList>
        <FilterList varName="filterList"><RangeFilter><id>PRICE</id><AbstractField><code>priceAbove</code>
        </AbstractField><AbstractField><code>priceBelow</code></AbstractField></RangeFilter>
        <SimpleFilter><id>HASOPTIONS</id><AbstractField><code>hasOptionsIs</code></AbstractField></SimpleFilter>
        </FilterList></ScanParameterResponse>"""
    )
    assert found.scan_codes[0].instruments == ("STK", "STOCK.NA", "FUT.US")
    assert {each.code: each.name for each in found.locations} == {
        "STK.US": "US Stocks",
        "STK.US.MAJOR": "Listed/NASDAQ",
    }
    assert (found.instruments[0].sec_type, found.instruments[0].filters) == ("STK", ("PRICE", "VOLUME"))
    assert found.filters == ("priceAbove", "priceBelow", "hasOptionsIs")


async def test_a_document_of_ibs_size_does_not_hold_the_loop() -> None:
    scan = (
        "<ScanType><displayName>{0}</displayName><scanCode>S{0}</scanCode>"
        "<instruments>{1}</instruments></ScanType>"
    )
    document = "<R>" + "".join(scan.format(n, ",".join(["STK"] * 300)) for n in range(2000)) + "</R>"
    assert len(document) > 2_000_000
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.get_running_loop().create_task(count())
    assert len((await read_parameters(document)).scan_codes) == 2000
    counter.cancel()
    assert turns > 30


@pytest.mark.parametrize("document", ["", "no document", "<open>"])
async def test_a_document_that_cannot_be_read(document: str) -> None:
    with pytest.raises(Refused):
        await read_parameters(document)


# Beginnings of histories


async def test_the_beginning_of_a_history_is_asked_for_once(stage: Stage, broker: IBKRBroker) -> None:
    first, again = await asyncio.gather(broker.get_head_timestamp(AAPL), broker.get_head_timestamp(AAPL))
    assert first == again == await broker.get_head_timestamp(AAPL, "TRADES")
    assert first.tzinfo is UTC
    assert datetime(1970, 1, 1, tzinfo=UTC) < first < datetime(2026, 1, 1, tzinfo=UTC)
    assert len(stage.asked("reqHeadTimeStamp")) == 1
    assert await broker.get_head_timestamp(AAPL, use_rth=False) == first
    assert len(stage.asked("reqHeadTimeStamp")) == 2


async def test_the_kind_of_data_follows_from_the_instrument(stage: Stage, broker: IBKRBroker) -> None:
    for symbol, sec_type, shown in (("EUR", "CASH", "MIDPOINT"), ("BTC", "CRYPTO", "AGGTRADES")):
        await broker.get_head_timestamp(ContractQuery(symbol=symbol, sec_type=SecType(sec_type)))
        assert shown in stage.asked("reqHeadTimeStamp")[-1]
    with pytest.raises(Invalid):
        await broker.get_head_timestamp(AAPL, "EVERYTHING")
    with pytest.raises(Refused):
        await broker.get_head_timestamp(ContractQuery(symbol="EUR", sec_type=SecType.CASH), "TRADES")


async def test_it_counts_as_a_request_for_history(stage: Stage) -> None:
    broker = await stage.connect(max_requests_per_second=1000, request_timeout=1.0)
    kinds = ("TRADES", "MIDPOINT", "BID", "ASK", "FEE_RATE", "ADJUSTED_LAST")
    queries = [ContractQuery(symbol=symbol) for symbol in ("AAPL", "MSFT", "NVDA", "AMZN", "SPY", "QQQ")]
    asked = [stage.begin(broker.get_head_timestamp(query, kind)) for query in queries for kind in kinds[:5]]
    asked += [
        stage.begin(broker.get_head_timestamp(query, kind, use_rth=False))
        for query in queries
        for kind in kinds[:5]
    ]
    await asyncio.gather(*asked)
    with pytest.raises(PacingViolation):  # the sixty-first in ten minutes
        await broker.get_head_timestamp(AAPL, "ADJUSTED_LAST")
