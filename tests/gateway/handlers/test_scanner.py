"""Scanners by two client libraries: parameters, rankings, filters, updates, refusals."""

import re
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import ib_async.objects
import pytest
from ibapi.scanner import ScannerSubscription
from ibapi.tag_value import TagValue

from tests.gateway.conversation import LIBRARIES, Heard, LibraryClient, make_core
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.handlers import scanner

FIELDS = {"instrument": "STK", "locationCode": "STK.US.MAJOR", "scanCode": "TOP_PERC_GAIN"}


def ask(
    client: LibraryClient, req_id: int = 7, filters: dict[str, str] | None = None, **fields: Any
) -> Heard:
    made: Any = ScannerSubscription() if client.library == "ibapi" else ib_async.objects.ScannerSubscription()
    for name, value in {**FIELDS, **fields}.items():
        setattr(made, name, value)
    options = [TagValue(name, value) for name, value in (filters or {}).items()]
    if client.library == "ib_async":
        options = [ib_async.TagValue(each.tag, each.value) for each in options]
        return client.ask("reqScannerSubscription", req_id, made, [], options)
    return client.ask("reqScannerSubscription", req_id, made, [], options)


def rows(heard: Heard) -> list[int]:
    """Con ids in the order in which they come; ranks are asserted to be that order."""
    assert heard.errors() == []
    found = heard.named("scannerData")
    assert [args[1] for args in found] == list(range(len(found)))
    assert len(heard.named("scannerDataEnd")) == 1
    return [args[2].contract.conId for args in found]


def quotes(client: LibraryClient) -> dict[int, tuple[Instrument, MarketQuote]]:
    core = client.core
    return {
        each.con_id: (each, core.feed.quote(each, core.clock.now())) for each in core.universe.instruments
    }


@pytest.fixture
def client() -> LibraryClient:
    return LibraryClient(make_core())


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_the_best_come_first(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)

    found = rows(ask(client, numberOfRows=10))

    market = quotes(client)
    gains = [market[con_id][1].last / market[con_id][1].close for con_id in found]
    assert gains == sorted(gains, reverse=True)
    assert len(found) == 10
    shares = [quote for each, quote in market.values() if each.sec_type == "STK"]
    assert gains[0] == max(quote.last / quote.close for quote in shares)


@pytest.mark.parametrize("code", scanner.SCANS)
def test_every_scan(client: LibraryClient, code: str) -> None:
    found = rows(ask(client, scanCode=code))

    assert len(found) == len(set(found)) == 50


def test_a_scan_and_its_opposite(client: LibraryClient) -> None:
    gain, lose = (
        rows(ask(client, number, scanCode=code, numberOfRows=1))
        for number, code in enumerate(("TOP_PERC_GAIN", "TOP_PERC_LOSE"))
    )

    market = quotes(client)
    (best,), (worst,) = gain, lose
    assert market[best][1].last / market[best][1].close > market[worst][1].last / market[worst][1].close


@pytest.mark.parametrize(
    ("fields", "filters", "check"),
    [
        ({"abovePrice": 100, "belowPrice": 200}, {}, lambda i, q: 100 <= q.last <= 200),
        ({}, {"priceAbove": "100", "priceBelow": "200"}, lambda i, q: 100 <= q.last <= 200),
        ({"aboveVolume": 1_000_000}, {}, lambda i, q: q.volume >= 1_000_000),
        ({}, {"avgVolumeAbove": "20000000"}, lambda i, q: i.daily_volume >= 20_000_000),
        ({}, {"changePercAbove": "0.1"}, lambda i, q: q.last / q.close >= 1),
        ({"stockTypeFilter": "CORP"}, {}, lambda i, q: i.stock_type == "COMMON"),
        ({"locationCode": "STK.NYSE"}, {}, lambda i, q: i.primary_exchange == "NYSE"),
        ({"instrument": "ETF.EQ.US", "locationCode": "ETF.EQ.US"}, {}, lambda i, q: i.stock_type == "ETF"),
    ],
)
@pytest.mark.parametrize("library", ["ibapi", "ib_async"])
def test_filters(library: str, fields: dict[str, Any], filters: dict[str, str], check: Any) -> None:
    client = LibraryClient(make_core(), library, 178)

    found = rows(ask(client, filters=filters, **fields))

    market = quotes(client)
    assert 0 < len(found) <= 50
    assert all(check(*market[con_id]) for con_id in found)


def test_nothing_found(client: LibraryClient) -> None:
    heard = ask(client, abovePrice=1e9)

    assert heard.errors() == [(7, 165)]
    assert len(heard.named("scannerDataEnd")) == 1


@pytest.mark.parametrize(
    ("fields", "filters", "code"),
    [
        ({"scanCode": "NONSENSE"}, {}, 162),
        ({"instrument": "BOND"}, {}, 162),
        ({"locationCode": "STK.MARS"}, {}, 162),
        ({"marketCapAbove": 1e9}, {}, 162),
        ({"stockTypeFilter": "REIT"}, {}, 162),
        ({}, {"phaseOfTheMoon": "1"}, 162),
        ({}, {"priceAbove": "much"}, 321),
    ],
)
def test_refusals(client: LibraryClient, fields: dict[str, Any], filters: dict[str, str], code: int) -> None:
    heard = ask(client, filters=filters, **fields)

    assert heard.errors() == [(7, code)]
    assert len(heard) == 1


def test_no_more_than_ten_scans(client: LibraryClient) -> None:
    for number in range(10):
        rows(ask(client, number, numberOfRows=1))

    assert ask(client, 10).errors() == [(10, 322)]
    assert ask(client, 5).errors() == [(5, 321)]
    assert client.ask("cancelScannerSubscription", 5).errors() == [(5, 162)]
    assert rows(ask(client, 10))


def test_a_ranking_that_has_changed_is_told(client: LibraryClient) -> None:
    before = rows(ask(client, numberOfRows=20))
    heard = Heard()
    for _ in range(30):
        for _ in client.core.pump_steps(client.core.clock.advance(timedelta(seconds=10))):  # type: ignore[attr-defined]
            pass
        heard += client.hear()

    ends = len(heard.named("scannerDataEnd"))
    assert 1 <= ends <= 10
    assert [args[2].contract.conId for args in heard.named("scannerData")][-20:] != before


def test_cancelling(client: LibraryClient) -> None:
    ask(client)

    first, second = (client.ask("cancelScannerSubscription", 7) for _ in range(2))

    assert (first.errors(), second.errors()) == ([(7, 162)], [(7, 365)])
    for _ in client.core.pump_steps(client.core.clock.advance(timedelta(minutes=5))):  # type: ignore[attr-defined]
        pass
    assert client.hear().named("scannerData") == []


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_the_parameters_are_what_is_served(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)

    ((document,),) = client.ask("reqScannerParameters").named("scannerParameters")

    # Without its declaration, which a text that is no longer bytes must not have.
    root = ElementTree.fromstring(re.sub(r"^<\?.*\?>", "", document))
    assert root.tag == "ScanParameterResponse"
    codes = [each.text for each in root.findall("./ScanTypeList/ScanType/scanCode")]
    assert codes == list(scanner.SCANS)
    places = root.findall("./LocationTree/Location/LocationTree/Location")
    assert len(places) == 7


@pytest.mark.parametrize("kind", scanner.LOCATIONS)
def test_every_location(client: LibraryClient, kind: str) -> None:
    for number, location in enumerate(scanner.LOCATIONS[kind]):
        heard = ask(client, number, instrument=kind, locationCode=location, numberOfRows=3)
        assert heard.named("scannerDataEnd"), location
