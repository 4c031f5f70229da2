"""Option prices against published examples, finite differences and what no arbitrage allows."""

from math import exp
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trademind.gateway.pricing import greeks, implied_volatility, option_price

# Worked examples from textbooks: Hull examples 15.6 and 17.1; Haug, "The Complete Guide to Option
# Pricing Formulas", section 1.1.2 (the put on an index), to the digits printed there.
PUBLISHED = [
    ({"call": True, "spot": 42, "strike": 40, "rate": 0.1, "volatility": 0.2, "years": 0.5}, 4.76, 0.005),
    ({"call": False, "spot": 42, "strike": 40, "rate": 0.1, "volatility": 0.2, "years": 0.5}, 0.81, 0.005),
    (
        {
            "call": True,
            "spot": 930,
            "strike": 900,
            "rate": 0.08,
            "dividend_yield": 0.03,
            "volatility": 0.2,
            "years": 2 / 12,
        },
        51.83,
        0.005,
    ),
    (
        {
            "call": False,
            "spot": 100,
            "strike": 95,
            "rate": 0.1,
            "dividend_yield": 0.05,
            "volatility": 0.2,
            "years": 0.5,
        },
        2.4648,
        0.00005,
    ),
]


@pytest.mark.parametrize(("arguments", "price", "precision"), PUBLISHED)
def test_published_prices(arguments: dict[str, Any], price: float, precision: float) -> None:
    assert option_price(**arguments) == pytest.approx(price, abs=precision)


def test_published_sensitivities() -> None:
    """Hull's running example of chapter 19: a 20-week call, 50 strike, 49 spot."""
    found = greeks(call=True, spot=49, strike=50, rate=0.05, volatility=0.2, years=0.3846)
    assert found.delta == pytest.approx(0.522, abs=0.0005)
    assert found.gamma == pytest.approx(0.066, abs=0.0005)
    assert found.vega == pytest.approx(0.121, abs=0.0005)
    assert found.theta == pytest.approx(-4.31 / 365, abs=0.00002)


options = st.fixed_dictionaries(
    {
        "call": st.booleans(),
        "spot": st.floats(5, 5000),
        "years": st.floats(1 / 365, 3),
        "volatility": st.floats(0.05, 1.5),
        "rate": st.floats(-0.01, 0.1),
        "dividend_yield": st.floats(0, 0.06),
    }
)
moneyness = st.floats(0.5, 2.0)


@given(options, moneyness)
def test_calls_and_puts_are_in_parity(option: dict[str, Any], ratio: float) -> None:
    option["strike"] = option["spot"] * ratio
    call, put = option_price(**{**option, "call": True}), option_price(**{**option, "call": False})
    forward = option["spot"] * exp(-option["dividend_yield"] * option["years"])
    forward -= option["strike"] * exp(-option["rate"] * option["years"])
    assert call - put == pytest.approx(forward, abs=1e-8 * option["spot"])


@given(options, moneyness)
def test_sensitivities_are_the_slopes_of_the_price(option: dict[str, Any], ratio: float) -> None:
    spot = option["spot"]
    option["strike"] = spot * ratio

    def slope(name: str, width: float) -> float:
        above = option_price(**{**option, name: option[name] + width})
        below = option_price(**{**option, name: option[name] - width})
        return (above - below) / (2 * width)

    found = greeks(**option)
    width = spot * 1e-5
    assert found.delta == pytest.approx(slope("spot", width), abs=1e-4)
    assert found.vega == pytest.approx(slope("volatility", 1e-5) * 0.01, abs=1e-6 * spot)
    assert found.theta == pytest.approx(-slope("years", 1e-6) / 365, abs=1e-5 * spot)
    up, down = (greeks(**{**option, "spot": spot + side * width}).delta for side in (1, -1))
    assert found.gamma * spot == pytest.approx((up - down) / (2 * width) * spot, abs=1e-2)


@given(options, moneyness)
def test_the_implied_volatility_gives_the_price_again(option: dict[str, Any], ratio: float) -> None:
    option["strike"] = option["spot"] * ratio
    price = option_price(**option)
    volatility = option.pop("volatility")
    # Far from the money the price hardly depends on the volatility, and floats do not tell it.
    assume(greeks(**option, volatility=volatility).vega > 1e-6 * option["spot"])
    found = implied_volatility(price, **option)
    assert found == pytest.approx(volatility, abs=1e-5)


@given(options, moneyness, st.floats(0, 10_000))
def test_any_price_has_one_volatility_or_none(option: dict[str, Any], ratio: float, price: float) -> None:
    option["strike"] = option["spot"] * ratio
    del option["volatility"]
    found = implied_volatility(price, **option)
    if found is not None:
        assert option_price(**option, volatility=found) == pytest.approx(price, abs=1e-6 * option["spot"])


def test_at_expiry_an_option_is_worth_its_exercise() -> None:
    terms = {"spot": 105.0, "strike": 100.0, "years": 0.0, "volatility": 0.3}
    assert option_price(call=True, **terms) == 5.0
    assert option_price(call=False, **terms) == 0.0
    assert (greeks(call=True, **terms).delta, greeks(call=False, **terms).delta) == (1.0, 0.0)
    assert implied_volatility(5.0, call=True, spot=105.0, strike=100.0, years=0.0) is None


def test_prices_that_arbitrage_forbids_have_no_volatility() -> None:
    terms = {"spot": 100.0, "strike": 90.0, "years": 1.0}
    assert implied_volatility(9.0, call=True, **terms) is None
    assert implied_volatility(100.0, call=True, **terms) is None


@pytest.mark.parametrize("terms", [{"spot": 0.0, "strike": 1.0}, {"spot": 1.0, "strike": -1.0}])
def test_what_is_not_a_price_is_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        option_price(call=True, years=1.0, volatility=0.2, **terms)
