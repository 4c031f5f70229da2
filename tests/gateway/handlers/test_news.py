"""News by two client libraries: providers, headlines, articles, bulletins; all of it marked as synthetic."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.gateway.conversation import AAPL_ID, LIBRARIES, NOW, SPY_ID, Heard, LibraryClient, make_core
from tests.gateway.handlers.watching import move
from trademind.gateway.feeds.derived import DerivedFeed
from trademind.gateway.feeds.synthetic import SyntheticFeed
from trademind.gateway.newsroom import MARK, PROVIDERS

ALL = "+".join(PROVIDERS)


def ask(
    client: LibraryClient,
    codes: str = ALL,
    start: str = "",
    end: str = "",
    most: int = 10,
    con_id: int = AAPL_ID,
) -> Heard:
    return client.ask("reqHistoricalNews", 4, con_id, codes, start, end, most, [])


@pytest.fixture
def client() -> LibraryClient:
    return LibraryClient(make_core())


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_from_provider_to_article(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)
    ((providers,),) = client.ask("reqNewsProviders").named("newsProviders")
    codes = [each.code for each in providers]
    assert codes == list(PROVIDERS)

    heard = ask(client, "+".join(codes))

    found = heard.named("historicalNews")
    assert len(found) == 10
    assert heard.named("historicalNewsEnd") == [(4, True)]
    times = [datetime.strptime(args[1], "%Y-%m-%d %H:%M:%S.0").replace(tzinfo=UTC) for args in found]
    assert times == sorted(times, reverse=True)
    assert times[0] < NOW
    for _, _, provider, article_id, headline in found:
        assert provider in codes
        assert headline.startswith(MARK)
        ((_, kind, text),) = client.ask("reqNewsArticle", 5, provider, article_id, []).named("newsArticle")
        assert kind == 0
        assert text.startswith(headline)
        assert "no real news" in text


def test_the_news_are_those_of_the_market(client: LibraryClient) -> None:
    """The same market has the same news; another has others."""
    again, other = LibraryClient(make_core()), LibraryClient(make_core())
    other.core.feed = DerivedFeed(SyntheticFeed(8))

    assert ask(client) == ask(again)
    assert ask(client) != ask(other)
    bar = client.core.feed.bars(
        client.core.universe.by_con_id(AAPL_ID),  # type: ignore[arg-type]
        start=datetime(2026, 11, 20, 5, tzinfo=UTC),
        end=datetime(2026, 11, 21, 5, tzinfo=UTC),
        bar_size="1 day",
    )[0]
    end = "2026-11-21 12:00:00.0"
    (row,) = ask(client, "BRFG", end=end, most=1).named("historicalNews")
    assert f"at {bar.close} " in row[4]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-17 05:00:00", "2026-11-20 05:00:00"),
        ("2026-11-17 00:00:00 US/Eastern", "2026-11-20 00:00:00 US/Eastern"),
        ("20261117-05:00:00", "20261120-05:00:00"),
    ],
)
def test_a_window(client: LibraryClient, start: str, end: str) -> None:
    heard = ask(client, ALL, start, end, 100)

    found = heard.named("historicalNews")
    assert {args[1][:10] for args in found} == {"2026-11-17", "2026-11-18", "2026-11-19"}
    assert len(found) == 9
    assert heard.named("historicalNewsEnd") == [(4, False)]


def test_going_back_page_by_page_misses_nothing(client: LibraryClient) -> None:
    whole = [args[3] for args in ask(client, most=30).named("historicalNews")]
    found: list[str] = []
    end = ""
    while len(found) < 30:
        page = ask(client, most=7, end=end).named("historicalNews")
        found += [args[3] for args in page]
        last = datetime.strptime(page[-1][1], "%Y-%m-%d %H:%M:%S.0").replace(tzinfo=UTC)
        end = f"{last - timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"

    assert found[:30] == whole


def test_no_more_than_three_hundred(client: LibraryClient) -> None:
    heard = ask(client, most=5000)

    assert len(heard.named("historicalNews")) == 300
    assert heard.named("historicalNewsEnd") == [(4, True)]


def test_news_that_cannot_be_had(client: LibraryClient) -> None:
    assert ask(client, "REUTERS").errors() == [(4, 10276)]
    assert ask(client, "").errors() == [(4, 10276)]
    assert ask(client, con_id=1).errors() == [(4, 200)]
    assert ask(client, most=0).errors() == [(4, 321)]
    assert ask(client, start="soon").errors() == [(4, 10314)]
    assert ask(client, start="00010101-00:00:00").errors() == [(4, 10314)]
    assert ask(client, end="99991231 23:59:59 US/Pacific").errors() == [(4, 10314)]
    heard = ask(client, end="19990101 00:00:00 UTC")
    assert (heard.errors(), heard.named("historicalNewsEnd")) == ([], [(4, False)])


@pytest.mark.parametrize(
    ("provider", "article_id"),
    [
        ("BRFG", ""),
        ("BRFG", "BRFG$"),
        ("BRFG", "BRFG$zz20261120"),
        ("BRFG", f"BRFG${AAPL_ID:x}20261350"),
        ("BRFG", f"BRFG${AAPL_ID:x}20301120"),
        ("BRFG", f"BRFG${AAPL_ID:x}19901120"),
        ("BRFG", f"BRFG${AAPL_ID:x}99991231"),
        ("BRFG", f"BRFG${AAPL_ID:x}00010101"),
        ("DJNL", f"BRFG${AAPL_ID:x}20261120"),
        ("XXXX", f"XXXX${AAPL_ID:x}20261120"),
        ("BRFG", "BRFG$120261120"),
    ],
)
def test_articles_that_do_not_exist(client: LibraryClient, provider: str, article_id: str) -> None:
    assert client.ask("reqNewsArticle", 5, provider, article_id, []).errors() == [(5, 10172)]


def test_articles_are_about_what_they_are_asked_for(client: LibraryClient) -> None:
    (row,) = ask(client, "BRFG", most=1, con_id=SPY_ID).named("historicalNews")

    assert row[4].startswith(f"{MARK} SPY ")


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_bulletins(library: str, version: int) -> None:
    client = LibraryClient(make_core(), library, version)

    ((number, kind, text, source),) = client.ask("reqNewsBulletins", True).named("updateNewsBulletin")
    assert (kind, source) == (1, "PAPER")
    assert text.startswith(MARK)
    assert client.ask("reqNewsBulletins", False) == []
    for _ in client.core.pump_steps(client.core.clock.advance(timedelta(hours=14))):  # type: ignore[attr-defined]
        pass
    ((following, *_),) = client.hear().named("updateNewsBulletin")
    assert following == number + 1
    assert client.ask("cancelNewsBulletins") == []
    for _ in client.core.pump_steps(client.core.clock.advance(timedelta(hours=24))):  # type: ignore[attr-defined]
        pass
    assert client.hear().named("updateNewsBulletin") == []


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_headlines_come_as_they_come_out(library: str, version: int) -> None:
    """Generic tick 292: each once, with the time and the words that history tells afterwards."""
    client = LibraryClient(make_core(), library, version)
    client.ask("reqMktData", 6, client.contract(AAPL_ID), "mdoff,292:BRFG+DJNL", False, False, [])
    began = client.core.clock.now()

    told = []
    for _ in range(10):
        move(client.core, 3600)
        told += client.hear().named("tickNews")

    assert {args[2] for args in told} == {"BRFG", "DJNL"}
    times = [datetime.fromtimestamp(args[1] / 1000, UTC) for args in told]
    assert times == sorted(times)
    assert all(began < each <= client.core.clock.now() for each in times)
    history = ask(client, "BRFG+DJNL", f"{began:%Y%m%d-%H:%M:%S}").named("historicalNews")
    assert sorted(args[2:5] for args in told) == sorted(args[2:5] for args in history)


def test_headlines_of_days_that_were_missed_come_in_order(client: LibraryClient) -> None:
    client.ask("reqMktData", 6, client.contract(AAPL_ID), "292", False, False, [])

    move(client.core, 3 * 86400)

    times = [args[1] for args in client.hear().named("tickNews")]
    assert len(times) == 9
    assert times == sorted(times)


def test_no_headlines_after_a_stream_has_ended(client: LibraryClient) -> None:
    client.ask("reqMktData", 6, client.contract(AAPL_ID), "292", False, False, [])
    client.ask("cancelMktData", 6)

    move(client.core, 86400)

    assert client.hear().named("tickNews") == []


def test_headlines_of_an_unknown_provider_are_refused(client: LibraryClient) -> None:
    heard = client.ask("reqMktData", 6, client.contract(AAPL_ID), "mdoff,292:REUTERS", False, False, [])

    assert heard.errors() == [(6, 10276)]
