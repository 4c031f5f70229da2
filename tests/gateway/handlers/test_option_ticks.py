"""Option computations, as the real client libraries read them."""

from datetime import timedelta
from typing import Any

import pytest

from tests.gateway.conversation import AAPL_ID, LIBRARIES, NOW, Heard, LibraryClient, make_core
from tests.gateway.handlers.watching import move
from trademind.domain import SecType
from trademind.gateway.engine.descriptions import Description
from trademind.gateway.engine.instruments import INSTRUMENTS
from trademind.gateway.engine.model import Instrument
from trademind.gateway.entitlements import Access, Entitlements
from trademind.gateway.feeds.valuation import value
from trademind.gateway.gateway import PaperGateway

APPLE = next(each for each in INSTRUMENTS if each.con_id == AAPL_ID)


def option(right: str, core: PaperGateway) -> Instrument:
    """An option on AAPL near the money."""
    spot = core.feed.quote(APPLE, NOW).last
    wanted = Description(sec_type=SecType.OPTION, symbol="AAPL", right=right)
    found = [each for each in core.universe.find(wanted, NOW.date()) if each.last_trade_date > "20270101"]
    return min(found, key=lambda each: (each.last_trade_date, abs((each.strike or 0) - spot)))


def subscribe(client: LibraryClient, con_id: int) -> Heard:
    return client.ask("reqMktData", 1, client.contract(con_id), "", False, False, [])


def computations(heard: Heard) -> dict[int, tuple[Any, ...]]:
    """By tick type: attribute, volatility, delta, price, dividend, gamma, vega, theta, underlying."""
    return {args[1]: args[2:] for args in heard.named("tickOptionComputation")}


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
@pytest.mark.parametrize("right", ["C", "P"])
def test_the_quote_of_an_option_brings_its_greeks(library: str, version: int, right: str) -> None:
    core = make_core()
    traded = option(right, core)
    found = computations(subscribe(LibraryClient(core, library, version), traded.con_id))

    assert set(found) == {10, 11, 12, 13}
    spot = float(core.feed.quote(APPLE, NOW).last)
    quote, model = core.feed.quote(traded, NOW), value(traded, spot, NOW)
    attribute, volatility, delta, price, dividend, gamma, vega, theta, underlying = found[13]
    assert (attribute, underlying) == (0, spot)
    greeks = model.greeks
    assert [volatility, price, dividend, delta, gamma, vega, theta] == pytest.approx(
        [
            model.volatility, model.price, model.present_dividend,
            greeks.delta, greeks.gamma, greeks.vega, greeks.theta,
        ],
        abs=1e-6,
    )  # fmt: skip
    assert found[10][1] < found[13][1] < found[11][1]
    prices = [float(each) for each in (quote.bid, quote.ask, quote.last)]
    assert [found[tick][3] for tick in (10, 11, 12)] == prices


def test_greeks_follow_the_market() -> None:
    core = make_core()
    client = LibraryClient(core)
    subscribe(client, option("C", core).con_id)
    move(core, 60)
    found = computations(client.hear())

    assert found[13][-1] == float(core.feed.quote(APPLE, NOW + timedelta(seconds=60)).last)


def test_delayed_greeks_are_of_delayed_prices() -> None:
    core = make_core()
    core.entitlements = Entitlements({"AAPL": Access.DELAYED})
    client = LibraryClient(core)
    client.ask("reqMarketDataType", 3)
    found = computations(subscribe(client, option("C", core).con_id))

    assert set(found) == {80, 81, 82, 83}
    assert found[83][-1] == float(core.feed.quote(APPLE, NOW - timedelta(minutes=15)).last)


@pytest.mark.parametrize(("library", "version"), LIBRARIES)
def test_what_is_asked_for_is_computed(library: str, version: int) -> None:
    core = make_core()
    traded = option("C", core)
    spot = float(traded.strike or 0) + 10
    client = LibraryClient(core, library, version)
    contract = client.contract(traded.con_id)

    ((_, answer),) = client.ask("calculateOptionPrice", 5, contract, 0.3, spot, [])
    price = answer[5]
    ((_, back),) = client.ask("calculateImpliedVolatility", 6, contract, price, spot, [])

    assert (answer[0], answer[3], answer[-1]) == (5, 0.3, spot)
    assert 10 < price < spot / 2
    assert (back[0], back[5]) == (6, price)
    assert back[3] == pytest.approx(0.3, abs=1e-4)
    for name in ("cancelCalculateOptionPrice", "cancelCalculateImpliedVolatility"):
        assert not client.ask(name, 5)


def test_a_price_that_implies_nothing_has_no_volatility() -> None:
    core = make_core()
    traded = option("C", core)
    spot = float(traded.strike or 0) + 10
    client = LibraryClient(core)

    ((_, answer),) = client.ask(
        "calculateImpliedVolatility", 6, client.contract(traded.con_id), 1.0, spot, []
    )

    assert answer[3:5] == (None, None)
    assert (answer[5], answer[-1]) == (1.0, spot)


def test_nonsense_is_refused() -> None:
    core = make_core()
    client = LibraryClient(core)
    traded, stock, nothing = (client.contract(each) for each in (option("C", core).con_id, AAPL_ID, 1))

    assert client.ask("calculateOptionPrice", 1, stock, 0.3, 240.0, []).errors() == [(1, 321)]
    assert client.ask("calculateOptionPrice", 2, traded, 11.0, 240.0, []).errors() == [(2, 321)]
    assert client.ask("calculateImpliedVolatility", 3, traded, 5.0, 0.0, []).errors() == [(3, 321)]
    assert client.ask("calculateImpliedVolatility", 4, nothing, 5.0, 1.0, []).errors() == [(4, 200)]
