"""Synthetic news: what the paper market itself has to tell, and nothing else.

For each share and trading day there is one article of each provider, about what the feed says of that day.
So the same market has the same news, any day's news can be had in any order, and nothing is made up about a
real company: every headline and text says that it is synthetic.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Final

from trademind.gateway.engine.hours import NEW_YORK
from trademind.gateway.engine.model import Instrument
from trademind.gateway.feeds.base import Feed, FeedBar
from trademind.gateway.wire.times import FIRST_YEAR, LAST_YEAR

PROVIDERS: Final = {
    "BRFG": "Synthetic market columns of the paper gateway",
    "BRFUPDN": "Synthetic analyst actions of the paper gateway",
    "DJNL": "Synthetic newsletters of the paper gateway",
}
"""The codes are those of the providers that every log-in of IB's has."""
MARK: Final = "[SYNTHETIC]"
_PUBLISHED_FROM: Final = time(16, 15)
_WITHIN: Final = 5400
"""Seconds after that in which all of a day's articles come out."""


@dataclass(frozen=True, slots=True)
class Article:
    provider: str
    article_id: str
    published: datetime
    headline: str
    text: str


class Newsroom:
    """The articles about one feed's market."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def between(
        self, instrument: Instrument, providers: frozenset[str], start: datetime, end: datetime
    ) -> Iterator[Article]:
        """Articles that came out after `start` and not after `end`, newest first. The cost grows with the
        days that are looked at."""
        day = end.astimezone(NEW_YORK).date()
        first = start.astimezone(NEW_YORK).date()
        while day >= first:
            articles = [each for each in self.of_day(instrument, day) if each.provider in providers]
            for article in sorted(articles, key=lambda each: (each.published, each.provider), reverse=True):
                if start < article.published <= end:
                    yield article
            day -= timedelta(days=1)

    def due_after(self, instrument: Instrument, providers: frozenset[str], moment: datetime) -> datetime:
        """When the next article of one of the providers comes out, if anything is traded that day."""
        day = moment.astimezone(NEW_YORK).date()
        return min(
            published
            for each in (day, day + timedelta(days=1))
            for code in providers
            if (published := _published(instrument, each, code)) > moment
        )

    def find(self, instrument: Instrument, article_id: str, day: date) -> Article | None:
        return next((each for each in self.of_day(instrument, day) if each.article_id == article_id), None)

    def of_day(self, instrument: Instrument, day: date) -> list[Article]:
        """The articles about a day; none about one on which nothing was traded."""
        begin = datetime.combine(day, time.min, NEW_YORK)
        until = begin + timedelta(days=1)
        if until <= self._feed.head(instrument):
            return []
        bars = self._feed.bars(instrument, start=begin, end=until, bar_size="1 day")
        return [_article(instrument, day, bars[0], code) for code in PROVIDERS] if bars else []


def article_id(provider: str, instrument: Instrument, day: date) -> str:
    return f"{provider}${instrument.con_id:x}{day:%Y%m%d}"


def parse_article_id(text: str) -> tuple[str, int, date] | None:
    """Provider, con id and day of an article's id, or None where it is none."""
    provider, _, rest = text.partition("$")
    try:
        day = date.fromisoformat(f"{rest[-8:-4]}-{rest[-4:-2]}-{rest[-2:]}")
        return (provider, int(rest[:-8], 16), day) if FIRST_YEAR <= day.year <= LAST_YEAR else None
    except ValueError:
        return None


def _published(instrument: Instrument, day: date, provider: str) -> datetime:
    """When a provider's article about a day comes out, to the second."""
    second = Random(f"{instrument.con_id}:{day}:{provider}:news").randrange(_WITHIN)
    return (datetime.combine(day, _PUBLISHED_FROM, NEW_YORK) + timedelta(seconds=second)).astimezone(UTC)


def _article(instrument: Instrument, day: date, bar: FeedBar, provider: str) -> Article:
    change = (bar.close / bar.open - 1) * 100 if bar.open else bar.open
    way = "higher" if change > 0 else "lower" if change < 0 else "unchanged"
    name = instrument.symbol
    headlines = {
        "BRFG": f"{name} ends the day {way} at {bar.close} ({change:+.2f}%)",
        "BRFUPDN": f"{name}: day's range {bar.low} to {bar.high}",
        "DJNL": f"{name} trades {bar.volume:,} shares in {bar.count:,} trades",
    }
    headline = f"{MARK} {headlines[provider]}"
    text = (
        f"{headline}\n\nThis is no real news. It was made by a paper gateway from its own simulated market. "
        f"On {day:%d %B %Y} the simulated {name} opened at {bar.open}, went as high as {bar.high} and as low "
        f"as {bar.low}, and ended at {bar.close}; {bar.volume:,} shares changed hands."
    )
    published = _published(instrument, day, provider)
    return Article(provider, article_id(provider, instrument, day), published, headline, text)
