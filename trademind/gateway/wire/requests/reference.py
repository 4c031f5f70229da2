"""Requests for what is not a market: news, scanners, fundamentals, corporate calendars."""

from collections.abc import Mapping

from trademind.gateway.wire.requests.spec import Bare, RequestSpec, bare


class NewsProvidersRequest(Bare):
    __slots__ = ()


class ScannerParametersRequest(Bare):
    __slots__ = ()


class NewsBulletins(Bare):
    """Wanted or no longer wanted: the paper gateway has none to send."""

    __slots__ = ()


REQUESTS: Mapping[int, RequestSpec] = {
    12: RequestSpec("reqNewsBulletins", None, bare(NewsBulletins)),
    13: RequestSpec("cancelNewsBulletins", None, bare(NewsBulletins)),
    22: RequestSpec("reqScannerSubscription", 1),
    23: RequestSpec("cancelScannerSubscription", 2),
    24: RequestSpec("reqScannerParameters", None, bare(ScannerParametersRequest)),
    52: RequestSpec("reqFundamentalData", 2),
    53: RequestSpec("cancelFundamentalData", 2),
    84: RequestSpec("reqNewsArticle", 1),
    85: RequestSpec("reqNewsProviders", None, bare(NewsProvidersRequest)),
    86: RequestSpec("reqHistoricalNews", 1),
    100: RequestSpec("reqWshMetaData", 1, since=161),
    101: RequestSpec("cancelWshMetaData", 1, since=161),
    102: RequestSpec("reqWshEventData", 1, since=161),
    103: RequestSpec("cancelWshEventData", 1, since=161),
}
