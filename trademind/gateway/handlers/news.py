"""News: providers, headlines, articles, and the gateway's own bulletins. All of it is synthetic.

Headlines as they come out are a part of market data: generic tick 292, with the providers that are wanted, as
in `mdoff,292:BRFG+DJNL`; 292 alone is all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from trademind.gateway import codes
from trademind.gateway.handlers.bar_query import Refused, invalid, read_end
from trademind.gateway.handlers.history import begin
from trademind.gateway.newsroom import MARK, PROVIDERS, Newsroom, parse_article_id
from trademind.gateway.session import NewsStream, Session, TickStream
from trademind.gateway.wire.reference import (
    historical_news,
    historical_news_end,
    news_article,
    news_bulletin,
    news_providers,
    tick_news,
)
from trademind.gateway.wire.requests.reference import (
    CancelNewsBulletins,
    HistoricalNewsRequest,
    NewsArticleRequest,
    NewsBulletinsRequest,
    NewsProvidersRequest,
)
from trademind.gateway.wire.times import EASTERN

if TYPE_CHECKING:
    from trademind.gateway.engine.model import Instrument
    from trademind.gateway.gateway import PaperGateway

MAX_HEADLINES: Final = 300
"""In one answer, as at IB."""
HEADLINES_PER_STEP: Final = 15
"""A few milliseconds of work."""
BULLETIN_SOURCE: Final = "PAPER"
NEWS_TICKS: Final = "292"
_SECOND: Final = timedelta(seconds=1)


def providers(gateway: "PaperGateway", session: Session, request: NewsProvidersRequest) -> None:
    session.send(news_providers(PROVIDERS.items()))


def headlines(gateway: "PaperGateway", session: Session, request: HistoricalNewsRequest) -> None:
    instrument = gateway.universe.by_con_id(request.con_id)
    if instrument is None:
        session.error(request.req_id, codes.NO_SECURITY, codes.NO_SECURITY_TEXT)
        return
    try:
        if not request.providers or not set(request.providers) <= set(PROVIDERS):
            raise Refused(codes.NEWS_NOT_ALLOWED, codes.NEWS_NOT_ALLOWED_TEXT)
        if request.most <= 0:
            raise invalid("Total results must be > 0")
        now = gateway.clock.now()
        end = read_end(_plain_time(request.end), now)
        start = read_end(_plain_time(request.start), now, "Start") if request.start.strip() else None
        answer = _headlines(gateway, session, request, instrument, start, end)
        begin(session, request.req_id, answer)
    except Refused as refused:
        session.error(request.req_id, refused.code, refused.text)


def _plain_time(text: str) -> str:
    """News are asked for with dashes in the date, and fractions of a second: 2026-11-23 20:31:05.0"""
    day, _, rest = text.strip().partition(" ")
    if day.count("-") != 2:
        return text
    day = day.replace("-", "")
    clock, _, zone = rest.partition(" ")
    # Times of news are in UTC unless they say otherwise.
    return f"{day} {clock.partition('.')[0]} {zone or 'UTC'}" if clock else day


def _headlines(
    gateway: "PaperGateway",
    session: Session,
    request: HistoricalNewsRequest,
    instrument: "Instrument",
    start: datetime | None,
    end: datetime,
) -> Iterator[None]:
    """Sends the newest headlines first, and at last whether there are more."""
    most = min(request.most, MAX_HEADLINES)
    since = gateway.feed.head(instrument) if start is None else max(start, gateway.feed.head(instrument))
    found = Newsroom(gateway.feed).between(instrument, frozenset(request.providers), since, end)
    has_more = False
    for number, article in enumerate(found):
        if number == most:
            has_more = True
            break
        time = f"{article.published.astimezone(UTC):%Y-%m-%d %H:%M:%S}.0"
        session.send(
            historical_news(request.req_id, time, article.provider, article.article_id, article.headline)
        )
        if number % HEADLINES_PER_STEP == 0:
            yield
    session.send(historical_news_end(request.req_id, has_more=has_more))


def wanted(generic_ticks: str) -> frozenset[str]:
    """The providers whose headlines a list of generic ticks asks for; none without the tick 292.

    Raises:
        Refused: one of them is not among the log-in's.
    """
    found: set[str] = set()
    for entry in generic_ticks.split(","):
        number, _, codes_wanted = entry.strip().partition(":")
        if number == NEWS_TICKS:
            found |= set(filter(None, codes_wanted.split("+"))) or set(PROVIDERS)
    if not found <= set(PROVIDERS):
        raise Refused(codes.NEWS_NOT_ALLOWED, codes.NEWS_NOT_ALLOWED_TEXT)
    return frozenset(found)


def watch(gateway: "PaperGateway", instrument: "Instrument", providers: frozenset[str]) -> NewsStream:
    """A subscription to what comes out from now on."""
    due = Newsroom(gateway.feed).due_after(instrument, providers, gateway.clock.now())
    return NewsStream(providers, due)


def tell_new(gateway: "PaperGateway", session: Session, req_id: int, stream: TickStream) -> Iterator[None]:
    """Send the headlines that have come out, oldest first, one moment in each step."""
    news, newsroom = stream.news, Newsroom(gateway.feed)
    # Between two steps the client may have ended the stream.
    while news is not None and news.due <= gateway.clock.now() and session.ticks.get(req_id) is stream:
        moment = news.due
        news.due = newsroom.due_after(stream.instrument, news.providers, moment)
        for each in newsroom.between(stream.instrument, news.providers, moment - _SECOND, moment):
            millis = int(moment.timestamp()) * 1000
            session.send(tick_news(req_id, millis, each.provider, each.article_id, each.headline))
        yield


def article(gateway: "PaperGateway", session: Session, request: NewsArticleRequest) -> None:
    parsed = parse_article_id(request.article_id)
    if parsed is not None and request.provider == parsed[0]:
        instrument = gateway.universe.by_con_id(parsed[1])
        if instrument is not None:
            found = Newsroom(gateway.feed).find(instrument, request.article_id, parsed[2])
            if found is not None and found.published <= gateway.clock.now():
                session.send(news_article(request.req_id, found.text))
                return
    session.error(request.req_id, codes.NEWS_ARTICLE, codes.NEWS_ARTICLE_TEXT)


def bulletins(gateway: "PaperGateway", session: Session, request: NewsBulletinsRequest) -> None:
    """There is one bulletin a day; a client that wants all messages gets that of the running day."""
    today = _number(gateway.clock.now())
    session.bulletin = today - 1 if request.all_messages else today
    update_bulletins(session, gateway.clock.now())


def update_bulletins(session: Session, now: datetime) -> None:
    """Send the bulletin of a day that has begun."""
    today = _number(now)
    if session.bulletin is not None and session.bulletin < today:
        session.bulletin = today
        day = now.astimezone(EASTERN)
        text = f"{MARK} Trading day of {day:%d %B %Y} has begun on the paper exchange."
        session.send(news_bulletin(today, text, BULLETIN_SOURCE))


def _number(now: datetime) -> int:
    return now.astimezone(EASTERN).date().toordinal()


def cancel_bulletins(gateway: "PaperGateway", session: Session, request: CancelNewsBulletins) -> None:
    """IB does not confirm it."""
    session.bulletin = None


HANDLERS: Mapping[type, Callable[..., None]] = {
    NewsProvidersRequest: providers,
    HistoricalNewsRequest: headlines,
    NewsArticleRequest: article,
    NewsBulletinsRequest: bulletins,
    CancelNewsBulletins: cancel_bulletins,
}
