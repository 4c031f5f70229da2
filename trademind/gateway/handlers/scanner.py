"""Scanners: the instruments of the paper exchange ranked by a figure of their market.

What can be asked for is one table, of which the document of scanner parameters is made. A scan looks at a
few instruments in each step; a subscription is scanned anew every half minute and told when its ranking has
changed, as at IB.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from trademind.domain import SecType
from trademind.gateway import codes
from trademind.gateway.engine.model import Instrument, MarketQuote
from trademind.gateway.handlers.bar_query import Refused, invalid, service_error, unavailable
from trademind.gateway.handlers.contracts import wire_contract
from trademind.gateway.handlers.session_bars import bar_start
from trademind.gateway.session import Session
from trademind.gateway.wire.reference import ScannerData, scanner_parameters
from trademind.gateway.wire.requests.reference import (
    CancelScanner,
    ScannerParametersRequest,
    ScannerRequest,
)

if TYPE_CHECKING:
    from trademind.gateway.gateway import PaperGateway

MAX_ROWS: Final = 50
"""As many as IB sends for one scan."""
MAX_SCANS: Final = 10
"""Subscriptions of one client, as at IB."""
SCANNED_EVERY: Final = timedelta(seconds=30)
LOOKED_AT_PER_STEP: Final = 2
"""Instruments; a few milliseconds of work."""
NO_ITEMS: Final = "Historical Market Data Service query message:no items retrieved"

Test = Callable[[Instrument, MarketQuote], bool]
Rank = Callable[["PaperGateway", Instrument, MarketQuote], Decimal]


@dataclass(slots=True)
class ScannerStream:
    """A scan that is repeated."""

    rank: Rank
    tests: tuple[Test, ...]
    rows: int
    scanned_at: datetime | None = None
    sent: tuple[int, ...] | None = None
    """The con ids sent last, best first."""


def _gain(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return quote.last / quote.close - 1


def _loss(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return 1 - quote.last / quote.close


def _volume(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return quote.volume


def _turnover(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return quote.volume * quote.last


def _hotness(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    """Today's volume against that of a usual day."""
    return quote.volume / instrument.daily_volume


def _price_range(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return (quote.high - quote.low) / quote.close


def _trade_count(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    begin = bar_start(quote.time, "1 day")
    today = gateway.feed.bars(instrument, start=begin, end=quote.time, bar_size="1 day")
    return Decimal(sum(bar.count for bar in today))


def _implied_volatility(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return gateway.statistics.of_day(instrument, quote.time).implied_volatility


def _low_implied_volatility(gateway: "PaperGateway", instrument: Instrument, quote: MarketQuote) -> Decimal:
    return -_implied_volatility(gateway, instrument, quote)


SCANS: Final[Mapping[str, tuple[str, Rank]]] = {
    "TOP_PERC_GAIN": ("Top % Gainers", _gain),
    "TOP_PERC_LOSE": ("Top % Losers", _loss),
    "MOST_ACTIVE": ("Most Active", _volume),
    "MOST_ACTIVE_USD": ("Most Active ($)", _turnover),
    "HOT_BY_VOLUME": ("Hot Contracts by Volume", _hotness),
    "TOP_TRADE_COUNT": ("Top Trade Count", _trade_count),
    "TOP_PRICE_RANGE": ("Top Price Range", _price_range),
    "HIGH_OPT_IMP_VOLAT": ("Highest Option Imp Vol", _implied_volatility),
    "LOW_OPT_IMP_VOLAT": ("Lowest Option Imp Vol", _low_implied_volatility),
}
"""Scan codes: what people call them, and what they rank by, highest first."""

_MAJOR = ("NASDAQ", "NYSE", "ARCA", "BATS", "AMEX")
LOCATIONS: Final[Mapping[str, Mapping[str, tuple[str, tuple[str, ...]]]]] = {
    "STK": {
        "STK.US": ("US Stocks", ()),
        "STK.US.MAJOR": ("Listed/NASDAQ", _MAJOR),
        "STK.NASDAQ": ("NASDAQ", ("NASDAQ",)),
        "STK.NYSE": ("NYSE", ("NYSE",)),
        "STK.ARCA": ("NYSE Arca", ("ARCA",)),
    },
    "ETF.EQ.US": {
        "ETF.EQ.US": ("US Equity ETFs", ()),
        "ETF.EQ.US.MAJOR": ("Listed/NASDAQ", _MAJOR),
    },
}
"""Instruments, and for each its locations: their names, and the listing exchanges (empty: all)."""
_INSTRUMENT_NAMES = {"STK": "US Stocks", "ETF.EQ.US": "US Equity ETFs"}
STOCK_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (), "ALL": (), "STOCK": ("COMMON", "ADR"), "CORP": ("COMMON",), "ADR": ("ADR",), "ETF": ("ETF",),
}  # fmt: skip
"""Stock type filters, and the stock types that pass; empty for all."""
FILTERS: Final[Mapping[str, str]] = {
    "priceAbove": "Price above",
    "priceBelow": "Price below",
    "volumeAbove": "Volume above",
    "avgVolumeAbove": "Average volume above",
    "changePercAbove": "Change (%) above",
    "changePercBelow": "Change (%) below",
}


def _test(name: str, bound: Decimal) -> Test:
    return {
        "priceAbove": lambda _, quote: quote.last >= bound,
        "priceBelow": lambda _, quote: quote.last <= bound,
        "volumeAbove": lambda _, quote: quote.volume >= bound,
        "avgVolumeAbove": lambda instrument, _: instrument.daily_volume >= bound,
        "changePercAbove": lambda _, quote: (quote.last / quote.close - 1) * 100 >= bound,
        "changePercBelow": lambda _, quote: (quote.last / quote.close - 1) * 100 <= bound,
    }[name]


def parameters(gateway: "PaperGateway", session: Session, request: ScannerParametersRequest) -> None:
    session.send(scanner_parameters(parameters_document()))


def parameters_document() -> str:
    """Everything that can be asked for, in the structure of IB's document."""
    root = ElementTree.Element("ScanParameterResponse")
    instruments = ElementTree.SubElement(root, "InstrumentList", varName="instrumentList")
    locations = ElementTree.SubElement(root, "LocationTree", varName="locationTree")
    for kind, places in LOCATIONS.items():
        _element(instruments, "Instrument", name=_INSTRUMENT_NAMES[kind], type=kind, secType="STK",
                 filters=",".join(FILTERS))  # fmt: skip
        top = _element(locations, "Location", displayName=_INSTRUMENT_NAMES[kind], locationCode=kind,
                       instruments=kind, routeExchange="SMART")  # fmt: skip
        tree = ElementTree.SubElement(top, "LocationTree", varName="locationTree")
        for code, (name, _) in places.items():
            _element(tree, "Location", displayName=name, locationCode=code, instruments=kind,
                     routeExchange="SMART")  # fmt: skip
    scans = ElementTree.SubElement(root, "ScanTypeList", varName="scanTypeList")
    for code, (name, _) in SCANS.items():
        _element(scans, "ScanType", displayName=name, scanCode=code, instruments=",".join(LOCATIONS))
    filters = ElementTree.SubElement(root, "FilterList", varName="filterList")
    for name, text in FILTERS.items():
        _element(filters, "RangeFilter", id=name, displayName=text, category="Market")
    ElementTree.indent(root)
    return "<?xml version='1.0' encoding='UTF-8'?>\n" + ElementTree.tostring(root, encoding="unicode")


def _element(parent: ElementTree.Element, tag: str, **texts: str) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, tag)
    for name, text in texts.items():
        ElementTree.SubElement(made, name).text = text
    return made


def subscribe(gateway: "PaperGateway", session: Session, request: ScannerRequest) -> None:
    req_id = request.req_id
    try:
        if req_id in session.scanners or req_id in session.jobs:
            raise invalid("Duplicate ticker id")
        if len(session.scanners) >= MAX_SCANS:
            text = f"Only {MAX_SCANS} simultaneous API scanner subscriptions are allowed"
            raise Refused(codes.PROCESSING, f"Error processing request.-'bQ' : cause - {text}")
        stream = _understand(request)
    except Refused as refused:
        session.error(req_id, refused.code, refused.text)
        return
    session.scanners[req_id] = stream
    session.jobs[req_id] = _scan(gateway, session, req_id, stream)


def _understand(request: ScannerRequest) -> ScannerStream:
    scan = SCANS.get(request.scan_code.strip().upper())
    if scan is None:
        raise unavailable(f"Scan code {request.scan_code or '(none)'} is not available")
    places = LOCATIONS.get(request.instrument.strip().upper())
    if places is None:
        raise unavailable(f"Scanner instrument {request.instrument or '(none)'} is not available")
    place = places.get(request.location.strip().upper())
    if place is None:
        raise unavailable(f"Scanner location {request.location or '(none)'} is not available")
    if request.others:
        raise unavailable(f"Scanner filter {request.others[0]} is not available")
    stock_types = STOCK_TYPES.get(request.stock_types.strip().upper())
    if stock_types is None:
        raise unavailable(f"Scanner stock type filter {request.stock_types} is not available")
    exchanges, only_funds = place[1], request.instrument.strip().upper() != "STK"

    def is_listed(instrument: Instrument, quote: MarketQuote) -> bool:
        return (
            (not exchanges or instrument.primary_exchange in exchanges)
            and (not stock_types or instrument.stock_type in stock_types)
            and (not only_funds or instrument.stock_type == "ETF")
        )

    return ScannerStream(
        rank=scan[1],
        tests=(is_listed, *_tests(request)),
        rows=MAX_ROWS if request.rows <= 0 else min(request.rows, MAX_ROWS),
    )


def _tests(request: ScannerRequest) -> Iterator[Test]:
    given = {
        "priceAbove": request.price_above,
        "priceBelow": request.price_below,
        "volumeAbove": request.volume_above,
    }
    for name, bound in given.items():
        if bound is not None:
            yield _test(name, bound)
    for name, text in request.filters:
        if name not in FILTERS:
            raise unavailable(f"Scanner filter {name} is not available")
        try:
            bound = Decimal(text)
        except InvalidOperation:
            bound = Decimal("nan")
        if not bound.is_finite():
            raise invalid(f"Scanner filter {name}: '{text}' is not a number")
        yield _test(name, bound)


def _scan(gateway: "PaperGateway", session: Session, req_id: int, stream: ScannerStream) -> Iterator[None]:
    """Looks at the whole universe, and sends what it finds if that is news."""
    now = stream.scanned_at = gateway.clock.now()
    found: list[tuple[Decimal, int, Instrument]] = []
    shares = [each for each in gateway.universe.instruments if each.sec_type is SecType.STOCK]
    for number, instrument in enumerate(shares, 1):
        quote = gateway.feed.quote(instrument, now)
        if quote.close > 0 and all(test(instrument, quote) for test in stream.tests):
            found.append((-stream.rank(gateway, instrument, quote), instrument.con_id, instrument))
        if number % LOOKED_AT_PER_STEP == 0:
            yield
    if session.scanners.get(req_id) is not stream:
        return
    best = [instrument for _, _, instrument in sorted(found, key=lambda each: each[:2])[: stream.rows]]
    ranking = tuple(instrument.con_id for instrument in best)
    if ranking == stream.sent:
        return
    stream.sent = ranking
    if not best:
        session.error(req_id, codes.HISTORICAL_QUERY, NO_ITEMS)
    rows = tuple((wire_contract(each), each.trading_class) for each in best)
    session.send(ScannerData(req_id, rows))


def update(gateway: "PaperGateway", session: Session, now: datetime) -> Iterator[None]:
    """Scan anew what is due."""
    for req_id, stream in list(session.scanners.items()):
        if stream.scanned_at is not None and timedelta(0) <= now - stream.scanned_at < SCANNED_EVERY:
            continue
        if req_id not in session.jobs and session.scanners.get(req_id) is stream:
            yield from _scan(gateway, session, req_id, stream)


def cancel(gateway: "PaperGateway", session: Session, request: CancelScanner) -> None:
    req_id = request.number
    if session.scanners.pop(req_id, None) is None:
        text = f"No scanner subscription found for ticker id:{req_id}"
        session.error(req_id, codes.NO_SCANNER_SUBSCRIPTION, text)
        return
    session.jobs.pop(req_id, None)
    text = service_error(f"API scanner subscription cancelled: {req_id}")
    session.error(req_id, codes.HISTORICAL, text)


HANDLERS: Mapping[type, Callable[..., None]] = {
    ScannerParametersRequest: parameters,
    ScannerRequest: subscribe,
    CancelScanner: cancel,
}
