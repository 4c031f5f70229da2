"""Requests for what is not one market: news, scanners, fundamentals, corporate calendars."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trademind.gateway.wire.contracts import WireContract
from trademind.gateway.wire.fields import FieldReader, is_unset
from trademind.gateway.wire.requests.spec import Bare, Number, RequestSpec, bare, number
from trademind.gateway.wire.versions import WSH_CALENDAR


class NewsProvidersRequest(Bare):
    __slots__ = ()


class ScannerParametersRequest(Bare):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class NewsBulletinsRequest:
    all_messages: bool
    """Those of the day, too, not only new ones."""


class CancelNewsBulletins(Bare):
    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerRequest:
    req_id: int
    rows: int
    """-1 where it is left open."""
    instrument: str
    location: str
    scan_code: str
    price_above: Decimal | None
    price_below: Decimal | None
    volume_above: Decimal | None
    stock_types: str
    others: tuple[str, ...]
    """The names of further filters that are set."""
    filters: tuple[tuple[str, str], ...]
    """Filter options: names and values."""


class CancelScanner(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FundamentalDataRequest:
    req_id: int
    contract: WireContract
    report: str


class CancelFundamentalData(Number):
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class NewsArticleRequest:
    req_id: int
    provider: str
    article_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalNewsRequest:
    req_id: int
    con_id: int
    providers: tuple[str, ...]
    start: str
    end: str
    most: int


class WshMetaDataRequest(Number):
    __slots__ = ()


class CancelWshMetaData(Number):
    __slots__ = ()


class WshEventDataRequest(Number):
    """Its filters come after the request id, and make no difference."""

    __slots__ = ()


class CancelWshEventData(Number):
    __slots__ = ()


def _news_bulletins(reader: FieldReader, version: int) -> NewsBulletinsRequest:
    reader.skip()
    return NewsBulletinsRequest(reader.flag())


_UNUSED_FILTERS = (
    "marketCapAbove", "marketCapBelow", "moodyRatingAbove", "moodyRatingBelow", "spRatingAbove",
    "spRatingBelow", "maturityDateAbove", "maturityDateBelow", "couponRateAbove", "couponRateBelow",
    "excludeConvertible", "averageOptionVolumeAbove", "scannerSettingPairs",
)  # fmt: skip


def _scanner(reader: FieldReader, version: int) -> ScannerRequest:
    req_id, rows = reader.integer(), reader.integer(-1)
    instrument, location, scan_code = (reader.text() for _ in range(3))
    price_above, price_below, volume_above = (reader.number() for _ in range(3))
    others = tuple(name for name in _UNUSED_FILTERS if not _is_open(reader.text()))
    return ScannerRequest(
        req_id=req_id,
        rows=rows,
        instrument=instrument,
        location=location,
        scan_code=scan_code,
        price_above=price_above,
        price_below=price_below,
        volume_above=volume_above,
        stock_types=reader.text(),
        others=others,
        filters=_tag_values(reader.text()),
    )


def _is_open(field: str) -> bool:
    """Whether a filter's field leaves it open, in the ways of all clients."""
    return is_unset(field.strip()) or field.strip().lower() in ("0", "0.0", "false")


def _tag_values(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (each.partition("=") for each in text.split(";") if each.strip())
    return tuple((name.strip(), value.strip()) for name, _, value in pairs)


def _fundamental_data(reader: FieldReader, version: int) -> FundamentalDataRequest:
    reader.skip()
    req_id = reader.integer()
    contract = WireContract(
        con_id=reader.integer(),
        symbol=reader.text(),
        sec_type=reader.text(),
        exchange=reader.text(),
        primary_exchange=reader.text(),
        currency=reader.text(),
        local_symbol=reader.text(),
    )
    return FundamentalDataRequest(req_id, contract, reader.text())


def _news_article(reader: FieldReader, version: int) -> NewsArticleRequest:
    return NewsArticleRequest(reader.integer(), reader.text(), reader.text())


def _historical_news(reader: FieldReader, version: int) -> HistoricalNewsRequest:
    return HistoricalNewsRequest(
        req_id=reader.integer(),
        con_id=reader.integer(),
        providers=tuple(filter(None, reader.text().split("+"))),
        start=reader.text(),
        end=reader.text(),
        most=reader.integer(),
    )


REQUESTS: Mapping[int, RequestSpec] = {
    12: RequestSpec("reqNewsBulletins", None, _news_bulletins),
    13: RequestSpec("cancelNewsBulletins", None, bare(CancelNewsBulletins)),
    22: RequestSpec("reqScannerSubscription", 1, _scanner),
    23: RequestSpec("cancelScannerSubscription", 2, number(CancelScanner)),
    24: RequestSpec("reqScannerParameters", None, bare(ScannerParametersRequest)),
    52: RequestSpec("reqFundamentalData", 2, _fundamental_data),
    53: RequestSpec("cancelFundamentalData", 2, number(CancelFundamentalData)),
    84: RequestSpec("reqNewsArticle", 1, _news_article),
    85: RequestSpec("reqNewsProviders", None, bare(NewsProvidersRequest)),
    86: RequestSpec("reqHistoricalNews", 1, _historical_news),
    100: RequestSpec("reqWshMetaData", 1, number(WshMetaDataRequest, skip=0), since=WSH_CALENDAR),
    101: RequestSpec("cancelWshMetaData", 1, number(CancelWshMetaData, skip=0), since=WSH_CALENDAR),
    102: RequestSpec("reqWshEventData", 1, number(WshEventDataRequest, skip=0), since=WSH_CALENDAR),
    103: RequestSpec("cancelWshEventData", 1, number(CancelWshEventData, skip=0), since=WSH_CALENDAR),
}
